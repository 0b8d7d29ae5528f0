//! Sealing of secrets: AES-256-GCM under a random 96-bit nonce, bound to the place where the sealed value stands.
//!
//! A sealed value is `1 | key id (4) | nonce (12) | ciphertext and tag (16)`. The additional authenticated data is the
//! place (table, row, column), each part after its length, so that a value which was moved to another place does not
//! open. Two values under one key collide in their nonces with a chance of 2⁻³² after 2³² of them (NIST SP 800-38D
//! §8.3), which no inventory reaches.
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use zeroize::Zeroizing;

use crate::key_file;

/// The first octet of what [`Sealer::seal`] makes.
const FORMAT: u8 = 1;
/// Length of a key's id.
const ID_LEN: usize = 4;
/// Length of what AES-GCM adds.
const TAG_LEN: usize = 16;

/// Where a sealed value stands. The row has to be known before the value is sealed and never changes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    pub(crate) table: &'static str,
    pub(crate) column: &'static str,
    pub(crate) row: &'a str,
}

impl Place<'_> {
    fn associated_data(&self) -> Vec<u8> {
        let mut data = Vec::with_capacity(self.table.len() + self.row.len() + self.column.len() + 12);
        for part in [self.table, self.row, self.column] {
            data.extend_from_slice(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
            data.extend_from_slice(part.as_bytes());
        }
        data
    }
}

/// The number of a sealing key in its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct KeyId(pub(crate) u32);

impl std::fmt::Display for KeyId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:08x}", self.0)
    }
}

/// A sealing key.
pub(crate) struct SealingKey {
    pub(crate) id: KeyId,
    pub(crate) secret: Zeroizing<[u8; 32]>,
}

/// Why a value could not be sealed or opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SealError {
    /// Too short, or of a format that is not ours.
    #[error("a sealed value is cut off or of an unknown format")]
    Format,
    /// Another key, another place, or changed octets.
    #[error("a sealed value does not open: it was changed, moved, or sealed with another key")]
    Refused,
    /// The key is not in the key file.
    #[error("the sealing key {0} is not in the key file")]
    UnknownKey(KeyId),
    /// The machine gives no random octets.
    #[error("the machine gives no randomness")]
    Unsealable,
}

type Keys = Vec<(KeyId, Arc<RandomizedNonceKey>)>;

/// Seals under the first key and opens under all of them. A key that it does not know it looks for in the key file: keys
/// are rotated while services run.
pub(crate) struct Sealer {
    keys: RwLock<Arc<Keys>>,
    file: Option<PathBuf>,
}

impl Sealer {
    /// `None` without any key.
    pub(crate) fn new(keys: &[SealingKey]) -> Option<Sealer> {
        let keys = ready(keys);
        (!keys.is_empty()).then(|| Sealer { keys: RwLock::new(Arc::new(keys)), file: None })
    }

    /// The same, with the file where the keys are from.
    pub(crate) fn of_file(keys: &[SealingKey], file: &Path) -> Option<Sealer> {
        Some(Sealer { file: Some(file.to_owned()), ..Sealer::new(keys)? })
    }

    /// The key that seals.
    pub(crate) fn active(&self) -> KeyId {
        self.keys().first().map_or(KeyId(0), |(id, _)| *id)
    }

    /// Whether a value is sealed under the key that seals.
    pub(crate) fn is_active(&self, sealed: &[u8]) -> bool {
        sealed.first() == Some(&FORMAT) && sealed.get(1..=ID_LEN) == Some(&self.active().0.to_be_bytes())
    }

    /// The file where the keys are from.
    pub(crate) fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// Takes over keys, the first of which seals from now on. Those that it knows still open.
    pub(crate) fn take_over(&self, keys: &[SealingKey]) {
        let mut new = ready(keys);
        self.change(|old| {
            new.extend(old.iter().filter(|(id, _)| keys.iter().all(|key| key.id != *id)).cloned());
            new
        });
    }

