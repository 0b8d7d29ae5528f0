//! One-time passwords by time (RFC 6238): HMAC-SHA-1, six digits, thirty seconds, as every authenticator has them.
use aws_lc_rs::hmac;
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretSlice, SecretString};

/// Octets of a secret (RFC 4226 §4, R6).
pub const SECRET_LEN: usize = 20;
/// Seconds that a code is shown.
const PERIOD: i64 = 30;
/// A code is one of so many.
const CODES: u32 = 1_000_000;
/// Digits of a code.
const DIGITS: usize = 6;
/// How many steps a clock may be off (RFC 6238 §5.2).
const DRIFT: i64 = 1;

/// What an authenticator and certkeep share.
#[derive(Clone, Debug)]
pub struct TotpSecret(SecretSlice<u8>);

impl TotpSecret {
    /// A secret of these octets, which are random ones.
    pub fn new(octets: Vec<u8>) -> TotpSecret {
        TotpSecret(SecretSlice::from(octets))
    }

    /// The octets.
    pub fn octets(&self) -> &[u8] {
        self.0.expose_secret()
    }

    /// The secret as people type it: base32 without padding (RFC 4648 §6).
    pub fn to_base32(&self) -> SecretString {
        const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
        let (mut text, mut bits, mut held) = (String::new(), 0u16, 0u32);
        for octet in self.octets() {
            bits = (bits << 8) | u16::from(*octet);
            held += 8;
            while held >= 5 {
                held -= 5;
                let index = usize::from((bits >> held) & 31);
                text.extend(ALPHABET.get(index).copied().map(char::from));
                bits &= (1 << held) - 1;
            }
        }
        if held > 0 {
            text.extend(ALPHABET.get(usize::from((bits << (5 - held)) & 31)).copied().map(char::from));
        }
        SecretString::from(text)
    }

    /// What an authenticator reads from a QR code.
    pub fn to_uri(&self, user: &str) -> SecretString {
        let label: String = url::form_urlencoded::byte_serialize(user.as_bytes()).collect::<String>().replace('+', "%20");
        let secret = self.to_base32();
        SecretString::from(format!("otpauth://totp/certkeep:{label}?secret={}&issuer=certkeep", secret.expose_secret()))
    }

    /// The step whose code this is, if it is one of now and later than the last one that was accepted: no code is good twice
    /// (RFC 6238 §5.2).
    pub fn accepted_step(&self, code: &SecretString, now: Timestamp, last: Option<i64>) -> Option<i64> {
        let code = code.expose_secret().trim();
        if code.len() != DIGITS || !code.bytes().all(|digit| digit.is_ascii_digit()) {
            return None;
        }
        let current = now.as_second().div_euclid(PERIOD);
        // Every step is tried, so that the time taken tells nothing.
        (current - DRIFT..=current + DRIFT).fold(None, |found, step| {
            let expected = format!("{:06}", self.code(step));
            let fits = aws_lc_rs::constant_time::verify_slices_are_equal(expected.as_bytes(), code.as_bytes()).is_ok();
            if fits && last.is_none_or(|last| step > last) { Some(step) } else { found }
        })
    }

    /// What an authenticator shows at an instant.
    pub fn code_at(&self, now: Timestamp) -> SecretString {
        SecretString::from(format!("{:06}", self.code(now.as_second().div_euclid(PERIOD))))
    }

    /// The code of a step (RFC 4226 §5.3).
    fn code(&self, step: i64) -> u32 {
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, self.octets());
        let tag = hmac::sign(&key, &step.to_be_bytes());
        let octets = tag.as_ref();
        let offset = usize::from(octets.last().copied().unwrap_or_default() & 0xf);
        let word = octets.get(offset..).and_then(<[u8]>::first_chunk::<4>).copied().unwrap_or_default();
        (u32::from_be_bytes(word) & 0x7fff_ffff) % CODES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret() -> TotpSecret {
        TotpSecret::new(b"12345678901234567890".to_vec())
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn code(text: &str) -> SecretString {
        SecretString::from(text)
    }

    /// RFC 6238, appendix B: the last six of its eight digits.
    #[test]
    fn the_vectors_of_the_rfc() {
        for (second, expected) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ] {
            assert_eq!(secret().accepted_step(&code(expected), at(second), None), Some(second / 30), "{second}");
        }
    }

    #[test]
    fn a_clock_may_be_off_by_one_step() {
        let given = code("287082");
        for (second, fits) in [(0, true), (30, true), (89, true), (90, false), (-1, false)] {
            assert_eq!(secret().accepted_step(&given, at(second), None).is_some(), fits, "{second}");
        }
    }

    #[test]
    fn no_code_is_good_twice() {
        assert_eq!(secret().accepted_step(&code("287082"), at(59), Some(1)), None);
        assert_eq!(secret().accepted_step(&code("287082"), at(59), Some(0)), Some(1));
    }

    #[test]
    fn only_six_digits_are_a_code() {
        for text in ["", "28708", "2870820", "28708x", "٢٨٧٠٨٢"] {
            assert_eq!(secret().accepted_step(&code(text), at(59), None), None, "{text}");
        }
        assert_eq!(secret().accepted_step(&code(" 287082\n"), at(59), None), Some(1));
    }

    /// RFC 4648 §10.
    #[test]
    fn base32_is_that_of_the_rfc() {
        for (octets, text) in
            [("", ""), ("f", "MY"), ("fo", "MZXQ"), ("foo", "MZXW6"), ("foob", "MZXW6YQ"), ("fooba", "MZXW6YTB")]
        {
            assert_eq!(TotpSecret::new(octets.into()).to_base32().expose_secret(), text);
        }
    }

    #[test]
    fn the_secret_is_not_shown() {
        assert!(!format!("{:?}", secret()).contains("49"));
        let uri = secret().to_uri("Anna Süd");
        assert_eq!(
            uri.expose_secret(),
            "otpauth://totp/certkeep:Anna%20S%C3%BCd?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=certkeep"
        );
    }
}
