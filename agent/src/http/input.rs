//! JSON bodies, read as Go reads them: keys in any case, `null` as absent, unknown keys ignored.
//! Underscores in keys don't count either, which covers Consul's snake-case aliases.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value};

use super::reply::Problem;
use crate::config::duration;

/// One JSON object of a request.
#[derive(Clone, Debug, Default)]
pub(super) struct Object(BTreeMap<String, Value>);

/// Folds a key: `tagged_addresses` and `TaggedAddresses` are one.
fn fold(key: &str) -> String {
    key.chars()
        .filter(|c| *c != '_')
        .flat_map(char::to_lowercase)
        .collect()
}

fn wrong(key: &str, found: &Value, wanted: &str) -> Problem {
    let found = match found {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    };
    Problem::Bad(format!(
        "Request decode failed: {key} is {found}, want {wanted}"
    ))
}

impl Object {
    /// Parses a body. An empty body is an error: see [`Self::parse_or_empty`].
    pub(super) fn parse(body: &[u8]) -> Result<Self, Problem> {
        if body.is_empty() {
            return Err(Problem::Bad("Request decode failed: EOF".into()));
        }
        let value: Value = serde_json::from_slice(body)
            .map_err(|error| Problem::Bad(format!("Request decode failed: {error}")))?;
        match value {
            Value::Object(map) => Ok(Self::fold(map)),
            other => Err(wrong("the body", &other, "an object")),
        }
    }

    /// Parses a body that may be left out.
    pub(super) fn parse_or_empty(body: &[u8]) -> Result<Self, Problem> {
        if body.is_empty() {
            Ok(Self::default())
        } else {
            Self::parse(body)
        }
    }

    fn fold(map: Map<String, Value>) -> Self {
        let present = map.into_iter().filter(|(_, value)| !value.is_null());
        Self(present.map(|(key, value)| (fold(&key), value)).collect())
    }

    fn value(&self, key: &str) -> Option<&Value> {
        self.0.get(&fold(key))
    }

    /// Whether the key is there and not null.
    pub(super) fn has(&self, key: &str) -> bool {
        self.value(key).is_some()
    }

    /// Whether there is nothing in it.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A string; empty if absent.
    pub(super) fn text(&self, key: &str) -> Result<String, Problem> {
        match self.value(key) {
            None => Ok(String::new()),
            Some(Value::String(text)) => Ok(text.clone()),
            Some(other) => Err(wrong(key, other, "a string")),
        }
    }

    /// A boolean; false if absent.
    pub(super) fn flag(&self, key: &str) -> Result<bool, Problem> {
        match self.value(key) {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(other) => Err(wrong(key, other, "a boolean")),
        }
    }

    /// A whole number that fits `T`; `T::default()` if absent.
    pub(super) fn number<T: TryFrom<u64> + Default>(&self, key: &str) -> Result<T, Problem> {
        let Some(value) = self.value(key) else {
            return Ok(T::default());
        };
        value
            .as_u64()
            .and_then(|number| T::try_from(number).ok())
            .ok_or_else(|| {
                Problem::Bad(format!(
                    "Request decode failed: {key} is {value}, want a whole number in range"
                ))
            })
    }

    /// A duration: Go syntax, or nanoseconds. `None` if absent or an empty string.
    pub(super) fn duration(&self, key: &str) -> Result<Option<Duration>, Problem> {
        match self.value(key) {
            None => Ok(None),
            Some(Value::String(text)) if text.is_empty() => Ok(None),
            Some(Value::String(text)) => duration::parse(text)
                .map(Some)
                .map_err(|error| Problem::Bad(format!("Request decode failed: {key}: {error}"))),
            Some(number) => number
                .as_u64()
                .or_else(|| number.as_f64().filter(|n| *n >= 0.0).map(|n| n as u64))
                .map(|nanos| Some(Duration::from_nanos(nanos)))
                .ok_or_else(|| wrong(key, number, "a duration such as \"10s\"")),
        }
    }

    /// A list of strings; empty if absent.
    pub(super) fn texts(&self, key: &str) -> Result<Vec<String>, Problem> {
        match self.value(key) {
            None => Ok(Vec::new()),
            Some(list @ Value::Array(items)) => items
                .iter()
                .map(|item| item.as_str().map(str::to_owned))
                .collect::<Option<_>>()
                .ok_or_else(|| wrong(key, list, "a list of strings")),
            Some(other) => Err(wrong(key, other, "a list of strings")),
        }
    }

