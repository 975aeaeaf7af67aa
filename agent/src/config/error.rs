//! What is wrong with a configuration. No text in here is ever a secret: see `Complaints`.

use std::fmt;

/// A place in the file, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The line.
    pub line: usize,
    /// The column, in characters.
    pub column: usize,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// The file as it was named.
    pub file: String,
    /// Where in it; `None`: nowhere in particular (a key is missing at the top).
    pub place: Option<Place>,
    /// The key's path (`listen.rpc`, `join[2]`); empty: the file as a whole.
    pub key: String,
    /// What is wrong.
    pub problem: Problem,
}

/// What can be wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// It is no YAML.
    #[error("not valid YAML: {0}")]
    Syntax(&'static str),
    /// It is larger than any configuration, or made to blow up.
    #[error("found {0}, which no configuration needs")]
    TooMuch(&'static str),
    /// No such key.
    #[error("unknown key{}, {hint}", .found.as_ref().map(|key| format!(" {key:?}")).unwrap_or_default())]
    UnknownKey {
        /// The key, if it can be shown.
        found: Option<String>,
        /// What may have been meant.
        hint: String,
    },
    /// The same key twice.
    #[error("found twice, expected once")]
    Twice,
    /// A key that must be there is not.
    #[error("missing, expected {expected}")]
    Missing {
        /// What should be there.
        expected: String,
    },
    /// A wrong type, form or range.
    #[error("found {found}, expected {expected}")]
    Wrong {
        /// What is there.
        found: String,
        /// What should be.
        expected: String,
    },
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(place) = self.place {
            write!(f, ":{}", place.line)?;
            // A key says where on its line it is; else the column must.
            if self.key.is_empty() {
                write!(f, ":{}", place.column)?;
            }
        }
        if !self.key.is_empty() {
            write!(f, ": {}", self.key)?;
        }
        write!(f, ": {}", self.problem)
    }
}

impl std::error::Error for ConfigError {}

/// Everything that is wrong, in the file's order, one line each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigErrors(pub Vec<ConfigError>);

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().enumerate().try_for_each(|(at, error)| {
            let separator = if at == 0 { "" } else { "\n" };
            write!(f, "{separator}{error}")
        })
    }
}

impl std::error::Error for ConfigErrors {}
