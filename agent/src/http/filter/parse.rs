//! The grammar of filters: `not` binds closest, then `and`, then `or`.

use regex::RegexBuilder;

use super::{Expression, Shape, Test};

/// Deeper nesting is refused: each level takes stack.
const DEPTH: usize = 64;
/// Compiled patterns must fit in this many bytes.
const PATTERN: usize = 256 * 1024;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum FilterError {
    #[error("at byte {at}: found {found:?}, want {wanted}")]
    Syntax {
        at: usize,
        found: String,
        wanted: &'static str,
    },
    #[error("Selector {0:?} is not valid")]
    Selector(String),
    #[error("nested deeper than {DEPTH} levels")]
    Deep,
    #[error("Failed to compile regular expression: {0}")]
    Pattern(String),
}

type Parsed<T> = Result<T, FilterError>;

pub(super) fn parse(text: &str, shape: Shape) -> Parsed<Expression> {
    let mut parser = Parser {
        text,
        at: 0,
        depth: 0,
        shape,
    };
    let expression = parser.any()?;
    parser.space();
    if parser.rest().is_empty() {
        Ok(expression)
    } else {
        Err(parser.wrong("\"and\", \"or\" or the end"))
    }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
    shape: Shape,
}

/// What stands on either side of an operator.
struct Operand {
    text: String,
    /// The parts, if it can be a selector.
    path: Vec<String>,
}

impl<'a> Parser<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn wrong(&self, wanted: &'static str) -> FilterError {
        FilterError::Syntax {
            at: self.at,
            found: self.rest().chars().take(20).collect(),
            wanted,
        }
    }

    fn space(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start_matches([' ', '\t', '\r', '\n']).len();
    }

    /// Takes `mark` if it comes next.
    fn takes(&mut self, mark: &str) -> bool {
        let next = self.rest().starts_with(mark);
        if next {
            self.at += mark.len();
        }
        next
    }

    /// Takes the keyword `word` if it comes next, with white space or a parenthesis behind it.
    fn keyword(&mut self, word: &str) -> bool {
        self.space();
        let after = self.rest().strip_prefix(word);
        let whole = after.is_some_and(|after| {
            after.is_empty() || after.starts_with([' ', '\t', '\r', '\n', '('])
        });
        whole && self.takes(word)
    }

    fn any(&mut self) -> Parsed<Expression> {
        let mut parts = vec![self.all()?];
        while self.keyword("or") {
            parts.push(self.all()?);
        }
        Ok(Expression::Any(parts))
    }

    fn all(&mut self) -> Parsed<Expression> {
        let mut parts = vec![self.not()?];
        while self.keyword("and") {
            parts.push(self.not()?);
        }
        Ok(Expression::All(parts))
    }

    fn not(&mut self) -> Parsed<Expression> {
        self.depth += 1;
        if self.depth > DEPTH {
            return Err(FilterError::Deep);
        }
        let expression = if self.keyword("not") {
            Expression::Not(Box::new(self.not()?))
        } else if self.takes("(") {
            let inner = self.any()?;
            self.space();
            if !self.takes(")") {
                return Err(self.wrong("\")\""));
            }
            inner
        } else {
            self.comparison()?
        };
        self.depth -= 1;
        Ok(expression)
    }

    fn comparison(&mut self) -> Parsed<Expression> {
        let left = self.operand()?;
        self.space();
        for (mark, negated) in [("==", false), ("!=", true)] {
            if self.takes(mark) {
                let test = Test::Equals(self.operand()?.text);
                return self.matching(left, test, negated);
            }
        }
        if self.keyword("is") {
            let negated = self.keyword("not");
            if !self.keyword_or_mark("empty") {
                return Err(self.wrong("\"empty\""));
            }
            return self.matching(left, Test::Empty, negated);
        }
        let negated = self.keyword("not");
        if self.keyword("in") {
            let right = self.operand()?;
            self.matching(right, Test::Holds(left.text), negated)
        } else if self.keyword("contains") {
            let test = Test::Holds(self.operand()?.text);
            self.matching(left, test, negated)
        } else if self.keyword("matches") {
            let pattern = self.operand()?.text;
            let pattern = RegexBuilder::new(&pattern).size_limit(PATTERN).build();
            let pattern = pattern.map_err(|error| FilterError::Pattern(error.to_string()))?;
            self.matching(left, Test::Matches(pattern), negated)
        } else {
            Err(self.wrong("an operator (==, !=, in, contains, matches, is empty)"))
        }
    }

    /// As [`Self::keyword`], but a closing parenthesis may follow.
    fn keyword_or_mark(&mut self, word: &str) -> bool {
        self.space();
        let after = self.rest().strip_prefix(word);
        let whole = after.is_some_and(|after| {
            after.is_empty() || after.starts_with([' ', '\t', '\r', '\n', ')'])
        });
        whole && self.takes(word)
    }

    fn matching(&self, selector: Operand, test: Test, negated: bool) -> Parsed<Expression> {
        if !self.shape.has(&selector.path) {
            return Err(FilterError::Selector(selector.text));
        }
        Ok(Expression::Match {
            path: selector.path,
            test,
            negated,
        })
    }

    fn operand(&mut self) -> Parsed<Operand> {
        self.space();
        if let Some(text) = self.quoted()? {
            return Ok(Operand {
                text,
                path: Vec::new(),
            });
        }
        let start = self.at;
        let mut path = vec![self.word()?];
        loop {
            if self.takes("[") {
                self.space();
                let part = self.quoted()?.ok_or_else(|| self.wrong("a quoted key"))?;
                path.push(part);
                self.space();
                if !self.takes("]") {
                    return Err(self.wrong("\"]\""));
                }
            } else if self.takes(".") {
                path.push(self.word()?);
            } else {
                let text = self.text.get(start..self.at).unwrap_or_default();
                return Ok(Operand {
                    text: text.to_owned(),
                    path,
                });
            }
        }
    }

    /// A part of a selector, or of a value that needs no quotes.
    fn word(&mut self) -> Parsed<String> {
        let rest = self.rest();
        let fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '/' | '-' | ':');
        let end = rest.find(|c| !fine(c)).unwrap_or(rest.len());
        match rest.get(..end) {
            Some(word) if !word.is_empty() => {
                self.at += end;
                Ok(word.to_owned())
            }
            _ => Err(self.wrong("a selector or a value")),
        }
    }

    fn quoted(&mut self) -> Parsed<Option<String>> {
        let rest = self.rest();
        if let Some(raw) = rest.strip_prefix('`') {
            let end = raw
                .find('`')
                .ok_or_else(|| self.wrong("a closing backquote"))?;
            self.at += end + 2;
            return Ok(raw.get(..end).map(str::to_owned));
        }
        if !rest.starts_with('"') {
            return Ok(None);
        }
        let mut escaped = false;
        let closing = rest.char_indices().skip(1).find(|(_, c)| {
            let closes = *c == '"' && !escaped;
            escaped = *c == '\\' && !escaped;
            closes
        });
        let (end, _) = closing.ok_or_else(|| self.wrong("a closing quote"))?;
        let whole = rest.get(..=end).unwrap_or_default();
        // JSON's escapes are the ones of Go's that are used here.
        let text = serde_json::from_str(whole).map_err(|_| self.wrong("a string"))?;
        self.at += end + 1;
        Ok(Some(text))
    }
}
