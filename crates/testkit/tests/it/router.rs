use std::net::SocketAddr;
use std::time::{Duration, Instant};

use certkeep_testkit::peers::{
    Asked, Bind, DnsRouter, Fault, Knot, PowerDns, RecordType, ResponseCode, Transport, ask, free_port, txt,
};
use hickory_proto::op::{Message, Query};
use tokio::net::UdpSocket;

const BOTH: [Transport; 2] = [Transport::Udp, Transport::Tcp];

async fn code(server: SocketAddr, name: &str, qtype: RecordType) -> ResponseCode {
    ask(server, name, qtype, Transport::Udp).await.expect("the router answers").metadata.response_code
}

#[tokio::test]
async fn the_longest_zone_decides_who_is_asked() {
    let (outer, inner) = tokio::join!(Bind::start(&["example.test"]), Knot::start(&["inner.example.test"]));
    outer.tsig().update(outer.dns_addr(), "example.test", &["add a.example.test 60 TXT outer"]).await.unwrap();
    inner.tsig().update(inner.dns_addr(), "inner.example.test", &["add a.inner.example.test 60 TXT inner"]).await.unwrap();
    let router = DnsRouter::start([("example.test", outer.dns_addr()), ("inner.example.test.", inner.dns_addr())]).await;
    assert_eq!(txt(router.dns_addr(), "A.Example.TEST").await.unwrap(), ["outer"]);
    assert_eq!(txt(router.dns_addr(), "a.inner.example.test").await.unwrap(), ["inner"]);
    for transport in BOTH {
        let answer = ask(router.dns_addr(), "example.test", RecordType::SOA, transport).await.unwrap();
        assert!(answer.metadata.recursion_available && answer.metadata.authoritative);
    }
}

#[tokio::test]
async fn without_recursion_desired_the_answer_is_the_same() {
    let knot = Knot::start(&["example.test"]).await;
    let router = DnsRouter::start([("example.test", knot.dns_addr())]).await;
    let mut question = Message::query();
    question.add_query(Query::query("ns1.example.test.".parse().unwrap(), RecordType::A));
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let mut answers = Vec::new();
    for recursion_desired in [false, true] {
        question.metadata.recursion_desired = recursion_desired;
        socket.send_to(&question.to_vec().unwrap(), router.dns_addr()).await.unwrap();
        let mut answer = [0; 512];
        let length = socket.recv(&mut answer).await.unwrap();
        answers.push(Message::from_vec(&answer[..length]).unwrap());
    }
    assert!(answers[0].metadata.authoritative && answers[0].metadata.recursion_available);
    assert_eq!(answers[0].answers.len(), 1);
    assert_eq!(answers[0].answers, answers[1].answers);
}

#[tokio::test]
async fn updates_pass_through_with_their_signatures() {
    let bind = Bind::start(&["example.test"]).await;
    let router = DnsRouter::start([("example.test", bind.dns_addr())]).await;
    bind.tsig().update(router.dns_addr(), "example.test", &["add a.example.test 60 TXT through"]).await.unwrap();
    assert_eq!(bind.txt("a.example.test").await, ["through"]);
}

#[tokio::test]
async fn names_outside_all_routes_do_not_exist() {
    let router = DnsRouter::start([("example.test", ([127, 0, 0, 1], free_port()).into())]).await;
    for transport in BOTH {
        let answer = ask(router.dns_addr(), "www.example.com", RecordType::A, transport).await.unwrap();
        assert_eq!(answer.metadata.response_code, ResponseCode::NXDomain);
        assert!(answer.metadata.recursion_available);
        assert_eq!(answer.authorities[0].record_type(), RecordType::SOA);
    }
    // Above a zone a name exists without records.
    assert_eq!(code(router.dns_addr(), "test", RecordType::SOA).await, ResponseCode::NoError);
}

#[tokio::test]
async fn an_authority_that_is_down_is_a_server_failure() {
    let router = DnsRouter::start([("example.test", ([127, 0, 0, 1], free_port()).into())]).await;
    assert_eq!(code(router.dns_addr(), "www.example.test", RecordType::A).await, ResponseCode::ServFail);
}

