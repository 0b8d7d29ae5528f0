//! Reading the inventory: the hot path.
use std::ops::Deref;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use certkeep_core::certificate::{Certificate, CertificateId, ListQuery, Page};
use quick_cache::sync::Cache;

use crate::Engine;
use crate::error::UseCaseError;

/// Most entries that are remembered; further ones are read from the store at each call.
const REMEMBERED: usize = 20_000;

/// An entry as last read.
pub struct Entry {
    /// The entry.
    pub certificate: Certificate,
    /// What an edge made of it, to be made once.
    pub shown: OnceLock<Bytes>,
}

impl Deref for Entry {
    type Target = Certificate;

    fn deref(&self) -> &Certificate {
        &self.certificate
    }
}

/// Entries as last read; each is forgotten when it changes.
pub(crate) struct Remembered(Cache<CertificateId, Arc<Entry>>);

impl Default for Remembered {
    fn default() -> Self {
        Remembered(Cache::new(REMEMBERED))
    }
}

impl Remembered {
    pub(crate) fn forget(&self, id: CertificateId) {
        self.0.remove(&id);
    }

    pub(crate) fn forget_all(&self) {
        self.0.clear();
    }
}

impl Engine {
    /// One entry.
    ///
    /// # Errors
    /// [`UseCaseError::NotFound`], or the store's.
    pub async fn certificate(&self, id: CertificateId) -> Result<Arc<Entry>, UseCaseError> {
        if let Some(entry) = self.inner.remembered_certificates.0.get(&id) {
            return Ok(entry);
        }
        // A guard keeps a change that commits meanwhile from being overwritten by what was read before it: the change
        // removes the placeholder, and the insertion then fails.
        match self.inner.remembered_certificates.0.get_value_or_guard_async(&id).await {
            Ok(entry) => Ok(entry),
            Err(guard) => {
                let certificate = self.store().certificate(id).await?.ok_or(UseCaseError::NotFound)?;
                let entry = Arc::new(Entry { certificate, shown: OnceLock::new() });
                let _ = guard.insert(Arc::clone(&entry));
                Ok(entry)
            }
        }
    }

    /// Those of these entries that exist, in the order asked, each as often as asked (contract §4.4).
    ///
    /// # Errors
    /// The store's.
    pub async fn certificates(&self, ids: &[CertificateId]) -> Result<Vec<Certificate>, UseCaseError> {
        let found = self.store().certificates(ids).await?;
        Ok(ids.iter().filter_map(|id| found.get(id).cloned()).collect())
    }

    /// A page of the inventory (contract §4.3).
    ///
    /// # Errors
    /// The store's.
    pub async fn certificate_list(&self, query: &ListQuery) -> Result<Page, UseCaseError> {
        Ok(self.store().list(query).await?)
    }
}
