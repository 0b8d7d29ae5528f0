//! Port to certification authorities: RFC 8555 in the shape the engine needs, one outward act a call.
use async_trait::async_trait;
use secrecy::SecretString;

use crate::failure::Failure;
use crate::issuance::AcmeAccount;
use crate::material::Chain;
use crate::name::DnsName;

/// A CA as the operator configured it.
#[derive(Clone, Debug)]
pub struct CertificateAuthority {
    /// Its directory URL (RFC 8555 §7.1.1).
    pub directory: String,
    /// Further roots to trust for the directory's own HTTPS, PEM; for private CAs.
    pub roots: Vec<String>,
    /// Contact URLs, `mailto:` for most (RFC 8555 §7.3).
    pub contact: Vec<String>,
    /// External account binding, where the CA wants one.
    pub external_account: Option<ExternalAccount>,
}

/// External account binding (RFC 8555 §7.3.4).
#[derive(Clone, Debug)]
pub struct ExternalAccount {
    /// The key identifier that the CA gave.
    pub kid: String,
    /// The HMAC key that the CA gave, base64url.
    pub hmac_key: SecretString,
}

/// An order as the CA tells it (RFC 8555 §7.1.3).
#[derive(Clone, Debug)]
pub struct Order {
    /// Its URL.
    pub url: String,
    /// Where it stands.
    pub status: OrderStatus,
    /// Its authorizations, all of them.
    pub authorizations: Vec<Authorization>,
    /// Why it is invalid, in the words of the catalogue.
    pub failure: Option<Failure>,
}

/// RFC 8555 §7.1.6.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrderStatus {
    /// Given up.
    Invalid,
    /// Authorizations are open.
    Pending,
    /// The certificate is being made.
    Processing,
    /// It may be finalized.
    Ready,
    /// The certificate can be fetched.
    Valid,
}

/// An authorization of an order (RFC 8555 §7.1.4).
#[derive(Clone, Debug)]
pub struct Authorization {
    /// Its URL.
    pub url: String,
    /// The identifier, without `*.`.
    pub name: DnsName,
    /// Whether it is for the wildcard of `name`.
    pub wildcard: bool,
    /// Where it stands.
    pub status: AuthorizationStatus,
    /// Its DNS-01 challenge, where one is offered.
    pub challenge: Option<Challenge>,
    /// Why it is invalid, in the words of the catalogue.
    pub failure: Option<Failure>,
}

/// RFC 8555 §7.1.6; `deactivated`, `expired` and `revoked` count as invalid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthorizationStatus {
    /// Failed, or no longer usable.
    Invalid,
    /// Waiting for a challenge to be met.
    Pending,
    /// Met; needs no record.
    Valid,
}

/// A DNS-01 challenge (RFC 8555 §8.4).
#[derive(Clone, Debug)]
pub struct Challenge {
    /// Its URL.
    pub url: String,
    /// The value of the TXT record: base64url of the key authorization's SHA-256.
    pub value: String,
}

/// A client of CAs. Bad nonces are dealt with inside; everything else is told.
#[async_trait]
pub trait Issuer: Send + Sync {
    /// Makes the credentials of a new account: its key, no outward act.
    ///
    /// # Errors
    /// `internal` when no key can be made.
    fn new_account(&self, ca: &CertificateAuthority) -> Result<AcmeAccount, Failure>;

    /// The names by which the CA goes in CAA records (RFC 8555 §9.7.6); none where it does not tell.
    ///
    /// # Errors
    /// What the call met.
    async fn caa_identities(&self, ca: &CertificateAuthority) -> Result<Vec<String>, Failure>;

    /// Registers the account or finds it registered already, by its key: safe to repeat (RFC 8555 §7.3, §7.3.1).
    /// Agrees to the terms of service. Answers the credentials to keep from now on.
    ///
    /// # Errors
    /// `account_refused`, `account_binding_required`, `account_binding_rejected`, or what the call met.
    async fn register(&self, ca: &CertificateAuthority, account: &AcmeAccount) -> Result<AcmeAccount, Failure>;

    /// Places an order (RFC 8555 §7.4).
    ///
    /// # Errors
    /// `name_refused`, `ca_rate_limited`, `caa_forbids`, or what the call met.
    async fn new_order(&self, ca: &CertificateAuthority, account: &AcmeAccount, names: &[DnsName]) -> Result<Order, Failure>;

    /// Reads an order with its authorizations.
    ///
    /// # Errors
    /// `order_invalid` when the CA no longer knows it, or what the call met.
    async fn order(&self, ca: &CertificateAuthority, account: &AcmeAccount, url: &str) -> Result<Order, Failure>;

    /// Tells the CA that these challenges can be met (RFC 8555 §7.5.1), and waits until no authorization of the order
    /// is pending. Challenges that the CA is already looking at are no error.
    ///
    /// # Errors
    /// `validation_failed` and its neighbours with the CA's own words; `validation_timeout`.
    async fn validate(
        &self,
        ca: &CertificateAuthority,
        account: &AcmeAccount,
        order_url: &str,
        challenges: &[String],
    ) -> Result<Order, Failure>;

    /// Finalizes a ready order with the request (RFC 8555 §7.4) and waits until the CA has issued; an order that is
    /// processing or valid already is only waited for. Answers the chain.
    ///
    /// # Errors
    /// `csr_refused`, `order_invalid`, or what the call met.
    async fn issue(
        &self,
        ca: &CertificateAuthority,
        account: &AcmeAccount,
        order_url: &str,
        csr: &[u8],
    ) -> Result<Chain, Failure>;
}
