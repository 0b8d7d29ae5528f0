//! The cluster exam: three nodes on one PostgreSQL apply and renew while they are killed, stopped for longer than their leases
//! last, and started again; while the database is restarted, and the network between it and each node is held up, cut, half
//! closed or loses its connections without a word.
//!
//! A person runs it longer by `./test --long cluster_exam`, or with `CERTKEEP_CLUSTER=300` (applications) in the environment,
//! and repeats a run with the seed that it printed in `CERTKEEP_SEED` (the draws are the same then, the machine's time is not).
//!
//! Nobody waits for the minutes that a lease lasts: the exam has all leases end when a node is stopped or killed, those of the
//! other nodes too, as if everybody had been stopped for so long. So every node loses leases in the midst of its work.
//!
//! The rules are those of the kill exam (`exam.rs`): what can succeed is issued and does not fail on the way, the CA has issued
//! one certificate for each version in the store and none besides, no answered order is lost, at the end no TXT record stands
//! and no lease is out; and a token that was taken at one node works at all.
use std::env;
use std::fs;
use std::time::Duration;

use certkeep_core::time::{Clock, SystemClock};
use certkeep_sandbox::{Options, Sandbox};
use certkeep_testkit::peers::{PostgresServer, TcpProxy};
use certkeep_testkit::wait::{PATIENCE, eventually, within};
use serde_json::Value;
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use super::exam::{Chance, application, setting};
use super::process::{Client, Process, add_client, configure};

/// The applications of a run that nobody asked to be longer.
const APPLICATIONS: u64 = 60;
/// How many come in before each blow.
const AT_ONCE: u64 = 5;
/// The time to renew what is held comes after so many blows.
const RENEWAL: usize = 4;
/// The latest that a blow falls after the applications came in: a step or two.
const LATEST: u64 = 900;
/// How long a node is stopped at most while another takes its work over, and a network held up.
const STOP: Duration = Duration::from_secs(2);
/// How often a service is started that ends before it is ready.
const STARTS: usize = 4;
/// How long the work that is left may take once nothing is in its way, and whatever waits for the lock of a node that is gone.
const QUIET: Duration = Duration::from_secs(200);

/// What happens to a node, or to all.
#[derive(Clone, Copy, Debug)]
enum Blow {
    Cut,
    HalfClose,
    Kill,
    Lose,
    Restart,
    Stall,
    Stop,
}

/// One after the other, from the beginning when they are through.
const BLOWS: [Blow; 12] = [
    Blow::Stop,
    Blow::Kill,
    Blow::Cut,
    Blow::Restart,
    Blow::Stop,
    Blow::Stall,
    Blow::Kill,
    Blow::HalfClose,
    Blow::Stop,
    Blow::Restart,
    Blow::Lose,
    Blow::Kill,
];

/// A node with its own way to the database.
struct Node {
    folder: TempDir,
    proxy: TcpProxy,
    process: Process,
}

struct Cluster {
    sandbox: Sandbox,
    postgres: PostgresServer,
    nodes: Vec<Node>,
    client: Client,
    complaints: Vec<String>,
    /// Leases that another node took over.
    taken_over: u64,
}

impl Cluster {
    async fn start() -> Cluster {
        let zones = vec!["example.com".to_owned(), "example.net".to_owned()];
        let sandbox = Sandbox::start(Options { zones, ..Options::default() }).await.expect("the sandbox starts");
        sandbox.faults().refuse_name("refused.example.com");
        sandbox.faults().set_validation_delay(Duration::from_millis(100));
        sandbox.faults().set_issuance_delay(Duration::from_millis(100));
        let postgres = PostgresServer::start().await;
        let (mut nodes, mut client): (Vec<Node>, _) = (Vec::new(), None);
        for _ in 0..3 {
            let (folder, proxy) = (TempDir::new().expect("a folder"), TcpProxy::start(postgres.address()).await);
            let url = postgres.url_by(proxy.address());
            configure(folder.path(), &sandbox, &format!("[store]\nurl = {url:?}\n[log]\nformat = \"json\"\n"));
            match nodes.first() {
                None => client = Some(add_client(folder.path())),
                Some(first) => {
                    let key = |folder: &TempDir| folder.path().join("sealing.key");
                    fs::copy(key(&first.folder), key(&folder)).expect("the key is copied");
                }
            }
            let process = started(&folder);
            nodes.push(Node { folder, proxy, process });
        }
        let client = client.expect("the first node has added it");
        Cluster { sandbox, postgres, nodes, client, complaints: Vec::new(), taken_over: 0 }
    }

    fn ask(&self, statement: &str) -> String {
        self.postgres.ask(statement).trim().to_owned()
    }

