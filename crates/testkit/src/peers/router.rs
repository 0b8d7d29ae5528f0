//! One address for the whole tree of test zones: a resolver without a cache, with faults on request.
//!
//! Each question goes to the authority of its zone and the answer comes back unchanged but for "recursion available".
//! Nothing is cached, since a forwarder that keeps an answer for a moment makes quick cycles of add and remove
//! unreliable. An alias into another zone is followed, as a resolver's clients expect. A question without "recursion
//! desired" is answered alike, so the router can also play the authoritative servers of every zone. Names outside
//! all routes do not exist: nothing ever leaves loopback.
mod answer;
mod serve;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::{Name, RecordType};
use tokio::sync::oneshot;

use super::ask::fully_qualified;
use super::exchange::Transport;
use super::port::bind_pair;

/// A running router. It lives on a thread of its own, so a test that blocks does not stop it.
#[derive(Debug)]
pub struct DnsRouter {
    address: SocketAddr,
    state: Arc<State>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// What goes wrong for some questions, until [`DnsRouter::heal`] or until it has happened as often as it shall.
#[derive(Clone, Debug)]
pub struct Fault {
    suffix: Name,
    qtype: Option<RecordType>,
    delay: Duration,
    effect: Effect,
    times: Option<u32>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Effect {
    /// The question takes its usual way.
    Pass,
    /// The asker hears nothing.
    Drop,
    /// The asker hears this and no record.
    Code(ResponseCode),
}

/// A question the router was asked.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Asked {
    /// The name in lower case, without the final dot.
    pub name: String,
    /// The type asked for.
    pub qtype: RecordType,
    /// How the question came.
    pub transport: Transport,
    /// Whether the router asked it by itself, on behalf of an alias in an earlier answer.
    pub followed: bool,
}

#[derive(Debug, Default)]
struct State {
    routes: Mutex<Vec<(Name, SocketAddr)>>,
    faults: Mutex<Vec<Fault>>,
    asked: Mutex<Vec<Asked>>,
}

impl DnsRouter {
    /// Starts a router that sends questions for each zone, and all names in it, to the zone's authority.
    pub async fn start<'a>(routes: impl IntoIterator<Item = (&'a str, SocketAddr)>) -> Self {
        let (udp, tcp) = bind_pair();
        let address = udp.local_addr().expect("a bound socket has an address");
        let state = Arc::new(State::default());
        let (stop, stopped) = oneshot::channel();
        let (started, running) = oneshot::channel();
        let served = Arc::clone(&state);
        let thread = thread::Builder::new()
            .name("dns-router".into())
            .spawn(move || serve::run(udp, tcp, served, started, stopped))
            .expect("a thread can be started");
        let router = Self { address, state, stop: Some(stop), thread: Some(thread) };
        for (zone, authority) in routes {
            router.route(zone, authority);
        }
        running.await.expect("the router's thread takes over the sockets");
        router
    }

    /// Where it answers, by UDP and TCP.
    pub fn dns_addr(&self) -> SocketAddr {
        self.address
    }

    /// Sends questions for `zone` and all names in it to `authority` from now on; of several zones the longest wins.
    pub fn route(&self, zone: &str, authority: SocketAddr) {
        let zone = fully_qualified(zone);
        let mut routes = lock(&self.state.routes);
        routes.retain(|(known, _)| *known != zone);
        routes.push((zone, authority));
    }

    /// Lets `fault` happen from now on; of several that fit a question, the one injected first.
    pub fn inject(&self, fault: Fault) {
        lock(&self.state.faults).push(fault);
    }

    /// Ends all faults.
    pub fn heal(&self) {
        lock(&self.state.faults).clear();
    }

    /// All questions since the start or the last [`DnsRouter::forget`], in the order of their arrival; also those that
    /// a fault swallowed.
    pub fn asked(&self) -> Vec<Asked> {
        lock(&self.state.asked).clone()
    }

    /// Empties the list of questions.
    pub fn forget(&self) {
        lock(&self.state.asked).clear();
    }
}

impl Drop for DnsRouter {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            // Fails only if the thread has ended before.
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Fault {
    /// A fault for `suffix` and all names below it; `.` is all names. It does nothing yet.
    pub fn at(suffix: &str) -> Self {
        Self { suffix: fully_qualified(suffix), qtype: None, delay: Duration::ZERO, effect: Effect::Pass, times: None }
    }

    /// Only for questions of this type.
    pub fn qtype(self, qtype: RecordType) -> Self {
        Self { qtype: Some(qtype), ..self }
    }

    /// Holds the question back for `delay` before anything else happens to it.
    pub fn delay(self, delay: Duration) -> Self {
        Self { delay, ..self }
    }

    /// Answers with `code` and no record.
    pub fn code(self, code: ResponseCode) -> Self {
        Self { effect: Effect::Code(code), ..self }
    }

    /// Never answers.
    pub fn silence(self) -> Self {
        Self { effect: Effect::Drop, ..self }
    }

    /// Ends after `times` questions.
    pub fn times(self, times: u32) -> Self {
        Self { times: Some(times), ..self }
    }
}

impl State {
    /// The authority of `name`: that of the longest zone that ends it.
    fn authority(&self, name: &Name) -> Option<SocketAddr> {
        lock(&self.routes)
            .iter()
            .filter(|(zone, _)| zone.zone_of(name))
            .max_by_key(|(zone, _)| zone.num_labels())
            .map(|&(_, authority)| authority)
    }

    /// Whether a zone lies below `name`, which then exists without having records (RFC 8020 §2).
    fn has_zone_below(&self, name: &Name) -> bool {
        lock(&self.routes).iter().any(|(zone, _)| name.zone_of(zone))
    }

    /// What shall go wrong with this question; counts it.
    fn fault(&self, name: &Name, qtype: RecordType) -> (Duration, Effect) {
        let mut faults = lock(&self.faults);
        let fits =
            |fault: &Fault| fault.times != Some(0) && fault.suffix.zone_of(name) && fault.qtype.is_none_or(|only| only == qtype);
        let Some(fault) = faults.iter_mut().find(|fault| fits(fault)) else {
            return (Duration::ZERO, Effect::Pass);
        };
        if let Some(left) = &mut fault.times {
            *left -= 1;
        }
        (fault.delay, fault.effect)
    }
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().expect("no holder of the router's state panics")
}
