//! Entries, applications and versions made of plain octets: the store never looks into a certificate.
use std::num::NonZeroU32;
use std::sync::Arc;

use certkeep_core::application::{Application, AuthEntry, AuthValue, Names};
use certkeep_core::certificate::{ApplyStatus, Certificate, CertificateId, Held, Role, Server};
use certkeep_core::issuance::{ChallengeRecord, Issuance, Lease, TxtRecord, Zone};
use certkeep_core::material::{Chain, PrivateKey};
use certkeep_core::ports::{NewCertificate, NewServer, Store, Version};
use certkeep_core::renewal::Validity;
use certkeep_core::schedule::Pace;
use jiff::{SignedDuration, Timestamp};

/// A private key that a test can look for.
pub(crate) const PRIVATE_KEY: &str = "planted-private-key-7d1f";
/// A provider's parameter that a test can look for.
pub(crate) const API_TOKEN: &str = "planted-api-token-93ab";

/// A pace that holds hardly anything back.
pub(crate) const FAST: Pace = Pace { per_minute: NonZeroU32::MAX };

/// Seconds after an instant that all tests count from.
pub(crate) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_900_000_000 + second).unwrap()
}

pub(crate) fn minutes(n: i64) -> SignedDuration {
    SignedDuration::from_mins(n)
}

pub(crate) fn application(names: &str) -> Application {
    Application {
        names: Names::parse(names).unwrap(),
        dns_provider: "cloudflare".into(),
        auth: vec![
            AuthEntry { k: "apitoken".into(), value: AuthValue::Text(API_TOKEN.into()) },
            AuthEntry { k: "TTL".into(), value: AuthValue::Integer(60) },
            AuthEntry { k: "Proxied".into(), value: AuthValue::Boolean(false) },
        ],
    }
}

/// A version whose octets say what it is.
pub(crate) fn version(issue_to: &str, not_after: Timestamp) -> Version {
    let validity = Validity { not_before: at(0), not_after };
    Version {
        chain: Chain::new(vec![format!("leaf of {issue_to} until {not_after}").into(), b"intermediate".to_vec()]).unwrap(),
        key: Some(PrivateKey::from_pkcs8(format!("{PRIVATE_KEY} of {issue_to} until {not_after}").into())),
        held: Held { issue_to: issue_to.into(), validity },
        directory: None,
    }
}

pub(crate) fn applied(name: &str, names: &str, begins: Timestamp) -> NewCertificate {
    let server = NewServer { application: Some(application(names)), next_issuance: Some(begins), owner: None };
    NewCertificate { name: name.into(), version: None, server: Some(server), upload: None, limit: None }
}

/// An uploaded server certificate that is never renewed.
pub(crate) fn uploaded(name: &str) -> NewCertificate {
    NewCertificate {
        name: name.into(),
        version: Some(version("uploaded.example.com", at(1000))),
        server: Some(NewServer { application: None, next_issuance: None, owner: None }),
        upload: None,
        limit: None,
    }
}

/// An uploaded server certificate that is renewed by application.
pub(crate) fn renewed(name: &str, renewal: Timestamp) -> NewCertificate {
    let server = NewServer { application: Some(application("a.example.com")), next_issuance: Some(renewal), owner: None };
    NewCertificate { server: Some(server), ..uploaded(name) }
}

pub(crate) fn trusted(name: &str) -> NewCertificate {
    let version = Version { key: None, ..version("Example Root", at(5000)) };
    NewCertificate { name: name.into(), version: Some(version), server: None, upload: None, limit: None }
}

/// The server side of an entry that is there.
pub(crate) async fn server(store: &Arc<dyn Store>, id: CertificateId) -> Server {
    match entry(store, id).await.role {
        Role::Server(server) => *server,
        Role::Trusted => panic!("a server certificate is expected"),
    }
}

pub(crate) async fn entry(store: &Arc<dyn Store>, id: CertificateId) -> Certificate {
    store.certificate(id).await.unwrap().expect("the entry is there")
}

pub(crate) async fn status(store: &Arc<dyn Store>, id: CertificateId) -> ApplyStatus {
    server(store, id).await.status
}

/// An applied entry whose issuance began at `at(0)` and is leased until `at(60)`.
pub(crate) async fn leased(store: &Arc<dyn Store>, name: &str) -> (CertificateId, Lease) {
    let id = store.create(&applied(name, "a.example.com", at(0))).await.unwrap();
    assert_eq!(store.start_due(at(0), 10, FAST).await.unwrap(), 1);
    let mut leases = store.lease(at(0), at(60), 10).await.unwrap();
    assert_eq!(leases.len(), 1);
    (id, leases.remove(0))
}

pub(crate) fn record(issuance: &Issuance, value: &str) -> ChallengeRecord {
    ChallengeRecord {
        id: None,
        issuance: issuance.id,
        authorization: "https://ca.test/authz/1".into(),
        challenge: "https://ca.test/chall/1".into(),
        record: TxtRecord { name: "_acme-challenge.a.example.com".parse().unwrap(), value: value.into() },
        zone: Zone { name: "example.com".into(), saved: serde_json::json!({"id": "z1", "b": 1, "a": [null]}) },
        dns_provider: issuance.application.dns_provider.clone(),
        auth: issuance.application.auth.clone(),
        handle: None,
        failed_removals: 0,
    }
}
