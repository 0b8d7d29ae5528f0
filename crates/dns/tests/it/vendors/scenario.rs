//! The scenario that every page has to pass. A step answers what went wrong, in words.
use std::future::Future;
use std::time::Duration;

use certkeep_core::failure::Failure;
use certkeep_core::issuance::{TxtRecord, Zone};
use certkeep_dns::registry::{Registry, RegistryOptions};
use certkeep_testkit::vendor::{Fault, Lego, Table};
use futures::future::join_all;
use serde_json::Value;
use tracing::instrument::WithSubscriber as _;

use super::bench::{Bench, NAME, record};
use super::log::Log;

/// What came of a step.
pub(super) enum Outcome {
    Failed(String),
    /// It says nothing about this vendor; why, by its table.
    NotApplicable(&'static str),
    Passed,
}

/// What came of a page.
pub(super) struct Report {
    pub(super) flag: String,
    pub(super) steps: Vec<(&'static str, Outcome)>,
    /// Requests for adding and removing one value in one process.
    pub(super) requests: usize,
    /// What lego makes for the same.
    pub(super) lego: Option<Lego>,
}

impl Report {
    pub(super) fn passed(&self) -> bool {
        !self.steps.iter().any(|(_, outcome)| matches!(outcome, Outcome::Failed(_)))
    }

    async fn step(&mut self, name: &'static str, page: &Page, step: impl Future<Output = Result<Outcome, String>>) {
        let step = tokio::time::timeout(LONGEST, step).await.unwrap_or_else(|_| Err("it hangs".to_owned()));
        let step = step.and_then(|outcome| page.log.without_secrets().map(|()| outcome));
        self.steps.push((name, step.unwrap_or_else(Outcome::Failed)));
    }
}

/// A step that takes longer than this hangs, on whatever machine.
const LONGEST: Duration = Duration::from_secs(240);

/// What goes wrong with one request at a time.
const FAULTS: [Fault; 5] = [Fault::AnswerLost, Fault::Dropped, Fault::ServerError, Fault::TooMany(0), Fault::WebPage];

/// The scenario for one page.
pub(super) async fn run(flag: &str) -> Report {
    let mut report = Report { flag: flag.to_owned(), steps: Vec::new(), requests: 0, lego: None };
    let table = match Table::of(flag) {
        Ok(table) => table,
        Err(problem) => {
            report.steps.push(("table", Outcome::Failed(problem)));
            return report;
        }
    };
    let page = Page { table, log: Log::default() };
    report.lego = page.table.lego;
    let log = page.log.dispatch();
    async {
        report.step("either order", &page, page.either_order()).await;
        if report.passed() {
            let mut requests = 0;
            report.step("requests", &page, page.few_requests(&mut requests)).await;
            report.requests = requests;
            report.step("child zone", &page, page.child_zones()).await;
            report.step("wrong secret", &page, page.wrong_secret()).await;
            report.step("unknown zone", &page, page.unknown_zone()).await;
            report.step("one fault", &page, page.one_fault()).await;
            report.step("five at once", &page, page.at_once()).await;
            report.step("killed", &page, page.killed()).await;
        }
        report
    }
    .with_subscriber(log)
    .await
}

fn told(what: &str, failure: &Failure) -> String {
    format!("{what}: {failure} [{}]", serde_json::to_string(&failure.evidence).unwrap_or_default())
}

struct Page {
    table: Table,
    log: Log,
}

/// A value that was put up, as a journal keeps it.
struct Kept {
    record: TxtRecord,
    zone: Zone,
    handle: Value,
}

impl Page {
    /// Where the challenge is, where its value stands, and the zone that it is in.
    fn place(&self) -> (String, String, String) {
        let zone = self.table.zones.first().cloned().unwrap_or_else(|| "example.com".to_owned());
        let usual = if zone == "example.com" { NAME.to_owned() } else { format!("_acme-challenge.host.{zone}") };
        let name = self.table.challenge.clone().unwrap_or(usual);
        (name.clone(), self.table.stands_at.clone().unwrap_or(name), zone)
    }

    async fn bench(&self) -> Bench {
        self.bench_with(&["example.com", "sub.example.com", "notexample.com"]).await
    }

    async fn bench_with(&self, zones: &[&str]) -> Bench {
        let bench = Bench::of_table(self.table.clone(), zones).await;
        self.log.must_not_hold(bench.secrets.clone());
        bench
    }

