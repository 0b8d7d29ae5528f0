//! A vendor as data: the format of `vendors/<flag>.toml`, which `vendors/README.md` tells.
mod reading;

use std::collections::BTreeMap;

use serde::Deserialize;

/// A vendor: where it is, how it knows its customers, what it can be asked.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Table {
    /// The provider's flag.
    pub flag: String,
    /// What the table was written from.
    pub source: String,
    /// When that was read.
    pub read: toml::value::Datetime,
    /// The vendor's host names; `*` stands for any run of characters.
    pub hosts: Vec<String>,
    /// The parameters that open the account: templates over `secret`.
    pub params: BTreeMap<String, String>,
    /// Zones of this account in the place of the usual ones.
    #[serde(default)]
    pub zones: Vec<String>,
    /// The challenge's name where it is not `_acme-challenge.host.` in the first zone.
    #[serde(default)]
    pub challenge: Option<String>,
    /// Where the value of the challenge stands in the account, if that is not the challenge's name.
    #[serde(default)]
    pub stands_at: Option<String>,
    /// Whether the vendor keeps no more than one TXT value at a name.
    #[serde(default)]
    pub one_value: bool,
    /// How many TXT values it keeps at a name: the newest.
    #[serde(default)]
    pub most_values: Option<usize>,
    /// What stands in a value's place after its removal, where nothing can be deleted; `{{ value }}` is the value itself.
    #[serde(default)]
    pub leaves: Option<String>,
    /// Whether it asks who calls at all.
    #[serde(default = "yes")]
    pub credentials: bool,
    /// TXT records that are in the account from the start, besides the neighbours.
    #[serde(default)]
    pub records: Vec<Owned>,
    /// Requests that lego makes for the same steps.
    #[serde(default)]
    pub lego: Option<Lego>,
    /// How many requests the vendor publishes that it answers within how many seconds.
    #[serde(default)]
    pub limit: Option<Limit>,
    /// Whether there are other records at the challenge's name; `false` for vendors that hold nothing but TXT.
    #[serde(default = "yes")]
    pub neighbours: bool,
    /// Whether changes are seen only when a route with `commits` was called.
    #[serde(default)]
    pub commit: bool,
    /// Whether changes are made in a draft that may be left behind.
    #[serde(default)]
    pub drafts: bool,
    /// Whether there is anything an unknown zone could be told by.
    #[serde(default = "yes")]
    pub tells_zones: bool,
    /// The vendor's numbers of record types.
    #[serde(default)]
    pub types: BTreeMap<String, i64>,
    /// Further names for expressions, each an expression over the request.
    #[serde(default, rename = "let")]
    pub lets: BTreeMap<String, String>,
    /// How a request proves who sends it.
    #[serde(default)]
    pub(super) auth: Auth,
    /// The content type of answers where a reply names none.
    #[serde(default)]
    pub(super) content_type: Option<String>,
    /// Error replies by name: `unauthorized`, `not_found` …
    #[serde(default)]
    pub(super) refuse: BTreeMap<String, Reply>,
    #[serde(rename = "route")]
    pub(super) routes: Vec<Route>,
}

/// A TXT record of an account.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Owned {
    /// Its full name.
    pub name: String,
    /// Its text.
    pub value: String,
}

/// Requests that lego makes: looking the zone up and adding; removing.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lego {
    /// For adding a value.
    pub add: usize,
    /// For removing it.
    pub remove: usize,
    /// How many more it takes to leave everything else as it is, where lego writes or deletes what it has not read.
    #[serde(default)]
    pub more: usize,
}

/// A published limit.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    /// So many requests.
    pub requests: usize,
    /// Within so many seconds.
    pub seconds: f64,
}

/// A credential's proof. All that is named has to hold.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Auth {
    pub(super) none: bool,
    pub(super) bearer: Option<String>,
    pub(super) basic: Option<String>,
    pub(super) header: BTreeMap<String, String>,
    pub(super) that: Option<String>,
    pub(super) session: Option<String>,
    pub(super) signature: Option<Signature>,
    pub(super) either: Vec<Auth>,
}

/// A signature that is computed anew.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Signature {
    pub(super) by: String,
    #[serde(flatten)]
    pub(super) options: BTreeMap<String, String>,
}

/// An answer.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Reply {
    pub(super) status: Option<u16>,
    pub(super) json: Option<Shape>,
    pub(super) xmlrpc: Option<Shape>,
    pub(super) text: Option<String>,
    pub(super) content_type: Option<String>,
    pub(super) header: BTreeMap<String, String>,
}

