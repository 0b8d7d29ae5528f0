//! Signing requests and checking the signatures of answers (TSIG, RFC 8945).
//!
//! Messages and records are hickory's; the digest is computed here, because hickory leaves out SHA-1, which is what
//! most old key files say.
use std::fmt;
use std::ops::Range;

use aws_lc_rs::hmac;
use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use hickory_proto::ProtoError;
use hickory_proto::op::{Header, Message, Query};
use hickory_proto::rr::rdata::TSIG;
use hickory_proto::rr::rdata::tsig::{TsigAlgorithm, TsigError, make_tsig_record, message_tbs};
use hickory_proto::rr::{Name, RData, Record};
use hickory_proto::serialize::binary::{BinDecodable, BinDecoder, BinEncoder, DecodeError};

/// How far the two clocks may be apart, in seconds (RFC 8945 §10).
const FUDGE: u16 = 300;

/// Where a message's header has its id and the number of its additional records (RFC 1035 §4.1.1).
const ID: Range<usize> = 0..2;
const ADDITIONALS: Range<usize> = 10..12;

/// Base64 with or without its padding: keys are copied by hand.
const BASE64: GeneralPurpose =
    GeneralPurpose::new(&STANDARD, GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent));

/// A key shared with a server. `Debug` shows its name and algorithm only.
pub(super) struct Key {
    name: Name,
    algorithm: TsigAlgorithm,
    secret: hmac::Key,
}

/// Why a key cannot be used; never holds the secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum InvalidKey {
    Algorithm,
    Name,
    Secret,
}

/// A signed message and what the check of its answer needs.
pub(super) struct Signed {
    pub(super) bytes: Vec<u8>,
    mac: Vec<u8>,
}

/// How an answer is signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Signature {
    /// By our key, over our request.
    Good,
    /// Not at all.
    None,
    /// The server says what is wrong with our signature, and, in seconds since 1970, what time it is there.
    Refused(TsigError, Option<u64>),
    /// Not by our key, over another request or at another time.
    Wrong,
}

impl Key {
    pub(super) fn new(name: &str, algorithm: &str, secret: &str) -> Result<Self, InvalidKey> {
        let mut name = Name::from_ascii(name.trim()).map_err(|_| InvalidKey::Name)?;
        name.set_fqdn(true);
        if name.is_root() {
            return Err(InvalidKey::Name);
        }
        let (algorithm, digest) = match algorithm.trim().trim_end_matches('.').to_ascii_lowercase().as_str() {
            "hmac-sha1" => (TsigAlgorithm::HmacSha1, hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY),
            "hmac-sha224" => (TsigAlgorithm::HmacSha224, hmac::HMAC_SHA224),
            "hmac-sha256" => (TsigAlgorithm::HmacSha256, hmac::HMAC_SHA256),
            "hmac-sha384" => (TsigAlgorithm::HmacSha384, hmac::HMAC_SHA384),
            "hmac-sha512" => (TsigAlgorithm::HmacSha512, hmac::HMAC_SHA512),
            _ => return Err(InvalidKey::Algorithm),
        };
        let secret: String = secret.split_whitespace().collect();
        let secret = BASE64.decode(secret).ok().filter(|bytes| !bytes.is_empty()).ok_or(InvalidKey::Secret)?;
        Ok(Key { name, algorithm, secret: hmac::Key::new(digest, &secret) })
    }

    /// Signs `message` at `now`, in seconds since 1970 (RFC 8945 §5.1).
    pub(super) fn sign(&self, mut message: Message, now: u64) -> Result<Signed, ProtoError> {
        let unsigned = TSIG::new(self.algorithm.clone(), now, FUDGE, Vec::new(), message.metadata.id, None, Vec::new());
        let mac = hmac::sign(&self.secret, &message_tbs(&message, &unsigned, &self.name)?).as_ref().to_vec();
        message.signature = Some(Box::new(make_tsig_record(self.name.clone(), unsigned.set_mac(mac.clone()))));
        Ok(Signed { bytes: message.to_vec()?, mac })
    }

