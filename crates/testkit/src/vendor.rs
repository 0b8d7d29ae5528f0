//! Simulated accounts of DNS vendors behind real HTTPS on loopback.
//!
//! A vendor is a table, `vendors/<flag>.toml` of this crate, written from the vendor's own documentation or from another
//! client's sources, which its head names; it knows nothing of certkeep's pages. `vendors/README.md` tells the format.
//! Credentials are checked and signatures computed anew. A test looks at the account's records before and after, at the
//! requests that came, and asks for faults at a request of its choice.
//!
//! Start reading at `table`; `desk` takes the requests, `operation` does what they ask, `reply` answers.
mod access;
mod account;
mod desk;
mod expression;
mod operation;
mod reply;
mod request;
mod scope;
mod server;
mod signature;
mod table;
mod text;
mod tls;
mod view;
mod xml;

use std::net::SocketAddr;
use std::sync::Arc;

pub use account::{Account, Record};
pub use desk::{Fault, Seen};
pub use table::{Lego, Limit, Owned, Table};

/// A running vendor; it stops when it is dropped.
pub struct Vendor {
    desk: Arc<desk::Desk>,
    authority: Arc<tls::Authority>,
    address: SocketAddr,
    server: tokio::task::AbortHandle,
}

impl Vendor {
    /// Starts the vendor of this table with this account and credentials of its own.
    pub async fn start(table: Table, mut account: Account) -> Vendor {
        for Owned { name, value } in &table.records {
            let zone = account.zone_of(name).expect("the table's own records are in the account's zones");
            account.add(&zone, name, "TXT", value, 300);
        }
        let desk = Arc::new(desk::Desk::new(table, account));
        let authority = tls::Authority::shared();
        let (address, server) = server::listen(Arc::clone(&desk), tls::configured(Arc::clone(&authority))).await;
        Vendor { desk, authority, address, server }
    }

    /// Its table.
    pub fn table(&self) -> &Table {
        &self.desk.table
    }

    /// The address at which it is all of the vendor's hosts, for a client that can be told of a proxy.
    pub fn proxy(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The address at which it is the vendor's first host.
    pub fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    /// The root that a client has to trust, in PEM.
    pub fn root(&self) -> String {
        self.authority.root()
    }

    /// The provider's parameters that open the account, as `auth_info_list` names them.
    pub fn parameters(&self) -> Vec<(String, String)> {
        self.desk.secrets.parameters(&self.desk.table)
    }

    /// The same with everything secret wrong.
    pub fn wrong_parameters(&self) -> Vec<(String, String)> {
        self.desk.wrong.parameters(&self.desk.table)
    }

    /// One of the account's credentials: `id`, `token` …
    pub fn credential(&self, name: &str) -> String {
        self.desk.secrets.get(name).to_owned()
    }

    /// What must not be told anywhere.
    pub fn secrets(&self) -> Vec<String> {
        self.desk.secrets.secret()
    }

    /// What must not be told anywhere either: what was tried in its place.
    pub fn wrong_secrets(&self) -> Vec<String> {
        self.desk.wrong.secret()
    }

    /// Every record of the account that the world sees, sorted.
    pub fn records(&self) -> Vec<Record> {
        let mut records = self.desk.inner().account.records();
        if self.desk.table.most_values.is_some() {
            // Who keeps the newest by their number may keep one twice, which the DNS shows once.
            records.dedup();
        }
        records
    }

    /// The TXT values at a name, sorted.
    pub fn txt(&self, name: &str) -> Vec<String> {
        let records = self.records().into_iter();
        records.filter(|r| r.name == name && r.rtype == "TXT").map(|r| r.value).collect()
    }

    /// Whether changes wait to be committed, or a job for somebody to see its end.
    pub fn unsettled(&self) -> bool {
        let inner = self.desk.inner();
        if self.desk.table.drafts { inner.account.has_jobs() } else { inner.account.unsettled() }
    }

    /// Changes the account behind the API's back.
    pub fn change(&self, change: impl FnOnce(&mut Account)) {
        change(&mut self.desk.inner().account);
    }

    /// Every request that came so far.
    pub fn requests(&self) -> Vec<Seen> {
        self.desk.inner().seen.clone()
    }

    /// Lets the request go wrong that comes after `later` others from now on.
    pub fn fail(&self, later: usize, fault: Fault) {
        let mut inner = self.desk.inner();
        let at = inner.seen.len() + later;
        inner.faults.insert(at, fault);
    }

    /// Takes faults back that did not come to pass; answers whether there were any.
    pub fn forgive(&self) -> bool {
        let mut inner = self.desk.inner();
        !std::mem::take(&mut inner.faults).is_empty()
    }
}

impl Drop for Vendor {
    fn drop(&mut self) {
        self.server.abort();
    }
}