    /// How many values the vendor holds at a name, of five.
    fn most(&self) -> usize {
        if self.table.one_value { 1 } else { self.table.most_values.unwrap_or(5).min(5) }
    }

    /// Steps 1 to 4 and 10, with the removals in either order, each step in a new process.
    async fn either_order(&self) -> Result<Outcome, String> {
        self.page_says_what_is_left()?;
        let bench = self.bench().await;
        let (name, at, zone) = self.place();
        let before = bench.vendor.records();
        let (first, second) = (record(&name, 1), record(&name, 2));
        let one = add(&bench, &first).await?;
        bench.holds(&before, &at, &zone, &[&first]).map_err(|e| format!("after adding: {e}"))?;
        remove(&bench, &one, true).await?;
        bench.holds(&before, &at, &zone, &[]).map_err(|e| format!("after removing: {e}"))?;
        remove(&bench, &one, true).await.map_err(|e| format!("what is gone already: {e}"))?;
        bench.holds(&before, &at, &zone, &[])?;
        for (order, handles) in [([0, 1], true), ([1, 0], true), ([0, 1], false), ([1, 0], false)] {
            if self.most() < 2 {
                continue;
            }
            let kept = [add(&bench, &first).await?, add(&bench, &second).await?];
            bench.holds(&before, &at, &zone, &[&first, &second]).map_err(|e| format!("after adding two: {e}"))?;
            remove(&bench, &kept[order[0]], handles).await?;
            let left = [&first, &second][order[1]];
            bench.holds(&before, &at, &zone, &[left]).map_err(|e| format!("after removing one of two: {e}"))?;
            remove(&bench, &kept[order[1]], handles).await?;
            bench.holds(&before, &at, &zone, &[]).map_err(|e| format!("after removing both: {e}"))?;
        }
        bench.at_home().map(|()| Outcome::Passed)
    }

    /// What the vendor leaves by its table, the page tells its readers.
    fn page_says_what_is_left(&self) -> Result<(), String> {
        let registry = Registry::new(RegistryOptions::default());
        let says = registry.page(&self.table.flag).and_then(|page| page.leaves.as_deref());
        if says == self.table.leaves.as_deref() {
            return Ok(());
        }
        Err(format!("the page says that {says:?} is left, the table {:?}", self.table.leaves))
    }

    /// One issuance takes no more requests than lego's, at a name where nothing stands: what stood there, many a client
    /// of lego's kind would have taken away.
    async fn few_requests(&self, requests: &mut usize) -> Result<Outcome, String> {
        let mut table = self.table.clone();
        table.neighbours = false;
        let bench = Bench::of_table(table, &["example.com"]).await;
        self.log.must_not_hold(bench.secrets.clone());
        round(&bench, &record(&self.place().0, 1), None).await?;
        *requests = bench.vendor.requests().len();
        match self.table.lego {
            None => Ok(Outcome::NotApplicable("what lego needs is not known")),
            Some(lego) if *requests <= lego.add + lego.remove + lego.more => Ok(Outcome::Passed),
            Some(lego) => Err(format!("{requests} requests, lego {} + {}", lego.add, lego.remove)),
        }
    }

    /// A zone below another, with and without a zone of its own.
    async fn child_zones(&self) -> Result<Outcome, String> {
        if !self.table.zones.is_empty() {
            return Ok(Outcome::NotApplicable("the vendor gives its own zones out"));
        }
        let name = "_acme-challenge.host.sub.example.com";
        for (zones, zone) in [(&["example.com", "sub.example.com"][..], "sub.example.com"), (&["example.com"], "example.com")] {
            let bench = self.bench_with(zones).await;
            let before = bench.vendor.records();
            let record = record(name, 1);
            let kept = add(&bench, &record).await?;
            bench.holds(&before, name, zone, &[&record]).map_err(|e| format!("in {zone}: {e}"))?;
            remove(&bench, &kept, true).await?;
            bench.holds(&before, name, zone, &[]).map_err(|e| format!("in {zone}: {e}"))?;
            bench.at_home()?;
        }
        Ok(Outcome::Passed)
    }

