//! The documents say what is there: links lead somewhere, commands exist, every key of the node's
//! file is named.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// Every document with its text.
fn documents() -> Vec<(PathBuf, String)> {
    let mut paths = vec![root().join("README.md"), root().join("CHANGELOG.md")];
    for folder in ["docs", "docs/decisions"] {
        let entries = fs::read_dir(root().join(folder)).unwrap();
        let files = entries.map(|entry| entry.unwrap().path());
        paths.extend(files.filter(|path| path.extension().is_some_and(|end| end == "md")));
    }
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).unwrap();
        (path, text)
    };
    paths.into_iter().map(read).collect()
}

fn swarmer(arguments: &[&str]) -> String {
    let ran = Command::new(env!("CARGO_BIN_EXE_swarmer"))
        .args(arguments)
        .output()
        .unwrap();
    String::from_utf8(ran.stdout).unwrap()
}

#[test]
fn every_relative_link_leads_somewhere() {
    for (path, text) in documents() {
        for link in text.split("](").skip(1) {
            let link = link.split(')').next().unwrap();
            let (file, _) = link.split_once('#').unwrap_or((link, ""));
            if file.is_empty() || file.contains("://") {
                continue;
            }
            let target = path.parent().unwrap().join(file);
            assert!(target.exists(), "{}: {link}", path.display());
        }
    }
}

#[test]
fn every_command_that_is_named_exists() {
    let help = swarmer(&["--help"]);
    let listed = help.split_once("Commands:\n").unwrap().1;
    let listed = listed.split_once("\n\n").unwrap().0;
    let known: Vec<&str> = listed
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    for (path, text) in documents() {
        for mark in ["`swarmer ", "$ swarmer "] {
            for rest in text.split(mark).skip(1) {
                let ends = |c: char| !c.is_ascii_lowercase() && c != '-';
                let word = rest.split(ends).next().unwrap();
                let fine = word.is_empty() || word.starts_with('-') || known.contains(&word);
                assert!(fine, "{}: swarmer {word}", path.display());
            }
        }
    }
}

/// The names of all keys, at every depth.
fn keys(schema: &serde_json::Value, found: &mut Vec<String>) {
    for (key, below) in schema["properties"].as_object().into_iter().flatten() {
        found.push(key.clone());
        keys(below, found);
    }
}

#[test]
fn the_readme_and_operations_name_every_key_of_the_file() {
    let page = |name: &str| fs::read_to_string(root().join(name)).unwrap();
    let pages = page("README.md") + &page("docs/operations.md");
    let schema: serde_json::Value = serde_json::from_str(&swarmer(&["config", "schema"])).unwrap();
    let mut found = Vec::new();
    keys(&schema, &mut found);
    assert!(found.len() > 30, "{found:?}");
    for key in found {
        assert!(
            pages.contains(&key),
            "neither README.md nor docs/operations.md names {key}"
        );
    }
}
