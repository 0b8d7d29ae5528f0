//! The plans of the statements that have to stay cheap among a million entries.
use certkeep_core::certificate::{Kind, ListQuery, SortBy};
use sqlx::{AssertSqlSafe, Row};
use tempfile::TempDir;

use crate::certificates::list::page_statement;
use crate::dialect::Dialect;
use crate::issuances::NEXT_DUE;
use crate::issuances::leases::{DUE, lease_of};
use crate::renewals::QUESTIONS;
use crate::{Options, SqlStore};

async fn empty() -> (SqlStore, TempDir) {
    let folder = TempDir::new().unwrap();
    let options = Options { folder: folder.path().to_owned(), key_file: None };
    (SqlStore::open_exclusive(&options).await.unwrap(), folder)
}

/// What SQLite means to do, one step a line.
async fn plan(store: &SqlStore, statement: &str) -> String {
    let steps = sqlx::query(AssertSqlSafe(format!("EXPLAIN QUERY PLAN {statement}"))).fetch_all(store.readers()).await.unwrap();
    steps.iter().map(|step| step.get::<String, _>("detail") + "\n").collect()
}

#[tokio::test]
async fn due_work_is_picked_by_an_index() {
    let (store, _folder) = empty().await;
    for (statement, index) in [
        (DUE, "certificates_due"),
        (lease_of(Dialect::Sqlite), "issuances_due"),
        (NEXT_DUE, "challenge_records_due"),
        (QUESTIONS, "certificates_to_ask"),
    ] {
        let plan = plan(&store, statement).await;
        assert!(plan.contains(index), "{plan}");
        // MIN() of an indexed column reads one entry, though SQLite calls it a search or a scan of the index.
        let walks = plan.lines().any(|step| step.contains("SCAN") && !step.contains("USING") && !step.contains("work"));
        assert!(!walks && !plan.contains("TEMP B-TREE"), "{plan}");
    }
}

#[tokio::test]
async fn every_order_of_a_list_walks_an_index() {
    let (store, _folder) = empty().await;
    for sort_by in [SortBy::Expiration, SortBy::Id, SortBy::IssueTo, SortBy::Name, SortBy::Type] {
        for descending in [false, true] {
            for (kind, total) in [(None, 1_000_000), (Some(Kind::Server), 999_000)] {
                let query = ListQuery { page: 1, page_size: 100, sort_by, descending, kind };
                let plan = plan(&store, &page_statement(&query, total)).await;
                assert!(!plan.contains("TEMP B-TREE"), "{query:?}: {plan}");
            }
            let query = ListQuery { page: 1, page_size: 100, sort_by, descending, kind: Some(Kind::Trusted) };
            let plan = plan(&store, &page_statement(&query, 20)).await;
            assert!(plan.contains("(kind=?)"), "{query:?}: {plan}");
        }
    }
}

#[tokio::test]
async fn the_hot_path_finds_its_rows() {
    let (store, _folder) = empty().await;
    for statement in [
        "SELECT * FROM certificates WHERE id = $1",
        "SELECT * FROM certificates WHERE name = $1",
        "SELECT * FROM sessions s JOIN clients c ON c.id = s.client_id WHERE s.access = $1",
        "SELECT * FROM browser_sessions s JOIN users u ON u.id = s.user_id WHERE s.token = $1",
        "SELECT * FROM api_tokens t LEFT JOIN users u ON u.id = t.owner_id WHERE t.token = $1",
        "SELECT * FROM audit WHERE sequence < $1 ORDER BY sequence DESC LIMIT $2",
    ] {
        let plan = plan(&store, statement).await;
        assert!(!plan.contains("SCAN"), "{plan}");
    }
}
