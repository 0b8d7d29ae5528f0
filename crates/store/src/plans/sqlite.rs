use sqlx::{AssertSqlSafe, Row};
use tempfile::TempDir;

use super::{HOT, Walked, due_work, few, walked};
use crate::dialect::Dialect;
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
    for (statement, index, _) in due_work(Dialect::Sqlite) {
        let plan = plan(&store, statement).await;
        assert!(plan.contains(index), "{plan}");
        // MIN() of an indexed column reads one entry, though SQLite calls it a search or a scan of the index.
        let walks = plan
            .lines()
            .any(|step| step.contains("SCAN") && !step.contains("USING") && !step.contains("work") && !step.contains("CONSTANT"));
        assert!(!walks && !plan.contains("TEMP B-TREE"), "{plan}");
    }
}

#[tokio::test]
async fn every_order_of_a_list_walks_an_index_and_nothing_else() {
    let (store, _folder) = empty().await;
    for Walked { query, picking, page } in walked(1_000_000) {
        let plan_of_picking = plan(&store, &picking).await;
        // The entries are in the order of their numbers in the table itself.
        let by_number = plan_of_picking == "SCAN certificates\n" && picking.contains("ORDER BY id");
        let by_index = plan_of_picking.contains("COVERING INDEX") && !plan_of_picking.contains("TEMP B-TREE");
        assert!(by_number || by_index, "{query:?}: {plan_of_picking}");
        let plan = plan(&store, &page).await;
        assert!(plan.contains("SEARCH certificates USING INTEGER PRIMARY KEY (rowid=?)"), "{query:?}: {plan}");
    }
    for (query, picking) in few() {
        let plan = plan(&store, &picking).await;
        assert!(plan.contains("(kind=?)"), "{query:?}: {plan}");
    }
}

#[tokio::test]
async fn the_hot_path_finds_its_rows() {
    let (store, _folder) = empty().await;
    for statement in HOT {
        let plan = plan(&store, statement).await;
        assert!(!plan.contains("SCAN"), "{plan}");
    }
}
