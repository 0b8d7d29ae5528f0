//! One node and three on the same PostgreSQL, at a CA that takes its time: what limits them is how many applications a node
//! works on at once.
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use certkeep_sandbox::{Options, Sandbox};
use serde_json::{Value, json};

use crate::home::Home;
use crate::service::{Service, add_client};

const ZONE: &str = "example.test";
/// How long the CA takes to look at a record, and to issue.
const DELAY: Duration = Duration::from_millis(1500);
/// Applications that a node works on at once.
const CONCURRENCY: usize = 4;
const NAMES: usize = 72;
const POLL: Duration = Duration::from_millis(50);

pub(crate) async fn measure(certkeep: &Path) {
    let mut rates = Vec::new();
    for nodes in [1, 3] {
        rates.push(rate(certkeep, nodes).await);
    }
    println!("\n| nodes | certificates a second | of one node's |\n|---|---|---|");
    for (nodes, rate) in [1, 3].into_iter().zip(&rates) {
        println!("| {nodes} | {rate:.2} | {:.2} |", rate / rates[0]);
    }
}

async fn rate(certkeep: &Path, count: usize) -> f64 {
    let sandbox =
        Sandbox::start(Options { zones: vec![ZONE.to_owned()], ..Options::default() }).await.expect("the sandbox starts");
    sandbox.faults().set_validation_delay(DELAY);
    sandbox.faults().set_issuance_delay(DELAY);
    let home = Home::postgres().await;
    let folders: Vec<PathBuf> = (0..count).map(|node| home.folder().join(node.to_string())).collect();
    for folder in &folders {
        configure(&home, &sandbox, folder, &folders[0].join("sealing.key"));
    }
    let client = add_client(certkeep, &folders[0]);
    let mut nodes: Vec<Service> = folders.iter().map(|folder| Service::start(certkeep, folder, None)).collect();
    nodes[0].login(&client).await;
    let service = &nodes[0];
    // The first registers the account.
    apply(service, &sandbox, &format!("first.{ZONE}")).await;
    await_issued(service, 1).await;
    let began = Instant::now();
    for number in 0..NAMES {
        apply(service, &sandbox, &format!("name{number}.{ZONE}")).await;
    }
    await_issued(service, NAMES + 1).await;
    NAMES as f64 / began.elapsed().as_secs_f64()
}

fn configure(home: &Home, sandbox: &Sandbox, folder: &Path, key_file: &Path) {
    std::fs::create_dir_all(folder).expect("a folder");
    let root = folder.join("root.pem");
    std::fs::write(&root, sandbox.tls_root_pem()).expect("written");
    let (url, dns) = (home.url().expect("a server"), sandbox.dns_addr());
    let text = format!(
        "[store]\nurl = {url:?}\nkey_file = {key_file:?}\n[limits]\nconcurrency = {CONCURRENCY}\n\
         [acme]\ndirectory = {:?}\nroots = [{root:?}]\ncontact = [\"mailto:bench@example.com\"]\nkey_type = \"p256\"\n\
         [dns]\nresolvers = [\"{dns}\"]\nauthoritative = [\"{dns}\"]\n",
        sandbox.directory_url()
    );
    std::fs::write(folder.join("certkeep.toml"), text).expect("written");
}

async fn apply(service: &Service, sandbox: &Sandbox, name: &str) {
    let auth = json!([
        { "k": "Host", "sv": sandbox.dns_api_url() },
        { "k": "APIKey", "sv": sandbox.dns_api_key() },
        { "k": "PollingInterval", "iv": 1 },
    ]);
    let body = json!({ "type": "server", "ca_type": "apply", "issue_to": name, "dns_provider": "pdns", "auth_info_list": auth });
    let created = service.post("certificate/create", &body).await;
    assert_eq!(created["errcode"], 0, "{created}");
}

async fn await_issued(service: &Service, count: usize) {
    loop {
        let list: Value = serde_json::from_str(&service.get("certificate/list", "&page_size=500").await).expect("JSON");
        let rows = list["certificate_list"].as_array().expect("a list");
        let of = |status: &str| rows.iter().filter(|row| row["apply_status"] == json!(status)).count();
        assert_eq!(of("issuance_fail"), 0, "an application failed: {list}");
        if of("issuance_success") == count {
            return;
        }
        tokio::time::sleep(POLL).await;
    }
}
