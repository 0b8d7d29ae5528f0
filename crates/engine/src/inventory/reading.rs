//! Reading the inventory: the hot path.
use std::ops::Deref;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use certkeep_core::certificate::{Certificate, CertificateId, ListQuery, Page};
use quick_cache::sync::Cache;

use crate::Engine;
use crate::error::UseCaseError;

/// Most entries that are remembered; further ones are read from the store at each call.
const REMEMBERED: usize = 20_000;
/// Most pages of lists that are remembered, and the most rows that such a page may have.
const REMEMBERED_PAGES: usize = 64;
const REMEMBERED_ROWS: usize = 200;

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

/// Entries as last read, each forgotten when it changes, and pages of lists, forgotten when anything does.
pub(crate) struct Remembered {
    entries: Cache<CertificateId, Arc<Entry>>,
    pages: Cache<ListQuery, Arc<Page>>,
    /// Grows when pages are forgotten, so that one that was read before that is not remembered after it.
    generation: AtomicU64,
}

impl Default for Remembered {
    fn default() -> Self {
        Remembered { entries: Cache::new(REMEMBERED), pages: Cache::new(REMEMBERED_PAGES), generation: AtomicU64::new(0) }
    }
}

impl Remembered {
    pub(crate) fn forget(&self, id: CertificateId) {
        self.entries.remove(&id);
        self.forget_pages();
    }

    pub(crate) fn forget_all(&self) {
        self.entries.clear();
        self.forget_pages();
    }

    fn forget_pages(&self) {
        self.generation.fetch_add(1, Ordering::SeqCst);
        self.pages.clear();
    }

    /// Remembers a page that was read when the generation was `read_at`.
    fn remember_page(&self, query: &ListQuery, page: &Arc<Page>, read_at: u64) {
        if page.rows.len() <= REMEMBERED_ROWS {
            self.pages.insert(*query, Arc::clone(page));
            if self.generation.load(Ordering::SeqCst) != read_at {
                self.pages.remove(query);
            }
        }
    }
}

impl Engine {
    /// One entry.
    ///
    /// # Errors
    /// [`UseCaseError::NotFound`], or the store's.
    pub async fn certificate(&self, id: CertificateId) -> Result<Arc<Entry>, UseCaseError> {
        if let Some(entry) = self.inner.remembered_certificates.entries.get(&id) {
            return Ok(entry);
        }
        // A guard keeps a change that commits meanwhile from being overwritten by what was read before it: the change
        // removes the placeholder, and the insertion then fails.
        match self.inner.remembered_certificates.entries.get_value_or_guard_async(&id).await {
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
    pub async fn certificate_list(&self, query: &ListQuery) -> Result<Arc<Page>, UseCaseError> {
        let remembered = &self.inner.remembered_certificates;
        if let Some(page) = remembered.pages.get(query) {
            return Ok(page);
        }
        let read_at = remembered.generation.load(Ordering::SeqCst);
        let page = Arc::new(self.store().list(query).await?);
        remembered.remember_page(query, &page, read_at);
        Ok(page)
    }
}
