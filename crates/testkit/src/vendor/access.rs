//! Who may come in: secrets of the account, sessions, and whether a request proves that it is the account's.
use std::collections::BTreeMap;
use std::sync::OnceLock;

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rand;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use minijinja::Value;

use super::expression::{eval, hexadecimal, render, text};
use super::request::Incoming;
use super::scope::Scope;
use super::signature;
use super::table::{Auth, Route, Table};

/// What opens an account, in the forms that vendors give out: tables name them `secret.token` …
#[derive(Clone)]
pub(super) struct Secrets(BTreeMap<&'static str, String>);

/// The names of those that are secret; the others are known to everyone.
const SECRET: [&str; 6] = ["token", "key", "uuid", "digits", "key64", "pem"];

impl Secrets {
    /// New ones. The RSA key, which takes a while, is made only for tables that have it among their parameters.
    pub(super) fn new(table: &Table) -> Secrets {
        let rsa = table.params.values().any(|source| source.contains("secret.pem"));
        let [id, token, key, user] = [(); 4].map(|()| random());
        Secrets(BTreeMap::from([
            ("id", format!("ID{}", &id[..18].to_ascii_uppercase())),
            ("user", format!("user-{}", &user[..10])),
            ("email", format!("{}@customer.example", &user[..10])),
            ("number", "7654321".to_owned()),
            ("token", format!("tok-{token}")),
            ("key", format!("key{key}")),
            ("key64", STANDARD.encode(&key[..32])),
            ("uuid", super::account::uuid(&format!("{token}{key}")[..32])),
            ("digits", "8420571903".to_owned()),
            ("pem", if rsa { pem(0) } else { String::new() }),
        ]))
    }

    /// The same account's with everything secret wrong.
    pub(super) fn wrong(&self) -> Secrets {
        let mut wrong = self.clone();
        for name in SECRET {
            let right = self.get(name);
            let changed = match name {
                "pem" if right.is_empty() => String::new(),
                "pem" => pem(1),
                "key64" => STANDARD.encode(&random()[..32]),
                "digits" => "1111111111".to_owned(),
                "uuid" => super::account::uuid(&format!("{}{}", random(), random())[..32]),
                _ => format!("{}{}", &right[..3], random()),
            };
            wrong.0.insert(name, changed);
        }
        wrong
    }

    /// One of them; empty if there is none of this name.
    pub(super) fn get(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }

    /// All that is secret.
    pub(super) fn secret(&self) -> Vec<String> {
        SECRET.iter().map(|name| self.get(name).to_owned()).filter(|secret| !secret.is_empty()).collect()
    }

    /// As expressions know them: `secret`.
    pub(super) fn value(&self) -> Value {
        Value::from(self.0.iter().map(|(name, text)| (*name, Value::from(text.as_str()))).collect::<BTreeMap<_, _>>())
    }

    /// The parameters of a table with these secrets.
    pub(super) fn parameters(&self, table: &Table) -> Vec<(String, String)> {
        let scope = Scope::from([("secret", self.value())]);
        table.params.iter().map(|(name, source)| (name.clone(), render(source, &scope))).collect()
    }
}

/// Whether a request proves that it is the account's; if not, why.
pub(super) fn check(
    auth: &Auth,
    request: &Incoming,
    scope: &Scope,
    sessions: &[String],
    secrets: &Secrets,
) -> Result<(), String> {
    if auth.none {
        return Ok(());
    }
    let header = |name: &str, expected: &str| {
        let given = request.header(&name.to_ascii_lowercase()).unwrap_or_default();
        if given == expected { Ok(()) } else { Err(format!("the header {name} differs")) }
    };
    if let Some(source) = &auth.bearer {
        header("authorization", &format!("Bearer {}", render(source, scope)))?;
    }
    if let Some(source) = &auth.basic {
        header("authorization", &format!("Basic {}", STANDARD.encode(render(source, scope))))?;
    }
    for (name, source) in &auth.header {
        header(name, &render(source, scope))?;
    }
    if let Some(source) = &auth.that
        && !eval(source, scope).is_true()
    {
        return Err(format!("not so: {source}"));
    }
    if let Some(source) = &auth.session
        && !text(source, scope).is_some_and(|session| sessions.contains(&session))
    {
        return Err("there is no such session".to_owned());
    }
    if let Some(signature) = &auth.signature {
        signature::check(signature, request, scope, secrets)?;
    }
    if !auth.either.is_empty() {
        let mut outcomes = auth.either.iter().map(|one| check(one, request, scope, sessions, secrets));
        if !outcomes.any(|outcome| outcome.is_ok()) {
            return Err("none of the ways in".to_owned());
        }
    }
    Ok(())
}

/// The proof that a route asks for.
pub(super) fn wanted<'a>(table: &'a Table, route: Option<&'a Route>) -> &'a Auth {
    route.and_then(|route| route.auth.as_ref()).unwrap_or(&table.auth)
}

/// Random hexadecimal digits.
pub(super) fn random() -> String {
    let mut octets = [0; 16];
    rand::fill(&mut octets).expect("the machine has randomness");
    hexadecimal(&octets)
}

/// RSA keys, made once for a process: the account's, and one that is not.
fn keys() -> &'static [KeyPair; 2] {
    static KEYS: OnceLock<[KeyPair; 2]> = OnceLock::new();
    KEYS.get_or_init(|| [(); 2].map(|()| KeyPair::generate(KeySize::Rsa2048).expect("keys can be made")))
}

fn pem(which: usize) -> String {
    static PEMS: OnceLock<[String; 2]> = OnceLock::new();
    let written = |key: &KeyPair| {
        let der = key.as_der().expect("a key can be written");
        let text = STANDARD.encode(der.as_ref());
        let lines: Vec<&str> = (0..text.len()).step_by(64).map(|at| &text[at..text.len().min(at + 64)]).collect();
        let kind = "PRIVATE KEY";
        format!("-----BEGIN {kind}-----\n{}\n-----END {kind}-----\n", lines.join("\n"))
    };
    PEMS.get_or_init(|| [written(&keys()[0]), written(&keys()[1])])[which].clone()
}

/// The public half of the account's RSA key, as PKCS #1.
pub(super) fn public_key() -> Vec<u8> {
    use aws_lc_rs::signature::KeyPair as _;
    keys()[0].public_key().as_ref().to_vec()
}
