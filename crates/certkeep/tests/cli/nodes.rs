//! Several certkeeps on one PostgreSQL.
use std::net::TcpListener;
use std::time::{Duration, Instant};

use certkeep_sandbox::{Options, Sandbox};
use certkeep_testkit::peers::PostgresDatabase;
use certkeep_testkit::wait::eventually;
use serde_json::{Value, json};

use crate::process::{Data, PATIENCE, Serving, ended, program};

/// What is promised: every node knows within a second. The looks of a test on a busy machine take their time too.
const SOON: Duration = Duration::from_millis(1500);

/// A data folder whose node works on this database with this sandbox.
fn node(database: &PostgresDatabase, sandbox: &Sandbox) -> Data {
    let data = Data::new();
    let (url, directory, dns) = (database.url(), sandbox.directory_url(), sandbox.dns_addr());
    let config = data.configure(&format!(
        "[store]\nurl = \"{url}\"\n[acme]\ndirectory = \"{directory}\"\nroots = [\"root.pem\"]\n\
         [dns]\nresolvers = [\"{dns}\"]\nauthoritative = [\"{dns}\"]\n"
    ));
    std::fs::write(config.with_file_name("root.pem"), sandbox.tls_root_pem()).unwrap();
    data
}

fn share_keys(from: &Data, with: &Data) {
    std::fs::copy(from.folder().join("sealing.key"), with.folder().join("sealing.key")).unwrap();
}

