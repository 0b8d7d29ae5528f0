//! Sets: others survive, somebody faster is heeded, empty ones go, whole zones are written back as they were.
use std::sync::{Arc, Mutex};

use certkeep_core::failure::Code;
use serde_json::{Value, json};

use super::vendor::{Asked, BARE, Said, Vendor, page, said};

const TAGGED: &str = r#"
[set]
read.get = "/set"
read.each = "[answer]"
read.keep = { tag = "reply.headers.etag" }
entries = "values"
entry = "{{ value | quoted }}"
value = "element"
ttl = "ttl"
create.post = "/set"
create.json = { values = "{{ entries }}", ttl = "{{ ttl }}" }
write.put = "/set"
write.header.If-Match = "{{ set.tag }}"
write.json = { values = "{{ entries }}", ttl = "{{ ttl }}" }
clear.delete = "/set"
clear.header.If-Match = "{{ set.tag }}"
"#;

/// A set with a version; `rival` is put in by somebody else before the first change of what is there.
fn tagged(set: Arc<Mutex<Option<Value>>>, rival: &'static str) -> impl Fn(&Asked) -> Said + Send + Sync {
    let state = Mutex::new((1, rival));
    move |asked| {
        let mut set = set.lock().unwrap();
        let mut state = state.lock().unwrap();
        let (method, _) = asked.line.split_once(' ').unwrap();
        if method == "GET" {
            return match &*set {
                Some(set) => Said(200, vec![("ETag", format!("v{}", state.0))], set.to_string()),
                None => said(404, "{}"),
            };
        }
        if !state.1.is_empty() && set.is_some() {
            let rival = std::mem::take(&mut state.1);
            set.as_mut().unwrap()["values"].as_array_mut().unwrap().push(rival.into());
            state.0 += 1;
        }
        if method != "POST" && asked.headers.get("if-match") != Some(&format!("v{}", state.0)) {
            return said(412, "{}");
        }
        state.0 += 1;
        *set = if method == "DELETE" { None } else { Some(serde_json::from_str(&asked.body).unwrap()) };
        said(200, "")
    }
}

#[tokio::test]
async fn somebody_faster_is_heeded() {
    let set = Arc::new(Mutex::new(Some(json!({"values": ["\"theirs\""], "ttl": 900}))));
    let vendor = Vendor::start(tagged(Arc::clone(&set), "\"rival\"")).await;
    let provider = vendor.provider(&page(&format!("{BARE}{TAGGED}")));
    provider.add("ours").await.unwrap();
    assert_eq!(set.lock().unwrap().clone().unwrap(), json!({"values": ["\"theirs\"", "\"rival\"", "\"ours\""], "ttl": 900}));
    provider.add("ours").await.unwrap();
    provider.remove("ours", None).await.unwrap();
    assert_eq!(set.lock().unwrap().clone().unwrap(), json!({"values": ["\"theirs\"", "\"rival\""], "ttl": 900}));
    let writes = vendor.lines().iter().filter(|line| line.starts_with("PUT")).count();
    assert_eq!(writes, 3, "a value that is there is not written again");
}

#[tokio::test]
async fn a_set_is_made_unread_where_the_vendor_refuses_one_that_is_there() {
    let set = Arc::new(Mutex::new(None));
    let vendor = {
        let (set, answer) = (Arc::clone(&set), tagged(Arc::clone(&set), ""));
        Vendor::start(move |asked| match asked.line.starts_with("POST") && set.lock().unwrap().is_some() {
            true => said(412, "{}"),
            false => answer(asked),
        })
        .await
    };
    let provider = vendor.provider(&page(&format!("{BARE}{}", TAGGED.replace("[set]", "[set]\nunread = true"))));
    provider.add("one").await.unwrap();
    assert_eq!(vendor.lines(), ["POST /set"]);
    provider.add("two").await.unwrap();
    provider.add("two").await.unwrap();
    assert_eq!(set.lock().unwrap().clone().unwrap(), json!({"values": ["\"one\"", "\"two\""], "ttl": 60}));
    provider.remove("one", None).await.unwrap();
    assert_eq!(set.lock().unwrap().clone().unwrap(), json!({"values": ["\"two\""], "ttl": 60}));
}

