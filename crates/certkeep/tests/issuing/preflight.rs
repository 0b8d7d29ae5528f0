//! What the preflight finds out, against the sandbox and against real name servers, and that it orders nothing.
use std::time::Duration;

use certkeep_core::application::{AuthEntry, Delegation};
use certkeep_core::failure::Code;
use certkeep_core::name::DnsName;
use certkeep_core::ports::{CertificateAuthority, Propagation};
use certkeep_engine::Ports;
use certkeep_engine::preflight::{Authority, Check, Preflight, Report};
use certkeep_sandbox::{Fault, Options, Times};
use certkeep_testkit::clock::MovableClock;
use certkeep_testkit::peers::{Bind, DnsRouter, Fault as RouterFault, Knot, PowerDns, RecordType, ResponseCode, Tsig};

use super::house::{House, ports, settings, text};
use super::peers::{pdns, rfc2136};

/// What the checks are made with.
struct Trial {
    ports: Ports,
    ca: CertificateAuthority,
    delegations: Vec<Delegation>,
    account: Option<String>,
}

impl Trial {
    async fn of(house: &House) -> Trial {
        Trial::new(house.ports(&house.store().await), house.settings().cas.first.ca)
    }

    fn new(ports: Ports, ca: CertificateAuthority) -> Trial {
        Trial { ports, ca, delegations: Vec::new(), account: None }
    }

    fn preflight(&self) -> Preflight<'_> {
        Preflight {
            providers: self.ports.providers.as_ref(),
            resolver: self.ports.resolver.as_ref(),
            delegations: &self.delegations,
            authority: Some(Authority { issuer: self.ports.issuer.as_ref(), ca: &self.ca, account: self.account.as_deref() }),
            propagation: Propagation { timeout: Duration::from_secs(5), interval: Duration::from_secs(1) },
            wait: true,
            stop: None,
        }
    }

    async fn run(&self, names: &[&str], flag: &str, auth: &[AuthEntry]) -> Report {
        let names: Vec<DnsName> = names.iter().map(|name| name.parse().unwrap()).collect();
        self.preflight().run(&names, flag, auth).await
    }
}

/// Each check with what it is about: `+` in front where it went well.
fn told(report: &Report) -> Vec<String> {
    let word = |ok: bool| if ok { '+' } else { '-' };
    let findings = report.findings.iter();
    findings.map(|f| format!("{}{} {}", word(f.outcome.is_ok()), f.check.as_str(), f.about)).collect()
}

