//! The scenario, once for each simulated vendor.
use certkeep_core::failure::Code;
use certkeep_core::issuance::TxtRecord;
use certkeep_testkit::vendor::{Fault, Service};
use futures::future::join_all;

use super::bench::{Bench, NAME, record};

macro_rules! scenario {
    ($($service:ident => $module:ident),*) => { $(
        mod $module {
            use super::*;

            #[tokio::test]
            async fn two_values_come_and_go_in_either_order() {
                either_order(Service::$service).await;
            }

            #[tokio::test]
            async fn removal_needs_no_handle() {
                without_handle(Service::$service).await;
            }

            #[tokio::test]
            async fn adding_what_is_there_is_no_error_and_one_removal_takes_all_of_it() {
                added_twice(Service::$service).await;
            }

            #[tokio::test]
            async fn a_wrong_secret_is_told_after_one_request() {
                wrong_secret(Service::$service).await;
            }

            #[tokio::test]
            async fn one_fault_at_any_request_does_no_harm() {
                one_fault(Service::$service).await;
            }

            #[tokio::test]
            async fn five_values_at_once() {
                at_once(Service::$service).await;
            }
        }
    )* };
}

scenario!(Alidns => alidns, Cloudflare => cloudflare, DigitalOcean => digitalocean, HttpReq => httpreq);

/// The TXT values at the challenge name that are not a neighbour's.
fn values(bench: &Bench) -> Vec<String> {
    bench.vendor.txt(NAME).into_iter().filter(|value| !value.contains("neighbour")).collect()
}

fn value_of(records: &[&TxtRecord]) -> Vec<String> {
    records.iter().map(|record| record.value.clone()).collect()
}

async fn either_order(service: Service) {
    let bench = Bench::start(service).await;
    let before = bench.vendor.records();
    let (first, second) = (record(NAME, 1), record(NAME, 2));
    for order in [[&first, &second], [&second, &first]] {
        let provider = bench.provider();
        let zone = provider.find_zone(&first.name).await.unwrap();
        let first_handle = provider.add(&zone, &first).await.unwrap();
        assert_eq!(values(&bench), value_of(&[&first]));
        let second_handle = provider.add(&zone, &second).await.unwrap();
        assert_eq!(values(&bench), value_of(&[&first, &second]));
        let handle = |record: &TxtRecord| if record == &first { &first_handle } else { &second_handle };
        // What went to the journal and came back is enough for another process.
        let zone = serde_json::from_value(serde_json::to_value(&zone).unwrap()).unwrap();
        let provider = bench.provider();
        provider.remove(&zone, order[0], Some(handle(order[0]))).await.unwrap();
        assert_eq!(values(&bench), value_of(&[order[1]]));
        bench.provider().remove(&zone, order[1], Some(handle(order[1]))).await.unwrap();
        assert_eq!(bench.vendor.records(), before);
        provider.remove(&zone, order[1], Some(handle(order[1]))).await.unwrap();
        assert_eq!(bench.vendor.records(), before);
    }
    bench.discreet(&[]);
}

async fn without_handle(service: Service) {
    let bench = Bench::start(service).await;
    let before = bench.vendor.records();
    let provider = bench.provider();
    let (first, second) = (record(NAME, 1), record(NAME, 2));
    let zone = provider.find_zone(&first.name).await.unwrap();
    for record in [&first, &second] {
        provider.add(&zone, record).await.unwrap();
    }
    provider.remove(&zone, &second, None).await.unwrap();
    assert_eq!(values(&bench), value_of(&[&first]));
    for _ in 0..2 {
        provider.remove(&zone, &first, None).await.unwrap();
        assert_eq!(bench.vendor.records(), before);
    }
    bench.discreet(&[]);
}

async fn added_twice(service: Service) {
    let bench = Bench::start(service).await;
    let before = bench.vendor.records();
    let record = record(NAME, 1);
    let provider = bench.provider();
    let zone = provider.find_zone(&record.name).await.unwrap();
    provider.add(&zone, &record).await.unwrap();
    let handle = provider.add(&zone, &record).await.unwrap();
    provider.remove(&zone, &record, Some(&handle)).await.unwrap();
    assert_eq!(bench.vendor.records(), before);
}

