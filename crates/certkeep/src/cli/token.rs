//! `certkeep token`: API tokens for programs. Works before the first start, and beside a service that runs.
use std::fmt::Write;

use certkeep_core::audit::Action;
use certkeep_core::people::{Act, ApiToken, Rights};
use certkeep_core::ports::People;
use certkeep_engine::people::{TokenWish, add_api_token, revoke_api_token};
use clap::Subcommand;
use jiff::{SignedDuration, Timestamp};
use secrecy::ExposeSecret;
use serde::Serialize;

use super::client::object;
use super::ending::print;
use super::user::RoleArgument;
use super::visit::{audited, runtime, with_store};
use super::{CommandError, Place};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Make a token and print it, this once
    Add {
        /// What people call it
        name: String,
        /// What it may do at most
        #[arg(long, value_enum)]
        role: RoleArgument,
        /// The only thing it may do of that, more than once if need be; all if left out
        #[arg(long = "scope", value_name = "ACT", value_parser = act)]
        scopes: Vec<Act>,
        /// How long it is accepted, as 12h, 90d or 52w; until it is revoked if left out
        #[arg(long, value_name = "TIME", value_parser = life)]
        expires: Option<SignedDuration>,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// List all tokens
    List {
        /// Print one JSON array
        #[arg(long)]
        json: bool,
    },
    /// Revoke a token; it is dead at once
    Revoke {
        /// What people call it
        name: String,
    },
}

#[derive(Serialize)]
struct Made<'a> {
    name: &'a str,
    token: &'a str,
    expires: Option<Timestamp>,
}

/// A token as it is listed.
#[derive(Serialize)]
struct Listed<'a> {
    name: &'a str,
    role: &'static str,
    scopes: Option<Vec<&'static str>>,
    expires: Option<Timestamp>,
    owner: Option<&'a str>,
    created: Timestamp,
    last_used: Option<Timestamp>,
}

impl<'a> From<&'a ApiToken> for Listed<'a> {
    fn from(token: &'a ApiToken) -> Self {
        Listed {
            name: &token.name,
            role: token.rights.role.as_str(),
            scopes: token.rights.scopes.as_ref().map(|acts| acts.iter().map(|act| act.as_str()).collect()),
            expires: token.expires,
            owner: token.owner.as_ref().map(|owner| owner.name.as_str()),
            created: token.created,
            last_used: token.last_used,
        }
    }
}

pub(super) fn run(place: &Place, command: Command) -> Result<(), CommandError> {
    let location = place.config()?.location(&place.data)?;
    let runtime = runtime()?;
    runtime.block_on(async {
        match command {
            Command::Add { name, role, scopes, expires, json } => {
                let scopes = (!scopes.is_empty()).then(|| scopes.into_iter().collect());
                let rights = Rights { role: role.into(), scopes };
                with_store(&location, async |store| {
                    let now = store.clock().now();
                    let end = |life| now.saturating_add(life).and_then(|end| Timestamp::from_second(end.as_second()));
                    let expires = expires.map(|life| end(life).unwrap_or(Timestamp::MAX));
                    let wish = TokenWish { name, rights, expires };
                    let adding = async { Ok(add_api_token(store, now, &wish, None).await?) };
                    let made = audited(store, Action::TokenAdd, &wish.name, adding).await?;
                    let token = made.token.expose_secret();
                    print(&match json {
                        true => object(&Made { name: &wish.name, token, expires }),
                        false => format!("{token}\n\ncertkeep keeps no copy of the token: write it down now.\n"),
                    })
                })
                .await
            }
            Command::List { json } => {
                let tokens = with_store(&location, async |store| Ok(store.api_tokens().await?)).await?;
                print(&list(&tokens, json))
            }
            Command::Revoke { name } => {
                with_store(&location, async |store| {
                    let revoking = async { Ok(revoke_api_token(store, &name).await?) };
                    audited(store, Action::TokenRevoke, &name, revoking).await
                })
                .await
            }
        }
    })
}

fn act(word: &str) -> Result<Act, String> {
    let known = || Act::ALL.map(Act::as_str).join(", ");
    Act::parse(word).ok_or_else(|| format!("one of {}", known()))
}

/// A number of hours, days or weeks.
fn life(text: &str) -> Result<SignedDuration, String> {
    let wrong = || "a number of hours, days or weeks as 12h, 90d or 52w".to_owned();
    let unit = text.chars().last().ok_or_else(wrong)?;
    let hours: i64 = match unit {
        'h' => 1,
        'd' => 24,
        'w' => 24 * 7,
        _ => return Err(wrong()),
    };
    let count: i64 = text.strip_suffix(unit).and_then(|count| count.parse().ok()).filter(|count| *count > 0).ok_or_else(wrong)?;
    let hours = count.checked_mul(hours).filter(|hours| *hours <= 24 * 366 * 100).ok_or_else(wrong)?;
    Ok(SignedDuration::from_hours(hours))
}

fn list(tokens: &[ApiToken], json: bool) -> String {
    let listed = tokens.iter().map(Listed::from);
    if json {
        return object(&listed.collect::<Vec<_>>());
    }
    let width = tokens.iter().map(|token| token.name.chars().count()).max().unwrap_or(0);
    listed.fold(String::new(), |mut text, token| {
        let ends = token.expires.map_or_else(|| "no end".to_owned(), |at| format!("until {at:.0}"));
        let used = token.last_used.map_or_else(|| "never used".to_owned(), |at| format!("used {at:.0}"));
        let scopes = token.scopes.map(|acts| format!("  only {}", acts.join(" "))).unwrap_or_default();
        let owner = token.owner.map(|name| format!("  of {name}")).unwrap_or_default();
        let _ = writeln!(text, "{:<width$}  {:<8}  {ends}  {used}{owner}{scopes}", token.name, token.role);
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_life_is_hours_days_or_weeks() {
        for (text, hours) in [("12h", 12), ("90d", 2160), ("1w", 168)] {
            assert_eq!(life(text), Ok(SignedDuration::from_hours(hours)));
        }
        for text in ["", "d", "90", "-1d", "0h", "1.5d", "99999999999999999w", "5€"] {
            life(text).unwrap_err();
        }
    }
}
