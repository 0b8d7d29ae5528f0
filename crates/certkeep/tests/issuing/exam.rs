//! The kill exam: the real program applies and renews while it is killed by SIGKILL, at random instants and as it begins
//! each step, and is started again at once.
//!
//! A person runs it longer by `./test --long kill_exam`, or with `CERTKEEP_KILLS=2000` in the environment, and repeats a
//! run with the seed that it printed in `CERTKEEP_SEED` (the draws are the same then, the machine's time is not).
//!
//! The rules, each of which is checked exactly:
//! - An issuance ends in its certificate, kill or no kill. Only what cannot succeed fails: a name that the CA refuses, an
//!   account that the provider does not know. Each of them fails once.
//! - The CA has issued one certificate for each version in the store, and none besides.
//! - An order whose challenge was answered leads to its certificate. One that leads nowhere was left before that: at most
//!   one for each issuance that a kill met before it had saved its order's URL (RFC 8555 knows no way to find it again).
//! - At the end no TXT record stands, the journal is empty, no lease is out, and SQLite finds the store whole.
use std::collections::BTreeMap;
use std::env;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use certkeep_core::time::{Clock, SystemClock};
use certkeep_sandbox::{Options, Sandbox};
use certkeep_testkit::wait::{PATIENCE, eventually};
use jiff::SignedDuration;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::{Instant, sleep_until, timeout};

use super::process::{Client, Line, Process, prepare};

/// Kills of a run that nobody asked to be longer.
const KILLS: usize = 200;
/// The applications: one for each entry, every third with a wildcard.
const APPLICATIONS: usize = 10;
/// How long a certificate lives while the kills go on: it is renewed after half of it.
const LIFE: Duration = Duration::from_secs(24);
/// The latest of the random instants, from the start of the process: long enough for a step or two.
const LATEST: u64 = 1_100;
/// How long the work that is left may take once nobody kills any more: a renewal of each entry, and whatever is tried again
/// after a minute.
const QUIET: Duration = Duration::from_secs(150);
/// The steps that are taken, in their order.
const STEPS: [&str; 7] = ["queued", "ordered", "presented", "propagated", "validated", "finalizing", "issued"];

/// Draws that can be repeated (SplitMix64).
pub(crate) struct Chance(pub(crate) u64);

impl Chance {
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % end
    }
}

/// When to kill.
enum Blow {
    /// So long after the start of the process.
    After(Duration),
    /// As soon as the log says that an issuance takes this step.
    At(&'static str),
}

/// What is learnt from the log of one process after the other.
#[derive(Default)]
struct Watch {
    /// The step that each issuance under way takes.
    taking: BTreeMap<i64, String>,
    /// How often a kill met an issuance in each step.
    met: BTreeMap<String, usize>,
    /// Warnings and errors, for whoever reads why the exam was failed.
    complaints: Vec<String>,
}

impl Watch {
    /// Notes a line; answers the step that it says is taken.
    fn note(&mut self, line: &Line) -> Option<&str> {
        if line["level"] != "DEBUG" && line["level"] != "INFO" {
            self.complaints.push(line.to_string());
        }
        let issuance = line["issuance"].as_i64()?;
        match line["message"].as_str()? {
            "taking the next step" => {
                self.taking.insert(issuance, line["step"].as_str()?.to_owned());
                self.taking.get(&issuance).map(String::as_str)
            }
            "issued" | "issuance failed" => {
                self.taking.remove(&issuance);
                None
            }
            _ => None,
        }
    }