#[tokio::test]
async fn an_alias_into_another_zone_is_followed() {
    let (powerdns, bind) = tokio::join!(PowerDns::start(&["example.test"]), Bind::start(&["delegated.net"]));
    powerdns.add_cname("_acme-challenge.www.example.test", "www.delegated.net").await;
    let router = DnsRouter::start([("example.test", powerdns.dns_addr()), ("delegated.net", bind.dns_addr())]).await;

    let before = ask(router.dns_addr(), "_acme-challenge.www.example.test", RecordType::TXT, Transport::Udp).await;
    assert_eq!(before.unwrap().metadata.response_code, ResponseCode::NXDomain);

    bind.tsig().update(bind.dns_addr(), "delegated.net", &["add www.delegated.net 60 TXT there"]).await.unwrap();
    router.forget();
    for transport in BOTH {
        let answer = ask(router.dns_addr(), "_acme-challenge.www.example.test", RecordType::TXT, transport).await.unwrap();
        let types: Vec<RecordType> = answer.answers.iter().map(|record| record.record_type()).collect();
        assert_eq!(types, [RecordType::CNAME, RecordType::TXT]);
        let asked = |name: &str, followed| Asked { name: name.into(), qtype: RecordType::TXT, transport, followed };
        let expected = [asked("_acme-challenge.www.example.test", false), asked("www.delegated.net", true)];
        assert_eq!(router.asked(), expected);
        router.forget();
    }
    // Who asks for the alias itself gets the alias.
    let alias = ask(router.dns_addr(), "_acme-challenge.www.example.test", RecordType::CNAME, Transport::Udp).await.unwrap();
    assert_eq!(alias.answers.len(), 1);
}

#[tokio::test]
async fn aliases_in_a_circle_are_a_server_failure() {
    let (powerdns, bind) = tokio::join!(PowerDns::start(&["example.test"]), Bind::start(&["delegated.net"]));
    powerdns.add_cname("a.example.test", "a.delegated.net").await;
    bind.tsig().update(bind.dns_addr(), "delegated.net", &["add a.delegated.net 60 CNAME a.example.test."]).await.unwrap();
    let router = DnsRouter::start([("example.test", powerdns.dns_addr()), ("delegated.net", bind.dns_addr())]).await;
    assert_eq!(code(router.dns_addr(), "a.example.test", RecordType::TXT).await, ResponseCode::ServFail);
}

#[tokio::test]
async fn faults_happen_where_and_as_often_as_told() {
    let knot = Knot::start(&["example.test"]).await;
    let router = DnsRouter::start([("example.test", knot.dns_addr())]).await;
    let server = router.dns_addr();

    router.inject(Fault::at("example.test").qtype(RecordType::TXT).code(ResponseCode::Refused).times(2));
    assert_eq!(code(server, "example.test", RecordType::A).await, ResponseCode::NoError);
    assert_eq!(code(server, "example.test", RecordType::TXT).await, ResponseCode::Refused);
    assert_eq!(code(server, "a.example.test", RecordType::TXT).await, ResponseCode::Refused);
    assert_eq!(code(server, "example.test", RecordType::TXT).await, ResponseCode::NoError);

    let delay = Duration::from_millis(120);
    router.inject(Fault::at(".").delay(delay));
    let began = Instant::now();
    assert_eq!(code(server, "example.test", RecordType::A).await, ResponseCode::NoError);
    assert!(began.elapsed() >= delay);
    router.heal();

    router.inject(Fault::at("example.test").silence());
    let silence = ask(server, "example.test", RecordType::A, Transport::Udp).await.unwrap_err();
    assert_eq!(silence.kind(), std::io::ErrorKind::TimedOut);
    ask(server, "example.test", RecordType::A, Transport::Tcp).await.unwrap_err();
    router.heal();
    assert_eq!(code(server, "example.test", RecordType::A).await, ResponseCode::NoError);
}
