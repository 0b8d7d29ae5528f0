//! An order's life (RFC 8555 §7.1.6): placed, validated, finalized, fetched; taken up again at any point.
use std::time::Duration;

use certkeep_core::failure::{Code, Failure};
use certkeep_core::material::Chain;
use certkeep_core::ports::{Order, OrderRequest, OrderStatus};
use instant_acme::{
    Account, AuthorizationStatus as TheirAuthorizationStatus, CertificateIdentifier, ChallengeStatus, ChallengeType, Error,
    Identifier, NewOrder, Order as TheirOrder, OrderStatus as TheirOrderStatus,
};

use crate::client::ExchangeError;
use crate::credentials::Credentials;
use crate::download::Download;
use crate::poll::{self, Attempts, Pace};
use crate::problem::{self, Act};
use crate::session::Session;
use crate::view;

/// How often an order is finalized before its own refusal is believed.
const FINALIZATIONS: u32 = 3;
/// Every how many looks at a pending order its authorizations are looked at as well: some CAs leave an order pending
/// though one of them has failed.
const LOOKS_PER_AUTHORIZATIONS: u32 = 4;

/// An account's orders, for one call of the port.
pub(crate) struct Orders {
    account: Account,
    credentials: Credentials,
    session: Session,
    patience: Duration,
}

impl Orders {
    pub(crate) fn new(account: Account, credentials: Credentials, session: Session, patience: Duration) -> Self {
        Orders { account, credentials, session, patience }
    }

    pub(crate) async fn place(&self, request: OrderRequest<'_>) -> Result<Order, Failure> {
        // A CA without renewal information does not know what it is to replace a certificate (RFC 9773 §5).
        let mut replaces = request.replaces.filter(|_| self.session.directory().renewal_info.is_some());
        let identifiers: Vec<Identifier> = request.names.iter().map(|name| Identifier::Dns(name.as_str().to_owned())).collect();
        let mut attempts = Attempts::at_what_happens_once();
        let mut order = loop {
            let mut wanted = NewOrder::new(&identifiers);
            if let Some(profile) = request.profile {
                wanted = wanted.profile(profile);
            }
            if let Some(id) = replaces {
                wanted = wanted.replaces(CertificateIdentifier {
                    authority_key_identifier: id.authority().into(),
                    serial: id.serial().into(),
                });
            }
            match self.account.new_order(&wanted).await {
                Ok(order) => break order,
                Err(error) if replaces.is_some() && problem::may_be_about_replacing(&error) => {
                    let subject = view::listed(request.names.iter());
                    let refusal = problem::failure(Act::NewOrder, &subject, &error);
                    tracing::info!(%refusal, "ordered again without saying what is replaced");
                    replaces = None;
                }
                Err(error) => attempts
                    .forgive(error)
                    .await
                    .map_err(|error| problem::failure(Act::NewOrder, &view::listed(request.names.iter()), &error))?,
            }
        };
        Ok(Order { replaces: replaces.is_some(), ..self.view(&mut order).await? })
    }

    pub(crate) async fn read(&self, url: &str) -> Result<Order, Failure> {
        let mut order = self.open(url).await?;
        self.view(&mut order).await
    }

    pub(crate) async fn validate(&self, url: &str, challenges: &[String]) -> Result<Order, Failure> {
        let mut order = self.open(url).await?;
        if order.state().status == TheirOrderStatus::Pending {
            self.load_authorizations(&mut order).await?;
            self.answer(&mut order, challenges).await?;
            self.await_validation(&mut order).await?;
        }
        let view = self.view(&mut order).await?;
        match view.status {
            OrderStatus::Processing | OrderStatus::Ready | OrderStatus::Valid => Ok(view),
            OrderStatus::Invalid | OrderStatus::Pending => Err(view::why_not_valid(view)),
        }
    }

