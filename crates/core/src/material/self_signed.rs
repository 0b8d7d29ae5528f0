//! The certificate that HTTPS presents until there is a better one.
use jiff::{SignedDuration, Timestamp};
use rcgen::{CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose};
use x509_parser::time::ASN1Time;

use super::{Chain, KeyType, PrivateKey};

/// Long, for nothing renews it.
const LIFE: SignedDuration = SignedDuration::from_hours(10 * 365 * 24);
/// A client whose clock is behind takes it as well.
const BEFORE: SignedDuration = SignedDuration::from_hours(24);

/// A server certificate for this host and `localhost`, signed by its own new key; valid for ten years.
///
/// The key is on P-256, because it is made while somebody waits for the first start.
///
/// # Errors
/// A host that fits in no certificate; a key that could not be made.
pub fn self_signed(host: &str, now: Timestamp) -> Result<(Chain, PrivateKey), rcgen::Error> {
    let key = PrivateKey::generate(KeyType::P256).map_err(|_| rcgen::Error::KeyGenerationUnavailable)?;
    let pair = KeyPair::try_from(key.expose_pkcs8())?;
    let mut params = CertificateParams::new(vec![host.to_owned(), "localhost".to_owned()])?;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, host);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let at = |instant: Result<Timestamp, jiff::Error>| {
        let instant = instant.map_err(|_| rcgen::Error::Time)?;
        ASN1Time::from_timestamp(instant.as_second()).map(|time| time.to_datetime()).map_err(|_| rcgen::Error::Time)
    };
    params.not_before = at(now.checked_sub(BEFORE))?;
    params.not_after = at(now.checked_add(LIFE))?;
    let certificate = params.self_signed(&pair)?;
    let chain = Chain::new(vec![certificate.der().to_vec()]).ok_or(rcgen::Error::CouldNotParseCertificate)?;
    Ok((chain, key))
}
