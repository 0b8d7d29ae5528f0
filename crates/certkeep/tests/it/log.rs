//! What is logged, and what never is.
use std::io::Write;
use std::sync::{Arc, Mutex};

use http::Method;
use serde_json::json;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;

use crate::call::Call;
use crate::house::{ADMIN, House, application, form};

/// Keeps what is logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    /// Everything that this thread, and so this test, logs from now on.
    fn listen(&self, filter: &str) -> tracing::subscriber::DefaultGuard {
        let filter: Targets = filter.parse().unwrap();
        let lines = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(self.clone());
        tracing::subscriber::set_default(tracing_subscriber::registry().with(lines.with_filter(filter)))
    }
}

impl Write for Log {
    fn write(&mut self, octets: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(octets)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Log;

    fn make_writer(&'a self) -> Log {
        self.clone()
    }
}

#[tokio::test]
async fn no_token_secret_or_parameter_is_logged_even_at_trace() {
    let log = Log::default();
    let _listening = log.listen("certkeep=trace,certkeep_core=trace,certkeep_engine=trace,certkeep_store=trace");
    let house = House::directly().await;
    let answer = house.login(ADMIN).await;
    let (access, refresh) = (answer.text_of("access_token"), answer.text_of("refresh_token"));
    let mut create = application("docs.example.com");
    create["auth_info_list"] = json!([{"k": "AccessKeyId", "sv": "id"}, {"k": "AccessKeySecret", "sv": "t0ps3cret"}]);
    house.send(Call::post("certificate/create", &create).with(&access)).await.is_success();
    house.send(Call::get("certificate/get?id=1").with(&access)).await.is_success();
    create["auth_info_list"] = json!([{"k": "AccessKeySecret", "iv": 1, "sv": "t0ps3cret"}]);
    house.send(Call::post("certificate/create", &create).with(&access)).await.is(40002, "PARAMETER ERROR");
    house.send(Call::post("refresh_token", &json!({"refresh_token": &refresh}))).await.is_success();
    house.login((ADMIN.0, "t0ps3cret")).await.is(-1, "FAILURE");
    house.send(Call::get("nonsense?password=t0ps3cret").with(&access)).await.is(10001, "INTERFACE NOT EXISTED");
    let unreadable = Call::new(Method::POST, "get_token").body("{\"password\":\"t0ps3cret\"");
    house.send(unreadable).await.is(-2, "INTERNAL SERVER ERROR");
    let upload = form(&[("type", None, b"server"), ("file", Some("a.pem"), b"t0ps3cret"), ("password", None, b"t0ps3cret")]);
    house.send(upload.with(&access)).await.is_success();
    house.store.clone().close().await;
    house.send(Call::get("certificate/list").with(&access)).await.is(-2, "INTERNAL SERVER ERROR");

    let text = log.text();
    for secret in [access.as_str(), &refresh, ADMIN.1, "t0ps3cret", "access_token="] {
        assert!(!text.contains(secret), "{secret} in:\n{text}");
    }
    assert!(text.contains("/openapi/v1.0/certificate/get"), "{text}");
    // The chain of a fault is told once, with where it happened.
    let faults: Vec<_> = text.lines().filter(|line| line.contains("ERROR")).collect();
    assert_eq!(faults.len(), 1, "{text}");
    assert!(faults[0].contains("/openapi/v1.0/certificate/list") && faults[0].contains("the store failed: "), "{}", faults[0]);
}

/// §3: "A runaway client must not … fill the log or the disk"
#[tokio::test]
async fn wrong_calls_leave_nothing_in_the_log_or_on_the_disk() {
    let log = Log::default();
    let _listening = log.listen("info");
    let house = House::directly().await;
    let (logged, stored) = (log.text().len(), house.stored().len());
    let (wrong, unknown) = (json!({"refresh": "x"}), json!({"refresh_token": "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdef"}));
    for from in 1..=40 {
        let from = std::net::IpAddr::from([192, 0, 2, from]);
        for _ in 0..20 {
            house.send(Call::post("refresh_token", &wrong).from(from)).await.is(40002, "PARAMETER ERROR");
            house.send(Call::post("refresh_token", &unknown).from(from)).await.is(10004, "TOKEN EXPIRED");
        }
    }
    assert_eq!(log.text().get(logged..), Some(""));
    assert_eq!(house.stored().len(), stored);
}
