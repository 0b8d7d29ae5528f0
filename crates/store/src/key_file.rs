//! The key file: one `id:key` a line, the id in eight hexadecimal digits, the key in base64. The first key seals, all
//! of them open. Empty lines and lines that start with `#` are skipped.
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::seal::{KeyId, SealingKey};

/// Why there are no keys.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeyFileError {
    /// It cannot be read or written.
    #[error("the key file cannot be read or written")]
    Io(#[from] io::Error),
    /// The line, from 1, is no key; 0 where there is none at all.
    #[error("line {0} of the key file is no key")]
    Line(usize),
}

/// The keys of a file, or `None` where there is no such file.
pub(crate) fn read(path: &Path) -> Result<Option<Vec<SealingKey>>, KeyFileError> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(e.into()),
    };
    if file.metadata()?.permissions().mode() & 0o077 != 0 {
        tracing::warn!(key_file = %path.display(), "others can read the sealing keys: chmod 600 the file");
    }
    let mut text = Zeroizing::new(String::new());
    file.read_to_string(&mut text)?;
    parse(&text).map(Some)
}

fn parse(text: &str) -> Result<Vec<SealingKey>, KeyFileError> {
    let mut keys: Vec<SealingKey> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let key = parse_line(line).filter(|key| keys.iter().all(|other| other.id != key.id));
        keys.push(key.ok_or(KeyFileError::Line(index + 1))?);
    }
    if keys.is_empty() { Err(KeyFileError::Line(0)) } else { Ok(keys) }
}

fn parse_line(line: &str) -> Option<SealingKey> {
    let (id, key) = line.split_once(':')?;
    let id = Some(id).filter(|id| id.len() == 8 && id.bytes().all(|b| b.is_ascii_hexdigit()))?;
    let id = KeyId(u32::from_str_radix(id, 16).ok()?);
    let octets = Zeroizing::new(STANDARD.decode(key.trim()).ok()?);
    let mut secret = Zeroizing::new([0; 32]);
    if octets.len() != secret.len() {
        return None;
    }
    secret.copy_from_slice(&octets);
    Some(SealingKey { id, secret })
}

/// A key that nobody has had before.
pub(crate) fn draw() -> io::Result<SealingKey> {
    let mut id = [0; 4];
    let mut secret = Zeroizing::new([0; 32]);
    for octets in [id.as_mut_slice(), secret.as_mut_slice()] {
        aws_lc_rs::rand::fill(octets).map_err(|_| io::Error::other("the machine gives no randomness"))?;
    }
    Ok(SealingKey { id: KeyId(u32::from_be_bytes(id)), secret })
}

/// What stands in a file with these keys.
pub(crate) fn text(keys: &[SealingKey]) -> Zeroizing<String> {
    let remark = "# certkeep's sealing keys: without this file the secrets in the data folder are lost. Keep a copy elsewhere.\n";
    // Reserved in full: growing would leave a copy of the keys behind.
    let mut text = Zeroizing::new(String::with_capacity(remark.len() + keys.len() * 64));
    text.push_str(remark);
    for key in keys {
        let secret = Zeroizing::new(STANDARD.encode(key.secret.as_slice()));
        for part in [key.id.to_string().as_str(), ":", secret.as_str(), "\n"] {
            text.push_str(part);
        }
    }
    text
}

/// Makes a file with one new key, readable by its owner only. A file that appears meanwhile is left alone and read.
pub(crate) fn make(path: &Path) -> Result<Vec<SealingKey>, KeyFileError> {
    match make_with(path, &[draw()?]) {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(e.into()),
        _ => {}
    }
    read(path)?.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound).into())
}

/// Makes a file with these keys, readable by its owner only, where there is none.
pub(crate) fn make_with(path: &Path, keys: &[SealingKey]) -> io::Result<()> {
    let id = keys.first().map(|key| key.id.to_string()).unwrap_or_default();
    let draft = draft_beside(path, &id);
    let written = write_draft(&draft, &text(keys)).and_then(|_| {
        // A link never replaces what is there, which a rename would.
        fs::hard_link(&draft, path)
    });
    let removed = fs::remove_file(&draft);
    written?;
    removed?;
    sync_folder_of(path)
}

