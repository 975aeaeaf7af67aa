//! A cloud's own words, made fit for one line of a log.

use std::time::Duration;

use hyper::header::{HeaderMap, RETRY_AFTER};

/// What is said beyond this is seldom the reason.
const LONGEST: usize = 240;
/// A cloud that wants to be left alone for longer is asked all the same.
const LONGEST_WAIT: u64 = 600;

/// The words on one line, without what may not stand in a log, cut where they get long.
pub(super) fn said(words: &str) -> String {
    let words = words.split(|c: char| c.is_whitespace() || c.is_control());
    let mut line = String::new();
    for word in words.filter(|word| !word.is_empty()) {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
        if let Some((end, _)) = line.char_indices().nth(LONGEST) {
            line.truncate(end);
            line.push('…');
            break;
        }
    }
    line
}

/// When it wants to be asked again (RFC 9110 section 10.2.3, in seconds; a date is not looked at).
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds: u64 = headers
        .get(RETRY_AFTER)?
        .to_str()
        .ok()?
        .trim()
        .parse()
        .ok()?;
    Some(Duration::from_secs(seconds.min(LONGEST_WAIT)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_come_on_one_line_and_end() {
        assert_eq!(said("  No such\r\n\tVM\u{1b}[31m. "), "No such VM [31m.");
        let long = said(&"ä".repeat(5000));
        assert_eq!(long.chars().count(), LONGEST + 1);
        assert!(long.ends_with('…'));
    }

    #[test]
    fn a_pause_is_read_in_seconds() {
        let pause = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, value.parse().unwrap());
            retry_after(&headers)
        };
        assert_eq!(pause("7"), Some(Duration::from_secs(7)));
        assert_eq!(pause("99999999"), Some(Duration::from_secs(600)));
        assert_eq!(pause("Fri, 31 Dec 1999 23:59:59 GMT"), None);
        assert_eq!(pause("-1"), None);
    }
}