#[tokio::test]
async fn a_set_comes_and_goes() {
    let set = Arc::new(Mutex::new(None));
    let vendor = Vendor::start(tagged(Arc::clone(&set), "")).await;
    let provider = vendor.provider(&page(&format!("{BARE}{TAGGED}")));
    provider.add("one").await.unwrap();
    provider.add("two").await.unwrap();
    assert_eq!(set.lock().unwrap().clone().unwrap(), json!({"values": ["\"one\"", "\"two\""], "ttl": 60}));
    provider.remove("one", None).await.unwrap();
    provider.remove("two", None).await.unwrap();
    provider.remove("two", None).await.unwrap();
    assert_eq!(*set.lock().unwrap(), None);
    let changes: Vec<_> = vendor.lines().into_iter().filter(|line| !line.starts_with("GET")).collect();
    assert_eq!(changes, ["POST /set", "PUT /set", "PUT /set", "DELETE /set"]);
}

const ZONE: &str = r#"
[http]
base = "{{ Base }}"
[zone]
get = "/zone/{{ candidate }}"
each = "[answer]"
keep = { name = "our.candidate" }
[set]
read.get = "/zone/{{ zone.name }}"
read.each = "[answer]"
read.keep = { serial = "serial" }
entries = "records"
mine = { type = "TXT", host = "{{ owner }}" }
entry = { type = "TXT", host = "{{ owner }}", data = "{{ value }}", ttl = "{{ TTL }}" }
value = "data"
write.put = "/zone/{{ zone.name }}"
write.json = { serial = "{{ set.serial }}", records = "{{ entries }}" }
"#;

fn whole_zone() -> Value {
    let long = "x".repeat(300);
    json!([
        {"type": "A", "host": "@", "data": "192.0.2.1", "ttl": 1, "extra": {"a": null, "b": [1.5, 18446744073709551615u64, -3]}},
        {"type": "TXT", "host": "_acme-challenge.a", "data": "theirs \"quoted\" \\ é", "ttl": 3600},
        {"type": "TXT", "host": "elsewhere", "data": "ours", "ttl": 3600},
        {"type": "CNAME", "host": "_acme-challenge.a", "data": "ours", "ttl": 3600},
        {"type": "TXT", "host": "long", "data": long, "disabled": false},
    ])
}

#[tokio::test]
async fn a_whole_zone_is_written_back_as_it_was() {
    let zone = Arc::new(Mutex::new((7, whole_zone())));
    let kept = Arc::clone(&zone);
    let vendor = Vendor::start(move |asked| {
        let mut zone = kept.lock().unwrap();
        if asked.line.starts_with("PUT") {
            let body: Value = serde_json::from_str(&asked.body).unwrap();
            if body["serial"] != zone.0 {
                return said(409, "{}");
            }
            *zone = (zone.0 + 1, body["records"].clone());
            return said(200, "{}");
        }
        match asked.line.as_str() {
            "GET /zone/example.com" => said(200, json!({"serial": zone.0, "records": zone.1}).to_string()),
            _ => said(404, "{}"),
        }
    })
    .await;
    let provider = vendor.provider(&page(ZONE));
    provider.add("ours").await.unwrap();
    let records = zone.lock().unwrap().1.as_array().unwrap().clone();
    assert_eq!(records[..5], whole_zone().as_array().unwrap()[..]);
    assert_eq!(records[5], json!({"type": "TXT", "host": "_acme-challenge.a", "data": "ours", "ttl": 60}));
    provider.remove("ours", None).await.unwrap();
    assert_eq!(zone.lock().unwrap().1, whole_zone());
}

#[tokio::test]
async fn where_one_value_is_held_a_second_one_is_refused() {
    let set = Arc::new(Mutex::new(None));
    let vendor = Vendor::start(tagged(Arc::clone(&set), "")).await;
    let provider = vendor.provider(&page(&format!("single = \"name\"\n{BARE}{TAGGED}")));
    provider.add("one").await.unwrap();
    let failure = provider.add("two").await.unwrap_err();
    assert_eq!(failure.code, Code::RecordRefused);
    assert_eq!(set.lock().unwrap().clone().unwrap()["values"], json!(["\"one\""]));
}

