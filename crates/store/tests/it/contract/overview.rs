use std::sync::Arc;

use certkeep_core::certificate::{CertificateId, Kind, SortBy};
use certkeep_core::failure::{Code, Failure};
use certkeep_core::outline::{Concern, DayCount, Fate, Search, State};
use certkeep_core::ports::{NewCertificate, NewServer, Outcome, Store, Version};
use certkeep_core::renewal::Validity;
use jiff::{SignedDuration, Timestamp};

use crate::fixtures::{application, applied, at, leased, trusted, uploaded, version};

const DAY: i64 = 86_400;

/// An uploaded entry that ends and is tried again at these days after the first instant.
fn planned(name: &str, ends: i64, next: Option<i64>) -> NewCertificate {
    let mut held = version("a.example.com", at(ends * DAY));
    held.held.validity.not_before = at(-100 * DAY);
    let server = NewServer {
        application: next.map(|_| application("a.example.com")),
        next_issuance: next.map(|day| at(day * DAY)),
        owner: None,
    };
    NewCertificate { version: Some(held), server: Some(server), ..uploaded(name) }
}

async fn failed(store: &Arc<dyn Store>, name: &str, code: Code, again: Option<Timestamp>) -> CertificateId {
    let (id, lease) = leased(store, name).await;
    store.finish(&lease.issuance, lease.fence, &Outcome::Failed(Failure::new(code, "act"), again)).await.unwrap();
    id
}

async fn found(store: &Arc<dyn Store>, search: &Search, now: Timestamp) -> Vec<String> {
    let found = store.search(search, now).await.unwrap();
    assert_eq!(found.total, found.rows.len() as u64);
    found.rows.into_iter().map(|row| row.name).collect()
}

fn of_text(text: &str) -> Search {
    Search { text: Some(text.to_owned()), sort_by: SortBy::Name, ..Search::everything(100) }
}

pub(crate) async fn a_search_finds_parts_of_names_in_any_case(store: Arc<dyn Store>) {
    store.create(&applied("pbx.example.com.pem", "pbx.example.com,voip.example.net", at(0))).await.unwrap();
    store.create(&uploaded("Office_1.pem")).await.unwrap();
    store.create(&trusted("root.pem")).await.unwrap();
    for (text, names) in [
        ("PBX.", vec!["pbx.example.com.pem"]),
        ("voip", vec!["pbx.example.com.pem"]),
        ("office_", vec!["Office_1.pem"]),
        ("e_1", vec!["Office_1.pem"]),
        ("x%", vec![]),
        ("'; --", vec![]),
        (" ", vec!["Office_1.pem", "pbx.example.com.pem", "root.pem"]),
    ] {
        assert_eq!(found(&store, &of_text(text), at(0)).await, names, "{text}");
    }
    let of_kind = Search { kind: Some(Kind::Trusted), ..of_text("pem") };
    assert_eq!(found(&store, &of_kind, at(0)).await, ["root.pem"]);
}

pub(crate) async fn a_search_finds_states_and_ends(store: Arc<dyn Store>) {
    store.create(&planned("gone.pem", -1, Some(5))).await.unwrap();
    store.create(&planned("soon.pem", 3, Some(2))).await.unwrap();
    store.create(&planned("late.pem", 200, Some(100))).await.unwrap();
    let of = |state| Search { state: Some(state), sort_by: SortBy::Name, ..Search::everything(100) };
    assert_eq!(found(&store, &of(State::Expired), at(0)).await, ["gone.pem"]);
    assert_eq!(found(&store, &of(State::Valid), at(0)).await, ["late.pem", "soon.pem"]);
    failed(&store, "bad.pem", Code::CaError, Some(at(DAY))).await;
    assert_eq!(found(&store, &of(State::Failed), at(0)).await, ["bad.pem"]);
    store.create(&applied("new.pem", "new.example.com", at(0))).await.unwrap();
    assert_eq!(found(&store, &of(State::Issuing), at(0)).await, ["new.pem"]);
    let ends = Search { ends: Some((at(3 * DAY), at(4 * DAY))), ..of_text("") };
    assert_eq!(found(&store, &ends, at(0)).await, ["soon.pem"]);
}

