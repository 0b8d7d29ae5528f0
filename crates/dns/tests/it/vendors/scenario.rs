//! The scenario that every page has to pass. A step answers what went wrong, in words.
use std::future::Future;
use std::time::Duration;

use certkeep_core::failure::Failure;
use certkeep_core::issuance::{TxtRecord, Zone};
use certkeep_testkit::vendor::{Fault, Table};
use futures::future::join_all;
use serde_json::Value;

use super::bench::{Bench, NAME, record};

/// What came of a page.
pub(super) struct Report {
    pub(super) flag: String,
    /// Every step with what went wrong.
    pub(super) steps: Vec<(&'static str, Result<(), String>)>,
    /// Requests for adding and removing one value, in two processes.
    pub(super) requests: usize,
}

impl Report {
    pub(super) fn passed(&self) -> bool {
        self.steps.iter().all(|(_, outcome)| outcome.is_ok())
    }
}

/// A step that takes longer than this hangs, on whatever machine.
const LONGEST: Duration = Duration::from_secs(240);

/// What goes wrong with one request at a time.
const FAULTS: [Fault; 5] = [Fault::AnswerLost, Fault::Dropped, Fault::ServerError, Fault::TooMany(0), Fault::WebPage];

/// The scenario for one page.
pub(super) async fn run(flag: &str) -> Report {
    let mut report = Report { flag: flag.to_owned(), steps: Vec::new(), requests: 0 };
    let table = match Table::of(flag) {
        Ok(table) => table,
        Err(problem) => {
            report.steps.push(("table", Err(problem)));
            return report;
        }
    };
    let page = Page { table };
    report.steps.push(("either order", timed(page.either_order(&mut report.requests)).await));
    if report.passed() {
        report.steps.push(("child zone", timed(page.child_zones()).await));
        report.steps.push(("wrong secret", timed(page.wrong_secret()).await));
        report.steps.push(("unknown zone", timed(page.unknown_zone()).await));
        report.steps.push(("one fault", timed(page.one_fault()).await));
        report.steps.push(("five at once", timed(page.at_once()).await));
        report.steps.push(("killed", timed(page.killed()).await));
    }
    report
}

async fn timed(step: impl Future<Output = Result<(), String>>) -> Result<(), String> {
    tokio::time::timeout(LONGEST, step).await.unwrap_or_else(|_| Err("it hangs".to_owned()))
}

fn told(what: &str, failure: &Failure) -> String {
    format!("{what}: {failure} [{}]", serde_json::to_string(&failure.evidence).unwrap_or_default())
}

struct Page {
    table: Table,
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
        Bench::of_table(self.table.clone(), &["example.com", "sub.example.com", "notexample.com"]).await
    }

    /// Steps 1 to 4 and 10, with the removals in either order, each step in a new process.
    async fn either_order(&self, requests: &mut usize) -> Result<(), String> {
        let bench = self.bench().await;
        let (name, at, zone) = self.place();
        let before = bench.vendor.records();
        let (first, second) = (record(&name, 1), record(&name, 2));
        let one = add(&bench, &first).await?;
        bench.holds(&before, &at, &zone, &[&first]).map_err(|e| format!("after adding: {e}"))?;
        remove(&bench, &one, true).await?;
        bench.holds(&before, &at, &zone, &[]).map_err(|e| format!("after removing: {e}"))?;
        *requests = bench.vendor.requests().len();
        remove(&bench, &one, true).await.map_err(|e| format!("what is gone already: {e}"))?;
        bench.holds(&before, &at, &zone, &[])?;
        for (order, handles) in [([0, 1], true), ([1, 0], true), ([0, 1], false), ([1, 0], false)] {
            if self.table.one_value {
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
        bench.at_home()
    }

    /// A zone below another, with and without a zone of its own.
    async fn child_zones(&self) -> Result<(), String> {
        if !self.table.zones.is_empty() {
            return Ok(());
        }
        let name = "_acme-challenge.host.sub.example.com";
        for (zones, zone) in [(&["example.com", "sub.example.com"][..], "sub.example.com"), (&["example.com"], "example.com")] {
            let bench = Bench::of_table(self.table.clone(), zones).await;
            let before = bench.vendor.records();
            let record = record(name, 1);
            let kept = add(&bench, &record).await?;
            bench.holds(&before, name, zone, &[&record]).map_err(|e| format!("in {zone}: {e}"))?;
            remove(&bench, &kept, true).await?;
            bench.holds(&before, name, zone, &[]).map_err(|e| format!("in {zone}: {e}"))?;
            bench.at_home()?;
        }
        Ok(())
    }

    /// Step 5.
    async fn wrong_secret(&self) -> Result<(), String> {
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
                // A vendor that tells no zones is not asked for them.
                Ok(_) if what == "zone" && used <= 2 => (),
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
        bench.at_home()
    }

    /// Step 6.
    async fn unknown_zone(&self) -> Result<(), String> {
        if !self.table.tells_zones {
            return Ok(());
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
        bench.at_home()
    }

    /// Step 7: every fault at every request of a round.
    async fn one_fault(&self) -> Result<(), String> {
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
        join_all(rounds).await.into_iter().collect()
    }

    /// Step 8.
    async fn at_once(&self) -> Result<(), String> {
        if self.table.one_value {
            return Ok(());
        }
        let bench = self.bench().await;
        let before = bench.vendor.records();
        let (name, at, zone) = self.place();
        let records: Vec<TxtRecord> = (1..=5).map(|number| record(&name, number)).collect();
        let provider = bench.provider();
        let found = provider.find_zone(&records[0].name).await.map_err(|f| told("the zone", &f))?;
        let added = join_all(records.iter().map(|record| provider.add(&found, record))).await;
        let handles: Vec<Value> = added.into_iter().collect::<Result<_, _>>().map_err(|f| told("adding", &f))?;
        bench.holds(&before, &at, &zone, &records.iter().collect::<Vec<_>>()).map_err(|e| format!("after adding: {e}"))?;
        let pairs = records.iter().zip(&handles);
        let removed = join_all(pairs.map(|(record, handle)| provider.remove(&found, record, Some(handle)))).await;
        removed.into_iter().collect::<Result<(), _>>().map_err(|f| told("removing", &f))?;
        bench.holds(&before, &at, &zone, &[]).map_err(|e| format!("after removing: {e}"))?;
        bench.at_home()
    }

    /// Step 9: at each request of an addition the process ends without having heard the answer; another process removes.
    async fn killed(&self) -> Result<(), String> {
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
        bench.at_home()
    }
}

/// Adds and removes a value in one process.
async fn round(bench: &Bench, record: &TxtRecord, fault: Option<(usize, Fault)>) -> Result<(), String> {
    let provider = bench.provider();
    if let Some((place, fault)) = fault {
        bench.vendor.fail(place, fault);
    }
    let before = values(bench);
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
