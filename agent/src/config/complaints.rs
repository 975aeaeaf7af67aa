//! Collecting what is wrong, without secrets.

use super::error::{ConfigError, ConfigErrors, Problem};
use super::field::Field;
use super::tree::{self, Node, Value};

/// More than this help nobody, and each costs a look for its place.
const MAX_ERRORS: usize = 20;

/// What was found wrong so far.
#[derive(Default)]
pub(super) struct Complaints {
    list: Vec<(u32, String, Problem)>,
}

impl Complaints {
    pub(super) fn add(&mut self, at: u32, path: impl Into<String>, problem: Problem) {
        self.list.push((at, path.into(), problem));
    }

    pub(super) fn count(&self) -> usize {
        self.list.len()
    }

    pub(super) fn wrong(&mut self, field: &Field<'_>, expected: impl Into<String>) {
        let problem = Problem::Wrong {
            found: field.found(),
            expected: expected.into(),
        };
        self.add(field.place(), &field.path, problem);
    }

    /// The errors, in the file's order, with places and without secrets.
    pub(super) fn finish(mut self, file: &str, text: &str, root: &Node) -> Option<ConfigErrors> {
        if self.list.is_empty() {
            return None;
        }
        self.list.sort_by_key(|(at, ..)| *at);
        self.list.truncate(MAX_ERRORS);
        let mut secrets = Vec::new();
        collect_secrets(root, false, &mut secrets);
        let errors = self.list.into_iter().map(|(at, key, problem)| ConfigError {
            file: file.to_owned(),
            place: tree::locate(text, at),
            key: scrubbed_key(key, &secrets),
            problem: scrubbed(problem, &secrets),
        });
        Some(ConfigErrors(errors.collect()))
    }
}

/// Texts under keys that sound secret. A net under the rule that those are not quoted: the same
/// text may stand under another key by mistake.
fn collect_secrets<'t>(node: &'t Node, secret: bool, secrets: &mut Vec<&'t str>) {
    match &node.value {
        Value::Text(text) if secret && text.len() >= 4 => secrets.push(text),
        Value::List(items) => {
            for item in items {
                collect_secrets(item, secret, secrets);
            }
        }
        Value::Map(entries) => {
            for (key, value) in entries {
                let name = match &key.value {
                    Value::Text(name) => name.to_ascii_lowercase(),
                    _ => String::new(),
                };
                let secret = secret
                    || ["tok", "secret", "passw", "key", "cred"]
                        .iter()
                        .any(|word| name.contains(word));
                collect_secrets(value, secret, secrets);
            }
        }
        _ => {}
    }
}

fn is_clean(text: &str, secrets: &[&str]) -> bool {
    !secrets.iter().any(|secret| text.contains(secret))
}

fn scrubbed_key(key: String, secrets: &[&str]) -> String {
    if is_clean(&key, secrets) {
        key
    } else {
        "…".to_owned()
    }
}

fn scrubbed(problem: Problem, secrets: &[&str]) -> Problem {
    match problem {
        Problem::Wrong { found, expected } if !is_clean(&found, secrets) => Problem::Wrong {
            found: "a text that is a secret elsewhere in this file".to_owned(),
            expected,
        },
        Problem::UnknownKey { found, hint } => Problem::UnknownKey {
            found: found.filter(|key| is_clean(key, secrets)),
            hint,
        },
        other => other,
    }
}
