//! The certificate of an order, by the chain that is preferred (RFC 8555 §7.4.2).
use certkeep_core::failure::{Code, Failure};
use certkeep_core::material::Chain;
use jiff::Timestamp;

use crate::client::{Answer, ExchangeError};
use crate::credentials::Credentials;
use crate::jws::{By, SigningKey};
use crate::links;
use crate::poll::{Attempts, Pace};
use crate::post::Sender;
use crate::problem::{self, Act};
use crate::retry_after;
use crate::session::Session;

/// Alternates that are looked at; public CAs offer one or two.
const MOST_ALTERNATES: usize = 8;

/// Fetches for one account.
pub(crate) struct Download<'a> {
    session: &'a Session,
    account_url: &'a str,
    key: SigningKey,
}

impl<'a> Download<'a> {
    pub(crate) fn new(session: &'a Session, credentials: &'a Credentials) -> Result<Self, Failure> {
        Ok(Download { session, account_url: credentials.url()?, key: credentials.signing_key()? })
    }

    /// The chain at `url`, or the alternate that leads to `preferred`. A certificate that is not there yet is waited for.
    pub(crate) async fn chain(&self, url: &str, preferred: Option<&str>, pace: &mut Pace) -> Result<Chain, Failure> {
        let answer = loop {
            match self.fetch(url).await {
                Ok(answer) => break answer,
                Err(error) => match late(&error) {
                    Some(wish) if pace.rest(wish.map(|instant| retry_after::wait(instant, self.session.now()))).await => {}
                    _ => return Err(problem::exchange(Act::Download, &self.session.server(), &error)),
                },
            }
        };
        let chain = self.read(&answer)?;
        match preferred {
            Some(name) if chain.root_name().as_deref() != Some(name) => {
                Ok(self.alternate(name, &chain, url, &answer).await.unwrap_or(chain))
            }
            _ => Ok(chain),
        }
    }

    /// The alternate that leads to `name`. None is no failure: whatever the CA calls its default is valid, too.
    async fn alternate(&self, name: &str, default: &Chain, url: &str, answer: &Answer) -> Option<Chain> {
        let mut offered = vec![default.root_name().unwrap_or_default()];
        for link in links::related(&answer.headers, "alternate", url).into_iter().take(MOST_ALTERNATES) {
            let fetched = match self.fetch(&link).await {
                Ok(answer) => self.read(&answer),
                Err(error) => Err(problem::exchange(Act::Download, &self.session.server(), &error)),
            };
            match fetched {
                Ok(chain) if chain.certificates().first() != default.certificates().first() => {
                    tracing::warn!(server = self.session.server(), "an alternate chain is for another certificate");
                }
                Ok(chain) if chain.root_name().as_deref() == Some(name) => return Some(chain),
                Ok(chain) => offered.extend(chain.root_name()),
                Err(failure) => tracing::warn!(%failure, "an alternate chain cannot be had"),
            }
        }
        tracing::warn!(preferred = name, ?offered, "the CA does not offer the preferred chain: its default is taken");
        None
    }

    async fn fetch(&self, url: &str) -> Result<Answer, ExchangeError> {
        let sender = Sender { session: self.session, key: &self.key, by: By::Account(self.account_url) };
        sender.post(url, None, Attempts::at_what_can_be_repeated()).await
    }

    fn read(&self, answer: &Answer) -> Result<Chain, Failure> {
        let pem = String::from_utf8_lossy(&answer.body);
        Chain::parse_pem(&pem).map_err(|refusal| {
            let code = if pem.contains("-----BEGIN CERTIFICATE-----") { Code::CertificateChain } else { Code::CaProtocol };
            Failure::new(code, Act::Download.words())
                .about(self.session.server())
                .fact(format!("What the CA sent as the chain was refused: {refusal}."))
        })
    }
}

/// Whether the CA may only be slow to show what it has issued, and when it wants to be asked again.
fn late(error: &ExchangeError) -> Option<Option<Timestamp>> {
    match error {
        ExchangeError::Foreign { status, retry_after, .. } | ExchangeError::Refused { status, retry_after, .. } => {
            (*status == 404 || (*status == 503 && retry_after.is_some())).then_some(*retry_after)
        }
        _ => None,
    }
}
