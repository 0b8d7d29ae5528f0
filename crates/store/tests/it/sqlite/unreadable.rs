use std::sync::Arc;

use certkeep_core::certificate::ApplyStatus;
use certkeep_core::failure::Code;
use certkeep_core::ports::Store;
use certkeep_store::SqlStore;
use tempfile::TempDir;

use super::{options, raw};
use crate::fixtures::{API_TOKEN, at, leased, record, server};

#[tokio::test]
async fn an_issuance_that_cannot_be_read_back_fails_and_stops_nobody() {
    let folder = TempDir::new().unwrap();
    let store: Arc<dyn Store> = Arc::new(SqlStore::open_exclusive(&options(folder.path())).await.unwrap());
    let (damaged, lease) = leased(&store, "damaged.pem").await;
    store.journal(vec![record(&lease.issuance, "left over")], lease.fence).await.unwrap();
    let (whole, _) = leased(&store, "whole.pem").await;
    sqlx::query("UPDATE issuances SET sealed_application = x'00', csr = x'00' WHERE certificate_id = $1")
        .bind(damaged.0)
        .execute(&raw(folder.path()).await)
        .await
        .unwrap();

    let leases = store.lease(at(60), at(120), 10).await.unwrap();
    assert_eq!(leases.iter().map(|lease| lease.issuance.certificate).collect::<Vec<_>>(), [whole]);
    let failed = server(&store, damaged).await;
    assert_eq!((failed.status, failed.failure), (ApplyStatus::IssuanceFail, Some(Code::Internal)));
    let evidence = format!("{:?}", store.last_failure(damaged).await.unwrap().unwrap());
    assert!(evidence.contains("issuances") && !evidence.contains(API_TOKEN), "{evidence}");
    let (failure, csr, due): (Option<String>, Option<Vec<u8>>, Option<i64>) =
        sqlx::query_as("SELECT failure, csr, due_at FROM issuances WHERE certificate_id = $1")
            .bind(damaged.0)
            .fetch_one(&raw(folder.path()).await)
            .await
            .unwrap();
    assert!(failure.is_some_and(|failure| failure.contains("issuances")));
    assert_eq!((csr, due), (None, None));

    assert_eq!(store.due_removals(at(60), 10).await.unwrap().len(), 1, "what it put up is removed");
    assert_eq!(store.lease(at(120), at(180), 10).await.unwrap().len(), 1, "only the whole one is leased again");
    store.delete(damaged).await.unwrap();
}
