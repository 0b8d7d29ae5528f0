//! Requests that must be signed, and assertions that stand in a login for a password.
//!
//! A signer is a few lines over the finished request. It has never seen a page: what a page says arrives as [`Given`],
//! time and chance as [`Moment`]. What a key is made of is looked at once, before the first request ([`Signer::ready`]).
//!
//! A page names its signer in `[http]`, or in the one call that is signed, and gives its parameters beside it, each a
//! template: `sign = { by = "aws", id = "{{ AccessKeyId }}", secret = "{{ SecretAccessKey }}", … }`.
//!
//! | `by` | for | parameters besides `id` and `secret` | vectors from |
//! |---|---|---|---|
//! | `aliyun` | Alibaba Cloud, V3 | | the vendor |
//! | `aliyun-rpc` | Alibaba Cloud, RPC (HMAC-SHA1) | | the vendor |
//! | `aurora` | Aurora DNS | | Python |
//! | `aws` | AWS SigV4: Route 53, Lightsail, VinylDNS | `region`, `service` | the vendor's suite |
//! | `baidu` | Baidu AI Cloud, `bce-auth-v1` | | bceauth |
//! | `constellix` | Constellix v1 | | Python |
//! | `dnsmadeeasy` | DNS Made Easy | | the vendor |
//! | `edgegrid` | Akamai (`id`, `secret`: the client's) | `token`: the access token | the vendor's test data |
//! | `exoscale` | Exoscale v2 | | the vendor |
//! | `huawei` | Huawei Cloud | | the vendor's SDK |
//! | `iij` | IIJ DO service | | Python |
//! | `jwt` | HyperOne: a token with every call | those of `jwt` below; no `id`, no `secret` | RFC 7515 |
//! | `nearlyfreespeech` | NearlyFreeSpeech.NET (`id`: the login) | | lego |
//! | `nifcloud` | NIFCLOUD | | Python |
//! | `oracle` | Oracle Cloud (`id`: tenancy/user/fingerprint) | `key`: PEM, perhaps its `pass`; no `secret` | the vendor, OpenSSL |
//! | `ovh` | OVHcloud (`id`, `secret`: the application's) | `token`: the consumer key; all three empty: unsigned | OpenSSL |
//! | `tencent` | Tencent Cloud, TC3 | `service` | the vendor |
//! | `transip` | TransIP's login | `key`: PEM, perhaps its `pass`; no `id`, no `secret` | OpenSSL |
//! | `volcengine` | Volcano Engine | `region`, `service` | Python |
//! | `websupport` | Websupport, Active24 | | lego |
//!
//! Headers of the page are signed where the vendor has them signed: a session token of AWS is such a header,
//! `X-Amz-Security-Token`.
//!
//! An assertion is named in `[login]`, where templates then know it as `assertion`:
//! `assertion = { by = "jwt", account = "{{ ServiceAccountKey }}", aud = "…" }`. Parameters of `jwt`: `aud`; either `account`,
//! the file of a service account in JSON or base64, or `key` (RSA, PEM) and `iss`, perhaps `kid` and `sub`; and perhaps
//! `scope`, `alg` (`RS256`, unless it is `PS256`), `life` (3600 seconds) and `pass` (of the key).
//!
//! # Examples
//! ```toml
//! alidns       = { by = "aliyun", id = "{{ AccessKeyId }}", secret = "{{ AccessKeySecret }}" }
//! alidns-old   = { by = "aliyun-rpc", id = "{{ AccessKeyId }}", secret = "{{ AccessKeySecret }}" }
//! auroradns    = { by = "aurora", id = "{{ APIKey }}", secret = "{{ Secret }}" }
//! baiducloud   = { by = "baidu", id = "{{ AccessKeyId }}", secret = "{{ SecretAccessKey }}" }
//! constellix   = { by = "constellix", id = "{{ APIKey }}", secret = "{{ SecretKey }}" }
//! dnsmadeeasy  = { by = "dnsmadeeasy", id = "{{ APIKey }}", secret = "{{ APISecret }}" }
//! edgedns      = { by = "edgegrid", id = "{{ ClientToken }}", secret = "{{ ClientSecret }}", token = "{{ AccessToken }}" }
//! exoscale     = { by = "exoscale", id = "{{ APIKey }}", secret = "{{ APISecret }}" }
//! huaweicloud  = { by = "huawei", id = "{{ AccessKeyId }}", secret = "{{ SecretAccessKey }}" }
//! hyperone     = { by = "jwt", account = "{{ Passport }}", aud = "https://api.hyperone.com", life = "300" }
//! iij          = { by = "iij", id = "{{ AccessKey }}", secret = "{{ SecretKey }}" }
//! lightsail    = { by = "aws", id = "{{ AccessKeyId }}", secret = "{{ SecretAccessKey }}", region = "us-east-1", service = "lightsail" }
//! nearlyfreespeech = { by = "nearlyfreespeech", id = "{{ Login }}", secret = "{{ APIKey }}" }
//! nifcloud     = { by = "nifcloud", id = "{{ AccessKey }}", secret = "{{ SecretKey }}" }
//! oraclecloud  = { by = "oracle", id = "{{ TenancyOcid }}/{{ UserOcid }}/{{ PubkeyFingerprint }}", key = "{{ PrivKey }}", pass = "{{ PrivKeyPass }}" }
//! ovh          = { by = "ovh", id = "{{ ApplicationKey }}", secret = "{{ ApplicationSecret }}", token = "{{ ConsumerKey }}" }
//! route53      = { by = "aws", id = "{{ AccessKeyId }}", secret = "{{ SecretAccessKey }}", region = "us-east-1", service = "route53" }
//! tencentcloud = { by = "tencent", id = "{{ SecretId }}", secret = "{{ SecretKey }}", service = "dnspod" }
//! transip      = { by = "transip", key = "{{ PrivateKey }}" }
//! vinyldns     = { by = "aws", id = "{{ AccessKey }}", secret = "{{ SecretKey }}", region = "us-east-1", service = "VinylDNS" }
//! volcengine   = { by = "volcengine", id = "{{ AccessKey }}", secret = "{{ SecretKey }}", region = "{{ Region }}", service = "DNS" }
//! websupport   = { by = "websupport", id = "{{ APIKey }}", secret = "{{ Secret }}" }
//! ```
mod aliyun;
mod aws;
mod baidu;
mod canonical;
mod dated;
mod edgegrid;
mod exoscale;
mod huawei;
mod jwt;
mod key;
mod oracle;
mod ovh;
mod tencent;
#[cfg(test)]
mod tests;
mod transip;

