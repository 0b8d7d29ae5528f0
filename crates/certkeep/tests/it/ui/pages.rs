//! What the pages tell, and what their buttons do.
use std::sync::PoisonError;

use certkeep_core::application::AuthValue;
use certkeep_core::certificate::{self, CertificateId, Kind};
use certkeep_core::failure::Code;
use certkeep_core::outline::Search;
use certkeep_core::people::Role;
use certkeep_core::time::Clock;
use certkeep_testkit::wait::{PATIENCE, eventually};
use http::StatusCode;
use secrecy::ExposeSecret;

use super::browser::Browser;
use crate::house::House;
use crate::material;

const KEYS: [(&str, &str); 2] = [("p.AccessKeyId", "id"), ("p.AccessKeySecret", "key")];

fn asked<'a>(names: &'a str, go: &'a str) -> Vec<(&'a str, &'a str)> {
    let mut form = vec![("names", names), ("go", go)];
    form.extend(KEYS);
    form
}

/// Waits until a page says something.
async fn says(browser: &Browser<'_>, path: &str, words: &str) -> String {
    eventually(PATIENCE, format!("{path} to say {words}"), async || {
        Some(browser.get(path).await.text).filter(|text| text.contains(words))
    })
    .await
}

#[tokio::test]
async fn the_wizard_leads_to_a_certificate() {
    let house = House::directly().await;
    house.work();
    let anna = Browser::first(&house).await;
    assert!(anna.get("/ui/new?names=a.example.com").await.text.contains("formaction=\"/ui/new/alidns\""));
    let form = anna.get("/ui/new/alidns?names=a.example.com").await.text;
    assert!(form.contains("name=\"p.AccessKeySecret\"") && form.contains("type=\"password\""), "{form}");
    let begun = anna.post("/ui/new/alidns", &asked("a.example.com b.example.com", "check")).await;
    let check = begun.leads_to().to_owned();
    let checked = says(&anna, &check, "Everything that the application needs works.").await;
    assert!(checked.contains("Probe removed"), "{checked}");
    let applied = anna.post(&check, &[]).await;
    let (page, _) = applied.leads_to().split_once('?').unwrap();
    let text = says(&anna, page, "Download key and chain").await;
    assert!(text.contains("a.example.com") && text.contains("b.example.com"));
    assert_eq!(anna.get(&check).await.status, StatusCode::NOT_FOUND, "a draft is used once");
}

