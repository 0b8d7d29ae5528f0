//! Lists: every style of paging, bare ids, and several calls for one.
use certkeep_core::failure::Code;

use super::vendor::{Said, Vendor, page, said};

const CHANGES: &str = "[add]\npost = \"/add\"\n[remove]\npost = \"/remove\"\n";

async fn zone_of(zone: &str, answer: fn(&str) -> Said) -> (Option<serde_json::Value>, Vec<String>) {
    let vendor = Vendor::start(move |asked| answer(&asked.line)).await;
    let page = page(&format!("[http]\nbase = \"{{{{ Base }}}}\"\n[zone]\n{zone}\n{CHANGES}"));
    let found = vendor.provider(&page).zone().await;
    let found = match found {
        Ok(zone) => Some(serde_json::to_value(zone).unwrap()),
        Err(failure) => {
            assert_eq!(failure.code, Code::ZoneNotFound, "{failure:?}");
            None
        }
    };
    (found, vendor.lines())
}

#[tokio::test]
async fn a_cursor() {
    let (zone, lines) =
        zone_of("get = \"/z?after={{ cursor }}\"\neach = \"z\"\nkeep = { name = \"n\" }\ncursor = \"meta.after\"", |line| {
            match line {
                "GET /z?after=" => said(200, r#"{"z": [{"n": "com"}], "meta": {"after": "a b"}}"#),
                _ => said(200, r#"{"z": [{"n": "example.com"}], "meta": {"after": null}}"#),
            }
        })
        .await;
    assert_eq!(zone.unwrap()["name"], "example.com");
    assert_eq!(lines, ["GET /z?after=", "GET /z?after=a%20b"]);
}

#[tokio::test]
async fn the_address_of_the_next_page() {
    let (zone, lines) = zone_of(
        "get = \"/z\"\neach = \"answer\"\nkeep = { name = \"element\" }\nfollow = \"reply.link.next\"",
        |line| match line {
            "GET /z" => Said(200, vec![("Link", "</z?p=2>; rel=\"next\"".into())], r#"["example.org"]"#.into()),
            _ => said(200, r#"["example.com"]"#),
        },
    )
    .await;
    assert_eq!(zone.unwrap()["name"], "example.com");
    assert_eq!(lines, ["GET /z", "GET /z?p=2"]);
}

#[tokio::test]
async fn the_next_page_is_at_the_same_host() {
    let vendor = Vendor::start(|_| said(200, r#"{"z": [], "next": "https://evil.example/z"}"#)).await;
    let zone = "[zone]\nget = \"/z\"\neach = \"z\"\nkeep = { name = \"n\" }\nfollow = \"next\"\n";
    let failure =
        vendor.provider(&page(&format!("[http]\nbase = \"{{{{ Base }}}}\"\n{zone}{CHANGES}"))).zone().await.unwrap_err();
    assert_eq!(failure.code, Code::Internal);
    assert_eq!(vendor.lines().len(), 1);
}

#[tokio::test]
async fn an_offset_and_a_total() {
    let (zone, lines) = zone_of(
        "get = \"/z?offset={{ (page - 1) * 2 }}\"\neach = \"z\"\nkeep = { name = \"n\" }\nnext = \"seen < total\"",
        |line| match line {
            "GET /z?offset=0" => said(200, r#"{"z": [{"n": "a.org"}, {"n": "b.org"}], "total": 3}"#),
            _ => said(200, r#"{"z": [{"n": "example.com"}], "total": 3}"#),
        },
    )
    .await;
    assert!(zone.is_some());
    assert_eq!(lines.len(), 2);
}

#[tokio::test]
async fn a_list_that_never_ends_is_left() {
    let (zone, lines) = zone_of("get = \"/z\"\neach = \"z\"\nkeep = { name = \"n\" }\nnext = \"true\"", |_| {
        said(200, r#"{"z": [{"n": "a.org"}]}"#)
    })
    .await;
    assert!(zone.is_none());
    assert_eq!(lines.len(), 200);
}

#[tokio::test]
async fn bare_ids_and_their_details() {
    let page = "get = \"/z\"\neach = \"answer\"\ndetail.get = \"/z/{{ element }}\"\nkeep = { name = \"n\", id = \"id\" }";
    let (zone, _) = zone_of(page, |line| match line {
        "GET /z" => said(200, "[1, 2]"),
        "GET /z/2" => said(200, r#"{"n": "Example.com.", "id": 2}"#),
        _ => said(200, r#"{"n": "a.org", "id": 1}"#),
    })
    .await;
    assert_eq!(zone.unwrap(), serde_json::json!({"name": "example.com", "saved": {"id": 2}}));
}

#[tokio::test]
async fn details_of_details_that_are_like_where_says() {
    let page = r#"
get = "/bought"
each = "answer"
detail.get = "/bought/{{ element }}"
detail.where = { "domain and true" = "true" }
detail.detail.get = "/domains/{{ element.domain }}"
detail.detail.where = { active = "true" }
keep = { name = "n", id = "id" }
"#;
    let (zone, lines) = zone_of(page, |line| match line {
        "GET /bought" => said(200, "[1, 2, 3, 4, 5]"),
        "GET /bought/1" => said(200, r#"{"name": "Hosting"}"#),
        "GET /bought/2" => said(404, "{}"),
        "GET /bought/3" => said(200, r#"{"domain": 30}"#),
        "GET /bought/4" => said(200, r#"{"domain": 40}"#),
        "GET /bought/5" => said(200, r#"{"domain": 50}"#),
        "GET /domains/30" => said(200, r#"{"n": "a.example.com", "id": 30, "active": false}"#),
        "GET /domains/40" => said(200, r#"{"n": "example.com", "id": 40, "active": true}"#),
        _ => said(404, "{}"),
    })
    .await;
    assert_eq!(zone.unwrap(), serde_json::json!({"name": "example.com", "saved": {"id": 40}}));
    assert_eq!(lines.len(), 9, "{lines:?}");
}

#[tokio::test]
async fn a_zone_that_only_the_dns_tells() {
    let vendor = Vendor::start(|_| said(200, "{}")).await;
    let provider = vendor.provider(&page(&format!("[http]\nbase = \"{{{{ Base }}}}\"\n[zone]\nsoa = true\n{CHANGES}")));
    // Nobody is there to ask it.
    assert_eq!(provider.zone().await.unwrap_err().code, Code::ZoneNotFound);
    assert!(vendor.lines().is_empty());
}

#[tokio::test]
async fn calls_before_and_after() {
    let page = r#"
first = [{ get = "/projects", each = "answer", where = { kind = "dns" }, keep = { id = "id" } }]
get = "/{{ got.id }}/{{ candidate }}"
each = "[answer]"
keep = { name = "our.candidate" }
then = [{ get = "/view/{{ zone.name }}", keep = { view = "view" } }, { get = "/never", when = "got.view != 3" }]
errors = { "http 403" = "absent" }"#;
    let (zone, lines) = zone_of(page, |line| match line {
        "GET /projects" => said(200, r#"[{"kind": "web", "id": 1}, {"kind": "dns", "id": 2}]"#),
        "GET /2/example.com" => said(200, "{}"),
        "GET /view/example.com" => said(200, r#"{"view": 3}"#),
        _ => said(403, "{}"),
    })
    .await;
    assert_eq!(zone.unwrap(), serde_json::json!({"name": "example.com", "saved": {"view": 3}}));
    assert_eq!(lines.len(), 5, "{lines:?}");
}