async fn wrong_secret(service: Service) {
    let bench = Bench::start(service).await;
    let before = bench.vendor.records();
    let record = record(NAME, 1);
    let zone = bench.provider().find_zone(&record.name).await.unwrap();
    let provider = bench.wrong_provider();
    let mut failures = Vec::new();
    // A provider without a list of zones is not asked before the first record.
    if service != Service::HttpReq {
        let asked = bench.vendor.requests().len();
        failures.push(provider.find_zone(&record.name).await.unwrap_err());
        assert_eq!(bench.vendor.requests().len(), asked + 1);
    }
    let asked = bench.vendor.requests().len();
    failures.push(provider.add(&zone, &record).await.unwrap_err());
    failures.push(provider.remove(&zone, &record, None).await.unwrap_err());
    assert_eq!(bench.vendor.requests().len(), asked + 2);
    assert!(failures.iter().all(|failure| failure.code == Code::CredentialsRejected), "{failures:?}");
    assert_eq!(bench.vendor.records(), before);
    bench.discreet(&failures);
}

async fn one_fault(service: Service) {
    const FAULTS: [Fault; 5] = [Fault::AnswerLost, Fault::Dropped, Fault::ServerError, Fault::TooMany(0), Fault::WebPage];
    let bench = Bench::start(service).await;
    let before = bench.vendor.records();
    let record = record(NAME, 1);
    let round = async |fault: Option<(usize, Fault)>| {
        let provider = bench.provider();
        if let Some((at, fault)) = fault {
            bench.vendor.fail(at, fault);
        }
        let asked = bench.vendor.requests().len();
        let zone = provider.find_zone(&record.name).await.unwrap();
        let handle = provider.add(&zone, &record).await.unwrap();
        assert_eq!(values(&bench), value_of(&[&record]), "{service:?} {fault:?}");
        provider.remove(&zone, &record, Some(&handle)).await.unwrap();
        assert_eq!(bench.vendor.records(), before, "{service:?} {fault:?}");
        bench.vendor.requests().len() - asked
    };
    let requests = round(None).await;
    let faults = (0..requests).flat_map(|at| FAULTS.map(|fault| (at, fault)));
    for fault in faults {
        assert!(round(Some(fault)).await > requests, "{service:?} {fault:?}");
    }
    bench.discreet(&[]);
}

async fn at_once(service: Service) {
    let bench = Bench::start(service).await;
    let before = bench.vendor.records();
    let provider = bench.provider();
    let records: Vec<TxtRecord> = (1..=5).map(|number| record(NAME, number)).collect();
    let zone = provider.find_zone(&records[0].name).await.unwrap();
    let handles = join_all(records.iter().map(|record| provider.add(&zone, record))).await;
    assert_eq!(values(&bench), value_of(&records.iter().collect::<Vec<_>>()));
    let removals = records.iter().zip(&handles);
    let removals = removals.map(|(record, handle)| provider.remove(&zone, record, Some(handle.as_ref().unwrap())));
    assert!(join_all(removals).await.iter().all(Result::is_ok));
    assert_eq!(bench.vendor.records(), before);
}

#[tokio::test]
async fn an_unknown_zone_is_told() {
    for service in [Service::Alidns, Service::Cloudflare, Service::DigitalOcean] {
        let bench = Bench::start(service).await;
        let failure = bench.provider().find_zone(&"_acme-challenge.example.org".parse().unwrap()).await.unwrap_err();
        assert_eq!(failure.code, Code::ZoneNotFound, "{failure}");
        assert_eq!(failure.evidence.subject.as_deref(), Some("_acme-challenge.example.org"));
    }
}

#[tokio::test]
async fn the_longest_zone_is_taken() {
    for service in [Service::Alidns, Service::Cloudflare, Service::DigitalOcean] {
        let bench = Bench::start(service).await;
        let provider = bench.provider();
        for (name, zone) in [
            ("_acme-challenge.a.sub.example.com", "sub.example.com"),
            ("_acme-challenge.sub.example.com", "sub.example.com"),
            ("_acme-challenge.notexample.com", "notexample.com"),
            ("_acme-challenge.b.example.com", "example.com"),
        ] {
            assert_eq!(provider.find_zone(&name.parse().unwrap()).await.unwrap().name, zone);
        }
    }
}

