//! Validation of dns-01: a question over real UDP, and what comes of the answer
//! (RFC 8555 §8.4).

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use hickory_proto::ProtoError;
use hickory_proto::op::{Edns, Message, Query, ResponseCode};
use hickory_proto::rr::{Name, RData, RecordType};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::{sleep, timeout};

use super::jwk::Jwk;
use super::problem::{Kind, Problem};
use super::state::Status;
use super::{Ca, caa, random_token};
use crate::faults::Fault;

/// How long an answer is waited for. The server is in this very process.
const PATIENCE: Duration = Duration::from_secs(1);
const ATTEMPTS: usize = 2;
/// How many questions following aliases may take.
const MAX_ALIASES: usize = 8;

/// What the TXT record has to say (RFC 8555 §8.1, §8.4).
pub(super) fn expected_value(token: &str, key: &Jwk) -> String {
    let authorization = format!("{token}.{}", key.thumbprint());
    BASE64_URL_SAFE_NO_PAD.encode(digest(&SHA256, authorization.as_bytes()))
}

/// Validates the authorization `id` and writes down what came of it.
pub(super) async fn run(ca: Arc<Ca>, id: String, name: String, wildcard: bool, expected: String) {
    let delay = ca.setup.faults.validation_delay();
    if !delay.is_zero() {
        sleep(delay).await;
    }
    let outcome = match check(&ca, &name, &expected).await {
        Ok(()) => caa::check(ca.setup.dns, &name, wildcard).await,
        refused => refused,
    };
    let mut state = ca.state();
    let Some(authorization) = state.authorizations.get_mut(&id) else {
        return;
    };
    let status = match outcome {
        Ok(()) => {
            authorization.challenge.validated = Some(ca.now());
            Status::Valid
        }
        Err(problem) => {
            tracing::debug!(name, "dns-01 validation failed");
            authorization.challenge.error = Some(problem);
            Status::Invalid
        }
    };
    authorization.challenge.status = status;
    // It may have been deactivated in the meantime, and stays so.
    if authorization.status == Status::Pending {
        authorization.status = status;
    }
}

async fn check(ca: &Ca, name: &str, expected: &str) -> Result<(), Problem> {
    let owner = format!("_acme-challenge.{name}.");
    let mut values = lookup_txt(ca.setup.dns, &owner).await.map_err(|error| {
        let detail = format!("looking up TXT for {owner}: {error}");
        Problem::new(Kind::Dns, detail)
    })?;
    if ca.setup.faults.fires(Fault::WrongTxtView) {
        values = vec![random_token()];
    }
    if values.iter().any(|value| value == expected) {
        return Ok(());
    }
    let detail = if values.is_empty() {
        format!("there is no TXT record at {owner}")
    } else {
        format!("the TXT record at {owner} says {}", values.join(", "))
    };
    Err(Problem::new(Kind::IncorrectResponse, detail))
}

#[derive(Debug, thiserror::Error)]
pub(super) enum LookupError {
    #[error("aliases without end")]
    Aliases,
    #[error("{0}")]
    Code(ResponseCode),
    #[error("no connection to the name server")]
    Io(#[from] std::io::Error),
    #[error("not a DNS message")]
    Message(#[from] ProtoError),
    #[error("the name server does not answer")]
    Silence,
}

/// The values of all TXT records at a name, aliases followed.
async fn lookup_txt(server: SocketAddr, name: &str) -> Result<Vec<String>, LookupError> {
    let mut owner = Name::from_ascii(name)?;
    for _ in 0..MAX_ALIASES {
        let response = ask(server, &owner, RecordType::TXT).await?;
        if response.metadata.response_code != ResponseCode::NoError {
            return Err(LookupError::Code(response.metadata.response_code));
        }
        let asked = owner.clone();
        let mut values = Vec::new();
        for record in &response.answers {
            match &record.data {
                RData::TXT(txt) if record.name == owner => {
                    values.push(String::from_utf8_lossy(&txt.txt_data.concat()).into_owned());
                }
                RData::CNAME(target) if record.name == owner => owner = target.0.clone(),
                _ => {}
            }
        }
        if !values.is_empty() || owner == asked {
            return Ok(values);
        }
    }
    Err(LookupError::Aliases)
}

pub(super) async fn ask(server: SocketAddr, name: &Name, kind: RecordType) -> Result<Message, LookupError> {
    let mut question = Message::query();
    question.add_query(Query::query(name.clone(), kind));
    question.set_edns(Edns::new());
    let bytes = question.to_vec()?;
    for _ in 0..ATTEMPTS {
        let Ok(answer) = timeout(PATIENCE, ask_udp(server, &question, &bytes)).await else {
            continue;
        };
        let answer = answer?;
        if !answer.metadata.truncation {
            return Ok(answer);
        }
        let Ok(answer) = timeout(PATIENCE, ask_tcp(server, &bytes)).await else {
            continue;
        };
        return answer;
    }
    Err(LookupError::Silence)
}

async fn ask_udp(server: SocketAddr, question: &Message, bytes: &[u8]) -> Result<Message, LookupError> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    socket.connect(server).await?;
    socket.send(bytes).await?;
    let mut buffer = [0; u16::MAX as usize];
    loop {
        let length = socket.recv(&mut buffer).await?;
        let received = buffer.get(..length).unwrap_or_default();
        let Ok(answer) = Message::from_vec(received) else {
            continue;
        };
        if answer.metadata.id == question.metadata.id && answer.queries == question.queries {
            return Ok(answer);
        }
    }
}

async fn ask_tcp(server: SocketAddr, bytes: &[u8]) -> Result<Message, LookupError> {
    let mut stream = TcpStream::connect(server).await?;
    let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
    stream.write_all(&[&length.to_be_bytes()[..], bytes].concat()).await?;
    let length = stream.read_u16().await?;
    let mut answer = vec![0; usize::from(length)];
    stream.read_exact(&mut answer).await?;
    Message::from_vec(&answer).map_err(|_| LookupError::Silence)
}
