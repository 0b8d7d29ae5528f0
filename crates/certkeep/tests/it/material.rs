//! Certificates and keys for tests: what people upload, and what the fake CA issues.
use std::sync::LazyLock;

use jiff::{SignedDuration, Timestamp, tz::Offset};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};
use rustls_pki_types::CertificateSigningRequestDer;

/// A CA of the tests' own: its certificate in PEM, and its key.
pub(crate) struct Ca {
    pub(crate) pem: String,
    params: CertificateParams,
    key: String,
}

/// The CA that signs everything.
pub(crate) static CA: LazyLock<Ca> = LazyLock::new(|| Ca::new("Test CA"));

/// A server certificate with its key, each in PEM.
pub(crate) struct Leaf {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl Leaf {
    /// Key, certificate and CA in one file.
    pub(crate) fn file(&self) -> String {
        format!("{}{}{}", self.key, self.certificate, CA.pem)
    }
}

impl Ca {
    pub(crate) fn new(name: &str) -> Ca {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Ca { pem, params, key: key.serialize_pem() }
    }

    pub(crate) fn key(&self) -> &str {
        &self.key
    }

    fn issuer(&self) -> Issuer<'_, KeyPair> {
        Issuer::from_params(&self.params, KeyPair::from_pem(&self.key).unwrap())
    }
}

/// A leaf for these names, valid from the day before `now` until so many days after it.
pub(crate) fn leaf(names: &[&str], now: Timestamp, days: i64) -> Leaf {
    let mut params = CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).unwrap();
    set_validity(&mut params, now, days);
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, &CA.issuer()).unwrap().pem();
    Leaf { certificate, key: key.serialize_pem() }
}

/// What the fake CA issues for a request: DER, valid for 90 days.
pub(crate) fn signed(csr: &[u8], now: Timestamp) -> Vec<u8> {
    let mut request = CertificateSigningRequestParams::from_der(&CertificateSigningRequestDer::from(csr)).unwrap();
    set_validity(&mut request.params, now, 90);
    request.signed_by(&CA.issuer()).unwrap().der().to_vec()
}

/// Year, month and day of the instant so many days from now.
fn date(now: Timestamp, days: i64) -> (i32, u8, u8) {
    let at = Offset::UTC.to_datetime(now + SignedDuration::from_hours(24 * days));
    (i32::from(at.year()), at.month().unsigned_abs(), at.day().unsigned_abs())
}

fn set_validity(params: &mut CertificateParams, now: Timestamp, days: i64) {
    let (year, month, day) = date(now, -1);
    params.not_before = rcgen::date_time_ymd(year, month, day);
    let (year, month, day) = date(now, days);
    params.not_after = rcgen::date_time_ymd(year, month, day);
}
