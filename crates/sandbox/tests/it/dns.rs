//! The DNS server, asked over UDP and TCP.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use certkeep_sandbox::{Fault, Options, RecordError, Sandbox, Times};
use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::CNAME;
use hickory_proto::rr::{DNSClass, Name, RData, RecordType};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

use crate::acme_client::DEADLINE;

/// How long silence is listened to where silence is the behaviour.
const SILENCE: Duration = Duration::from_millis(200);

async fn udp(server: SocketAddr, bytes: &[u8], patience: Duration) -> Option<Vec<u8>> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    socket.connect(server).await.unwrap();
    socket.send(bytes).await.unwrap();
    let mut buffer = vec![0; 65_535];
    let length = timeout(patience, socket.recv(&mut buffer)).await.ok()?.unwrap();
    buffer.truncate(length);
    Some(buffer)
}

async fn tcp(stream: &mut TcpStream, question: &Message) -> Message {
    let bytes = question.to_vec().unwrap();
    stream.write_u16(bytes.len().try_into().unwrap()).await.unwrap();
    stream.write_all(&bytes).await.unwrap();
    let length = stream.read_u16().await.unwrap();
    let mut answer = vec![0; length.into()];
    stream.read_exact(&mut answer).await.unwrap();
    Message::from_vec(&answer).unwrap()
}

fn question(name: &str, kind: RecordType) -> Message {
    let mut message = Message::query();
    message.add_query(Query::query(Name::from_ascii(name).unwrap(), kind));
    message
}

async fn exchange(sandbox: &Sandbox, question: &Message) -> Message {
    let bytes = question.to_vec().unwrap();
    let answer = udp(sandbox.dns_addr(), &bytes, DEADLINE).await.expect("an answer");
    let answer = Message::from_vec(&answer).unwrap();
    assert_eq!(answer.metadata.id, question.metadata.id);
    assert_eq!(answer.metadata.message_type, MessageType::Response);
    answer
}

async fn ask(sandbox: &Sandbox, name: &str, kind: RecordType) -> Message {
    exchange(sandbox, &question(name, kind)).await
}

fn contents(message: &Message) -> Vec<String> {
    message.answers.iter().map(|record| record.data.to_string()).collect()
}

async fn start() -> Sandbox {
    Sandbox::start(Options::default()).await.unwrap()
}

#[tokio::test]
async fn a_zone_is_born_with_soa_ns_and_addresses() {
    let sandbox = start().await;
    let soa = ask(&sandbox, "example.com.", RecordType::SOA).await;
    assert!(soa.metadata.authoritative && !soa.metadata.recursion_available);
    assert!(matches!(soa.answers[0].data, RData::SOA(_)));
    let ns = ask(&sandbox, "example.com.", RecordType::NS).await;
    assert_eq!(contents(&ns), ["ns1.example.com."]);
    for name in ["ns1.example.com.", "example.com.", "anything.example.com."] {
        let address = ask(&sandbox, name, RecordType::A).await;
        assert_eq!(contents(&address), ["127.0.0.1"], "{name}");
        assert_eq!(address.answers[0].name, Name::from_ascii(name).unwrap());
    }
}

#[tokio::test]
async fn the_serial_grows_with_every_change() {
    let sandbox = start().await;
    let serial = async || match &ask(&sandbox, "example.com.", RecordType::SOA).await.answers[0].data {
        RData::SOA(soa) => soa.serial,
        other => panic!("{other}"),
    };
    let before = serial().await;
    sandbox.set_txt("a.example.com", &["x"]).unwrap();
    assert!(serial().await > before);
}

#[tokio::test]
async fn what_is_not_there_is_denied_with_the_soa() {
    let sandbox = start().await;
    let cases = [
        ("example.com.", RecordType::MX, ResponseCode::NoError),
        // The wildcard makes every name below the apex exist, without a TXT record.
        ("_acme-challenge.a.example.com.", RecordType::TXT, ResponseCode::NoError),
        // It does not reach below a name that exists (RFC 4592 §2.2.1).
        ("a.ns1.example.com.", RecordType::A, ResponseCode::NXDomain),
    ];
    for (name, kind, code) in cases {
        let denied = ask(&sandbox, name, kind).await;
        assert_eq!(denied.metadata.response_code, code, "{name}");
        assert!(denied.metadata.authoritative && denied.answers.is_empty());
        assert!(matches!(denied.authorities[0].data, RData::SOA(_)), "{name}");
        assert_eq!(denied.authorities[0].name, Name::from_ascii("example.com.").unwrap());
    }
}

#[tokio::test]
async fn a_name_with_something_below_exists() {
    let sandbox = start().await;
    sandbox.set_txt("_acme-challenge.a.ns1.example.com", &["x"]).unwrap();
    let denied = ask(&sandbox, "a.ns1.example.com.", RecordType::TXT).await;
    assert_eq!(denied.metadata.response_code, ResponseCode::NoError);
    sandbox.set_txt("_acme-challenge.a.ns1.example.com", &[]).unwrap();
    let denied = ask(&sandbox, "a.ns1.example.com.", RecordType::TXT).await;
    assert_eq!(denied.metadata.response_code, ResponseCode::NXDomain);
}

