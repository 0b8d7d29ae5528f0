//! Every provider there is: a page for each, compiled in, and a driver for those that have one.
mod folder;
mod held;
mod locks;
mod pace;
mod quota;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::error::Error as _;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use certkeep_core::failure::{Code, Failure};
use certkeep_core::ports::{DnsProvider, DnsProviders, Resolver, Settings, ZoneLocks};
use certkeep_core::provider::{Descriptor, Parameters};
use certkeep_core::time::{Clock, SystemClock};

pub(crate) use self::held::Held;
pub(crate) use self::locks::{Account, Locks};
pub(crate) use self::pace::Pace;
pub(crate) use self::quota::Quota;
use crate::exec::{self, Program};
use crate::page::{Driver, Page};
use crate::recipe::{Client, Endpoint, Recipe, Sessions, Shared};
use crate::rfc2136;

/// Every page by flag, in the order of the flags.
static PAGES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/pages.rs"));

/// How the providers are reached.
pub struct RegistryOptions {
    /// Tells the time that goes into signatures.
    pub clock: Arc<dyn Clock>,
    /// Roots in PEM that are trusted besides the machine's own.
    pub extra_roots: Vec<String>,
    /// Servers that stand in for the vendors', by flag: scheme, host and port. Paths stay the page's.
    pub endpoints: BTreeMap<String, String>,
    /// A proxy for every call: scheme, host and port. `None` is the environment's (`HTTPS_PROXY`, `NO_PROXY` …).
    pub proxy: Option<String>,
    /// A folder with pages that are added to the compiled-in ones or take their place; read once. A page that is wrong
    /// is told in the log, and the compiled-in one stays.
    pub pages_folder: Option<PathBuf>,
    /// Tells where zones begin, for vendors that need nothing but a zone's name (`soa = true`): it saves them calls.
    pub resolver: Option<Arc<dyn Resolver>>,
    /// Keeps the accounts that are opened for names (`[enroll]`), sealed. Without it none is opened.
    pub memory: Option<Arc<dyn Settings>>,
    /// The programs that the provider `exec` may run, by name.
    pub programs: BTreeMap<String, Program>,
    /// Locks that hold for all nodes that may write to the same zones. Without it there is only this process.
    pub zone_locks: Option<Arc<dyn ZoneLocks>>,
}

impl Default for RegistryOptions {
    fn default() -> Self {
        RegistryOptions {
            clock: Arc::new(SystemClock),
            extra_roots: Vec::new(),
            endpoints: BTreeMap::new(),
            proxy: None,
            pages_folder: None,
            resolver: None,
            memory: None,
            programs: BTreeMap::new(),
            zone_locks: None,
        }
    }
}

/// All providers. A page is read when it is first asked for, and the HTTP client made when it is first needed.
pub struct Registry {
    shared: Arc<Shared>,
    endpoints: BTreeMap<String, String>,
    programs: BTreeMap<String, Program>,
    entries: Vec<Entry>,
}

struct Entry {
    flag: Cow<'static, str>,
    text: Cow<'static, str>,
    /// `None` inside for a page that cannot be read.
    read: OnceLock<Option<(Arc<Page>, Descriptor)>>,
}

impl Registry {
    /// The providers that are compiled in, and those of the operator's folder.
    pub fn new(options: RegistryOptions) -> Registry {
        let RegistryOptions { clock, extra_roots, endpoints, proxy, pages_folder, resolver, memory, programs, zone_locks } =
            options;
        let shared = Shared {
            client: Client::new(extra_roots, proxy),
            clock,
            locks: Locks::new(zone_locks),
            pace: Pace::default(),
            quota: Quota::default(),
            held: Held::default(),
            sessions: Sessions::default(),
            resolver,
            memory,
        };
        let mut pages: BTreeMap<Cow<'static, str>, Cow<'static, str>> =
            PAGES.iter().map(|(flag, text)| (Cow::Borrowed(*flag), Cow::Borrowed(*text))).collect();
        let own = pages_folder.map(|folder| folder::pages(&folder)).unwrap_or_default();
        pages.extend(own.into_iter().map(|(flag, text)| (flag.into(), text.into())));
        let entries = pages.into_iter().map(|(flag, text)| Entry { flag, text, read: OnceLock::new() }).collect();
        Registry { shared: Arc::new(shared), endpoints, programs, entries }
    }

