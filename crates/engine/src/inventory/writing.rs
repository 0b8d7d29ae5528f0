//! Adding, changing and deleting (contract §4.5 to §4.8).
use std::sync::Arc;

use certkeep_core::application::{Application, Names};
use certkeep_core::certificate::{ApplyStatus, Certificate, CertificateId, Held, Kind, Origin, Role, Server};
use certkeep_core::client::ClientKey;
use certkeep_core::material::{self, Facts, ServerMaterial};
use certkeep_core::ports::{Change, NewCertificate, NewServer, Upload, UsedUpload, Version};
use certkeep_core::renewal::renew_at;
use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret, SecretSlice, SecretString};

use super::commands::{self, ApplicationInput, Create, Created, Update};
use crate::Engine;
use crate::draw::draw;
use crate::error::{Invalid, UseCaseError, refused};
use crate::webserver;

/// Largest upload, in octets (contract §2, row 40004).
pub const MAX_UPLOAD: usize = 1 << 20;
/// How long an upload is kept (contract §4.5).
pub const UPLOAD_LIFE: SignedDuration = SignedDuration::from_hours(1);
/// Most uploads kept at once, each of [`MAX_UPLOAD`] at most.
const MAX_KEPT_UPLOADS: u32 = 200;
/// Longest file name, in octets: what file systems allow.
const MAX_FILE_NAME: usize = 255;

impl Engine {
    /// Keeps a file for a later [`Engine::create`] or [`Engine::update`]; answers its base name (contract §4.5).
    ///
    /// # Errors
    /// [`UseCaseError::Invalid`] for a name that is none or an empty file; [`UseCaseError::TooManyUploads`]; the store's.
    pub async fn upload(
        &self,
        kind: Kind,
        file_name: &str,
        content: SecretSlice<u8>,
        password: Option<SecretString>,
    ) -> Result<String, UseCaseError> {
        let name = base_name(file_name)?;
        if content.expose_secret().is_empty() {
            return Err(UseCaseError::Invalid(vec![Invalid::new("file", "required", "is empty")]));
        }
        let upload = Upload { kind, name: name.clone(), content, password, kept: self.now() };
        if self.store().keep_upload(&upload, MAX_KEPT_UPLOADS).await? {
            Ok(name)
        } else {
            Err(UseCaseError::TooManyUploads(MAX_KEPT_UPLOADS))
        }
    }

    /// Adds a certificate (contract §4.6), for the client that calls.
    ///
    /// # Errors
    /// What [`UseCaseError`] lists; nothing is stored then.
    pub async fn create(&self, command: Create, owner: Option<ClientKey>) -> Result<Created, UseCaseError> {
        let now = self.now();
        let (kind, new) = match command {
            Create::Apply { names, input } => {
                let application = commands::application(self.providers(), names, input)?;
                let name = application.names.file_name();
                let server = NewServer { application: Some(application), next_issuance: Some(now), owner };
                (Kind::Server, NewCertificate { name, version: None, server: Some(server), upload: None, limit: None })
            }
            Create::Serve { upload, renewal } => {
                let (material, used) = self.uploaded_server(&upload, now).await?;
                let application = match renewal {
                    Some(input) => Some(commands::application(self.providers(), names_of(&material.facts)?, input)?),
                    None => None,
                };
                let next_issuance = application.as_ref().map(|_| self.renewal_of(&material.facts.held));
                let new = NewCertificate {
                    name: upload.clone(),
                    version: Some(version(material)),
                    server: Some(NewServer { application, next_issuance, owner }),
                    upload: Some(used),
                    limit: None,
                };
                (Kind::Server, new)
            }
            Create::Trust { upload } => {
                let (file, used) = self.uploaded(Kind::Trusted, &upload, now).await?;
                let read = move || material::trusted(file.content.expose_secret(), file.password.as_ref(), now);
                let material = self.blocking(read).await?;
                let material = material.map_err(|refusal| refused(&refusal))?;
                let version = Version { chain: material.chain, key: None, held: material.facts.held, directory: None };
                let new = NewCertificate {
                    name: upload.clone(),
                    version: Some(version),
                    server: None,
                    upload: Some(used),
                    limit: None,
                };
                (Kind::Trusted, new)
            }
        };
        let limit = match kind {
            Kind::Server => self.inner.settings.max_server,
            Kind::Trusted => self.inner.settings.max_trusted,
        };
        let new = NewCertificate { limit, ..new };
        let id = self.store().create(&new).await.map_err(|e| UseCaseError::from_create(e, kind, &new.name))?;
        self.inner.remembered_certificates.forget(id);
        self.nudge();
        let status = new.server.map(|_| match new.version {
            Some(_) => ApplyStatus::IssuanceSuccess,
            None => ApplyStatus::Issuing,
        });
        tracing::info!(id = id.0, name = new.name, kind = kind.as_str(), "certificate added");
        Ok(Created { name: new.name, status })
    }