#[tokio::test]
async fn names_out_of_zone_are_refused() {
    let sandbox = start().await;
    for name in ["example.org.", "com.", "notexample.com.", "."] {
        let refused = ask(&sandbox, name, RecordType::A).await;
        assert_eq!(refused.metadata.response_code, ResponseCode::Refused, "{name}");
        assert!(!refused.metadata.authoritative);
    }
    sandbox.add_zone("example.org").unwrap();
    let answer = ask(&sandbox, "example.org.", RecordType::A).await;
    assert_eq!(contents(&answer), ["127.0.0.1"]);
}

#[tokio::test]
async fn the_longest_zone_answers() {
    let sandbox = start().await;
    sandbox.add_zone("sub.example.com").unwrap();
    let denied = ask(&sandbox, "sub.example.com.", RecordType::MX).await;
    assert_eq!(denied.authorities[0].name, Name::from_ascii("sub.example.com.").unwrap());
    sandbox.set_txt("a.sub.example.com", &["x"]).unwrap();
    let answer = ask(&sandbox, "a.sub.example.com.", RecordType::TXT).await;
    assert_eq!(answer.answers.len(), 1);
}

#[tokio::test]
async fn the_case_of_the_question_comes_back() {
    let sandbox = start().await;
    sandbox.set_txt("_acme-challenge.A.example.com", &["x"]).unwrap();
    let asked = "_aCmE-cHaLlEnGe.a.ExAmPlE.cOm.";
    let answer = ask(&sandbox, asked, RecordType::TXT).await;
    assert!(answer.queries[0].name.eq_case(&Name::from_ascii(asked).unwrap()));
    assert!(answer.answers[0].name.eq_case(&Name::from_ascii(asked).unwrap()));
}

#[tokio::test]
async fn an_alias_is_followed_and_its_chain_shown() {
    let sandbox = start().await;
    sandbox.set_cname("a.example.com", "b.example.com").unwrap();
    sandbox.set_txt("b.example.com", &["x"]).unwrap();
    let answer = ask(&sandbox, "a.example.com.", RecordType::TXT).await;
    assert_eq!(answer.answers.len(), 2);
    assert!(matches!(&answer.answers[0].data, RData::CNAME(CNAME(to)) if to.to_ascii() == "b.example.com."));
    assert!(matches!(answer.answers[1].data, RData::TXT(_)));

    let alias = ask(&sandbox, "a.example.com.", RecordType::CNAME).await;
    assert_eq!(alias.answers.len(), 1);

    sandbox.set_cname("out.example.com", "elsewhere.test").unwrap();
    let answer = ask(&sandbox, "out.example.com.", RecordType::TXT).await;
    assert_eq!(answer.metadata.response_code, ResponseCode::NoError);
    assert_eq!(answer.answers.len(), 1);

    sandbox.set_cname("x.example.com", "y.example.com").unwrap();
    sandbox.set_cname("y.example.com", "x.example.com").unwrap();
    let answer = ask(&sandbox, "x.example.com.", RecordType::TXT).await;
    assert!(answer.answers.len() >= 2, "a loop ends");
}

#[tokio::test]
async fn large_answers_are_cut_over_udp_and_whole_over_tcp() {
    let sandbox = start().await;
    let values: Vec<String> = (0..8).map(|n| format!("{n}{}", "v".repeat(100))).collect();
    let values: Vec<&str> = values.iter().map(String::as_str).collect();
    sandbox.set_txt("a.example.com", &values).unwrap();

    let plain = question("a.example.com.", RecordType::TXT);
    let cut = exchange(&sandbox, &plain).await;
    assert!(cut.metadata.truncation && cut.answers.is_empty());

    let mut stream = TcpStream::connect(sandbox.dns_addr()).await.unwrap();
    let whole = tcp(&mut stream, &plain).await;
    assert_eq!((whole.metadata.truncation, whole.answers.len()), (false, 8));
    let again = tcp(&mut stream, &question("example.com.", RecordType::NS)).await;
    assert_eq!(again.answers.len(), 1, "a connection serves several questions");

    let mut roomy = plain;
    let mut edns = Edns::new();
    edns.set_max_payload(4096);
    roomy.set_edns(edns);
    let whole = exchange(&sandbox, &roomy).await;
    assert_eq!(whole.answers.len(), 8);
    assert_eq!(whole.edns.unwrap().max_payload(), 1232);
}

#[tokio::test]
async fn a_value_longer_than_a_string_is_read_back_whole() {
    let sandbox = start().await;
    let value = "v".repeat(300);
    sandbox.set_txt("a.example.com", &[&value]).unwrap();
    assert_eq!(sandbox.txt_records(), [("a.example.com".to_owned(), value)]);
}

