//! What the story plays on: the sandbox, and a service that knows nothing but the sandbox.
use std::net::SocketAddr;
use std::time::Duration;

use certkeep_core::material::KeyType;
use certkeep_core::ports::{CertificateAuthority, Propagation};
use certkeep_core::renewal::Policy;
use certkeep_core::schedule::Pace;
use certkeep_dns::registry::RegistryOptions;
use certkeep_dns::resolver::{Authoritative, ResolverOptions};
use certkeep_engine::{Choice, Settings};
use certkeep_sandbox::{Options, Sandbox};
use tempfile::TempDir;

use super::DemoError;
use crate::serve::{Plan, Service};

pub(super) struct Stage {
    pub(super) folder: TempDir,
    pub(super) sandbox: Sandbox,
    pub(super) service: Service,
}

impl Stage {
    pub(super) async fn set(listen: SocketAddr) -> Result<Stage, DemoError> {
        let folder = tempfile::Builder::new().prefix("certkeep-demo-").tempdir().map_err(DemoError::Folder)?;
        let sandbox = Sandbox::start(Options::default()).await?;
        // Looking further up for CAA records would leave the sandbox.
        sandbox.set_record("example.com", "CAA", &["0 issue \"sandbox.example\""])?;
        let service = Service::start(plan(listen, &folder, &sandbox)).await?;
        Ok(Stage { folder, sandbox, service })
    }

    /// Ends everything; nothing is left behind.
    pub(super) async fn clear(self) {
        self.service.stop().await;
        self.sandbox.stop().await;
        if let Err(error) = self.folder.close() {
            tracing::warn!(%error, "the demo's folder is left behind");
        }
    }
}

fn plan(listen: SocketAddr, folder: &TempDir, sandbox: &Sandbox) -> Plan {
    let dns = vec![sandbox.dns_addr()];
    Plan {
        store: certkeep_store::Options { folder: folder.path().join("data"), key_file: None }.into(),
        settings: Settings {
            cas: Choice::of(
                CertificateAuthority {
                    directory: sandbox.directory_url().to_owned(),
                    roots: vec![sandbox.tls_root_pem().to_owned()],
                    contact: Vec::new(),
                    external_account: None,
                },
                KeyType::default(),
            )
            .into(),
            renewal: Policy::default(),
            max_server: None,
            max_trusted: None,
            propagation: Propagation { timeout: Duration::from_secs(10), interval: Duration::from_secs(1) },
            delegations: Vec::new(),
            concurrency: 1,
            pace: Pace::default(),
        },
        providers: RegistryOptions::default(),
        resolver: ResolverOptions {
            servers: dns.clone(),
            authoritative: Authoritative::Fixed(dns),
            ..ResolverOptions::default()
        },
        api_enabled: true,
        listen,
        http: None,
    }
}
