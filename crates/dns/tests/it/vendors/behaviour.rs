//! What holds for recipes beyond the scenario, shown with a few vendors.
use certkeep_core::failure::Code;
use certkeep_testkit::vendor::Fault;

use super::bench::{Bench, NAME, record};

const LISTED: [&str; 3] = ["alidns", "cloudflare", "digitalocean"];

#[tokio::test]
async fn an_unknown_zone_is_told_by_name() {
    for flag in LISTED {
        let bench = Bench::start(flag).await;
        let failure = bench.provider().find_zone(&"_acme-challenge.example.org".parse().unwrap()).await.unwrap_err();
        assert_eq!(failure.code, Code::ZoneNotFound, "{failure}");
        assert_eq!(failure.evidence.subject.as_deref(), Some("_acme-challenge.example.org"));
    }
}

#[tokio::test]
async fn the_longest_zone_is_taken() {
    for flag in LISTED {
        let bench = Bench::start(flag).await;
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
    for flag in LISTED {
        let bench = Bench::start(flag).await;
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
async fn adding_what_is_there_is_no_error_and_one_removal_takes_all_of_it() {
    for flag in LISTED {
        let bench = Bench::start(flag).await;
        let before = bench.vendor.records();
        let record = record(NAME, 1);
        let provider = bench.provider();
        let zone = provider.find_zone(&record.name).await.unwrap();
        provider.add(&zone, &record).await.unwrap();
        let handle = provider.add(&zone, &record).await.unwrap();
        provider.remove(&zone, &record, Some(&handle)).await.unwrap();
        assert_eq!(bench.vendor.records(), before, "{flag}");
    }
}

#[tokio::test]
async fn hundreds_of_zones_in_pages() {
    let names: Vec<String> = (0..450).map(|n| format!("zone{n:03}.example")).collect();
    let zones: Vec<&str> = names.iter().map(String::as_str).collect();
    for flag in LISTED {
        let bench = Bench::with_zones(flag, &zones).await;
        let zone = bench.provider().find_zone(&"_acme-challenge.www.zone449.example".parse().unwrap()).await.unwrap();
        assert_eq!(zone.name, "zone449.example");
    }
}

#[tokio::test]
async fn as_few_requests_as_it_takes() {
    for (flag, most) in [("alidns", 3), ("cloudflare", 3), ("digitalocean", 2), ("httpreq", 2)] {
        let bench = Bench::start(flag).await;
        let provider = bench.provider();
        let record = record(NAME, 1);
        let zone = provider.find_zone(&record.name).await.unwrap();
        let handle = provider.add(&zone, &record).await.unwrap();
        provider.remove(&zone, &record, Some(&handle)).await.unwrap();
        assert_eq!(bench.vendor.requests().len(), most, "{flag}");
    }
}

#[tokio::test]
async fn cloudflares_older_key_opens_the_account_too() {
    let bench = Bench::start("cloudflare").await;
    let (email, key) = (bench.vendor.credential("email"), bench.vendor.credential("key"));
    let provider = bench.try_provider(&[("authemail".to_owned(), email), ("AuthKey".to_owned(), key)]).unwrap();
    assert_eq!(provider.find_zone(&NAME.parse().unwrap()).await.unwrap().name, "example.com");
}

#[tokio::test]
async fn a_long_pause_is_not_waited_for_but_told() {
    let bench = Bench::start("cloudflare").await;
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
        let bench = Bench::start("cloudflare").await;
        for later in 0..3 {
            bench.vendor.fail(later, fault);
        }
        let failure = bench.provider().find_zone(&NAME.parse().unwrap()).await.unwrap_err();
        assert_eq!(failure.code, code, "{failure}");
        assert_eq!(bench.vendor.requests().len(), 3);
        bench.discreet(&failure).unwrap();
    }
}

#[tokio::test]
async fn an_address_that_leads_nowhere_is_not_taken_for_a_missing_zone() {
    let bench = Bench::start("httpreq").await;
    let mut parameters = bench.vendor.parameters();
    for (name, text) in &mut parameters {
        if name == "Endpoint" {
            text.push_str("/elsewhere");
        }
    }
    let provider = bench.try_provider(&parameters).unwrap();
    let record = record(NAME, 1);
    let zone = provider.find_zone(&record.name).await.unwrap();
    let failure = provider.add(&zone, &record).await.unwrap_err();
    assert_eq!(failure.code, Code::ProviderUnreadable, "{failure}");
}

#[tokio::test]
async fn nobody_there() {
    let bench = Bench::start("httpreq").await;
    let provider = bench.provider();
    let record = record(NAME, 1);
    let zone = provider.find_zone(&record.name).await.unwrap();
    assert_eq!(zone.saved["unlisted"], true);
    drop(bench);
    let failure = provider.add(&zone, &record).await.unwrap_err();
    assert_eq!(failure.code, Code::ProviderUnreachable, "{failure}");
}

#[tokio::test]
async fn two_values_find_the_two_places_that_a_name_has() {
    let bench = Bench::start("selfhostde").await;
    let before = bench.vendor.records();
    let (one, two, three) = (record(NAME, 1), record(NAME, 2), record(NAME, 3));
    let provider = bench.provider();
    let zone = provider.find_zone(&one.name).await.unwrap();
    let handle = provider.add(&zone, &one).await.unwrap();
    provider.add(&zone, &two).await.unwrap();
    assert_eq!(bench.vendor.txt(NAME), [one.value.clone(), two.value.clone()]);
    assert_eq!(provider.add(&zone, &three).await.unwrap_err().code, Code::RecordRefused);
    provider.remove(&zone, &one, Some(&handle)).await.unwrap();
    assert_eq!(bench.vendor.txt(NAME), [two.value.as_str(), "empty"]);
    provider.remove(&zone, &two, None).await.unwrap();
    assert_eq!(bench.vendor.records(), before);
}
