//! `certkeep serve`: everybody is introduced to everybody, and sent home in order.
//!
//! Start reading at [`Service::start`], the wiring; [`run`] is the life of the process around it.
mod bind;
mod serial;

use std::fmt;
use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::Arc;
use std::time::Duration;

use certkeep_acme::AcmeIssuer;
use certkeep_core::ports::{Resolver, StoreError};
use certkeep_dns::registry::{Registry, RegistryOptions};
use certkeep_dns::resolver::{DnsResolver, InvalidOptions, ResolverOptions};
use certkeep_engine::{Engine, Ports, Settings, UseCaseError};
use certkeep_store::{Location, OpenError, SqlStore};
use clap::Args;
use secrecy::ExposeSecret;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::config::{Config, ConfigError};
use crate::http::listener::{self, Unpresentable};
use crate::http::{Api, Device, Front};

pub use bind::BindError;

/// How long open requests and running steps may take to end. With what follows it stays below the five seconds after
/// which a supervisor may lose its patience.
const FAREWELL: Duration = Duration::from_millis(4300);
/// How long the database may take to close.
const CLOSING: Duration = Duration::from_millis(500);
/// Asked where nobody else is named.
const LOCAL_RESOLVER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 53);
/// The folder in the data folder with pages of DNS providers.
const PAGES_FOLDER: &str = "providers.d";
/// Threads that wait for files, name resolution and keys being made.
const BLOCKING_THREADS: usize = 32;

/// What the command line says in place of the configuration.
#[derive(Args, Clone, Copy, Debug, Default)]
pub struct Overrides {
    /// Where to serve HTTPS; port 0 is any free one [default: 0.0.0.0:8088]
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
    /// Where to serve plain HTTP as well; nowhere if left out
    #[arg(long, value_name = "ADDR")]
    http: Option<SocketAddr>,
}

/// What a service needs to know.
pub struct Plan {
    /// The data folder and its keys, or the database.
    pub store: Location,
    /// For the engine.
    pub settings: Settings,
    /// For the DNS providers.
    pub providers: RegistryOptions,
    /// For the resolver.
    pub resolver: ResolverOptions,
    /// Whether the OpenAPI answers.
    pub api_enabled: bool,
    /// Where to serve HTTPS.
    pub listen: SocketAddr,
    /// Where to serve plain HTTP, if anywhere.
    pub http: Option<SocketAddr>,
}

impl Plan {
    /// A plan by the configuration; files that it names are read now.
    ///
    /// # Errors
    /// The configuration's.
    pub fn new(folder: &Path, config: &Config, overrides: Overrides) -> Result<Plan, ConfigError> {
        let providers = || Ok(RegistryOptions { pages_folder: pages_folder(folder), ..config.provider_options()? });
        config.check_delegations(&Registry::new(providers()?))?;
        Ok(Plan {
            store: config.location(folder)?,
            settings: config.engine_settings()?,
            providers: providers()?,
            resolver: config.resolver_options()?,
            api_enabled: config.api.enabled,
            listen: overrides.listen.unwrap_or(config.tls.listen),
            http: overrides.http.or(config.tls.http),
        })
    }
}

/// Why a service does not start, or broke off.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// An address cannot be listened on.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// A part of the service ended by itself.
    #[error("{0} broke off; the log says why")]
    BrokeOff(Part),
    /// The engine does not start.
    #[error("the engine does not start")]
    Engine(#[from] UseCaseError),
    /// The data folder does not open.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// There is nobody to ask about names.
    #[error(transparent)]
    Resolver(#[from] InvalidOptions),
    /// The system gives no threads or no signals.
    #[error("the system gives no threads or no signals")]
    System(#[source] io::Error),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The certificate of our own HTTPS cannot be presented.
    #[error("certkeep's own HTTPS has no certificate to present")]
    Unpresentable(#[from] Unpresentable),
}

/// What runs in a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Plain HTTP.
    Http,
    /// HTTPS.
    Https,
    /// The loop that applies and renews.
    Jobs,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Part::Http => "plain HTTP",
            Part::Https => "HTTPS",
            Part::Jobs => "the job loop",
        })
    }
}

