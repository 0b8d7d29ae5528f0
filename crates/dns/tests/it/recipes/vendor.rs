//! A vendor of one test's own: plain HTTP on loopback, answered by a closure, and everything that came kept.
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::{env, fs, process};

use certkeep_core::application::{AuthEntry, AuthValue};
use certkeep_core::failure::Failure;
use certkeep_core::issuance::{TxtRecord, Zone};
use certkeep_core::ports::{DnsProvider, DnsProviders as _};
use certkeep_dns::registry::{Registry, RegistryOptions};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// A request that came.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    /// Method and target: `GET /zones?page=1`.
    pub(super) line: String,
    /// By their names in lower case.
    pub(super) headers: BTreeMap<String, String>,
    pub(super) body: String,
}

/// What is answered: status, headers, body.
pub(super) struct Said(pub(super) u16, pub(super) Vec<(&'static str, String)>, pub(super) String);

/// An answer without headers.
pub(super) fn said(status: u16, body: impl Into<String>) -> Said {
    Said(status, Vec::new(), body.into())
}

type Answer = dyn Fn(&Asked) -> Said + Send + Sync;

pub(super) struct Vendor {
    pub(super) url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Vendor {
    pub(super) async fn start(answer: impl Fn(&Asked) -> Said + Send + Sync + 'static) -> Vendor {
        Vendor::start_with(None, answer).await
    }

    /// Behind TLS, where it is told how.
    pub(super) async fn start_with(tls: Option<TlsAcceptor>, answer: impl Fn(&Asked) -> Said + Send + Sync + 'static) -> Vendor {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let url = format!("{scheme}://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (log, answer): (_, Arc<Answer>) = (Arc::clone(&asked), Arc::new(answer));
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (log, answer, tls) = (Arc::clone(&log), Arc::clone(&answer), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => serve(stream, log, answer).await,
                        // Who is not let in has gone.
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                serve(stream, log, answer).await;
                            }
                        }
                    }
                });
            }
        });
        Vendor { url, asked, task }
    }

    pub(super) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    pub(super) fn lines(&self) -> Vec<String> {
        self.asked().into_iter().map(|asked| asked.line).collect()
    }

    /// A registry with this page, whose `{{ Base }}` is the vendor.
    pub(super) fn provider(&self, page: &str) -> Provider {
        let folder = Folder::new();
        folder.write("x", page);
        let registry = Registry::new(RegistryOptions { pages_folder: Some(folder.0.clone()), ..RegistryOptions::default() });
        let text = |k: &str, v: &str| AuthEntry { k: k.into(), value: AuthValue::Text(v.into()) };
        let given = [text("Base", &self.url), text("Key", "s3cr3t-k3y")];
        let descriptor = registry.descriptor("x").expect("the page can be read: certkeep dns lint says why not");
        let provider = registry.connect("x", &descriptor.parameters(&given).unwrap()).unwrap();
        Provider { provider }
    }
}

impl Drop for Vendor {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(mut stream: impl AsyncRead + AsyncWrite + Unpin, log: Arc<Mutex<Vec<Asked>>>, answer: Arc<Answer>) {
    let mut came = Vec::new();
    loop {
        let head = loop {
            if let Some(end) = came.windows(4).position(|octets| octets == b"\r\n\r\n") {
                let head = String::from_utf8(came.drain(..end + 4).collect()).unwrap();
                break head;
            }
            if stream.read_buf(&mut came).await.unwrap_or(0) == 0 {
                return;
            }
        };
        let mut lines = head.lines();
        let line = lines.next().unwrap().trim_end_matches(" HTTP/1.1").to_owned();
        let headers = lines.filter_map(|line| line.split_once(": "));
        let headers: BTreeMap<_, _> = headers.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect();
        let length = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
        while came.len() < length {
            stream.read_buf(&mut came).await.unwrap();
        }
        let body = String::from_utf8(came.drain(..length).collect()).unwrap();
        let asked = Asked { line, headers, body };
        let Said(status, headers, body) = answer(&asked);
        log.lock().unwrap().push(asked);
        let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let answer = format!("HTTP/1.1 {status} x\r\n{headers}content-length: {}\r\n\r\n{body}", body.len());
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// What the engine sees of a provider.
pub(super) struct Provider {
    pub(super) provider: Arc<dyn DnsProvider>,
}

impl Provider {
    pub(super) async fn zone(&self) -> Result<Zone, Failure> {
        self.provider.find_zone(&"_acme-challenge.a.example.com".parse().unwrap()).await
    }

    pub(super) async fn add(&self, value: &str) -> Result<serde_json::Value, Failure> {
        let zone = self.zone().await?;
        self.provider.add(&zone, &record(value)).await
    }

    pub(super) async fn remove(&self, value: &str, handle: Option<&serde_json::Value>) -> Result<(), Failure> {
        let zone = self.zone().await?;
        self.provider.remove(&zone, &record(value), handle).await
    }
}

fn record(value: &str) -> TxtRecord {
    TxtRecord { name: "_acme-challenge.a.example.com".parse().unwrap(), value: value.into() }
}

/// A page: these parts below what all of them have.
pub(super) fn page(parts: &str) -> String {
    format!(
        "flag = \"x\"\nname = \"X\"\nparam = [{{ k = \"Base\" }}, {{ k = \"Key\", secret = true }}, \
         {{ k = \"TTL\", kind = \"integer\", default = 60 }}]\n{parts}"
    )
}

/// The parts of a page that finds its zone without a call.
pub(super) const BARE: &str = "[http]\nbase = \"{{ Base }}\"\n[zone]\nunlisted = true\n";

/// A folder that is gone with the test.
pub(super) struct Folder(pub(super) PathBuf);

impl Folder {
    pub(super) fn new() -> Folder {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("certkeep-recipes-{}-{}", process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let folder = env::temp_dir().join(name);
        fs::create_dir_all(&folder).unwrap();
        Folder(folder)
    }

    pub(super) fn write(&self, flag: &str, page: &str) {
        fs::write(self.0.join(format!("{flag}.toml")), page).unwrap();
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
