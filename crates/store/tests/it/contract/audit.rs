use std::sync::Arc;

use certkeep_core::audit::{Action, Actor, Author, Deed, Head, Outcome, verify};
use certkeep_core::ports::{AuditRange, Store};
use tokio::task::JoinSet;

use crate::fixtures::at;

pub(crate) fn deed(n: i64) -> Deed {
    Deed {
        at: at(n),
        author: Author::at(Actor::User("anna".into()), "192.0.2.1".parse().unwrap()),
        action: Action::CertificateDelete,
        subject: format!("{n}.pem"),
        outcome: Outcome::Done,
        detail: "ä\0b".into(),
    }
}

pub(crate) async fn entries_come_back_as_they_were_chained(store: Arc<dyn Store>) {
    assert_eq!(store.audit_head().await.unwrap(), Head::START);
    let mut written = Vec::new();
    for n in 0..5 {
        written.push(store.add_audit(&deed(n)).await.unwrap());
    }
    let read = store.audit(AuditRange::After(0), 100).await.unwrap();
    assert_eq!(read, written);
    assert_eq!((read[2].sequence, read[2].at, read[2].subject.as_str()), (3, at(2), "2.pem"));
    assert_eq!(verify(Head::START, &read), Ok(store.audit_head().await.unwrap()));
}

pub(crate) async fn entries_are_read_from_both_ends(store: Arc<dyn Store>) {
    for n in 0..5 {
        store.add_audit(&deed(n)).await.unwrap();
    }
    let numbers = async |range, most| {
        let entries = store.audit(range, most).await.unwrap();
        entries.iter().map(|entry| entry.sequence).collect::<Vec<_>>()
    };
    assert_eq!(numbers(AuditRange::After(0), 2).await, [1, 2]);
    assert_eq!(numbers(AuditRange::After(3), 9).await, [4, 5]);
    assert_eq!(numbers(AuditRange::Before(i64::MAX), 2).await, [5, 4]);
    assert_eq!(numbers(AuditRange::Before(4), 9).await, [3, 2, 1]);
}

pub(crate) async fn those_who_add_at_once_make_one_chain(store: Arc<dyn Store>) {
    let mut tasks = JoinSet::new();
    for n in 0..20 {
        let store = Arc::clone(&store);
        tasks.spawn(async move { store.add_audit(&deed(n)).await.unwrap() });
    }
    assert_eq!(tasks.join_all().await.len(), 20);
    let read = store.audit(AuditRange::After(0), 100).await.unwrap();
    assert_eq!(read.len(), 20);
    assert_eq!(verify(Head::START, &read), Ok(store.audit_head().await.unwrap()));
}