/// A running service.
pub struct Service {
    /// The use cases.
    pub engine: Engine,
    /// Where HTTPS is served.
    pub https: SocketAddr,
    /// Where plain HTTP is served.
    pub http: Option<SocketAddr>,
    parts: JoinSet<Result<Part, ServeError>>,
    shutdown: watch::Sender<bool>,
    store: SqlStore,
}

impl Service {
    /// Starts everything; connections are accepted from when this returns.
    ///
    /// # Errors
    /// See [`ServeError`]; nothing runs then.
    pub async fn start(plan: Plan) -> Result<Service, ServeError> {
        // First of all: what another service holds is not to be touched.
        let store = plan.store.serve().await?;
        let clock = store.clock();
        let listener = bind::listen(plan.listen).await?;
        let https = bind::address(&listener, plan.listen)?;
        let plain = match plan.http {
            Some(address) => Some(bind::listen(address).await?),
            None => None,
        };
        let http = plain.as_ref().zip(plan.http).map(|(listener, asked)| bind::address(listener, asked)).transpose()?;
        let resolver: Arc<dyn Resolver> = Arc::new(resolver(plan.resolver)?);
        let memory: Option<Arc<dyn certkeep_core::ports::Settings>> = Some(Arc::new(store.clone()));
        let zone_locks = store.zone_locks();
        let providers = RegistryOptions { resolver: Some(Arc::clone(&resolver)), memory, zone_locks, ..plan.providers };
        let ports = Ports {
            store: Arc::new(store.clone()),
            providers: Arc::new(Registry::new(providers)),
            resolver,
            issuer: Arc::new(AcmeIssuer::new(Arc::clone(&clock))),
            clock: Arc::clone(&clock),
        };
        let engine = Engine::start(ports, plan.settings).await?;
        let device = Device {
            device_name: "certkeep".to_owned(),
            model_name: "certkeep".to_owned(),
            sn: serial::number(&store).await?,
            firmware_version: concat!(env!("CARGO_PKG_VERSION"), ".0").to_owned(),
        };
        let mut api = Api::new(engine.clone(), device, clock);
        api.enabled = plan.api_enabled;
        let front = Front::new(api);

        let shutdown = watch::Sender::new(false);
        let mut parts = JoinSet::new();
        let served = engine.served();
        let ends = ended(shutdown.subscribe());
        let secured = front.clone();
        parts.spawn(async move {
            listener::serve_tls(listener, secured, served, ends).await?;
            Ok(Part::Https)
        });
        if let Some(plain) = plain {
            let ends = ended(shutdown.subscribe());
            let front = front.plain();
            parts.spawn(async move {
                listener::serve_plain(plain, front, ends).await;
                Ok(Part::Http)
            });
        }
        let stops = shutdown.subscribe();
        let jobs = engine.clone();
        parts.spawn(async move {
            jobs.run(stops).await;
            Ok(Part::Jobs)
        });
        Ok(Service { engine, https, http, parts, shutdown, store })
    }

    /// Waits until a part ends without having been told to.
    pub async fn broke_off(&mut self) -> ServeError {
        match self.parts.join_next().await {
            Some(Ok(Ok(part))) => ServeError::BrokeOff(part),
            Some(Ok(Err(error))) => error,
            // The jobs' own tasks are watched by the loop; here it can only be one of the parts that panicked.
            Some(Err(_)) | None => ServeError::BrokeOff(Part::Jobs),
        }
    }

    /// Stops: no new connections, open requests are finished, leases handed back, the store closed.
    pub async fn stop(mut self) {
        self.shutdown.send_replace(true);
        let farewell = async { while self.parts.join_next().await.is_some() {} };
        if tokio::time::timeout(FAREWELL, farewell).await.is_err() {
            tracing::warn!(left = self.parts.len(), "some of the service did not end in time");
            self.parts.abort_all();
        }
        if tokio::time::timeout(CLOSING, self.store.close()).await.is_err() {
            tracing::warn!("the database did not close in time; nothing is lost by that");
        }
    }
}

