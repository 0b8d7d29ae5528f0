//! Accounts of names: opened at a name's first use, kept sealed, found again by the name and by where its CNAME leads.
use std::sync::Arc;

use certkeep_core::failure::{Code, Failure};
use certkeep_core::name::DnsName;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Map, Value};

use super::Recipe;
use super::answer::{Answer, Reply, Trouble, as_text};
use super::blank::Blank;
use super::classify::Stage;
use super::template::{self, Scope};
use crate::page::{Call, Enroll};

/// The first label of every challenge's name (RFC 8555 §8.4).
const CHALLENGE: &str = "_acme-challenge.";

/// Why nothing is written where the CNAME leads to somebody else's account.
const UNKNOWN: &str =
    "the challenge's CNAME leads here, and no account of this name is kept: name it by the parameters, or take the CNAME away";

/// What is known of an account: as [`Enroll::new`] kept it.
pub(super) type Account = Map<String, Value>;

impl Recipe {
    /// The scope of a call about a record, with the account of its name where names have accounts.
    pub(super) async fn with_account(&self, scope: Scope, name: &DnsName) -> Result<Scope, Trouble> {
        if self.page.enroll.is_none() {
            return Ok(scope);
        }
        let account = self.account_of(name).await?;
        Ok(scope.with_json("account", &account.unwrap_or_default()))
    }

    /// What must not be told of a call: the recipe's secrets, and those of the account that it is made with.
    pub(super) fn blank_of(&self, scope: &Scope) -> Blank {
        let mut blank = self.blank.clone();
        scope.texts_of("account").iter().filter(|text| text.len() >= 8).for_each(|text| blank.add(text));
        blank
    }

    /// The account of a name to which the CNAME leads that has to be there; `None` where the parameters are the account.
    ///
    /// # Errors
    /// `delegation_missing` where the CNAME is not there yet; the account waits for it from then on.
    async fn account_of(&self, name: &DnsName) -> Result<Option<Account>, Trouble> {
        let Some(enroll) = &self.page.enroll else { return Ok(None) };
        if !self.holds(enroll.when.as_deref(), &self.scope)? {
            return Ok(None);
        }
        // Two issuances of one name must not open two accounts.
        let _turn = self.shared.locks.writer(&self.page.flag, &format!("account of {name}"), true).await;
        let domain = name.as_str().strip_prefix(CHALLENGE);
        let scope = self.scope.clone().with("name", name.as_str()).with("domain", domain.unwrap_or(name.as_str()));
        let account = match (self.kept_account(enroll, name, &scope).await?, domain) {
            (Some(account), _) => account,
            (None, Some(_)) => self.open_account(enroll, name, &scope).await?,
            (None, None) => {
                let failure = self.failure(Stage::Zone, Code::ZoneNotFound).about(name.as_str());
                return Err(Trouble::lasting(failure.fact(UNKNOWN)));
            }
        };
        let target = self.target(enroll, &account)?;
        let leads = target.trim_end_matches('.').eq_ignore_ascii_case(name.as_str());
        // Without a resolver nobody has followed a CNAME, and the name tells nothing of where it leads.
        if leads || self.shared.resolver.is_none() {
            return Ok(Some(account));
        }
        let failure = Failure::new(Code::DelegationMissing, Stage::Zone.doing()).about(name.as_str());
        Err(Trouble::lasting(failure.fact(format!("{name}. CNAME {}.", target.trim_end_matches('.')))))
    }

    /// The account that is kept, here or by whom the parameters name.
    async fn kept_account(&self, enroll: &Enroll, name: &DnsName, scope: &Scope) -> Result<Option<Account>, Trouble> {
        if let Some(known) = self.elsewhere(enroll.known.as_ref())? {
            return self.step(Stage::Find, known, scope).await;
        }
        let kept = self.memory()?.setting(&self.place_of_account(name.as_str())).await.map_err(|error| self.forgetful(&error))?;
        let Some(kept) = kept else { return Ok(None) };
        serde_json::from_str(kept.expose_secret()).map(Some).map_err(|error| self.forgetful(&error))
    }

    async fn open_account(&self, enroll: &Enroll, name: &DnsName, scope: &Scope) -> Result<Account, Trouble> {
        let tell = self.elsewhere(enroll.tell.as_ref())?;
        if tell.is_none() {
            self.memory()?;
        }
        let Reply::Done(answer) = self.call(Stage::Login, &enroll.new, scope).await? else {
            return Err(self.not_there(Stage::Login));
        };
        let account = self.kept(Stage::Login, &enroll.new, &Scope::opened(&answer, scope))?;
        tracing::info!(flag = self.page.flag, %name, "an account was opened for a name");
        if let Some(tell) = tell {
            let scope = scope.clone().with_json("account", &account);
            self.call(Stage::Add, tell, &scope).await?;
            return Ok(account);
        }
        let text = SecretString::from(Value::from(account.clone()).to_string());
        let target = self.target(enroll, &account)?;
        for place in [name.as_str(), target.trim_end_matches('.')] {
            let kept = self.memory()?.set_setting(&self.place_of_account(place), &text).await;
            kept.map_err(|error| self.forgetful(&error))?;
        }
        Ok(account)
    }

    /// The call to whoever keeps accounts in certkeep's place, where the parameters name somebody.
    fn elsewhere<'a>(&self, call: Option<&'a Call>) -> Result<Option<&'a Call>, Trouble> {
        let Some(call) = call else { return Ok(None) };
        Ok(self.holds(call.when.as_deref(), &self.scope)?.then_some(call))
    }

    fn target(&self, enroll: &Enroll, account: &Account) -> Result<String, Trouble> {
        let account = Answer { body: Value::from(account.clone()), reply: Arc::default() };
        let opened = Scope::opened(&account, &self.scope);
        Ok(self.found(Stage::Zone, &enroll.target, &opened)?.map(|target| as_text(&target)).unwrap_or_default())
    }

    fn holds(&self, when: Option<&str>, scope: &Scope) -> Result<bool, Trouble> {
        let holds = when.map_or(Ok(true), |when| template::is_true(when, scope));
        holds.map_err(|error| self.fault(Stage::Zone, &error))
    }

    fn memory(&self) -> Result<&dyn certkeep_core::ports::Settings, Trouble> {
        self.shared.memory.as_deref().ok_or_else(|| {
            let failure = self.failure(Stage::Zone, Code::ProviderParameter);
            Trouble::lasting(failure.fact("nothing is kept here between two calls: the parameters have to name an account"))
        })
    }

    /// Under what key an account is kept: of a server, for a name.
    fn place_of_account(&self, name: &str) -> String {
        format!("dns account {} {} {name}", self.page.flag, self.real.server())
    }

    fn forgetful(&self, error: &dyn std::error::Error) -> Trouble {
        tracing::error!(flag = self.page.flag, error = %error, "an account of a name cannot be kept or read back");
        Trouble::lasting(self.failure(Stage::Zone, Code::Internal).fact("an account of a name cannot be kept or read back"))
    }
}
