//! How a command ends.
use std::error::Error;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use certkeep_core::audit::Break;
use certkeep_core::failure::{Code, Failure};
use certkeep_core::ports::StoreError;
use certkeep_engine::access::AccessError;
use certkeep_engine::audit::Ending;
use certkeep_engine::people::PeopleError;
use certkeep_store::{BackupError, CopyError, OpenError, RotateError};

use crate::config::ConfigError;
use crate::demo::DemoError;
use crate::logging::InvalidFilter;
use crate::serve::ServeError;

/// Why a command did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// The audit is not what was written.
    #[error("the audit is broken: {0}")]
    Audit(#[from] Break),
    /// There is no backup, or nothing was restored.
    #[error(transparent)]
    Backup(#[from] BackupError),
    /// The CA, or the way to it, failed.
    #[error("{0}\n{next}", next = .0.code.entry().next)]
    Ca(Box<Failure>),
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A store was not copied.
    #[error(transparent)]
    Copy(#[from] CopyError),
    /// The demo did not come to its end.
    #[error(transparent)]
    Demo(#[from] DemoError),
    /// What is to be logged cannot be understood.
    #[error(transparent)]
    Filter(#[from] InvalidFilter),
    /// A DNS provider, or the way to it, failed.
    #[error("{0}\n{next}", next = .0.code.entry().next)]
    Dns(Box<Failure>),
    /// Another client has the name.
    #[error("there is a client {0:?} already")]
    NameTaken(String),
    /// A client without a name.
    #[error("a client needs a name of 1 to 100 characters, none of them a control character")]
    Nameless,
    /// There is no account at the CA.
    #[error("there is no account at {0} yet: the first application registers one")]
    NoAccount(String),
    /// There is no such certificate.
    #[error("there is no server certificate {0:?}, or it holds nothing yet")]
    NoCertificate(String),
    /// There is no such client.
    #[error("there is no client {0:?}")]
    NoClient(String),
    /// There is no such failure.
    #[error("no failure has the number or name {0:?}: `certkeep explain` lists them all")]
    NoFailure(String),
    /// A file holds no passphrase.
    #[error("the first line of {} is empty: the secret belongs there", .0.display())]
    NoPassphrase(PathBuf),
    /// There is no such DNS provider.
    #[error("there is no DNS provider {0:?}: `certkeep dns providers` lists them all")]
    NoProvider(String),
    /// The data folder does not open.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The answer could not be written.
    #[error("the answer cannot be written")]
    Output(#[source] io::Error),
    /// A page is wrong.
    #[error("the page {} is wrong", .0.display())]
    Page(PathBuf),
    /// A user or a token is not changed.
    #[error(transparent)]
    People(#[from] PeopleError),
    /// The sealing keys were not rotated.
    #[error(transparent)]
    Rotate(#[from] RotateError),
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
    /// What the answer on stdout says already.
    #[error(transparent)]
    Told(Box<CommandError>),
    /// A password cannot be asked for.
    #[error("the password cannot be read")]
    Unasked(#[source] io::Error),
    /// A file cannot be read.
    #[error("{} cannot be read", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the machine said.
        #[source]
        source: io::Error,
    },
    /// A file cannot be made.
    #[error("{} cannot be written", .path.display())]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// What the machine said.
        #[source]
        source: io::Error,
    },
}

impl From<Failure> for CommandError {
    fn from(failure: Failure) -> Self {
        CommandError::Dns(Box::new(failure))
    }
}

impl Ending for CommandError {
    fn is_refusal(&self) -> bool {
        false
    }
}

impl CommandError {
    /// Says it on stderr.
    pub(super) fn tell(&self) -> ExitCode {
        if let CommandError::Told(error) = self {
            return error.exit_code();
        }
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
            CommandError::Config(_)
            | CommandError::Filter(_)
            | CommandError::Nameless
            | CommandError::NoPassphrase(_)
            | CommandError::Page(_)
            | CommandError::People(PeopleError::Name | PeopleError::Password)
            | CommandError::Unasked(_)
            | CommandError::Unreadable { .. } => ExitCode::from(2),
            CommandError::Dns(failure) if failure.code == Code::ProviderParameter => ExitCode::from(2),
            CommandError::NoAccount(_)
            | CommandError::NoCertificate(_)
            | CommandError::NoClient(_)
            | CommandError::NoFailure(_)
            | CommandError::NoProvider(_)
            | CommandError::People(PeopleError::NotFound) => ExitCode::from(3),
            CommandError::Told(error) => error.exit_code(),
            CommandError::Audit(_)
            | CommandError::Backup(_)
            | CommandError::Ca(_)
            | CommandError::Copy(_)
            | CommandError::Demo(_)
            | CommandError::Dns(_)
            | CommandError::NameTaken(_)
            | CommandError::Open(_)
            | CommandError::Output(_)
            | CommandError::People(_)
            | CommandError::Rotate(_)
            | CommandError::Runtime(_)
            | CommandError::Secret(_)
            | CommandError::Serve(_)
            | CommandError::Store(_)
            | CommandError::Unwritable { .. } => ExitCode::from(1),
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
