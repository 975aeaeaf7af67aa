//! What the SDKs read around a program: its environment and the files that this names.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use super::imds::Imds;
use crate::discover::web::Web;

/// Looks up a variable of the environment; an empty one counts as missing.
#[derive(Clone)]
pub(super) struct Variables(Arc<LookUp>);

type LookUp = dyn Fn(&str) -> Option<String> + Send + Sync;

impl Variables {
    /// Those of this process.
    pub(super) fn of_the_process() -> Self {
        Self(Arc::new(|name| std::env::var(name).ok()))
    }

    pub(super) fn get(&self, name: &str) -> Option<String> {
        (self.0)(name).filter(|value| !value.is_empty())
    }

    /// The file that the variable names, or the usual one below the home folder.
    pub(super) fn file(&self, name: &str, usual: &str) -> Option<PathBuf> {
        let named = self.get(name).map(PathBuf::from);
        named.or_else(|| Some(PathBuf::from(self.get("HOME")?).join(usual)))
    }

    #[cfg(test)]
    pub(super) fn these(pairs: &[(&str, &str)]) -> Self {
        let pairs = pairs.iter().map(|(name, value)| (*name, *value));
        let map: std::collections::BTreeMap<String, String> = pairs
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        Self(Arc::new(move |name| map.get(name).cloned()))
    }
}

impl fmt::Debug for Variables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Variables")
    }
}

/// The environment, and the ways out.
#[derive(Clone)]
pub(super) struct Surroundings {
    pub(super) variables: Variables,
    pub(super) web: Web,
    pub(super) imds: Imds,
}

impl Surroundings {
    pub(super) fn new(variables: Variables) -> Self {
        let web = Web::public();
        Self {
            imds: Imds::new(&variables, web.clone()),
            web,
            variables,
        }
    }
}
