//! A Pebble with renewal information and profiles; `./test newer` fetches and runs it.
use certkeep_core::failure::Code;
use certkeep_core::material::check_issued;
use certkeep_core::ports::{Issuer, OrderRequest};
use certkeep_core::renewal_info::RenewalId;
use certkeep_core::time::{Clock, SystemClock};
use jiff::SignedDuration;
use serde_json::json;

use super::{House, names, request};

const NAMES: [&str; 1] = ["newer.acme.test"];

#[tokio::test]
async fn newer_windows_are_read_as_they_are_moved() {
    let house = House::build(|options| options.newer = true).await;
    let (_, chain) = house.certify(&NAMES, None).await;
    let info = house.issuer.renewal_info(&house.ca, &chain).await.unwrap().unwrap();
    let validity = chain.facts().unwrap().held.validity;
    assert!(info.window.start() > validity.not_before && info.window.end() < validity.not_after, "{info:?}");
    assert!(info.poll_after > SystemClock.now());

    let (start, end) = ("2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z");
    let document = json!({ "suggestedWindow": { "start": start, "end": end }, "explanationURL": "https://ca.example/why" });
    let leaf = chain.to_pem().split_inclusive("-----END CERTIFICATE-----\n").next().unwrap().to_owned();
    house.pebble.set_renewal_info(&leaf, &document).await;
    let info = house.issuer.renewal_info(&house.ca, &chain).await.unwrap().unwrap();
    assert_eq!((info.window.start(), info.window.end()), (start.parse().unwrap(), end.parse().unwrap()));
    assert_eq!(info.explanation_url.as_deref(), Some("https://ca.example/why"));
}

#[tokio::test]
async fn newer_certificates_are_replaced_once_and_then_ordered_without() {
    let house = House::build(|options| options.newer = true).await;
    let (_, chain) = house.certify(&NAMES, None).await;
    let (id, wanted) = (RenewalId::of(&chain).unwrap(), names(&NAMES));
    let replacing = OrderRequest { replaces: Some(&id), ..OrderRequest::for_names(&wanted) };
    for _ in 0..2 {
        let order = house.issuer.new_order(&house.ca, &house.account, replacing).await.unwrap();
        house.put_up(&order).await;
        house.validate(&order).await.unwrap();
        let (key, csr) = request(&NAMES);
        check_issued(&house.issue(&order, &csr).await.unwrap(), &key, &wanted, SystemClock.now()).unwrap();
    }
}

#[tokio::test]
async fn newer_profiles_shorten_a_life_and_are_told_where_one_is_not_on_offer() {
    let house = House::build(|options| options.newer = true).await;
    let wanted = names(&NAMES);
    let asking = |profile| OrderRequest { profile: Some(profile), ..OrderRequest::for_names(&wanted) };
    let order = house.issuer.new_order(&house.ca, &house.account, asking("shortlived")).await.unwrap();
    house.put_up(&order).await;
    house.validate(&order).await.unwrap();
    let chain = house.issue(&order, &request(&NAMES).1).await.unwrap();
    assert!(chain.facts().unwrap().held.validity.life() <= SignedDuration::from_hours(6 * 24));

    let failure = house.issuer.new_order(&house.ca, &house.account, asking("eternal")).await.unwrap_err();
    assert_eq!(failure.code, Code::ProfileNotOffered);
    assert_eq!(failure.evidence.facts, ["The CA offers: default, shortlived."]);
}
