//! `swarmer kv`.

use std::io::Read as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Subcommand;
use serde::Deserialize;
use serde_json::{Value, json};

use super::connect::{self, Connect};
use super::failure::Failure;
use super::kv_export;
use super::output;
use crate::client::{Answer, Client, Request, escape};

/// Keys and values.
#[derive(Subcommand)]
pub(super) enum KvCommand {
    /// Print a value; all of a prefix with --recurse.
    Get {
        /// The key, or the prefix.
        key: String,
        /// Every key that begins so, as KEY: VALUE
        #[arg(long)]
        recurse: bool,
        /// From this node's copy, which may be old, also without a leader
        #[arg(long)]
        stale: bool,
        /// The value's bytes and nothing else, not even a line feed
        #[arg(long, conflicts_with = "recurse")]
        raw: bool,
    },
    /// Write a value.
    Put {
        /// The key.
        key: String,
        /// The value; `@FILE` reads a file; without it or with `-`: standard input.
        #[arg(allow_hyphen_values = true)]
        value: Option<String>,
        /// Only if the key was last changed at this index (0: only if it is not there)
        #[arg(long, value_name = "INDEX")]
        cas: Option<u64>,
        /// A number that is kept with the value
        #[arg(long)]
        flags: Option<u64>,
    },
    /// Delete a key; all of a prefix with --recurse.
    Delete {
        /// The key, or the prefix.
        key: String,
        /// Every key that begins so
        #[arg(long, conflicts_with = "cas")]
        recurse: bool,
        /// Only if the key was last changed at this index
        #[arg(long, value_name = "INDEX")]
        cas: Option<u64>,
    },
    /// List the keys that begin with a prefix.
    List {
        /// The prefix; all keys without it.
        #[arg(default_value = "")]
        prefix: String,
        /// Cut each key behind the first of these that follows the prefix, as in a folder
        #[arg(long, value_name = "TEXT")]
        separator: Option<String>,
    },
    /// Print all of a prefix as JSON, for `import` (and as Consul's command prints it).
    Export {
        /// The prefix; all keys without it.
        #[arg(default_value = "")]
        prefix: String,
    },
    /// Write what `export` printed.
    Import {
        /// A file; `-` is standard input.
        #[arg(default_value = "-")]
        file: String,
        /// Put this before every key
        #[arg(long, default_value = "")]
        prefix: String,
    },
}

/// An entry as the API shows it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Entry {
    pub(super) key: String,
    #[serde(default)]
    pub(super) flags: u64,
    /// Base 64.
    pub(super) value: Option<String>,
}

impl Entry {
    pub(super) fn bytes(&self) -> Vec<u8> {
        let value = self.value.as_deref().unwrap_or_default();
        STANDARD.decode(value).unwrap_or_default()
    }
}

pub(super) async fn run(command: KvCommand, connect: &Connect<'_>) -> Result<(), Failure> {
    let client = connect.client()?;
    let json = connect.json();
    match command {
        KvCommand::Get {
            key,
            recurse,
            stale,
            raw,
        } => {
            let stale = if stale { "&stale" } else { "" };
            let recurse = if recurse { "recurse" } else { "" };
            let path = format!("{}?{recurse}{stale}", path(&key));
            let answer = found(&client, &path, &key).await?;
            show(&answer, json, raw, !recurse.is_empty())
        }
        KvCommand::Put {
            key,
            value,
            cas,
            flags,
        } => {
            let body = input(value.as_deref().unwrap_or("-"))?;
            put(&client, &key, body, cas, flags).await?;
            done("wrote", &key, json)
        }
        KvCommand::Delete { key, recurse, cas } => {
            let cas_part = cas.map(|index| format!("cas={index}")).unwrap_or_default();
            let recurse = if recurse { "recurse" } else { "" };
            let path = format!("{}?{recurse}{cas_part}", path(&key));
            let answer = connect::ask(&client, Request::delete(&path)).await?;
            agreed(&answer, &key, cas)?;
            done("deleted", &key, json)
        }
        KvCommand::List { prefix, separator } => {
            let cut = separator.map(|text| format!("&separator={}", escape(&text)));
            let path = format!("{}?keys{}", path(&prefix), cut.unwrap_or_default());
            let answer = found(&client, &path, &prefix).await?;
            let keys: Vec<String> = connect::parse(&answer)?;
            match json {
                true => output::json(&keys),
                false => output::raw(lines(&keys).as_bytes()),
            }
        }
        KvCommand::Export { prefix } => kv_export::export(&client, &prefix).await,
        KvCommand::Import { file, prefix } => {
            kv_export::import(&client, &input_of(&file)?, &prefix, json).await
        }
    }
}

