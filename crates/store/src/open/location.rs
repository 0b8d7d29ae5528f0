//! A store, wherever it is.
use super::{Connected, OpenError, Options, ServerUrl, Whereabouts, folder, server};
use crate::SqlStore;

/// Where a store is.
#[derive(Clone, Debug)]
pub struct Location {
    /// The data folder. It holds the sealing key also when the database is elsewhere.
    pub options: Options,
    /// The database, when it is not the one in the folder.
    pub server: Option<ServerUrl>,
}

impl From<Options> for Location {
    fn from(options: Options) -> Self {
        Location { options, server: None }
    }
}

impl Location {
    /// Opens the store to serve it: [`SqlStore::open_exclusive`], or [`SqlStore::open_server`].
    ///
    /// # Errors
    /// See [`OpenError`].
    pub async fn serve(&self) -> Result<SqlStore, OpenError> {
        match &self.server {
            Some(url) => SqlStore::open_server(url, &self.options).await,
            None => SqlStore::open_exclusive(&self.options).await,
        }
    }

    /// Whether there may be a store: a folder has a database.
    pub fn is_there(&self) -> bool {
        self.server.is_some() || folder::has_database(&self.options)
    }

    pub(crate) fn whereabouts(&self) -> Whereabouts {
        match &self.server {
            Some(url) => Whereabouts::Server(url.name.clone()),
            None => Whereabouts::Folder(self.options.folder.clone()),
        }
    }

    /// Connects to what a copy is written to, as its only user as far as that can be known.
    pub(crate) async fn connect(&self) -> Result<Connected, OpenError> {
        match &self.server {
            Some(url) => server::connect(url, &self.options).await,
            None => folder::connect_alone(&self.options).await,
        }
    }

    /// Opens the store for a short command: [`SqlStore::open_shared`], or [`SqlStore::open_server`].
    ///
    /// # Errors
    /// See [`OpenError`].
    pub async fn visit(&self) -> Result<SqlStore, OpenError> {
        match &self.server {
            Some(url) => SqlStore::open_server(url, &self.options).await,
            None => SqlStore::open_shared(&self.options).await,
        }
    }
}
