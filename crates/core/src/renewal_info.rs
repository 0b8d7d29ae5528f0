//! What a CA says of when a certificate had better be renewed (ACME Renewal Information, RFC 9773): pure functions of time.
use std::fmt;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp};
use x509_parser::extensions::ParsedExtension;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::material::Chain;
use crate::renewal::Validity;

/// How a CA's renewal information and an order's `replaces` call a certificate: the keyIdentifier of its
/// authorityKeyIdentifier and its serial number, each in base64url (RFC 9773 §4.1).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RenewalId {
    authority: String,
    serial: String,
}

impl RenewalId {
    /// That of a chain's leaf; `None` where the leaf does not name its authority's key.
    pub fn of(chain: &Chain) -> Option<RenewalId> {
        let (_, leaf) = X509Certificate::from_der(chain.certificates().first()?).ok()?;
        let key = leaf.iter_extensions().find_map(|extension| match extension.parsed_extension() {
            ParsedExtension::AuthorityKeyIdentifier(authority) => authority.key_identifier.as_ref().map(|key| key.0),
            _ => None,
        })?;
        let encode = |octets: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(octets);
        // As the DER has it, with the zero that keeps a high first bit from being a sign.
        Some(RenewalId { authority: encode(key), serial: encode(leaf.raw_serial()) })
    }

    /// The first half: the key of the authority.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// The second half: the serial number.
    pub fn serial(&self) -> &str {
        &self.serial
    }
}

impl fmt::Display for RenewalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.authority, self.serial)
    }
}

/// When the CA wants a certificate to be renewed; it ends after it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    start: Timestamp,
    end: Timestamp,
}

impl Window {
    /// `None` unless it ends after it begins: a client treats anything else as no answer (RFC 9773 §4.2).
    pub fn new(start: Timestamp, end: Timestamp) -> Option<Window> {
        (start < end).then_some(Window { start, end })
    }

    /// Its first instant.
    pub fn start(&self) -> Timestamp {
        self.start
    }

    /// The instant after its last.
    pub fn end(&self) -> Timestamp {
        self.end
    }
}

/// What a CA answered about one certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RenewalInfo {
    /// When it wants the certificate to be renewed.
    pub window: Window,
    /// A page for people that says why.
    pub explanation_url: Option<String>,
    /// When to ask again: from a minute to a day after the answer.
    pub poll_after: Timestamp,
}

/// An instant chosen for a window, kept for as long as the CA does not move the window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    /// The window it was chosen for.
    pub window: Window,
    /// When to renew.
    pub at: Timestamp,
}

/// What is to be done next about a certificate whose CA gives renewal information.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Ask the CA again at this instant.
    Ask(Timestamp),
    /// Renew at this instant, which comes before it would be asked again.
    Renew(Timestamp),
}

/// This part of a certificate's life is left for attempts, wherever its CA's window lies.
const PART_FOR_ATTEMPTS: f64 = 0.1;
/// What is overdue, perhaps with everything else of its CA, is renewed within this time.
const SPREAD: SignedDuration = SignedDuration::from_mins(10);
/// Nor does it take longer than this part of the life that is left.
const SPREAD_PART: f64 = 0.05;

/// When to renew a certificate for which its CA proposes `window`: at random in it (RFC 9773 §4.2), kept while the window
/// is unchanged. An instant that has passed means at once, spread a little, since a CA that revokes moves the windows of
/// all its certificates; a window that is moved on never puts off what was to be done at once. `draw` in `[0, 1)`.
pub fn choose(now: Timestamp, validity: Validity, window: Window, kept: Option<Choice>, draw: f64) -> Choice {
    if let Some(kept) = kept.filter(|kept| kept.window == window) {
        return kept;
    }
    let draw = draw.clamp(0.0, 1.0);
    let last = validity.not_after.saturating_sub(validity.life().mul_f64(PART_FOR_ATTEMPTS)).unwrap_or(validity.not_after);
    let wanted = if last > window.start { between(window.start, window.end.min(last), draw) } else { last };
    if wanted > now {
        return Choice { window, at: wanted };
    }
    let left = validity.not_after.duration_since(now).max(SignedDuration::ZERO);
    let soon = between(now, now.saturating_add(SPREAD.min(left.mul_f64(SPREAD_PART))).unwrap_or(now), draw);
    let at = kept.map_or(soon, |kept| kept.at.min(soon));
    Choice { window, at }
}

/// What comes first: the renewal or the next question. An instant before the next question is an appointment of its own,
/// because a window may be narrower than the time between two questions.
pub fn next(choice: Choice, poll_after: Timestamp) -> Next {
    if choice.at <= poll_after { Next::Renew(choice.at) } else { Next::Ask(poll_after) }
}