    /// Checks the answer to `request` at `now` (RFC 8945 §5.3).
    pub(super) fn check(&self, answer: &[u8], request: &Signed, now: u64) -> Result<Signature, DecodeError> {
        let Some(Split { before, name, tsig }) = Split::of(answer)? else { return Ok(Signature::None) };
        if let Some(error) = tsig.error {
            // Unsigned by necessity, but for a clock that is wrong (RFC 8945 §5.2). Nothing is done on its word.
            let there = <[u8; 6]>::try_from(tsig.other.as_slice()).ok();
            let there = there.map(|time| time.iter().fold(0, |sum, &byte| sum << 8 | u64::from(byte)));
            return Ok(Signature::Refused(error, there));
        }
        let same_algorithm = tsig.algorithm.to_name().eq_ignore_root(&self.algorithm.to_name());
        let in_time = tsig.time.abs_diff(now) <= u64::from(tsig.fudge);
        let good = name == self.name && same_algorithm && in_time && {
            let signed = digested(&request.mac, &before, &tsig, &name).unwrap_or_default();
            hmac::verify(&self.secret, &signed, &tsig.mac).is_ok()
        };
        Ok(if good { Signature::Good } else { Signature::Wrong })
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key").field("name", &self.name).field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}

/// What an answer's signature covers: request's MAC, message, variables of the TSIG record (RFC 8945 §5.3.1).
fn digested(request_mac: &[u8], before: &[u8], tsig: &TSIG, name: &Name) -> Result<Vec<u8>, ProtoError> {
    let mut bytes = Vec::new();
    let mut encoder = BinEncoder::new(&mut bytes);
    encoder.emit_u16(u16::try_from(request_mac.len()).unwrap_or(u16::MAX))?;
    encoder.emit_vec(request_mac)?;
    encoder.emit_vec(before)?;
    tsig.emit_tsig_for_mac(&mut encoder, name)?;
    Ok(bytes)
}

/// A signed message taken apart.
struct Split {
    /// The message as it was before it was signed.
    before: Vec<u8>,
    /// The name of the key.
    name: Name,
    tsig: TSIG,
}

impl Split {
    /// `None` where the last record is no TSIG record.
    fn of(message: &[u8]) -> Result<Option<Self>, DecodeError> {
        let mut decoder = BinDecoder::new(message);
        let Header { counts, .. } = Header::read(&mut decoder)?;
        let Some(additionals) = counts.additionals.checked_sub(1) else { return Ok(None) };
        for _ in 0..counts.queries {
            Query::read(&mut decoder)?;
        }
        for count in [counts.answers, counts.authorities, additionals] {
            for _ in 0..count {
                Record::read(&mut decoder)?;
            }
        }
        let end = decoder.index();
        let last = Record::read(&mut decoder)?;
        let RData::TSIG(tsig) = last.data else { return Ok(None) };
        // Original id and one additional record less (RFC 8945 §5.3.1); all else byte for byte as it came.
        let mut before = message.get(..end).unwrap_or_default().to_vec();
        for (place, number) in [(ID, tsig.oid), (ADDITIONALS, additionals)] {
            if let Some(bytes) = before.get_mut(place) {
                bytes.copy_from_slice(&number.to_be_bytes());
            }
        }
        Ok(Some(Split { before, name: last.name, tsig }))
    }
}

#[cfg(test)]
mod tests {
    use hickory_proto::rr::RecordType;
    use proptest::prelude::*;

    use super::*;

    const SECRET: &str = "c2VjcmV0IG9mIHRoZSB0ZXN0cw==";
    const NOW: u64 = 1_790_000_000;

    fn key(algorithm: &str) -> Key {
        Key::new("Key.Example", algorithm, SECRET).unwrap()
    }

    fn request() -> Message {
        let mut message = Message::query();
        message.add_query(Query::query(Name::from_ascii("example.com.").unwrap(), RecordType::SOA));
        message
    }

    /// What a server with `key` sends back, made independently of [`Key::check`].
    fn answer(key: &Key, request: &Signed, now: u64) -> Vec<u8> {
        let mut message = Message::from_vec(&request.bytes).unwrap().into_response();
        (message.signature, message.additionals) = (None, Vec::new());
        let tsig = TSIG::new(key.algorithm.clone(), now, FUDGE, Vec::new(), message.metadata.id, None, Vec::new());
        let mut covered = (request.mac.len() as u16).to_be_bytes().to_vec();
        covered.extend(&request.mac);
        covered.extend(message_tbs(&message, &tsig, &key.name).unwrap());
        let mac = hmac::sign(&key.secret, &covered).as_ref().to_vec();
        message.signature = Some(Box::new(make_tsig_record(key.name.clone(), tsig.set_mac(mac))));
        message.to_vec().unwrap()
    }

    #[test]
    fn keys_are_read_as_people_write_them() {
        for algorithm in ["hmac-sha1.", "HMAC-SHA224", "hmac-sha256", " hmac-sha384. ", "hmac-sha512"] {
            key(algorithm);
        }
        for secret in ["c2VjcmV0", " c2Vj cmV0\n", "c2VjcmV0IG9mIHRoZSB0ZXN0cw"] {
            Key::new("k", "hmac-sha256", secret).unwrap();
        }
        let refused = |name, algorithm, secret| Key::new(name, algorithm, secret).unwrap_err();
        assert_eq!(refused("k", "hmac-md5.sig-alg.reg.int.", SECRET), InvalidKey::Algorithm);
        assert_eq!(refused("k", "hmac-sha256-128", SECRET), InvalidKey::Algorithm);
        assert_eq!(refused("k", "hmac-sha256", "not base64!"), InvalidKey::Secret);
        assert_eq!(refused("k", "hmac-sha256", ""), InvalidKey::Secret);
        assert_eq!(refused("", "hmac-sha256", SECRET), InvalidKey::Name);
        assert_eq!(refused("a..b", "hmac-sha256", SECRET), InvalidKey::Name);
    }

    #[test]
    fn debug_shows_no_secret() {
        let shown = format!("{:?}", key("hmac-sha256"));
        assert!(shown.to_lowercase().contains("key.example") && !shown.contains(SECRET) && !shown.contains("secret"));
    }

    #[test]
    fn an_answer_is_good_only_for_its_request_by_its_key_in_time() {
        for algorithm in ["hmac-sha1", "hmac-sha224", "hmac-sha256", "hmac-sha384", "hmac-sha512"] {
            let ours = key(algorithm);
            let request_one = ours.sign(request(), NOW).unwrap();
            let request_two = ours.sign(request(), NOW + 1).unwrap();
            let good = answer(&ours, &request_one, NOW);
            let check = |answer: &[u8], request, now| ours.check(answer, request, now).unwrap();
            assert_eq!(check(&good, &request_one, NOW), Signature::Good, "{algorithm}");
            assert_eq!(check(&good, &request_one, NOW + 300), Signature::Good, "{algorithm}");
            assert_eq!(check(&good, &request_one, NOW + 301), Signature::Wrong, "{algorithm}");
            assert_eq!(check(&good, &request_two, NOW), Signature::Wrong, "{algorithm}");
            let other = Key::new("key.example", algorithm, "b3RoZXI=").unwrap();
            assert_eq!(check(&answer(&other, &request_one, NOW), &request_one, NOW), Signature::Wrong, "{algorithm}");
            let unsigned = request().into_response().to_vec().unwrap();
            assert_eq!(check(&unsigned, &request_one, NOW), Signature::None, "{algorithm}");
        }
    }

    proptest! {
        #[test]
        fn one_changed_bit_of_the_message_is_noticed(bit in 0_usize..1000) {
            let ours = key("hmac-sha256");
            let request = ours.sign(request(), NOW).unwrap();
            let mut bytes = answer(&ours, &request, NOW);
            // All but the id, which the signature carries in itself (RFC 8945 §4.2), and the signature.
            let bit = 16 + bit % ((Split::of(&bytes).unwrap().unwrap().before.len() - 2) * 8);
            bytes[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(!matches!(ours.check(&bytes, &request, NOW), Ok(Signature::Good)));
        }

        #[test]
        fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let ours = key("hmac-sha256");
            let request = ours.sign(request(), NOW).unwrap();
            prop_assert!(!matches!(ours.check(&bytes, &request, NOW), Ok(Signature::Good)));
        }
    }
}
