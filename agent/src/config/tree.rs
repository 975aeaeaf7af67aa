//! YAML as a tree of numbered nodes, read within limits. The only file that names `serde_yaml`.
//!
//! serde gives no places, but an error that is raised in a node carries the node's. So each node
//! has a number, and to learn a node's place the text is read once more with a tripwire there.

use std::fmt;

use serde::Deserializer;
use serde::de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor};

use super::error::{Place, Problem};
use super::syntax;

/// More than any real file has; an alias bomb has more.
const MAX_NODES: u32 = 10_000;
/// Of all texts together, aliases expanded.
const MAX_TEXT: usize = 1024 * 1024;
const MAX_DEPTH: u32 = 16;
const TOO_DEEP: &str = "nested deeper than 16 levels";
/// Brackets that are open at once; more than the depth, since some stand in quotes and comments.
const MAX_OPEN: usize = 1_000;
/// Of the file.
const MAX_BYTES: usize = 256 * 1024;

/// One value, or a key.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) number: u32,
    pub(super) value: Value,
}

/// What YAML knows.
#[derive(Debug)]
pub(super) enum Value {
    Null,
    Bool(bool),
    Whole(i128),
    Real(f64),
    Text(String),
    List(Vec<Node>),
    /// In the file's order; a key may be there twice.
    Map(Vec<(Node, Node)>),
}

/// Reads a whole file. An error quotes nothing.
pub(super) fn read(text: &str) -> Result<Node, (Option<Place>, Problem)> {
    if text.len() > MAX_BYTES {
        return Err((None, Problem::TooMuch("more than 256 KiB")));
    }
    if let Some(place) = syntax::too_deep(text, MAX_OPEN) {
        return Err((Some(place), Problem::TooMuch(TOO_DEEP)));
    }
    let mut walk = Walk::default();
    walk_over(text, &mut walk).map_err(|error| {
        let place = place_of(&error);
        match walk.refused {
            Some(problem) => (place, problem),
            None => syntax::problem(text, place, &error.to_string()),
        }
    })
}

/// Where the node with this number is.
pub(super) fn locate(text: &str, number: u32) -> Option<Place> {
    let mut walk = Walk {
        tripwire: Some(number),
        ..Walk::default()
    };
    walk_over(text, &mut walk).err().as_ref().and_then(place_of)
}

fn walk_over(text: &str, walk: &mut Walk) -> Result<Node, serde_yaml::Error> {
    let mut documents = serde_yaml::Deserializer::from_str(text);
    let Some(first) = documents.next() else {
        return Err(serde_yaml::Error::custom(syntax::NO_DOCUMENT));
    };
    let root = (&mut *walk).deserialize(first)?;
    match documents.next() {
        None => Ok(root),
        // Read only for its place; what is wrong is that it is there.
        Some(second) => {
            walk.tripwire = Some(walk.next);
            walk.deserialize(second)
        }
    }
}

fn place_of(error: &serde_yaml::Error) -> Option<Place> {
    error.location().map(|location| Place {
        line: location.line(),
        column: location.column(),
    })
}

/// One way through the file, every node in order.
#[derive(Default)]
struct Walk {
    next: u32,
    depth: u32,
    text: usize,
    tripwire: Option<u32>,
    refused: Option<Problem>,
}

impl Walk {
    fn refuse<E: serde::de::Error>(&mut self, what: &'static str) -> E {
        self.refused = Some(Problem::TooMuch(what));
        E::custom("too much")
    }

    /// Every value comes through here once.
    fn node<E: serde::de::Error>(&mut self, value: Value) -> Result<Node, E> {
        Ok(Node {
            number: self.number()?,
            value,
        })
    }

    fn number<E: serde::de::Error>(&mut self) -> Result<u32, E> {
        let number = self.next;
        if self.tripwire == Some(number) {
            self.refused = Some(Problem::Syntax(syntax::TWO_DOCUMENTS));
            return Err(E::custom("here"));
        }
        if number >= MAX_NODES {
            return Err(self.refuse("more than 10,000 values (are there aliases of aliases?)"));
        }
        self.next += 1;
        Ok(number)
    }

    fn deeper<E: serde::de::Error>(&mut self) -> Result<u32, E> {
        let number = self.number()?;
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(self.refuse(TOO_DEEP));
        }
        Ok(number)
    }
}

impl<'de> DeserializeSeed<'de> for &mut Walk {
    type Value = Node;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for &mut Walk {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("YAML")
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<Node, E> {
        self.node(Value::Null)
    }

    fn visit_none<E: serde::de::Error>(self) -> Result<Node, E> {
        self.node(Value::Null)
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<Node, E> {
        self.node(Value::Bool(value))
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Node, E> {
        self.node(Value::Whole(value.into()))
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Node, E> {
        self.node(Value::Whole(value.into()))
    }

    fn visit_i128<E: serde::de::Error>(self, value: i128) -> Result<Node, E> {
        self.node(Value::Whole(value))
    }

    fn visit_u128<E: serde::de::Error>(self, value: u128) -> Result<Node, E> {
        self.node(Value::Whole(i128::try_from(value).unwrap_or(i128::MAX)))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Node, E> {
        self.node(Value::Real(value))
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<Node, E> {
        self.text = self.text.saturating_add(value.len());
        if self.text > MAX_TEXT {
            return Err(self.refuse("more than 1 MiB once its aliases are expanded"));
        }
        self.node(Value::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Node, A::Error> {
        let number = self.deeper()?;
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(&mut *self)? {
            list.push(item);
        }
        self.depth -= 1;
        let value = Value::List(list);
        Ok(Node { number, value })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Node, A::Error> {
        let number = self.deeper()?;
        let mut map = Vec::new();
        while let Some(key) = entries.next_key_seed(&mut *self)? {
            map.push((key, entries.next_value_seed(&mut *self)?));
        }
        self.depth -= 1;
        let value = Value::Map(map);
        Ok(Node { number, value })
    }

    fn visit_enum<A: serde::de::EnumAccess<'de>>(self, _tagged: A) -> Result<Node, A::Error> {
        self.refused = Some(Problem::Syntax(syntax::TAG));
        Err(A::Error::custom("tag"))
    }
}
