//! From one thing to the many that have it.

use std::sync::Arc;

use imbl::{OrdMap, OrdSet};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// A sorted map from text to sets; a text without any is not in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(bound = "T: Ord + Clone + Serialize + DeserializeOwned")]
pub(super) struct Lookup<T: Ord + Clone> {
    sets: OrdMap<Arc<str>, OrdSet<T>>,
}

impl<T: Ord + Clone> Default for Lookup<T> {
    fn default() -> Self {
        Self {
            sets: OrdMap::new(),
        }
    }
}

impl<T: Ord + Clone> Lookup<T> {
    pub(super) fn get<'a>(&'a self, key: &str) -> impl Iterator<Item = &'a T> + use<'a, T> {
        self.sets.get(key).into_iter().flatten()
    }

    pub(super) fn add(&mut self, key: &str, value: T) {
        self.sets.entry(key.into()).or_default().insert(value);
    }

    pub(super) fn remove(&mut self, key: &str, value: &T) {
        if let Some(set) = self.sets.get_mut(key) {
            set.remove(value);
            if set.is_empty() {
                self.sets.remove(key);
            }
        }
    }
}
