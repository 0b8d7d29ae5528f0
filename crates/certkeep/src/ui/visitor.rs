//! Who visits: the browser session in the cookie.
use std::sync::Arc;

use axum::response::Response;
use certkeep_core::people::{Act, User};
use certkeep_engine::Engine;
use certkeep_engine::acting::Acting;
use certkeep_engine::people::{Identity, Who, csrf_token, is_csrf_token};
use http::header::{COOKIE, SET_COOKIE};
use http::{HeaderMap, HeaderValue};
use secrecy::{ExposeSecret, SecretString};

use super::visit::Visit;

/// The cookie over HTTPS. Browsers take one of this prefix only with `Secure`, for the whole host, from the host itself.
const SECURE: &str = "__Host-certkeep";
/// The cookie over plain HTTP, where browsers take no other.
const PLAIN: &str = "certkeep";

/// Somebody who is logged in.
pub(super) struct Visitor {
    /// Who.
    pub(super) user: User,
    /// For the forms of this session.
    pub(super) csrf: String,
    session: SecretString,
    identity: Arc<Identity>,
}

impl Visitor {
    /// Whoever the cookie belongs to, if its session is alive.
    pub(super) async fn of(engine: &Engine, secure: bool, headers: &HeaderMap) -> Option<Visitor> {
        let session = cookie(headers, if secure { SECURE } else { PLAIN })?;
        let identity = engine.browser(session.expose_secret()).await.ok()?;
        let Who::User(user) = &identity.who else { return None };
        let (user, csrf) = (user.clone(), csrf_token(session.expose_secret()).expose_secret().to_owned());
        Some(Visitor { user, csrf, session, identity })
    }

    /// Whether they may do this.
    pub(super) fn may(&self, act: Act) -> bool {
        self.identity.may(act)
    }

    /// The text that tells their role.
    pub(super) fn role_key(&self) -> &'static str {
        role_key(self.user.role)
    }

    /// The token in the cookie.
    pub(super) fn session(&self) -> &SecretString {
        &self.session
    }

    /// Whether a form's token is of this session.
    pub(super) fn has_given(&self, given: &str) -> bool {
        is_csrf_token(self.session.expose_secret(), given)
    }

    /// What they do is done, and written down, in their name.
    pub(super) fn acting(&self, visit: &Visit<'_>) -> Acting {
        visit.engine().acting_as(&self.identity, visit.caller)
    }
}

/// The text that tells a role.
pub(super) fn role_key(role: certkeep_core::people::Role) -> &'static str {
    use certkeep_core::people::Role;
    match role {
        Role::Admin => "role.admin",
        Role::Operator => "role.operator",
        Role::Viewer => "role.viewer",
    }
}

fn cookie(headers: &HeaderMap, name: &str) -> Option<SecretString> {
    let pairs = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(';'));
    let mut found = pairs.filter_map(|pair| pair.trim().split_once('=')).filter(|(known, _)| *known == name);
    found.next().map(|(_, value)| SecretString::from(value))
}

/// Gives the browser the session, or takes it away.
pub(super) fn set_cookie(response: &mut Response, secure: bool, session: Option<&SecretString>) {
    let (name, flag) = if secure { (SECURE, "; Secure") } else { (PLAIN, "") };
    let value = match session {
        Some(session) => format!("{name}={}; Path=/; HttpOnly; SameSite=Strict{flag}", session.expose_secret()),
        None => format!("{name}=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict{flag}"),
    };
    if let Ok(mut value) = HeaderValue::from_str(&value) {
        value.set_sensitive(true);
        response.headers_mut().append(SET_COOKIE, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cookie_is_found_among_others() {
        let headers = HeaderMap::from_iter([(COOKIE, HeaderValue::from_static("a=b; certkeep=one; __Host-certkeep=two"))]);
        let of = |name| cookie(&headers, name).map(|value| value.expose_secret().to_owned());
        assert_eq!((of(PLAIN).as_deref(), of(SECURE).as_deref(), of("c")), (Some("one"), Some("two"), None));
    }
}
