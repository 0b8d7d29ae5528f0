//! The engine of recipes: it speaks a page's conversation over HTTP.
//!
//! It owns what is the same for every vendor: one writer per zone, other values at the same name, exactly ours
//! removed, tries and pauses, and no secret in what is told. `exchange` makes one call, `answer` and `classify`
//! judge what came back, `steps` puts calls together.
mod address;
mod answer;
mod blank;
mod classify;
mod client;
mod endpoint;
mod enroll;
mod exchange;
mod filters;
mod lists;
mod reply;
mod session;
mod sets;
mod settling;
mod slots;
mod steps;
pub(crate) mod template;
mod tls;
mod txt;
mod xml;
mod zone;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use certkeep_core::application::AuthValue;
use certkeep_core::failure::{Code, Failure};
use certkeep_core::issuance::{TxtRecord, Zone};
use certkeep_core::name::DnsName;
use certkeep_core::ports::{DnsProvider, Resolver, Settings};
use certkeep_core::provider::{ParameterKind, Parameters};
use certkeep_core::time::Clock;
use minijinja::Value;
use reqwest::header::HeaderMap;
use secrecy::ExposeSecret as _;

use self::blank::Blank;
pub(crate) use self::client::Client;
pub(crate) use self::endpoint::Endpoint;
pub(crate) use self::session::Sessions;
use self::template::Scope;
use crate::page::{Http, Page};
use crate::registry::{Account, Held, Locks, Pace, Quota};
use crate::sign::RequestSigner;

/// What all recipes share.
pub(crate) struct Shared {
    pub(crate) client: Client,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) locks: Locks,
    pub(crate) pace: Pace,
    pub(crate) quota: Quota,
    pub(crate) held: Held,
    pub(crate) sessions: Sessions,
    /// Tells where zones begin, for vendors that do not.
    pub(crate) resolver: Option<Arc<dyn Resolver>>,
    /// Keeps the accounts that are opened for names.
    pub(crate) memory: Option<Arc<dyn Settings>>,
}

/// A provider that a recipe drives.
pub(crate) struct Recipe {
    page: Arc<Page>,
    shared: Arc<Shared>,
    account: Account,
    /// Where calls go, or the login where `roaming`.
    real: Endpoint,
    /// Whether it is the session that tells where calls go.
    roaming: bool,
    /// What stands in for the vendor's servers.
    elsewhere: Option<Endpoint>,
    /// Hosts that calls may name besides.
    hosts: Vec<String>,
    /// Where `real` is, or what stands in for it, for evidence.
    server: String,
    /// Where TLS is not as usual.
    client: Option<reqwest::Client>,
    /// The parameters, for templates.
    scope: Scope,
    /// The headers of every call.
    headers: HeaderMap,
    /// Those that are another in every call, as templates.
    live: Vec<(String, String)>,
    /// Signs every call; `None` as well where the key is another in every session.
    signer: Option<Box<dyn RequestSigner>>,
    /// Whether calls of the account have to wait for each other, and how long at least.
    paced: bool,
    delay: Duration,
    blank: Blank,
}

const CONNECTING: &str = "connect";

