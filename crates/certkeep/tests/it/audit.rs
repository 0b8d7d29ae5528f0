//! Who did what, written down.
use certkeep_core::audit::{Entry, Head, verify};
use certkeep_core::client::ClientRole;
use certkeep_core::failure::Code;
use certkeep_core::ports::{Audit, AuditRange};
use serde_json::json;

use crate::call::Call;
use crate::house::{ADMIN, House};

/// All entries, which have to be a whole chain.
async fn entries(house: &House) -> Vec<Entry> {
    let entries = house.store.audit(AuditRange::After(0), 10_000).await.unwrap();
    assert_eq!(verify(Head::START, &entries), Ok(house.store.audit_head().await.unwrap()));
    entries
}

/// Who, what, to what, and with what result.
async fn told(house: &House) -> Vec<String> {
    let tell = |e: &Entry| format!("{} {} {} {} {}", e.actor_kind, e.actor, e.action, e.subject, e.outcome);
    entries(house).await.iter().map(tell).collect()
}

#[tokio::test]
async fn what_a_client_changes_is_written_down_and_what_it_reads_is_not() {
    let house = House::directly().await;
    let id = house.uploaded("a.pem", &["a.example.com"], 90).await;
    house.post("webserver/update", json!({"https_cert": "a.pem"})).await.is_success();
    house.get(&format!("certificate/get?id={id}")).await.is_success();
    house.get(&format!("certificate/query?ids={id}")).await.is_success();
    house.get("certificate/list").await.is_success();
    house.get("webserver/get").await.is_success();
    house.get(&format!("certificate/delete?id={id}")).await.is(70091, "CONNECTION_RELATION_EXISTED");
    house.post("certificate/update", json!({"id": id, "auto_renewal": 0})).await.is_success();
    assert_eq!(
        told(&house).await,
        [
            "client admin certificate.upload a.pem done",
            "client admin certificate.create a.pem done",
            "client admin webserver.update a.pem done",
            "client admin certificate.delete a.pem failed",
            "client admin certificate.update a.pem done",
        ]
    );
    assert!(entries(&house).await.iter().all(|entry| entry.address == "127.0.0.1"));
}

#[tokio::test]
async fn what_a_client_may_not_is_written_down() {
    let house = House::directly().await;
    let viewer = ("viewer-id", "viewer-secret");
    house.add_client("viewer", viewer, ClientRole::Viewer, &[]).await;
    let token = house.token_of(viewer).await;
    house.send(Call::get("certificate/delete?id=1").with(&token)).await.is(10005, "ACCESS DENIED");
    house.login((ADMIN.0, "wrong-secret")).await.is(-1, "FAILURE");
    house.login(("unknown", "wrong-secret")).await.is(-1, "FAILURE");
    let refused =
        ["client viewer certificate.delete  refused", "nobody  login admin refused", "nobody  login  refused"].map(str::to_owned);
    assert_eq!(told(&house).await, refused);
}

#[tokio::test]
async fn certkeep_writes_down_what_it_does_by_itself() {
    let house = House::directly().await;
    house.work();
    let id = house.applied("a.example.com").await;
    house.settled(id, "issuance_success").await;
    *house.ca_failure.lock().unwrap() = Some(Code::ProviderParameter);
    let id = house.applied("b.example.com").await;
    house.settled(id, "issuance_fail").await;
    let patience = certkeep_testkit::wait::PATIENCE;
    let own = certkeep_testkit::wait::eventually(patience, "both to be written down".to_owned(), async || {
        let own: Vec<Entry> = entries(&house).await.into_iter().filter(|entry| entry.actor_kind == "certkeep").collect();
        (own.len() == 2).then_some(own)
    })
    .await;
    let of = |entry: &Entry| format!("{} {} {}", entry.action, entry.subject, entry.outcome);
    assert_eq!(of(&own[0]), "certificate.issue a.example.com done");
    assert_eq!(of(&own[1]), "certificate.issue b.example.com failed");
    assert!(own[1].detail.contains(Code::ProviderParameter.entry().name), "{}", own[1].detail);
}

#[tokio::test]
async fn a_flood_of_failures_fills_no_disk() {
    let house = House::directly().await;
    let viewer = ("viewer-id", "viewer-secret");
    house.add_client("viewer", viewer, ClientRole::Viewer, &[]).await;
    let token = house.token_of(viewer).await;
    for _ in 0..300 {
        house.send(Call::get("certificate/delete?id=1").with(&token)).await.is(10005, "ACCESS DENIED");
    }
    assert_eq!(entries(&house).await.len(), 60);
    house.advance(30);
    house.send(Call::get("certificate/delete?id=1").with(&token)).await.is(10005, "ACCESS DENIED");
    let all = entries(&house).await;
    assert_eq!(all.len(), 61);
    assert!(all[60].detail.contains("240 attempts"), "{}", all[60].detail);
}

#[tokio::test]
async fn no_secret_is_in_it() {
    let house = House::directly().await;
    house.upload("server", "a.pem", "no certificate at all").await.is_success();
    let planted = json!({
        "type": "server", "ca_type": "apply", "issue_to": "a.example.com", "dns_provider": "alidns",
        "auth_info_list": [{"k": "AccessKeyId", "sv": "planted-id-51c2"}, {"k": "AccessKeySecret", "sv": "planted-key-51c2"}],
    });
    house.post("certificate/create", planted).await.is_success();
    house.login(("planted-name-51c2", "planted-secret-51c2")).await.is(-1, "FAILURE");
    house.engine.log_in(crate::call::HERE, "planted-user-51c2", &"planted-password-51c2".into(), None).await.unwrap_err();
    let all = format!("{:?}", entries(&house).await);
    assert!(all.contains("a.example.com") && !all.contains("51c2"), "{all}");
}