/// Puts a file with these keys in the place of the one that is there, and lets it belong to whom that one belongs: who
/// rotates keys need not be who serves. One at a time may do it.
pub(crate) fn replace(path: &Path, keys: &[SealingKey]) -> io::Result<()> {
    // Where a link leads to: the link itself stays.
    let path = fs::canonicalize(path)?;
    let owner = fs::metadata(&path)?;
    let draft = draft_beside(&path, "rotated");
    match fs::remove_file(&draft) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        // One that was broken off.
        _ => {}
    }
    let written = write_draft(&draft, &text(keys)).and_then(|file| {
        let made = file.metadata()?;
        if (made.uid(), made.gid()) != (owner.uid(), owner.gid()) {
            fchown(&file, Some(owner.uid()), Some(owner.gid()))?;
        }
        fs::rename(&draft, &path)
    });
    if written.is_err() {
        // The first error tells more than a second one.
        let _ = fs::remove_file(&draft);
    }
    written?;
    sync_folder_of(&path)
}

fn draft_beside(path: &Path, id: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{id}.new"));
    path.with_file_name(name)
}

fn write_draft(draft: &Path, text: &str) -> io::Result<File> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(draft)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    Ok(file)
}

/// Makes a new name durable.
pub(crate) fn sync_folder_of(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(text in "\\PC{0,80}") {
            let _ = parse(&text);
        }
    }

    #[test]
    fn what_was_made_is_read_back_and_is_private() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sealing.key");
        assert!(read(&path).unwrap().is_none());
        let made = make(&path).unwrap();
        let read = read(&path).unwrap().unwrap();
        assert_eq!(made.len(), 1);
        assert_eq!((made[0].id, &*made[0].secret), (read[0].id, &*read[0].secret));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "the draft is gone");
    }

    #[test]
    fn a_replaced_file_stays_private_and_where_its_link_leads() {
        let folder = tempfile::tempdir().unwrap();
        let (path, link) = (folder.path().join("real.key"), folder.path().join("sealing.key"));
        let old = make(&path).unwrap().remove(0);
        std::os::unix::fs::symlink(&path, &link).unwrap();
        fs::write(folder.path().join("real.key.rotated.new"), "broken off").unwrap();
        let (new, id) = (draw().unwrap(), old.id);
        let keys = [new, old];
        replace(&link, &keys).unwrap();
        let read = read(&path).unwrap().unwrap();
        assert_eq!(read.iter().map(|key| key.id).collect::<Vec<_>>(), [keys[0].id, id]);
        assert!(read.iter().zip(&keys).all(|(read, written)| *read.secret == *written.secret));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "no draft is left");
    }

    #[test]
    fn two_makers_get_the_same_key() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sealing.key");
        let start = Barrier::new(8);
        let ids = std::thread::scope(|scope| {
            let makers: Vec<_> = (0..8)
                .map(|_| {
                    scope.spawn(|| {
                        start.wait();
                        make(&path).unwrap()[0].id
                    })
                })
                .collect();
            makers.into_iter().map(|maker| maker.join().unwrap()).collect::<Vec<_>>()
        });
        assert!(ids.iter().all(|id| *id == ids[0]));
    }

    #[test]
    fn what_is_no_key_is_named_by_its_line() {
        let key = STANDARD.encode([7; 32]);
        let cases = [
            (String::new(), 0),
            ("# only a remark\n".to_owned(), 0),
            (format!("# first\n\n0000000g:{key}"), 3),
            (format!("00000001:{key}\n00000001:{key}"), 2),
            (format!("00000001:{}", STANDARD.encode([7; 31])), 1),
            (format!("1:{key}"), 1),
            (key.clone(), 1),
        ];
        for (text, line) in cases {
            assert!(matches!(parse(&text), Err(KeyFileError::Line(at)) if at == line), "{text:?}");
        }
        let two = parse(&format!("0000000a:{key}\n00000001:{key}")).unwrap();
        assert_eq!(two.iter().map(|key| key.id.0).collect::<Vec<_>>(), [10, 1]);
    }
}
