//! Where the calls of a recipe go: the page's server, the one that its session tells, or another that it lists.
use url::Url;

use super::exchange::Unsendable;
use super::template::{self, Scope};
use super::{Endpoint, Recipe};
use crate::page::Call;

/// The page leads somewhere that it does not list.
pub(super) const ELSEWHERE: Unsendable = Unsendable::Page("the page leads to another server");

impl Recipe {
    /// Where the page has a call go; a host that the page does not list is none.
    pub(super) fn endpoint_of(&self, call: &Call, scope: &Scope) -> Result<Endpoint, Unsendable> {
        let told = self.page.http.as_ref().map(|http| &http.base).filter(|_| self.roaming);
        let Some(base) = call.base.as_ref().or(told) else { return Ok(self.real.clone()) };
        let endpoint = Endpoint::parse(&template::text(base, scope)?).map_err(|_| ELSEWHERE)?;
        if endpoint.is_among(&self.real, &self.hosts) { Ok(endpoint) } else { Err(ELSEWHERE) }
    }

    /// The endpoint itself, or what stands in for it.
    pub(super) fn reached(&self, endpoint: &Endpoint) -> Endpoint {
        self.elsewhere.as_ref().map_or_else(|| endpoint.clone(), |other| endpoint.moved_to(other))
    }

    /// The address of a following page, which has to be at the same server.
    pub(super) fn following(&self, endpoint: &Endpoint, before: &Url, address: &str) -> Result<Url, Unsendable> {
        if let Some(url) = self.reached(endpoint).following(before, address) {
            return Ok(url);
        }
        let url = Url::parse(address).map_err(|_| ELSEWHERE)?;
        match &self.elsewhere {
            Some(other) if endpoint.is_at(&url) => Ok(other.moving(&url)),
            _ => Err(ELSEWHERE),
        }
    }
}