fn evidence(report: &Report, check: Check) -> String {
    let finding = report.findings.iter().find(|finding| finding.check == check).expect("the check was made");
    match &finding.outcome {
        Ok(evidence) => evidence.clone(),
        Err(failure) => failure.to_string(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_is_well_and_nothing_is_ordered_or_left() {
    let house = House::new(Options::default()).await;
    let trial = Trial::of(&house).await;
    house.sandbox.set_record("example.com", "CAA", &["0 issue \"sandbox.example\""]).unwrap();
    let report = trial.run(&["*.example.com", "example.com", "pbx.example.com"], "pdns", &house.auth()).await;
    let expected = [
        "+parameters pdns",
        "+delegation _acme-challenge.example.com",
        "+credentials pdns",
        "+zone found _acme-challenge.example.com",
        "+zone confirmed _acme-challenge.example.com",
        "+delegation _acme-challenge.pbx.example.com",
        "+zone found _acme-challenge.pbx.example.com",
        &format!("+CA directory {}", house.sandbox.directory_url()),
        "+CAA *.example.com",
        "+CAA example.com",
        "+CAA pbx.example.com",
        "+probe written _acme-challenge.example.com",
        "+probe written _acme-challenge.pbx.example.com",
        "+probe seen _acme-challenge.example.com",
        "+probe seen _acme-challenge.pbx.example.com",
        "+probe removed _acme-challenge.example.com",
        "+probe removed _acme-challenge.pbx.example.com",
    ];
    assert_eq!(told(&report), expected);
    assert!(report.failure().is_none());
    assert!(evidence(&report, Check::Directory).contains("sandbox.example"));
    assert_eq!(evidence(&report, Check::Caa), "example.com allows it: 0 issue \"sandbox.example\"");
    assert!(evidence(&report, Check::ProbeSeen).contains("shows _acme-challenge.example.com"));
    assert_eq!((house.sandbox.orders(), house.sandbox.txt_records()), (0, vec![]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn caa_forbids_what_the_ca_then_refuses() {
    let house = House::new(Options::default()).await;
    house.sandbox.set_record("example.com", "CAA", &["0 issue \"other.example\""]).unwrap();
    let running = house.start().await;
    let trial = Trial::new(house.ports(&running.store), house.settings().cas.first.ca);
    let report = trial.run(&["pbx.example.com"], "pdns", &house.auth()).await;
    let failure = report.failure().expect("a failure");
    assert_eq!((failure.code, failure.evidence.subject.as_deref()), (Code::CaaForbids, Some("pbx.example.com")));
    let facts = failure.evidence.facts.join("\n");
    for part in ["example.com has", "is for another CA", "the CA goes by sandbox.example"] {
        assert!(facts.contains(part), "{facts}");
    }
    // All else was tried nevertheless.
    assert!(told(&report).contains(&"+probe removed _acme-challenge.pbx.example.com".to_owned()));
    assert_eq!(house.sandbox.orders(), 0);

    let id = running.apply("pbx.example.com", house.input()).await;
    let failure = running.failed(id).await;
    assert_eq!((failure.code, failure.evidence.their_code.as_deref()), (Code::CaaForbids, Some("caa")), "{failure}");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_failure_has_its_code_and_hinders_only_what_builds_on_it() {
    let house = House::new(Options::default()).await;
    let trial = Trial::of(&house).await;
    // A CA that cannot be asked: its records are told, and nothing else is hindered.
    house.sandbox.shut_ca().await.unwrap();
    let report = trial.run(&["pbx.example.com"], "pdns", &house.auth()).await;
    assert_eq!(report.failure().unwrap().code, Code::CaUnreachable);
    assert!(told(&report).contains(&"+probe seen _acme-challenge.pbx.example.com".to_owned()));
    house.sandbox.open_ca().await.unwrap();

    let wrong = [text("Host", house.sandbox.dns_api_url()), text("APIKey", "plantedsecret")];
    let report = trial.run(&["a.example.com", "b.example.com"], "pdns", &wrong).await;
    assert_eq!(report.failure().unwrap().code, Code::CredentialsRejected);
    assert!(!format!("{report:?}").contains("plantedsecret"));
    // A wrong password is tried once, and CAA needs none.
    let told_of = told(&report);
    assert_eq!(told_of.iter().filter(|line| line.starts_with("-")).collect::<Vec<_>>(), ["-credentials pdns"]);
    assert!(told_of.contains(&"+CAA b.example.com".to_owned()) && !told_of.iter().any(|line| line.contains("probe")));

    let report = trial.run(&["pbx.example.org", "pbx.example.com"], "pdns", &house.auth()).await;
    assert_eq!(report.failure().unwrap().code, Code::ZoneNotFound);
    assert!(told(&report).contains(&"+credentials pdns".to_owned()), "{:?}", told(&report));
    assert!(told(&report).contains(&"+probe seen _acme-challenge.pbx.example.com".to_owned()));

    house.sandbox.faults().set(Fault::HideTxt, Times::Always);
    let report = trial.run(&["pbx.example.com"], "pdns", &house.auth()).await;
    assert_eq!(report.failure().unwrap().code, Code::RecordNotVisible);
    assert!(told(&report).ends_with(&["+probe removed _acme-challenge.pbx.example.com".to_owned()]));
    house.sandbox.faults().clear();

    house.sandbox.shut_dns_api().await.unwrap();
    let report = trial.run(&["pbx.example.com"], "pdns", &house.auth()).await;
    assert_eq!(report.failure().unwrap().code, Code::ProviderUnreachable);
    assert_eq!(house.sandbox.txt_records(), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn caa_in_zones_of_bind_and_knot() {
    let (bind, knot) = tokio::join!(Bind::start(&["example.test"]), Knot::start(&["knot.test"]));
    let caa = |owner: &str, value: &str| format!("add {owner} 60 CAA 0 {value}");
    let uri = "https://sandbox.example/account/1";
    for record in [
        caa("example.test", "issue \"sandbox.example\""),
        caa("example.test", "issuewild \";\""),
        caa("http.example.test", "issue \"sandbox.example; validationmethods=http-01\""),
        caa("bound.example.test", &format!("issue \"sandbox.example; accounturi={uri}\"")),
    ] {
        bind.tsig().update(bind.dns_addr(), "example.test", &[&record]).await.unwrap();
    }
    knot.tsig().update(knot.dns_addr(), "knot.test", &[&caa("knot.test", "issue \"sandbox.example\"")]).await.unwrap();
    let router = DnsRouter::start([("example.test", bind.dns_addr()), ("knot.test", knot.dns_addr())]).await;
    let house = House::new(Options::default()).await;
    let store = house.store().await;
    let ports = ports(&store, &MovableClock::running(), router.dns_addr());
    let mut trial = Trial::new(ports, settings(house.sandbox.directory_url(), house.sandbox.tls_root_pem()).cas.first.ca);
    let auth = rfc2136(bind.dns_addr(), bind.tsig());

    let names = ["pbx.example.test", "*.example.test", "http.example.test", "bound.example.test"];
    let forbidden = |report: &Report| {
        let caa = report.findings.iter().filter(|f| f.check == Check::Caa && f.outcome.is_err());
        caa.map(|finding| finding.about.clone()).collect::<Vec<_>>()
    };
    let report = trial.run(&names, "rfc2136", &auth).await;
    assert_eq!(forbidden(&report), ["*.example.test", "http.example.test"], "{report:?}");
    let bound = report.findings.iter().find(|f| f.check == Check::Caa && f.about == "bound.example.test").unwrap();
    assert!(bound.outcome.as_ref().unwrap().contains("is not known here"), "{bound:?}");
    for (account, expected) in [(uri, &names[1..3]), ("https://sandbox.example/account/2", &names[1..4])] {
        trial.account = Some(account.to_owned());
        assert_eq!(forbidden(&trial.run(&names, "rfc2136", &auth).await), expected);
    }
    assert_eq!(bind.txt("_acme-challenge.example.test").await, Vec::<String>::new());
    let report = trial.run(&["*.knot.test"], "rfc2136", &rfc2136(knot.dns_addr(), knot.tsig())).await;
    assert!(report.failure().is_none(), "{report:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delegation_is_tried_with_the_provider_that_writes_there() {
    let served = PowerDns::start(&["example.test"]).await;
    let challenges = Bind::start(&["challenges.test"]).await;
    served.add_cname("_acme-challenge.pbx.example.test", "pbx.challenges.test").await;
    let routes = [("example.test", served.dns_addr()), ("challenges.test", challenges.dns_addr())];
    let router = DnsRouter::start(routes).await;
    let house = House::new(Options::default()).await;
    let store = house.store().await;
    let ports = ports(&store, &MovableClock::running(), router.dns_addr());
    let mut trial = Trial::new(ports, house.settings().cas.first.ca);
    let report = trial.run(&["pbx.example.test"], "pdns", &pdns(&served)).await;
    assert_eq!(report.failure().unwrap().code, Code::ZoneNotFound);

    trial.delegations = vec![Delegation {
        suffix: "challenges.test".parse().unwrap(),
        dns_provider: "rfc2136".to_owned(),
        auth: rfc2136(challenges.dns_addr(), challenges.tsig()),
    }];
    let report = trial.run(&["pbx.example.test", "www.example.test"], "pdns", &pdns(&served)).await;
    assert!(report.failure().is_none(), "{report:?}");
    assert_eq!(evidence(&report, Check::Delegation), "to pbx.challenges.test, written by rfc2136");
    let told = told(&report);
    for line in ["+credentials rfc2136", "+credentials pdns", "+probe seen pbx.challenges.test"] {
        assert!(told.contains(&line.to_owned()), "{told:?}");
    }
    assert_eq!(challenges.txt("pbx.challenges.test").await, Vec::<String>::new());
    assert_eq!(served.txt("_acme-challenge.www.example.test").await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_zone_that_nobody_delegates_does_not_hide_the_one_above_it() {
    let server = PowerDns::start(&["example.test", "old.example.test", "very.old.example.test"]).await;
    let router = DnsRouter::start([("example.test", server.dns_addr())]).await;
    // The world knows nothing of the zones below.
    router.inject(RouterFault::at("old.example.test").qtype(RecordType::SOA).code(ResponseCode::NXDomain));
    let house = House::new(Options::default()).await;
    let store = house.store().await;
    let trial = Trial::new(ports(&store, &MovableClock::running(), router.dns_addr()), house.settings().cas.first.ca);
    let preflight = Preflight { authority: None, wait: false, ..trial.preflight() };
    let names = ["pbx.very.old.example.test".parse().unwrap()];
    let report = preflight.run(&names, "pdns", &pdns(&server)).await;
    assert!(report.failure().is_none(), "{report:?}");
    assert_eq!(evidence(&report, Check::ZoneFound), "very.old.example.test");
    assert!(evidence(&report, Check::ZoneConfirmed).starts_with("the world asks example.test, "), "{report:?}");
    assert_eq!(evidence(&report, Check::ProbeWritten), "in the zone example.test");
    assert!(evidence(&report, Check::Caa).starts_with("any CA may issue"), "{report:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_no_zone_is_asked_for_the_probe_shows_whether_the_credentials_work() {
    let bind = Bind::start(&["example.test"]).await;
    let router = DnsRouter::start([("example.test", bind.dns_addr())]).await;
    let house = House::new(Options::default()).await;
    let store = house.store().await;
    let trial = Trial::new(ports(&store, &MovableClock::running(), router.dns_addr()), house.settings().cas.first.ca);
    let preflight = Preflight { authority: None, ..trial.preflight() };
    let names = ["a.example.test".parse().unwrap(), "b.example.test".parse().unwrap()];
    let with = |key: &Tsig| [rfc2136(bind.dns_addr(), key), vec![text("Zones", "example.test")]].concat();
    let lines =
        |report: &Report| told(report).into_iter().filter(|l| l.contains("probe") || l.contains("cred")).collect::<Vec<_>>();

    let report = preflight.run(&names, "rfc2136", &with(bind.tsig())).await;
    assert!(report.failure().is_none(), "{report:?}");
    assert_eq!(lines(&report)[..2], ["+probe written _acme-challenge.a.example.test", "+credentials rfc2136"]);
    // What was refused is neither tried again nor removed.
    let wrong = Tsig { secret: bind.tsig_sha512().secret.clone(), ..bind.tsig().clone() };
    let report = preflight.run(&names, "rfc2136", &with(&wrong)).await;
    assert_eq!(lines(&report), ["-probe written _acme-challenge.a.example.test", "-credentials rfc2136"]);
    assert_eq!(report.failure().unwrap().code, Code::CredentialsRejected);
}
