//! Many applications at once stay below the limits that vendors publish.
use std::fs;
use std::path::Path;
use std::sync::Arc;

use certkeep_core::ports::DnsProvider;
use certkeep_dns::registry::{Registry, RegistryOptions};
use certkeep_testkit::vendor::{Limit, Table};
use futures::future::join_all;

use super::bench::{Bench, connect, record};

/// A service of its own: all its providers share what is known of an account.
struct Service<'a> {
    bench: &'a Bench,
    registry: Registry,
}

impl Service<'_> {
    /// With pages of this folder in the place of the compiled-in ones.
    fn new<'b>(bench: &'b Bench, pages_folder: Option<&Path>) -> Service<'b> {
        let registry = Registry::new(RegistryOptions {
            extra_roots: vec![bench.vendor.root()],
            proxy: Some(bench.vendor.proxy()),
            pages_folder: pages_folder.map(Path::to_owned),
            ..RegistryOptions::default()
        });
        Service { bench, registry }
    }

    fn provider(&self) -> Arc<dyn DnsProvider> {
        connect(&self.registry, &self.bench.vendor.table().flag, &self.bench.vendor.parameters()).unwrap()
    }

    /// So many applications in one zone, all at once; answers how many requests were refused for their rate.
    async fn apply(&self, applications: usize) -> usize {
        let before = self.bench.vendor.records();
        let apply = |number: usize| async move {
            let provider = self.provider();
            let record = record(&format!("_acme-challenge.host{number}.example.com"), number);
            let zone = provider.find_zone(&record.name).await?;
            let handle = provider.add(&zone, &record).await?;
            provider.remove(&zone, &record, Some(&handle)).await
        };
        let outcomes = join_all((0..applications).map(apply)).await;
        let refused = self.bench.vendor.requests().iter().filter(|seen| seen.status == 429).count();
        if refused == 0 {
            outcomes.into_iter().collect::<Result<(), _>>().unwrap();
            assert_eq!(self.bench.vendor.records(), before);
        }
        refused
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_applications_stay_below_a_published_limit() {
    let bench = Bench::start("cloudflare").await;
    assert!(bench.vendor.table().limit.is_some(), "the table says what the vendor publishes");
    assert_eq!(Service::new(&bench, None).apply(100).await, 0);
}

/// Digital Ocean's limit is reached by a hundred applications within its minute. Here minute and applications are shorter
/// by the same part, in the vendor's table and in the page.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_wait_where_the_limit_would_be_passed() {
    let mut table = Table::of("digitalocean").unwrap();
    assert_eq!(table.limit.map(|limit| (limit.requests, limit.seconds)), Some((250, 60.0)));
    table.limit = Some(Limit { requests: 25, seconds: 2.0 });
    let zones = ["example.com", "sub.example.com"];
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("digitalocean.toml");
    let page = Registry::new(RegistryOptions::default()).text("digitalocean").unwrap().to_owned();
    let (limit, shorter) = ("limit = { calls = 250, within = 60 }", "limit = { calls = 25, within = 2 }");
    assert!(page.contains(limit));

    fs::write(&path, page.replace(limit, shorter)).unwrap();
    let bench = Bench::of_table(table.clone(), &zones).await;
    assert_eq!(Service::new(&bench, Some(folder.path())).apply(10).await, 0);

    fs::write(&path, page.replace(limit, "")).unwrap();
    let bench = Bench::of_table(table, &zones).await;
    assert!(Service::new(&bench, Some(folder.path())).apply(10).await > 0, "the vendor refuses those who do not wait");
}
