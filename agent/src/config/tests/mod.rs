//! The configuration as its users meet it: good files, bad files, hostile files.

mod bad;
mod good;
mod hostile;
mod schema;
mod servers;

use super::*;

/// The smallest server.
const BASE: &str = "\
stack: vagrant
dc: dev
role: server
expect: 3
admin_network: 192.168.101.0/24
token: s3cret-t0ken
";

/// [`BASE`] with other lines: each replaces the one that starts with the same key, or comes last.
/// `-key` takes one out.
fn base_with(lines: &[&str]) -> String {
    let mut text: Vec<String> = BASE.lines().map(str::to_owned).collect();
    for line in lines {
        let key = line.split(':').next().unwrap_or_default();
        let key = key.trim_start_matches('-');
        let place = text
            .iter()
            .position(|old| old.starts_with(&format!("{key}:")));
        match place {
            Some(at) if line.starts_with('-') => drop(text.remove(at)),
            Some(at) => (*line).clone_into(&mut text[at]),
            None => text.push((*line).to_owned()),
        }
    }
    text.join("\n")
}

fn parse(text: &str) -> Result<Config, ConfigErrors> {
    Config::parse("swarmer.yaml", text)
}

fn errors(text: &str) -> Vec<String> {
    match parse(text) {
        Ok(config) => panic!("{text}\nwas accepted: {config:?}"),
        Err(errors) => errors.0.iter().map(ToString::to_string).collect(),
    }
}
