//! Typed fields of the tree.

use super::complaints::Complaints;
use super::error::Problem;
use super::guess::{is_showable, unknown, words};
use super::syntax;
use super::tree::{Node, Value};

/// Longer texts are described, not quoted.
const MAX_QUOTE: usize = 40;

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
            let has_value = !matches!(node.value, Value::Null);
            let problem = unknown(name, known, has_value);
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
