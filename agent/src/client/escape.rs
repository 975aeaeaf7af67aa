//! Percent-encoding for paths and queries (RFC 3986 section 2.1).

use std::fmt::Write as _;

/// `text` with everything escaped but unreserved characters and `/`.
#[must_use]
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                escaped.push(char::from(byte));
            }
            _ => {
                let _ = write!(escaped, "%{byte:02X}");
            }
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::escape;

    #[test]
    fn what_has_a_meaning_in_a_path_is_escaped() {
        assert_eq!(escape("a/b c?d=é&+"), "a/b%20c%3Fd%3D%C3%A9%26%2B");
    }
}
