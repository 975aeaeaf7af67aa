//! Percent-decoding and query parameters, as Go's `net/url` reads them.

use std::fmt::Write as _;

/// Query parameters in the order given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    /// Parses `text`; `None` if an escape is broken or a `;` separates parameters.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut pairs = Vec::new();
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            if pair.contains(';') {
                return None;
            }
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let [key, value] = [key, value].map(|part| {
                decode(&part.replace('+', " "))
                    .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            });
            pairs.push((key?, value?));
        }
        Some(Self(pairs))
    }

    /// Whether the key is there, whatever its value: `?stale`, `?stale=` and `?stale=0` are one.
    pub(super) fn has(&self, key: &str) -> bool {
        self.0.iter().any(|(name, _)| name == key)
    }

    /// The first value of `key`.
    pub(super) fn get(&self, key: &str) -> Option<&str> {
        self.all(key).next()
    }

    /// The first value of `key`, unless empty.
    pub(super) fn some(&self, key: &str) -> Option<&str> {
        self.get(key).filter(|value| !value.is_empty())
    }

    /// All values of `key`.
    pub(super) fn all(&self, key: &str) -> impl Iterator<Item = &str> {
        self.0
            .iter()
            .filter(move |(name, _)| name == key)
            .map(|(_, value)| value.as_str())
    }

    /// The parameters sorted by key and escaped anew (Go's `Values.Encode`).
    pub(super) fn encode(&self) -> String {
        let mut pairs: Vec<_> = self.0.iter().collect();
        pairs.sort_by(|a, b| a.0.cmp(&b.0));
        let parts: Vec<_> = pairs
            .into_iter()
            .map(|(key, value)| format!("{}={}", encode(key), encode(value)))
            .collect();
        parts.join("&")
    }
}

/// Undoes percent-encoding; `None` if an escape is broken.
pub(super) fn decode(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let high = char::from(bytes.next()?).to_digit(16)?;
            let low = char::from(bytes.next()?).to_digit(16)?;
            out.push(u8::try_from(high * 16 + low).ok()?);
        } else {
            out.push(byte);
        }
    }
    Some(out)
}

fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                out.push(char::from(byte));
            }
            b' ' => out.push('+'),
            // Writing to a string can't fail.
            other => drop(write!(out, "%{other:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn presence_counts_and_values_repeat() {
        let query = Query::parse("stale&tag=a&tag=b+c%2F&index=").unwrap();
        assert!(query.has("stale") && query.has("index") && !query.has("wait"));
        assert_eq!(query.all("tag").collect::<Vec<_>>(), ["a", "b c/"]);
        assert_eq!(query.some("index"), None);
    }

    #[test]
    fn broken_queries_are_refused() {
        for bad in ["a=%", "a=%1", "a=%zz", "a=1;b=2"] {
            assert_eq!(Query::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn encoding_sorts_by_key() {
        let query = Query::parse("release=y&acquire=a%20b&cas").unwrap();
        assert_eq!(query.encode(), "acquire=a+b&cas=&release=y");
    }
}
