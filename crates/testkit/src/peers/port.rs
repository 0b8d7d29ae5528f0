//! Free loopback ports.
use std::collections::BTreeSet;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::sync::Mutex;

/// Ports this process has handed out. A peer binds some time after its port was picked; until then the kernel may
/// offer the same port to the next caller.
static HANDED_OUT: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());

/// A loopback port that is free for UDP and TCP at this moment and was not handed out by this process before.
///
/// Another process may take it before it is bound, so whoever starts a server on it must be ready to try again.
pub fn free_port() -> u16 {
    #[cfg(test)]
    if let Some(port) = tests::forced() {
        return port;
    }
    loop {
        let (udp, _tcp) = bind_pair();
        let port = udp.local_addr().expect("a bound socket has an address").port();
        if HANDED_OUT.lock().expect("no holder of the set panics").insert(port) {
            return port;
        }
    }
}

/// `port` on loopback.
pub(super) fn loopback(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

/// A UDP and a TCP socket on one loopback port of the kernel's choice.
pub(super) fn bind_pair() -> (UdpSocket, TcpListener) {
    loop {
        let udp = UdpSocket::bind(loopback(0)).expect("loopback has a free UDP port");
        let address = udp.local_addr().expect("a bound socket has an address");
        match TcpListener::bind(address) {
            Ok(tcp) => return (udp, tcp),
            // The kernel chose the port for UDP alone.
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
            Err(error) => panic!("{address} cannot be bound for TCP: {error}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::collections::VecDeque;

    use super::*;
    use crate::peers::{Bind, Knot, Pebble, PebbleOptions, PowerDns};

    thread_local! {
        /// What [`free_port`] answers first on this thread.
        static FORCED: RefCell<VecDeque<u16>> = const { RefCell::new(VecDeque::new()) };
    }

    pub(super) fn forced() -> Option<u16> {
        FORCED.with_borrow_mut(VecDeque::pop_front)
    }

    /// A socket pair on a port that the next peer will be handed, after `before` good ones.
    struct Thief {
        _sockets: (UdpSocket, TcpListener),
        stolen: SocketAddr,
    }

    fn thief(before: usize) -> Thief {
        let sockets = bind_pair();
        let stolen = sockets.0.local_addr().unwrap();
        let mut ports: VecDeque<u16> = (0..before).map(|_| free_port()).collect();
        ports.push_back(stolen.port());
        FORCED.set(ports);
        Thief { _sockets: sockets, stolen }
    }

    #[test]
    fn no_port_is_handed_out_twice() {
        let ports: BTreeSet<u16> = (0..200).map(|_| free_port()).collect();
        assert_eq!(ports.len(), 200);
    }

    #[tokio::test]
    async fn each_peer_survives_the_loss_of_its_port() {
        let dns = thief(0);
        assert_ne!(Bind::start(&["example.test"]).await.dns_addr(), dns.stolen);

        let dns = thief(0);
        assert_ne!(Knot::start(&["example.test"]).await.dns_addr(), dns.stolen);

        let dns = thief(0);
        assert_ne!(PowerDns::start(&["example.test"]).await.dns_addr(), dns.stolen);

        let api = thief(1);
        assert_ne!(PowerDns::start(&["example.test"]).await.api_url(), format!("http://{}", api.stolen));

        let acme = thief(0);
        let pebble = Pebble::start(PebbleOptions::new(acme.stolen)).await;
        assert_ne!(pebble.directory_url(), format!("https://{}/dir", acme.stolen));

        let management = thief(1);
        let pebble = Pebble::start(PebbleOptions::new(management.stolen)).await;
        assert_ne!(pebble.management_url(), format!("https://{}", management.stolen));
    }
}