#[tokio::test]
async fn questions_that_are_none_get_their_code() {
    let sandbox = start().await;
    let mut update = question("example.com.", RecordType::SOA);
    update.metadata.op_code = OpCode::Update;
    let mut chaos = question("example.com.", RecordType::TXT);
    chaos.queries[0].query_class = DNSClass::CH;
    let mut version = question("example.com.", RecordType::SOA);
    let mut edns = Edns::new();
    edns.set_version(1);
    version.set_edns(edns);
    let cases = [
        (update, ResponseCode::NotImp),
        (chaos, ResponseCode::Refused),
        (version, ResponseCode::BADVERS),
        (question("example.com.", RecordType::AXFR), ResponseCode::Refused),
        (Message::query(), ResponseCode::FormErr),
    ];
    for (message, code) in cases {
        let answer = exchange(&sandbox, &message).await;
        // As numbers: BADVERS and BADSIG are two names of one (RFC 6895 §2.3).
        let codes = [answer.metadata.response_code, code].map(u16::from);
        assert_eq!(codes[0], codes[1]);
        assert!(answer.answers.is_empty());
    }
}

#[tokio::test]
async fn garbage_is_answered_with_formerr_or_not_at_all() {
    let sandbox = start().await;
    let server = sandbox.dns_addr();
    let mut garbage = vec![0xff; 40];
    garbage[2] = 0;
    let answer = udp(server, &garbage, DEADLINE).await.unwrap();
    let answer = Message::from_vec(&answer).unwrap();
    assert_eq!(answer.metadata.response_code, ResponseCode::FormErr);
    assert_eq!(answer.metadata.id, 0xffff);

    let mut response = question("example.com.", RecordType::SOA);
    response.metadata.message_type = MessageType::Response;
    let response = response.to_vec().unwrap();
    for silent in [&[][..], &[0; 11], &response] {
        assert_eq!(udp(server, silent, SILENCE).await, None);
    }
    assert_eq!(ask(&sandbox, "example.com.", RecordType::SOA).await.answers.len(), 1);
}

#[tokio::test]
async fn faults_of_the_server_happen_on_request() {
    let sandbox = start().await;
    sandbox.set_txt("a.example.com", &["x"]).unwrap();
    let name = "a.example.com.";

    sandbox.faults().set(Fault::DnsServfail, Times::Next(1));
    let failed = ask(&sandbox, name, RecordType::TXT).await;
    assert_eq!(failed.metadata.response_code, ResponseCode::ServFail);
    assert_eq!(ask(&sandbox, name, RecordType::TXT).await.answers.len(), 1);

    sandbox.faults().set(Fault::DnsDropped, Times::Next(1));
    let bytes = question(name, RecordType::TXT).to_vec().unwrap();
    assert_eq!(udp(sandbox.dns_addr(), &bytes, SILENCE).await, None);
    assert_eq!(ask(&sandbox, name, RecordType::TXT).await.answers.len(), 1);

    sandbox.faults().set(Fault::HideTxt, Times::Always);
    let hidden = ask(&sandbox, name, RecordType::TXT).await;
    assert_eq!(hidden.metadata.response_code, ResponseCode::NoError);
    assert!(hidden.answers.is_empty());
    assert_eq!(ask(&sandbox, "example.com.", RecordType::NS).await.answers.len(), 1);
    assert_eq!(sandbox.txt_records().len(), 1, "hidden, not gone");
    sandbox.faults().clear();
    assert_eq!(ask(&sandbox, name, RecordType::TXT).await.answers.len(), 1);
}

#[tokio::test]
async fn records_that_cannot_be_are_refused() {
    let sandbox = start().await;
    sandbox.set_cname("a.example.com", "b.example.com").unwrap();
    let refused = sandbox.set_txt("a.example.com", &["x"]);
    assert!(matches!(refused, Err(RecordError::Conflict { .. })));
    let refused = sandbox.set_cname("example.com", "b.example.com");
    assert!(matches!(refused, Err(RecordError::Conflict { .. })));
    let refused = sandbox.set_txt("a.example.org", &["x"]);
    assert!(matches!(refused, Err(RecordError::OutOfZone { .. })));
    let refused = sandbox.set_txt("b.example.com", &["x", "x"]);
    assert!(matches!(refused, Err(RecordError::Duplicate { .. })));
    let refused = sandbox.set_record("b.example.com", "A", &["not an address"]);
    assert!(matches!(refused, Err(RecordError::Content { .. })));
    let refused = sandbox.set_record("b.example.com", "NOTHING", &["x"]);
    assert!(matches!(refused, Err(RecordError::Content { .. })));
    let refused = sandbox.add_zone("a..b");
    assert!(matches!(refused, Err(RecordError::Name { .. })));
}
