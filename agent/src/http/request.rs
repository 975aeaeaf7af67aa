//! A request, taken apart once.

use bytes::Bytes;

use super::caller::Caller;
use super::query::{Query, decode};
use super::reply::Problem;

/// Headers that a handler may look at, or that go along when a worker hands a request to a server.
/// Credentials are not among them: they count on the connection that they came on.
const CARRIED: [&str; 2] = ["accept", "cache-control"];

/// A request whose body has been read.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) method: String,
    /// Path and query as they came.
    pub(super) uri: String,
    /// The path, percent-decoded whole: `//` and `..` stay as they are.
    pub(super) path: String,
    /// Where in `path` the argument begins.
    pub(super) tail_at: usize,
    pub(super) query: Query,
    /// Lower-case names.
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Bytes,
    pub(super) caller: Caller,
}

impl Request {
    /// Takes the head apart. The body comes later, once it is known how much is allowed.
    pub(super) fn new(
        method: &str,
        uri: &str,
        headers: Vec<(String, String)>,
        caller: Caller,
    ) -> Result<Self, Problem> {
        let (path, query) = uri.split_once('?').unwrap_or((uri, ""));
        let path = decode(path)
            .and_then(|bytes| String::from_utf8(bytes).ok())
            .ok_or_else(|| Problem::Bad("Invalid URL path: a broken escape or no UTF-8".into()))?;
        if path.chars().any(char::is_control) {
            return Err(Problem::Bad(
                "URL path contains non-printable characters".into(),
            ));
        }
        Ok(Self {
            method: method.to_owned(),
            uri: uri.to_owned(),
            tail_at: path.len(),
            path,
            query: Query::parse(query).ok_or(Problem::Query)?,
            headers: headers
                .into_iter()
                .filter(|(name, _)| CARRIED.contains(&name.as_str()))
                .collect(),
            body: Bytes::new(),
            caller,
        })
    }

    /// What follows the endpoint's prefix, slashes included.
    pub(super) fn tail(&self) -> &str {
        self.path.get(self.tail_at..).unwrap_or_default()
    }

    /// The tail, or a 400 with `missing`.
    pub(super) fn argument(&self, missing: &str) -> Result<&str, Problem> {
        match self.tail() {
            "" => Err(Problem::Bad(missing.to_owned())),
            tail => Ok(tail),
        }
    }

    /// Whether the client wants JSON that people can read.
    pub(super) fn pretty(&self) -> bool {
        self.query.has("pretty")
    }

    /// A header that is carried.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let mut all = self.headers.iter();
        all.find(|(have, _)| have == name)
            .map(|(_, value)| value.as_str())
    }
}

/// Go's `strconv.ParseBool`.
pub(super) fn parse_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Some(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Some(false),
        _ => None,
    }
}

/// Go's `strconv.ParseUint(text, 10, 64)`, whose texts clients show.
pub(super) fn parse_uint(text: &str) -> Result<u64, Problem> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let why = if digits {
        "value out of range"
    } else {
        "invalid syntax"
    };
    let parsed = if digits { text.parse().ok() } else { None };
    parsed.ok_or_else(|| Problem::Bad(format!("strconv.ParseUint: parsing {text:?}: {why}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(uri: &str) -> Result<String, Problem> {
        Request::new("GET", uri, Vec::new(), Caller::plain()).map(|request| request.path)
    }

    #[test]
    fn the_path_is_decoded_whole_and_never_cleaned() {
        assert_eq!(path("/v1/kv/a%2Fb//../c%25").unwrap(), "/v1/kv/a/b//../c%");
        assert_eq!(path("/v1/kv/%C3%A4+b").unwrap(), "/v1/kv/ä+b");
        assert!(path("/v1/kv/%ff").is_err());
        assert!(path("/v1/kv/%0a").is_err());
        assert!(matches!(path("/v1/kv/a?x=%"), Err(Problem::Query)));
    }

    #[test]
    fn numbers_are_read_as_go_reads_them() {
        assert_eq!(parse_uint("18446744073709551615").unwrap(), u64::MAX);
        for bad in ["", "-1", "+1", "1.5", "x", "18446744073709551616"] {
            assert!(parse_uint(bad).is_err(), "{bad:?}");
        }
    }
}
