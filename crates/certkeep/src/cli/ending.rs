//! How a command ends.
use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;

use certkeep_core::ports::StoreError;
use certkeep_engine::access::AccessError;
use certkeep_store::OpenError;

use crate::config::ConfigError;
use crate::demo::DemoError;
use crate::logging::InvalidFilter;
use crate::serve::ServeError;

/// Why a command did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The demo did not come to its end.
    #[error(transparent)]
    Demo(#[from] DemoError),
    /// What is to be logged cannot be understood.
    #[error(transparent)]
    Filter(#[from] InvalidFilter),
    /// Another client has the name.
    #[error("there is a client {0:?} already")]
    NameTaken(String),
    /// A client without a name.
    #[error("a client needs a name of 1 to 100 characters, none of them a control character")]
    Nameless,
    /// There is no such client.
    #[error("there is no client {0:?}")]
    NoClient(String),
    /// There is no such failure.
    #[error("no failure has the number or name {0:?}: `certkeep explain` lists them all")]
    NoFailure(String),
    /// The data folder does not open.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The answer could not be written.
    #[error("the answer cannot be written")]
    Output(#[source] io::Error),
    /// The system failed.
    #[error("the command cannot be started")]
    Runtime(#[source] io::Error),
    /// No secret could be drawn.
    #[error("no secret can be made")]
    Secret(#[source] AccessError),
    /// The service does not start, or broke off.
    #[error(transparent)]
    Serve(#[from] ServeError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl CommandError {
    /// Says it on stderr.
    pub(super) fn tell(&self) -> ExitCode {
        let mut text = format!("certkeep: {self}");
        let mut next = self.source();
        while let Some(source) = next {
            text = format!("{text}: {source}");
            next = source.source();
        }
        // There is nobody left to tell that telling failed.
        let _ = writeln!(io::stderr(), "{text}");
        self.exit_code()
    }

    fn exit_code(&self) -> ExitCode {
        match self {
            CommandError::Config(_) | CommandError::Filter(_) | CommandError::Nameless => ExitCode::from(2),
            CommandError::NoClient(_) | CommandError::NoFailure(_) => ExitCode::from(3),
            CommandError::Demo(_)
            | CommandError::NameTaken(_)
            | CommandError::Open(_)
            | CommandError::Output(_)
            | CommandError::Runtime(_)
            | CommandError::Secret(_)
            | CommandError::Serve(_)
            | CommandError::Store(_) => ExitCode::from(1),
        }
    }
}

/// Writes an answer to stdout; a reader who went away has had enough.
pub(super) fn print(text: &str) -> Result<(), CommandError> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(CommandError::Output(error)),
        _ => Ok(()),
    }
}