    fn count(&self, statement: &str) -> u64 {
        self.ask(statement).parse().expect("a number")
    }

    /// The time that a lease lasts is over.
    fn end_leases(&self) {
        self.ask("UPDATE issuances SET due_at = started_at WHERE due_at IS NOT NULL");
    }

    /// Has an application come in at a node, or at the next one that can keep it.
    async fn apply(&self, first: u64, auth: &str, application: &Value) {
        let mut node = usize::try_from(first).expect("a small number");
        eventually(PATIENCE, "a node that takes an application", || {
            node += 1;
            let process = &self.nodes[node % self.nodes.len()].process;
            async {
                let created = process.call("certificate/create", auth, Some(application.clone())).await;
                (created["errcode"] == 0).then_some(()).or_else(|| {
                    assert_eq!(created["errcode"], -2, "{created}");
                    None
                })
            }
        })
        .await;
    }

    async fn strike(&mut self, blow: Blow, at: usize) {
        match blow {
            Blow::Cut => self.nodes[at].proxy.cut(),
            Blow::HalfClose => self.nodes[at].proxy.half_close(),
            Blow::Lose => self.nodes[at].proxy.lose(),
            Blow::Kill => {
                self.nodes[at].process.signal("KILL");
                self.end_leases();
                self.replace(at);
            }
            Blow::Restart => {
                self.postgres.stop();
                self.postgres.resume().await;
            }
            Blow::Stall => {
                self.nodes[at].proxy.stall();
                // As long as it lasts: what is held up comes late then.
                sleep(STOP).await;
                self.nodes[at].proxy.resume();
            }
            Blow::Stop => {
                let fences = "SELECT COALESCE(SUM(fence - 1), 0) FROM issuances WHERE fence > 1";
                self.nodes[at].process.signal("STOP");
                self.end_leases();
                let before = self.count(fences);
                let taken = within(STOP, || async { Some(self.count(fences)).filter(|now| *now > before) }).await;
                self.taken_over += taken.map_or(0, |now| now - before);
                self.nodes[at].process.signal("CONT");
            }
        }
    }

    fn note(&mut self, line: &Value) {
        if line["level"] != "DEBUG" && line["level"] != "INFO" {
            self.complaints.push(line.to_string());
        }
    }

    /// Ends every node in order and starts it anew: it looks for work then.
    async fn restart(&mut self) {
        for at in 0..self.nodes.len() {
            self.nodes[at].process.signal("TERM");
            self.nodes[at].process.wait();
            self.end_leases();
            self.replace(at);
        }
    }

    /// Starts a node that was told to end, and notes what it has said.
    fn replace(&mut self, at: usize) {
        let new = started(&self.nodes[at].folder);
        for line in std::mem::replace(&mut self.nodes[at].process, new).ended() {
            self.note(&line);
        }
    }

    /// Waits until every entry has its certificate or failure, and no issuance runs or is due.
    async fn quiet(&self) -> Vec<Value> {
        let settled = |row: &Value| match row["apply_status"].as_str() {
            Some("issuance_success") => row["expiration"] != "-",
            Some("issuance_fail") => row["expiration"] == "-" && row["apply_tip_code"] == 402,
            _ => false,
        };
        let auth = self.nodes[0].process.login(&self.client).await;
        let query = format!("{auth}&page_size=1000&sort_by=id");
        let done = within(QUIET, || async {
            let mut list = self.nodes[1].process.call("certificate/list", &query, None).await;
            let Value::Array(rows) = list["certificate_list"].take() else { panic!("no list: {list}") };
            let running = self.count(
                "SELECT (SELECT count(*) FROM issuances WHERE due_at IS NOT NULL)
                      + (SELECT count(*) FROM certificates WHERE next_issuance_at = 0)",
            );
            (rows.iter().all(settled) && running == 0).then_some(rows)
        })
        .await;
        done.unwrap_or_else(|| {
            let open = self.ask("SELECT id, step, fence, due_at FROM issuances WHERE due_at IS NOT NULL");
            let failed = self.ask("SELECT name, status, failure FROM certificates WHERE status <> 'issuance_success'");
            panic!("not over after {QUIET:?}: {open}\n{failed}\n{:#?}", self.complaints);
        })
    }
}