use jiff::Timestamp;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use secrecy::SecretString;
use serde::Deserialize;
use url::Url;

use self::key::Pair;
pub use self::key::{Given, InvalidKey};

/// A way to sign, as a page names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Signer {
    /// Alibaba Cloud, signature method V3 (`ACS3-HMAC-SHA256`).
    Aliyun,
    /// Alibaba Cloud, the signature of RPC interfaces (HMAC-SHA1).
    AliyunRpc,
    /// Aurora DNS.
    Aurora,
    /// AWS Signature Version 4.
    Aws,
    /// Baidu AI Cloud (`bce-auth-v1`).
    Baidu,
    /// Constellix.
    Constellix,
    /// DNS Made Easy.
    Dnsmadeeasy,
    /// Akamai EdgeGrid (`EG1-HMAC-SHA256`).
    Edgegrid,
    /// Exoscale (`EXO2-HMAC-SHA256`).
    Exoscale,
    /// Huawei Cloud (`SDK-HMAC-SHA256`).
    Huawei,
    /// IIJ DO service.
    Iij,
    /// A token of its own for every request, as a Bearer.
    Jwt,
    /// NearlyFreeSpeech.NET.
    Nearlyfreespeech,
    /// NIFCLOUD (`NIFTY3-HTTPS`).
    Nifcloud,
    /// Oracle Cloud (HTTP signatures, RSA).
    Oracle,
    /// OVHcloud.
    Ovh,
    /// Tencent Cloud (`TC3-HMAC-SHA256`).
    Tencent,
    /// TransIP's login (RSA).
    Transip,
    /// Volcano Engine (`HMAC-SHA256`).
    Volcengine,
    /// Websupport and Active24.
    Websupport,
}