    /// Changes a server certificate (contract §4.7), for the client that calls.
    ///
    /// # Errors
    /// What [`UseCaseError`] lists; nothing is changed then.
    pub async fn update(&self, id: CertificateId, command: Update, owner: Option<ClientKey>) -> Result<(), UseCaseError> {
        let now = self.now();
        let alone = self.inner.changes.lock().await;
        let entry = self.store().certificate(id).await?.ok_or(UseCaseError::NotFound)?;
        let Role::Server(server) = &entry.role else {
            return Err(UseCaseError::Invalid(vec![Invalid::new("id", "oneof", "is not a server certificate")]));
        };
        if server.status == ApplyStatus::Issuing {
            return Err(UseCaseError::Busy);
        }
        let change = match server.origin {
            Origin::Apply => self.change_of_applied(&entry, server, command, now)?,
            Origin::Upload => self.change_of_uploaded(&entry, server, command, now).await?,
        };
        let change = Change { owner, ..change };
        let renamed = change.name.clone();
        self.store().change(id, &change, now).await.map_err(|error| UseCaseError::from_change(error, renamed))?;
        self.inner.remembered_certificates.forget(id);
        let refreshed = self.refresh_served(id).await;
        drop(alone);
        self.nudge();
        refreshed
    }

    /// Deletes a certificate (contract §4.8); its leftover challenge records are removed by the job loop.
    ///
    /// # Errors
    /// [`UseCaseError::NotFound`], [`UseCaseError::Busy`], [`UseCaseError::InUse`], or the store's.
    pub async fn delete(&self, id: CertificateId) -> Result<(), UseCaseError> {
        let _alone = self.inner.changes.lock().await;
        if self.inner.served.borrow().id == Some(id) {
            return Err(UseCaseError::InUse);
        }
        self.store().delete(id).await?;
        self.inner.remembered_certificates.forget(id);
        self.nudge();
        tracing::info!(id = id.0, "certificate deleted");
        Ok(())
    }

    /// When a version that is held already is to be renewed.
    fn renewal_of(&self, held: &Held) -> Timestamp {
        renew_at(held.validity, self.inner.settings.renewal, draw())
    }

    fn change_of_applied(
        &self,
        entry: &Certificate,
        server: &Server,
        command: Update,
        now: Timestamp,
    ) -> Result<Change, UseCaseError> {
        if command.upload.as_ref().is_some_and(|name| *name != entry.name) {
            return Err(not_for("name", "an applied certificate"));
        }
        let Some(current) = &server.application else {
            return Err(UseCaseError::Internal(format!("applied certificate {} has no application", entry.id.0)));
        };
        let asked = command.names.is_some() || command.input.dns_provider.is_some() || command.input.auth.is_some();
        let names = command.names.unwrap_or_else(|| current.names.clone());
        let application = commands::application(self.providers(), names, merged(command.input, current))?;
        // Giving the same values again asks for another try only where the last one failed.
        let anew = application != *current || (asked && server.status == ApplyStatus::IssuanceFail);
        if !anew {
            return Ok(Change::default());
        }
        let name = application.names.file_name();
        Ok(Change {
            name: Some(name).filter(|name| *name != entry.name),
            application: Some(Some(application)),
            next_issuance: Some(Some(now)),
            ..Change::default()
        })
    }

    async fn change_of_uploaded(
        &self,
        entry: &Certificate,
        server: &Server,
        command: Update,
        now: Timestamp,
    ) -> Result<Change, UseCaseError> {
        if command.names.is_some() {
            return Err(not_for("issue_to", "an uploaded certificate"));
        }
        let mut change = Change::default();
        let mut held = entry.held.clone();
        let mut facts = None;
        if let Some(upload) = command.upload {
            // Clients send the name back unchanged; it means a new file only when there is one.
            let read = match self.uploaded_server(&upload, now).await {
                Err(UseCaseError::UploadNotFound) if upload == entry.name => None,
                read => Some(read?),
            };
            if let Some((material, used)) = read {
                held = Some(material.facts.held.clone());
                facts = Some(material.facts.clone());
                change.version = Some(version(material));
                change.name = Some(upload).filter(|name| *name != entry.name);
                change.upload = Some(used);
            }
        }
        let renewed = command.auto_renewal.unwrap_or(server.auto_renewal);
        if !renewed {
            change.application = server.application.as_ref().map(|_| None);
            change.next_issuance = Some(None);
            return Ok(change);
        }
        let names = match (&facts, &server.application) {
            (Some(facts), _) => names_of(facts)?,
            (None, Some(current)) => current.names.clone(),
            (None, None) => self.names_held(entry.id).await?,
        };
        let asked = command.input.dns_provider.is_some() || command.input.auth.is_some();
        let input = match &server.application {
            Some(current) => merged(command.input, current),
            None => command.input,
        };
        let application = commands::application(self.providers(), names, input)?;
        let again = asked && server.status == ApplyStatus::IssuanceFail;
        if server.application.as_ref() != Some(&application) || change.version.is_some() || again {
            change.next_issuance = Some(Some(held.as_ref().map_or(now, |held| self.renewal_of(held))));
            change.application = Some(Some(application));
        }
        Ok(change)
    }

