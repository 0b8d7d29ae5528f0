//! Finding a zone in accounts that are not as tidy as an example.
use std::fmt::Write as _;

use certkeep_core::failure::{Code, Failure};
use certkeep_core::issuance::{TxtRecord, Zone};
use certkeep_core::name::DnsName;

use super::vendor::{Said, Vendor, page, said};

const CHANGES: &str = "[add]\npost = \"/zones/{{ zone.id }}\"\nform = { name = \"{{ owner }}\", value = \"{{ value }}\" }\n\
                       [remove]\npost = \"/gone/{{ zone.id }}\"\n";
const LIST: &str =
    "get = \"/zones?page={{ page }}\"\neach = \"zones\"\nkeep = { name = \"name\", id = \"id\" }\nnext = \"more\"\n";
const CANDIDATE: &str = "get = \"/zones?name={{ candidate }}\"\neach = \"zones\"\nkeep = { name = \"name\", id = \"id\" }\n";

fn a_page(zone: &str) -> String {
    page(&format!("[http]\nbase = \"{{{{ Base }}}}\"\n[zone]\n{zone}{CHANGES}"))
}

fn name(text: &str) -> DnsName {
    text.parse().unwrap()
}

/// An account with these zones, each with its number as its id, listed in pages of fifty.
async fn account(zones: &[&str]) -> Vendor {
    let zones: Vec<String> = zones.iter().map(|&zone| zone.to_owned()).collect();
    Vendor::start(move |asked| {
        let (_, query) = asked.line.split_once('?').unwrap_or_default();
        let numbered = zones.iter().zip(1..);
        let (here, more): (Vec<_>, bool) = match query.split_once('=') {
            Some(("page", page)) => {
                let before = (page.parse::<usize>().unwrap() - 1) * 50;
                (numbered.skip(before).take(50).collect(), zones.len() > before + 50)
            }
            Some(("name", wanted)) => (numbered.filter(|(zone, _)| *zone == wanted).collect(), false),
            _ => return said(200, "{}"),
        };
        let mut list = String::new();
        for (zone, id) in here {
            let _ = write!(list, "{}{{\"name\": \"{zone}\", \"id\": {id}}}", if list.is_empty() { "" } else { ", " });
        }
        Said(200, Vec::new(), format!("{{\"zones\": [{list}], \"more\": {more}}}"))
    })
    .await
}

async fn found(zones: &[&str], zone: &str, owner: &str) -> Result<(String, u64), Failure> {
    let vendor = account(zones).await;
    let Zone { name, saved } = vendor.provider(&a_page(zone)).provider.find_zone(&self::name(owner)).await?;
    Ok((name, saved["id"].as_u64().unwrap()))
}

#[tokio::test]
async fn among_hundreds_of_zones_in_pages() {
    let zones: Vec<String> = (1..=730).map(|n| format!("zone{n}.example")).collect();
    let zones: Vec<&str> = zones.iter().map(String::as_str).collect();
    for n in [1, 50, 51, 700, 730] {
        let owner = format!("_acme-challenge.www.zone{n}.example");
        assert_eq!(found(&zones, LIST, &owner).await.unwrap(), (format!("zone{n}.example"), n));
    }
    assert_eq!(found(&zones, LIST, "_acme-challenge.zone731.example").await.unwrap_err().code, Code::ZoneNotFound);
    let vendor = account(&zones).await;
    vendor.provider(&a_page(LIST)).provider.find_zone(&name("a.zone730.example")).await.unwrap();
    assert_eq!(vendor.lines().len(), 15);
}

#[tokio::test]
async fn in_whatever_spelling_the_vendor_has_it() {
    for spelling in ["example.com.", "EXAMPLE.com", "Example.COM.", " example.com "] {
        let got = found(&[spelling], LIST, "_acme-challenge.Sub.EXAMPLE.com.").await.unwrap();
        assert_eq!(got, ("example.com".to_owned(), 1), "{spelling:?}");
    }
    for spelling in ["bücher.example", "BÜCHER.example.", "xn--bcher-kva.example", "XN--BCHER-KVA.example."] {
        for owner in ["_acme-challenge.bücher.example", "_acme-challenge.xn--bcher-kva.example"] {
            let got = found(&[spelling], LIST, owner).await.unwrap();
            assert_eq!(got, ("xn--bcher-kva.example".to_owned(), 1), "{spelling:?} {owner:?}");
        }
    }
}

#[tokio::test]
async fn a_public_suffix_is_a_zone_like_any_other() {
    for zone in [LIST, CANDIDATE] {
        let zones = ["co.example", "shop.co.example"];
        let of = async |owner: &str| found(&zones, zone, owner).await.map(|(zone, _)| zone);
        assert_eq!(of("_acme-challenge.pbx.co.example").await.unwrap(), "co.example");
        assert_eq!(of("_acme-challenge.co.example").await.unwrap(), "co.example");
        assert_eq!(of("_acme-challenge.pbx.shop.co.example").await.unwrap(), "shop.co.example");
        assert_eq!(of("_acme-challenge.workshop.co.example").await.unwrap(), "co.example");
    }
    // A top-level domain is found where zones are listed.
    assert_eq!(found(&["brand"], LIST, "_acme-challenge.pbx.brand").await.unwrap().0, "brand");
}

#[tokio::test]
async fn the_same_name_twice_is_told_apart_by_the_page_and_always_the_same_one_otherwise() {
    let vendor = Vendor::start(|asked| match asked.line.as_str() {
        "GET /zones" => said(
            200,
            r#"{"zones": [{"name": "example.com", "id": 1, "view": "private"}, {"name": "example.com", "id": 2, "view": "public"},
                {"name": "sub.example.com", "id": 3, "view": "private"}]}"#,
        ),
        _ => said(200, "{}"),
    })
    .await;
    let list = "get = \"/zones\"\neach = \"zones\"\nkeep = { name = \"name\", id = \"id\" }\n";
    let public = vendor.provider(&a_page(&format!("{list}where = {{ view = \"public\" }}\n")));
    let owner = name("_acme-challenge.sub.example.com");
    let zone = public.provider.find_zone(&owner).await.unwrap();
    assert_eq!((zone.name.as_str(), &zone.saved["id"]), ("example.com", &2.into()));

    // What was written to the one is removed from the same one, also by a process that finds the zone anew.
    let record = TxtRecord { name: name("_acme-challenge.example.com"), value: "v".to_owned() };
    for _ in 0..3 {
        let any = vendor.provider(&a_page(list)).provider;
        let zone = any.find_zone(&record.name).await.unwrap();
        any.add(&zone, &record).await.unwrap();
        let other_process = vendor.provider(&a_page(list)).provider;
        let zone = other_process.find_zone(&record.name).await.unwrap();
        other_process.remove(&zone, &record, None).await.unwrap();
    }
    let mut changed: Vec<String> = vendor.lines().into_iter().filter(|line| line.starts_with("POST")).collect();
    changed.sort();
    changed.dedup();
    let ids: Vec<&str> = changed.iter().filter_map(|line| line.rsplit('/').next()).collect();
    assert!(changed.len() == 2 && ids[0] == ids[1], "{changed:?}");
}
