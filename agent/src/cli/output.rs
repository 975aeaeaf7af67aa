//! Standard output. Whoever reads may stop reading (`| head`): that is no failure.

use std::io::{self, Write as _};

use serde::Serialize;

use super::failure::Failure;

/// Writes `bytes` as they are.
pub(super) fn raw(bytes: &[u8]) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::file("write to", "standard output", error))
        }
        _ => Ok(()),
    }
}

/// One line.
pub(super) fn line(text: &str) -> Result<(), Failure> {
    raw(format!("{text}\n").as_bytes())
}

/// For programs.
pub(super) fn json(value: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value)
        .map_err(|error| Failure::file("write to", "standard output", error.into()))?;
    line(&text)
}
