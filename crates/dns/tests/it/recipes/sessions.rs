//! Sessions: opened once, shared, opened again when they are over, and never for a wrong password.
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use certkeep_core::failure::Code;

use super::vendor::{Asked, Said, Vendor, page, said};

const PAGE: &str = r#"
[http]
base = "{{ Base }}"
header.X-Auth-Token = "{{ session.token }}"
json = { key = "{{ session.token }}", app = "certkeep" }
[login]
post = "/login"
json = { password = "{{ Key }}" }
keep = { token = "reply.headers['x-token']" }
lasts = "expires_in"
[[login.then]]
get = "/account"
header.X-Auth-Token = "{{ session.token }}"
keep = { account = "id" }
[zone]
get = "/{{ session.account }}/zones"
each = "zones"
keep = { name = "n" }
[add]
post = "/add"
[remove]
post = "/remove"
"#;

/// Sessions are numbered; those up to `over` are not good any more.
fn vendor(over: Arc<AtomicUsize>, lasts: usize) -> impl Fn(&Asked) -> Said + Send + Sync {
    let opened = AtomicUsize::new(0);
    move |asked| {
        if asked.line == "POST /login" {
            assert!(!asked.headers.contains_key("x-auth-token") && asked.body.contains("certkeep"), "{asked:?}");
            if !asked.body.contains("s3cr3t-k3y") {
                return said(401, "{}");
            }
            let number = opened.fetch_add(1, Ordering::SeqCst) + 1;
            return Said(200, vec![("X-Token", format!("session-{number}"))], format!("{{\"expires_in\": {lasts}}}"));
        }
        let token = asked.headers.get("x-auth-token").cloned().unwrap_or_default();
        let number: usize = token.strip_prefix("session-").and_then(|number| number.parse().ok()).unwrap_or(0);
        if number <= over.load(Ordering::SeqCst) {
            return said(401, format!("{{\"message\": \"{token} is over\"}}"));
        }
        match asked.line.as_str() {
            "GET /account" => said(200, r#"{"id": 7}"#),
            "GET /7/zones" => said(200, r#"{"zones": [{"n": "example.com"}]}"#),
            _ => said(200, format!("{{\"seen\": {}}}", asked.body)),
        }
    }
}

fn logins(vendor: &Vendor) -> usize {
    vendor.lines().iter().filter(|line| *line == "POST /login").count()
}

#[tokio::test]
async fn one_login_serves_all_that_goes_on_at_once() {
    let vendor = Vendor::start(vendor(Arc::default(), 3600)).await;
    let provider = vendor.provider(&page(PAGE));
    let adds = ["v1", "v2", "v3", "v4"].map(|value| provider.add(value));
    for added in futures::future::join_all(adds).await {
        added.unwrap();
    }
    provider.remove("v1", None).await.unwrap();
    assert_eq!(logins(&vendor), 1);
    let last = vendor.asked().pop().unwrap();
    assert_eq!(last.body, r#"{"key":"session-1","app":"certkeep"}"#);
}

#[tokio::test]
async fn a_session_that_is_over_is_replaced_once() {
    let over = Arc::new(AtomicUsize::new(0));
    let vendor = Vendor::start(vendor(Arc::clone(&over), 3600)).await;
    let provider = vendor.provider(&page(PAGE));
    provider.zone().await.unwrap();
    over.store(1, Ordering::SeqCst);
    provider.zone().await.unwrap();
    assert_eq!(logins(&vendor), 2);

    // No session is good any more: that is told, without a login for every try and without the session's name.
    over.store(99, Ordering::SeqCst);
    let failure = provider.zone().await.unwrap_err();
    assert_eq!(failure.code, Code::CredentialsRejected);
    assert_eq!(logins(&vendor), 3);
    assert!(!format!("{failure:?}").contains("session-"), "{failure:?}");
}

#[tokio::test]
async fn a_session_is_not_used_past_its_end() {
    let vendor = Vendor::start(vendor(Arc::default(), 0)).await;
    let provider = vendor.provider(&page(PAGE));
    provider.zone().await.unwrap();
    provider.zone().await.unwrap();
    assert!(logins(&vendor) >= 2);
}

#[tokio::test]
async fn a_wrong_password_is_tried_once() {
    let vendor = Vendor::start(|_| said(400, r#"{"error": "invalid_client"}"#)).await;
    let failure = vendor.provider(&page(PAGE)).zone().await.unwrap_err();
    assert_eq!(failure.code, Code::CredentialsRejected);
    assert_eq!(vendor.lines(), ["POST /login"]);
}

/// A page whose session tells where calls go, for accounts that have a key.
fn told(hosts: &str) -> String {
    format!(
        r#"
[http]
base = "{{{{ session.at }}}}/v1"
hosts = [{hosts}]
header.X-Auth-Token = "{{{{ session.token }}}}"
[login]
base = "{{{{ Base }}}}"
post = "/login"
keep = {{ token = "token", at = "catalog[0].url" }}
[zone]
unlisted = true
[add]
post = "/add"
[remove]
post = "/remove"
"#
    )
}

#[tokio::test]
async fn a_session_tells_where_calls_go() {
    let api = Vendor::start(|_| said(200, "{}")).await;
    let at = api.url.replace("127.0.0.1", "localhost");
    let catalog = format!(r#"{{"token": "t0ken", "catalog": [{{"url": "{at}"}}]}}"#);
    let login = Vendor::start(move |_| said(200, catalog.clone())).await;

    login.provider(&page(&told("\"localhost\""))).add("v").await.unwrap();
    assert_eq!(login.lines(), ["POST /login"]);
    assert_eq!(api.lines(), ["POST /v1/add"]);
    assert_eq!(api.asked()[0].headers["x-auth-token"], "t0ken");

    // A catalogue cannot lead to a host that the page does not list.
    let failure = login.provider(&page(&told("\"other.example\""))).add("v").await.unwrap_err();
    assert_eq!(failure.code, Code::Internal);
    assert_eq!(api.lines().len(), 1);
}

#[tokio::test]
async fn a_login_is_made_only_where_it_is_due() {
    for (when, lines) in [("Key", &["POST /login", "POST /add?by=session"][..]), ("not Key", &["POST /add?by=key"])] {
        let parts = format!(
            r#"
[http]
base = "{{{{ Base }}}}"
header.Authorization = "{{% if {when} %}}Bearer {{{{ session.token }}}}{{% else %}}Key {{{{ Key }}}}{{% endif %}}"
[login]
when = "{when}"
post = "/login"
keep = {{ token = "token" }}
[zone]
unlisted = true
[add]
post = "/add?by={{{{ 'session' if session else 'key' }}}}"
[remove]
post = "/remove"
"#
        );
        let vendor = Vendor::start(|_| said(200, r#"{"token": "t0ken"}"#)).await;
        vendor.provider(&page(&parts)).add("v").await.unwrap();
        assert_eq!(vendor.lines(), lines);
        let expected = if lines.len() == 2 { "Bearer t0ken" } else { "Key s3cr3t-k3y" };
        assert_eq!(vendor.asked().last().unwrap().headers["authorization"], expected);
    }
}
