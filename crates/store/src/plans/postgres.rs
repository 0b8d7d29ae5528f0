use certkeep_testkit::peers::PostgresDatabase;
use secrecy::SecretString;
use tempfile::TempDir;

use super::{HOT, Walked, due_work, few, walked};
use crate::dialect::Dialect;
use crate::{Options, ServerUrl, SqlStore};

/// So many entries that walking all of them costs more than any index, and no more than a test has time for.
const ENTRIES: u32 = 20_000;

/// An inventory as years of service leave it, with what the planner knows of it. The values stand for themselves: nothing
/// is opened.
const FILL: [&str; 6] = [
    "INSERT INTO certificates (id, name, kind, issue_to, current_version, held_issue_to, not_before, not_after, origin, status,
         names, dns_provider, sealed_auth, next_issuance_at, renewal_ask_at, urgency, urgent_at, turn)
     SELECT n, md5(n::text), CASE WHEN n % 1000 = 0 THEN 'trusted' ELSE 'server' END, md5((n / 2)::text), n, md5((n / 2)::text),
         n, CASE WHEN n % 100 <> 0 THEN n * 79 % 20000 END, 'apply', 'issuance_success', '[]', 'cloudflare',
         decode(repeat('00', 200), 'hex'), n * 79 % 20000, n * 47 % 20000,
         CASE WHEN n % 200 < 3 THEN n % 200 ELSE 3 END, 5000 + n * 79 % 20000, CASE WHEN n % 400 = 2 THEN n END
     FROM generate_series(1, 20000) AS n",
    "INSERT INTO versions (id, certificate_id, chain, issue_to, not_before, not_after)
     SELECT n, n, decode(repeat('00', 400), 'hex'), 'a', 1, 2 FROM generate_series(1, 20000) AS n",
    "INSERT INTO issuances (id, certificate_id, step, sealed_application, started_at, due_at)
     SELECT n, n, 'done', decode(repeat('00', 200), 'hex'), n, CASE WHEN n % 200 = 0 THEN n END
     FROM generate_series(1, 20000) AS n",
    "INSERT INTO challenge_records (id, issuance_id, authorization_url, challenge_url, record_name, record_value, zone,
         dns_provider, sealed_auth, due_at)
     SELECT n, n, 'a', 'c', md5(n::text), md5(n::text), '{}', 'cloudflare', '', CASE WHEN n % 2 = 0 THEN n END
     FROM generate_series(1, 20000) AS n",
    "INSERT INTO clients (id, name, client_id, secret, role, networks) VALUES (1, 'a', 'a', '', 'a', '')",
    "INSERT INTO sessions (access, refresh, session_id, client_id, access_ends, refresh_ends, is_current)
     SELECT decode(md5(n::text), 'hex'), decode(md5(n::text), 'hex'), n, 1, n, n, 1 FROM generate_series(1, 20000) AS n",
];

async fn full() -> (PostgresDatabase, TempDir) {
    let (database, folder) = (PostgresDatabase::make().await, TempDir::new().unwrap());
    let url = ServerUrl::new(&SecretString::from(database.url())).unwrap();
    let options = Options { folder: folder.path().to_owned(), key_file: None };
    SqlStore::open_server(&url, &options).await.unwrap().close().await;
    // No trigger looks up what each row refers to.
    database.ask(&format!("SET session_replication_role = replica; {}", FILL.join(";")));
    database.ask("VACUUM ANALYZE");
    (database, folder)
}

/// What PostgreSQL means to do with each prepared statement once it was executed a number of times: then it may have made one
/// plan for all values.
fn plans(database: &PostgresDatabase, statements: &[(&str, &str)]) -> Vec<String> {
    const NEXT: &str = "-- next --";
    let mut script = String::new();
    for (statement, values) in statements {
        script += &format!("PREPARE p AS {statement};");
        for _ in 0..8 {
            script += &format!("SELECT '{NEXT}'; EXPLAIN (COSTS OFF) EXECUTE p{values};");
        }
        script += "DEALLOCATE p;";
    }
    let told = database.ask(&script);
    let all: Vec<&str> = told.split(NEXT).skip(1).collect();
    all.chunks(8).map(|plans| (*plans.last().unwrap()).to_owned()).collect()
}

#[tokio::test]
async fn what_has_to_stay_cheap_goes_by_an_index() {
    let (database, _folder) = full().await;
    due_work_is_picked_by_an_index(&database);
    every_order_of_a_list_walks_an_index_and_nothing_else(&database);
    the_hot_path_finds_its_rows(&database);
}

fn due_work_is_picked_by_an_index(database: &PostgresDatabase) {
    let work = due_work(Dialect::Postgres);
    let statements = work.map(|(statement, _, values)| (statement, values));
    for (plan, (statement, index, _)) in plans(database, &statements).into_iter().zip(work) {
        // The pace is one row, and the clients with turns are few.
        let walks = plan.lines().any(|step| step.contains("Seq Scan") && !step.contains("pace") && !step.contains("turns"));
        // What is picked already is few, too.
        let sorts = plan.lines().any(|step| step.contains("Sort Key") && !step.contains("ANY_subquery"));
        assert!(plan.contains(index) && !walks && !sorts, "{statement}\n{plan}");
    }
}

fn every_order_of_a_list_walks_an_index_and_nothing_else(database: &PostgresDatabase) {
    let walked = walked(ENTRIES);
    let values = |walked: &Walked| if walked.query.kind.is_some() { "(100, 100, 'server')" } else { "(100, 100)" };
    let picking: Vec<_> = walked.iter().map(|walked| (walked.picking.as_str(), values(walked))).collect();
    for (plan, Walked { query, .. }) in plans(database, &picking).into_iter().zip(&walked) {
        assert!(plan.contains("Index Only Scan") && !plan.contains("Seq Scan") && !plan.contains("Sort"), "{query:?}\n{plan}");
    }
    let pages: Vec<_> = walked.iter().map(|walked| (walked.page.as_str(), values(walked))).collect();
    for (plan, Walked { query, .. }) in plans(database, &pages).into_iter().zip(&walked) {
        // The entries of the page are found one by one.
        assert!(plan.contains("Index Scan using certificates_pkey") && !plan.contains("Seq Scan"), "{query:?}\n{plan}");
    }
    let few = few();
    let statements: Vec<_> = few.iter().map(|(_, picking)| (picking.as_str(), "(100, 0, 'trusted')")).collect();
    for (plan, (query, _)) in plans(database, &statements).into_iter().zip(&few) {
        assert!(!plan.contains("Seq Scan"), "{query:?}\n{plan}");
    }
}

fn the_hot_path_finds_its_rows(database: &PostgresDatabase) {
    let statements = HOT.map(|statement| match statement {
        statement if statement.contains("name =") => (statement, "('a')"),
        statement if statement.contains("access =") || statement.contains("token =") => (statement, "(decode('00', 'hex'))"),
        statement => (statement, "(1)"),
    });
    for (plan, (statement, _)) in plans(database, &statements).into_iter().zip(statements) {
        // There are few clients, users and what is theirs.
        let few = ["api_tokens", "audit", "browser_sessions", "clients", "users"];
        let walks = plan.lines().any(|step| step.contains("Seq Scan") && !few.iter().any(|few| step.contains(few)));
        assert!(!walks, "{statement}\n{plan}");
    }
}
