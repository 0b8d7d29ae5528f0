//! Every page that is served goes through the scenario; a page without a vendor's table does not pass.
use certkeep_core::ports::DnsProviders as _;
use certkeep_dns::registry::{Registry, RegistryOptions};
use certkeep_testkit::vendor::Table;
use futures::StreamExt as _;
use futures::stream;

use super::scenario::{Outcome, Report, run};

/// Pages at work at the same time; most of their time is pauses.
const AT_ONCE: usize = 12;

/// The pages that are served, or those of them that the environment variable `PAGES` names, parted by commas.
fn pages() -> Vec<String> {
    let registry = Registry::new(RegistryOptions::default());
    let chosen = std::env::var("PAGES").unwrap_or_default();
    let chosen: Vec<&str> = chosen.split(',').map(str::trim).filter(|flag| !flag.is_empty()).collect();
    let served = |flag: &str| registry.page(flag).is_some_and(|page| page.http.is_some());
    for flag in &chosen {
        assert!(served(flag), "{flag}: there is no page of this name with a recipe that can be read");
    }
    let all = registry.descriptors().into_iter().filter(|descriptor| descriptor.served.is_ok() && served(&descriptor.flag));
    let all = all.map(|descriptor| descriptor.flag.clone());
    // PowerDNS has the real server in its place (`powerdns`).
    all.filter(|flag| chosen.contains(&flag.as_str()) || chosen.is_empty() && flag != "pdns").collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_page_passes_the_scenario() {
    // Each in a task of its own, so that both processors have their share.
    let running = stream::iter(pages()).map(|flag| async move { tokio::spawn(async move { run(&flag).await }).await.unwrap() });
    let reports: Vec<Report> = running.buffered(AT_ONCE).collect().await;
    let mut failed = Vec::new();
    for report in &reports {
        let asked = report.steps.iter().filter(|(_, outcome)| !matches!(outcome, Outcome::NotApplicable(_))).count();
        let passed = report.steps.iter().filter(|(_, outcome)| matches!(outcome, Outcome::Passed)).count();
        let lego = report.lego.map(|lego| format!(", lego {}", lego.add + lego.remove)).unwrap_or_default();
        println!("{:16} {passed} of {asked} steps, {} requests{lego}", report.flag, report.requests);
        for (step, outcome) in &report.steps {
            match outcome {
                Outcome::Failed(problem) => println!("                 {step}: {problem}"),
                Outcome::NotApplicable(_) if *step == "requests" => {}
                Outcome::NotApplicable(why) => println!("                 {step}: not asked, {why}"),
                Outcome::Passed => {}
            }
        }
        if !report.passed() {
            failed.push(report.flag.as_str());
        }
    }
    assert!(failed.is_empty(), "{} of {} pages failed: {failed:?}", failed.len(), reports.len());
}

#[test]
fn every_table_can_be_read() {
    for flag in Table::flags() {
        Table::of(&flag).unwrap();
    }
}
