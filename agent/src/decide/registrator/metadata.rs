//! `SERVICE_*`: what environment and labels say about a port's service.

use std::collections::BTreeMap;

use super::Complaints;
use crate::model::{META_PAIRS, meta_problem};

const PREFIX: &str = "SERVICE_";
/// These shape the service; all else becomes its metadata.
const CONSUMED: [&str; 3] = ["name", "id", "tags"];
/// Longer values are left out: all services of a node must fit into one message.
const LONGEST: usize = 8192;

/// The keys that count for one port, in lower case and without prefixes.
#[derive(Clone, Debug, Default)]
pub(super) struct Metadata {
    values: BTreeMap<String, Value>,
}

#[derive(Clone, Debug)]
struct Value {
    text: String,
    /// It was said of this port alone.
    own: bool,
}

/// Whether an environment variable or a label has a say here at all.
#[must_use]
pub fn is_ours(key: &str) -> bool {
    key.starts_with(PREFIX)
}

impl Metadata {
    /// What counts for `port` of `pairs`: later ones win, but what is said of the port alone wins
    /// over all that is said of every port.
    pub(super) fn read<'a>(
        pairs: impl Iterator<Item = (&'a str, &'a str)>,
        port: u16,
        complaints: &mut Complaints<'_>,
    ) -> Self {
        let mut values: BTreeMap<String, Value> = BTreeMap::new();
        let port = port.to_string();
        for (key, text) in pairs {
            let Some(key) = key.strip_prefix(PREFIX) else {
                continue;
            };
            if key.len().max(text.len()) > LONGEST {
                let key = show(key);
                complaints.add(format!(
                    "SERVICE_{key} is left out: it is longer than {LONGEST} bytes"
                ));
                continue;
            }
            let key = key.to_lowercase();
            let (key, own) = match key.split_once('_') {
                Some((number, rest)) if number.parse::<i64>().is_ok() => {
                    if number != port {
                        continue;
                    }
                    (rest.to_owned(), true)
                }
                _ => (key, false),
            };
            if own || values.get(&key).is_none_or(|before| !before.own) {
                let text = text.to_owned();
                values.insert(key, Value { text, own });
            }
        }
        Self { values }
    }

    /// The value of a key; an empty one is none.
    pub(super) fn get(&self, key: &str) -> Option<&str> {
        let value = self.values.get(key)?;
        (!value.text.is_empty()).then_some(value.text.as_str())
    }

    /// Whether a key was said of this port alone.
    pub(super) fn is_own(&self, key: &str) -> bool {
        self.values.get(key).is_some_and(|value| value.own)
    }

    /// The service's metadata, without what the catalog would refuse.
    pub(super) fn meta(&self, complaints: &mut Complaints<'_>) -> BTreeMap<String, String> {
        let mut meta = BTreeMap::new();
        for (key, value) in &self.values {
            if CONSUMED.contains(&key.as_str()) {
                continue;
            }
            // Keys are shown, values never: people put all kinds of things there.
            if let Some(problem) = meta_problem(key, &value.text) {
                complaints.add(format!("SERVICE_{} is left out: {problem}", show(key)));
            } else if meta.len() == META_PAIRS {
                let what = "is left out: a service has at most";
                complaints.add(format!("SERVICE_{} {what} {META_PAIRS} of them", show(key)));
            } else {
                meta.insert(key.clone(), value.text.clone());
            }
        }
        meta
    }
}

fn show(key: &str) -> String {
    key.chars().take(40).collect::<String>().to_uppercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)], port: u16) -> Metadata {
        Metadata::read(
            pairs.iter().copied(),
            port,
            &mut Complaints::new("web", &mut Vec::new()),
        )
    }

    #[test]
    fn which_value_counts() {
        type Case<'a> = (&'a [(&'a str, &'a str)], &'a str, Option<&'a str>);
        let cases: [Case<'_>; 11] = [
            (&[("SERVICE_NAME", "web")], "name", Some("web")),
            (&[("SERVICE_Name", "web")], "name", Some("web")),
            (&[("service_name", "web")], "name", None),
            (&[("SERVICE_NAME", "")], "name", None),
            (
                &[("SERVICE_NAME", "a"), ("SERVICE_NAME", "b")],
                "name",
                Some("b"),
            ),
            (
                &[("SERVICE_80_NAME", "a"), ("SERVICE_NAME", "b")],
                "name",
                Some("a"),
            ),
            (
                &[("SERVICE_NAME", "b"), ("SERVICE_80_NAME", "a")],
                "name",
                Some("a"),
            ),
            (
                &[("SERVICE_80_NAME", "a"), ("SERVICE_80_NAME", "b")],
                "name",
                Some("b"),
            ),
            (&[("SERVICE_81_NAME", "a")], "name", None),
            (&[("SERVICE_080_NAME", "a")], "name", None),
            (
                &[("SERVICE_NAME", "b"), ("SERVICE_80_NAME", "")],
                "name",
                None,
            ),
        ];
        for (pairs, key, wanted) in cases {
            assert_eq!(read(pairs, 80).get(key), wanted, "{pairs:?}");
        }
        assert!(read(&[("SERVICE_80_NAME", "a")], 80).is_own("name"));
        assert!(!read(&[("SERVICE_NAME", "a")], 80).is_own("name"));
    }

    #[test]
    fn all_else_becomes_metadata_and_what_the_catalog_refuses_is_left_out() {
        let long = "x".repeat(513);
        let pairs = [
            ("SERVICE_NAME", "n"),
            ("SERVICE_80_ID", "i"),
            ("SERVICE_TAGS", "t"),
            ("SERVICE_REGION", "eu"),
            ("SERVICE_80_REGION", "us"),
            ("SERVICE_CHECK_HTTP", "/health"),
            ("SERVICE_EMPTY", ""),
            ("SERVICE_A.B", "c"),
            ("SERVICE_LONG", &long),
            ("SERVICE_", "nothing"),
            ("SERVICE_81_X", "of another port"),
        ];
        let mut said = Vec::new();
        let meta = read(&pairs, 80).meta(&mut Complaints::new("web", &mut said));
        let wanted = [("check_http", "/health"), ("empty", ""), ("region", "us")];
        let wanted = wanted.map(|(key, value)| (key.to_owned(), value.to_owned()));
        assert_eq!(meta, BTreeMap::from(wanted));
        assert_eq!(said.len(), 3, "{said:?}");
        assert!(said[1].contains("SERVICE_A.B") && !said.concat().contains("xxx"));
    }

    #[test]
    fn endless_values_are_no_values() {
        let endless = "a,".repeat(LONGEST);
        let mut said = Vec::new();
        let pairs = [("SERVICE_TAGS", endless.as_str())].into_iter();
        let read = Metadata::read(pairs, 80, &mut Complaints::new("web", &mut said));
        assert_eq!((read.get("tags"), said.len()), (None, 1));
    }

    #[test]
    fn no_more_metadata_than_a_service_may_have() {
        let many: Vec<(String, String)> = (0..70)
            .map(|number| (format!("SERVICE_K{number}"), String::new()))
            .collect();
        let pairs = many
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()));
        let mut said = Vec::new();
        let mut complaints = Complaints::new("web", &mut said);
        let meta = Metadata::read(pairs, 80, &mut complaints).meta(&mut complaints);
        assert_eq!((meta.len(), said.len()), (META_PAIRS, 70 - META_PAIRS));
    }
}
