//! Reading typed fields out of the tree, and collecting what is wrong with them.

use super::error::{ConfigError, ConfigErrors, Problem};
use super::syntax;
use super::tree::{self, Node, Value};

/// More than this help nobody, and each costs a look for its place.
const MAX_ERRORS: usize = 20;
/// Longer texts are described, not quoted.
const MAX_QUOTE: usize = 40;

/// What was found wrong so far.
#[derive(Default)]
pub(super) struct Complaints {
    list: Vec<(u32, String, Problem)>,
}

impl Complaints {
    pub(super) fn add(&mut self, at: u32, path: impl Into<String>, problem: Problem) {
        self.list.push((at, path.into(), problem));
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
            key,
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

fn scrubbed(problem: Problem, secrets: &[&str]) -> Problem {
    let is_clean = |text: &String| !secrets.iter().any(|secret| text.contains(secret));
    match problem {
        Problem::Wrong { found, expected } if !is_clean(&found) => Problem::Wrong {
            found: "a text that is a secret elsewhere in this file".to_owned(),
            expected,
        },
        Problem::UnknownKey { found, hint } => Problem::UnknownKey {
            found: found.filter(is_clean),
            hint,
        },
        other => other,
    }
}

/// A value with its path.
#[derive(Clone)]
pub(super) struct Field<'t> {
    pub(super) path: String,
    key: u32,
    node: &'t Node,
}

impl<'t> Field<'t> {
    /// For messages: the value's line, or its key's where the value has several or none.
    pub(super) fn place(&self) -> u32 {
        match self.node.value {
            Value::Null | Value::List(_) | Value::Map(_) => self.key,
            _ => self.node.number,
        }
    }

    /// For messages: short values as they are.
    pub(super) fn found(&self) -> String {
        match &self.node.value {
            Value::Null => "nothing".to_owned(),
            Value::Bool(value) => value.to_string(),
            Value::Whole(value) => value.to_string(),
            Value::Real(value) => value.to_string(),
            Value::Text(text) if text.chars().count() > MAX_QUOTE => {
                format!("a text of {} characters", text.chars().count())
            }
            Value::Text(text) => format!("{text:?}"),
            Value::List(_) => "a list".to_owned(),
            Value::Map(_) => "a map".to_owned(),
        }
    }

    /// For messages about secrets.
    pub(super) fn kind(&self) -> &'static str {
        match &self.node.value {
            Value::Null => "nothing",
            Value::Bool(_) => "true or false",
            Value::Whole(_) | Value::Real(_) => "a number without quotes",
            Value::Text(text) if text.is_empty() => "an empty text",
            Value::Text(_) => "a text",
            Value::List(_) => "a list",
            Value::Map(_) => "a map",
        }
    }

    pub(super) fn text(&self) -> Option<&'t str> {
        match &self.node.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(super) fn is_null(&self) -> bool {
        matches!(self.node.value, Value::Null)
    }

    pub(super) fn flag(&self) -> Option<bool> {
        match self.node.value {
            Value::Bool(value) => Some(value),
            _ => None,
        }
    }

    pub(super) fn whole<T: TryFrom<i128>>(&self) -> Option<T> {
        match self.node.value {
            Value::Whole(value) => T::try_from(value).ok(),
            _ => None,
        }
    }

    /// 1 to 65535.
    pub(super) fn port(&self) -> Option<u16> {
        self.whole().filter(|port| *port != 0)
    }

    /// Its items, each with its own path.
    pub(super) fn items(&self) -> Option<Vec<Field<'t>>> {
        let Value::List(items) = &self.node.value else {
            return None;
        };
        let fields = items.iter().enumerate().map(|(at, node)| Field {
            path: format!("{}[{at}]", self.path),
            key: node.number,
            node,
        });
        Some(fields.collect())
    }
}

/// A map with known keys.
pub(super) struct Section<'t> {
    path: String,
    number: u32,
    fields: Vec<(&'t str, Field<'t>)>,
}

impl<'t> Section<'t> {
    /// The file itself; `None`, after a complaint, if it is no map.
    pub(super) fn root(
        node: &'t Node,
        known: &[&str],
        complaints: &mut Complaints,
    ) -> Option<Self> {
        let field = Field {
            path: String::new(),
            key: node.number,
            node,
        };
        if matches!(node.value, Value::Map(_)) {
            return Some(Self::open(&field, Some(known), complaints));
        }
        let problem = match node.value {
            Value::Null => Problem::Syntax(syntax::NO_DOCUMENT),
            _ => Problem::Wrong {
                found: field.kind().to_owned(),
                expected: "lines of \"key: value\", with a space after the ':'".to_owned(),
            },
        };
        complaints.add(node.number, "", problem);
        None
    }

