//! What is done about hands in the file.
use certkeep_core::audit::{Break, Head, verify};
use certkeep_core::ports::{Audit, AuditRange};
use certkeep_store::SqlStore;
use tempfile::TempDir;

use super::{options, raw};
use crate::contract::audit::deed;

#[tokio::test]
async fn the_audit_is_not_changed_and_whoever_does_is_found() {
    let folder = TempDir::new().unwrap();
    let store = SqlStore::open_exclusive(&options(folder.path())).await.unwrap();
    for n in 0..4 {
        store.add_audit(&deed(n)).await.unwrap();
    }
    let raw = raw(folder.path()).await;
    for statement in ["UPDATE audit SET actor = 'x' WHERE sequence = 2", "DELETE FROM audit WHERE sequence = 2"] {
        let error = sqlx::query(statement).execute(&raw).await.unwrap_err();
        assert!(error.to_string().contains("never changed"), "{statement}: {error}");
    }
    // Whoever may write the file may drop the triggers as well.
    sqlx::query("DROP TRIGGER audit_is_not_changed").execute(&raw).await.unwrap();
    sqlx::query("UPDATE audit SET actor = 'x' WHERE sequence = 2").execute(&raw).await.unwrap();
    let chain = store.audit(AuditRange::After(0), 10).await.unwrap();
    assert_eq!(verify(Head::START, &chain), Err(Break::Changed(2)));
}