fn between(start: Timestamp, end: Timestamp, draw: f64) -> Timestamp {
    let span = end.duration_since(start).max(SignedDuration::ZERO);
    start.saturating_add(span.mul_f64(draw)).unwrap_or(start)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rcgen::{CertificateParams, Issuer, KeyIdMethod, KeyPair, SerialNumber};

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn window(start: i64, length: i64) -> Window {
        Window::new(at(start), at(start + length)).unwrap()
    }

    fn validity(start: i64, life: i64) -> Validity {
        Validity { not_before: at(start), not_after: at(start + life) }
    }

    #[test]
    fn the_name_of_a_certificate_is_that_of_rfc_9773() {
        let authority = vec![
            0x69, 0x88, 0x5b, 0x6b, 0x87, 0x46, 0x40, 0x41, 0xe1, 0xb3, 0x7b, 0x84, 0x7b, 0xa0, 0xae, 0x2c, 0xde, 0x01, 0xc8,
            0xd4,
        ];
        let key = KeyPair::generate().unwrap();
        let (mut issuer, mut leaf) = (CertificateParams::default(), CertificateParams::default());
        issuer.key_identifier_method = KeyIdMethod::PreSpecified(authority);
        leaf.use_authority_key_identifier_extension = true;
        leaf.serial_number = Some(SerialNumber::from_slice(&[0x87, 0x65, 0x43, 0x21]));
        let signed = leaf.signed_by(&key, &Issuer::new(issuer, &key)).unwrap();
        let chain = Chain::new(vec![signed.der().to_vec()]).unwrap();
        assert_eq!(RenewalId::of(&chain).unwrap().to_string(), "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE");
    }

    #[test]
    fn a_leaf_without_an_authority_has_no_name() {
        let key = KeyPair::generate().unwrap();
        let alone = CertificateParams::default().self_signed(&key).unwrap();
        assert_eq!(RenewalId::of(&Chain::new(vec![alone.der().to_vec()]).unwrap()), None);
        assert_eq!(RenewalId::of(&Chain::new(vec![b"no certificate".to_vec()]).unwrap()), None);
    }

    #[test]
    fn a_window_that_does_not_end_after_it_begins_is_none() {
        assert_eq!(Window::new(at(5), at(5)), None);
        assert_eq!(Window::new(at(5), at(4)), None);
        assert!(Window::new(at(5), at(6)).is_some());
    }

    proptest! {
        #[test]
        fn a_window_ahead_is_hit_and_time_is_left_for_attempts(
            life in 1_000i64..40_000_000, from in 0.0f64..1.0, part in 0.0001f64..0.5, draw in 0.0f64..1.0,
        ) {
            let validity = validity(0, life);
            let window = window((life as f64 * from) as i64 + 1, (life as f64 * part) as i64 + 1);
            let choice = choose(at(0), validity, window, None, draw);
            let last = at(life) - SignedDuration::from_secs(life).mul_f64(0.1);
            prop_assert!(choice.at <= last && choice.at > at(0));
            if window.start() < last {
                prop_assert!(choice.at >= window.start() && choice.at < window.end());
            }
        }

        #[test]
        fn the_draw_spreads_over_the_whole_window(start in 1i64..1_000_000, length in 100i64..1_000_000) {
            let window = window(start, length);
            let chosen = |draw| choose(at(0), validity(0, 40_000_000), window, None, draw).at.duration_since(window.start());
            prop_assert!(chosen(0.0).is_zero());
            prop_assert!((chosen(0.5).as_secs_f64() - length as f64 / 2.0).abs() < 1.0);
            prop_assert!(chosen(0.999).as_secs_f64() > length as f64 * 0.99);
        }

        #[test]
        fn an_unchanged_window_keeps_its_instant(
            start in 0i64..1_000_000, length in 1i64..1_000_000, now in 0i64..2_000_000, later in 0i64..2_000_000,
            draw in 0.0f64..1.0, other in 0.0f64..1.0,
        ) {
            let validity = validity(0, 4_000_000);
            let first = choose(at(now), validity, window(start, length), None, draw);
            prop_assert_eq!(choose(at(now + later), validity, window(start, length), Some(first), other), first);
        }

        #[test]
        fn a_window_in_the_past_is_soon_and_never_later_for_being_moved(
            now in 1_000_000i64..3_900_000, ago in 1i64..900_000, moved in 1i64..600, draw in 0.0f64..1.0, other in 0.0f64..1.0,
        ) {
            let validity = validity(0, 4_000_000);
            let first = choose(at(now), validity, window(now - ago - 10, 10), None, draw);
            prop_assert!(first.at >= at(now) && first.at <= at(now) + SPREAD);
            prop_assert!(first.at <= validity.not_after);
            let again = choose(at(now + moved), validity, window(now - ago - 10 + moved, 10), Some(first), other);
            prop_assert!(again.at <= first.at);
        }

        #[test]
        fn a_mass_revocation_is_spread(draw in 0.0f64..0.9) {
            let renewal = |draw| choose(at(1_000_000), validity(0, 4_000_000), window(0, 10), None, draw).at;
            prop_assert!(renewal(draw + 0.1).duration_since(renewal(draw)) >= SignedDuration::from_secs(59));
        }

        #[test]
        fn what_comes_first_is_next(chosen in 0i64..1_000_000, poll in 0i64..1_000_000) {
            let choice = Choice { window: window(0, 1), at: at(chosen) };
            let expected = if chosen <= poll { Next::Renew(at(chosen)) } else { Next::Ask(at(poll)) };
            prop_assert_eq!(next(choice, at(poll)), expected);
        }
    }

    #[test]
    fn a_dead_certificate_is_renewed_at_once() {
        let choice = choose(at(2_000), validity(0, 1_000), window(500, 100), None, 0.9);
        assert_eq!(choice.at, at(2_000));
    }
}
