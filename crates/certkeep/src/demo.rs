//! `certkeep demo`: the whole story in one process on loopback, for somebody who has never heard of certkeep.
//!
//! What is shown is what happens: a real service, real requests over real HTTPS, and a CA that truly validates, only
//! that CA and DNS are the sandbox's. Start reading at `play`, the story; `stage` is what it plays on.
mod caller;
mod play;
mod stage;
mod story;

use std::io;
use std::net::SocketAddr;

use certkeep_engine::people::PeopleError;
use certkeep_sandbox::{RecordError, SandboxError};
use clap::Args;
use secrecy::SecretString;

use crate::cli::CommandError;
use crate::serve::{self, ServeError, Stop};

use caller::CallError;
use stage::Stage;
use story::Story;

/// How the demo ends.
#[derive(Args, Clone, Copy, Debug)]
pub struct Options {
    /// End after the story instead of leaving the service running
    #[arg(long)]
    once: bool,
}

/// Why the demo did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// The API did not answer as it should.
    #[error(transparent)]
    Call(#[from] CallError),
    /// No client could be added.
    #[error("no client can be added")]
    Client(#[source] Box<CommandError>),
    /// No folder for the time of the demo.
    #[error("no folder can be made for the time of the demo")]
    Folder(#[source] io::Error),
    /// A signal came before the end.
    #[error("the demo was ended before its end")]
    Interrupted,
    /// The application failed.
    #[error("the application failed: {0}")]
    NotIssued(String),
    /// The story could not be written.
    #[error("the story cannot be written")]
    Output(#[source] io::Error),
    /// The sandbox does not take a record.
    #[error("the sandbox does not take a record")]
    Record(#[from] RecordError),
    /// The challenge record was not taken down.
    #[error("the TXT record is left behind")]
    RecordLeft,
    /// There is no setup link for the web page.
    #[error("there is no setup link for the web page")]
    Setup(#[from] PeopleError),
    /// The sandbox does not start.
    #[error("the sandbox does not start")]
    Sandbox(#[from] SandboxError),
    /// certkeep itself does not start, or broke off.
    #[error(transparent)]
    Serve(#[from] ServeError),
    /// certkeep's HTTPS presents another certificate than it should.
    #[error("certkeep presents another certificate than the one it was told to")]
    WrongCertificate,
}

/// Plays the story.
///
/// # Errors
/// Something in it went wrong; see [`DemoError`].
pub fn run(options: Options) -> Result<(), DemoError> {
    let runtime = serve::runtime().map_err(ServeError::System)?;
    let played = runtime.block_on(perform(options));
    runtime.shutdown_background();
    played
}

async fn perform(options: Options) -> Result<(), DemoError> {
    let mut stop = Stop::new().map_err(ServeError::System)?;
    let mut story = Story::new();
    play::opening(&story)?;
    let mut stage = Stage::set(listen(options)).await?;
    let played = tokio::select! {
        played = play::play(&mut story, &stage) => played,
        () = stop.asked() => Err(DemoError::Interrupted),
    };
    let played = match played {
        Ok(token) if !options.once => stay(&mut story, &mut stage, &token, &mut stop).await,
        other => other.map(drop),
    };
    stage.clear().await;
    played
}

/// Leaves the service running until somebody ends it.
async fn stay(story: &mut Story, stage: &mut Stage, token: &SecretString, stop: &mut Stop) -> Result<(), DemoError> {
    play::invitation(story, stage, token).await?;
    tokio::select! {
        error = stage.service.broke_off() => Err(error.into()),
        () = stop.asked() => Ok(()),
    }
}

/// The usual port, where it is free and somebody stays to use it.
fn listen(options: Options) -> SocketAddr {
    let usual = SocketAddr::from(([127, 0, 0, 1], 8088));
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let free = || std::net::TcpListener::bind(usual).is_ok();
    if !options.once && free() { usual } else { any }
}
