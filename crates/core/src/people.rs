//! Who works with certkeep itself: users, API tokens, browser sessions, and what each of them may do.
pub mod password;
pub mod totp;

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

/// How long a browser session may rest.
pub const SESSION_IDLE: SignedDuration = SignedDuration::from_hours(12);
/// How long a browser session lasts at most.
pub const SESSION_LIFE: SignedDuration = SignedDuration::from_hours(7 * 24);
/// Longest name of a user or token, in characters.
const MAX_NAME: usize = 100;

/// The number of a user in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct UserId(pub i64);

/// The number of an API token in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TokenId(pub i64);

/// Something that may be allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Act {
    /// Apply for, upload, change, renew and delete server certificates, and choose the one that certkeep serves.
    ChangeCertificates,
    /// Change what the operator decides.
    ChangeSettings,
    /// Add and remove trusted CAs.
    ChangeTrusted,
    /// Read private keys.
    ExportKeys,
    /// Back up, and change the keys of certkeep and of its accounts.
    Maintain,
    /// Make API tokens, with no more rights than one's own.
    MakeTokens,
    /// Add, change and remove clients of the appliance's API.
    ManageClients,
    /// Add, change and remove users, and everybody's API tokens.
    ManageUsers,
    /// Read who did what.
    ReadAudit,
    /// Read certificates, applications and what became of them, without any secret or key.
    ReadInventory,
    /// Revoke certificates at their CA.
    Revoke,
}

impl Act {
    /// All of them.
    pub const ALL: [Act; 11] = [
        Act::ChangeCertificates,
        Act::ChangeSettings,
        Act::ChangeTrusted,
        Act::ExportKeys,
        Act::Maintain,
        Act::MakeTokens,
        Act::ManageClients,
        Act::ManageUsers,
        Act::ReadAudit,
        Act::ReadInventory,
        Act::Revoke,
    ];

    /// Its word, as a token's scope.
    pub const fn as_str(self) -> &'static str {
        match self {
            Act::ChangeCertificates => "change-certificates",
            Act::ChangeSettings => "change-settings",
            Act::ChangeTrusted => "change-trusted",
            Act::ExportKeys => "export-keys",
            Act::Maintain => "maintain",
            Act::MakeTokens => "make-tokens",
            Act::ManageClients => "manage-clients",
            Act::ManageUsers => "manage-users",
            Act::ReadAudit => "read-audit",
            Act::ReadInventory => "read-inventory",
            Act::Revoke => "revoke",
        }
    }

    /// The one with this word.
    pub fn parse(word: &str) -> Option<Act> {
        Act::ALL.into_iter().find(|act| act.as_str() == word)
    }
}

/// What a user or token may do; each role may what the one before it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Looks, and never sees a secret or a key.
    Viewer,
    /// Takes care of certificates.
    Operator,
    /// Everything.
    Admin,
}

impl Role {
    /// All of them, from the least to the most.
    pub const ALL: [Role; 3] = [Role::Viewer, Role::Operator, Role::Admin];

    /// Its word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Role::Viewer => "viewer",
            Role::Operator => "operator",
            Role::Admin => "admin",
        }
    }

    /// The one with this word.
    pub fn parse(word: &str) -> Option<Role> {
        Role::ALL.into_iter().find(|role| role.as_str() == word)
    }

    /// Whether it may do this.
    pub fn may(self, act: Act) -> bool {
        self >= Role::least(act)
    }

    /// The least role that may do this.
    const fn least(act: Act) -> Role {
        match act {
            Act::MakeTokens | Act::ReadInventory => Role::Viewer,
            Act::ChangeCertificates | Act::ChangeTrusted | Act::ExportKeys | Act::Revoke => Role::Operator,
            Act::ChangeSettings | Act::Maintain | Act::ManageClients | Act::ManageUsers | Act::ReadAudit => Role::Admin,
        }
    }
}

/// A role, perhaps narrowed to some of its acts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rights {
    /// The role.
    pub role: Role,
    /// The only acts that are left of it; all if absent.
    pub scopes: Option<BTreeSet<Act>>,
}

impl Rights {
    /// All that a role may do.
    pub const fn of(role: Role) -> Rights {
        Rights { role, scopes: None }
    }

    /// Whether they cover this.
    pub fn may(&self, act: Act) -> bool {
        self.role.may(act) && self.scopes.as_ref().is_none_or(|scopes| scopes.contains(&act))
    }

    /// Whether they cover all that `other` does.
    pub fn cover(&self, other: &Rights) -> bool {
        self.role >= other.role && Act::ALL.into_iter().all(|act| self.may(act) || !other.may(act))
    }

    /// What is left of them for somebody whose role is this one.
    #[must_use]
    pub fn at_most(self, role: Role) -> Rights {
        Rights { role: self.role.min(role), ..self }
    }
}

/// Somebody who works with certkeep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Its number in the store.
    pub id: UserId,
    /// What it logs in by, unique.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// Whether it is asked for a one-time password.
    pub has_totp: bool,
    /// Whether it is locked out.
    pub disabled: bool,
    /// When it was added.
    pub created: Timestamp,
    /// When it last logged in.
    pub last_login: Option<Timestamp>,
}

/// A bearer token for programs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiToken {
    /// Its number in the store.
    pub id: TokenId,
    /// What people call it, unique.
    pub name: String,
    /// What it may do, at most.
    pub rights: Rights,
    /// When it ends, if ever.
    pub expires: Option<Timestamp>,
    /// The user that made it, without whom it is nothing; absent for one that was made on the command line.
    pub owner: Option<User>,
    /// When it was made.
    pub created: Timestamp,
    /// When it was last seen, to the hour.
    pub last_used: Option<Timestamp>,
}

