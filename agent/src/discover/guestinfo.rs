//! What vSphere's host and this VM tell each other: values under `guestinfo.`, through
//! open-vm-tools' `vmware-rpctool`.

use std::process::{Output, Stdio};
use std::time::Duration;

use tokio::process::Command;

use super::provider::ProviderError;
use super::said::said;
use crate::config::Secret;

const PROGRAM: &str = "vmware-rpctool";
const ANSWER: Duration = Duration::from_secs(5);
const GET: &str = "vmware-rpctool info-get";
const SET: &str = "vmware-rpctool info-set";
/// What it says of a key that was never set.
const NONE: &str = "No value found";
/// A key can't be removed from inside, nor set to nothing; cloud-init clears its own like this.
const WIPED: &str = " ";

/// The value of `guestinfo.KEY`, without white space around it; `None`: there is none, or it was
/// wiped.
pub async fn get(key: &str) -> Result<Option<Secret>, ProviderError> {
    let output = run(GET, format!("info-get guestinfo.{key}")).await?;
    if output.status.success() {
        let text = String::from_utf8(output.stdout).map_err(|_| ProviderError::Unreadable {
            call: GET,
            why: format!("the value of guestinfo.{key} is not text"),
        })?;
        let text = text.trim();
        return Ok((!text.is_empty()).then(|| Secret::new(text)));
    }
    match complaint(&output) {
        words if words.contains(NONE) => Ok(None),
        words => Err(refused(GET, key, words)),
    }
}

/// Sets `guestinfo.KEY`.
pub async fn set(key: &str, value: &str) -> Result<(), ProviderError> {
    let output = run(SET, format!("info-set guestinfo.{key} {value}")).await?;
    if output.status.success() {
        return Ok(());
    }
    Err(refused(SET, key, complaint(&output)))
}

/// Overwrites `guestinfo.KEY`, so that nobody reads it again.
pub async fn wipe(key: &str) -> Result<(), ProviderError> {
    set(key, WIPED).await
}

async fn run(call: &'static str, request: String) -> Result<Output, ProviderError> {
    let failed = |why: String| ProviderError::Unreachable {
        call,
        at: "this VM's host".to_owned(),
        why,
    };
    let mut command = Command::new(PROGRAM);
    command.arg(request).stdin(Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(ANSWER, command.output())
        .await
        .map_err(|_| failed(format!("no answer within {} s", ANSWER.as_secs())))?;
    output.map_err(|error| {
        failed(format!(
            "{error}; is open-vm-tools installed, and is this a VM of vSphere's?"
        ))
    })
}

/// Its complaint goes to standard error, or in front of nothing on standard output.
fn complaint(output: &Output) -> String {
    let texts = [&output.stderr, &output.stdout].map(|bytes| said(&String::from_utf8_lossy(bytes)));
    let mut texts = texts.into_iter();
    let text = texts.find(|text| !text.is_empty());
    text.unwrap_or_else(|| "it said nothing".to_owned())
}

fn refused(call: &'static str, key: &str, words: String) -> ProviderError {
    ProviderError::Refused {
        call,
        said: format!("guestinfo.{key}: {words}"),
        hint: None,
    }
}
