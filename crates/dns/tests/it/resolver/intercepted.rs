//! Networks that answer in the name servers' place, or let nobody through to them; and the name servers themselves.
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use certkeep_core::failure::Code;
use certkeep_core::ports::Resolver;
use certkeep_dns::resolver::{Authoritative, DnsResolver, ResolverOptions};
use certkeep_testkit::peers::{RecordType, ResponseCode, free_port};
use serde_json::Value;

use super::stage::{Answer, Doh, Server};
use super::{OWNER, dead, record, within, zone};

/// Who stands where in a test: everybody answers at the same port, as name servers do.
struct Stage {
    port: u16,
    /// The recursive resolver, which knows the zone's name servers.
    recursive: Server,
}

const V6: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);

fn v4(last: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(127, 0, 0, last))
}

impl Stage {
    /// A zone with these name servers, each with its addresses. The mname of its SOA is none of them and never asked.
    async fn set(servers: &[(&str, &[IpAddr])]) -> Stage {
        let servers: Vec<(String, Vec<IpAddr>)> =
            servers.iter().map(|(name, all)| (format!("{name}.example.test"), all.to_vec())).collect();
        let recursive = Server::start(move |question, _| {
            let query = &question.queries[0];
            let owner = query.name().to_ascii().to_ascii_lowercase();
            let found = servers.iter().find(|(name, _)| owner == format!("{name}."));
            match (query.query_type(), found) {
                (RecordType::NS, _) => Answer::ns(servers.iter().map(|(name, _)| name.as_str())),
                (RecordType::A, Some((_, all))) => Answer::addresses(all.iter().filter(|address| address.is_ipv4())),
                (RecordType::AAAA, Some((_, all))) => Answer::addresses(all.iter().filter(|address| address.is_ipv6())),
                _ => Answer::code(ResponseCode::NXDomain),
            }
        })
        .await;
        Stage { port: free_port(), recursive }
    }

    fn options(&self) -> ResolverOptions {
        ResolverOptions {
            servers: vec![self.recursive.address()],
            authoritative: Authoritative::DiscoveredAt(self.port),
            https: Vec::new(),
            extra_roots: Vec::new(),
            nowhere: vec![dead()],
        }
    }

    async fn server(&self, address: IpAddr, answer: impl Fn(usize) -> Answer + Send + 'static) -> Server {
        Server::start_at(SocketAddr::new(address, self.port), move |_, asked| answer(asked)).await
    }
}

/// What the wait for a record comes to, and how long it took.
async fn wait(options: ResolverOptions, timeout: u64) -> (Result<Vec<String>, (Code, Vec<String>)>, Duration) {
    let resolver = DnsResolver::new(options).unwrap();
    let started = Instant::now();
    let seen = resolver.await_visible(&zone("example.test", Value::Null), &[record(OWNER, "v")], within(timeout)).await;
    let seen = seen.map(|sighting| sighting.facts).map_err(|failure| (failure.code, failure.evidence.facts));
    (seen, started.elapsed())
}

fn resolvers_answer(values: &'static [&'static str]) -> impl Fn(usize) -> Answer + Send + 'static {
    move |_| Answer::txt(values).second_hand()
}

#[tokio::test]
async fn every_name_server_is_asked_at_its_addresses_of_both_kinds() {
    let stage = Stage::set(&[("ns1", &[v4(1), V6]), ("ns2", &[v4(2)])]).await;
    let first = stage.server(v4(1), |_| Answer::txt(&["v"])).await;
    let first6 = stage.server(V6, |asked| if asked < 2 { Answer::txt(&["old"]) } else { Answer::txt(&["v"]) }).await;
    let second = stage.server(v4(2), |_| Answer::txt(&["v"])).await;
    let (seen, _) = wait(stage.options(), 10_000).await;
    let facts = seen.unwrap();
    assert_eq!(facts.len(), 3, "{facts:?}");
    assert!(facts.iter().all(|fact| fact.contains("shows")), "{facts:?}");
    assert!(facts[1].contains(&format!("[::1]:{}", stage.port)), "{facts:?}");
    // The address that was behind was waited for; the hidden primary, which no NS record names, does not exist here.
    assert_eq!((first.asked(), first6.asked(), second.asked()), (1, 3, 1));
}

#[tokio::test]
async fn a_name_server_that_is_down_is_passed_over_and_the_trace_says_so() {
    let stage = Stage::set(&[("ns1", &[v4(1)]), ("ns2", &[v4(2)])]).await;
    let _first = stage.server(v4(1), |_| Answer::txt(&["v"])).await;
    let (seen, took) = wait(stage.options(), 1000).await;
    assert!(took >= Duration::from_millis(500), "{took:?}");
    let facts = seen.unwrap();
    assert!(facts[1].starts_with("ns2.example.test (127.0.0.2:"), "{facts:?}");
    assert_eq!(facts[2], "passed over, since they do not answer: ns2.example.test");
}

#[tokio::test]
async fn a_resolver_in_the_name_servers_place_is_no_witness() {
    // A name server that is set up as a resolver too, in a network where nobody intercepts anything.
    let stage = Stage::set(&[("ns1", &[v4(1)]), ("ns2", &[v4(2)])]).await;
    let _lame = stage.server(v4(1), resolvers_answer(&["v"])).await;
    let (seen, _) = wait(stage.options(), 600).await;
    let (code, facts) = seen.unwrap_err();
    assert_eq!(code, Code::RecordNotVisible);
    assert!(facts[1].contains("what answers is a resolver"), "{facts:?}");
    let _good = stage.server(v4(2), |_| Answer::txt(&["v"])).await;
    let (seen, _) = wait(stage.options(), 600).await;
    assert!(seen.unwrap().last().unwrap().ends_with(": ns1.example.test"));
}

