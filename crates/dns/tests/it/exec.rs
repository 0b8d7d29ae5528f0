//! The provider `exec` with a real program.
#![expect(clippy::unwrap_used, reason = "what goes wrong here fails the test at once")]
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use certkeep_core::application::{AuthEntry, AuthValue};
use certkeep_core::failure::{Code, Failure};
use certkeep_core::issuance::TxtRecord;
use certkeep_core::ports::{DnsProvider, DnsProviders as _};
use certkeep_dns::exec::Program;
use certkeep_dns::registry::{Registry, RegistryOptions};
use tempfile::TempDir;

/// A folder in which the program goes by the names of what it is to do.
struct Stage(TempDir);

impl Stage {
    fn new(names: &[&str]) -> Stage {
        let folder = tempfile::tempdir().unwrap();
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/exec/program.sh");
        names.iter().for_each(|name| symlink(&program, folder.path().join(name)).unwrap());
        Stage(folder)
    }

    /// A registry that may run the programs of these names, each for so long.
    fn registry(&self, names: &[&str], timeout: Duration) -> Registry {
        let programs = names.iter().map(|name| ((*name).to_owned(), Program::new(self.0.path().join(name), timeout)));
        Registry::new(RegistryOptions { programs: programs.collect(), ..RegistryOptions::default() })
    }

    fn provider(&self, name: &str, timeout: Duration) -> Arc<dyn DnsProvider> {
        connect(&self.registry(&[name], timeout), name).unwrap()
    }

    fn calls(&self) -> Vec<String> {
        fs::read_to_string(self.0.path().join("calls")).unwrap_or_default().lines().map(str::to_owned).collect()
    }

    /// Whether the process that a program has left behind is still there.
    fn is_left(&self) -> bool {
        let id = fs::read_to_string(self.0.path().join("left")).unwrap();
        let state = fs::read_to_string(format!("/proc/{}/stat", id.trim())).unwrap_or_default();
        // Who has ended and waits to be noticed is gone.
        state.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
    }
}

fn connect(registry: &Registry, program: &str) -> Result<Arc<dyn DnsProvider>, Failure> {
    let given = [AuthEntry { k: "Program".into(), value: AuthValue::Text(program.into()) }];
    registry.connect("exec", &registry.descriptor("exec").unwrap().parameters(&given).unwrap())
}

fn record() -> TxtRecord {
    TxtRecord { name: "_acme-challenge.host.example.com".parse().unwrap(), value: "-value $(id); with 'quotes'".into() }
}

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_program_is_called_for_both_changes_with_nothing_but_a_path_around_it() {
    let stage = Stage::new(&["works"]);
    let provider = stage.provider("works", MINUTE);
    let zone = provider.find_zone(&record().name).await.unwrap();
    let handle = provider.add(&zone, &record()).await.unwrap();
    provider.remove(&zone, &record(), Some(&handle)).await.unwrap();
    let path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    let call = |action: &str| format!("called: {action} _acme-challenge.host.example.com. -value $(id); with 'quotes'");
    assert_eq!(stage.calls(), [&call("present"), path, &call("cleanup"), path]);
}

#[tokio::test]
async fn a_program_that_fails_is_told_with_what_it_said() {
    let stage = Stage::new(&["fails", "talks"]);
    let provider = stage.provider("fails", MINUTE);
    let zone = provider.find_zone(&record().name).await.unwrap();
    let failure = provider.add(&zone, &record()).await.unwrap_err();
    assert_eq!(failure.code, Code::ProviderError, "{failure}");
    assert_eq!(failure.evidence.their_code.as_deref(), Some("exit status: 3"));
    assert_eq!(failure.evidence.their_message.as_deref(), Some("no such zone: _acme-challenge.host.example.com."));
    let failure = stage.provider("talks", MINUTE).remove(&zone, &record(), None).await.unwrap_err();
    assert_eq!(failure.evidence.their_message.as_deref(), Some("x".repeat(500).as_str()));
}

