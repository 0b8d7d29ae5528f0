//! Vendors with places for values, with names of their own, and without a way to delete.
use certkeep_core::failure::Code;
use certkeep_dns::page::{Page, PageError};
use serde_json::json;

use super::vendor::{BARE, Vendor, page, said};

const PLACED: &str = r#"
slots = "['7', '8'] if name == '_acme-challenge.a.example.com' else []"
[http]
base = "{{ Base }}"
answer = "any"
[zone]
unlisted = true
[add]
put = "/{{ slot }}"
text = "{{ value }}"
[remove]
put = "/{{ slot }}"
text = "empty"
"#;

#[tokio::test]
async fn every_value_has_a_place_of_its_own() {
    let vendor = Vendor::start(|_| said(200, "")).await;
    let provider = vendor.provider(&page(PLACED));
    let handle = provider.add("one").await.unwrap();
    assert_eq!(handle, json!({"slot": "7"}));
    assert_eq!(provider.add("two").await.unwrap(), json!({"slot": "8"}));
    assert_eq!(provider.add("two").await.unwrap(), json!({"slot": "8"}), "where it stands already");
    assert_eq!(provider.add("three").await.unwrap_err().code, Code::RecordRefused);
    provider.remove("one", Some(&handle)).await.unwrap();
    assert_eq!(provider.add("three").await.unwrap(), json!({"slot": "7"}));
    // The first one's place holds another value by now.
    provider.remove("one", Some(&handle)).await.unwrap();
    provider.remove("two", None).await.unwrap();
    let asked: Vec<String> = vendor.asked().into_iter().map(|asked| format!("{} {}", asked.line, asked.body)).collect();
    assert_eq!(asked, ["PUT /7 one", "PUT /8 two", "PUT /8 two", "PUT /7 empty", "PUT /7 three", "PUT /8 empty"]);
}

#[tokio::test]
async fn who_does_not_know_where_a_value_stands_clears_every_place() {
    let vendor = Vendor::start(|_| said(200, "")).await;
    vendor.provider(&page(PLACED)).remove("one", None).await.unwrap();
    let journalled = json!({"slot": "8"});
    vendor.provider(&page(PLACED)).remove("one", Some(&journalled)).await.unwrap();
    assert_eq!(vendor.lines(), ["PUT /7", "PUT /8", "PUT /8"]);
}

#[tokio::test]
async fn a_name_that_the_parameters_do_not_speak_of_is_in_no_zone() {
    let vendor = Vendor::start(|_| said(200, "")).await;
    let parts = |when: &str| {
        format!(
            "[http]\nbase = \"{{{{ Base }}}}\"\n[zone]\nunlisted = true\nwhen = \"{when}\"\n[add]\npost = \"/\"\n[remove]\npost = \"/\"\n"
        )
    };
    let zone = vendor.provider(&page(&parts("name in ['_acme-challenge.a.example.com']"))).zone().await.unwrap();
    assert_eq!(zone.name, "_acme-challenge.a.example.com");
    let failure = vendor.provider(&page(&parts("name == Key"))).zone().await.unwrap_err();
    assert_eq!(failure.code, Code::ZoneNotFound, "{failure}");
    assert!(vendor.lines().is_empty());
}

#[tokio::test]
async fn a_value_that_nobody_can_delete_is_left_without_a_call() {
    let vendor = Vendor::start(|_| said(200, "{}")).await;
    let parts = format!("single = \"name\"\nleaves = \"{{{{ value }}}}\"\n{BARE}[add]\npost = \"/{{{{ value }}}}\"\n");
    let provider = vendor.provider(&page(&parts));
    let handle = provider.add("one").await.unwrap();
    assert_eq!(provider.add("two").await.unwrap_err().code, Code::RecordRefused);
    provider.remove("one", Some(&handle)).await.unwrap();
    provider.add("two").await.unwrap();
    assert_eq!(vendor.lines(), ["POST /one", "POST /two"]);
}

