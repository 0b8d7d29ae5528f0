//! Revocation (RFC 8555 §7.6).
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use certkeep_core::failure::{Code, Failure};
use certkeep_core::material::Chain;
use certkeep_core::ports::{CertificateAuthority, RevocationReason, Revoker};
use certkeep_core::renewal_info::RenewalId;
use serde_json::json;

use crate::client::ExchangeError;
use crate::credentials::Credentials;
use crate::jws::{By, SigningKey};
use crate::poll::Attempts;
use crate::post::Sender;
use crate::problem::{self, Act};
use crate::session::Session;

pub(crate) async fn revoke(
    session: &Session,
    ca: &CertificateAuthority,
    by: Revoker<'_>,
    chain: &Chain,
    reason: RevocationReason,
) -> Result<(), Failure> {
    let act = Act::Revoke;
    let failure = |code| Failure::new(code, act.words()).about(session.server());
    let Some(url) = session.directory().revoke_cert.as_deref() else {
        return Err(failure(Code::CaProtocol).fact("The CA's directory has no place for revocations."));
    };
    let leaf = chain.certificates().first().ok_or_else(|| failure(Code::Internal).fact("There is no certificate."))?;
    let mut payload = json!({ "certificate": BASE64_URL_SAFE_NO_PAD.encode(leaf) });
    // A reason of 0 is to be left out (RFC 5280 §5.3.1).
    if let (Some(members), true) = (payload.as_object_mut(), reason != RevocationReason::Unspecified) {
        members.insert("reason".to_owned(), json!(reason.code()));
    }
    let credentials;
    let (key, by) = match by {
        Revoker::Account(account) => {
            credentials = Credentials::open(ca, account)?;
            (credentials.signing_key()?, By::Account(credentials.url()?))
        }
        Revoker::CertificateKey(key) => {
            let key = SigningKey::new(key.expose_pkcs8());
            let unfit = || failure(Code::Internal).fact("A request can be signed by an RSA, P-256 or P-384 key only.");
            (key.ok_or_else(unfit)?, By::Key)
        }
    };
    let sender = Sender { session, key: &key, by };
    match sender.post(url, Some(&payload), Attempts::at_what_can_be_repeated()).await {
        Ok(_) => Ok(()),
        Err(ExchangeError::Refused { problem, .. }) if problem::is_already_revoked(&problem) => Ok(()),
        Err(error) => {
            let subject = RenewalId::of(chain).map_or_else(|| session.server(), |id| id.to_string());
            Err(problem::exchange(act, &subject, &error))
        }
    }
}
