//! Zones that take no change for a while after one, where that is waited for before the next change.
use serde_json::Map;

use super::Recipe;
use super::answer::{Reply, Trouble};
use super::classify::Stage;
use super::exchange::Patience;
use super::template::{self, Scope};
use crate::page::Call;

impl Recipe {
    /// What is waited for before a change, if it is before.
    fn wait_before(&self) -> Option<&Call> {
        self.page.wait.as_ref().filter(|wait| wait.before)
    }

    /// Remembers after a change that its zone may be closed.
    pub(super) fn closes(&self, scope: &Scope) {
        self.shared.held.put(&self.account, closed(scope), "");
    }

    /// Before a change: waits for the one that this process made before it.
    pub(super) async fn settled(&self, stage: Stage, scope: &Scope) -> Result<(), Trouble> {
        if self.shared.held.is(&self.account, &closed(scope), "") {
            self.until_open(stage, scope).await?;
        }
        Ok(())
    }

    /// Waits until the zone takes changes, whoever closed it.
    pub(super) async fn until_open(&self, stage: Stage, scope: &Scope) -> Result<(), Trouble> {
        let Some(wait) = self.wait_before() else { return Ok(()) };
        self.call_until(stage, wait, &scope.clone().with_json("got", &Map::new())).await?;
        self.shared.held.drop(&self.account, &closed(scope));
        Ok(())
    }

    /// Makes a call that changes the zone. One that is refused, since another process has closed the zone, is made again
    /// once it is open.
    pub(super) async fn call_open(&self, stage: Stage, call: &Call, scope: &Scope) -> Result<Reply, Trouble> {
        let mut patience = Patience::default();
        loop {
            let reply = self.call(stage, call, scope).await?;
            if !matches!(reply, Reply::Conflict) || self.wait_before().is_none() {
                return Ok(reply);
            }
            let Some(pause) = patience.pause(&self.unsettled(stage)) else { return Ok(reply) };
            self.until_open(stage, scope).await?;
            tokio::time::sleep(pause).await;
        }
    }

    /// After a change: waits for it, or remembers that it is to be waited for.
    pub(super) async fn settle(&self, stage: Stage, scope: &Scope) -> Result<(), Trouble> {
        let Some(wait) = &self.page.wait else { return Ok(()) };
        if !wait.before {
            return self.step(stage, wait, scope).await.map(drop);
        }
        let closes = wait.when.as_deref().map_or(Ok(true), |when| template::is_true(when, scope));
        if closes.map_err(|error| self.fault(stage, &error))? {
            self.closes(scope);
        }
        Ok(())
    }
}

/// What a zone that may be closed is called among all that is held of an account.
fn closed(scope: &Scope) -> String {
    format!("changes of {}", scope.zone().unwrap_or_default())
}
