//! Port to certification authorities: RFC 8555 in the shape the engine needs, one outward act a call.
use async_trait::async_trait;
use secrecy::SecretString;

use crate::failure::Failure;
use crate::issuance::AcmeAccount;
use crate::material::{Chain, PrivateKey};
use crate::name::DnsName;
use crate::renewal_info::{RenewalId, RenewalInfo};

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

/// What an order asks for (RFC 8555 §7.4).
#[derive(Clone, Copy, Debug)]
pub struct OrderRequest<'a> {
    /// The names that the certificate is for.
    pub names: &'a [DnsName],
    /// The certificate profile, one of those that the directory offers (draft-ietf-acme-profiles); the CA chooses if `None`.
    pub profile: Option<&'a str>,
    /// The certificate that the new one replaces (RFC 9773 §5): of the same CA and account, not replaced before.
    pub replaces: Option<&'a RenewalId>,
}

impl<'a> OrderRequest<'a> {
    /// Asks for these names, and leaves the rest to the CA.
    pub fn for_names(names: &'a [DnsName]) -> Self {
        OrderRequest { names, profile: None, replaces: None }
    }
}

/// Why a certificate is revoked: the reasons of RFC 5280 §5.3.1 that a subscriber may give.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RevocationReason {
    /// The name of the owner, or another fact in the certificate, has changed.
    AffiliationChanged,
    /// The names are given up.
    CessationOfOperation,
    /// The private key is known to somebody else.
    KeyCompromise,
    /// Another certificate has taken its place.
    Superseded,
    /// None is told.
    #[default]
    Unspecified,
}

impl RevocationReason {
    /// All of them, in the order of their codes.
    pub const ALL: [RevocationReason; 5] = [
        RevocationReason::Unspecified,
        RevocationReason::KeyCompromise,
        RevocationReason::AffiliationChanged,
        RevocationReason::Superseded,
        RevocationReason::CessationOfOperation,
    ];

    /// The CRLReason (RFC 5280 §5.3.1).
    pub const fn code(self) -> u8 {
        match self {
            RevocationReason::Unspecified => 0,
            RevocationReason::KeyCompromise => 1,
            RevocationReason::AffiliationChanged => 3,
            RevocationReason::Superseded => 4,
            RevocationReason::CessationOfOperation => 5,
        }
    }
}

/// Who revokes (RFC 8555 §7.6).
#[derive(Clone, Copy, Debug)]
pub enum Revoker<'a> {
    /// The account that ordered the certificate, or one that is authorized for its names.
    Account(&'a AcmeAccount),
    /// Whoever holds the certificate's own key.
    CertificateKey(&'a PrivateKey),
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
    /// Whether the CA took it just now as the one that replaces a certificate (RFC 9773 §5).
    pub replaces: bool,
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

    /// Gives the account another key (RFC 8555 §7.3.5): that of `next`, credentials that [`Issuer::new_account`] made and
    /// that are kept before this call. Answers the credentials to keep in place of the old. Safe to repeat: that the CA
    /// knows the new key already is no error.
    ///
    /// # Errors
    /// `account_refused`, or what the call met; which of the two keys is valid then only a repetition tells.
    async fn roll_over(
        &self,
        ca: &CertificateAuthority,
        account: &AcmeAccount,
        next: &AcmeAccount,
    ) -> Result<AcmeAccount, Failure>;

    /// Places an order (RFC 8555 §7.4). A CA that does not want to hear of what the new certificate replaces is asked once
    /// more without it.
    ///
    /// # Errors
    /// `profile_not_offered` with those that are, before anything is ordered; `name_refused`, `ca_rate_limited`,
    /// `caa_forbids`, or what the call met.
    async fn new_order(
        &self,
        ca: &CertificateAuthority,
        account: &AcmeAccount,
        request: OrderRequest<'_>,
    ) -> Result<Order, Failure>;

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
    /// processing or valid already is only waited for. Answers the chain: among the alternates that the CA offers (RFC 8555
    /// §7.4.2) the one whose topmost certificate was issued by the common name `preferred_chain`, or the CA's default where
    /// there is none such, which the log tells.
    ///
    /// # Errors
    /// `csr_refused`, `order_invalid`, or what the call met.
    async fn issue(
        &self,
        ca: &CertificateAuthority,
        account: &AcmeAccount,
        order_url: &str,
        csr: &[u8],
        preferred_chain: Option<&str>,
    ) -> Result<Chain, Failure>;

    /// When the CA wants the chain's leaf to be renewed (RFC 9773 §4.1); `None` where the CA does not tell, or cannot because
    /// the leaf does not name its authority's key.
    ///
    /// # Errors
    /// What the call met; the CA is asked again six hours later, or when it says.
    async fn renewal_info(&self, ca: &CertificateAuthority, chain: &Chain) -> Result<Option<RenewalInfo>, Failure>;

    /// Revokes the chain's leaf (RFC 8555 §7.6); one that is revoked already is no error.
    ///
    /// # Errors
    /// `revocation_refused`, or what the call met.
    async fn revoke(
        &self,
        ca: &CertificateAuthority,
        by: Revoker<'_>,
        chain: &Chain,
        reason: RevocationReason,
    ) -> Result<(), Failure>;
}
