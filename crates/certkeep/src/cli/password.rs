//! Where passwords come from: a file, a pipe, or somebody who types one unseen. Never an argument, which everybody on the
//! machine can see.
use std::fs::File;
use std::io::{self, BufRead, BufReader, IsTerminal, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use super::CommandError;

#[derive(Args, Debug)]
pub(super) struct PasswordFrom {
    /// The file with the password, in its first line; without it the password is asked for, or read from stdin
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
}

impl PasswordFrom {
    /// A new password; who types it types it twice.
    pub(super) fn read(&self) -> Result<SecretString, CommandError> {
        if let Some(path) = &self.password_file {
            let unreadable = |source| CommandError::Unreadable { path: path.clone(), source };
            let line = first_line(&mut BufReader::new(File::open(path).map_err(unreadable)?)).map_err(unreadable)?;
            return line.ok_or_else(|| CommandError::NoPassphrase(path.clone()));
        }
        if !io::stdin().is_terminal() {
            let line = first_line(&mut io::stdin().lock()).map_err(CommandError::Unasked)?;
            return line.ok_or_else(|| CommandError::NoPassphrase(Path::new("stdin").to_owned()));
        }
        let once = asked("Password: ").map_err(CommandError::Unasked)?;
        let again = asked("The same again: ").map_err(CommandError::Unasked)?;
        if once.expose_secret() == again.expose_secret() {
            Ok(once)
        } else {
            Err(CommandError::Unasked(io::Error::other("both were different")))
        }
    }
}

/// The first line without its end; `None` for one that is empty.
fn first_line(from: &mut impl BufRead) -> io::Result<Option<SecretString>> {
    let mut line = Zeroizing::new(String::new());
    from.read_line(&mut line)?;
    let line = line.trim_end_matches(['\r', '\n']);
    Ok((!line.is_empty()).then(|| SecretString::from(line)))
}

/// Asks at the terminal, which does not show what is typed meanwhile.
fn asked(question: &str) -> io::Result<SecretString> {
    let stdin = io::stdin();
    write!(io::stderr(), "{question}")?;
    let shown = tcgetattr(&stdin)?;
    let mut unseen = shown.clone();
    unseen.local_modes.remove(LocalModes::ECHO);
    tcsetattr(&stdin, OptionalActions::Flush, &unseen)?;
    let line = first_line(&mut stdin.lock());
    tcsetattr(&stdin, OptionalActions::Flush, &shown)?;
    writeln!(io::stderr())?;
    Ok(line?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_the_first_line_without_its_end() {
        let read = |text: &str| first_line(&mut text.as_bytes()).unwrap().map(|line| line.expose_secret().to_owned());
        assert_eq!(read(" two words \r\nmore"), Some(" two words ".to_owned()));
        assert_eq!(read("no end"), Some("no end".to_owned()));
        assert_eq!((read(""), read("\nmore")), (None, None));
    }
}
