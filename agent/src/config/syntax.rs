//! What is wrong with a text that is no YAML, in our words: the parser's own may quote what it
//! stumbled over, and that may be a secret.

use super::error::{Place, Problem};

pub(super) const NO_DOCUMENT: &str = "the file is empty";
pub(super) const TWO_DOCUMENTS: &str =
    "there is a second document after the first: remove the \"---\" between them";
pub(super) const TAG: &str = "there is a YAML tag (!…) here: remove it, or put the value in quotes";

/// What the parser says, and what we say.
const WORDS: [(&str, &str); 17] = [
    (NO_DOCUMENT, NO_DOCUMENT),
    ("EOF while parsing", NO_DOCUMENT),
    (
        "did not find expected <document start>",
        "the indentation does not fit the lines above",
    ),
    (
        "mapping values are not allowed",
        "there is one ':' too many on this line: put the value in quotes, or mind the indentation",
    ),
    (
        "could not find expected ':'",
        "a line that should be \"key: value\" has no ':' with a space after it",
    ),
    (
        "did not find expected key",
        "the indentation does not fit the lines above, or a quote ends too early",
    ),
    (
        "did not find expected '-'",
        "a line of a list does not start with '-', or is indented differently from the others",
    ),
    (
        "did not find expected ',' or",
        "a '[' or '{' is not closed, or a ',' is missing",
    ),
    (
        "block sequence entries are not allowed",
        "a list can't start here: put '-' on a line of its own",
    ),
    ("found unexpected end of stream", "a quote is not closed"),
    (
        "found unexpected document indicator",
        "a quote is not closed",
    ),
    (
        "cannot start any token",
        "a value can't start with this character: put it in quotes",
    ),
    (
        "found unknown escape character",
        "there is no such escape within double quotes: use single quotes, or \\\\ for a backslash",
    ),
    ("unknown anchor", "this alias (*…) names no anchor (&…)"),
    ("recursion limit exceeded", "it is nested too deep"),
    ("repetition limit exceeded", "there are too many aliases"),
    (
        "control characters are not allowed",
        "there is a control character here",
    ),
];

/// Chooses the words for what the parser said about `text` at `place`, and the place to show.
pub(super) fn problem(text: &str, place: Option<Place>, said: &str) -> (Option<Place>, Problem) {
    if place.is_some_and(|place| has_tab(text, place.line)) {
        let words = "a tab is in the way: YAML is indented with spaces";
        return (place, Problem::Syntax(words));
    }
    let known = WORDS.iter().find(|(theirs, _)| said.contains(theirs));
    let words = known.map_or("something is wrong here, or just before", |(_, ours)| ours);
    // These are noticed further down; they began where the parser's last words say.
    let began_before = ["not closed", "has no ':'"]
        .iter()
        .any(|late| words.contains(late));
    let place = began(said).filter(|_| began_before).or(place);
    (place, Problem::Syntax(words))
}

/// The last `line L column C` in the parser's words.
fn began(said: &str) -> Option<Place> {
    let (_, last) = said.rsplit_once("line ")?;
    let (line, column) = last.split_once(" column ")?;
    Some(Place {
        line: line.parse().ok()?,
        column: column.parse().ok()?,
    })
}

/// Whether there is a tab in the indentation, or alone before a value, of this line.
fn has_tab(text: &str, line: usize) -> bool {
    let line = text.lines().nth(line.saturating_sub(1)).unwrap_or_default();
    line.chars()
        .take_while(|c| c.is_whitespace() || *c == '-')
        .any(|c| c == '\t')
}

/// Where more than `limit` brackets are open. To be asked before the parser is: its time grows with
/// the square of the depth (12 s for 60,000 of `{a: `).
pub(super) fn too_deep(text: &str, limit: usize) -> Option<Place> {
    let mut open = 0usize;
    for (line, content) in text.lines().enumerate() {
        for (column, c) in content.chars().enumerate() {
            match c {
                '[' | '{' => open += 1,
                ']' | '}' => open = open.saturating_sub(1),
                _ => {}
            }
            if open > limit {
                return Some(Place {
                    line: line + 1,
                    column: column + 1,
                });
            }
        }
    }
    None
}
