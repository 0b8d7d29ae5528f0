//! Many applications at once, beside a client that does nothing but the protocol, on the same Pebble and PowerDNS.
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::issuance::{World, ZONE, apply};
use crate::median;
use crate::probe;
use crate::service::{Service, add_client};

/// Names of the bulk, one certificate each.
const NAMES: usize = 500;
/// Single certificates, of which the middle one counts.
const SINGLE: usize = 15;
/// Accounts that the probe uses at once: the best rate is the ceiling.
const AT_ONCE: [usize; 3] = [4, 8, 16];
/// Between two looks at how many are issued.
const POLL: Duration = Duration::from_millis(50);

pub(crate) async fn measure(certkeep: &Path) {
    let world = World::start().await;
    let mut rows = Vec::new();
    for key_type in ["p256", "rsa2048"] {
        let folder = world.path(key_type).join("data");
        std::fs::create_dir_all(&folder).expect("a folder");
        std::fs::write(folder.join("certkeep.toml"), world.certkeep_config(key_type)).expect("written");
        let client = add_client(certkeep, &folder);
        let mut service = Service::start(certkeep, &folder, None);
        service.login(&client).await;
        // The first registers an account.
        apply(&service, &world, &format!("first-{key_type}.{ZONE}")).await;
        let mut single = Vec::new();
        for number in 0..SINGLE {
            single.push(apply(&service, &world, &format!("single{number}-{key_type}.{ZONE}")).await);
        }
        let before = service.processor();
        let rate = bulk(&service, &world, key_type).await;
        rows.push((key_type, median(single), rate, (service.processor() - before) / NAMES as f64));
    }
    let floor = probe::floor(&world.pebble, &world.dns, ZONE, SINGLE).await;
    let mut ceiling = (0.0, 0);
    for at_once in AT_ONCE {
        let rate = probe::rate(&world.pebble, &world.dns, ZONE, NAMES, at_once).await;
        if rate > ceiling.0 {
            ceiling = (rate, at_once);
        }
    }
    println!("\n| client | one certificate | of the probe's | {NAMES} names | of the probe's | processor time each |");
    println!("|---|---|---|---|---|---|");
    println!("| the probe, P-256, {} accounts at once | {floor:.3} s | | {:.1} a second | | |", ceiling.1, ceiling.0);
    for (key_type, single, rate, processor) in rows {
        println!(
            "| certkeep, {key_type} | {single:.3} s | {:.2} | {rate:.1} a second | {:.2} | {processor:.3} s |",
            single / floor,
            rate / ceiling.0
        );
    }
}

/// Certificates a second, from the first application to the last certificate.
async fn bulk(service: &Service, world: &World, key_type: &str) -> f64 {
    let began = Instant::now();
    let apply = |number: usize| async move {
        let body = world.application(&format!("bulk{number}-{key_type}.{ZONE}"));
        let created = service.post("certificate/create", &body).await;
        assert_eq!(created["errcode"], 0, "{created}");
    };
    for numbers in (0..NAMES).collect::<Vec<_>>().chunks(16) {
        futures::future::join_all(numbers.iter().map(|number| apply(*number))).await;
    }
    loop {
        let list = service.get("certificate/list", "&sort_by=id&order_by=desc&page_size=500").await;
        let list: Value = serde_json::from_str(&list).expect("JSON");
        let rows = list["certificate_list"].as_array().expect("a list");
        let of = |status: &str| rows.iter().filter(|row| row["apply_status"] == json!(status)).count();
        assert_eq!(of("issuance_fail"), 0, "an application failed");
        if of("issuance_success") == NAMES {
            return NAMES as f64 / began.elapsed().as_secs_f64();
        }
        tokio::time::sleep(POLL).await;
    }
}