impl ApiToken {
    /// Whether it is accepted at `now`.
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.expires.is_none_or(|expires| now < expires) && self.owner.as_ref().is_none_or(|owner| !owner.disabled)
    }

    /// What it may do, which is never more than its owner.
    pub fn effective_rights(&self) -> Rights {
        match &self.owner {
            Some(owner) => self.rights.clone().at_most(owner.role),
            None => self.rights.clone(),
        }
    }
}

/// A browser that somebody has logged in with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrowserSession {
    /// Who.
    pub user: User,
    /// When.
    pub opened: Timestamp,
    /// When it was last seen, to some minutes.
    pub last_seen: Timestamp,
}

impl BrowserSession {
    /// Whether it is accepted at `now`.
    pub fn is_live(&self, now: Timestamp) -> bool {
        let rested = now.duration_since(self.last_seen);
        let lasted = now.duration_since(self.opened);
        !self.user.disabled && rested < SESSION_IDLE && lasted < SESSION_LIFE
    }
}

/// Whether a list can show this name of a user or token, and nobody takes it for another.
pub fn is_proper_name(name: &str) -> bool {
    (1..=MAX_NAME).contains(&name.chars().count()) && name.trim() == name && !name.contains(char::is_control)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What each role may do, written out so that a change of the rule is seen.
    #[test]
    fn each_role_may_what_it_is_for() {
        let may = |role: Role| Act::ALL.into_iter().filter(|act| role.may(*act)).map(Act::as_str).collect::<Vec<_>>();
        assert_eq!(may(Role::Viewer), ["make-tokens", "read-inventory"]);
        let operator = ["change-certificates", "change-trusted", "export-keys", "make-tokens", "read-inventory", "revoke"];
        assert_eq!(may(Role::Operator), operator);
        assert_eq!(may(Role::Admin).len(), Act::ALL.len());
    }

    #[test]
    fn words_are_read_back() {
        assert!(Act::ALL.into_iter().all(|act| Act::parse(act.as_str()) == Some(act)));
        assert!(Role::ALL.into_iter().all(|role| Role::parse(role.as_str()) == Some(role)));
        assert_eq!((Act::parse("everything"), Role::parse("root")), (None, None));
    }

    #[test]
    fn a_name_can_be_shown() {
        assert!(is_proper_name("Anna Süd"));
        for name in ["", " anna", "anna ", "a\nb", &"x".repeat(101)] {
            assert!(!is_proper_name(name), "{name:?}");
        }
    }

    fn user(role: Role, disabled: bool) -> User {
        let created = Timestamp::UNIX_EPOCH;
        User { id: UserId(1), name: "anna".into(), role, has_totp: false, disabled, created, last_login: None }
    }

    fn token(rights: Rights, owner: Option<User>, expires: Option<Timestamp>) -> ApiToken {
        let created = Timestamp::UNIX_EPOCH;
        ApiToken { id: TokenId(1), name: "ci".into(), rights, expires, owner, created, last_used: None }
    }

    #[test]
    fn a_token_is_never_more_than_its_owner() {
        let of = |owner| token(Rights::of(Role::Operator), owner, None);
        assert!(of(None).effective_rights().may(Act::Revoke));
        assert!(of(Some(user(Role::Admin, false))).effective_rights().may(Act::Revoke));
        assert!(!of(Some(user(Role::Admin, false))).effective_rights().may(Act::ManageUsers));
        assert!(!of(Some(user(Role::Viewer, false))).effective_rights().may(Act::Revoke));
        assert!(!of(Some(user(Role::Admin, true))).is_live(Timestamp::UNIX_EPOCH));
    }

    #[test]
    fn a_token_ends_at_its_instant() {
        let end = Timestamp::from_second(100).unwrap();
        let token = token(Rights::of(Role::Viewer), None, Some(end));
        assert!(token.is_live(Timestamp::from_second(99).unwrap()));
        assert!(!token.is_live(end));
    }

    #[test]
    fn a_session_ends_when_it_rests_or_lasts_too_long() {
        let at = |hours: i64| Timestamp::UNIX_EPOCH + SignedDuration::from_hours(hours);
        let session = |last_seen, disabled| BrowserSession { user: user(Role::Admin, disabled), opened: at(0), last_seen };
        assert!(session(at(0), false).is_live(at(11)));
        assert!(!session(at(0), true).is_live(at(0)));
        assert!(!session(at(0), false).is_live(at(12)));
        assert!(session(at(160), false).is_live(at(167)));
        assert!(!session(at(160), false).is_live(at(168)));
    }

    fn rights() -> impl Strategy<Value = Rights> {
        let scopes = proptest::option::of(proptest::collection::btree_set(proptest::sample::select(Act::ALL.to_vec()), 0..11));
        (proptest::sample::select(Role::ALL.to_vec()), scopes).prop_map(|(role, scopes)| Rights { role, scopes })
    }

    proptest! {
        #[test]
        fn what_is_covered_may_nothing_more(one in rights(), other in rights()) {
            if one.cover(&other) {
                prop_assert!(Act::ALL.into_iter().all(|act| one.may(act) || !other.may(act)));
            }
            prop_assert!(one.cover(&one));
        }

        #[test]
        fn narrowing_gives_nothing(rights in rights(), role in proptest::sample::select(Role::ALL.to_vec())) {
            let narrowed = rights.clone().at_most(role);
            prop_assert!(Act::ALL.into_iter().all(|act| !narrowed.may(act) || (rights.may(act) && role.may(act))));
        }
    }
}
