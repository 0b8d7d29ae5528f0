//! The certification authority: an ACME server (RFC 8555) over HTTPS.

mod account;
mod authorization;
mod caa;
mod certificate;
mod csr;
mod directory;
mod external;
mod issue;
mod jwk;
mod jws;
mod order;
mod problem;
mod renewal;
mod revocation;
mod state;
mod validation;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_lc_rs::rand;
use axum::Router;
use axum::extract::{Request, State as Shared};
use axum::http::{HeaderName, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use jiff::Timestamp;
use tokio::task::JoinSet;

use crate::faults::{Fault, Faults};
use crate::hang_up::hang_up;
use crate::{Placed, clock};
pub(crate) use issue::{Authority, IssueError, ServerIdentity};
use problem::{Problem, link};
use state::{State, Status};

const REPLAY_NONCE: HeaderName = HeaderName::from_static("replay-nonce");

/// What a CA is made of.
pub(crate) struct Setup {
    /// `https://127.0.0.1:PORT`, without a last slash.
    pub(crate) base: String,
    pub(crate) authority: Authority,
    pub(crate) dns: SocketAddr,
    pub(crate) faults: Arc<Faults>,
    /// Key identifier and HMAC key of the only external account, if accounts need one.
    pub(crate) external_account: Option<(String, Vec<u8>)>,
    /// How long a valid authorization serves further orders.
    pub(crate) authorization_reuse: Option<Duration>,
}

/// The running CA.
pub(crate) struct Ca {
    setup: Setup,
    state: Mutex<State>,
    /// Validations and slow issuances under way.
    work: Mutex<JoinSet<()>>,
}

impl Ca {
    pub(crate) fn new(setup: Setup) -> Ca {
        Ca { setup, state: Mutex::default(), work: Mutex::default() }
    }

    /// Ends what is under way; its orders and authorizations stay as they are.
    pub(crate) fn abandon_work(&self) {
        let mut work = self.work.lock().unwrap_or_else(PoisonError::into_inner);
        work.abort_all();
    }

    pub(crate) fn issuing_root_pem(&self) -> String {
        self.setup.authority.root_pem()
    }

    pub(crate) fn other_root_pem(&self) -> String {
        self.setup.authority.other_root_pem()
    }

    pub(crate) fn issued(&self) -> usize {
        self.state().certificates.len()
    }

    pub(crate) fn replaced(&self) -> usize {
        self.state().certificates.values().filter(|c| c.replaced).count()
    }

    pub(crate) fn revoked(&self) -> usize {
        let state = self.state();
        state.certificates.values().filter(|c| c.revoked).count()
    }

    pub(crate) fn orders(&self) -> usize {
        self.state().orders.len()
    }

    pub(crate) fn placed(&self) -> Vec<Placed> {
        let state = self.state();
        let untouched = |id: &String| state.authorizations.get(id).is_some_and(|a| a.challenge.status == Status::Pending);
        let placed = state.orders.values().map(|order| Placed {
            names: order.names.clone(),
            certified: order.certificate.is_some(),
            answered: !order.authorizations.iter().all(untouched),
        });
        placed.collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the CA's clock says.
    fn now(&self) -> Timestamp {
        clock::now().saturating_add(self.setup.faults.clock_offset()).unwrap_or_else(|_| clock::now())
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.setup.base)
    }

    fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = self.work.lock().unwrap_or_else(PoisonError::into_inner);
        while tasks.try_join_next().is_some() {}
        tasks.spawn(work);
    }
}

/// The routes of the CA.
pub(crate) fn router(ca: Arc<Ca>) -> Router {
    Router::new()
        .route("/directory", get(directory::directory))
        .route("/terms", get(directory::terms))
        .route("/new-nonce", get(directory::new_nonce))
        .route("/new-account", post(account::create))
        .route("/account/{id}", post(account::update))
        .route("/account/{id}/orders", post(account::orders))
        .route("/key-change", post(account::change_key))
        .route("/new-order", post(order::create))
        .route("/order/{id}", post(order::read))
        .route("/order/{id}/finalize", post(order::finalize))
        .route("/certificate/{id}", post(certificate::read))
        .route("/certificate/{id}/1", post(certificate::alternate))
        .route("/authorization/{id}", post(authorization::update))
        .route("/challenge/{id}", post(authorization::answer))
        .route("/revoke-cert", post(revocation::revoke))
        .route("/renewal-info/{id}", get(renewal::info))
        .route("/why-renew", get(renewal::why))
        .fallback(|| async { Problem::not_found("resource") })
        .method_not_allowed_fallback(|| async {
            Problem::malformed("this resource does not know this method").with_status(StatusCode::METHOD_NOT_ALLOWED)
        })
        .layer(middleware::from_fn_with_state(Arc::clone(&ca), gate))
        .with_state(ca)
}

/// Faults of the whole CA on the way in, the headers of every answer on the way out.
async fn gate(Shared(ca): Shared<Arc<Ca>>, request: Request, next: Next) -> Response {
    if ca.setup.faults.fires(Fault::AcmeUnavailable) {
        let mut response = (StatusCode::SERVICE_UNAVAILABLE, "down for maintenance").into_response();
        if let Some(value) = problem::retry_after(ca.setup.faults.retry_after()) {
            response.headers_mut().insert(header::RETRY_AFTER, value);
        }
        return response;
    }
    // The answer to a HEAD has no body to be cut off in.
    let can_be_cut = request.method() != Method::HEAD;
    if can_be_cut && ca.setup.faults.fires(Fault::AcmeRequestLost) {
        return hang_up();
    }
    let answer_lost = can_be_cut && ca.setup.faults.fires(Fault::AcmeAnswerLost);
    let posted = request.method() == Method::POST;
    let is_directory = request.uri().path() == "/directory";
    let mut response = if ca.setup.faults.fires(Fault::AcmeError) {
        Problem::internal("a fault was asked for").into_response()
    } else {
        next.run(request).await
    };
    if answer_lost {
        return hang_up();
    }
    let headers = response.headers_mut();
    if posted && let Ok(nonce) = ca.state().nonces.issue().parse() {
        headers.insert(REPLAY_NONCE, nonce);
    }
    if !is_directory && let Some(index) = link(&ca.url("/directory"), "index") {
        headers.append(header::LINK, index);
    }
    response
}

/// 128 random bits in base64url: identifiers, nonces and tokens, none of which may be guessed.
pub(crate) fn random_token() -> String {
    BASE64_URL_SAFE_NO_PAD.encode(random_bytes())
}

fn random_bytes() -> [u8; 16] {
    let mut bytes = [0; 16];
    #[expect(clippy::expect_used, reason = "without randomness there is no CA, and the operating system has it")]
    rand::fill(&mut bytes).expect("the operating system gives random bytes");
    bytes
}