/// A service that ends because the database does not answer in time is started again by whoever watches over it.
fn started(folder: &TempDir) -> Process {
    for _ in 0..STARTS {
        let mut process = Process::spawn(folder.path());
        if process.becomes_ready() {
            return process;
        }
    }
    Process::start(folder.path())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cluster_exam() {
    let applications = setting("CERTKEEP_CLUSTER").unwrap_or(APPLICATIONS);
    let seed = setting("CERTKEEP_SEED").unwrap_or_else(|| SystemClock.now().as_microsecond().unsigned_abs());
    println!("{applications} applications, CERTKEEP_SEED={seed}");
    let (mut chance, begun) = (Chance(seed), Instant::now());
    let mut cluster = Cluster::start().await;
    let auth = cluster.nodes[0].process.login(&cluster.client).await;
    let key = cluster.sandbox.dns_api_key().to_owned();
    let refused = application(&cluster.sandbox, "refused.example.com", &key);
    cluster.apply(0, &auth, &refused).await;
    for (round, first) in (0..applications).step_by(usize::try_from(AT_ONCE).expect("a small number")).enumerate() {
        for n in first..applications.min(first + AT_ONCE) {
            let names =
                if n % 3 == 0 { format!("*.pbx{n}.example.com,pbx{n}.example.com") } else { format!("pbx{n}.example.net") };
            let application = application(&cluster.sandbox, &names, &key);
            cluster.apply(chance.below(3), &auth, &application).await;
        }
        // The instant is drawn, not waited for anything.
        sleep(Duration::from_millis(chance.below(LATEST))).await;
        let at = usize::try_from(chance.below(3)).expect("a small number");
        if round % RENEWAL == RENEWAL - 1 {
            cluster.ask("UPDATE certificates SET next_issuance_at = 0 WHERE status = 'issuance_success'");
        }
        cluster.strike(BLOWS[round % BLOWS.len()], at).await;
    }
    let striking = begun.elapsed();

    cluster.restart().await;
    let rows = cluster.quiet().await;
    // And what was removed under another lease than it was put up is removed once more: an hour later, which is over.
    let late = cluster.count("SELECT count(*) FROM challenge_records WHERE removed = 1");
    cluster.ask("UPDATE challenge_records SET due_at = 0 WHERE due_at IS NOT NULL");
    cluster.restart().await;
    eventually(QUIET, "the journal to be empty", || async {
        (cluster.count("SELECT count(*) FROM challenge_records") == 0).then_some(())
    })
    .await;
    let auth = cluster.nodes[2].process.login(&cluster.client).await;
    for node in &cluster.nodes {
        let list = node.process.call("certificate/list", &format!("{auth}&page_size=1000"), None).await;
        assert_eq!(list["certificate_list"].as_array().map(Vec::len), Some(rows.len()), "{list}");
    }

    let complaints = &cluster.complaints;
    let failures = rows.iter().filter(|row| row["apply_status"] != "issuance_success").count();
    let number = |name: &str| cluster.count(&format!("SELECT last FROM numbers WHERE name = '{name}'"));
    let (issuances, versions) = (number("issuances"), number("versions"));
    let placed = cluster.sandbox.placed();
    let unfinished: Vec<_> = placed.iter().filter(|order| !order.certified).collect();
    println!(
        "{striking:.0?} of blows, {:.0?} in all; {issuances} issuances, {} taken over from who was stopped, {late} records looked at \
         once more, {} orders, {} without a certificate, {} certificates issued, {versions} kept; {} complaints",
        begun.elapsed(),
        cluster.taken_over,
        placed.len(),
        unfinished.len(),
        cluster.sandbox.issued(),
        complaints.len(),
    );
    if env::var_os("CERTKEEP_COMPLAINTS").is_some() {
        println!("{complaints:#?}");
    }
    assert_eq!(failures, 1, "only the name that the CA refuses fails");
    assert!(rows.len() as u64 > applications);
    assert_eq!(issuances - versions, 1, "blows alone fail nothing: {complaints:#?}");
    assert_eq!(cluster.sandbox.issued() as u64, versions, "one certificate for each version: {complaints:#?}");
    assert!(unfinished.iter().all(|order| !order.answered), "{unfinished:?}");
    assert_eq!(cluster.sandbox.txt_records(), []);
    let running = "SELECT count(*) FROM issuances WHERE due_at IS NOT NULL";
    assert_eq!(cluster.count(running), 0, "no lease is out");
    let doubled = "SELECT count(*) FROM (SELECT 1 FROM certificates GROUP BY name HAVING count(*) > 1) AS doubled";
    assert_eq!(cluster.count(doubled), 0);
    let held = "SELECT count(*) FROM certificates c WHERE c.status = 'issuance_success'
                AND NOT EXISTS (SELECT 1 FROM versions v WHERE v.id = c.current_version AND v.certificate_id = c.id)";
    assert_eq!(cluster.count(held), 0, "whatever is issued holds its version");

    // The exam examined what it says it does.
    if applications >= APPLICATIONS {
        assert!(cluster.taken_over > 0, "nobody took over from who was stopped");
        assert!(versions > applications, "there were renewals");
        assert!(late > 0, "no record was put up under one lease and removed under another");
    }
}