pub(crate) async fn a_search_is_cut_into_pages(store: Arc<dyn Store>) {
    for n in 0..7 {
        store.create(&planned(&format!("{n}.pem"), 10 + n, Some(1))).await.unwrap();
    }
    let page = |page| Search { page, ..Search { page_size: 3, ..of_text("pem") } };
    let mut names = Vec::new();
    for n in 1..=3 {
        let found = store.search(&page(n), at(0)).await.unwrap();
        assert_eq!(found.total, 7);
        names.extend(found.rows.into_iter().map(|row| row.name));
    }
    assert_eq!(names, (0..7).map(|n| format!("{n}.pem")).collect::<Vec<_>>());
}

/// The database picks those that the rule of the domain picks.
pub(crate) async fn concerns_are_those_of_the_rule(store: Arc<dyn Store>) {
    for (n, (ends, next)) in
        [(-3, Some(1)), (-3, None), (2, Some(1)), (2, Some(2)), (2, Some(3)), (9, None), (15, None), (80, None)]
            .into_iter()
            .enumerate()
    {
        store.create(&planned(&format!("{n}.pem"), ends, next)).await.unwrap();
    }
    failed(&store, "final.pem", Code::CredentialsRejected, None).await;
    failed(&store, "user.pem", Code::ValidationFailed, Some(at(DAY))).await;
    failed(&store, "ca.pem", Code::CaError, Some(at(DAY))).await;
    store.create(&applied("new.pem", "new.example.com", at(0))).await.unwrap();
    let old_root = Version {
        key: None,
        held: certkeep_core::certificate::Held {
            issue_to: "Old Root".into(),
            validity: Validity { not_before: at(-9000 * DAY), not_after: at(-1) },
        },
        ..version("Old Root", at(0))
    };
    store.create(&NewCertificate { version: Some(old_root), ..trusted("root.pem") }).await.unwrap();
    let everything = store.search(&Search::everything(100), at(0)).await.unwrap();
    assert_eq!(everything.total, 13);
    let by_rule: Vec<(String, Concern)> =
        everything.rows.into_iter().filter_map(|row| Some((row.name.clone(), row.concern(at(0))?))).collect();
    let concerns = store.concerns(at(0), 100).await.unwrap();
    let by_store: Vec<(String, Concern)> =
        concerns.rows.into_iter().map(|row| (row.name.clone(), row.concern(at(0)).unwrap())).collect();
    assert_eq!(by_store, by_rule);
    assert_eq!(concerns.total, by_rule.len() as u64);
    assert!(by_rule.len() >= 8, "{by_rule:?}");
    let first = store.concerns(at(0), 2).await.unwrap();
    assert_eq!((first.total, first.rows.len()), (concerns.total, 2));
}

pub(crate) async fn a_calendar_counts_by_day(store: Arc<dyn Store>) {
    store.create(&planned("gone.pem", -1, Some(-1))).await.unwrap();
    store.create(&planned("a.pem", 3, Some(1))).await.unwrap();
    store.create(&planned("b.pem", 3, Some(1))).await.unwrap();
    store.create(&planned("c.pem", 3, Some(4))).await.unwrap();
    store.create(&planned("d.pem", 89, None)).await.unwrap();
    store.create(&planned("e.pem", 91, Some(90))).await.unwrap();
    let calendar = store.calendar(at(0) - SignedDuration::from_secs(1), 90).await.unwrap();
    let day = |day, count| DayCount { day, count };
    assert_eq!(calendar.ends, [(Fate::Ends, day(3, 1)), (Fate::Renewed, day(3, 2)), (Fate::Ends, day(89, 1))]);
    assert_eq!(calendar.tries, [day(0, 1), day(1, 2), day(4, 1)]);
}

pub(crate) async fn an_outline_tells_what_is_planned(store: Arc<dyn Store>) {
    let id = store.create(&planned("a.pem", 10, Some(5))).await.unwrap();
    let outline = store.outline(id).await.unwrap().unwrap();
    assert_eq!(outline.next_issuance, Some(at(5 * DAY)));
    assert_eq!(outline.validity.unwrap().not_after, at(10 * DAY));
    assert_eq!((outline.kind, outline.dns_provider.as_deref()), (Kind::Server, Some("cloudflare")));
    assert_eq!(store.outline(CertificateId(99)).await.unwrap(), None);
    let census = store.census().await.unwrap();
    assert_eq!((census.server, census.trusted, census.issuing), (1, 0, 0));
}