#[tokio::test]
async fn whatever_a_program_has_started_ends_with_its_call() {
    let stage = Stage::new(&["leaves", "hangs"]);
    let provider = stage.provider("leaves", MINUTE);
    let zone = provider.find_zone(&record().name).await.unwrap();
    provider.add(&zone, &record()).await.unwrap();
    gone(&stage).await;

    // Ended for its time, and given up by its caller.
    let failure = stage.provider("hangs", Duration::from_millis(500)).add(&zone, &record()).await.unwrap_err();
    assert_eq!(failure.code, Code::ProviderError, "{failure}");
    assert!(failure.to_string().contains("did not end within"), "{failure}");
    gone(&stage).await;
    fs::remove_file(stage.0.path().join("left")).unwrap();
    let provider = stage.provider("hangs", MINUTE);
    let up = record();
    tokio::select! {
        outcome = provider.add(&zone, &up) => panic!("a program that hangs ends: {outcome:?}"),
        () = until(|| fs::read_to_string(stage.0.path().join("left")).is_ok_and(|id| id.ends_with('\n'))) => (),
    }
    gone(&stage).await;
}

/// Waits until what was left behind is gone; a test that waits for ever fails by its runner.
async fn gone(stage: &Stage) {
    until(|| !stage.is_left()).await;
}

async fn until(seen: impl Fn() -> bool) {
    while !seen() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn what_is_not_allowed_is_not_run() {
    let nothing = Registry::new(RegistryOptions::default());
    let why = nothing.descriptor("exec").unwrap().served.clone().unwrap_err();
    assert!(why.contains("[dns] exec"), "{why}");
    assert_eq!(connect(&nothing, "works").err().unwrap().code, Code::ProviderParameter);

    let stage = Stage::new(&["works", "fails"]);
    let registry = stage.registry(&["works"], MINUTE);
    assert!(registry.descriptor("exec").unwrap().served.is_ok());
    let path = stage.0.path().join("works");
    for other in ["fails", "/bin/true", "../works", path.to_str().unwrap()] {
        let Err(failure) = connect(&registry, other) else { panic!("{other:?} is run") };
        assert_eq!((failure.code, failure.evidence.subject.as_deref()), (Code::ProviderParameter, Some("Program")), "{failure}");
    }
    assert_eq!(stage.calls(), Vec::<String>::new());
    let gone = Program::new(stage.0.path().join("nowhere"), MINUTE);
    let registry =
        Registry::new(RegistryOptions { programs: [("nowhere".to_owned(), gone)].into(), ..RegistryOptions::default() });
    let provider = connect(&registry, "nowhere").unwrap();
    let zone = provider.find_zone(&record().name).await.unwrap();
    let failure = provider.add(&zone, &record()).await.unwrap_err();
    assert_eq!(failure.code, Code::ProviderUnreachable, "{failure}");
    assert!(failure.evidence.facts[0].contains("cannot be started"), "{failure}");
}

/// What RAW hands over is the CA's key authorization, of which certkeep's providers see the digest only.
#[tokio::test]
async fn another_mode_is_refused_before_anything_is_run() {
    let stage = Stage::new(&["works"]);
    let registry = stage.registry(&["works"], MINUTE);
    let connect = |mode: &str| {
        let entry = |k: &str, v: &str| AuthEntry { k: k.into(), value: AuthValue::Text(v.into()) };
        let given = [entry("Program", "works"), entry("Mode", mode)];
        registry.connect("exec", &registry.descriptor("exec").unwrap().parameters(&given).unwrap())
    };
    assert!(connect("").is_ok());
    let failure = connect("RAW").err().unwrap();
    assert_eq!((failure.code, failure.evidence.subject.as_deref()), (Code::ProviderParameter, Some("Mode")));
    assert!(failure.evidence.facts[0].contains("certkeep hands over name and value only"), "{failure}");
    assert_eq!(stage.calls(), Vec::<String>::new());
}