pub(super) fn path(key: &str) -> String {
    format!("/v1/kv/{}", escape(key))
}

fn lines(keys: &[String]) -> String {
    keys.iter().map(|key| format!("{key}\n")).collect()
}

/// Asks, and takes "there is none" for what it is.
pub(super) async fn found(client: &Client, path: &str, key: &str) -> Result<Answer, Failure> {
    let answer = client.send(Request::get(path)).await?;
    match answer.status {
        200 => Ok(answer),
        404 => Err(Failure::not(
            format!("there is no key {key:?}"),
            "`swarmer kv list` shows the keys",
        )),
        _ => Err(connect::refused(&answer)),
    }
}

fn show(answer: &Answer, json: bool, raw: bool, recurse: bool) -> Result<(), Failure> {
    if json {
        let entries: Vec<Value> = connect::parse(answer)?;
        return match entries.as_slice() {
            [one] if !recurse => output::json(one),
            all => output::json(&all),
        };
    }
    let entries: Vec<Entry> = connect::parse(answer)?;
    let mut out = Vec::new();
    for entry in entries {
        if recurse {
            out.extend_from_slice(format!("{}: ", entry.key).as_bytes());
        }
        out.extend_from_slice(&entry.bytes());
        if !raw {
            out.push(b'\n');
        }
    }
    output::raw(&out)
}

pub(super) async fn put(
    client: &Client,
    key: &str,
    body: Vec<u8>,
    cas: Option<u64>,
    flags: Option<u64>,
) -> Result<(), Failure> {
    let mut query = Vec::new();
    query.extend(cas.map(|index| format!("cas={index}")));
    query.extend(flags.map(|flags| format!("flags={flags}")));
    let path = format!("{}?{}", path(key), query.join("&"));
    let answer = connect::ask(client, Request::put(&path, body)).await?;
    agreed(&answer, key, cas)
}

fn agreed(answer: &Answer, key: &str, cas: Option<u64>) -> Result<(), Failure> {
    if answer.text() == "true" {
        return Ok(());
    }
    let why = cas.map_or("the cluster said no".to_owned(), |index| {
        format!("it was not last changed at index {index}")
    });
    Err(Failure::not(
        format!("{key:?} is as it was: {why}"),
        "`swarmer kv get --json KEY` shows its ModifyIndex",
    ))
}

fn done(what: &str, key: &str, json: bool) -> Result<(), Failure> {
    match json {
        true => output::json(&json!({what: key})),
        false => output::line(&format!("{what} {key}")),
    }
}

fn input(value: &str) -> Result<Vec<u8>, Failure> {
    match value.strip_prefix('@') {
        Some(file) => input_of(file),
        None if value == "-" => input_of("-"),
        None => Ok(value.as_bytes().to_vec()),
    }
}

fn input_of(file: &str) -> Result<Vec<u8>, Failure> {
    if file != "-" {
        return std::fs::read(file).map_err(|error| Failure::file("read", file, error));
    }
    let mut bytes = Vec::new();
    std::io::stdin()
        .lock()
        .read_to_end(&mut bytes)
        .map_err(|error| Failure::file("read", "standard input", error))?;
    Ok(bytes)
}
