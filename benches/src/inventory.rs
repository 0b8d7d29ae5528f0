//! Fills a store with certificates, past the API: many in each transaction, one key and one chain for all.
use std::path::Path;
use std::time::{Duration, Instant};

use certkeep_core::application::{Application, AuthEntry, AuthValue, Names};
use certkeep_core::certificate::Held;
use certkeep_core::material::{Chain, PrivateKey};
use certkeep_core::ports::Version;
use certkeep_core::renewal::Validity;
use certkeep_store::{IssuedEntry, Location, Options, ServerUrl, SqlStore};
use jiff::{SignedDuration, Timestamp};

/// Entries of one transaction.
const BATCH: usize = 5_000;
/// Neighbours by number that are neighbours by name and by date, as one customer's are: single entries all over the place
/// would make every transaction write the whole of every index.
const RUN: usize = 500;
/// For how long before now the life of a certificate lasts, and for how long after.
const LIVED: SignedDuration = SignedDuration::from_hours(24 * 30);
const LEFT: SignedDuration = SignedDuration::from_hours(24 * 60);
/// When the earliest renewals are due: none while the inventory is measured.
pub(crate) const FIRST_DUE: SignedDuration = SignedDuration::from_hours(6);

/// Where a store is: a data folder, or the database of a server beside one.
pub(crate) fn location(folder: &Path, server: Option<&str>) -> Location {
    let server = server.map(|url| ServerUrl::new(&url.to_owned().into()).expect("an address of PostgreSQL"));
    Location { options: Options { folder: folder.to_owned(), key_file: None }, server }
}

/// What the clock of the services under measurement shows.
#[expect(clippy::disallowed_methods, reason = "the service under measurement reads the same clock")]
pub(crate) fn now() -> Timestamp {
    Timestamp::now()
}

/// How many seconds after `FIRST_DUE` the certificate of a place in the order of renewals is due.
pub(crate) fn due_after(place: usize, count: usize) -> Duration {
    (Duration::try_from(LEFT - FIRST_DUE).expect("a span") / u32::try_from(count).expect("a count"))
        * u32::try_from(place).expect("a place")
}

/// Adds `count` server certificates, of which `overdue` should have been renewed since an hour and more; the others are due
/// one after the other over the next 60 days. Answers how long it took, and the instant to which all dates relate.
pub(crate) async fn fill(store: &SqlStore, count: usize, overdue: usize) -> (Duration, Timestamp) {
    let began = Instant::now();
    let now = now();
    let key = rcgen::KeyPair::generate().expect("a key");
    let certificate = rcgen::CertificateParams::new(vec!["pbx.example.com".to_owned()]).expect("a name");
    let certificate = certificate.self_signed(&key).expect("a certificate");
    let chain = Chain::new(vec![certificate.der().to_vec()]).expect("a chain");
    let mut entries = Vec::with_capacity(BATCH);
    for number in 0..count {
        let name = name(number);
        let place = scattered(number, count);
        let (renewal, not_after) = if place < overdue {
            let late = SignedDuration::from_secs(3600 + i64::try_from(place).expect("a place"));
            (now - late, now + LEFT / 3 - late)
        } else {
            let due = now + FIRST_DUE + SignedDuration::try_from(due_after(place, count)).expect("a span");
            (due, due + LIVED)
        };
        let held = Held { issue_to: name.clone(), validity: Validity { not_before: now - LIVED, not_after } };
        let key = PrivateKey::from_pkcs8(key.serialize_der());
        let directory = Some("https://ca.example/directory".to_owned());
        let version = Version { chain: chain.clone(), key: Some(key), held, directory };
        entries.push(IssuedEntry { name: format!("{name}.pem"), application: application(&name), version, renewal });
        if entries.len() == BATCH || number + 1 == count {
            store.add_issued(&entries).await.expect("the entries are added");
            entries.clear();
        }
    }
    (began.elapsed(), now)
}

/// The domain of a number; runs of neighbours by number lie scattered among the names.
fn name(number: usize) -> String {
    format!("pbx-{:04x}-{number:07}.example.com", (number / RUN).wrapping_mul(40_503) & 0xffff)
}

/// One place in `0..count` for each number, scattered run by run.
fn scattered(number: usize, count: usize) -> usize {
    let runs = count / RUN;
    // A prime that divides no count that is asked for. What is more than whole runs stays where it is.
    if number / RUN < runs { (number / RUN).wrapping_mul(7_368_787) % runs * RUN + number % RUN } else { number }
}

fn application(name: &str) -> Application {
    let text = |k: &str, value: &str| AuthEntry { k: k.to_owned(), value: AuthValue::Text(value.into()) };
    let integer = |k: &str, value| AuthEntry { k: k.to_owned(), value: AuthValue::Integer(value) };
    Application {
        names: Names::parse(name).expect("a name"),
        dns_provider: "alidns".to_owned(),
        auth: vec![
            integer("TTL", 600),
            text("AccessKeyId", "an-identifier-of-a-key"),
            text("AccessKeySecret", "a-secret-of-thirty-letters-or-so"),
            integer("PropagationTimeout", 300),
            integer("PollingInterval", 5),
        ],
    }
}

/// Fills a store that somebody names: a folder, or `postgres://…` with the sealing key in a folder.
pub(crate) async fn fill_named(count: usize, overdue: usize, folder: &Path, server: Option<&str>) {
    let store = location(folder, server).serve().await.expect("the store opens");
    let (took, _) = fill(&store, count, overdue).await;
    store.close().await;
    println!("{count} certificates, {overdue} of them overdue, in {:.0} s", took.as_secs_f64());
}
