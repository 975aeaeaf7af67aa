//! What vSphere tells this machine: a value that the VM's owner set under `guestinfo.`.

use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use crate::config::Secret;

/// Of open-vm-tools; in the image.
const PROGRAM: &str = "vmware-rpctool";
const ANSWER: Duration = Duration::from_secs(5);

/// A key that is sure to be one word to the program that is asked.
pub(super) fn is_key(text: &str) -> bool {
    let fine = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    !text.is_empty() && text.len() <= 128 && text.bytes().all(fine)
}

/// The value of `guestinfo.KEY`. The error says what the program said, which is no value.
pub(super) async fn get(key: &str) -> Result<Secret, String> {
    let mut command = Command::new(PROGRAM);
    command
        .arg(format!("info-get guestinfo.{key}"))
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let output = tokio::time::timeout(ANSWER, command.output())
        .await
        .map_err(|_| format!("{PROGRAM} did not answer within {} s", ANSWER.as_secs()))?
        .map_err(|error| format!("{PROGRAM} can't be run: {error}"))?;
    if !output.status.success() {
        return Err(super::said(&String::from_utf8_lossy(&output.stderr)));
    }
    let value = String::from_utf8(output.stdout).map_err(|_| "it is not text".to_owned())?;
    match value.trim() {
        "" => Err("it is empty".to_owned()),
        value => Ok(Secret::new(value)),
    }
}
