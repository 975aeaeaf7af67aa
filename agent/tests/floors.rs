//! Holds the house in shape: who may name whom, what the pure floors may not name, how long a file
//! may be. Reads the sources, so an arrow in the wrong direction is told with its line.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use tokens::{Token, tokens};

#[path = "floors/tokens.rs"]
mod tokens;

/// A module may name those on lower floors, and nothing beside it or above it.
const FLOORS: [&[&str]; 8] = [
    &["model"],
    &["config", "state"],
    &["decide", "seed"],
    &["disk", "task"],
    &[
        "client", "discover", "docker", "registry", "pki", "rpc", "store",
    ],
    &["loops", "http", "dns", "ui", "cluster"],
    &["agent", "demo"],
    &["cli"],
];

/// Up to here: no IO, no clock, no randomness (hash maps draw random seeds).
const LAST_PURE_FLOOR: usize = 2;
const IMPURE_NAMES: [&str; 20] = [
    "tokio",
    "TcpStream",
    "TcpListener",
    "TcpSocket",
    "UdpSocket",
    "UnixStream",
    "UnixListener",
    "UnixDatagram",
    "Instant",
    "SystemTime",
    "rand",
    "getrandom",
    "SystemRandom",
    "RandomState",
    "new_v4",
    "now_v7",
    "HashMap",
    "HashSet",
    "rustix",
    "socket2",
];
const IMPURE_STD: [&str; 5] = ["fs", "env", "process", "thread", "os"];

const MAX_LINES: usize = 500;

#[test]
fn every_arrow_points_down() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    collect(&root, &mut files);
    files.sort();
    assert!(files.len() > 10, "no sources under {}", root.display());
    let sources: Vec<Source> = files.iter().map(|path| Source::read(&root, path)).collect();
    let tests: BTreeSet<Vec<String>> = sources.iter().flat_map(Source::test_modules).collect();
    let mut said = String::new();
    for source in &sources {
        for (line, what) in source.complaints(&tests) {
            writeln!(said, "agent/src/{}:{line}: {what}", source.name).unwrap();
        }
    }
    assert!(said.is_empty(), "\n{said}");
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

fn floor_of(module: &str) -> Option<usize> {
    FLOORS.iter().position(|floor| floor.contains(&module))
}

/// One file.
struct Source {
    /// Below `agent/src`.
    name: String,
    /// `disk/folder.rs` is `[disk, folder]`, `disk/mod.rs` is `[disk]`.
    module: Vec<String>,
    lines: usize,
    tokens: Vec<Token>,
}

impl Source {
    fn read(root: &Path, path: &Path) -> Self {
        let name = path.strip_prefix(root).unwrap().display().to_string();
        Self::new(&name, &fs::read_to_string(path).unwrap())
    }

    fn new(name: &str, text: &str) -> Self {
        let mut module: Vec<String> = name
            .trim_end_matches(".rs")
            .split('/')
            .map(str::to_owned)
            .collect();
        if module.last().is_some_and(|last| last == "mod") {
            module.pop();
        }
        Self {
            name: name.to_owned(),
            module,
            lines: text.lines().count(),
            tokens: tokens(text),
        }
    }

    /// Modules that are declared here under `#[cfg(test)]`, in files of their own.
    fn test_modules(&self) -> Vec<Vec<String>> {
        let starts = (0..self.tokens.len()).filter(|at| is_cfg_test(&self.tokens, *at));
        let bodies = starts.map(|at| &self.tokens[after_attributes(&self.tokens, at)..]);
        bodies
            .filter_map(|body| match body {
                [word, name, end, ..] if word.text == "mod" && end.text == ";" => {
                    let mut module = self.module.clone();
                    module.push(name.text.clone());
                    Some(module)
                }
                _ => None,
            })
            .collect()
    }

    fn complaints(&self, tests: &BTreeSet<Vec<String>>) -> Vec<(usize, String)> {
        if matches!(self.name.as_str(), "lib.rs" | "main.rs") {
            return Vec::new();
        }
        let mut said = Vec::new();
        if self.lines > MAX_LINES {
            let what = format!("{} lines: a file has at most {MAX_LINES}", self.lines);
            said.push((self.lines, what));
        }
        let own = self.module[0].as_str();
        if own != "config" {
            let named = self
                .tokens
                .iter()
                .filter(|token| token.text == "serde_yaml");
            said.extend(
                named.map(|token| (token.line, "only config may name serde_yaml".to_owned())),
            );
        }
        let Some(floor) = floor_of(own) else {
            said.push((1, format!("{own} stands on no floor")));
            return said;
        };
        let is_test = (1..=self.module.len()).any(|depth| tests.contains(&self.module[..depth]));
        if !is_test {
            let tokens = without_tests(&self.tokens);
            self.arrows(&tokens, own, floor, &mut said);
            if floor <= LAST_PURE_FLOOR {
                impurities(&tokens, &mut said);
            }
        }
        said.sort();
        said.dedup();
        said
    }