    /// Step 5.
    async fn wrong_secret(&self) -> Result<Outcome, String> {
        if !self.table.credentials {
            return Ok(Outcome::NotApplicable("the vendor asks for no credentials"));
        }
        let bench = self.bench().await;
        let before = bench.vendor.records();
        let (name, at, zone) = self.place();
        let record = record(&name, 1);
        let right = bench.provider().find_zone(&record.name).await.map_err(|f| told("the zone", &f))?;
        if bench.vendor.parameters() == bench.vendor.wrong_parameters() {
            return Err("the table's params name no secret".to_owned());
        }
        let provider = match bench.wrong_provider() {
            Ok(provider) => provider,
            Err(problem) => return Err(format!("the page refuses the form of a wrong secret: {problem}")),
        };
        let asked = bench.vendor.requests().len();
        let outcomes = [
            provider.find_zone(&record.name).await.map(|zone| zone.name),
            provider.add(&right, &record).await.map(|handle| handle.to_string()),
            provider.remove(&right, &record, None).await.map(|()| String::new()),
        ];
        let used = bench.vendor.requests().len() - asked;
        for (outcome, what) in outcomes.into_iter().zip(["zone", "add", "remove"]) {
            match outcome {
                // A vendor that tells no zones is not asked for them, and one that deletes nothing not to.
                Ok(_) if what == "zone" && used <= 2 => (),
                Ok(_) if what == "remove" && self.table.leaves.as_deref() == Some("{{ value }}") => (),
                Ok(found) => return Err(format!("{what} with a wrong secret is no failure: {found}")),
                Err(failure) => {
                    bench.discreet(&failure)?;
                    if failure.code.number() / 100 != 1 {
                        return Err(told(&format!("{what} with a wrong secret is {}", failure.code.number()), &failure));
                    }
                }
            }
        }
        if used > 3 {
            return Err(format!("{used} requests with a wrong secret for three tries"));
        }
        bench.holds(&before, &at, &zone, &[])?;
        bench.at_home().map(|()| Outcome::Passed)
    }

    /// Step 6.
    async fn unknown_zone(&self) -> Result<Outcome, String> {
        if !self.table.tells_zones {
            return Ok(Outcome::NotApplicable("the vendor does not tell that a zone is unknown"));
        }
        let bench = self.bench().await;
        let before = bench.vendor.records();
        let record = record("_acme-challenge.host.example.org", 1);
        let provider = bench.provider();
        let outcome = match provider.find_zone(&record.name).await {
            Ok(zone) => provider.add(&zone, &record).await.map(|_| ()),
            Err(failure) => Err(failure),
        };
        let Err(failure) = outcome else { return Err("a value was put up in a zone of nobody".to_owned()) };
        if failure.code.number() / 100 != 2 {
            return Err(told(&format!("it is {}", failure.code.number()), &failure));
        }
        bench.discreet(&failure)?;
        if bench.vendor.records() != before {
            return Err("the account was changed".to_owned());
        }
        bench.at_home().map(|()| Outcome::Passed)
    }

    /// Step 7: every fault at every request of a round.
    async fn one_fault(&self) -> Result<Outcome, String> {
        let (name, at, zone) = self.place();
        let record = record(&name, 1);
        let bench = self.bench().await;
        let before = bench.vendor.records();
        round(&bench, &record, None).await?;
        let asked = bench.vendor.requests().len();
        // Each fault has a bench of its own, so that pauses run side by side.
        let rounds = (0..asked).flat_map(|place| FAULTS.map(|fault| (place, fault))).map(|(place, fault)| {
            let (record, at, zone, before) = (record.clone(), at.clone(), zone.clone(), before.clone());
            async move {
                let bench = self.bench().await;
                let step = async {
                    round(&bench, &record, Some((place, fault))).await?;
                    bench.holds(&before, &at, &zone, &[])?;
                    if bench.vendor.requests().len() <= asked && bench.vendor.forgive() {
                        return Err("the request that was to fail never came".to_owned());
                    }
                    bench.at_home()
                };
                step.await.map_err(|e| format!("{fault:?} at request {} of {asked}: {e}", place + 1))
            }
        });
        join_all(rounds).await.into_iter().collect::<Result<(), String>>().map(|()| Outcome::Passed)
    }

