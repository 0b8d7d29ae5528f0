//! Passwords: argon2id with the parameters that OWASP asks for (Password Storage Cheat Sheet).
//!
//! Both functions take a processor for tens of milliseconds and 19 MiB: callers keep them off the threads that answer.
use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

/// The fewest characters of a password.
pub const MIN_PASSWORD: usize = 12;
/// The most octets of a password.
pub const MAX_PASSWORD: usize = 1024;

const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;
const HASH_LEN: usize = 32;
/// Length of a salt.
pub const SALT_LEN: usize = 16;

/// Whether a password is long enough, and not so long that hashing it serves an attack.
pub fn is_acceptable(password: &SecretString) -> bool {
    let password = password.expose_secret();
    password.chars().count() >= MIN_PASSWORD && password.len() <= MAX_PASSWORD
}

/// A password could not be hashed: the machine has no memory for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a password cannot be hashed now")]
pub struct HashError;

/// The hash of a password with its salt and parameters, in the PHC string format.
///
/// `Debug` shows nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(String);

impl std::fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PasswordHash(..)")
    }
}

impl PasswordHash {
    /// Hashes a password under a random salt.
    ///
    /// # Errors
    /// [`HashError`].
    pub fn new(password: &SecretString, salt: [u8; SALT_LEN]) -> Result<PasswordHash, HashError> {
        let costs = Costs { memory: MEMORY_KIB, passes: PASSES, lanes: LANES };
        let hash = costs.hash(password, &salt)?;
        Ok(PasswordHash(costs.written(&salt, hash.as_slice())))
    }

    /// A hash that no password has, and that takes as long to compare with as any: what is compared with where there is no
    /// user.
    pub fn of_nobody() -> PasswordHash {
        let costs = Costs { memory: MEMORY_KIB, passes: PASSES, lanes: LANES };
        PasswordHash(costs.written(&[0; SALT_LEN], &[0; HASH_LEN]))
    }

    /// A hash as it was stored.
    pub fn parse(text: &str) -> Option<PasswordHash> {
        parts(text).map(|_| PasswordHash(text.to_owned()))
    }

    /// The hash as it is stored.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is the password, compared in constant time.
    ///
    /// # Errors
    /// [`HashError`].
    pub fn matches(&self, password: &SecretString) -> Result<bool, HashError> {
        // Nobody has such a password, and hashing a megabyte of it would serve only an attack.
        if password.expose_secret().len() > MAX_PASSWORD {
            return Ok(false);
        }
        let (costs, salt, expected) = parts(&self.0).ok_or(HashError)?;
        let given = costs.hash(password, &salt)?;
        Ok(aws_lc_rs::constant_time::verify_slices_are_equal(given.as_slice(), &expected).is_ok())
    }
}

struct Costs {
    memory: u32,
    passes: u32,
    lanes: u32,
}

impl Costs {
    fn hash(&self, password: &SecretString, salt: &[u8]) -> Result<Zeroizing<[u8; HASH_LEN]>, HashError> {
        let params = Params::new(self.memory, self.passes, self.lanes, Some(HASH_LEN)).map_err(|_| HashError)?;
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let mut hash = Zeroizing::new([0; HASH_LEN]);
        let octets = password.expose_secret().as_bytes();
        argon2.hash_password_into(octets, salt, hash.as_mut_slice()).map_err(|_| HashError)?;
        Ok(hash)
    }

    fn written(&self, salt: &[u8], hash: &[u8]) -> String {
        let Costs { memory, passes, lanes } = self;
        let (salt, hash) = (STANDARD_NO_PAD.encode(salt), STANDARD_NO_PAD.encode(hash));
        format!("$argon2id$v=19$m={memory},t={passes},p={lanes}${salt}${hash}")
    }
}

/// Costs, salt and hash of what [`Costs::written`] wrote.
fn parts(text: &str) -> Option<(Costs, Vec<u8>, Vec<u8>)> {
    let mut parts = text.strip_prefix("$argon2id$v=19$")?.split('$');
    let (costs, salt, hash) = (parts.next()?, parts.next()?, parts.next()?);
    let mut costs = costs.split(',');
    let mut cost = |name: &str| costs.next()?.strip_prefix(name)?.parse::<u32>().ok();
    let costs = Costs { memory: cost("m=")?, passes: cost("t=")?, lanes: cost("p=")? };
    let (salt, hash) = (STANDARD_NO_PAD.decode(salt).ok()?, STANDARD_NO_PAD.decode(hash).ok()?);
    (parts.next().is_none() && hash.len() == HASH_LEN).then_some((costs, salt, hash))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> SecretString {
        SecretString::from(text)
    }

    #[test]
    fn a_password_matches_its_own_hash_only() {
        let hash = PasswordHash::new(&secret("correct horse battery"), [7; 16]).unwrap();
        assert!(hash.as_str().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{}", hash.as_str());
        let stored = PasswordHash::parse(hash.as_str()).unwrap();
        assert!(stored.matches(&secret("correct horse battery")).unwrap());
        assert!(!stored.matches(&secret("correct horse batterY")).unwrap());
        assert_ne!(PasswordHash::new(&secret("correct horse battery"), [8; 16]).unwrap(), hash);
        assert_eq!(format!("{hash:?}"), "PasswordHash(..)");
    }

    /// RFC 9106 has vectors with a secret and data only; this one is of the reference implementation's own tests.
    #[test]
    fn the_reference_implementation_agrees() {
        let costs = Costs { memory: 65_536, passes: 2, lanes: 1 };
        let hash = costs.hash(&secret("password"), b"somesalt").unwrap();
        let hex: String = hash.iter().map(|octet| format!("{octet:02x}")).collect();
        assert_eq!(hex, "09316115d5cf24ed5a15a31a3ba326e5cf32edc24702987c02b6566f61913cf7");
    }

    #[test]
    fn nobody_has_a_password() {
        assert!(!PasswordHash::of_nobody().matches(&secret("")).unwrap());
        assert!(PasswordHash::parse(PasswordHash::of_nobody().as_str()).is_some());
    }

    #[test]
    fn what_is_no_hash_is_not_read() {
        for text in ["", "$argon2id$v=19$m=1,t=1,p=1$c2FsdA", "$argon2i$v=19$m=1,t=1,p=1$c2FsdA$c2FsdA", "secret"] {
            assert_eq!(PasswordHash::parse(text), None, "{text}");
        }
    }

    #[test]
    fn length_is_all_that_is_asked() {
        for (password, fits) in
            [("elevenchars", false), ("twelve chars", true), ("zwölf Zeiche", true), (&"x".repeat(1025), false)]
        {
            assert_eq!(is_acceptable(&secret(password)), fits, "{password}");
        }
    }
}