    /// A map of strings; its keys are the user's and stay as they are.
    pub(super) fn map(&self, key: &str) -> Result<BTreeMap<String, String>, Problem> {
        self.entries(key)?
            .into_iter()
            .map(|(name, value)| match value {
                Value::String(text) => Ok((name, text)),
                Value::Null => Ok((name, String::new())),
                other => Err(wrong(&format!("{key}.{name}"), &other, "a string")),
            })
            .collect()
    }

    /// A map of lists of strings, as HTTP headers are; a single string counts as a list of one.
    pub(super) fn lists(&self, key: &str) -> Result<BTreeMap<String, Vec<String>>, Problem> {
        self.entries(key)?
            .into_iter()
            .map(|(name, value)| {
                let list = match &value {
                    Value::String(text) => Some(vec![text.clone()]),
                    Value::Array(items) => items
                        .iter()
                        .map(|item| item.as_str().map(str::to_owned))
                        .collect(),
                    _ => None,
                };
                let list = list
                    .ok_or_else(|| wrong(&format!("{key}.{name}"), &value, "a list of strings"))?;
                Ok((name, list))
            })
            .collect()
    }

    /// A map of objects; its keys are the user's.
    pub(super) fn objects_by_name(&self, key: &str) -> Result<BTreeMap<String, Self>, Problem> {
        self.entries(key)?
            .into_iter()
            .map(|(name, value)| match value {
                Value::Object(map) => Ok((name, Self::fold(map))),
                other => Err(wrong(&format!("{key}.{name}"), &other, "an object")),
            })
            .collect()
    }

    /// An object; `None` if absent.
    pub(super) fn object(&self, key: &str) -> Result<Option<Self>, Problem> {
        match self.value(key) {
            None => Ok(None),
            Some(Value::Object(map)) => Ok(Some(Self::fold(map.clone()))),
            Some(other) => Err(wrong(key, other, "an object")),
        }
    }

    /// A list of objects; empty if absent. Nulls in it are skipped.
    pub(super) fn objects(&self, key: &str) -> Result<Vec<Self>, Problem> {
        match self.value(key) {
            None => Ok(Vec::new()),
            Some(Value::Array(items)) => items
                .iter()
                .filter(|item| !item.is_null())
                .map(|item| match item {
                    Value::Object(map) => Ok(Self::fold(map.clone())),
                    other => Err(wrong(key, other, "a list of objects")),
                })
                .collect(),
            Some(other) => Err(wrong(key, other, "a list of objects")),
        }
    }

    fn entries(&self, key: &str) -> Result<Map<String, Value>, Problem> {
        match self.value(key) {
            None => Ok(Map::new()),
            Some(Value::Object(map)) => Ok(map.clone()),
            Some(other) => Err(wrong(key, other, "an object")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(text: &str) -> Object {
        Object::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn keys_match_in_any_case_and_form_but_maps_keep_theirs() {
        let input =
            object(r#"{"enable_tag_override":true,"NAME":"x","Meta":{"Some_Key":"v"},"New":1}"#);
        assert!(input.flag("EnableTagOverride").unwrap());
        assert_eq!(input.text("Name").unwrap(), "x");
        assert_eq!(input.map("meta").unwrap()["Some_Key"], "v");
    }

    #[test]
    fn durations_are_text_or_nanoseconds() {
        let input = object(r#"{"a":"1m30s","b":1500000000,"c":"","d":null,"e":"10"}"#);
        assert_eq!(input.duration("A").unwrap(), Some(Duration::from_secs(90)));
        assert_eq!(
            input.duration("B").unwrap(),
            Some(Duration::from_millis(1500))
        );
        assert_eq!(input.duration("C").unwrap(), None);
        assert_eq!(input.duration("D").unwrap(), None);
        assert!(input.duration("E").is_err());
    }

    #[test]
    fn wrong_types_name_the_key() {
        let error = object(r#"{"Name":3}"#).text("Name").unwrap_err();
        assert_eq!(
            error.to_string(),
            "Request decode failed: Name is a number, want a string"
        );
        assert!(Object::parse(b"{").is_err());
        assert!(Object::parse(b"[]").is_err());
        assert!(Object::parse(b"").is_err());
        assert!(Object::parse_or_empty(b"").unwrap().is_empty());
    }
}
