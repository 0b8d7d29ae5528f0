//! Bodies, answers, judgements, pauses, jobs and hosts.
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use certkeep_core::failure::Code;
use serde_json::json;

use super::vendor::{BARE, Vendor, page, said};

#[tokio::test]
async fn soap() {
    let parts = r#"
[add]
post = "/soap"
header.SOAPAction = "urn:add"
answer = "xml"
xml = '''<Envelope><Body><add key="{{ Key }}">{{ value }}</add></Body></Envelope>'''
ok = "not answer.Envelope.Body.Fault"
keep = { id = "answer.Envelope.Body.addResponse.id" }
[find]
post = "/soap"
xml = "<list/>"
answer = "xml"
each = "answer.list.r"
where = { name = "{{ name }}" }
value = "text"
keep = { id = "id" }
[remove]
post = "/soap"
xml = "<del>{{ record.id }}</del>"
answer = "xml"
"#;
    let vendor = Vendor::start(|asked| match asked.body.as_str() {
        "<list/>" => said(200, r#"<list><r id="8" name="other.example">a&amp;b</r><r id="9" name="_acme-challenge.a.example.com.">a&amp;b</r></list>"#),
        body if body.starts_with("<del>") => said(200, "<ok/>"),
        body if body.contains("a&amp;b") => {
            said(200, "<?xml version=\"1.0\"?><s:Envelope xmlns:s=\"x\"><s:Body><addResponse><id>7</id></addResponse></s:Body></s:Envelope>")
        }
        _ => said(200, "<Envelope><Body><Fault><faultstring>no</faultstring></Fault></Body></Envelope>"),
    })
    .await;
    let provider = vendor.provider(&page(&format!("{BARE}{parts}")));
    let handle = provider.add("a&b").await.unwrap();
    assert_eq!(handle, serde_json::json!({"id": "7"}));
    assert_eq!(vendor.asked()[0].headers["soapaction"], "urn:add");
    provider.remove("a&b", None).await.unwrap();
    assert_eq!(vendor.asked().last().unwrap().body, "<del>9</del>");
    assert_eq!(provider.add("bad").await.unwrap_err().code, Code::RecordRefused);
}

#[tokio::test]
async fn xml_rpc() {
    let parts = r#"
[http]
base = "{{ Base }}"
answer = "xmlrpc"
fails = { when = "fault", code = "fault.faultCode", message = "fault.faultString" }
[zone]
unlisted = true
[add]
post = "/"
xmlrpc = { method = "record.add", params = ["{{ Key }}", { name = "{{ name }}", ttl = "{{ TTL }}" }] }
keep = { id = "answer.id" }
[remove]
post = "/"
xmlrpc = { method = "record.delete", params = ["{{ Key }}", "{{ record.id }}"] }
[errors]
510042 = "absent"
"#;
    let vendor = Vendor::start(|asked| match asked.body.contains("record.add") {
        true => said(200, "<?xml version='1.0'?><methodResponse><params><param><value><struct><member><name>id</name><value><int>5</int></value></member></struct></value></param></params></methodResponse>"),
        false => said(200, "<?xml version='1.0'?><methodResponse><fault><value><struct><member><name>faultCode</name><value><int>510042</int></value></member><member><name>faultString</name><value>gone</value></member></struct></value></fault></methodResponse>"),
    })
    .await;
    let provider = vendor.provider(&page(parts));
    let handle = provider.add("v").await.unwrap();
    assert_eq!(handle, serde_json::json!({"id": 5}));
    provider.remove("v", Some(&handle)).await.unwrap();
    let asked = vendor.asked();
    assert!(asked[0].body.contains("<member><name>ttl</name><value><int>60</int></value></member>"), "{asked:?}");
    assert!(asked[1].body.contains("<value><int>5</int></value>"), "{asked:?}");
}

#[tokio::test]
async fn words_of_a_text_are_judged() {
    let parts = "[http]\nbase = \"{{ Base }}\"\nanswer = \"text\"\nok = \"answer.startswith('good') or '=' in answer\"\n[zone]\nunlisted = true\n\
                 [add]\npost = \"/add\"\nform = { t = \"{{ value }}\", none = \"{{ none }}\", k = \"{{ Key }}\" }\nkeep = { id = \"(answer | pairs).id\" }\n\
                 [remove]\npost = \"/remove\"\ntext = \"{{ value }}\"\n[errors]\n\"~bad AUTH\" = \"credentials_rejected\"\n\"~no record\" = \"absent\"\n";
    let parts = parts.replace("answer.startswith('good')", "answer[:4] == 'good'");
    let vendor = Vendor::start(|asked| match (asked.line.as_str(), asked.body.as_str()) {
        ("POST /add", "k=s3cr3t-k3y&t=v+1") => said(200, "id=7\nx=y"),
        ("POST /add", _) => said(200, "Bad auth for s3cr3t-k3y"),
        _ => said(200, "error: No record"),
    })
    .await;
    let provider = vendor.provider(&page(&parts));
    assert_eq!(provider.add("v 1").await.unwrap(), serde_json::json!({"id": "7"}));
    provider.remove("v 1", None).await.unwrap();
    assert_eq!(vendor.asked().last().unwrap().body, "v 1");
    let failure = provider.add("v2").await.unwrap_err();
    assert_eq!(failure.code, Code::CredentialsRejected);
    assert!(!format!("{failure:?}").contains("s3cr3t"), "{failure:?}");
}

#[tokio::test]
async fn a_job_is_waited_for() {
    let parts = r#"
[add]
post = "/add"
keep = { job = "job" }
[remove]
post = "/remove"
keep = { job = "job" }
[commit]
put = "/publish"
keep = { job = "0" }
[wait]
when = "got.job"
get = "/jobs/{{ got.job }}"
until = "state == 'done'"
ok = "state != 'failed'"
every = 0.01
within = 2
"#;
    let looks = AtomicUsize::new(0);
    let vendor = Vendor::start(move |asked| match asked.line.as_str() {
        "POST /add" => said(202, r#"{"job": 5}"#),
        "POST /remove" => said(202, r#"{"job": 6}"#),
        "GET /jobs/5" if looks.fetch_add(1, Ordering::SeqCst) < 2 => said(200, r#"{"state": "running"}"#),
        "GET /jobs/5" => said(200, r#"{"state": "done"}"#),
        "GET /jobs/6" => said(200, r#"{"state": "failed"}"#),
        _ => said(200, ""),
    })
    .await;
    let provider = vendor.provider(&page(&format!("{BARE}{parts}")));
    provider.add("v").await.unwrap();
    assert_eq!(vendor.lines(), ["POST /add", "GET /jobs/5", "GET /jobs/5", "GET /jobs/5", "PUT /publish"]);
    provider.remove("v", None).await.unwrap_err();
}

#[tokio::test]
async fn a_job_is_waited_for_though_the_answer_that_named_it_was_lost() {
    let parts = |kept: &str| {
        format!(
            r#"
[add]
post = "/add"
keep = {{ job = "job" }}
[find]
get = "/records"
each = "records"
value = "data"
keep = {{ {kept} }}
[remove]
post = "/remove"
[wait]
get = "/jobs/{{{{ got.job }}}}"
until = "done"
every = 0.01
"#
        )
    };
    // Where the list does not tell the job, nothing can be asked.
    for (kept, jobs) in [("job = \"job\"", 2), ("id = \"id\"", 0)] {
        let looks = AtomicUsize::new(0);
        let vendor = Vendor::start(move |asked| match asked.line.as_str() {
            "POST /add" => said(500, "{}"),
            "GET /records" => said(200, r#"{"records": [{"data": "v", "job": 5, "id": 1}]}"#),
            "GET /jobs/5" => said(200, format!("{{\"done\": {}}}", looks.fetch_add(1, Ordering::SeqCst) == 1)),
            other => panic!("{other}"),
        })
        .await;
        vendor.provider(&page(&format!("{BARE}{}", parts(kept)))).add("v").await.unwrap();
        assert_eq!(vendor.lines().iter().filter(|line| *line == "GET /jobs/5").count(), jobs);
    }
}

#[tokio::test]
async fn a_vendor_that_answers_web_pages() {
    let parts = r#"
[http]
base = "{{ Base }}"
answer = "html"
ok = "'OK.' in answer"
[zone]
unlisted = true
[add]
post = "/add"
form = { v = "{{ value }}" }
[remove]
post = "/remove"
[errors]
"~no such user" = "credentials_rejected"
"#;
    let portal = AtomicUsize::new(0);
    let vendor = Vendor::start(move |asked| match (asked.line.as_str(), asked.body.as_str()) {
        ("POST /add", "v=refused") => said(200, "<html>No such user: s3cr3t-k3y</html>"),
        ("POST /add", "v=portal") => said(200, "<!DOCTYPE html><html>Welcome to the hotel</html>"),
        _ if portal.fetch_add(1, Ordering::SeqCst) == 0 => said(200, "<html>One moment, please</html>"),
        _ => said(200, "<html>OK.</html>"),
    })
    .await;
    let provider = vendor.provider(&page(parts));
    provider.add("v").await.unwrap();
    provider.remove("v", None).await.unwrap();
    assert_eq!(vendor.lines(), ["POST /add", "POST /add", "POST /remove"]);
    assert_eq!(provider.add("refused").await.unwrap_err().code, Code::CredentialsRejected);
    let failure = provider.add("portal").await.unwrap_err();
    assert_eq!(failure.code, Code::ProviderUnreadable);
    assert!(format!("{failure:?}").contains("web page") && !format!("{failure:?}").contains("hotel"), "{failure:?}");
}

#[tokio::test]
async fn pauses_that_a_vendor_demands() {
    let parts = "[http]\nbase = \"{{ Base }}\"\npause = \"flood\"\n[zone]\nunlisted = true\n[add]\npost = \"/add\"\n[remove]\npost = \"/remove\"\n";
    let vendor = Vendor::start(|_| said(200, r#"{"flood": "0.3"}"#)).await;
    let provider = vendor.provider(&page(parts));
    let began = Instant::now();
    let (one, two, three) = futures::join!(provider.add("1"), provider.add("2"), provider.add("3"));
    one.and(two).and(three).unwrap();
    assert!(began.elapsed() >= Duration::from_millis(600), "{:?}", began.elapsed());
}

#[tokio::test]
async fn headers_can_be_computed_from_the_request() {
    let parts = r#"
[http]
base = "{{ Base }}"
header.Date = "{{ now | date('%Y%m%d') }}"
header.Sign = "{{ (request.method ~ request.path ~ request.body) | hmac_sha256(Key) }}"
query = { once = "{{ nonce }}" }
[zone]
unlisted = true
[add]
post = "/add"
json = { v = "{{ value }}" }
[remove]
post = "/remove"
"#;
    let vendor = Vendor::start(|_| said(200, "")).await;
    let provider = vendor.provider(&page(parts));
    provider.add("v").await.unwrap();
    let asked = vendor.asked().remove(0);
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, b"s3cr3t-k3y");
    let tag = aws_lc_rs::hmac::sign(&key, br#"POST/add{"v":"v"}"#);
    let expected: String = tag.as_ref().iter().map(|octet| format!("{octet:02x}")).collect();
    assert_eq!(asked.headers["sign"], expected);
    assert_eq!(asked.headers["date"].len(), 8);
    assert_eq!(asked.line.len(), "POST /add?once=".len() + 32);
}

#[tokio::test]
async fn no_host_is_called_that_the_page_does_not_list() {
    let parts = |host: &str| format!("{BARE}[add]\nbase = \"http://{host}\"\npost = \"/add\"\n[remove]\npost = \"/remove\"\n");
    let vendor = Vendor::start(|_| said(200, "")).await;
    let here = vendor.url.trim_start_matches("http://");
    vendor.provider(&page(&parts(here))).add("v").await.unwrap();
    let failure = vendor.provider(&page(&parts("127.0.0.2:1"))).add("v").await.unwrap_err();
    assert_eq!(failure.code, Code::Internal);
    // The same host by another port is listed by its name.
    let listed = parts("localhost:1").replace("[zone]", "hosts = [\"localhost\"]\n[zone]");
    let failure = vendor.provider(&page(&listed)).add("v").await.unwrap_err();
    assert_eq!(failure.code, Code::ProviderUnreachable);
}

#[tokio::test]
async fn a_refused_removal_is_looked_after() {
    let parts = "[add]\npost = \"/records\"\nkeep = { id = \"id\" }\n\
                 [find]\nget = \"/records\"\neach = \"answer\"\nvalue = \"text\"\nkeep = { id = \"id\" }\n\
                 [remove]\ndelete = \"/records/{{ record.id }}\"\n";
    for (listed, outcome) in [("[]", Ok(())), (r#"[{"id": 1, "text": "ours"}]"#, Err(Code::RecordRefused))] {
        let vendor = Vendor::start(move |asked| match asked.line.split(' ').next() {
            Some("GET") => said(200, listed),
            _ => said(422, r#"{"message": "in words that no page knows"}"#),
        })
        .await;
        let provider = vendor.provider(&page(&format!("{BARE}{parts}")));
        let removed = provider.remove("ours", Some(&json!({ "id": 1 }))).await;
        assert_eq!(removed.map_err(|failure| failure.code), outcome);
        assert_eq!(vendor.lines(), ["DELETE /records/1", "GET /records"]);
    }
}

/// For a while after a change the zone takes no other.
#[tokio::test]
async fn a_zone_that_a_change_closes_is_waited_for_before_the_next_one() {
    let parts = r#"
[add]
post = "/add"
[remove]
post = "/remove"
[wait]
before = true
get = "/state"
until = "open"
every = 0.01
"#;
    let looks = AtomicUsize::new(0);
    let vendor = Vendor::start(move |asked| match asked.line.as_str() {
        "GET /state" => {
            let left = looks.load(Ordering::SeqCst).saturating_sub(1);
            looks.store(left, Ordering::SeqCst);
            said(200, format!("{{\"open\": {}}}", left == 0))
        }
        _ if looks.load(Ordering::SeqCst) > 0 => said(412, "{}"),
        _ => {
            looks.store(2, Ordering::SeqCst);
            said(200, "{}")
        }
    })
    .await;
    let page = page(&format!("{BARE}{parts}"));
    let provider = vendor.provider(&page);
    provider.add("v").await.unwrap();
    assert_eq!(vendor.lines(), ["POST /add"]);
    provider.remove("v", None).await.unwrap();
    assert_eq!(vendor.lines()[1..], ["GET /state", "GET /state", "POST /remove"]);
    // Another process finds the zone closed and does not know why.
    vendor.provider(&page).remove("v", None).await.unwrap();
    assert_eq!(vendor.lines()[4..], ["POST /remove", "GET /state", "GET /state", "POST /remove"]);
    vendor.provider(&page).add("v").await.unwrap();
    assert_eq!(vendor.lines()[8..], ["POST /add", "GET /state", "GET /state", "POST /add"]);
}
