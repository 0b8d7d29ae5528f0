//! `certkeep explain`: the catalogue of failures, for people.
use std::fmt::Write;

use certkeep_core::failure::{CATALOGUE, Code, Entry, Fallback, Retry, Turn};
use clap::Args;

use super::CommandError;
use super::ending::print;

#[derive(Args, Debug)]
pub(super) struct Arguments {
    /// Its number or name; all of them if left out
    code: Option<String>,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), CommandError> {
    match &arguments.code {
        None => print(&all()),
        Some(asked) => {
            let numbered = asked.parse().ok().and_then(Code::from_number);
            let code = numbered.or_else(|| Code::from_name(asked));
            print(&one(&code.ok_or_else(|| CommandError::NoFailure(asked.clone()))?.entry()))
        }
    }
}

fn all() -> String {
    CATALOGUE.iter().fold(String::new(), |mut text, (_, entry)| {
        let _ = writeln!(text, "{} {:<27} {}", entry.number, entry.name, entry.what);
        text
    })
}

fn one(entry: &Entry) -> String {
    let turn = match entry.turn {
        Turn::Ca => "the CA's",
        Turn::Certkeep => "certkeep's: this is a fault of ours",
        Turn::Network => "the network's",
        Turn::Provider => "the DNS provider's",
        Turn::User => "yours",
    };
    let again = match entry.retry {
        Retry::Final => "no, not before something was changed",
        Retry::Later => "yes, by itself",
    };
    let elsewhere = match entry.fallback {
        Fallback::NextCa => "yes, at once, where the application names several",
        Fallback::SameCa => "no, it would meet the same",
    };
    let Entry { number, name, what, next, .. } = entry;
    format!(
        "{number} {name}\n\nWhat happened  {what}\nWhose turn     {turn}\nWhat to do     {next}\nTried again    {again}\n\
         At another CA  {elsewhere}\n"
    )
}
