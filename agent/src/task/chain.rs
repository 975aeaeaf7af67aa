//! How an error is printed.

use std::error::Error;
use std::fmt;

/// Prints an error and its causes on one line, joined by `: `. A cause whose text the error already
/// ends with is not repeated.
pub struct Chain<'a>(pub &'a (dyn Error + 'a));

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut said = self.0.to_string();
        f.write_str(&said)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            let text = error.to_string();
            if !said.ends_with(&text) {
                write!(f, ": {text}")?;
            }
            said = text;
            cause = error.source();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("can't write {path}")]
    struct Outer {
        path: &'static str,
        #[source]
        cause: std::io::Error,
    }

    #[derive(Debug, thiserror::Error)]
    #[error("store: {0}")]
    struct Telling(#[source] Outer);

    #[test]
    fn causes_follow_once_each() {
        let outer = || Outer {
            path: "/x",
            cause: std::io::Error::other("disk full"),
        };
        assert_eq!(Chain(&outer()).to_string(), "can't write /x: disk full");
        let telling = Telling(outer());
        assert_eq!(
            Chain(&telling).to_string(),
            "store: can't write /x: disk full"
        );
    }
}
