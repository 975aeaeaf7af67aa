//! What may have been meant by an unknown key.

use super::error::Problem;

/// `a, b or c`.
pub(super) fn words(words: &[&str]) -> String {
    match words {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}

/// What to say of a key that is not among the `known`: itself, if it can be shown, and a hint. After
/// a slip of the hand (a comma in `{ token: a,b }`) a key may be a piece of a secret: it is shown
/// only if it resembles a known one, or is a plain word that `has_value`.
pub(super) fn unknown(name: &str, known: &[&str], has_value: bool) -> Problem {
    let folded = name.to_ascii_lowercase().replace('-', "_");
    let nearest = known.iter().map(|key| (distance(&folded, key), *key)).min();
    let near = nearest.filter(|(distance, key)| *distance <= 1 + key.len() / 5);
    let is_word = is_showable(name) && !name.bytes().any(|b| b.is_ascii_digit());
    Problem::UnknownKey {
        found: (near.is_some() || (has_value && is_word)).then(|| name.to_owned()),
        hint: match near {
            Some((_, key)) => format!("did you mean {key:?}?"),
            None => format!("expected {}", words(known)),
        },
    }
}

/// Whether a known or free key can stand in a path.
pub(super) fn is_showable(name: &str) -> bool {
    (1..=24).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

/// Levenshtein's, over bytes, but letters in another order are one mistake.
fn distance(a: &str, b: &str) -> usize {
    let sorted = |text: &str| {
        let mut bytes = text.as_bytes().to_vec();
        bytes.sort_unstable();
        bytes
    };
    if a != b && sorted(a) == sorted(b) {
        return 1;
    }
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut last = i + 1;
        let mut diagonal = i;
        for (j, y) in b.bytes().enumerate() {
            let above = row.get(j + 1).copied().unwrap_or(usize::MAX - 1);
            let cost = (diagonal + usize::from(x != y))
                .min(above + 1)
                .min(last + 1);
            if let Some(cell) = row.get_mut(j) {
                *cell = last;
            }
            diagonal = above;
            last = cost;
        }
        if let Some(cell) = row.last_mut() {
            *cell = last;
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_near_miss_is_guessed_and_a_far_one_is_told_the_choice() {
        let known = ["stack", "dc", "session_grace"];
        let said = |name, has_value| unknown(name, &known, has_value).to_string();
        let cases = [
            ("stak", "unknown key \"stak\", did you mean \"stack\"?"),
            (
                "session-Grace",
                "unknown key \"session-Grace\", did you mean \"session_grace\"?",
            ),
            ("cd", "unknown key \"cd\", did you mean \"dc\"?"),
            (
                "colour",
                "unknown key \"colour\", expected stack, dc or session_grace",
            ),
            (
                "q7ZkPw93mVt",
                "unknown key, expected stack, dc or session_grace",
            ),
        ];
        for (name, message) in cases {
            assert_eq!(said(name, true), message);
        }
        assert!(
            !said("colour", false).contains("colour"),
            "it may be half a value"
        );
    }

    #[test]
    fn distance_is_the_number_of_edits() {
        let cases = [
            ("", "", 0),
            ("", "abc", 3),
            ("abc", "", 3),
            ("kitten", "sitting", 3),
        ];
        for (a, b, edits) in cases {
            assert_eq!(distance(a, b), edits, "{a} {b}");
        }
    }
}
