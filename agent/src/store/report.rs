//! What a node says of itself with its lease: for `swarmer status`, never for decisions.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// A small map of facts, sent only when it changed.
#[derive(Default)]
pub struct Report {
    inner: Mutex<(BTreeMap<String, String>, u64)>,
}

impl Report {
    /// Sets a fact.
    pub fn set(&self, key: &str, value: impl Into<String>) {
        let value = value.into();
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if inner.0.get(key) != Some(&value) {
            inner.0.insert(key.to_owned(), value);
            inner.1 += 1;
        }
    }

    /// All facts, if they changed since `version`, and their version now.
    pub fn since(&self, version: u64) -> (Option<BTreeMap<String, String>>, u64) {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        ((inner.1 != version).then(|| inner.0.clone()), inner.1)
    }

    /// All facts.
    #[must_use]
    pub fn all(&self) -> BTreeMap<String, String> {
        self.inner
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .0
            .clone()
    }
}
