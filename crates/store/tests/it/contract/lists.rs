use std::cmp::Ordering;
use std::sync::Arc;

use certkeep_core::certificate::{Certificate, Kind, ListQuery, SortBy};
use certkeep_core::failure::{Code, Failure};
use certkeep_core::ports::{NewCertificate, Outcome, Store};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use crate::fixtures::{FAST, applied, at, renewed, trusted, uploaded, version};

const SORTS: [SortBy; 5] = [SortBy::Expiration, SortBy::Id, SortBy::IssueTo, SortBy::Name, SortBy::Type];

fn query(sort_by: SortBy, descending: bool) -> ListQuery {
    ListQuery { page: 1, page_size: 1000, sort_by, descending, kind: None }
}

async fn rows(store: &Arc<dyn Store>, query: &ListQuery) -> Vec<Certificate> {
    store.list(query).await.unwrap().rows
}

async fn names(store: &Arc<dyn Store>, query: &ListQuery) -> Vec<String> {
    rows(store, query).await.into_iter().map(|row| row.name).collect()
}

pub(crate) async fn pages_cut_one_order(store: Arc<dyn Store>) {
    for n in 0..7 {
        let name = format!("{}.pem", n * 5 % 7);
        let new = match n {
            0 | 4 => applied(&name, "a.example.com", at(0)),
            1 | 5 => uploaded(&name),
            _ => trusted(&name),
        };
        store.create(&new).await.unwrap();
    }
    for sort_by in SORTS {
        for descending in [false, true] {
            for (kind, total) in [(None, 7), (Some(Kind::Server), 4), (Some(Kind::Trusted), 3)] {
                let query = ListQuery { kind, ..query(sort_by, descending) };
                let whole = names(&store, &query).await;
                for page_size in [1, 3, 4] {
                    let mut cut = Vec::new();
                    for page in 1..=8 {
                        let page = store.list(&ListQuery { page, page_size, ..query }).await.unwrap();
                        assert_eq!(page.total, total);
                        assert!(page.rows.len() <= usize::try_from(page_size).unwrap());
                        cut.extend(page.rows.into_iter().map(|row| row.name));
                    }
                    assert_eq!(cut, whole, "{query:?} by {page_size}");
                }
            }
        }
    }
}

pub(crate) async fn a_page_past_the_end_is_empty_with_the_total(store: Arc<dyn Store>) {
    store.create(&trusted("a.pem")).await.unwrap();
    for page in [2, u32::MAX] {
        let page = store.list(&ListQuery { page, page_size: 10_000, ..query(SortBy::Id, false) }).await.unwrap();
        assert_eq!((page.total, page.rows), (1, vec![]));
    }
}

pub(crate) async fn one_kind_only(store: Arc<dyn Store>) {
    store.create(&trusted("t.pem")).await.unwrap();
    store.create(&uploaded("s.pem")).await.unwrap();
    store.create(&applied("a.pem", "a.example.com", at(0))).await.unwrap();
    for sort_by in SORTS {
        let of = |kind| ListQuery { kind: Some(kind), ..query(sort_by, false) };
        let trusted = store.list(&of(Kind::Trusted)).await.unwrap();
        assert_eq!((trusted.total, trusted.rows.len()), (1, 1));
        let server = store.list(&of(Kind::Server)).await.unwrap();
        assert_eq!(server.total, 2);
        assert!(server.rows.iter().all(|row| row.kind() == Kind::Server));
    }
}

pub(crate) async fn nothing_held_comes_last_in_both_directions(store: Arc<dyn Store>) {
    store.create(&applied("none.pem", "a.example.com", at(0))).await.unwrap();
    store.create(&uploaded("early.pem")).await.unwrap();
    store.create(&trusted("late.pem")).await.unwrap();
    store.create(&applied("none2.pem", "a.example.com", at(0))).await.unwrap();
    assert_eq!(names(&store, &query(SortBy::Expiration, false)).await, ["early.pem", "late.pem", "none.pem", "none2.pem"]);
    assert_eq!(names(&store, &query(SortBy::Expiration, true)).await, ["late.pem", "early.pem", "none.pem", "none2.pem"]);
}

