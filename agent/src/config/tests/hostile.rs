//! Files that are made to hurt, and secrets in wrong places.

use std::time::Duration;

use proptest::prelude::*;

use super::good::FULL;
use super::*;
use crate::task::clock;

/// In a debug build on a busy machine; the parser alone would take 12 s for one of them.
const SOON: Duration = Duration::from_secs(8);

#[test]
fn bombs_are_refused_early() {
    let list = |of: &str, times: usize| format!("[{}]", vec![of; times].join(","));
    let laughs: String = (1..9)
        .map(|n| format!("a{n}: &a{n} {}\n", list(&format!("*a{}", n - 1), 9)))
        .collect();
    let long = "x".repeat(200 << 10);
    let bombs = [
        ("aliases of aliases", format!("a0: &a0 x\n{laughs}")),
        (
            "long aliases",
            format!("a: &a {long}\nb: {}\n", list("*a", 9_000)),
        ),
        ("an alias of itself", "a: &a [*a]\n".to_owned()),
        ("deep flow lists", "[".repeat(255 << 10)),
        ("deep flow lists by line", "[\n".repeat(127 << 10)),
        ("deep flow maps", "{a: ".repeat(60 << 10)),
        ("deep flow maps by line", "{a:\n".repeat(60 << 10)),
        ("deep block lists", "- ".repeat(127 << 10)),
        ("deep complex keys", "? ".repeat(127 << 10)),
        ("many keys", "a: b\n".repeat(50 << 10)),
        ("many documents", "--- x\n".repeat(40 << 10)),
        ("too large", format!("# {}\n{BASE}", "x".repeat(256 << 10))),
    ];
    for (what, bomb) in bombs {
        let started = clock::now();
        let errors = errors(&bomb);
        assert!(
            started.elapsed() < SOON,
            "{what} took {:?}",
            started.elapsed()
        );
        assert_eq!(errors.len(), 1, "{what}: {errors:?}");
    }
}

const SECRET: &str = "s3cretT0ken";

#[test]
fn a_secret_is_not_quoted_wherever_it_was_put() {
    let cases = [
        "token: { s3cretT0ken }",
        "token: { s3cretT0ken: }",
        "token: [ s3cretT0ken ]",
        "token: !!int s3cretT0ken",
        "token: file:s3cretT0ken",
        "token: ${s3cretT0ken",
        "token: s3cretT0ken s3cretT0ken",
        "token: s3cretT0ken: x",
        "token: 's3cretT0ken",
        "token: \"\\s3cretT0ken\"",
        "token: *s3cretT0ken",
        "token: &s3cretT0ken",
        "token: %s3cretT0ken",
        "token: @s3cretT0ken",
        "token: |\n  s3cretT0ken\n x",
        "tokn: s3cretT0ken",
        "token:s3cretT0ken",
        "token s3cretT0ken",
        "{ token:s3cretT0ken }",
        "s3cretT0ken",
        "- s3cretT0ken",
        "token: s3cretT0ken\nname: _s3cretT0ken_",
        "token: s3cretT0ken\nlisten: s3cretT0ken",
        "token: s3cretT0ken\ns3cretT0ken: s3cretT0ken",
        "join: [ provider=aws secret=s3cretT0ken ]",
        "join: [ provider=s3cretT0ken ]",
        "registry: { storage: { s3: { secretkey: { a: s3cretT0ken } } } }",
        "registry: { storage: { s3: { secret_key: s3cretT0ken } } }",
    ];
    for text in cases {
        for text in [text.to_owned(), format!("stack: a\n{text}\ndc: b\n")] {
            let errors = parse(&text).expect_err(&text);
            let said = format!("{errors} {errors:?}");
            assert!(!said.contains(SECRET), "{text:?} said {said}");
        }
    }
}

/// What a slip of the hand does to a file.
fn slips() -> impl Strategy<Value = Vec<(u8, usize, char)>> {
    let letters = prop::sample::select(
        " \t\n:-'\"[]{}#&*!|>%@`,?~x0\u{e9}"
            .chars()
            .collect::<Vec<_>>(),
    );
    prop::collection::vec((0..3u8, 0..900usize, letters), 1..6)
}

fn slipped(text: &str, slips: &[(u8, usize, char)]) -> String {
    let mut text: Vec<char> = text.chars().collect();
    for (kind, at, letter) in slips {
        let at = at % text.len().max(1);
        match kind {
            0 => text.insert(at, *letter),
            1 if at < text.len() => text[at] = *letter,
            _ if at < text.len() => drop(text.remove(at)),
            _ => {}
        }
    }
    text.into_iter().collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_slip_of_the_hand_shows_the_secret_or_makes_it_panic(slips in slips()) {
        let full = FULL
            .replace("${SWARMER_TOKEN}", "swarmer-server-q7ZkPw93mVt")
            .replace("AKIA1", "q7ZkPw93mVt");
        if let Err(errors) = parse(&slipped(&full, &slips)) {
            prop_assert!(!errors.0.is_empty());
            let said = errors.to_string();
            // The slip may have cut it in two.
            for part in ["q7ZkP", "Pw93m", "93mVt"] {
                prop_assert!(!said.contains(part), "{}", said);
            }
        }
    }

    #[test]
    fn no_text_makes_it_panic(text in "[-a-c:?\\[\\]{}&*!|>'\"#%@ \t\n\u{0}-\u{ff}]{0,80}") {
        let errors = parse(&text).expect_err("no such text is a configuration");
        prop_assert!(!errors.0.is_empty());
    }
}