    /// The process is dead.
    fn killed(&mut self) {
        for step in std::mem::take(&mut self.taking).into_values() {
            *self.met.entry(step).or_default() += 1;
        }
    }
}

pub(crate) fn setting(name: &str) -> Option<u64> {
    env::var(name).ok().map(|value| value.parse().unwrap_or_else(|_| panic!("{name} is a whole number")))
}

/// What SQLite's own program says: an independent witness, which asks beside the service or after it.
fn sqlite(folder: &Path, question: &str) -> String {
    let asked = Command::new("sqlite3").args(["-cmd", ".timeout 5000"]).arg(folder.join("certkeep.db")).arg(question).output();
    let answer = asked.expect("sqlite3 is installed (Debian package sqlite3)");
    assert!(answer.status.success(), "{}", String::from_utf8_lossy(&answer.stderr));
    String::from_utf8(answer.stdout).expect("UTF-8").trim().to_owned()
}

pub(crate) fn application(sandbox: &Sandbox, names: &str, key: &str) -> Value {
    json!({
        "type": "server", "ca_type": "apply", "issue_to": names, "dns_provider": "pdns",
        "auth_info_list": [
            { "k": "Host", "sv": sandbox.dns_api_url() },
            { "k": "APIKey", "sv": key },
            { "k": "PropagationTimeout", "iv": 60 },
            { "k": "PollingInterval", "iv": 1 },
        ],
    })
}

/// All of them; the first two cannot succeed.
fn applications(sandbox: &Sandbox) -> Vec<Value> {
    let names = |n: usize| match n % 3 {
        0 => format!("*.pbx{n}.example.com,pbx{n}.example.com"),
        1 => format!("pbx{n}.example.net"),
        _ => format!("pbx{n}.example.com,pbx{n}.example.net"),
    };
    let mut all = vec![
        application(sandbox, "refused.example.com", sandbox.dns_api_key()),
        application(sandbox, "stranger.example.com", "not-the-key"),
    ];
    all.extend((0..APPLICATIONS).map(|n| application(sandbox, &names(n), sandbox.dns_api_key())));
    all
}

/// Lets a service run until the blow falls.
async fn strike(mut process: Process, started: Instant, blow: Blow, watch: &mut Watch) {
    match blow {
        // The instant is drawn, not waited for anything.
        Blow::After(span) => loop {
            tokio::select! {
                line = process.log.recv() => {
                    let line = line.unwrap_or_else(|| panic!("ended by itself: {:#?}", watch.complaints));
                    watch.note(&line);
                }
                () = sleep_until(started + span) => break,
            }
        },
        Blow::At(step) => {
            let reached = async {
                while let Some(line) = process.log.recv().await {
                    if watch.note(&line) == Some(step) {
                        return;
                    }
                }
                panic!("ended by itself: {:#?}", watch.complaints);
            };
            let reached = timeout(PATIENCE + LIFE, reached).await;
            assert!(reached.is_ok(), "nothing takes the step {step}: {:#?}", watch.complaints);
        }
    }
    for line in process.kill() {
        watch.note(&line);
    }
    watch.killed();
}

/// Waits until every entry has its last certificate or failure, and nothing is under way or left over.
async fn quiet(process: &Process, client: &Client, sandbox: &Sandbox, folder: &Path) -> Vec<Value> {
    let auth = process.login(client).await;
    let tomorrow = (SystemClock.now() + SignedDuration::from_hours(24)).strftime("%Y/%m/%d %H:%M:%S").to_string();
    eventually(QUIET, "the end of all work", || async {
        let mut list = process.call("certificate/list", &format!("{auth}&page_size=1000&sort_by=id"), None).await;
        let Value::Array(rows) = list["certificate_list"].take() else { panic!("no list: {list}") };
        let settled = |row: &Value| match row["apply_status"].as_str() {
            Some("issuance_success") => row["expiration"].as_str().is_some_and(|at| at > tomorrow.as_str()),
            Some("issuance_fail") => row["expiration"] == "-",
            _ => false,
        };
        let left = "SELECT (SELECT count(*) FROM issuances WHERE due_at IS NOT NULL) + (SELECT count(*) FROM challenge_records)";
        let done = rows.iter().all(settled) && sandbox.txt_records().is_empty() && sqlite(folder, left) == "0";
        done.then_some(rows)
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_exam() {
    let kills = setting("CERTKEEP_KILLS").map_or(KILLS, |kills| usize::try_from(kills).expect("a number of kills"));
    let seed = setting("CERTKEEP_SEED").unwrap_or_else(|| SystemClock.now().as_microsecond().unsigned_abs());
    println!("{kills} kills, CERTKEEP_SEED={seed}");
    let mut chance = Chance(seed);
    let begun = Instant::now();

    let zones = vec!["example.com".to_owned(), "example.net".to_owned()];
    let sandbox = Sandbox::start(Options { zones, ..Options::default() }).await.expect("the sandbox starts");
    sandbox.faults().set_longest_life(LIFE);
    sandbox.faults().refuse_name("refused.example.com");
    sandbox.faults().set_validation_delay(Duration::from_millis(100));
    sandbox.faults().set_issuance_delay(Duration::from_millis(100));
    let folder = TempDir::new().expect("a folder");
    let client = prepare(folder.path(), &sandbox, "[log]\nformat = \"json\"\n");
    let mut to_apply = applications(&sandbox);
    to_apply.reverse();
    let entries = to_apply.len();
    assert!(kills >= entries, "one application comes in before each of the first {entries} kills");

    let (mut watch, mut auth) = (Watch::default(), None);
    for n in 0..kills {
        let started = Instant::now();
        let mut process = Process::spawn(folder.path());
        if let Some(application) = to_apply.pop() {
            process.await_ready();
            let auth = match &auth {
                Some(auth) => auth,
                None => auth.insert(process.login(&client).await),
            };
            let created = process.call("certificate/create", auth, Some(application)).await;
            assert_eq!(created["errcode"], 0, "{created}");
        }
        let blow = match n % 2 {
            0 => Blow::After(Duration::from_millis(chance.below(LATEST))),
            _ => Blow::At(STEPS[n / 2 % STEPS.len()]),
        };
        strike(process, started, blow, &mut watch).await;
    }
    let killing = begun.elapsed();

    // From now on certificates live long: each entry is renewed once more, and then there is nothing to do.
    sandbox.faults().clear();
    sandbox.faults().refuse_name("refused.example.com");
    let mut last = Process::start(folder.path());
    let rows = quiet(&last, &client, &sandbox, folder.path()).await;
    while let Ok(line) = last.log.try_recv() {
        watch.note(&line);
    }
    for line in last.stop() {
        watch.note(&line);
    }

    let complaints = &watch.complaints;
    let failures: Vec<_> = rows.iter().filter(|row| row["apply_status"] != "issuance_success").collect();
    let failures: Vec<_> = failures.iter().map(|row| (row["issue_to"].as_str(), row["apply_tip_code"].as_i64())).collect();
    assert_eq!(
        failures,
        [(Some("refused.example.com"), Some(402)), (Some("stranger.example.com"), Some(101))],
        "{complaints:#?}"
    );
    assert_eq!(rows.len(), entries);

    let number = |name: &str| sqlite(folder.path(), &format!("SELECT last FROM numbers WHERE name = '{name}'"));
    let number = |name: &str| number(name).parse::<usize>().expect("a number");
    let (issuances, versions) = (number("issuances"), number("versions"));
    let placed = sandbox.placed();
    let unfinished: Vec<_> = placed.iter().filter(|order| !order.certified).collect();
    let early = watch.met.get("queued").copied().unwrap_or_default();
    println!(
        "{kills} kills in {killing:.0?}, {:.0?} in all; {entries} applications, {issuances} issuances, {} orders, {} without a \
         certificate, {} certificates issued, {versions} kept; kills met {:?}",
        begun.elapsed(),
        placed.len(),
        unfinished.len(),
        sandbox.issued(),
        watch.met,
    );
    assert_eq!(issuances - versions, failures.len(), "kills alone fail nothing: {complaints:#?}");
    assert_eq!(sandbox.issued(), versions, "one certificate for each version: {complaints:#?}");
    assert!(unfinished.iter().all(|order| !order.answered), "{unfinished:?}");
    // The order of the provider's stranger leads nowhere either.
    assert!(unfinished.len() <= 1 + early, "{} orders were lost, of {early} at most: {unfinished:?}", unfinished.len() - 1);
    assert_eq!(sandbox.txt_records(), []);
    assert_eq!(sqlite(folder.path(), "PRAGMA integrity_check"), "ok");
    assert_eq!(sqlite(folder.path(), "PRAGMA foreign_key_check"), "");
    assert_eq!(sqlite(folder.path(), "SELECT count(*) FROM issuances WHERE due_at IS NOT NULL"), "0");
    assert_eq!(sqlite(folder.path(), "SELECT count(*) FROM challenge_records"), "0");

    // The exam examined what it says it does.
    if kills >= KILLS {
        assert!(versions >= 3 * APPLICATIONS, "there were renewals");
        let unmet: Vec<_> = STEPS.iter().filter(|step| !watch.met.contains_key(**step)).collect();
        assert!(unmet.is_empty(), "no kill met {unmet:?}");
    }
}
