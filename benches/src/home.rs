//! Where an inventory lives while it is measured.
use std::path::{Path, PathBuf};

use certkeep_store::SqlStore;
use certkeep_testkit::peers::PostgresServer;
use tempfile::TempDir;

use crate::inventory::location;
use crate::service;

/// As Debian sets it up, safe against a loss of power.
const AS_USUAL: [&str; 3] = ["fsync=on", "full_page_writes=on", "shared_buffers=128MB"];

/// A data folder, and a database beside it if that is the measured one.
pub(crate) struct Home {
    parent: TempDir,
    server: Option<PostgresServer>,
}

impl Home {
    pub(crate) fn sqlite() -> Home {
        Home { parent: tempfile::tempdir().expect("a folder"), server: None }
    }

    pub(crate) async fn postgres() -> Home {
        Home::postgres_with(&AS_USUAL).await
    }

    pub(crate) async fn postgres_with(settings: &'static [&'static str]) -> Home {
        Home { server: Some(PostgresServer::start_with(settings).await), ..Home::sqlite() }
    }

    pub(crate) fn database(&self) -> &'static str {
        if self.server.is_some() { "PostgreSQL" } else { "SQLite" }
    }

    pub(crate) fn folder(&self) -> PathBuf {
        self.parent.path().join("data")
    }

    /// The address of the database, where there is a server.
    pub(crate) fn url(&self) -> Option<String> {
        self.server.as_ref().map(PostgresServer::url)
    }

    /// Writes the configuration, with what a bench adds to it.
    pub(crate) fn configure(&self, more: &str) {
        std::fs::create_dir_all(self.folder()).expect("a folder");
        let store = self.url().map(|url| format!("[store]\nurl = {url:?}\n")).unwrap_or_default();
        std::fs::write(self.folder().join("certkeep.toml"), format!("{store}{more}")).expect("written");
    }

    /// Makes a client; answers its id and secret.
    pub(crate) fn add_client(&self, certkeep: &Path) -> (String, String) {
        self.configure("");
        service::add_client(certkeep, &self.folder())
    }

    pub(crate) async fn store(&self) -> SqlStore {
        location(&self.folder(), self.url().as_deref()).serve().await.expect("the store opens")
    }

    /// How many statements the server has logged.
    pub(crate) fn statements(&self) -> usize {
        let log = self.server.as_ref().map(PostgresServer::log).unwrap_or_default();
        log.lines().filter(|line| line.contains("LOG:  statement:") || line.contains("LOG:  execute ")).count()
    }

    /// Lets the database do at once what it does by itself some time after so many rows came.
    pub(crate) fn settle(&self) {
        if let Some(server) = &self.server {
            server.ask("VACUUM ANALYZE");
            server.ask("CHECKPOINT");
        }
    }
}
