//! How a backup is written down: a head, then pieces of 64 KiB, each sealed with AES-256-GCM under a key that scrypt makes
//! of the passphrase.
//!
//! The head is `certkeep backup⏎ | 1 | log₂ N | salt (16)` and is authenticated with each piece. The key is used for this file
//! alone, because of the salt; hence the nonces may count: `number (8, big-endian) | 0 0 0 | 1 for the last piece`. So no
//! piece can be changed, moved, left out or cut off unnoticed.
use std::io::{self, Read, Write};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

const MAGIC: &[u8; 16] = b"certkeep backup\n";
const FORMAT: u8 = 1;
const SALT_LEN: usize = 16;
pub(super) const HEAD_LEN: usize = MAGIC.len() + 2 + SALT_LEN;
const PIECE: usize = 64 * 1024;
const TAG_LEN: usize = 16;
/// scrypt's cost, as a power of two: 128 MiB of memory for each guess.
const COST: u8 = 17;
/// The highest cost that is read: what somebody else wrote must not exhaust the machine.
const HIGHEST_COST: u8 = 20;

/// Why a backup was not written or read.
#[derive(Debug, thiserror::Error)]
pub(super) enum SealedError {
    /// A piece was changed or is missing.
    #[error("a piece is damaged or missing")]
    Damaged,
    /// The file cannot be read or written.
    #[error("it cannot be read or written")]
    Io(#[from] io::Error),
    /// This is something else.
    #[error("it is no backup")]
    NoBackup,
    /// The first piece does not open.
    #[error("the passphrase is another one")]
    Passphrase,
}

/// The key of one file.
pub(super) struct FileKey {
    head: [u8; HEAD_LEN],
    key: LessSafeKey,
}

impl FileKey {
    /// A key for a new file.
    pub(super) fn make(passphrase: &SecretString) -> Result<FileKey, SealedError> {
        FileKey::make_at(COST, passphrase)
    }

    fn make_at(cost: u8, passphrase: &SecretString) -> Result<FileKey, SealedError> {
        let mut salt = [0; SALT_LEN];
        aws_lc_rs::rand::fill(&mut salt).map_err(|_| io::Error::other("the machine gives no randomness"))?;
        let mut head = [0; HEAD_LEN];
        for (octet, from) in head.iter_mut().zip(MAGIC.iter().chain(&[FORMAT, cost]).chain(&salt)) {
            *octet = *from;
        }
        FileKey::of(head, cost, &salt, passphrase)
    }

    /// The key of a file that is there, whose head is read.
    pub(super) fn read(from: &mut impl Read, passphrase: &SecretString) -> Result<FileKey, SealedError> {
        let mut head = [0; HEAD_LEN];
        from.read_exact(&mut head).map_err(|e| match e.kind() {
            io::ErrorKind::UnexpectedEof => SealedError::NoBackup,
            _ => e.into(),
        })?;
        let (magic, rest) = head.split_at(MAGIC.len());
        let [format, cost, salt @ ..] = rest else { return Err(SealedError::NoBackup) };
        if magic != MAGIC || *format != FORMAT || *cost > HIGHEST_COST {
            return Err(SealedError::NoBackup);
        }
        FileKey::of(head, *cost, salt, passphrase)
    }

    fn of(head: [u8; HEAD_LEN], cost: u8, salt: &[u8], passphrase: &SecretString) -> Result<FileKey, SealedError> {
        let params = scrypt::Params::new(cost, 8, 1).map_err(|_| SealedError::NoBackup)?;
        let mut octets = Zeroizing::new([0; 32]);
        scrypt::scrypt(passphrase.expose_secret().as_bytes(), salt, &params, octets.as_mut_slice())
            .map_err(|_| SealedError::NoBackup)?;
        let key = UnboundKey::new(&AES_256_GCM, octets.as_slice()).map_err(|_| SealedError::NoBackup)?;
        Ok(FileKey { head, key: LessSafeKey::new(key) })
    }