impl Recipe {
    /// A provider of this page with these parameters; `elsewhere` stands in for the vendor's server.
    ///
    /// # Errors
    /// `provider_parameter` for values that cannot work.
    pub(crate) fn connect(
        page: Arc<Page>,
        http: &Http,
        parameters: &Parameters,
        shared: Arc<Shared>,
        elsewhere: Option<&Endpoint>,
    ) -> Result<Recipe, Failure> {
        let mut scope = scope_of(&page, parameters);
        let mut blank = blank_of(&page, parameters);
        let refused = |fact: String| Failure::new(Code::ProviderParameter, CONNECTING).about(page.flag.as_str()).fact(fact);
        let unrendered = |blank: &Blank, error: minijinja::Error| refused(blank.blank(&error.to_string()));

        for requirement in &page.require {
            let holds = template::is_true(&requirement.that, &scope).map_err(|error| unrendered(&blank, error))?;
            if !holds {
                return Err(refused(requirement.say.clone()));
            }
        }
        let login = page.login.as_ref();
        let told = template::wanted(&http.base).map_err(|error| unrendered(&blank, error))?.contains("session");
        let roaming = login.and_then(|login| login.base.as_ref()).filter(|_| told);
        let source = roaming.unwrap_or(&http.base);
        let base = template::text(source, &scope).map_err(|error| unrendered(&blank, error))?;
        let real = Endpoint::parse(&base).map_err(|error| refused(format!("{}: {error}", named_in(source))))?;
        if let Some(when) = login.and_then(|login| login.when.as_deref())
            && !template::is_true(when, &scope).map_err(|error| unrendered(&blank, error))?
        {
            scope = scope.with_json("session", &serde_json::Map::new());
        }
        let client = match tls::Own::of(&http.tls, &scope).map_err(|error| refused(blank.blank(&error.to_string())))? {
            Some(own) => {
                if own.is_unverified() {
                    tracing::warn!(
                        flag = page.flag,
                        "any certificate of the provider's server is taken: its parameters ask for that"
                    );
                }
                Some(shared.client.own(own).map_err(|error| refused(blank.blank(&error)))?)
            }
            None => None,
        };
        let hosts = http.hosts.iter().map(|host| template::text(host, &scope));
        let hosts = hosts.collect::<Result<Vec<_>, _>>().map_err(|error| unrendered(&blank, error))?;

        let keys: HashSet<&str> = page.param.iter().map(|p| p.k.as_str()).collect();
        let secrets: HashSet<&str> = page.param.iter().filter(|p| p.secret).map(|p| p.k.as_str()).collect();
        let (mut headers, mut live) = (HeaderMap::new(), Vec::new());
        for (name, source) in &http.header {
            let wanted = template::wanted(source).map_err(|error| unrendered(&blank, error))?;
            if wanted.iter().any(|variable| !keys.contains(variable.as_str())) {
                live.push((name.clone(), source.clone()));
                continue;
            }
            let value = template::text(source, &scope).map_err(|error| unrendered(&blank, error))?;
            exchange::put_headers(&mut headers, std::iter::once((name.as_str(), value.as_str())))
                .map_err(|name| refused(exchange::unfit(name)))?;
            if wanted.iter().any(|variable| secrets.contains(variable.as_str())) {
                // A vendor may repeat the credentials as they were sent: `Basic …`, for one.
                blank.add(&value);
                blank.add(value.split_once(' ').map_or("", |(_, credentials)| credentials));
            }
        }
        let fixed = |source: &String| template::wanted(source).is_ok_and(|wanted| !wanted.contains("session"));
        let signer = match http.sign.as_ref().filter(|sign| sign.with.values().all(fixed)) {
            None => None,
            Some(sign) => Some(exchange::signer(sign, &scope).map_err(|error| refused(blank.blank(&error.to_string())))?),
        };
        let server = elsewhere.map_or_else(|| real.server(), Endpoint::server);
        let account = Account::of(&page.flag, parameters, page.param.iter().map(|p| p.k.as_str()));
        let elsewhere = elsewhere.cloned();
        let delay = Duration::try_from_secs_f64(http.delay).unwrap_or_default();
        let paced = !delay.is_zero() || http.pause.is_some();
        Ok(Recipe {
            roaming: roaming.is_some(),
            page,
            shared,
            account,
            real,
            elsewhere,
            hosts,
            server,
            client,
            scope,
            headers,
            live,
            signer,
            paced,
            delay,
            blank,
        })
    }