#[tokio::test]
async fn a_record_at_the_zone_itself() {
    // Where a CNAME leads, the challenge record may stand at the top of its zone.
    for service in [Service::Alidns, Service::Cloudflare, Service::DigitalOcean] {
        let bench = Bench::start(service).await;
        let before = bench.vendor.records();
        let record = record("sub.example.com", 1);
        let provider = bench.provider();
        let zone = provider.find_zone(&record.name).await.unwrap();
        provider.add(&zone, &record).await.unwrap();
        assert!(bench.vendor.txt("sub.example.com").contains(&record.value));
        provider.remove(&zone, &record, None).await.unwrap();
        assert_eq!(bench.vendor.records(), before);
    }
}

#[tokio::test]
async fn hundreds_of_zones_in_pages() {
    let names: Vec<String> = (0..450).map(|n| format!("zone{n:03}.example")).collect();
    let zones: Vec<&str> = names.iter().map(String::as_str).collect();
    for service in [Service::Alidns, Service::Cloudflare, Service::DigitalOcean] {
        let bench = Bench::with_zones(service, &zones).await;
        let zone = bench.provider().find_zone(&"_acme-challenge.www.zone449.example".parse().unwrap()).await.unwrap();
        assert_eq!(zone.name, "zone449.example");
    }
}

#[tokio::test]
async fn as_few_requests_as_it_takes() {
    for (service, most) in [(Service::Alidns, 3), (Service::Cloudflare, 3), (Service::DigitalOcean, 4), (Service::HttpReq, 2)] {
        let bench = Bench::start(service).await;
        let provider = bench.provider();
        let record = record(NAME, 1);
        let zone = provider.find_zone(&record.name).await.unwrap();
        let handle = provider.add(&zone, &record).await.unwrap();
        provider.remove(&zone, &record, Some(&handle)).await.unwrap();
        assert_eq!(bench.vendor.requests().len(), most, "{service:?}");
    }
}

#[tokio::test]
async fn cloudflares_older_key_opens_the_account_too() {
    let bench = Bench::start(Service::Cloudflare).await;
    let (id, secret) = bench.vendor.credentials();
    let provider = bench.provider_with(&[("authemail", id), ("AuthKey", secret)]);
    assert_eq!(provider.find_zone(&NAME.parse().unwrap()).await.unwrap().name, "example.com");
}

#[tokio::test]
async fn a_long_pause_is_not_waited_for_but_told() {
    let bench = Bench::start(Service::Cloudflare).await;
    bench.vendor.fail(0, Fault::TooMany(300));
    let failure = bench.provider().find_zone(&NAME.parse().unwrap()).await.unwrap_err();
    assert_eq!(failure.code, Code::ProviderRateLimited);
    assert_eq!(failure.evidence.their_code.as_deref(), Some("971"));
    assert!(failure.not_before.is_some());
    assert_eq!(bench.vendor.requests().len(), 1);
}

#[tokio::test]
async fn a_lasting_fault_ends_after_three_tries_in_its_own_code() {
    for (fault, code) in [
        (Fault::ServerError, Code::ProviderError),
        (Fault::WebPage, Code::ProviderUnreadable),
        (Fault::Dropped, Code::ProviderUnreachable),
        (Fault::TooMany(0), Code::ProviderRateLimited),
    ] {
        let bench = Bench::start(Service::DigitalOcean).await;
        for later in 0..3 {
            bench.vendor.fail(later, fault);
        }
        let failure = bench.provider().find_zone(&NAME.parse().unwrap()).await.unwrap_err();
        assert_eq!(failure.code, code, "{failure}");
        assert_eq!(bench.vendor.requests().len(), 3);
        bench.discreet(&[failure]);
    }
}

#[tokio::test]
async fn an_address_that_leads_nowhere_is_not_taken_for_a_missing_zone() {
    let bench = Bench::start(Service::HttpReq).await;
    let mut parameters = bench.vendor.parameters();
    parameters[0].1.push_str("/elsewhere");
    let provider = bench.provider_with(&parameters);
    let record = record(NAME, 1);
    let zone = provider.find_zone(&record.name).await.unwrap();
    let failure = provider.add(&zone, &record).await.unwrap_err();
    assert_eq!(failure.code, Code::ProviderUnreadable, "{failure}");
}

#[tokio::test]
async fn nobody_there() {
    let bench = Bench::start(Service::HttpReq).await;
    let provider = bench.provider();
    let record = record(NAME, 1);
    let zone = provider.find_zone(&record.name).await.unwrap();
    assert_eq!(zone.saved["unlisted"], true);
    drop(bench);
    let failure = provider.add(&zone, &record).await.unwrap_err();
    assert_eq!(failure.code, Code::ProviderUnreachable, "{failure}");
}
