//! Ways into an account besides the one that the scenario takes.
use certkeep_core::failure::Code;
use certkeep_core::issuance::Zone;

use super::bench::{Bench, NAME, record};

/// Adds and removes a value with these parameters, and looks what of it the world sees.
async fn serves(flag: &str, change: impl Fn(&Bench, &mut Vec<(String, String)>)) -> Bench {
    let bench = Bench::start(flag).await;
    let mut parameters = bench.vendor.parameters();
    change(&bench, &mut parameters);
    let provider = bench.try_provider(&parameters).unwrap();
    let before = bench.vendor.records();
    let records = [record(NAME, 1), record(NAME, 2)];
    let zone = provider.find_zone(&records[0].name).await.unwrap();
    for record in &records {
        provider.add(&zone, record).await.unwrap();
    }
    bench.holds(&before, NAME, "example.com", &[&records[0], &records[1]]).unwrap();
    for record in &records {
        provider.remove(&zone, record, None).await.unwrap();
    }
    bench.holds(&before, NAME, "example.com", &[]).unwrap();
    bench.at_home().unwrap();
    bench
}

#[tokio::test]
async fn ovh_by_client_credentials() {
    let of_client = |bench: &Bench, parameters: &mut Vec<(String, String)>| {
        *parameters = vec![
            ("ClientId".to_owned(), bench.vendor.credential("id")),
            ("ClientSecret".to_owned(), bench.vendor.credential("key")),
        ];
    };
    let bench = serves("ovh", of_client).await;
    let logins = bench.vendor.requests().iter().filter(|seen| seen.host == "www.ovh.com").count();
    assert_eq!(logins, 1);

    let wrong = [("ClientId".to_owned(), bench.vendor.credential("id")), ("ClientSecret".to_owned(), "wrong".to_owned())];
    let provider = bench.try_provider(&wrong).unwrap();
    let record = record(NAME, 1);
    let zone = provider.find_zone(&record.name).await.unwrap();
    let failure = provider.add(&zone, &record).await.unwrap_err();
    assert_eq!(failure.code, Code::CredentialsRejected, "{failure:?}");

    let both = [wrong.to_vec(), vec![("AccessToken".to_owned(), "t".to_owned())]].concat();
    assert!(bench.try_provider(&both).err().unwrap().contains("only one"));
}

#[tokio::test]
async fn cpanel_by_the_servers_own_api() {
    let of_server = |_: &Bench, parameters: &mut Vec<(String, String)>| {
        parameters.retain(|(name, _)| name != "BaseURL");
        parameters.push(("BaseURL".to_owned(), "https://server.example.net:2087/".to_owned()));
        parameters.push(("Mode".to_owned(), "WHM".to_owned()));
    };
    let bench = serves("cpanel", of_server).await;
    assert!(bench.vendor.requests().iter().all(|seen| seen.target.starts_with("/json-api/")));

    let mut parameters = bench.vendor.parameters();
    of_server(&bench, &mut parameters);
    let record = record("_acme-challenge.example.org", 1);
    let zone = Zone { name: "example.org".to_owned(), saved: serde_json::Value::Null };
    let failure = bench.try_provider(&parameters).unwrap().add(&zone, &record).await.unwrap_err();
    assert_eq!(failure.code, Code::ZoneNotFound, "{failure:?}");
}
