//! As much of Rust's lexer as it takes to see names and not be fooled by texts and comments.

/// A word, `::`, or one other character, with its line.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Token {
    pub(crate) text: String,
    pub(crate) line: usize,
}

/// Words and signs, without comments, texts and characters.
pub(crate) fn tokens(text: &str) -> Vec<Token> {
    let chars: Vec<char> = text.chars().collect();
    let (mut tokens, mut at, mut line) = (Vec::new(), 0, 1);
    while at < chars.len() {
        let end = skipped(&chars, at).unwrap_or_else(|| {
            let end = match chars[at] {
                c if is_word(c) => chars[at..].iter().position(|c| !is_word(*c)),
                ':' if chars.get(at + 1) == Some(&':') => Some(2),
                _ => Some(1),
            };
            let end = end.map_or(chars.len(), |length| at + length);
            let text = chars[at..end].iter().collect();
            tokens.push(Token { text, line });
            end
        });
        line += chars[at..end].iter().filter(|c| **c == '\n').count();
        at = end;
    }
    tokens
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The end of the white space, comment, text or character that starts at `at`, if one does.
fn skipped(chars: &[char], at: usize) -> Option<usize> {
    let rest = &chars[at..];
    let find = |from: usize, what: &[char]| {
        let places = rest.get(from..).unwrap_or_default().windows(what.len());
        let place = places.enumerate().find(|(_, window)| *window == what);
        place.map_or(chars.len(), |(place, _)| at + from + place + what.len())
    };
    match rest {
        [c, ..] if c.is_whitespace() => Some(at + 1),
        ['/', '/', ..] => Some(find(2, &['\n'])),
        ['/', '*', ..] => Some(end_of_comment(chars, at)),
        ['"', ..] => Some(end_of_text(chars, at + 1)),
        ['b', '"', ..] if !follows_word(chars, at) => Some(end_of_text(chars, at + 2)),
        ['r', '"' | '#', ..] | ['b', 'r', '"' | '#', ..] if !follows_word(chars, at) => {
            let start = rest.iter().position(|c| *c == 'r')? + 1;
            let hashes = rest[start..].iter().take_while(|c| **c == '#').count();
            if rest.get(start + hashes) != Some(&'"') {
                // A raw name: `r#type`.
                return None;
            }
            let mut close = vec!['"'];
            close.resize(hashes + 1, '#');
            Some(find(start + hashes + 1, &close))
        }
        ['\'', '\\', ..] => Some(find(3, &['\''])),
        ['\'', _, '\'', ..] => Some(at + 3),
        _ => None,
    }
}

fn follows_word(chars: &[char], at: usize) -> bool {
    at > 0 && is_word(chars[at - 1])
}

/// Comments nest.
fn end_of_comment(chars: &[char], start: usize) -> usize {
    let (mut depth, mut at) = (0usize, start);
    while at < chars.len() {
        match chars[at..] {
            ['/', '*', ..] => (depth, at) = (depth + 1, at + 2),
            ['*', '/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at
}

fn end_of_text(chars: &[char], mut at: usize) -> usize {
    while at < chars.len() {
        match chars[at] {
            '\\' => at += 2,
            '"' => return at + 1,
            _ => at += 1,
        }
    }
    chars.len()
}