#[test]
fn what_does_not_go_together_is_told() {
    let add = "[add]\npost = \"/\"\n";
    let remove = "[remove]\npost = \"/\"\n";
    let cases = [
        (format!("leaves = \"x\"\n{BARE}{add}"), "add"),
        (format!("leaves = \"{{{{ value }}}}\"\n{BARE}{add}{remove}"), "leaves"),
        (format!("leaves = \"{{{{ Nothing }}}}\"\n{BARE}{add}{remove}"), "leaves"),
        (format!("slots = \"[Nothing]\"\n{BARE}{add}{remove}"), "slots"),
        (format!("slots = \"[name]\"\nsingle = \"name\"\n{BARE}{add}{remove}"), "slots"),
        (format!("{BARE}{add}[remove]\npost = \"/{{{{ slot }}}}\"\n"), "remove"),
        (format!("{BARE}{add}{remove}[enroll]\nnew.post = \"/\"\ntarget = \"t\"\n"), "enroll.new.keep"),
        (
            format!(
                "{BARE}{add}{remove}[enroll]\nnew.post = \"/\"\nnew.keep = {{ a = \"a\" }}\ntarget = \"t\"\nknown.get = \"/\"\n"
            ),
            "enroll",
        ),
        (format!("{BARE}{add}{remove}").replace("[zone]", "limit = { calls = 0, within = 1 }\n[zone]"), "http.limit"),
        (
            format!("{BARE}{add}{remove}")
                .replace("unlisted = true", "get = \"/\"\neach = \"z\"\nkeep = { name = \"n\" }\nwhen = \"Key\""),
            "zone.when",
        ),
    ];
    for (parts, expected) in cases {
        match Page::parse("x", &page(&parts)) {
            Err(PageError::Field { field, problem, .. }) => assert_eq!(field, expected, "{problem}\n{parts}"),
            other => panic!("{parts}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn what_was_put_up_once_is_taken_down_by_what_it_goes_by_and_what_may_be_there_twice_is_looked_for() {
    let parts = format!(
        "{BARE}[add]\npost = \"/\"\nkeep = {{ id = \"id\" }}\ndoubles = true\n\
         [find]\nget = \"/\"\neach = \"records\"\nvalue = \"text\"\nkeep = {{ id = \"id\" }}\n[remove]\ndelete = \"/{{{{ record.id }}}}\"\n"
    );
    let vendor = Vendor::start(|asked| match asked.line.as_str() {
        "POST /" => said(200, json!({"id": 7}).to_string()),
        "GET /" => said(200, json!({"records": [{"id": 7, "text": "one"}, {"id": 8, "text": "one"}]}).to_string()),
        _ => said(200, "{}"),
    })
    .await;
    let provider = vendor.provider(&page(&parts));
    let once = provider.add("one").await.unwrap();
    assert_eq!(once, json!({"id": 7}));
    provider.remove("one", Some(&once)).await.unwrap();
    assert_eq!(vendor.lines(), ["POST /", "DELETE /7"]);

    // Twice in one process, and twice by what a journal says.
    provider.add("one").await.unwrap();
    let twice = provider.add("one").await.unwrap();
    assert_eq!(twice, json!({"id": 7, "again": true}));
    provider.remove("one", Some(&twice)).await.unwrap();
    vendor.provider(&page(&parts)).remove("one", Some(&twice)).await.unwrap();
    let looked_for = ["GET /", "DELETE /7", "DELETE /8"];
    assert_eq!(vendor.lines()[2..], [&["POST /", "POST /"][..], &looked_for, &looked_for].concat());
}

#[tokio::test]
async fn of_a_list_of_passwords_each_is_blanked_by_itself() {
    let vendor = Vendor::start(|_| said(400, "{\"error\": \"s3cr3t of b.example, or Yi5leGFtcGxlOnMzY3IzdA==\"}")).await;
    let parts = format!("{BARE}[add]\npost = \"/\"\n[remove]\npost = \"/\"\n");
    let parts = parts.replace("[zone]", "fails = { message = \"error\" }\n[zone]");
    let pairs = "{ k = \"Pairs\", secret = true, default = \"a.example:another, b.example:s3cr3t\" }, { k = \"Key\"";
    let failure = vendor.provider(&page(&parts).replace("{ k = \"Key\"", pairs)).add("v").await.unwrap_err();
    assert_eq!(failure.evidence.their_message.as_deref(), Some("*** of b.example, or ***"));
}
