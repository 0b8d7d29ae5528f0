//! What somebody does: whether they may, and that it is written down.
//!
//! Whoever changes something for a caller does it through [`Acting`]; the use cases themselves know no callers.
use std::sync::Arc;

use certkeep_core::audit::{Action, Author, Outcome};
use certkeep_core::certificate::{CertificateId, Kind};
use certkeep_core::client::ClientKey;
use certkeep_core::people::{Act, Rights};
use certkeep_core::ports::{RevocationReason, Version};
use secrecy::{SecretSlice, SecretString};

use crate::Engine;
use crate::audit::{Ending, ended};
use crate::error::UseCaseError;
use crate::inventory::{Create, Created, Update};
use crate::people::{Identity, PeopleError};
use crate::revoking::{RevokeError, apply_anew, revoke};

impl Ending for UseCaseError {
    fn is_refusal(&self) -> bool {
        matches!(self, UseCaseError::Forbidden(_))
    }
}

impl Ending for RevokeError {
    fn is_refusal(&self) -> bool {
        matches!(self, RevokeError::Forbidden(_))
    }
}

/// Somebody who acts.
#[derive(Clone)]
pub struct Acting {
    engine: Engine,
    author: Author,
    identity: Option<Arc<Identity>>,
    owner: Option<ClientKey>,
}

impl Engine {
    /// Somebody whose rights were looked at by whoever let them in.
    pub fn acting(&self, author: Author) -> Acting {
        Acting { engine: self.clone(), author, identity: None, owner: None }
    }

    /// Somebody who is known, with the rights that they have.
    pub fn acting_as(&self, identity: &Arc<Identity>, address: std::net::IpAddr) -> Acting {
        let author = Author::at(identity.actor(), address);
        Acting { engine: self.clone(), author, identity: Some(Arc::clone(identity)), owner: None }
    }
}

impl Acting {
    /// The same as the API client whose applications take turns with those of others.
    pub fn owning(self, client: ClientKey) -> Acting {
        Acting { owner: Some(client), ..self }
    }

    /// The use cases that need no rights.
    pub const fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Who acts, and from where.
    pub const fn author(&self) -> &Author {
        &self.author
    }

    pub(crate) fn identity(&self) -> Option<&Identity> {
        self.identity.as_deref()
    }

    /// Whether this is allowed.
    pub fn may(&self, act: Act) -> bool {
        self.identity().is_none_or(|identity| identity.may(act))
    }

    pub(crate) fn demand(&self, act: Act) -> Result<(), UseCaseError> {
        if self.may(act) { Ok(()) } else { Err(UseCaseError::Forbidden(act)) }
    }

    pub(crate) fn demand_of_people(&self, act: Act) -> Result<(), PeopleError> {
        if self.may(act) { Ok(()) } else { Err(PeopleError::Forbidden(act)) }
    }

    /// Nobody gives, or takes over, more than they have.
    pub(crate) fn demand_cover(&self, rights: &Rights) -> Result<(), PeopleError> {
        let covers = self.identity().is_none_or(|identity| identity.rights.cover(rights));
        if covers { Ok(()) } else { Err(PeopleError::TooMuch) }
    }

    /// Does something, and writes down what became of it.
    ///
    /// # Errors
    /// Those of the work.
    pub async fn audited<T, E: Ending>(
        &self,
        action: Action,
        subject: &str,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let done = work.await;
        let (outcome, detail) = ended(&done);
        self.engine.note(self.author.clone(), action, subject, outcome, &detail).await;
        done
    }

    /// Writes down that something was asked for and refused before it came here.
    pub async fn refused(&self, action: Action, subject: &str, why: &str) {
        self.engine.note(self.author.clone(), action, subject, Outcome::Refused, why).await;
    }

    /// See [`Engine::upload`].
    ///
    /// # Errors
    /// Those of [`Engine::upload`]; [`UseCaseError::Forbidden`].
    pub async fn upload(
        &self,
        kind: Kind,
        file_name: &str,
        content: SecretSlice<u8>,
        password: Option<SecretString>,
    ) -> Result<String, UseCaseError> {
        let uploading = async {
            self.demand(change_of(kind))?;
            self.engine.upload(kind, file_name, content, password).await
        };
        self.audited(Action::CertificateUpload, file_name, uploading).await
    }

