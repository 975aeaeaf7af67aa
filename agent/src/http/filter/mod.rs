//! `?filter=`: keeps those items of a list that an expression is true for
//! (<https://developer.hashicorp.com/consul/api-docs/features/filtering>).

mod parse;

#[cfg(test)]
mod tests;

use regex::Regex;
use serde::Serialize;
use serde_json::Value;

use super::reply::Problem;
use super::request::{Request, parse_bool};

/// Which items a list has, and so which fields an expression may name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    Node,
    /// A service with its node, flat.
    ServiceNode,
    Service,
    Check,
    /// A node, a service and their checks.
    Instance,
}

const NODE: &[&str] = &[
    "ID",
    "Node",
    "Address",
    "Datacenter",
    "TaggedAddresses",
    "Meta",
];
const SERVICE: &[&str] = &[
    "ID",
    "Service",
    "Kind",
    "Tags",
    "Address",
    "TaggedAddresses",
    "Meta",
    "Port",
    "Weights",
    "EnableTagOverride",
    "Connect",
    "Proxy",
    "Datacenter",
];
const SERVICE_NODE: &[&str] = &[
    "ID",
    "Node",
    "Address",
    "Datacenter",
    "TaggedAddresses",
    "NodeMeta",
    "ServiceKind",
    "ServiceID",
    "ServiceName",
    "ServiceTags",
    "ServiceAddress",
    "ServiceTaggedAddresses",
    "ServiceMeta",
    "ServicePort",
    "ServiceWeights",
    "ServiceEnableTagOverride",
    "ServiceConnect",
    "ServiceProxy",
];
const CHECK: &[&str] = &[
    "Node",
    "CheckID",
    "Name",
    "Status",
    "Notes",
    "Output",
    "ServiceID",
    "ServiceName",
    "ServiceTags",
    "Type",
    "Interval",
    "Timeout",
];

impl Shape {
    fn has(self, path: &[String]) -> bool {
        let first = path.first().map_or("", String::as_str);
        let rest = path.get(1..).unwrap_or_default();
        match self {
            Self::Node => NODE.contains(&first),
            Self::ServiceNode => SERVICE_NODE.contains(&first),
            Self::Service => SERVICE.contains(&first),
            Self::Check => CHECK.contains(&first),
            Self::Instance => match first {
                "Node" => rest.is_empty() || Self::Node.has(rest),
                "Service" => rest.is_empty() || Self::Service.has(rest),
                "Checks" => rest.is_empty() || Self::Check.has(rest),
                _ => false,
            },
        }
    }
}

/// An expression.
#[derive(Debug)]
enum Expression {
    Any(Vec<Self>),
    All(Vec<Self>),
    Not(Box<Self>),
    Match {
        path: Vec<String>,
        test: Test,
        /// `!=`, `not in` and so on.
        negated: bool,
    },
}

#[derive(Debug)]
enum Test {
    Equals(String),
    /// The text is in the list, is a part of the text, or is a key of the map.
    Holds(String),
    Empty,
    Matches(Regex),
}

/// Keeps the items that the request's filter, if it has one, is true for.
pub(super) fn keep<T: Serialize>(
    request: &Request,
    shape: Shape,
    items: &mut Vec<T>,
) -> Result<(), Problem> {
    keep_by(request, shape, items, |item| {
        serde_json::to_value(item).unwrap_or_default()
    })
}

/// The same for items that must be looked at through `view`.
pub(super) fn keep_by<T>(
    request: &Request,
    shape: Shape,
    items: &mut Vec<T>,
    view: impl Fn(&T) -> Value,
) -> Result<(), Problem> {
    let Some(text) = request.query.some("filter") else {
        return Ok(());
    };
    let expression = parse::parse(text, shape).map_err(|error| {
        Problem::Bad(format!(
            "Failed to create boolean expression evaluator: {error}"
        ))
    })?;
    items.retain(|item| expression.is_true_for(&view(item)));
    Ok(())
}

impl Expression {
    fn is_true_for(&self, item: &Value) -> bool {
        match self {
            Self::Any(parts) => parts.iter().any(|part| part.is_true_for(item)),
            Self::All(parts) => parts.iter().all(|part| part.is_true_for(item)),
            Self::Not(inner) => !inner.is_true_for(item),
            Self::Match {
                path,
                test,
                negated,
            } => holds(item, path, test, *negated),
        }
    }
}

/// A path through a list means any of its elements.
fn holds(value: &Value, path: &[String], test: &Test, negated: bool) -> bool {
    let Some((field, rest)) = path.split_first() else {
        return test.leaf(value) != negated;
    };
    match value {
        Value::Array(items) => items.iter().any(|item| holds(item, path, test, negated)),
        Value::Object(fields) => match fields.get(field) {
            Some(inner) => holds(inner, rest, test, negated),
            // What is not there is empty, and else nothing that could be asked for.
            None => matches!(test, Test::Empty) != negated,
        },
        _ => negated,
    }
}

impl Test {
    fn leaf(&self, value: &Value) -> bool {
        match (self, value) {
            (Self::Equals(text), Value::String(have)) => have == text,
            (Self::Equals(text), Value::Number(have)) => have.to_string() == *text,
            (Self::Equals(text), Value::Bool(have)) => parse_bool(text) == Some(*have),
            (Self::Holds(text), Value::String(have)) => have.contains(text.as_str()),
            (Self::Holds(text), Value::Array(have)) => {
                have.iter().any(|item| item.as_str() == Some(text))
            }
            (Self::Holds(text), Value::Object(have)) => have.contains_key(text),
            (Self::Empty, Value::String(have)) => have.is_empty(),
            (Self::Empty, Value::Array(have)) => have.is_empty(),
            (Self::Empty, Value::Object(have)) => have.is_empty(),
            (Self::Empty, Value::Null) => true,
            (Self::Matches(pattern), Value::String(have)) => pattern.is_match(have),
            _ => false,
        }
    }
}
