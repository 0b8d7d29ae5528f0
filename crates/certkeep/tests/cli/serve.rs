use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::process::{Data, Serving, ended, program, terminate, wait};

#[tokio::test]
async fn ready_is_said_on_one_line_with_the_real_ports() {
    let data = Data::new();
    let serving = Serving::start(&data);
    let rest = serving.ready.strip_prefix("certkeep is ready: https://127.0.0.1:").unwrap();
    let (https, http) = rest.split_once(" http://127.0.0.1:").unwrap();
    let ports: Vec<u16> = [https, http].iter().map(|port| port.parse().unwrap()).collect();
    assert!(ports.iter().all(|port| *port > 0) && ports[0] != ports[1], "{}", serving.ready);
    // No token yet: but it is the API that says so.
    assert_eq!(serving.get("certificate/list").await["errcode"], 10004);
}

#[tokio::test]
async fn sigterm_ends_it_within_five_seconds_and_tokens_live_on() {
    let data = Data::new();
    let client = data.client("pbx", &[]);
    let serving = Serving::start(&data);
    let answer = serving.login(&client).await;
    let (status, took, log) = serving.stop();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(took < Duration::from_secs(5), "{took:?}");

    let serving = Serving::start(&data);
    assert!(serving.accepts(answer["access_token"].as_str().unwrap()).await);
}

#[test]
fn a_second_service_on_the_same_folder_is_refused() {
    let data = Data::new();
    let serving = Serving::start(&data);
    let second = data.run(&["serve", "--listen", "127.0.0.1:0"]);
    assert_eq!((second.code, second.stdout.as_str()), (1, ""));
    assert!(second.stderr.contains("another certkeep serves the data folder"), "{}", second.stderr);
    assert_eq!(serving.stop().0.code(), Some(0));
}

#[test]
fn a_missing_or_wrong_sealing_key_is_told_with_what_to_do() {
    let data = Data::new();
    data.client("pbx", &[]);
    let key = data.folder().join("sealing.key");
    let right = fs::read(&key).unwrap();
    fs::remove_file(&key).unwrap();
    let missing = data.run(&["serve", "--listen", "127.0.0.1:0"]);
    assert_eq!((missing.code, missing.stdout.as_str()), (1, ""));
    assert!(missing.stderr.contains("sealed with a key that is not there: put "), "{}", missing.stderr);
    assert!(!key.exists(), "no other key is made in its place");

    let other = Data::new();
    other.client("pbx", &[]);
    fs::copy(other.folder().join("sealing.key"), &key).unwrap();
    let wrong = data.run(&["serve", "--listen", "127.0.0.1:0"]);
    assert_eq!(wrong.code, 1);
    assert!(wrong.stderr.contains("sealed with another key than those in "), "{}", wrong.stderr);

    fs::write(&key, right).unwrap();
    assert_eq!(Serving::start(&data).stop().0.code(), Some(0));
}

#[test]
fn an_address_that_is_taken_is_named_with_the_cause() {
    let data = Data::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let refused = data.run(&["serve", "--listen", &address]);
    assert_eq!((refused.code, refused.stdout.as_str()), (1, ""));
    let expected = format!("certkeep: {address} cannot be listened on: another program listens there already");
    assert!(refused.stderr.starts_with(&expected), "{}", refused.stderr);
}

#[test]
fn an_api_that_is_switched_off_says_so() {
    let data = Data::new();
    data.configure("[api]\nenabled = false\n");
    let serving = Serving::start(&data);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    assert_eq!(runtime.block_on(serving.get("certificate/list"))["errcode"], 70123);
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let data = Data::new();
    let serving = Serving::start(&data);
    // A request whose body never comes keeps the farewell waiting.
    let mut open = std::net::TcpStream::connect(serving.http.strip_prefix("http://").unwrap()).unwrap();
    let head = b"POST /openapi/v1.0/get_token HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\nExpect: 100-continue\r\n\r\n";
    std::io::Write::write_all(&mut open, head).unwrap();
    // `100 Continue` tells that the request has begun.
    let mut first = [0u8; 9];
    std::io::Read::read_exact(&mut open, &mut first).unwrap();
    terminate(serving.id());
    // The listener is shut before running calls are waited for.
    let address = serving.http.strip_prefix("http://").unwrap().to_owned();
    let until = std::time::Instant::now() + Duration::from_secs(3);
    while std::net::TcpStream::connect(&address).is_ok() {
        assert!(std::time::Instant::now() < until, "still accepting");
        std::thread::sleep(Duration::from_millis(5));
    }
    let (status, took, _) = serving.stop();
    assert_eq!(status.code(), Some(1));
    assert!(took < Duration::from_secs(2), "{took:?}");
}

#[test]
fn the_log_can_be_json_and_its_filter_has_to_make_sense() {
    let data = Data::new();
    data.configure("[log]\nformat = \"json\"\n");
    let (_, _, log) = Serving::start(&data).stop();
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    assert!(lines.iter().any(|line| line["message"] == "ready"), "{log}");

    let loud = ["serve", "--listen", "127.0.0.1:0", "--data"];
    let refused = ended(program().args(loud).arg(data.folder()).env("CERTKEEP_LOG", "certkeep=loud"));
    assert_eq!(refused.code, 2);
    assert!(refused.stderr.contains("CERTKEEP_LOG says \"certkeep=loud\""), "{}", refused.stderr);
}

#[test]
fn a_reader_that_went_away_does_not_stop_it() {
    let data = Data::new();
    let mut child = program()
        .args(["serve", "--listen", "127.0.0.1:0", "--data"])
        .arg(data.folder())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let mut log = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
    assert!(log.any(|line| line.contains("ready")));
    terminate(child.id());
    assert_eq!(wait(&mut child).code(), Some(0));
}

#[test]
fn a_short_command_needs_no_service_and_little_time() {
    let data = Data::new();
    let explained = data.run(&["explain", "101"]);
    assert_eq!(explained.code, 0);
    assert!(explained.stdout.starts_with("101 credentials_rejected\n"), "{}", explained.stdout);
    assert_eq!(explained.stdout, data.run(&["explain", "credentials_rejected"]).stdout);
    assert_eq!(data.run(&["explain", "100"]).code, 3);
    assert!(data.run(&["explain"]).stdout.lines().count() > 30);
    assert!(!data.folder().exists());
    let version = Command::new(env!("CARGO_BIN_EXE_certkeep")).arg("--version").output().unwrap();
    assert_eq!(version.stdout, concat!("certkeep ", env!("CARGO_PKG_VERSION"), "\n").as_bytes());
}