    /// Writes the head and everything that is read.
    pub(super) fn seal(&self, from: &mut impl Read, to: &mut impl Write) -> Result<(), SealedError> {
        to.write_all(&self.head)?;
        let mut piece = next(from, PIECE)?;
        for number in 0u64.. {
            let following = next(from, PIECE)?;
            let is_last = following.is_empty();
            self.key
                .seal_in_place_append_tag(nonce(number, is_last), Aad::from(self.head), &mut *piece)
                .map_err(|_| io::Error::other("a piece cannot be sealed"))?;
            to.write_all(&piece)?;
            if is_last {
                break;
            }
            piece = following;
        }
        Ok(())
    }

    /// Writes what was sealed, from behind the head.
    pub(super) fn open(&self, from: &mut impl Read, to: &mut impl Write) -> Result<(), SealedError> {
        let mut piece = next(from, PIECE + TAG_LEN)?;
        for number in 0u64.. {
            let following = next(from, PIECE + TAG_LEN)?;
            let is_last = following.is_empty();
            let opened = self.key.open_in_place(nonce(number, is_last), Aad::from(self.head), &mut piece);
            // What is damaged in its first piece cannot be told from a wrong passphrase.
            let plain = opened.map_err(|_| if number == 0 { SealedError::Passphrase } else { SealedError::Damaged })?;
            to.write_all(plain)?;
            if is_last {
                break;
            }
            piece = following;
        }
        Ok(())
    }
}

fn nonce(number: u64, is_last: bool) -> Nonce {
    let mut octets = [0; 12];
    let ends = [0, 0, 0, u8::from(is_last)];
    for (octet, from) in octets.iter_mut().zip(number.to_be_bytes().into_iter().chain(ends)) {
        *octet = from;
    }
    Nonce::assume_unique_for_key(octets)
}

/// As much as there is, up to `length`.
fn next(from: &mut impl Read, length: usize) -> io::Result<Zeroizing<Vec<u8>>> {
    // Reserved in full, with the tag: growing would leave a copy behind.
    let mut piece = Zeroizing::new(Vec::with_capacity(length + TAG_LEN));
    from.take(length as u64).read_to_end(&mut piece)?;
    Ok(piece)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealed(plain: &[u8]) -> Vec<u8> {
        let mut file = Vec::new();
        FileKey::make_at(4, &"right".into()).unwrap().seal(&mut &*plain, &mut file).unwrap();
        file
    }

    fn opened(file: &[u8], passphrase: &str) -> Result<Vec<u8>, SealedError> {
        let (mut from, mut plain) = (file, Vec::new());
        FileKey::read(&mut from, &passphrase.into())?.open(&mut from, &mut plain)?;
        Ok(plain)
    }

    #[test]
    fn what_was_sealed_opens_whatever_its_length() {
        for length in [0, 1, PIECE - 1, PIECE, PIECE + 1, 2 * PIECE] {
            let plain: Vec<u8> = (0..length).map(|n| (n % 251) as u8).collect();
            assert!(opened(&sealed(&plain), "right").unwrap() == plain, "{length}");
        }
    }

    #[test]
    fn whatever_was_changed_is_refused() {
        let file = sealed(&vec![7; 2 * PIECE + 5]);
        assert!(matches!(opened(&file, "wrong"), Err(SealedError::Passphrase)));
        let piece = PIECE + TAG_LEN;
        let cut = [HEAD_LEN, HEAD_LEN + piece, HEAD_LEN + 2 * piece, file.len() - 1];
        for length in cut {
            assert!(opened(&file[..length], "right").is_err(), "{length}");
        }
        let swapped =
            [&file[..HEAD_LEN], &file[HEAD_LEN + piece..HEAD_LEN + 2 * piece], &file[HEAD_LEN..HEAD_LEN + piece]].concat();
        assert!(opened(&[&swapped, &file[HEAD_LEN + 2 * piece..]].concat(), "right").is_err());
        for at in [17 + 1, HEAD_LEN + 3, HEAD_LEN + piece, file.len() - 1] {
            let mut changed = file.clone();
            changed[at] ^= 1;
            assert!(opened(&changed, "right").is_err(), "{at}");
        }
        let longer = [&file[..], b"x"].concat();
        assert!(matches!(opened(&longer, "right"), Err(SealedError::Damaged)));
        assert!(matches!(opened(b"no backup at all, but long enough for a head", "right"), Err(SealedError::NoBackup)));
    }
}
