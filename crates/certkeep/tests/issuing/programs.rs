//! Applications with the provider `exec`: a program is run only by the name that the operator has given it.
use std::os::unix::fs::symlink;
use std::sync::Arc;
use std::time::Duration;

use certkeep_core::application::Names;
use certkeep_core::failure::Code;
use certkeep_dns::exec::Program;
use certkeep_dns::registry::{Registry, RegistryOptions};
use certkeep_engine::inventory::{ApplicationInput, Create};
use certkeep_engine::{Ports, UseCaseError};
use certkeep_sandbox::Options;

use super::house::{House, text};

fn applying(program: &str) -> Create {
    let input = ApplicationInput { dns_provider: Some("exec".to_owned()), auth: Some(vec![text("Program", program)]) };
    Create::Apply { names: Names::parse("pbx.example.com").expect("names"), input }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_application_is_refused_where_nothing_is_allowed() {
    let house = House::new(Options::default()).await;
    let running = house.start().await;
    let Err(UseCaseError::Invalid(problems)) = running.engine.create(applying("/bin/true"), None).await else {
        panic!("a program is run that nobody has allowed")
    };
    let [problem] = &problems[..] else { panic!("{problems:?}") };
    assert_eq!((problem.field.as_str(), problem.kind), ("dns_provider", "unsupported"));
    assert!(problem.message.contains("[dns] exec of the configuration."), "{problem:?}");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_allowed_program_is_run_by_its_name_alone() {
    let house = House::new(Options::default()).await;
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../dns/tests/it/exec/program.sh");
    let path = house.folder.path().join("works");
    symlink(script, &path).unwrap();
    let programs = [("mine".to_owned(), Program::new(path.clone(), Duration::from_secs(30)))].into();
    let allowing = |ports: Ports| {
        let options = RegistryOptions { programs, ..RegistryOptions::default() };
        Ports { providers: Arc::new(Registry::new(options)), ..ports }
    };
    let running = house.start_with(allowing, house.settings()).await;
    for other in [path.to_str().unwrap(), "/bin/true", "works"] {
        let refused = running.engine.create(applying(other), None).await;
        assert!(matches!(refused, Err(UseCaseError::Invalid(_))), "{other}: {refused:?}");
    }
    running.engine.create(applying("mine"), None).await.unwrap();
    // It writes down what it is asked for and puts nothing up, so that nobody sees a record.
    let failure = running.failed(running.by_name("pbx.example.com.pem").await).await;
    assert_eq!(failure.code, Code::RecordNotVisible, "{failure}");
    running.stop().await;
    let calls = std::fs::read_to_string(house.folder.path().join("calls")).unwrap();
    let calls: Vec<&str> = calls.lines().filter_map(|line| line.strip_prefix("called: ")).collect();
    let value = calls[0].rsplit(' ').next().unwrap();
    assert_eq!(calls, ["present", "cleanup"].map(|action| format!("{action} _acme-challenge.pbx.example.com. {value}")));
}