    /// Whatever the file names through `crate::` or enough of `super::`.
    fn arrows(&self, tokens: &[Token], own: &str, floor: usize, said: &mut Vec<(usize, String)>) {
        for at in 0..tokens.len() {
            let Some(rest) = self.after_crate_root(tokens, at) else {
                continue;
            };
            for name in first_names(rest) {
                let what = match floor_of(&name.text) {
                    _ if name.text == own => continue,
                    Some(other) if other < floor => continue,
                    Some(other) if other == floor => {
                        format!(
                            "{own} names {}, which is beside it on floor {floor}",
                            name.text
                        )
                    }
                    Some(other) => format!(
                        "{own} on floor {floor} names {} above it on floor {other}",
                        name.text
                    ),
                    None => format!("{own} names {}, which stands on no floor", name.text),
                };
                said.push((name.line, what));
            }
        }
    }

    /// What follows `crate::` or the `super::` that reach the crate's root.
    fn after_crate_root<'t>(&self, tokens: &'t [Token], at: usize) -> Option<&'t [Token]> {
        let is_path_step = |at: usize, word: &str| {
            tokens.get(at).is_some_and(|token| token.text == word)
                && tokens.get(at + 1).is_some_and(|token| token.text == "::")
        };
        if is_path_step(at, "crate") {
            return tokens.get(at + 2..);
        }
        let continues = at >= 2 && is_path_step(at - 2, "super");
        if continues || !is_path_step(at, "super") {
            return None;
        }
        let mut end = at;
        while is_path_step(end, "super") {
            end += 2;
        }
        let ups = (end - at) / 2;
        (ups >= self.module.len()).then(|| &tokens[end..])
    }
}

/// `x` of `x::y`, or each of `{x::y, z}`.
fn first_names(tokens: &[Token]) -> Vec<&Token> {
    match tokens.first() {
        Some(first) if first.text != "{" => vec![first],
        _ => {
            let (mut names, mut depth, mut fresh) = (Vec::new(), 0usize, false);
            for token in tokens {
                match token.text.as_str() {
                    "{" => depth += 1,
                    "}" => depth -= 1,
                    "," => {}
                    _ if depth == 1 && fresh => names.push(token),
                    _ => {}
                }
                if depth == 0 {
                    break;
                }
                fresh = depth == 1 && matches!(token.text.as_str(), "{" | ",");
            }
            names
        }
    }
}

fn impurities(tokens: &[Token], said: &mut Vec<(usize, String)>) {
    let floors = "on floors 0 to 2 there is no IO, clock or randomness";
    for (at, token) in tokens.iter().enumerate() {
        if IMPURE_NAMES.contains(&token.text.as_str()) {
            said.push((token.line, format!("names {}: {floors}", token.text)));
        }
        let is_std =
            token.text == "std" && tokens.get(at + 1).is_some_and(|next| next.text == "::");
        let names = is_std.then(|| first_names(&tokens[at + 2..]));
        for name in names.into_iter().flatten() {
            if IMPURE_STD.contains(&name.text.as_str()) {
                said.push((name.line, format!("names std::{}: {floors}", name.text)));
            }
        }
    }
}

/// Whether `#[cfg(test)]` starts here.
fn is_cfg_test(tokens: &[Token], at: usize) -> bool {
    let wanted = ["#", "[", "cfg", "(", "test", ")", "]"];
    let found = tokens.iter().skip(at).map(|token| token.text.as_str());
    found.take(wanted.len()).eq(wanted)
}

/// Where the item begins whose first attribute starts at `at`.
fn after_attributes(tokens: &[Token], mut at: usize) -> usize {
    while tokens.get(at).is_some_and(|token| token.text == "#") {
        at = end_of_group(tokens, at + 1);
    }
    at
}

/// Just behind the bracket that closes the one at `at`.
fn end_of_group(tokens: &[Token], at: usize) -> usize {
    let mut depth = 0usize;
    for (end, token) in tokens.iter().enumerate().skip(at) {
        match token.text.as_str() {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return end + 1;
        }
    }
    tokens.len()
}

/// Test code may name anything.
fn without_tests(tokens: &[Token]) -> Vec<Token> {
    let (mut kept, mut at) = (Vec::new(), 0);
    while let Some(token) = tokens.get(at) {
        if !is_cfg_test(tokens, at) {
            kept.push(token.clone());
            at += 1;
            continue;
        }
        at = after_attributes(tokens, at);
        // The item ends with its block, or with a semicolon outside of all brackets.
        while let Some(token) = tokens.get(at) {
            match token.text.as_str() {
                ";" => {
                    at += 1;
                    break;
                }
                "{" => {
                    at = end_of_group(tokens, at);
                    break;
                }
                "(" | "[" => at = end_of_group(tokens, at),
                _ => at += 1,
            }
        }
    }
    kept
}

/// What is told of a file that holds just this.
fn told(name: &str, text: &str) -> Vec<String> {
    let source = Source::new(name, text);
    let told = source.complaints(&BTreeSet::new());
    told.into_iter()
        .map(|(line, what)| format!("{line}: {what}"))
        .collect()
}

