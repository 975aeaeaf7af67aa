//! When keys were deleted, so that a watcher of what is gone sees a larger index.
//!
//! Consul keeps tombstones for a quarter of an hour, after which an index may go back. Here they
//! are kept by number instead of age, in two generations; when the older one goes, its highest
//! index becomes a floor under all that is still known. So memory is bounded, and no index ever
//! goes back: at worst a prefix seems changed once, when somebody looks.

use std::ops::Bound;
use std::sync::Arc;

use imbl::OrdMap;
use serde::{Deserialize, Serialize};

/// How many graves a generation holds: some hundred kilobytes.
const GENERATION: usize = 4096;

#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Graves {
    young: Generation,
    old: Generation,
    floor: u64,
}

#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Generation {
    keys: OrdMap<Arc<str>, u64>,
    trees: OrdMap<Arc<str>, u64>,
    highest: u64,
}

impl Graves {
    /// One key went.
    pub(super) fn bury_key(&mut self, key: Arc<str>, index: u64) {
        self.young.keys.insert(key, index);
        self.turn(index);
    }

    /// All keys under `prefix` went.
    pub(super) fn bury_tree(&mut self, prefix: &str, index: u64) {
        self.young.trees.insert(prefix.into(), index);
        self.turn(index);
    }

    /// The highest index of a deletion that a watcher of `prefix` has to see; 0 if none is known.
    pub(super) fn under(&self, prefix: &str) -> u64 {
        self.young.under(prefix).max(self.old.under(prefix))
    }

    /// No deletion later than this was forgotten.
    pub(super) fn floor(&self) -> u64 {
        self.floor
    }

    fn turn(&mut self, index: u64) {
        self.young.highest = index;
        if self.young.keys.len() + self.young.trees.len() >= GENERATION {
            let old = std::mem::replace(&mut self.old, std::mem::take(&mut self.young));
            self.floor = self.floor.max(old.highest);
        }
    }
}

impl Generation {
    fn under(&self, prefix: &str) -> u64 {
        let inside = [&self.keys, &self.trees].map(|graves| {
            graves
                .range::<_, str>((Bound::Included(prefix), Bound::Unbounded))
                .take_while(|(key, _)| key.starts_with(prefix))
                .map(|(_, index)| *index)
                .max()
        });
        let above = prefix
            .char_indices()
            .filter_map(|(end, _)| self.trees.get(prefix.get(..end)?))
            .copied()
            .max();
        inside.into_iter().flatten().chain(above).max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_felled_tree_is_seen_above_and_below_it() {
        let mut graves = Graves::default();
        graves.bury_key("a/k".into(), 3);
        graves.bury_tree("a/b/", 5);
        for (prefix, index) in [("a", 5), ("a/b/", 5), ("a/b/c", 5), ("a/k", 3), ("b", 0)] {
            assert_eq!(graves.under(prefix), index, "under {prefix}");
        }
    }

    #[test]
    fn graves_are_bounded_and_the_floor_rises_over_what_is_forgotten() {
        let mut graves = Graves::default();
        for index in 1..=3 * GENERATION as u64 {
            graves.bury_key(format!("p/{index}").into(), index);
            assert_eq!(graves.under("p/"), index);
            let first = graves.under("p/1").max(graves.floor());
            assert!(first > 0, "the first deletion is known or under the floor");
        }
        let kept = graves.young.keys.len() + graves.old.keys.len();
        assert!(kept <= 2 * GENERATION, "{kept} graves are kept");
    }
}