/// A JSON answer: JSON as text, or a TOML value.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "toml::Value")]
pub(super) struct Shape(pub(super) serde_json::Value);

impl TryFrom<toml::Value> for Shape {
    type Error = String;

    fn try_from(value: toml::Value) -> Result<Shape, String> {
        match value {
            toml::Value::String(text) => {
                serde_json::from_str(&text).map(Shape).map_err(|error| format!("this is not JSON: {error}: {text}"))
            }
            other => serde_json::to_value(other).map(Shape).map_err(|error| error.to_string()),
        }
    }
}

/// What is done with the account.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub(super) enum Operation {
    Zones,
    Zone,
    List,
    One,
    Add,
    Set,
    Update,
    Delete,
    DeleteSet,
    Replace,
    Batch,
    Job,
    Static,
}

/// How names of records are written in requests.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub(super) enum Names {
    /// Below the zone; empty or `@` for the zone itself.
    Relative,
    /// Whole; a dot at the end does not matter.
    Full,
    /// Whole if it ends with the zone, else below it.
    #[default]
    Either,
    /// As in a zone file: whole with a dot at the end, else below the zone.
    ZoneFile,
}

/// Something that can be asked: an operation with its inputs and its answer. A step of a batch is one without a path.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Route {
    pub(super) get: Option<String>,
    pub(super) post: Option<String>,
    pub(super) put: Option<String>,
    pub(super) patch: Option<String>,
    pub(super) delete: Option<String>,
    pub(super) any: Option<String>,
    pub(super) when: Option<String>,
    pub(super) op: Operation,
    pub(super) auth: Option<Auth>,
    #[serde(default)]
    pub(super) must: BTreeMap<String, String>,
    pub(super) zone: Option<String>,
    pub(super) name: Option<String>,
    #[serde(rename = "type")]
    pub(super) rtype: Option<String>,
    pub(super) value: Option<String>,
    pub(super) values: Option<String>,
    pub(super) ttl: Option<String>,
    pub(super) id: Option<String>,
    pub(super) set: Option<String>,
    pub(super) new_name: Option<String>,
    #[serde(default)]
    pub(super) names: Names,
    pub(super) filter: Option<String>,
    pub(super) like: Option<String>,
    #[serde(default)]
    pub(super) below: bool,
    #[serde(default)]
    pub(super) everywhere: bool,
    #[serde(default)]
    pub(super) strict: bool,
    #[serde(default)]
    pub(super) unique: bool,
    #[serde(default)]
    pub(super) idempotent: bool,
    #[serde(default)]
    pub(super) fresh: bool,
    #[serde(default)]
    pub(super) existing: bool,
    #[serde(default)]
    pub(super) exact: bool,
    pub(super) etag: Option<String>,
    #[serde(default)]
    pub(super) by_sets: bool,
    #[serde(default)]
    pub(super) keep: Vec<String>,
    pub(super) empty: Option<String>,
    pub(super) paging: Option<Paging>,
    pub(super) over: Option<String>,
    #[serde(default)]
    pub(super) steps: Vec<Route>,
    #[serde(default)]
    pub(super) opens: bool,
    pub(super) closes: Option<String>,
    #[serde(default)]
    pub(super) job: u32,
    #[serde(default)]
    pub(super) commits: bool,
    #[serde(default)]
    pub(super) discards: bool,
    pub(super) active: Option<String>,
    #[serde(default)]
    pub(super) refuse: BTreeMap<String, Reply>,
    #[serde(default)]
    pub(super) reply: Reply,
}

/// Which part of a list is answered.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Paging {
    pub(super) page: Option<String>,
    pub(super) offset: Option<String>,
    pub(super) after: Option<String>,
    pub(super) size: Option<String>,
    pub(super) default: Option<usize>,
    pub(super) most: Option<usize>,
    pub(super) first: Option<usize>,
}

fn yes() -> bool {
    true
}

impl Route {
    /// Methods and paths; `None` for a route that is asked with any method.
    pub(super) fn paths(&self) -> impl Iterator<Item = (Option<&'static str>, &str)> {
        [
            (Some("GET"), &self.get),
            (Some("POST"), &self.post),
            (Some("PUT"), &self.put),
            (Some("PATCH"), &self.patch),
            (Some("DELETE"), &self.delete),
            (None, &self.any),
        ]
        .into_iter()
        .filter_map(|(method, path)| Some((method, path.as_deref()?)))
    }
}