    pub(crate) async fn issue(&self, url: &str, csr: &[u8], preferred_chain: Option<&str>) -> Result<Chain, Failure> {
        let mut order = self.open(url).await?;
        let mut pace = Pace::new(self.patience);
        let mut finalizations = 0;
        loop {
            match order.state().status {
                TheirOrderStatus::Ready if finalizations < FINALIZATIONS => {
                    finalizations += 1;
                    if let Err(error) = self.finalize(&mut order, csr).await
                        && (finalizations == FINALIZATIONS || !may_have_been_finalized(&error))
                    {
                        return Err(problem::failure(Act::Finalize, &self.subject(&mut order).await, &error));
                    }
                    if order.state().status == TheirOrderStatus::Ready {
                        self.look_again(&mut order, &mut pace).await?;
                    }
                }
                TheirOrderStatus::Processing | TheirOrderStatus::Ready => self.look_again(&mut order, &mut pace).await?,
                TheirOrderStatus::Valid => {
                    let Some(certificate) = order.state().certificate.clone() else { return Err(no_certificate(order.url())) };
                    let download = Download::new(&self.session, &self.credentials)?;
                    return download.chain(&certificate, preferred_chain, &mut pace).await;
                }
                TheirOrderStatus::Invalid | TheirOrderStatus::Pending => {
                    return Err(view::why_not_issued(self.view(&mut order).await?));
                }
            }
        }
    }

    async fn open(&self, url: &str) -> Result<TheirOrder, Failure> {
        let mut attempts = Attempts::at_what_can_be_repeated();
        loop {
            match self.account.order(url.to_owned()).await {
                Ok(order) => return Ok(order),
                Err(error) => {
                    attempts.forgive(error).await.map_err(|error| problem::failure(Act::ReadOrder, plain(url), &error))?
                }
            }
        }
    }

    async fn refresh(&self, order: &mut TheirOrder, act: Act) -> Result<(), Failure> {
        let mut attempts = Attempts::at_what_can_be_repeated();
        loop {
            match order.refresh().await {
                Ok(_) => return Ok(()),
                // Whatever was being done, what failed is reading the order.
                Err(error) => attempts.forgive(error).await.map_err(|error| {
                    let mut failure = self.failure(Act::ReadOrder, order, &error);
                    failure.evidence.doing = Some(act.words().to_owned());
                    failure
                })?,
            }
        }
    }

    /// Fetches the authorizations that were not fetched since the order was last read.
    async fn load_authorizations(&self, order: &mut TheirOrder) -> Result<(), Failure> {
        let mut attempts = Attempts::at_what_can_be_repeated();
        while let Err(error) = load(order).await {
            attempts.forgive(error).await.map_err(|error| self.failure(Act::ReadOrder, order, &error))?;
        }
        Ok(())
    }

    /// Asks for the validation of those of `challenges` that wait for it.
    async fn answer(&self, order: &mut TheirOrder, challenges: &[String]) -> Result<(), Failure> {
        let mut open: Vec<&str> = challenges.iter().map(String::as_str).collect();
        let mut attempts = Attempts::at_what_can_be_repeated();
        loop {
            let Err((name, error)) = ask_for_validation(order, &mut open).await else { return Ok(()) };
            let Err(error) = attempts.forgive(error).await else { continue };
            // Perhaps the CA is looking at it already, or has done so: it then refuses to be asked.
            let before = open.len();
            self.refresh(order, Act::Validate).await?;
            self.load_authorizations(order).await?;
            let waiting = waiting_challenges(order).await;
            open.retain(|url| waiting.iter().any(|waiting| waiting == url));
            if open.len() == before {
                return Err(problem::failure(Act::Validate, &name, &error));
            }
        }
    }

    async fn await_validation(&self, order: &mut TheirOrder) -> Result<(), Failure> {
        let mut pace = Pace::new(self.patience);
        while pace.rest(self.session.asked_to_wait()).await {
            self.refresh(order, Act::Validate).await?;
            if order.state().status != TheirOrderStatus::Pending {
                return Ok(());
            }
            if pace.looks().is_multiple_of(LOOKS_PER_AUTHORIZATIONS) {
                self.load_authorizations(order).await?;
                if has_failed(order).await {
                    return Ok(());
                }
            }
        }
        Err(Failure::new(Code::ValidationTimeout, Act::Validate.words())
            .about(self.subject(order).await)
            .fact(format!("The order was still pending after {} s.", self.patience.as_secs())))
    }

