//! Secrets, and where the configuration says that they are.

use std::fmt;

/// A text that is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps `text`.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text. Whoever takes it out must not print it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

/// Where a secret is to be found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretSource {
    /// In the configuration itself.
    Literal(Secret),
    /// `file:/path`: the content of a file, without white space around it.
    File(String),
    /// `${NAME}`: a variable of the agent's environment.
    Environment(String),
    /// `ssm:NAME`, `secretsmanager:NAME`, `guestinfo:KEY`: whoever runs the machine keeps it. Only
    /// for the token: the agent fetches it while it starts.
    Kept(Keeper, String),
}

/// Who keeps a secret that is not on this host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keeper {
    /// AWS Systems Manager's Parameter Store.
    Ssm,
    /// AWS Secrets Manager.
    SecretsManager,
    /// The VM's own `guestinfo.KEY`, which is wiped when it was read.
    Guestinfo,
}

const KEEPERS: [(&str, Keeper); 3] = [
    ("ssm", Keeper::Ssm),
    ("secretsmanager", Keeper::SecretsManager),
    ("guestinfo", Keeper::Guestinfo),
];

/// As it is written, but for a literal.
impl fmt::Display for SecretSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Literal(_) => f.write_str("[secret]"),
            Self::File(path) => write!(f, "file:{path}"),
            Self::Environment(name) => write!(f, "${{{name}}}"),
            Self::Kept(keeper, name) => {
                let word = KEEPERS.iter().find(|(_, one)| one == keeper);
                write!(f, "{}:{name}", word.map_or("", |(word, _)| word))
            }
        }
    }
}

/// Why there is no secret where the configuration says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// No such variable.
    #[error("the environment has no variable {0}, from which the secret should come")]
    NotSet(String),
    /// The file can't be read.
    #[error("can't read the secret from {path}: {reason}")]
    Unreadable {
        /// The file.
        path: String,
        /// What the system said.
        reason: String,
    },
    /// It is not on this host.
    #[error("{0} is for the token only")]
    Elsewhere(String),
    /// There is nothing in it.
    #[error("the secret in {0} is empty")]
    Empty(String),
}

impl SecretSource {
    /// Reads what the configuration says of the token; `None`: it is none of the forms.
    pub(super) fn read_token(text: &str) -> Option<Self> {
        let kept = KEEPERS.iter().find_map(|(word, keeper)| {
            let name = text.strip_prefix(word)?.strip_prefix(':')?;
            Some((*keeper, name))
        });
        let Some((keeper, name)) = kept else {
            return Self::read(text);
        };
        let fine = match keeper {
            // It becomes one word of a command.
            Keeper::Guestinfo => |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b),
            // Names and ARNs (ssm: `a-zA-Z0-9_.-/`, secretsmanager: `/_+=.@-`).
            Keeper::Ssm | Keeper::SecretsManager => {
                |b: u8| b.is_ascii_alphanumeric() || b"/_+=.@:-".contains(&b)
            }
        };
        let fits = (1..=2048).contains(&name.len()) && name.bytes().all(fine);
        fits.then(|| Self::Kept(keeper, name.to_owned()))
    }

    /// Reads what the configuration says; `None`: it is none of the three local forms.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        if let Some(path) = text.strip_prefix("file:") {
            return path.starts_with('/').then(|| Self::File(path.to_owned()));
        }
        if let Some(rest) = text.strip_prefix("${") {
            let name = rest.strip_suffix('}')?;
            let fine = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
                && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
            return fine.then(|| Self::Environment(name.to_owned()));
        }
        let fine = !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic());
        (fine && !text.contains("${")).then(|| Self::Literal(Secret::new(text)))
    }

    /// The secret. `environment` and `file` are how the caller reaches the world.
    pub fn resolve(
        &self,
        environment: impl Fn(&str) -> Option<String>,
        file: impl Fn(&str) -> Result<String, String>,
    ) -> Result<Secret, SecretError> {
        let (text, place) = match self {
            Self::Literal(secret) => return Ok(secret.clone()),
            Self::Kept(..) => return Err(SecretError::Elsewhere(self.to_string())),
            Self::File(path) => {
                let text = file(path).map_err(|reason| SecretError::Unreadable {
                    path: path.clone(),
                    reason,
                })?;
                (text, path)
            }
            Self::Environment(name) => {
                let text = environment(name).ok_or_else(|| SecretError::NotSet(name.clone()))?;
                (text, name)
            }
        };
        match text.trim() {
            "" => Err(SecretError::Empty(place.clone())),
            text => Ok(Secret::new(text)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_finds_its_secret() {
        let resolve = |text: &str| {
            let source = SecretSource::read(text).unwrap();
            source.resolve(
                |name| (name == "TOKEN").then(|| "from-env".to_owned()),
                |path| match path {
                    "/run/token" => Ok("from-file\n".to_owned()),
                    "/run/empty" => Ok("\n".to_owned()),
                    _ => Err("No such file".to_owned()),
                },
            )
        };
        let found = |text| resolve(text).unwrap().expose().to_owned();
        assert_eq!(found("plain"), "plain");
        assert_eq!(found("${TOKEN}"), "from-env");
        assert_eq!(found("file:/run/token"), "from-file");
        let error = |text| resolve(text).unwrap_err().to_string();
        assert!(error("${OTHER}").contains("no variable OTHER"));
        assert!(error("file:/x").contains("/x: No such file"));
        assert!(error("file:/run/empty").contains("is empty"));
        assert_eq!(
            format!("{:?}", SecretSource::read("s3cret")),
            "Some(Literal([secret]))"
        );
    }

    #[test]
    fn what_a_cloud_keeps_is_named_in_its_own_words() {
        let arn = "secretsmanager:arn:aws:secretsmanager:eu-west-1:123456789012:secret:a-b1";
        for text in [
            "ssm:/swarmer/token",
            "ssm:token",
            arn,
            "guestinfo:swarmer.token",
        ] {
            let source = SecretSource::read_token(text).unwrap();
            assert!(matches!(source, SecretSource::Kept(..)), "{text}");
            assert_eq!(source.to_string(), text);
            let none = source.resolve(|_| None, |_| Err(String::new()));
            assert_eq!(none, Err(SecretError::Elsewhere(text.to_owned())));
        }
        for bad in [
            "ssm:",
            "ssm:a b",
            "guestinfo:a/b",
            "guestinfo:",
            "secretsmanager:a'",
        ] {
            assert_eq!(SecretSource::read_token(bad), None, "{bad}");
        }
        let literal = SecretSource::read_token("s3cret").unwrap();
        assert_eq!(literal.to_string(), "[secret]");
    }

    #[test]
    fn half_a_form_is_no_secret() {
        for bad in [
            "",
            "file:relative",
            "${",
            "${}",
            "${1A}",
            "${A B}",
            "x${A}",
            "a b",
            "a\tb",
        ] {
            assert_eq!(SecretSource::read(bad), None, "{bad:?}");
        }
    }
}