async fn token(serving: &Serving, client: &(String, String)) -> String {
    let answer = serving.login(client).await;
    answer["access_token"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
}

fn application(host: &str, key: &str) -> Value {
    json!({
        "type": "server", "ca_type": "apply", "issue_to": "a.example.com", "dns_provider": "pdns",
        "auth_info_list": [{ "k": "Host", "sv": host }, { "k": "APIKey", "sv": key }],
    })
}

/// Waits until a node sees what another did; answers how long that took.
async fn seen<F: Future<Output = bool>>(what: &str, probe: impl Fn() -> F) -> Duration {
    let began = Instant::now();
    eventually(PATIENCE, what, || async { probe().await.then_some(()) }).await;
    began.elapsed()
}

async fn listed(serving: &Serving, token: &str) -> Vec<Value> {
    let list = serving.get(&format!("certificate/list?access_token={token}")).await;
    list["certificate_list"].as_array().cloned().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_serve_alike() {
    let (database, sandbox) = (PostgresDatabase::make().await, Sandbox::start(Options::default()).await.unwrap());
    let (first, second) = (node(&database, &sandbox), node(&database, &sandbox));
    let client = first.client("pbx", &[]);
    let refused = second.run(&["serve", "--listen", "127.0.0.1:0"]);
    assert_eq!(refused.code, 1);
    assert!(refused.stderr.contains("sealed with a key that is not there"), "{}", refused.stderr);
    share_keys(&first, &second);
    let (one, other) = (Serving::start(&first), Serving::start(&second));
    let token = token(&one, &client).await;
    assert!(other.accepts(&token).await, "a token taken at one works at the other");
    assert!(listed(&other, &token).await.is_empty());

    // What one is asked for, whoever does the work, both show.
    let wanted = application(sandbox.dns_api_url(), sandbox.dns_api_key());
    let created = one.post(&format!("certificate/create?access_token={token}"), &wanted).await;
    assert_eq!(created["errcode"], 0, "{created}");
    let name = created["name"].as_str().unwrap();
    let issued = |rows: Vec<Value>| rows.iter().any(|row| row["apply_status"] == "issuance_success");
    seen("the certificate at one", || async { issued(listed(&one, &token).await) }).await;
    let took = seen("the certificate at the other", || async { issued(listed(&other, &token).await) }).await;
    assert!(took < SOON, "{took:?}");

    // Both present what one was told to.
    let told = one.post(&format!("webserver/update?access_token={token}"), &json!({ "https_cert": name })).await;
    assert_eq!(told["errcode"], 0, "{told}");
    let took = seen("what the other presents", || async {
        other.get(&format!("webserver/get?access_token={token}")).await["https_cert"] == name
    })
    .await;
    assert!(took < SOON, "{took:?}");

    // A token that is given back at one is dead at the other.
    let given_back = one.get(&format!("del_token?access_token={token}")).await;
    assert_eq!(given_back["errcode"], 0, "{given_back}");
    let took = seen("the token's end", || async { !other.accepts(&token).await }).await;
    assert!(took < SOON, "{took:?}");
    // And so are those of a client that was removed beside them.
    let token = self::token(&other, &client).await;
    assert!(one.accepts(&token).await);
    assert_eq!(second.run(&["client", "remove", "pbx"]).code, 0);
    let took = seen("the client's end", || async { !one.accepts(&token).await }).await;
    assert!(took < SOON, "{took:?}");
    assert_eq!((one.stop().0.code(), other.stop().0.code()), (Some(0), Some(0)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn blocks_are_shared() {
    let (database, sandbox) = (PostgresDatabase::make().await, Sandbox::start(Options::default()).await.unwrap());
    let (first, second) = (node(&database, &sandbox), node(&database, &sandbox));
    let client = first.client("pbx", &[]);
    share_keys(&first, &second);
    let (one, other) = (Serving::start(&first), Serving::start(&second));
    let wrong = (client.0.clone(), "0".repeat(32));
    let mut answers = Vec::new();
    for n in 0..8 {
        let serving = if n % 2 == 0 { &one } else { &other };
        answers.push(serving.login(&wrong).await["errcode"].as_i64().unwrap());
    }
    let single = Data::new();
    single.client("pbx", &[]);
    let alone = Serving::start(&single);
    let mut expected = Vec::new();
    for _ in 0..8 {
        expected.push(alone.login(&wrong).await["errcode"].as_i64().unwrap());
    }
    assert_eq!(answers, expected, "failures are counted together, whichever node they are at");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_time_of_the_database_counts() {
    let (database, sandbox) = (PostgresDatabase::make().await, Sandbox::start(Options::default()).await.unwrap());
    // From the database's point of view this machine's clock is seven minutes slow.
    database.ask(
        "CREATE FUNCTION public.clock_timestamp() RETURNS timestamptz LANGUAGE sql AS
         $$ SELECT pg_catalog.clock_timestamp() + interval '7 minutes' $$",
    );
    let name = database.ask("SELECT current_database()");
    database.ask(&format!("ALTER DATABASE {} SET search_path = public, pg_catalog", name.trim()));
    let data = node(&database, &sandbox);
    let client = data.client("pbx", &[]);
    let serving = Serving::start(&data);
    let token = token(&serving, &client).await;
    assert!(serving.accepts(&token).await);
    let left =
        database.ask("SELECT access_ends / 1000000 - EXTRACT(EPOCH FROM pg_catalog.clock_timestamp())::bigint FROM sessions");
    let left: i64 = left.trim().parse().unwrap();
    let half_an_hour = 30 * 60;
    let ahead = left - half_an_hour;
    assert!((6 * 60..=7 * 60 + 2).contains(&ahead), "the token lives for {left} s of the machine's time");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_node_asks_little() {
    const WINDOW: Duration = Duration::from_secs(4);
    let (database, sandbox) = (PostgresDatabase::make().await, Sandbox::start(Options::default()).await.unwrap());
    let data = node(&database, &sandbox);
    let _serving = Serving::start(&data);
    // What the start costs is told late, so the first windows may hold it: idle it is once one does not.
    let mut seen = Vec::new();
    for _ in 0..5 {
        let before = database.transactions();
        tokio::time::sleep(WINDOW).await;
        seen.push(database.transactions() - before);
        if seen.last().is_some_and(|asked| (3..=2 * WINDOW.as_secs()).contains(asked)) {
            return;
        }
    }
    panic!("{seen:?} statements, each in {WINDOW:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigterm_hands_leases_back() {
    let (database, sandbox) = (PostgresDatabase::make().await, Sandbox::start(Options::default()).await.unwrap());
    let data = node(&database, &sandbox);
    let client = data.client("pbx", &[]);
    let serving = Serving::start(&data);
    let token = token(&serving, &client).await;
    // A DNS provider that takes calls and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let wanted = application(&format!("http://{}", silent.local_addr().unwrap()), "key");
    let created = serving.post(&format!("certificate/create?access_token={token}"), &wanted).await;
    assert_eq!(created["errcode"], 0, "{created}");
    let held = || database.ask("SELECT due_at > EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 FROM issuances WHERE fence > 0");
    eventually(PATIENCE, "a lease", || async { (held() == "t\n").then_some(()) }).await;
    let (status, _, log) = serving.stop();
    assert_eq!(status.code(), Some(0), "{log}");
    assert_eq!(held(), "f\n", "another node may take it up at once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_data_folder_goes_to_postgresql_with_its_tokens() {
    let database = PostgresDatabase::make().await;
    let data = Data::new();
    let client = data.client("pbx", &[]);
    let serving = Serving::start(&data);
    let token = token(&serving, &client).await;
    let elsewhere = data.folder().join("postgres.toml");
    std::fs::write(&elsewhere, format!("[store]\nurl = \"{}\"\n", database.url())).unwrap();
    let copying = || ended(program().args(["store", "copy"]).args([&data.folder(), &elsewhere]));
    let refused = copying();
    assert_eq!((refused.code, refused.stdout.as_str()), (1, ""));
    assert!(refused.stderr.contains("another certkeep serves the data folder"), "{}", refused.stderr);
    serving.stop();

    let copied = copying();
    assert_eq!((copied.code, copied.stderr.as_str()), (0, ""));
    assert!(copied.stdout.contains("\nclients ") && copied.stdout.ends_with("Both stores hold the same.\n"), "{}", copied.stdout);
    std::fs::rename(&elsewhere, data.folder().join("certkeep.toml")).unwrap();
    std::fs::remove_file(data.folder().join("certkeep.db")).unwrap();
    let serving = Serving::start(&data);
    assert!(serving.accepts(&token).await);
    assert!(!data.folder().join("certkeep.db").exists(), "all is in the database");
    serving.stop();

    // And back, into another folder.
    let other = Data::new();
    std::fs::create_dir_all(other.folder()).unwrap();
    share_keys(&data, &other);
    let back = ended(program().args(["store", "copy"]).args([data.folder(), other.folder()]));
    assert_eq!((back.code, back.stderr.as_str()), (0, ""));
    assert!(Serving::start(&other).accepts(&token).await);
    let nothing = ended(program().args(["store", "copy"]).args([data.folder().join("nowhere"), other.folder()]));
    assert_eq!(nothing.code, 1);
    assert!(nothing.stderr.contains("there is no store in the data folder"), "{}", nothing.stderr);
}