    /// The section in `field`; where nothing stands, an empty one. Complains of other types, of keys
    /// that are there twice and, unless any is fine, of those that are not `known`.
    pub(super) fn open(
        field: &Field<'t>,
        known: Option<&[&str]>,
        complaints: &mut Complaints,
    ) -> Self {
        let mut section = Self {
            path: field.path.clone(),
            number: field.key,
            fields: Vec::new(),
        };
        let entries = match &field.node.value {
            Value::Map(entries) => entries.as_slice(),
            Value::Null => &[],
            _ => {
                let keys = known.map(|known| format!(" with {}", words(known)));
                let problem = Problem::Wrong {
                    // It may be anything, a secret too.
                    found: field.kind().to_owned(),
                    expected: format!("a map{}", keys.unwrap_or_default()),
                };
                complaints.add(field.place(), &field.path, problem);
                &[]
            }
        };
        for (key, node) in entries {
            section.enter(key, node, known, complaints);
        }
        section
    }

    fn enter(
        &mut self,
        key: &'t Node,
        node: &'t Node,
        known: Option<&[&str]>,
        complaints: &mut Complaints,
    ) {
        let at = key.number;
        let Value::Text(name) = &key.value else {
            let problem = Problem::UnknownKey {
                found: None,
                hint: "expected a text".to_owned(),
            };
            return complaints.add(at, &self.path, problem);
        };
        if let Some(known) = known.filter(|known| !known.contains(&name.as_str())) {
            let problem = Problem::UnknownKey {
                found: is_showable(name).then(|| name.clone()),
                hint: hint(name, known),
            };
            return complaints.add(at, &self.path, problem);
        }
        let path = self.path_of(name);
        if self.field(name).is_some() {
            return complaints.add(at, path, Problem::Twice);
        }
        let field = Field {
            path,
            key: key.number,
            node,
        };
        self.fields.push((name, field));
    }

    fn path_of(&self, name: &str) -> String {
        if !is_showable(name) {
            format!("{}[…]", self.path)
        } else if self.path.is_empty() {
            name.to_owned()
        } else {
            format!("{}.{name}", self.path)
        }
    }

    pub(super) fn field(&self, name: &str) -> Option<&Field<'t>> {
        let found = self.fields.iter().find(|(key, _)| *key == name);
        found.map(|(_, field)| field)
    }

    /// A field of a section in here, whatever else is right or wrong with it.
    pub(super) fn within(&self, section: &str, name: &str) -> Option<Field<'t>> {
        let field = self.field(section)?;
        let inner = Self::open(field, None, &mut Complaints::default());
        inner.field(name).cloned()
    }

    pub(super) fn fields(&self) -> &[(&'t str, Field<'t>)] {
        &self.fields
    }

    /// What `read` makes of a field. `None`: it is not there, or `read` made nothing of it, which
    /// is complained of.
    pub(super) fn get<T>(
        &self,
        name: &str,
        expected: &str,
        complaints: &mut Complaints,
        read: impl FnOnce(&Field<'t>) -> Option<T>,
    ) -> Option<T> {
        let field = self.field(name)?;
        let value = read(field);
        if value.is_none() {
            complaints.wrong(field, expected);
        }
        value
    }

    /// The same for a field that must be there.
    pub(super) fn require<T>(
        &self,
        name: &str,
        expected: &str,
        complaints: &mut Complaints,
        read: impl FnOnce(&Field<'t>) -> Option<T>,
    ) -> Option<T> {
        if self.field(name).is_none() {
            self.missing(name, expected, complaints);
        }
        self.get(name, expected, complaints, read)
    }

    pub(super) fn missing(&self, name: &str, expected: &str, complaints: &mut Complaints) {
        let problem = Problem::Missing {
            expected: expected.to_owned(),
        };
        complaints.add(self.number, self.path_of(name), problem);
    }
}

/// `a, b or c`.
pub(super) fn words(words: &[&str]) -> String {
    match words {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}

/// Whether a key can be shown: a secret in a wrong place doesn't look like this.
fn is_showable(name: &str) -> bool {
    (1..=24).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

fn hint(name: &str, known: &[&str]) -> String {
    let name = name.to_ascii_lowercase().replace('-', "_");
    let near = known.iter().map(|key| (distance(&name, key), *key)).min();
    match near {
        Some((distance, key)) if distance <= 1 + key.len() / 5 => format!("did you mean {key:?}?"),
        _ => format!("expected {}", words(known)),
    }
}

/// Levenshtein's, over bytes.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut last = i + 1;
        let mut diagonal = i;
        for (j, y) in b.bytes().enumerate() {
            let above = row.get(j + 1).copied().unwrap_or(usize::MAX - 1);
            let cost = (diagonal + usize::from(x != y))
                .min(above + 1)
                .min(last + 1);
            if let Some(cell) = row.get_mut(j) {
                *cell = last;
            }
            diagonal = above;
            last = cost;
        }
        if let Some(cell) = row.last_mut() {
            *cell = last;
        }
    }
    row.last().copied().unwrap_or(0)
}
