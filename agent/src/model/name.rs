//! A checked DNS label: names of nodes, stacks and data centers.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A DNS label (RFC 1123 section 2.1): 1 to 63 of `a-z`, `0-9` and `-`, not starting or ending
/// with `-`. Upper case is folded to lower case.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(String);

/// Why a text is not a [`Name`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{found:?} is not a name: use 1 to 63 of a-z, 0-9 and '-', not starting or ending with '-'"
)]
pub struct NameError {
    /// The text as it was given, cut to 80 characters.
    pub found: String,
}

impl Name {
    /// Checks and folds `text`.
    pub fn new(text: &str) -> Result<Self, NameError> {
        let fine = (1..=63).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !text.starts_with('-')
            && !text.ends_with('-');
        if fine {
            Ok(Self(text.to_ascii_lowercase()))
        } else {
            Err(NameError {
                found: text.chars().take(80).collect(),
            })
        }
    }

    /// The label.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Name {
    type Error = NameError;
    fn try_from(text: String) -> Result<Self, NameError> {
        Self::new(&text)
    }
}

impl std::str::FromStr for Name {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::new(text)
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_dns_label_in_lower_case() {
        assert_eq!(Name::new("Web-1").unwrap().as_str(), "web-1");
        for bad in ["", "-a", "a-", "a.b", "a_b", "ä", &"x".repeat(64)] {
            assert!(Name::new(bad).is_err(), "{bad:?} must be refused");
        }
    }
}
