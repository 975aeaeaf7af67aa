//! `swarmer kv export` and `import`, in the form of Consul's commands
//! (<https://developer.hashicorp.com/consul/commands/kv/export>).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::connect;
use super::failure::Failure;
use super::kv::{self, Entry};
use super::output;
use crate::client::Client;

/// One entry of an export.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Exported {
    key: String,
    #[serde(default)]
    flags: u64,
    /// Base 64.
    #[serde(default)]
    value: Option<String>,
}

pub(super) async fn export(client: &Client, prefix: &str) -> Result<(), Failure> {
    let path = format!("{}?recurse", kv::path(prefix));
    let answer = match kv::found(client, &path, prefix).await {
        // Nothing is a fine export.
        Err(Failure::Not { .. }) => return output::json(&json!([])),
        other => other?,
    };
    let entries: Vec<Entry> = connect::parse(&answer)?;
    let exported = entries.into_iter().map(|entry| Exported {
        key: entry.key,
        flags: entry.flags,
        value: Some(entry.value.unwrap_or_default()),
    });
    output::json(&exported.collect::<Vec<_>>())
}

pub(super) async fn import(
    client: &Client,
    text: &[u8],
    prefix: &str,
    json: bool,
) -> Result<(), Failure> {
    // All is read before anything is written.
    let entries = parse(text)?;
    for (key, flags, value) in &entries {
        let key = format!("{prefix}{key}");
        kv::put(client, &key, value.clone(), None, Some(*flags)).await?;
    }
    match json {
        true => output::json(&json!({"imported": entries.len()})),
        false => output::line(&format!("imported {} keys", entries.len())),
    }
}

fn parse(text: &[u8]) -> Result<Vec<(String, u64, Vec<u8>)>, Failure> {
    const FORM: &str =
        "use what `swarmer kv export` prints: [{\"key\": …, \"flags\": 0, \"value\": BASE64}, …]";
    let wrong = |found: String| Failure::not(found, FORM);
    let entries: Vec<Exported> = serde_json::from_slice(text)
        .map_err(|error| wrong(format!("this is not an export: {error}")))?;
    let decode = |entry: Exported| {
        let value = STANDARD.decode(entry.value.unwrap_or_default());
        let value = value.map_err(|error| {
            wrong(format!(
                "the value of {:?} is not base 64: {error}",
                entry.key
            ))
        })?;
        Ok((entry.key, entry.flags, value))
    };
    entries.into_iter().map(decode).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_export_is_read_as_it_was_written_and_nothing_else_is() {
        let read = parse(br#"[{"key":"a","flags":7,"value":"aGk="},{"key":"b","value":null}]"#);
        let expected = vec![
            ("a".to_owned(), 7, b"hi".to_vec()),
            ("b".to_owned(), 0, Vec::new()),
        ];
        assert_eq!(read.unwrap(), expected);
        for bad in [
            "",
            "{}",
            r#"[{"key":"a","value":"???"}]"#,
            r#"[{"value":""}]"#,
        ] {
            assert!(parse(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