#[tokio::test]
async fn a_draft_is_its_owners_alone() {
    let house = House::directly().await;
    let anna = Browser::first(&house).await;
    let other = anna.with_role("otto", Role::Operator).await;
    let begun = anna.post("/ui/new/alidns", &asked("a.example.com", "check")).await;
    let check = begun.leads_to();
    assert_eq!(anna.get(check).await.status, StatusCode::OK);
    assert_eq!(other.get(check).await.status, StatusCode::NOT_FOUND);
    assert_eq!(other.post(check, &[]).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_parameter_that_is_wrong_is_told_beside_its_field() {
    let house = House::directly().await;
    let anna = Browser::first(&house).await;
    let form = [("names", "a.example.com"), ("go", "apply"), ("p.AccessKeyId", "id"), ("p.TTL", "soon")];
    let page = anna.post("/ui/new/alidns", &form).await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.text.contains("must be of the kind integer"), "{}", page.text);
    assert_eq!(house.count().await, 0);
}

#[tokio::test]
async fn a_failure_is_told_with_what_to_do() {
    let house = House::directly().await;
    *house.ca_failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(Code::NameRefused);
    house.work();
    let anna = Browser::first(&house).await;
    let applied = anna.post("/ui/new/alidns", &asked("a.example.com", "apply")).await;
    let (page, _) = applied.leads_to().split_once('?').unwrap();
    // What the last step saw is told before the application is over.
    let text = says(&anna, page, "None, until something is changed.").await;
    for words in ["402", "The CA does not issue for this name.", "Apply for another name, or at another CA.", "placing an order"]
    {
        assert!(text.contains(words), "{words}: {text}");
    }
    let today = anna.get("/").await.text;
    assert!(today.contains("a.example.com: The CA does not issue for this name."), "{today}");
    // With another key it is tried again, and the secret that was left empty is the one that was there.
    *house.ca_failure.lock().unwrap_or_else(PoisonError::into_inner) = None;
    let access = anna.get(&format!("{page}/access")).await.text;
    assert!(access.contains("name=\"p.AccessKeyId\" value=\"id\"") && !access.contains("value=\"key\""), "{access}");
    let changed = anna.post(&format!("{page}/access"), &[("p.AccessKeyId", "another")]).await;
    assert_eq!(changed.leads_to(), format!("{page}?done=changed"));
    let text = says(&anna, page, "Download key and chain").await;
    assert!(text.contains("another"), "{text}");
    let entry = house.engine.certificate(house.engine.certificate_named("a.example.com.pem").await.unwrap()).await.unwrap();
    let certificate::Role::Server(server) = &entry.role else { panic!("a server certificate") };
    let auth = &server.application.as_ref().unwrap().auth;
    let secret = auth.iter().find(|one| one.k == "AccessKeySecret").unwrap();
    assert!(matches!(&secret.value, AuthValue::Text(text) if text.expose_secret() == "key"));
}

#[tokio::test]
async fn a_file_is_examined_before_it_is_kept() {
    let house = House::directly().await;
    let anna = Browser::first(&house).await;
    let leaf = material::leaf(&["a.example.com"], house.clock.hands.now(), 90);
    let examine = [("kind", "server"), ("go", "examine")];
    let keep = [("kind", "server"), ("go", "keep")];
    let keyless = anna.send("/ui/upload", &keep, "a.pem", &leaf.certificate).await;
    assert!(keyless.text.contains("The file holds no private key."), "{}", keyless.text);
    assert!(keyless.text.contains("is not in the file: many clients will not trust it"), "{}", keyless.text);
    let good = anna.send("/ui/upload", &examine, "a.pem", &leaf.file()).await;
    assert!(good.text.contains("The private key belongs to a.example.com."), "{}", good.text);
    assert_eq!(house.count().await, 0, "nothing is kept by looking");
    let kept = anna.send("/ui/upload", &keep, "a.pem", &leaf.file()).await;
    assert!(kept.leads_to().ends_with("?done=uploaded"));
    assert_eq!(house.count().await, 1);
    let ca = anna.send("/ui/upload", &[("kind", "trusted"), ("go", "keep")], "ca.pem", &material::CA.pem).await;
    assert!(ca.leads_to().ends_with("?done=uploaded"));
    assert!(anna.get("/ui/trusted").await.text.contains("ca.pem"));
}

#[tokio::test]
async fn key_and_chain_are_downloaded_and_written_down() {
    let house = House::directly().await;
    let id = house.uploaded("a.pem", &["a.example.com"], 90).await;
    let anna = Browser::first(&house).await;
    let chain = anna.get(&format!("/ui/certificates/{id}/chain.pem")).await;
    assert!(chain.text.starts_with("-----BEGIN CERTIFICATE-----") && !chain.text.contains("PRIVATE"));
    assert_eq!(chain.header("content-disposition"), "attachment; filename=\"a.pem\"");
    let pair = anna.post(&format!("/ui/certificates/{id}/key"), &[]).await;
    assert!(pair.text.starts_with("-----BEGIN PRIVATE KEY-----") && pair.text.contains("BEGIN CERTIFICATE"));
    assert!(anna.get("/ui/audit").await.text.contains("certificate.export"));
}

#[tokio::test]
async fn what_is_renewed_now_is_under_way() {
    let house = House::directly().await;
    house.work();
    let id = house.applied("a.example.com").await;
    house.settled(id, "issuance_success").await;
    let anna = Browser::first(&house).await;
    let page = format!("/ui/certificates/{id}");
    assert_eq!(anna.post(&format!("{page}/renew"), &[]).await.leads_to(), format!("{page}?done=renewing"));
    let runs = eventually(PATIENCE, "a second issuance", async || {
        Some(house.engine.issuances(CertificateId(id)).await.unwrap()).filter(|all| all.len() == 2)
    });
    runs.await;
    house.settled(id, "issuance_success").await;
    let text = anna.get(&page).await.text;
    assert_eq!(text.matches("class=\"run card\"").count(), 2, "{text}");
}

#[tokio::test]
async fn the_list_searches_filters_and_sorts() {
    let house = House::directly().await;
    for n in 0..55 {
        house.uploaded(&format!("pbx{n:02}.pem"), &[&format!("pbx{n:02}.example.com")], 30 + n).await;
    }
    let anna = Browser::first(&house).await;
    let first = anna.get("/ui/certificates").await.text;
    assert!(first.contains("55 certificates") && first.contains("Page 1 of 2") && first.contains("pbx00.pem"), "{first}");
    let last = anna.get("/ui/certificates?sort=name&order=down").await.text;
    assert!(last.contains("pbx54.pem") && !last.contains("pbx03.pem"));
    let found = anna.get("/ui/certificates?q=PBX07").await.text;
    assert!(found.contains("1 certificate<") && found.contains("pbx07.pem"), "{found}");
    assert!(anna.get("/ui/certificates?state=expired").await.text.contains("0 certificates"));
    let found = house.engine.search(&Search { kind: Some(Kind::Server), ..Search::everything(1) }).await.unwrap();
    let day = found.rows[0].validity.unwrap().not_after.strftime("%Y-%m-%d").to_string();
    assert!(anna.get(&format!("/ui/certificates?ends={day}")).await.text.contains("pbx00.pem"));
    let many = anna.get("/").await.text;
    assert!(many.contains("class=\"days\"") && many.contains("55 server certificates"), "{many}");
}

#[tokio::test]
async fn other_languages_are_spoken() {
    let house = House::directly().await;
    for (language, words) in [("de", "Anmelden"), ("zh-CN", "登录"), ("fr", "Sign in")] {
        let request = http::Request::builder().uri("/login").header("accept-language", language);
        let page = super::browser::ask(&house, request.body(axum::body::Body::empty()).unwrap()).await;
        assert!(page.text.contains(words), "{language}: {}", page.text);
    }
}