/// A kind of assertion, as a page names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Asserter {
    /// A JSON Web Token, signed with RSA.
    Jwt,
}

/// Puts the signature on requests.
pub trait RequestSigner: Send + Sync {
    /// Signs a request that is finished but for this; headers and query may change, the body does not.
    ///
    /// # Errors
    /// Parts of the key that cannot be sent or used.
    fn sign(&self, request: &mut Outgoing, moment: &Moment) -> Result<(), Unsigned>;
}

/// Makes what is shown in the place of a password.
pub trait Assertion: Send + Sync {
    /// A new assertion, good from now on.
    ///
    /// # Errors
    /// A key that cannot be used.
    fn assertion(&self, moment: &Moment) -> Result<SecretString, Unsigned>;
}

/// What makes every signature another one.
#[derive(Clone, Debug)]
pub struct Moment {
    /// The present instant; vendors refuse a signature that is minutes old.
    pub now: Timestamp,
    /// Used once: letters and digits, sixteen or more.
    pub nonce: String,
}

/// A finished request, but for its signature. It may hold secrets and so has no `Debug`.
pub struct Outgoing {
    /// Its method.
    pub method: reqwest::Method,
    /// Its address, with the query.
    pub url: Url,
    /// Its headers; `Host` is not among them.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Vec<u8>,
}

/// Why a request has no signature. Never holds the key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unsigned {
    /// A part of the key holds a character that no header may have.
    #[error("a parameter that goes into the header {0} holds a character that cannot be sent")]
    Header(String),
    /// The key makes no signatures.
    #[error("the private key cannot be used to sign")]
    Key,
}

impl Signer {
    /// The parameters that a page has to give, and those that it may give.
    pub fn parameters(self) -> (&'static [&'static str], &'static [&'static str]) {
        match self {
            Signer::Aws | Signer::Volcengine => (&["id", "secret", "region", "service"], &[]),
            Signer::Edgegrid | Signer::Ovh => (&["id", "secret", "token"], &[]),
            Signer::Jwt => Asserter::Jwt.parameters(),
            Signer::Oracle => (&["id", "key"], &["pass"]),
            Signer::Tencent => (&["id", "secret", "service"], &[]),
            Signer::Transip => (&["key"], &["pass"]),
            Signer::Aliyun
            | Signer::AliyunRpc
            | Signer::Aurora
            | Signer::Baidu
            | Signer::Constellix
            | Signer::Dnsmadeeasy
            | Signer::Exoscale
            | Signer::Huawei
            | Signer::Iij
            | Signer::Nearlyfreespeech
            | Signer::Nifcloud
            | Signer::Websupport => (&["id", "secret"], &[]),
        }
    }

    /// A signer with its key.
    ///
    /// # Errors
    /// The first parameter that no key can be made of.
    pub fn ready(self, given: &Given) -> Result<Box<dyn RequestSigner>, InvalidKey> {
        let by_pair = |sign| -> Result<Box<dyn RequestSigner>, InvalidKey> { Ok(Box::new(ByPair { pair: given.pair()?, sign })) };
        match self {
            Signer::Aliyun => by_pair(aliyun::v3),
            Signer::AliyunRpc => by_pair(aliyun::rpc),
            Signer::Aurora => by_pair(dated::aurora),
            Signer::Aws => Ok(Box::new(aws::Scoped::aws(given)?)),
            Signer::Baidu => by_pair(baidu::sign),
            Signer::Constellix => by_pair(dated::constellix),
            Signer::Dnsmadeeasy => by_pair(dated::dnsmadeeasy),
            Signer::Edgegrid => Ok(Box::new(edgegrid::EdgeGrid::new(given)?)),
            Signer::Exoscale => by_pair(exoscale::sign),
            Signer::Huawei => by_pair(huawei::sign),
            Signer::Iij => by_pair(dated::iij),
            Signer::Jwt => Ok(Box::new(jwt::Jwt::new(given)?)),
            Signer::Nearlyfreespeech => by_pair(dated::nearlyfreespeech),
            Signer::Nifcloud => by_pair(dated::nifcloud),
            Signer::Oracle => Ok(Box::new(oracle::Oracle::new(given)?)),
            Signer::Ovh => Ok(Box::new(ovh::Ovh::new(given)?)),
            Signer::Tencent => Ok(Box::new(tencent::Tencent::new(given)?)),
            Signer::Transip => Ok(Box::new(transip::TransIp::new(given)?)),
            Signer::Volcengine => Ok(Box::new(aws::Scoped::volcengine(given)?)),
            Signer::Websupport => by_pair(dated::websupport),
        }
    }
}