/// The folder of the operator's own pages, where there is one.
fn pages_folder(data: &Path) -> Option<PathBuf> {
    Some(data.join(PAGES_FOLDER)).filter(|folder| folder.is_dir())
}

/// A resolver. Where the system names none, the machine itself is asked (resolv.conf(5)): a missing one is no reason not
/// to serve what is held.
fn resolver(options: ResolverOptions) -> Result<DnsResolver, InvalidOptions> {
    match DnsResolver::new(options.clone()) {
        Err(error @ (InvalidOptions::NoServer(_) | InvalidOptions::System(..))) => {
            tracing::warn!(%error, "asking this machine for names");
            DnsResolver::new(ResolverOptions { servers: vec![LOCAL_RESOLVER], ..options })
        }
        other => other,
    }
}

/// Ready once `shutdown` says so, or its sender is gone.
async fn ended(mut shutdown: watch::Receiver<bool>) {
    let _ = shutdown.wait_for(|stop| *stop).await;
}

/// Serves until SIGTERM or SIGINT; a second one ends the process at once.
///
/// # Errors
/// See [`ServeError`].
pub fn run(plan: Plan) -> Result<(), ServeError> {
    let runtime = runtime().map_err(ServeError::System)?;
    let served = runtime.block_on(async {
        let mut stop = Stop::new().map_err(ServeError::System)?;
        let mut service = tokio::select! {
            started = Service::start(plan) => started?,
            () = stop.asked() => return Ok(()),
        };
        announce(&service);
        offer_setup(&service).await;
        let broken = tokio::select! {
            () = stop.asked() => None,
            error = service.broke_off() => Some(error),
        };
        tracing::info!("stopping");
        tokio::select! {
            () = service.stop() => {}
            () = stop.asked() => process::exit(1),
        }
        broken.map_or(Ok(()), Err)
    });
    // What still blocks a thread is not worth waiting for.
    runtime.shutdown_background();
    served
}

/// A runtime for a service.
pub(crate) fn runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().max_blocking_threads(BLOCKING_THREADS).enable_all().build()
}

/// Says on one line of stdout that connections are accepted, and where.
fn announce(service: &Service) {
    let mut line = format!("certkeep is ready: https://{}", service.https);
    if let Some(http) = service.http {
        line = format!("{line} http://{http}");
    }
    tracing::info!(version = env!("CARGO_PKG_VERSION"), https = %service.https, http = ?service.http, "ready");
    let mut out = io::stdout().lock();
    // Whoever started us may not listen: that is no reason not to serve.
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

/// Says, while there is no user, where the first one can be made. The token stands where no server is ever told of it, and
/// is good until it is used or another start makes another.
async fn offer_setup(service: &Service) {
    match service.engine.setup_token().await {
        Ok(Some(token)) => {
            let (host, port) = (host(service.https), service.https.port());
            let mut out = io::stdout().lock();
            let link = format!("https://{host}:{port}/setup#{}", token.expose_secret());
            let _ = writeln!(out, "certkeep has no user yet: make the first one at {link}").and_then(|()| out.flush());
        }
        Ok(None) => {}
        Err(error) => tracing::warn!(error = &error as &dyn std::error::Error, "no setup link"),
    }
}

/// How others call an address that we listen on: where that is every address of the machine, by its name.
fn host(listening: SocketAddr) -> String {
    match listening.ip() {
        ip if ip.is_unspecified() => rustix::system::uname().nodename().to_string_lossy().into_owned(),
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("[{ip}]"),
    }
}

/// The signals that ask us to stop.
pub(crate) struct Stop {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

impl Stop {
    pub(crate) fn new() -> io::Result<Stop> {
        Ok(Stop { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    /// Waits for the next one.
    pub(crate) async fn asked(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