    fn scope_of_record(&self, zone: &Zone, record: &TxtRecord) -> Scope {
        let owner = zone::owner(&record.name, &zone.name);
        self.scope_of_zone(zone)
            .with("name", record.name.as_str())
            .with("owner", owner)
            .with("sub", if owner == "@" { "" } else { owner })
            .with("value", record.value.as_str())
    }
}

#[async_trait]
impl DnsProvider for Recipe {
    async fn find_zone(&self, name: &DnsName) -> Result<Zone, Failure> {
        let found = self.zone_of(name).await.map_err(|trouble| trouble.failure)?;
        let unlisted = self.page.zone.as_ref().is_some_and(|zone| zone.unlisted);
        found.ok_or_else(|| {
            let failure = Failure::new(Code::ZoneNotFound, classify::Stage::Zone.doing()).about(name.as_str());
            failure.fact(if unlisted { "the parameters do not name it".to_owned() } else { format!("asked of {}", self.server) })
        })
    }

    async fn add(&self, zone: &Zone, record: &TxtRecord) -> Result<serde_json::Value, Failure> {
        let scope = self.scope_of_record(zone, record);
        let scope = self.with_account(scope, &record.name).await.map_err(|trouble| trouble.failure)?;
        let _writer = self.shared.locks.writer(&self.page.flag, &zone.name, self.page.rewrites()).await;
        self.settled(classify::Stage::Add, &scope).await.map_err(|trouble| trouble.failure)?;
        self.put_up(&scope, record).await.map_err(|trouble| trouble.failure)
    }

    async fn remove(&self, zone: &Zone, record: &TxtRecord, handle: Option<&serde_json::Value>) -> Result<(), Failure> {
        let mut scope = self.scope_of_record(zone, record);
        if self.page.remove.is_some() {
            scope = self.with_account(scope, &record.name).await.map_err(|trouble| trouble.failure)?;
        }
        let _writer = self.shared.locks.writer(&self.page.flag, &zone.name, self.page.rewrites()).await;
        self.settled(classify::Stage::Remove, &scope).await.map_err(|trouble| trouble.failure)?;
        self.take_down(&scope, record, handle).await.map_err(|trouble| trouble.failure)
    }
}

/// Every parameter of a page by name; one that is not given is empty in its kind.
fn scope_of(page: &Page, parameters: &Parameters) -> Scope {
    page.param.iter().fold(Scope::default(), |scope, parameter| {
        let value = match (parameters.value(&parameter.k), parameter.kind) {
            // A line end comes along with pasted keys and is part of none.
            (Some(AuthValue::Text(text)), _) => Value::from(text.expose_secret().trim_end_matches(['\r', '\n'])),
            (Some(AuthValue::Integer(n)), _) => Value::from(*n),
            (Some(AuthValue::Boolean(b)), _) => Value::from(*b),
            (None, ParameterKind::String) => Value::from(""),
            (None, ParameterKind::Integer) => Value::from(()),
            (None, ParameterKind::Boolean) => Value::from(false),
        };
        scope.with(&parameter.k, value)
    })
}

fn blank_of(page: &Page, parameters: &Parameters) -> Blank {
    let mut blank = Blank::default();
    for parameter in page.param.iter().filter(|parameter| parameter.secret) {
        if let Some(text) = parameters.text(&parameter.k) {
            let text = text.expose_secret().trim_end_matches(['\r', '\n']);
            blank.add(text);
            // Of `name:password,name:password` a vendor repeats one password, or one pair as it came in `Basic`.
            for (pair, (_, secret)) in text.split(',').filter_map(|pair| Some((pair.trim(), pair.split_once(':')?))) {
                if secret.trim().len() >= 6 {
                    blank.add(secret.trim());
                    blank.add(pair);
                }
            }
        }
    }
    blank
}

/// The parameters that a template uses, for a sentence about it.
fn named_in(source: &str) -> String {
    let mut names: Vec<String> = template::wanted(source).unwrap_or_default().into_iter().collect();
    names.sort_unstable();
    names.join(", ")
}