    /// Step 8.
    async fn at_once(&self) -> Result<Outcome, String> {
        if self.most() < 2 {
            return Ok(Outcome::NotApplicable("the vendor keeps one value"));
        }
        let bench = self.bench().await;
        let before = bench.vendor.records();
        let (name, at, zone) = self.place();
        let records: Vec<TxtRecord> = (1..=self.most()).map(|number| record(&name, number)).collect();
        records.iter().for_each(|record| bench.puts_up(&record.value));
        let provider = bench.provider();
        let found = provider.find_zone(&records[0].name).await.map_err(|f| told("the zone", &f))?;
        let added = join_all(records.iter().map(|record| provider.add(&found, record))).await;
        let handles: Vec<Value> = added.into_iter().collect::<Result<_, _>>().map_err(|f| told("adding", &f))?;
        bench.holds(&before, &at, &zone, &records.iter().collect::<Vec<_>>()).map_err(|e| format!("after adding: {e}"))?;
        let pairs = records.iter().zip(&handles);
        let removed = join_all(pairs.map(|(record, handle)| provider.remove(&found, record, Some(handle)))).await;
        removed.into_iter().collect::<Result<(), _>>().map_err(|f| told("removing", &f))?;
        bench.holds(&before, &at, &zone, &[]).map_err(|e| format!("after removing: {e}"))?;
        bench.at_home().map(|()| Outcome::Passed)
    }

    /// Step 9: at each request of an addition the process ends without having heard the answer; another process removes.
    async fn killed(&self) -> Result<Outcome, String> {
        let (name, at, zone) = self.place();
        let record = record(&name, 1);
        let bench = self.bench().await;
        let before = bench.vendor.records();
        let kept = add(&bench, &record).await?;
        let asked = bench.vendor.requests().len();
        remove(&bench, &kept, true).await?;
        for place in 0..asked {
            let came = bench.vendor.requests().len() + place;
            bench.vendor.fail(place, Fault::Silence);
            tokio::select! {
                outcome = add(&bench, &record) => return Err(format!("an answer that never came was heard: {:?}", outcome.map(|k| k.handle))),
                () = until(|| bench.vendor.requests().len() > came) => (),
            }
            remove(&bench, &kept, false).await.map_err(|e| format!("after request {} of {asked}: {e}", place + 1))?;
            bench.holds(&before, &at, &zone, &[]).map_err(|e| format!("after request {} of {asked}: {e}", place + 1))?;
        }
        bench.at_home().map(|()| Outcome::Passed)
    }
}

/// Adds and removes a value in one process.
async fn round(bench: &Bench, record: &TxtRecord, fault: Option<(usize, Fault)>) -> Result<(), String> {
    let provider = bench.provider();
    if let Some((place, fault)) = fault {
        bench.vendor.fail(place, fault);
    }
    let before = values(bench);
    bench.puts_up(&record.value);
    let zone = provider.find_zone(&record.name).await.map_err(|f| told("the zone", &f))?;
    let handle = provider.add(&zone, record).await.map_err(|f| told("adding", &f))?;
    let now = values(bench);
    if now.iter().filter(|value| **value == record.value).count() != 1 {
        return Err(format!("after adding the values are {now:?}, before {before:?}"));
    }
    provider.remove(&zone, record, Some(&handle)).await.map_err(|f| told("removing", &f))
}

fn values(bench: &Bench) -> Vec<String> {
    bench.vendor.records().into_iter().filter(|r| r.rtype == "TXT" && !r.value.contains("neighbour")).map(|r| r.value).collect()
}

/// Adds a value as a process of its own; what a journal keeps of it.
async fn add(bench: &Bench, record: &TxtRecord) -> Result<Kept, String> {
    let provider = bench.provider();
    bench.puts_up(&record.value);
    let zone = provider.find_zone(&record.name).await.map_err(|f| told("the zone", &f))?;
    let handle = provider.add(&zone, record).await.map_err(|f| told("adding", &f))?;
    // What goes to the journal and comes back is enough for another process, and holds no secret.
    let journal = serde_json::to_string(&zone).unwrap();
    bench.without_secrets(&journal)?;
    bench.without_secrets(&handle.to_string())?;
    let zone = serde_json::from_str(&journal).unwrap();
    Ok(Kept { record: record.clone(), zone, handle })
}

/// Removes a value as a process of its own.
async fn remove(bench: &Bench, kept: &Kept, with_handle: bool) -> Result<(), String> {
    let handle = with_handle.then_some(&kept.handle);
    bench.provider().remove(&kept.zone, &kept.record, handle).await.map_err(|f| told("removing", &f))
}

/// Waits for what a test can observe.
async fn until(seen: impl Fn() -> bool) {
    while !seen() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}