    /// See [`Engine::create`].
    ///
    /// # Errors
    /// Those of [`Engine::create`]; [`UseCaseError::Forbidden`].
    pub async fn create(&self, command: Create) -> Result<Created, UseCaseError> {
        let (kind, subject) = match &command {
            Create::Apply { names, .. } => (Kind::Server, names.first().to_string()),
            Create::Serve { upload, .. } => (Kind::Server, upload.clone()),
            Create::Trust { upload } => (Kind::Trusted, upload.clone()),
        };
        let creating = async {
            self.demand(change_of(kind))?;
            self.engine.create(command, self.owner).await
        };
        self.audited(Action::CertificateCreate, &subject, creating).await
    }

    /// See [`Engine::update`].
    ///
    /// # Errors
    /// Those of [`Engine::update`]; [`UseCaseError::Forbidden`].
    pub async fn update(&self, id: CertificateId, command: Update) -> Result<(), UseCaseError> {
        let (_, subject) = self.named(id).await;
        let updating = async {
            self.demand(Act::ChangeCertificates)?;
            self.engine.update(id, command, self.owner).await
        };
        self.audited(Action::CertificateUpdate, &subject, updating).await
    }

    /// See [`Engine::delete`].
    ///
    /// # Errors
    /// Those of [`Engine::delete`]; [`UseCaseError::Forbidden`].
    pub async fn delete(&self, id: CertificateId) -> Result<(), UseCaseError> {
        let (kind, subject) = self.named(id).await;
        let deleting = async {
            self.demand(change_of(kind))?;
            self.engine.delete(id).await
        };
        self.audited(Action::CertificateDelete, &subject, deleting).await
    }

    /// See [`Engine::serve_https_with`].
    ///
    /// # Errors
    /// Those of [`Engine::serve_https_with`]; [`UseCaseError::Forbidden`].
    pub async fn serve_https_with(&self, name: &str) -> Result<(), UseCaseError> {
        let choosing = async {
            self.demand(Act::ChangeCertificates)?;
            self.engine.serve_https_with(name).await
        };
        self.audited(Action::WebserverUpdate, name, choosing).await
    }

    /// The current version of an entry with its private key.
    ///
    /// # Errors
    /// [`UseCaseError::NotFound`] for what is not there or holds nothing; [`UseCaseError::Forbidden`]; the store's.
    pub async fn export(&self, id: CertificateId) -> Result<Version, UseCaseError> {
        let (_, subject) = self.named(id).await;
        let exporting = async {
            self.demand(Act::ExportKeys)?;
            self.engine.store().current_version(id).await?.ok_or(UseCaseError::NotFound)
        };
        self.audited(Action::CertificateExport, &subject, exporting).await
    }

    /// Revokes the current version of an entry (see [`revoke`]), and applies for another one where it has an application.
    ///
    /// # Errors
    /// Those of [`revoke`]; [`RevokeError::Forbidden`].
    pub async fn revoke(&self, id: CertificateId, reason: RevocationReason) -> Result<(), RevokeError> {
        let (_, subject) = self.named(id).await;
        let revoking = async {
            if !self.may(Act::Revoke) {
                return Err(RevokeError::Forbidden(Act::Revoke));
            }
            let inner = &self.engine.inner;
            let store = self.engine.store();
            revoke(store, inner.ports.issuer.as_ref(), &inner.settings.cas, id, reason).await?;
            apply_anew(store, id, self.engine.now()).await?;
            self.engine.inner.remembered_certificates.forget(id);
            self.engine.nudge();
            Ok(())
        };
        self.audited(Action::CertificateRevoke, &subject, revoking).await
    }

    /// The kind and name of an entry; its number where there is none.
    pub(crate) async fn named(&self, id: CertificateId) -> (Kind, String) {
        match self.engine.certificate(id).await {
            Ok(entry) => (entry.kind(), entry.name.clone()),
            Err(_) => (Kind::Server, id.0.to_string()),
        }
    }
}

const fn change_of(kind: Kind) -> Act {
    match kind {
        Kind::Server => Act::ChangeCertificates,
        Kind::Trusted => Act::ChangeTrusted,
    }
}
