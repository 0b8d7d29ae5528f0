//! The sandbox's own beginning and end.

use std::net::SocketAddr;
use std::time::Instant;

use certkeep_sandbox::{Options, Sandbox, SandboxError};
use tokio::net::{TcpListener, UdpSocket};

use crate::acme_client::{Client, DEADLINE};

fn address(url: &str) -> SocketAddr {
    let rest = url.split_once("//").unwrap().1;
    rest.split('/').next().unwrap().parse().unwrap()
}

fn addresses(sandbox: &Sandbox) -> [SocketAddr; 3] {
    [address(sandbox.directory_url()), sandbox.dns_addr(), address(sandbox.dns_api_url())]
}

fn at(ports: [SocketAddr; 3]) -> Options {
    let [acme_port, dns_port, dns_api_port] = ports.map(|address| address.port());
    Options { acme_port, dns_port, dns_api_port, ..Options::default() }
}

#[tokio::test]
async fn a_stopped_sandbox_leaves_its_ports_to_the_next() {
    let sandbox = Sandbox::start(Options::default()).await.unwrap();
    Client::registered(&sandbox).await;
    let ports = addresses(&sandbox);
    sandbox.stop().await;
    let next = Sandbox::start(at(ports)).await.unwrap();
    assert_eq!(addresses(&next), ports);
    Client::registered(&next).await;
}

#[tokio::test]
async fn a_dropped_sandbox_leaves_nothing_behind() {
    let sandbox = Sandbox::start(Options::default()).await.unwrap();
    Client::registered(&sandbox).await;
    let [acme, dns, api] = addresses(&sandbox);
    drop(sandbox);
    let end = Instant::now() + DEADLINE;
    let free = async |port| TcpListener::bind(port).await.is_ok();
    while !(free(acme).await && free(api).await && free(dns).await && UdpSocket::bind(dns).await.is_ok()) {
        assert!(Instant::now() < end, "a port is still taken");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_port_that_is_taken_is_said() {
    let sandbox = Sandbox::start(Options::default()).await.unwrap();
    let refused = Sandbox::start(at(addresses(&sandbox))).await.err().unwrap();
    assert!(matches!(refused, SandboxError::Listen { .. }), "{refused}");
    let options = Options { zones: vec!["no zone".to_owned()], ..Options::default() };
    let refused = Sandbox::start(options).await.err().unwrap();
    assert!(matches!(refused, SandboxError::Zone(_)), "{refused}");
}
