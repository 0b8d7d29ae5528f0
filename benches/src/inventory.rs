//! Fills a data folder with certificates, past the API.
use std::path::Path;

use certkeep_core::application::{Application, AuthEntry, AuthValue, Names};
use certkeep_core::certificate::Held;
use certkeep_core::material::{Chain, PrivateKey};
use certkeep_core::ports::{Certificates, NewCertificate, NewServer, Version};
use certkeep_core::renewal::Validity;
use certkeep_store::{Options, SqlStore};
use jiff::{SignedDuration, Timestamp};

/// Adds `count` server certificates, none of them due.
pub(crate) async fn fill(folder: &Path, count: usize) {
    let options = Options { folder: folder.to_owned(), key_file: None };
    let store = SqlStore::open_exclusive(&options).await.expect("the data folder opens");
    let key = rcgen::KeyPair::generate().expect("a key");
    let certificate = rcgen::CertificateParams::new(vec!["pbx.example.com".to_owned()]).expect("a name");
    let certificate = certificate.self_signed(&key).expect("a certificate");
    let chain = Chain::new(vec![certificate.der().to_vec()]).expect("a chain");
    #[expect(clippy::disallowed_methods, reason = "the service under measurement reads the same clock")]
    let now = Timestamp::now();
    let not_after = now + SignedDuration::from_hours(24 * 90);
    for number in 0..count {
        let name = format!("pbx{number}.example.com");
        let text = |k: &str, value: &str| AuthEntry { k: k.to_owned(), value: AuthValue::Text(value.into()) };
        let integer = |k: &str, value| AuthEntry { k: k.to_owned(), value: AuthValue::Integer(value) };
        let application = Application {
            names: Names::parse(&name).expect("a name"),
            dns_provider: "alidns".to_owned(),
            auth: vec![
                integer("TTL", 600),
                text("AccessKeyId", "an-identifier-of-a-key"),
                text("AccessKeySecret", "a-secret-of-thirty-letters-or-so"),
                integer("PropagationTimeout", 300),
                integer("PollingInterval", 5),
            ],
        };
        let held = Held { issue_to: name.clone(), validity: Validity { not_before: now, not_after } };
        let key = PrivateKey::from_pkcs8(key.serialize_der());
        let new = NewCertificate {
            name: format!("{name}.pem"),
            version: Some(Version { chain: chain.clone(), key: Some(key), held, directory: None }),
            server: Some(NewServer { application: Some(application), next_issuance: Some(not_after), owner: None }),
            upload: None,
            limit: None,
        };
        store.create(&new).await.expect("the entry is added");
    }
    store.close().await;
}