#[test]
fn arrows_that_run_up_or_sideways_are_told() {
    let cases = [
        (
            "disk/a.rs",
            "\nuse crate::store::Store;",
            "2: disk on floor 3 names store above it on floor 4",
        ),
        (
            "disk/a.rs",
            "fn f() { crate::task::clock::now(); }",
            "1: disk names task, which is beside it on floor 3",
        ),
        (
            "disk/a.rs",
            "use crate::{\n  model::{Name, store},\n  pki,\n};",
            "3: disk on floor 3 names pki above it on floor 4",
        ),
        (
            "disk/a.rs",
            "use super::super::http::x;",
            "1: disk on floor 3 names http above it on floor 5",
        ),
        (
            "disk/mod.rs",
            "use super::http;",
            "1: disk on floor 3 names http above it on floor 5",
        ),
        (
            "disk/mod.rs",
            "use crate::helpers::x;",
            "1: disk names helpers, which stands on no floor",
        ),
        ("helpers/mod.rs", "", "1: helpers stands on no floor"),
        ("helpers.rs", "", "1: helpers stands on no floor"),
        (
            "state/a.rs",
            "use crate::config::Config;",
            "1: state names config, which is beside it on floor 1",
        ),
    ];
    for (name, text, complaint) in cases {
        assert_eq!(told(name, text), [complaint], "{text}");
    }
}

#[test]
fn arrows_that_run_down_are_fine_and_so_is_what_is_no_code() {
    let cases = [
        (
            "disk/a.rs",
            "use crate::{model::Name, config::Config, disk::b};",
        ),
        ("disk/a.rs", "use super::store;"),
        (
            "disk/a.rs",
            "// crate::store::x\n/* crate::store /* */ crate::store */",
        ),
        (
            "disk/a.rs",
            "const X: &str = \"crate::store\\\" crate::store\";",
        ),
        (
            "disk/a.rs",
            "const X: &str = r#\"crate::\"store\"#; const Y: char = '\"';",
        ),
        ("disk/a.rs", "fn f<'a>(x: &'a str) -> char { '\\'' }"),
        ("disk/a.rs", "pub(crate) fn f() {}"),
        (
            "disk/a.rs",
            "#[cfg(test)]\n#[allow(x)]\nmod tests { use crate::http::x; fn f() {} }",
        ),
        (
            "disk/a.rs",
            "#[cfg(test)] use crate::http::x;\n#[cfg(test)] fn f(a: [u8; 3]) { crate::dns::x(); }",
        ),
        ("main.rs", "use crate::anything;"),
        (
            "model/a.rs",
            "use std::net::IpAddr; use std::{fmt, time::Duration}; enum X { Tcp, Udp }",
        ),
        ("config/a.rs", "use serde_yaml::Value;"),
    ];
    for (name, text) in cases {
        assert_eq!(told(name, text), [""; 0], "{text}");
    }
    let after = "#[cfg(test)] mod tests { }\nuse crate::http::x;";
    assert_eq!(
        told("disk/a.rs", after).len(),
        1,
        "what follows tests is no test"
    );
}

#[test]
fn what_is_not_pure_is_told_on_the_lower_floors() {
    let cases = [
        "use tokio::sync::Notify;",
        "use std::fs;",
        "use std::{fmt, fs::File};",
        "fn f() { std::env::var(\"X\"); }",
        "use std::time::{Duration, Instant};",
        "use std::collections::HashMap;",
        "use imbl::HashSet;",
        "fn f() { Uuid::new_v4(); }",
        "use std::net::{IpAddr, UdpSocket};",
    ];
    for text in cases {
        for name in ["model/a.rs", "state/a.rs", "decide/a.rs"] {
            assert!(!told(name, text).is_empty(), "{name}: {text}");
        }
        assert_eq!(told("disk/a.rs", text), [""; 0], "{text}");
    }
}

#[test]
fn long_files_and_yaml_elsewhere_are_told() {
    let text = "\n".repeat(501);
    assert_eq!(
        told("http/a.rs", &text),
        ["501: 501 lines: a file has at most 500"]
    );
    assert_eq!(told("http/a.rs", &"\n".repeat(500)), [""; 0]);
    let yaml = "fn f() { serde_yaml::from_str(x) }";
    assert_eq!(
        told("cli/a.rs", yaml),
        ["1: only config may name serde_yaml"]
    );
}

#[test]
fn a_test_module_in_a_file_of_its_own_may_name_anything() {
    let parent = Source::new("config/mod.rs", "mod a;\n#[cfg(test)]\nmod tests;");
    let tests: BTreeSet<Vec<String>> = parent.test_modules().into_iter().collect();
    let child = Source::new(
        "config/tests/bad.rs",
        "use crate::task::clock; use std::fs;",
    );
    assert_eq!(child.complaints(&tests), []);
    assert_eq!(child.complaints(&BTreeSet::new()).len(), 2);
}