#[tokio::test]
async fn where_port_53_is_intercepted_https_is_asked() {
    let stage = Stage::set(&[("ns1", &[v4(1)])]).await;
    let _interceptor = stage.server(v4(1), resolvers_answer(&["v"])).await;
    let nowhere = Server::start(|_, _| Answer::code(ResponseCode::Refused)).await;
    let doh = Doh::start(|asked| if asked < 2 { Answer::txt(&["old"]) } else { Answer::txt(&["old", "v"]) }).await;
    let options = ResolverOptions { https: vec![doh.url.clone()], nowhere: vec![nowhere.address()], ..stage.options() };
    let (seen, took) = wait(options.clone(), 20_000).await;
    let facts = seen.unwrap();
    assert!(took < Duration::from_secs(10), "{took:?}");
    assert_eq!(facts[0], format!("port 53 is intercepted: {} answers, where no server can be", nowhere.address()));
    assert!(facts.last().unwrap().starts_with("127.0.0.1 shows"), "{facts:?}");
    assert_eq!(doh.asked(), 3);

    // It is believed also where it does not show the record.
    let never = Doh::start(|_| Answer::code(ResponseCode::NXDomain)).await;
    let (seen, took) = wait(ResolverOptions { https: vec![never.url.clone()], ..options }, 1500).await;
    let (code, facts) = seen.unwrap_err();
    assert_eq!(code, Code::RecordNotVisible);
    assert!(took >= Duration::from_millis(1500), "{took:?}");
    assert!(facts[1].starts_with("port 53 is intercepted") && facts.last().unwrap().contains("has no TXT record"), "{facts:?}");
}

#[tokio::test]
async fn where_nobody_can_be_asked_the_whole_time_is_waited() {
    let stage = Stage::set(&[("ns1", &[v4(1)])]).await;
    let _interceptor = stage.server(v4(1), resolvers_answer(&[])).await;
    let nowhere = Server::start(|_, _| Answer::txt(&[])).await;
    let shut = format!("http://{}/dns-query", dead());
    for https in [vec![], vec![shut]] {
        let options = ResolverOptions { https, nowhere: vec![nowhere.address()], ..stage.options() };
        let (seen, took) = wait(options, 1500).await;
        assert!(took >= Duration::from_millis(1500), "{took:?}");
        assert_eq!(seen.unwrap().last().unwrap(), "nobody could be asked; 1.5 s were waited");
    }
}

#[tokio::test]
async fn an_interceptor_that_forges_the_mark_of_authority_is_found_after_half_of_the_time() {
    let stage = Stage::set(&[("ns1", &[v4(1)])]).await;
    let _interceptor = stage.server(v4(1), |_| Answer::code(ResponseCode::NXDomain)).await;
    let nowhere = Server::start(|_, _| Answer::code(ResponseCode::NXDomain)).await;
    let doh = Doh::start(|_| Answer::txt(&["v"])).await;
    let options = ResolverOptions { https: vec![doh.url.clone()], nowhere: vec![nowhere.address()], ..stage.options() };
    let (seen, took) = wait(options, 3000).await;
    assert!(seen.unwrap()[0].starts_with("port 53 is intercepted"));
    assert!(took >= Duration::from_millis(1500), "{took:?}");
    // Where nobody else can be asked, what bears the mark is believed, and the failure tells of the other as well.
    let options = ResolverOptions { nowhere: vec![nowhere.address()], ..stage.options() };
    let (seen, _) = wait(options, 1000).await;
    let (code, facts) = seen.unwrap_err();
    assert_eq!(code, Code::RecordNotVisible);
    assert!(facts[1].starts_with("port 53 is intercepted") && facts[2].contains("no TXT record"), "{facts:?}");
}

#[tokio::test]
async fn where_no_name_server_answers_at_all_https_is_asked() {
    let stage = Stage::set(&[("ns1", &[v4(1)]), ("ns2", &[v4(2)])]).await;
    let doh = Doh::start(|_| Answer::txt(&["v"])).await;
    let options = ResolverOptions { https: vec![doh.url.clone()], ..stage.options() };
    let (seen, took) = wait(options, 1000).await;
    assert_eq!(seen.unwrap()[0], "no name server answers at all");
    assert!(took >= Duration::from_millis(500), "{took:?}");
    // Without one it fails, and tells of each server.
    let (seen, _) = wait(stage.options(), 600).await;
    assert_eq!(seen.unwrap_err().1.len(), 3);
}

#[tokio::test]
async fn what_no_resolver_by_https_says_is_no_answer() {
    let stage = Stage::set(&[("ns1", &[v4(1)])]).await;
    for (answer, words) in [
        (Doh::start_raw("HTTP/1.1 503 x\r\nconnection: close\r\ncontent-length: 0\r\n\r\n").await, "HTTP status 503"),
        (Doh::start_raw("HTTP/1.1 200 x\r\nconnection: close\r\ncontent-length: 4\r\n\r\nhtml").await, "unreadable"),
    ] {
        let options = ResolverOptions { https: vec![answer.url.clone()], ..stage.options() };
        let (seen, _) = wait(options, 600).await;
        let (code, facts) = seen.unwrap_err();
        assert_eq!(code, Code::RecordNotVisible);
        assert!(facts.last().unwrap().contains(words), "{facts:?}");
    }
}