/// What an entry of any shape is made of; few different values, so that there are ties.
fn entries() -> impl Strategy<Value = Vec<(u8, u8, u8)>> {
    proptest::collection::vec((0u8..4, 0u8..4, 0u8..4), 0..25)
}

fn new(n: usize, (shape, domain, date): (u8, u8, u8)) -> NewCertificate {
    // Upper case, non-ASCII and a wildcard sort by their octets.
    let domain = ["b.example.com", "a.example.com", "*.example.com", "xn--bcher-kva.example"][usize::from(domain)];
    let name = format!("{}{n}.pem", ["Z", "ä", "a", "_"][n % 4]);
    match shape {
        0 => applied(&name, domain, at(0)),
        1 => NewCertificate { version: Some(version(domain, at(i64::from(date) * 1000))), ..uploaded(&name) },
        2 => renewed(&name, at(500)),
        _ => NewCertificate { version: Some(version(domain, at(i64::from(date) * 1000))), ..trusted(&name) },
    }
}

fn model(a: &Certificate, b: &Certificate, query: &ListQuery) -> Ordering {
    let directed = |ordering: Ordering| if query.descending { ordering.reverse() } else { ordering };
    let by = match query.sort_by {
        SortBy::Expiration => match (a.expiration(), b.expiration()) {
            (Some(a), Some(b)) => directed(a.cmp(&b)),
            (a, b) => b.is_some().cmp(&a.is_some()),
        },
        SortBy::Id => directed(a.id.cmp(&b.id)),
        SortBy::IssueTo => directed(a.issue_to().cmp(b.issue_to())),
        SortBy::Name => directed(a.name.cmp(&b.name)),
        SortBy::Type => directed(a.kind().as_str().cmp(b.kind().as_str())),
    };
    by.then(a.id.cmp(&b.id))
}

pub(crate) async fn every_order_agrees_with_a_model(store: Arc<dyn Store>) {
    let mut runner = TestRunner::default();
    for _ in 0..6 {
        let drawn = entries().new_tree(&mut runner).unwrap().current();
        for (n, shape) in drawn.iter().enumerate() {
            store.create(&new(n, *shape)).await.unwrap();
        }
        // Some of the applied ones hold a version that is for another domain than the one applied for.
        store.start_due(at(0), 1000, FAST).await.unwrap();
        for lease in store.lease(at(0), at(60), 3).await.unwrap() {
            let issued = Outcome::Issued(Box::new(version("0.example.com", at(1000))), at(9000));
            store.finish(&lease.issuance, lease.fence, &issued).await.unwrap();
        }
        for sort_by in SORTS {
            for descending in [false, true] {
                for kind in [None, Some(Kind::Server), Some(Kind::Trusted)] {
                    let query = ListQuery { kind, ..query(sort_by, descending) };
                    let got = rows(&store, &query).await;
                    let mut expected = got.clone();
                    expected.sort_by(|a, b| model(a, b, &query));
                    let order = |rows: &[Certificate]| rows.iter().map(|row| row.id.0).collect::<Vec<_>>();
                    assert_eq!(order(&got), order(&expected), "{query:?} of {drawn:?}");
                }
            }
        }
        let all = rows(&store, &query(SortBy::Id, false)).await;
        assert_eq!(all.len(), drawn.len());
        empty(&store, &all).await;
    }
}

/// Empties the store for the next draw; what is issuing fails first, because it cannot be deleted.
async fn empty(store: &Arc<dyn Store>, all: &[Certificate]) {
    store.start_due(at(0), 1000, FAST).await.unwrap();
    for lease in store.lease(at(0), at(60), 1000).await.unwrap() {
        let failed = Outcome::Failed(Failure::new(Code::Internal, "test"), None);
        store.finish(&lease.issuance, lease.fence, &failed).await.unwrap();
    }
    for row in all {
        store.delete(row.id).await.unwrap();
    }
    assert_eq!(store.list(&query(SortBy::Id, false)).await.unwrap().total, 0);
}
