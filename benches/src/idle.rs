//! What a node that has nothing to do asks of PostgreSQL.
use std::path::Path;
use std::time::Duration;

use crate::home::Home;
use crate::service::Service;

/// Every statement is a line of the log.
const LOGGED: [&str; 1] = ["log_statement=all"];
/// How long the node is left alone before, and how long it is watched.
const SETTLING: Duration = Duration::from_secs(5);
const WATCHED: Duration = Duration::from_secs(60);

pub(crate) async fn measure(certkeep: &Path) {
    let home = Home::postgres_with(&LOGGED).await;
    home.configure("");
    let _service = Service::start(certkeep, &home.folder(), None);
    tokio::time::sleep(SETTLING).await;
    let before = home.statements();
    tokio::time::sleep(WATCHED).await;
    let statements = home.statements() - before;
    println!("\n| what | measured |\n|---|---|");
    println!("| statements of an idle node | {:.2} a second |", statements as f64 / WATCHED.as_secs_f64());
}