    fn keys(&self) -> Arc<Keys> {
        Arc::clone(&self.keys.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn change(&self, change: impl FnOnce(&Keys) -> Keys) {
        let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        *keys = Arc::new(change(&keys));
    }

    fn cipher(&self, id: KeyId) -> Option<Arc<RandomizedNonceKey>> {
        self.keys().iter().find(|(known, _)| *known == id).map(|(_, cipher)| Arc::clone(cipher))
    }

    /// Looks for a key in the file; what seals stays the same.
    fn look_up(&self, id: KeyId) -> Option<Arc<RandomizedNonceKey>> {
        let keys = key_file::read(self.file.as_deref()?).ok()??;
        let found = ready(keys.get(keys.iter().position(|key| key.id == id)?..)?).into_iter().next()?;
        self.change(|old| {
            let mut keys = old.clone();
            if keys.iter().all(|(known, _)| *known != id) {
                keys.push(found.clone());
            }
            keys
        });
        Some(found.1)
    }

    /// Seals a value for a place.
    pub(crate) fn seal(&self, place: Place<'_>, plain: &[u8]) -> Result<Vec<u8>, SealError> {
        let keys = self.keys();
        let (id, cipher) = keys.first().ok_or(SealError::Unsealable)?;
        // Reserved in full: growing would leave a copy of the plain text behind.
        let mut text = Zeroizing::new(Vec::with_capacity(plain.len() + TAG_LEN));
        text.extend_from_slice(plain);
        let nonce =
            cipher.seal_in_place_append_tag(Aad::from(place.associated_data()), &mut *text).map_err(|_| SealError::Unsealable)?;
        let mut sealed = Vec::with_capacity(1 + ID_LEN + NONCE_LEN + text.len());
        sealed.push(FORMAT);
        sealed.extend_from_slice(&id.0.to_be_bytes());
        sealed.extend_from_slice(nonce.as_ref());
        sealed.extend_from_slice(&text);
        Ok(sealed)
    }

    /// Opens what [`Sealer::seal`] made for the same place.
    pub(crate) fn open(&self, place: Place<'_>, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let (format, rest) = sealed.split_first().ok_or(SealError::Format)?;
        let (id, rest) = rest.split_first_chunk::<ID_LEN>().ok_or(SealError::Format)?;
        let (nonce, text) = rest.split_first_chunk::<NONCE_LEN>().ok_or(SealError::Format)?;
        if *format != FORMAT {
            return Err(SealError::Format);
        }
        let id = KeyId(u32::from_be_bytes(*id));
        let cipher = self.cipher(id).or_else(|| self.look_up(id)).ok_or(SealError::UnknownKey(id))?;
        let mut plain = Zeroizing::new(text.to_vec());
        let length = cipher
            .open_in_place(Nonce::from(nonce), Aad::from(place.associated_data()), &mut plain)
            .map_err(|_| SealError::Refused)?
            .len();
        plain.truncate(length);
        Ok(plain)
    }
}

impl std::fmt::Debug for Sealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sealer({} keys)", self.keys().len())
    }
}

fn ready(keys: &[SealingKey]) -> Keys {
    let cipher = |key: &SealingKey| RandomizedNonceKey::new(&AES_256_GCM, key.secret.as_slice()).ok();
    keys.iter().filter_map(|key| Some((key.id, Arc::new(cipher(key)?)))).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PLACE: Place<'_> = Place { table: "versions", column: "sealed_key", row: "7" };

    fn key(id: u32, octet: u8) -> SealingKey {
        SealingKey { id: KeyId(id), secret: Zeroizing::new([octet; 32]) }
    }

    fn sealer() -> Sealer {
        Sealer::new(&[key(1, 1)]).unwrap()
    }

    proptest! {
        #[test]
        fn what_was_sealed_opens(plain in proptest::collection::vec(any::<u8>(), 0..200)) {
            let sealed = sealer().seal(PLACE, &plain).unwrap();
            prop_assert_eq!(&*sealer().open(PLACE, &sealed).unwrap(), &plain);
        }

        #[test]
        fn no_octets_make_the_reader_panic(octets in proptest::collection::vec(any::<u8>(), 0..60)) {
            prop_assert!(sealer().open(PLACE, &octets).is_err());
        }

        #[test]
        fn a_changed_octet_is_refused(at in 0usize..40, bit in 0u8..8) {
            let mut sealed = sealer().seal(PLACE, b"seven").unwrap();
            let at = at % sealed.len();
            sealed[at] ^= 1 << bit;
            prop_assert!(sealer().open(PLACE, &sealed).is_err());
        }
    }

    #[test]
    fn a_moved_value_does_not_open() {
        let sealed = sealer().seal(PLACE, b"key").unwrap();
        for place in [
            Place { row: "8", ..PLACE },
            Place { column: "sealed_auth", ..PLACE },
            Place { table: "issuances", ..PLACE },
            // The same octets in a row, cut elsewhere.
            Place { table: "versions7", row: "", ..PLACE },
        ] {
            assert!(matches!(sealer().open(place, &sealed), Err(SealError::Refused)), "{place:?}");
        }
    }

    #[test]
    fn the_same_value_is_sealed_differently_each_time() {
        assert_ne!(sealer().seal(PLACE, b"key").unwrap(), sealer().seal(PLACE, b"key").unwrap());
    }

    #[test]
    fn older_keys_open_and_the_first_seals() {
        let old = sealer().seal(PLACE, b"old").unwrap();
        let both = Sealer::new(&[key(2, 2), key(1, 1)]).unwrap();
        assert_eq!(&*both.open(PLACE, &old).unwrap(), b"old");
        let new = both.seal(PLACE, b"new").unwrap();
        assert!(matches!(sealer().open(PLACE, &new), Err(SealError::UnknownKey(KeyId(2)))));
    }

    #[test]
    fn an_id_alone_does_not_open() {
        let sealed = sealer().seal(PLACE, b"key").unwrap();
        let other = Sealer::new(&[key(1, 9)]).unwrap();
        assert!(matches!(other.open(PLACE, &sealed), Err(SealError::Refused)));
    }
}