#[tokio::test]
async fn one_value_without_a_way_to_look() {
    let vendor = Vendor::start(|_| said(200, "OK")).await;
    let parts = "[add]\nget = \"/set?txt={{ value }}\"\nanswer = \"text\"\nok = \"answer == 'OK'\"\n[remove]\nget = \"/clear\"\nanswer = \"any\"\n";
    let provider = vendor.provider(&page(&format!("single = \"name\"\n{BARE}{parts}")));
    provider.add("one").await.unwrap();
    provider.add("one").await.unwrap();
    assert_eq!(provider.add("two").await.unwrap_err().code, Code::RecordRefused);
    provider.remove("two", None).await.unwrap();
    provider.remove("one", None).await.unwrap();
    provider.add("two").await.unwrap();
    assert_eq!(vendor.lines(), ["GET /set?txt=one", "GET /set?txt=one", "GET /clear", "GET /set?txt=two"]);
}

const PAGED: &str = r#"
[set]
read.get = "/records?page={{ page }}"
read.each = "records"
read.next = "page < pages"
mine = { host = "{{ name }}" }
entry = { host = "{{ name }}", data = "{{ value }}" }
value = "data"
add.post = "/records"
add.json = "{{ added[0] }}"
write.put = "/records"
write.json = { keep = "{{ entries }}", gone = "{{ removed }}" }
"#;

/// A list in pages of two, to which one can be added, or all written; the answer to the first addition is 500, though it
/// was done.
fn paged(records: Arc<Mutex<Vec<Value>>>) -> impl Fn(&Asked) -> Said + Send + Sync {
    let stumbled = Mutex::new(false);
    move |asked| {
        let mut records = records.lock().unwrap();
        if let Some(page) = asked.line.strip_prefix("GET /records?page=") {
            let page: usize = page.parse().unwrap();
            let shown: Vec<&Value> = records.iter().skip((page - 1) * 2).take(2).collect();
            return said(200, json!({"records": shown, "page": page, "pages": records.len().div_ceil(2)}).to_string());
        }
        if asked.line == "POST /commit" {
            return said(200, "");
        }
        let body: Value = serde_json::from_str(&asked.body).unwrap();
        if asked.line.starts_with("PUT") {
            let [keep, gone] = ["keep", "gone"].map(|list| body.get(list).and_then(Value::as_array).unwrap());
            assert_eq!(gone.len(), 1);
            records.clone_from(keep);
            return said(200, "");
        }
        records.push(body);
        let mut stumbled = stumbled.lock().unwrap();
        said(if std::mem::replace(&mut *stumbled, true) { 201 } else { 500 }, "{}")
    }
}

#[tokio::test]
async fn the_entries_of_all_pages_are_the_set() {
    let theirs = |n: usize| json!({"host": if n == 4 { "_acme-challenge.a.example.com".to_owned() } else { format!("h{n}") }, "data": "theirs"});
    let before: Vec<Value> = (0..5).map(theirs).collect();
    let records = Arc::new(Mutex::new(before.clone()));
    let vendor = Vendor::start(paged(Arc::clone(&records))).await;
    let provider = vendor.provider(&page(&format!("{BARE}[commit]\npost = \"/commit\"\n{PAGED}")));
    provider.add("one").await.unwrap();
    let ours = |value: &str| json!({"host": "_acme-challenge.a.example.com", "data": value});
    assert_eq!(records.lock().unwrap()[5..], [ours("one")], "what was done though its answer was lost is not done again");
    provider.add("two").await.unwrap();
    provider.remove("one", None).await.unwrap();
    provider.remove("two", None).await.unwrap();
    assert_eq!(*records.lock().unwrap(), before);
    let lines = vendor.lines();
    let count = |start: &str| lines.iter().filter(|line| line.starts_with(start)).count();
    assert_eq!((count("POST /records"), count("PUT"), count("POST /commit")), (2, 2, 4), "{lines:?}");
}
