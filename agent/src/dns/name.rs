//! A domain name that we make ourselves, in wire form.

use std::fmt;

/// Longest name on the wire, in bytes, with the root's zero (RFC 1035 section 3.1).
const LONGEST_NAME: usize = 255;
/// Longest label, in bytes.
const LONGEST_LABEL: usize = 63;

/// An uncompressed domain name as it stands on the wire, the root's zero included.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct WireName(Vec<u8>);

impl WireName {
    /// Joins `labels`, leftmost first. `None` when a label or the whole is too long, or a label is
    /// empty: such a name can't be said in DNS.
    pub(super) fn of<'l>(labels: impl IntoIterator<Item = &'l [u8]>) -> Option<Self> {
        let mut bytes = Vec::with_capacity(48);
        for label in labels {
            let length = u8::try_from(label.len()).ok()?;
            if label.is_empty() || label.len() > LONGEST_LABEL {
                return None;
            }
            bytes.push(length);
            bytes.extend_from_slice(label);
        }
        bytes.push(0);
        (bytes.len() <= LONGEST_NAME).then_some(Self(bytes))
    }

    /// Reads a name as people write it, with or without the last dot.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let text = text.strip_suffix('.').unwrap_or(text);
        Self::of(text.split('.').map(str::as_bytes))
    }

    /// This name below `parent`.
    pub(super) fn under(text: &str, parent: &Self) -> Option<Self> {
        Self::of(text.split('.').map(str::as_bytes).chain(parent.labels()))
    }

    /// The bytes for the wire.
    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The labels, leftmost first, without the root.
    pub(super) fn labels(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = self.0.as_slice();
        std::iter::from_fn(move || {
            let (length, after) = rest.split_first()?;
            let (label, after) = after.split_at_checked(usize::from(*length))?;
            rest = after;
            (!label.is_empty()).then_some(label)
        })
    }

    /// Whether both are one name; DNS ignores the case of ASCII letters.
    pub(super) fn same(&self, labels: &[&[u8]]) -> bool {
        self.labels().count() == labels.len()
            && self
                .labels()
                .zip(labels)
                .all(|(one, other)| one.eq_ignore_ascii_case(other))
    }
}

impl fmt::Display for WireName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for label in self.labels() {
            write!(f, "{}.", String::from_utf8_lossy(label))?;
        }
        Ok(())
    }
}

impl fmt::Debug for WireName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_and_printed() {
        let zone = WireName::parse("dev.vagrant").unwrap();
        assert_eq!(zone.as_bytes(), b"\x03dev\x07vagrant\x00");
        let node = WireName::under("a.b", &zone).unwrap();
        assert_eq!(node.to_string(), "a.b.dev.vagrant.");
        assert!(node.same(&[b"A", b"b", b"DEV", b"vagrant"]));
        assert!(!node.same(&[b"b", b"dev", b"vagrant"]));
    }

    #[test]
    fn what_dns_cannot_say_is_no_name() {
        let long = "x".repeat(64);
        let whole = ["abcdefg"; 32].join(".");
        for text in ["", "a..b", ".", long.as_str(), whole.as_str()] {
            assert_eq!(WireName::parse(text), None, "{text}");
        }
    }
}