    /// The page of a flag.
    pub fn page(&self, flag: &str) -> Option<&Page> {
        self.entry(flag).map(|(page, _)| page.as_ref())
    }

    /// A page as it is written.
    pub fn text(&self, flag: &str) -> Option<&str> {
        let at = self.entries.binary_search_by(|entry| entry.flag.as_ref().cmp(flag)).ok()?;
        self.entries.get(at).map(|entry| entry.text.as_ref())
    }

    /// How many HTTP requests all recipes together have sent, those that were tried again included. Drivers in Rust
    /// speak no HTTP and count nothing.
    pub fn requests(&self) -> u64 {
        self.shared.client.sent()
    }

    fn entry(&self, flag: &str) -> Option<&(Arc<Page>, Descriptor)> {
        let at = self.entries.binary_search_by(|entry| entry.flag.as_ref().cmp(flag)).ok()?;
        self.read(self.entries.get(at)?)
    }

    fn read<'a>(&self, entry: &'a Entry) -> Option<&'a (Arc<Page>, Descriptor)> {
        entry.read(|page, descriptor| {
            if page.driver == Some(Driver::Exec) && self.programs.is_empty() {
                descriptor.served = Err(exec::NOTHING_ALLOWED.to_owned());
            }
        })
    }
}

impl Entry {
    fn read(&self, adjust: impl FnOnce(&Page, &mut Descriptor)) -> Option<&(Arc<Page>, Descriptor)> {
        let read = || match Page::parse(&self.flag, &self.text) {
            Ok(page) => {
                let mut descriptor = page.descriptor();
                adjust(&page, &mut descriptor);
                Some((Arc::new(page), descriptor))
            }
            Err(error) => {
                tracing::error!(%error, source = error.source().map(ToString::to_string), "a provider is left out");
                None
            }
        };
        self.read.get_or_init(read).as_ref()
    }
}

impl DnsProviders for Registry {
    fn descriptors(&self) -> Vec<&Descriptor> {
        self.entries.iter().filter_map(|entry| Some(&self.read(entry)?.1)).collect()
    }

    fn descriptor(&self, flag: &str) -> Option<&Descriptor> {
        self.entry(flag).map(|(_, descriptor)| descriptor)
    }

    fn connect(&self, flag: &str, parameters: &Parameters) -> Result<Arc<dyn DnsProvider>, Failure> {
        let refused = |fact: &str| Failure::new(Code::ProviderParameter, "connect").about(flag).fact(fact);
        let Some((page, descriptor)) = self.entry(flag) else {
            return Err(refused("there is no such provider"));
        };
        descriptor.served.as_ref().map_err(|why| refused(why))?;
        match page.driver {
            Some(Driver::Exec) => return exec::connect(parameters, &self.programs),
            Some(Driver::Rfc2136) => return rfc2136::connect(parameters),
            None => {}
        }
        let Some(http) = &page.http else { return Err(refused("there is no driver for it")) };
        let elsewhere = match self.endpoints.get(flag).map(|text| Endpoint::parse(text)) {
            None => None,
            Some(Ok(endpoint)) => Some(endpoint),
            Some(Err(error)) => return Err(refused(&error.to_string())),
        };
        let shared = Arc::clone(&self.shared);
        let recipe = Recipe::connect(Arc::clone(page), http, parameters, shared, elsewhere.as_ref())?;
        Ok(Arc::new(recipe))
    }

    fn asks_for_zones(&self, flag: &str, parameters: &Parameters) -> bool {
        let Some(page) = self.page(flag) else { return false };
        match &page.zone {
            Some(zone) => !zone.unlisted && !zone.soa,
            None => page.driver == Some(Driver::Rfc2136) && rfc2136::asks_for_zones(parameters),
        }
    }
}