    async fn uploaded(&self, kind: Kind, name: &str, now: Timestamp) -> Result<(Upload, UsedUpload), UseCaseError> {
        let since = now.saturating_sub(UPLOAD_LIFE).unwrap_or(now);
        let upload = self.store().upload(kind, name, since).await?.ok_or(UseCaseError::UploadNotFound)?;
        let used = UsedUpload { kind, name: upload.name.clone(), kept: upload.kept };
        Ok((upload, used))
    }

    async fn uploaded_server(&self, name: &str, now: Timestamp) -> Result<(ServerMaterial, UsedUpload), UseCaseError> {
        let (file, used) = self.uploaded(Kind::Server, name, now).await?;
        let read = move || material::server(file.content.expose_secret(), file.password.as_ref(), now);
        let material = self.blocking(read).await?.map_err(|refusal| refused(&refusal))?;
        Ok((material, used))
    }

    /// The names of the version that an entry holds.
    async fn names_held(&self, id: CertificateId) -> Result<Names, UseCaseError> {
        let version = self.store().current_version(id).await?.ok_or(UseCaseError::NotFound)?;
        let facts = version.chain.facts().map_err(|e| UseCaseError::Internal(e.to_string()))?;
        names_of(&facts)
    }

    /// Reading a file takes the processor for long enough to be kept off the threads that answer requests (the key
    /// derivation of a PKCS#12 container above all), and one at a time, so that no client can take every processor. The
    /// turn lasts as long as the work does, also when the caller hangs up.
    pub(crate) async fn blocking<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, UseCaseError> {
        let readings = Arc::clone(&self.inner.readings);
        let turn = readings.acquire_owned().await.map_err(|e| UseCaseError::Internal(e.to_string()))?;
        let done = tokio::task::spawn_blocking(move || {
            let done = work();
            drop(turn);
            done
        });
        done.await.map_err(|e| UseCaseError::Internal(e.to_string()))
    }
}

fn version(material: ServerMaterial) -> Version {
    Version { chain: material.chain, key: Some(material.key), held: material.facts.held, directory: None }
}

fn merged(input: ApplicationInput, current: &Application) -> ApplicationInput {
    // Parameters belong to their provider: another provider does not inherit them.
    let same_provider = input.dns_provider.as_ref().is_none_or(|flag| *flag == current.dns_provider);
    let auth = input.auth.or_else(|| same_provider.then(|| current.auth.clone()));
    ApplicationInput { dns_provider: input.dns_provider.or_else(|| Some(current.dns_provider.clone())), auth }
}

fn not_for(field: &str, what: &str) -> UseCaseError {
    UseCaseError::Invalid(vec![Invalid::new(field, "excluded", format!("cannot be changed for {what}"))])
}

/// The names a certificate can be renewed for.
fn names_of(facts: &Facts) -> Result<Names, UseCaseError> {
    let names = if facts.dns_names.is_empty() { facts.held.issue_to.clone() } else { facts.dns_names.join(",") };
    Names::parse(&names).map_err(|error| {
        let message = format!("cannot be on, since the certificate is not for public domain names: {error}");
        UseCaseError::Invalid(vec![Invalid::new("auto_renewal", "domain", message)])
    })
}

/// The last part of a path, on either kind of system (contract §4.5).
fn base_name(file_name: &str) -> Result<String, UseCaseError> {
    let name = file_name.rsplit(['/', '\\']).next().unwrap_or_default().trim();
    // The name of the certificate that is there from the start stays its own.
    let fits = !name.is_empty() && name.len() <= MAX_FILE_NAME && !matches!(name, "." | ".." | webserver::DEFAULT);
    if fits && !name.chars().any(char::is_control) {
        Ok(name.to_owned())
    } else {
        Err(UseCaseError::Invalid(vec![Invalid::new("file", "filename", "has no usable file name")]))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_the_base_name_is_kept() {
        for (sent, kept) in [
            ("a.pem", Some("a.pem")),
            ("../../etc/passwd", Some("passwd")),
            ("C:\\x\\y.pem", Some("y.pem")),
            ("dir/", None),
            ("..", None),
            ("a\0.pem", None),
            ("", None),
        ] {
            assert_eq!(base_name(sent).ok().as_deref(), kept, "{sent:?}");
        }
    }

    proptest! {
        #[test]
        fn a_base_name_never_holds_a_path(sent in ".*") {
            if let Ok(name) = base_name(&sent) {
                prop_assert!(!name.contains(['/', '\\', '\0']) && name != ".." && !name.is_empty());
            }
        }
    }
}