impl Asserter {
    /// The parameters that a page has to give, and those that it may give.
    pub fn parameters(self) -> (&'static [&'static str], &'static [&'static str]) {
        match self {
            Asserter::Jwt => (&["aud"], &["account", "key", "iss", "sub", "kid", "scope", "alg", "life", "pass"]),
        }
    }

    /// A maker of assertions with its key.
    ///
    /// # Errors
    /// The first parameter that no key can be made of.
    pub fn ready(self, given: &Given) -> Result<Box<dyn Assertion>, InvalidKey> {
        match self {
            Asserter::Jwt => Ok(Box::new(jwt::Jwt::new(given)?)),
        }
    }
}

/// A signer whose key is an id and a secret, and nothing more.
struct ByPair {
    pair: Pair,
    sign: fn(&Pair, &mut Outgoing, &Moment) -> Result<(), Unsigned>,
}

impl RequestSigner for ByPair {
    fn sign(&self, request: &mut Outgoing, moment: &Moment) -> Result<(), Unsigned> {
        (self.sign)(&self.pair, request, moment)
    }
}

impl Outgoing {
    /// Puts in a header, in the place of one of the same name.
    pub(crate) fn put(&mut self, name: &str, value: &str) -> Result<(), Unsigned> {
        let unfit = |_| Unsigned::Header(name.to_owned());
        let key = HeaderName::from_bytes(name.as_bytes()).map_err(|_| Unsigned::Header(name.to_owned()))?;
        let mut value = HeaderValue::from_str(value).map_err(unfit)?;
        // Whoever has it can use it, for a while: it stays out of `Debug` and of HTTP/2's tables.
        value.set_sensitive(true);
        self.headers.insert(key, value);
        Ok(())
    }
}

/// A text with every octet percent-encoded that is not unreserved (RFC 3986 §2.3).
pub(crate) fn percent_encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for octet in text.bytes() {
        if octet.is_ascii_alphanumeric() || b"-._~".contains(&octet) {
            out.push(char::from(octet));
        } else {
            out.push_str(&format!("%{octet:02X}"));
        }
    }
    out
}

/// Lower-case hexadecimal digits.
pub(crate) fn hexadecimal(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

/// The host of a URL as the header `Host` has it: the port only where it is not the scheme's own.
fn host(url: &Url) -> String {
    let name = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| name.to_owned(), |port| format!("{name}:{port}"))
}

/// Path and query of a URL, as they are sent.
fn target(url: &Url) -> String {
    url.query().map_or_else(|| url.path().to_owned(), |query| format!("{}?{query}", url.path()))
}