    /// Rests, then reads an order that is being issued.
    async fn look_again(&self, order: &mut TheirOrder, pace: &mut Pace) -> Result<(), Failure> {
        if pace.rest(self.session.asked_to_wait()).await {
            return self.refresh(order, Act::Finalize).await;
        }
        Err(Failure::new(Code::StepTimeout, Act::Finalize.words())
            .about(self.subject(order).await)
            .fact(format!("The CA had not issued after {} s.", self.patience.as_secs())))
    }

    async fn finalize(&self, order: &mut TheirOrder, csr: &[u8]) -> Result<(), Error> {
        let mut attempts = Attempts::at_what_happens_once();
        loop {
            match order.finalize_csr(csr).await {
                Ok(()) => return Ok(()),
                Err(error) => attempts.forgive(error).await?,
            }
        }
    }

    fn failure(&self, act: Act, order: &TheirOrder, error: &Error) -> Failure {
        problem::failure(act, plain(order.url()), error)
    }

    /// The order in the words of the port.
    async fn view(&self, order: &mut TheirOrder) -> Result<Order, Failure> {
        self.load_authorizations(order).await?;
        view::order(order).await
    }

    /// What an order is about: its names, or its URL where they cannot be read.
    async fn subject(&self, order: &mut TheirOrder) -> String {
        match self.view(order).await {
            Ok(view) => view::names(&view.authorizations),
            Err(_) => plain(order.url()).to_owned(),
        }
    }
}

fn no_certificate(order_url: &str) -> Failure {
    let failure = Failure::new(Code::CaProtocol, Act::Download.words()).about(plain(order_url));
    failure.fact("The order is valid, and the CA does not say where its certificate is.")
}

/// A URL without its query.
fn plain(url: &str) -> &str {
    url.split(['?', '#']).next().unwrap_or_default()
}

async fn load(order: &mut TheirOrder) -> Result<(), Error> {
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        authorization?;
    }
    Ok(())
}

/// Posts to the challenges in `open` that are pending, and takes out of it what was posted to. An error comes with the
/// name that it is about.
async fn ask_for_validation(order: &mut TheirOrder, open: &mut Vec<&str>) -> Result<(), (String, Error)> {
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let mut authorization = authorization.map_err(|error| (String::new(), error))?;
        if authorization.status != TheirAuthorizationStatus::Pending {
            continue;
        }
        let Some(mut challenge) = authorization.challenge(ChallengeType::Dns01) else { continue };
        let Some(position) = open.iter().position(|url| *url == challenge.url) else { continue };
        if challenge.status == ChallengeStatus::Pending {
            let name = challenge.identifier().to_string();
            challenge.set_ready().await.map_err(|error| (name, error))?;
        }
        open.swap_remove(position);
    }
    Ok(())
}

/// The DNS-01 challenges that wait to be asked for; of authorizations that were loaded.
async fn waiting_challenges(order: &mut TheirOrder) -> Vec<String> {
    let mut waiting = Vec::new();
    let mut authorizations = order.authorizations();
    while let Some(Ok(authorization)) = authorizations.next().await {
        if authorization.status == TheirAuthorizationStatus::Pending {
            let challenges = authorization.challenges.iter();
            let pending = challenges
                .filter(|challenge| challenge.r#type == ChallengeType::Dns01 && challenge.status == ChallengeStatus::Pending);
            waiting.extend(pending.map(|challenge| challenge.url.clone()));
        }
    }
    waiting
}

/// Whether an authorization, all of which were loaded, cannot become valid any more.
async fn has_failed(order: &mut TheirOrder) -> bool {
    let mut authorizations = order.authorizations();
    while let Some(Ok(authorization)) = authorizations.next().await {
        if !matches!(authorization.status, TheirAuthorizationStatus::Pending | TheirAuthorizationStatus::Valid) {
            return true;
        }
    }
    false
}

/// Whether finalizing may have worked although it was answered by this.
fn may_have_been_finalized(error: &Error) -> bool {
    let Error::Other(other) = error else { return false };
    match other.downcast_ref::<ExchangeError>() {
        Some(ExchangeError::Refused { problem, .. }) if problem::is_order_not_ready(problem) => true,
        Some(met) => poll::is_hiccup(met),
        None => false,
    }
}
