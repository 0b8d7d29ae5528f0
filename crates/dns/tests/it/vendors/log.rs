//! What the code under test writes to the log, down to the finest: nothing of it may be secret.
use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use tracing::Dispatch;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;

/// A log in memory, and what must not be in it.
#[derive(Clone, Default)]
pub(super) struct Log {
    text: Arc<Mutex<Vec<u8>>>,
    secrets: Arc<Mutex<Vec<String>>>,
}

impl Log {
    /// Where certkeep's own crates write; libraries are never logged that finely.
    pub(super) fn dispatch(&self) -> Dispatch {
        let lines = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(self.clone());
        Dispatch::new(tracing_subscriber::registry().with(lines).with(Targets::new().with_target("certkeep", LevelFilter::TRACE)))
    }

    pub(super) fn must_not_hold(&self, secrets: Vec<String>) {
        self.secrets.lock().unwrap().extend(secrets);
    }

    /// Fails when a secret was written since this was last asked.
    pub(super) fn without_secrets(&self) -> Result<(), String> {
        let text = String::from_utf8(std::mem::take(&mut *self.text.lock().unwrap())).unwrap();
        let secrets = std::mem::take(&mut *self.secrets.lock().unwrap());
        match secrets.iter().find(|secret| text.contains(secret.as_str())) {
            Some(_) => Err(format!("a secret is logged: {text}")),
            None => Ok(()),
        }
    }
}

impl Write for Log {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.text.lock().unwrap().extend_from_slice(octets);
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Log;

    fn make_writer(&'a self) -> Log {
        self.clone()
    }
}

#[test]
fn a_secret_that_is_logged_is_found_and_libraries_are_not_listened_to() {
    let log = Log::default();
    log.must_not_hold(vec!["a secret".to_owned()]);
    let logged = |secret: &str, library: &str| {
        tracing::dispatcher::with_default(&log.dispatch(), || {
            tracing::trace!(target: "certkeep_dns::recipe", text = secret);
            tracing::error!(target: "hyper", text = library);
        });
        log.without_secrets()
    };
    assert!(logged("nothing", "a secret").is_ok());
    log.must_not_hold(vec!["a secret".to_owned()]);
    assert!(logged("this is a secret", "nothing").is_err());
}
