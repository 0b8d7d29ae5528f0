//! Whatever somebody writes into a field comes out as text.
use certkeep_core::client::ClientRole;
use certkeep_core::people::{Rights, Role};
use certkeep_engine::people::TokenWish;
use secrecy::SecretString;

use super::browser::{Browser, PASSWORD, fields};
use crate::house::House;

const PROBE: &str = "\"'><img src=x onerror=alert(1)></script>";

/// Whether the probe stands in a page as it was written.
fn is_live(text: &str) -> bool {
    text.contains("<img src=x") || text.contains("\"'>")
}

#[tokio::test]
async fn what_is_planted_in_any_field_comes_out_inert() {
    let house = House::directly().await;
    let anna = Browser::first(&house).await;
    let password = SecretString::from(PASSWORD);
    anna.acting.add_user(&format!("u{PROBE}"), Role::Viewer, &password).await.unwrap();
    let wish = TokenWish { name: format!("t{PROBE}"), rights: Rights::of(Role::Viewer), expires: None };
    anna.acting.add_api_token(&wish).await.unwrap();
    house.add_client(&format!("c{PROBE}"), ("probe-id", "probe-secret"), ClientRole::Viewer, &[]).await;
    house.uploaded("img src=x onerror=alert(1)>.pem", &["a.example.com"], 90).await;
    let mut seen = 0;
    for (path, page) in anna.crawl().await {
        assert!(!is_live(&page.text), "{path}");
        seen += usize::from(page.text.contains("&#60;img src=x") || page.text.contains("&lt;img src=x"));
    }
    assert!(seen >= 3, "the probes are shown on {seen} pages");
    for path in ["/ui/certificates", "/ui/providers", "/ui/new", "/ui/settings", "/ui/audit", "/login", "/setup"] {
        for field in ["q", "names", "done", "state", "ends", "sort", "page", "before", "kind"] {
            let page = anna.get(&format!("{path}?{}", fields(&[(field, PROBE)]))).await;
            assert!(!is_live(&page.text) && page.status.as_u16() < 500, "{path} {field}: {}", page.status);
        }
    }
    let given = anna.post("/ui/new/alidns", &[("names", PROBE), ("p.AccessKeyId", PROBE), ("p.TTL", PROBE)]).await;
    assert!(!is_live(&given.text) && given.text.contains("onerror"), "{}", given.status);
    let login = anna.post("/login", &[("name", PROBE), ("password", PROBE)]).await;
    assert!(!is_live(&login.text));
    let upload = anna.send("/ui/upload", &[("kind", "server"), ("go", "examine")], "<img src=x onerror=alert(1)>.pem", "x").await;
    assert!(!is_live(&upload.text) && upload.text.contains("onerror"));
}
