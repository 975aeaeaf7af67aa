//! Files that say which version wrote them.

use std::path::Path;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::DiskError;

#[derive(Serialize)]
struct Written<'a, T> {
    version: u32,
    body: &'a T,
}

#[derive(Deserialize)]
struct Version {
    version: u32,
}

#[derive(Deserialize)]
struct Body<T> {
    body: T,
}

/// `{"version": …, "body": …}`, as people can read it.
pub(super) fn encode<T: Serialize>(
    path: &Path,
    version: u32,
    body: &T,
) -> Result<Vec<u8>, DiskError> {
    let written = Written { version, body };
    let mut bytes = serde_json::to_vec_pretty(&written).map_err(|source| DiskError::Encode {
        path: path.to_owned(),
        source,
    })?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// The body, if its version is the `known` one.
pub(super) fn decode<T: DeserializeOwned>(
    path: &Path,
    known: u32,
    bytes: &[u8],
) -> Result<T, DiskError> {
    let found = serde_json::from_slice::<Version>(bytes)
        .map_err(damaged(path))?
        .version;
    if found > known {
        return Err(DiskError::Newer {
            path: path.to_owned(),
            found,
            known,
        });
    }
    if found < known {
        return Err(DiskError::Damaged {
            path: path.to_owned(),
            what: format!(
                "it says version {found}, which this swarmer can't read; it knows {known}"
            ),
        });
    }
    let read = serde_json::from_slice::<Body<T>>(bytes).map_err(damaged(path))?;
    Ok(read.body)
}

/// serde's own words may quote the content.
fn damaged(path: &Path) -> impl Fn(serde_json::Error) -> DiskError {
    move |error| DiskError::Damaged {
        path: path.to_owned(),
        what: format!("line {}, column {}", error.line(), error.column()),
    }
}
