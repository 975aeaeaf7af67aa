//! The server token of a cluster that is yet to be: `~/.swarmer/<stack>/<dc>/token`, or another file.

use std::fs;
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use super::failure::Failure;
use super::operator_files::OperatorFiles;
use crate::model::{Name, Role};
use crate::pki::Token;

const FILE: &str = "token";
const PRIVATE: u32 = 0o600;

/// The token of `role`: what `file` holds, or what is derived from it. Without a `file` it is the
/// cluster's own, which is made now if there is none.
pub(super) fn of(
    stack: &Name,
    dc: &Name,
    role: Role,
    file: Option<&Path>,
) -> Result<Token, Failure> {
    let (path, found) = match file {
        Some(path) => (path.to_owned(), read(path)?),
        None => kept(stack, dc)?,
    };
    let token: Token = found.trim().parse().map_err(|error| {
        Failure::not(
            format!("{}: {error}", path.display()),
            "put the cluster's server token there; for a cluster that is yet to be, remove the file, and a new one is made",
        )
    })?;
    match token.role() {
        own if own == role => Ok(token),
        Role::Server => Ok(token.derive(role)?),
        own => Err(Failure::not(
            format!(
                "{}: this is {} token, and the machine is to be a {role}",
                path.display(),
                with_article(own)
            ),
            "use the cluster's server token: that of any role can be made from it",
        )),
    }
}

fn with_article(role: Role) -> String {
    match role {
        Role::Operator => format!("an {role}"),
        _ => format!("a {role}"),
    }
}

fn read(path: &Path) -> Result<String, Failure> {
    let failed = |error| Failure::file("read", path.display(), error);
    let mode = fs::metadata(path).map_err(failed)?.permissions().mode();
    if mode & 0o077 != 0 {
        eprintln!(
            "swarmer: {} can be read by others: chmod 600 it",
            path.display()
        );
    }
    fs::read_to_string(path).map_err(failed)
}

/// The cluster's own, with its text.
fn kept(stack: &Name, dc: &Name) -> Result<(PathBuf, String), Failure> {
    let files = OperatorFiles::of(stack, dc)?;
    let path = files.folder().join(FILE);
    if !path.exists() {
        make(files.folder(), &path)?;
    }
    let text = read(&path)?;
    Ok((path, text))
}

/// Whole or not at all, and once: of two that do this at the same time, one makes it and both use it.
fn make(folder: &Path, path: &Path) -> Result<(), Failure> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(|error| Failure::file("make", folder.display(), error))?;
    let beside = folder.join(format!("{FILE}.{}", std::process::id()));
    let text = format!("{}\n", Token::generate_server().expose());
    let made = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(PRIVATE)
        .open(&beside)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .and_then(|()| fs::hard_link(&beside, path));
    let _ = fs::remove_file(&beside);
    match made {
        Err(error) if error.kind() != ErrorKind::AlreadyExists || !path.exists() => {
            Err(Failure::file("make", path.display(), error))
        }
        Err(_) => Ok(()),
        Ok(()) => {
            eprintln!(
                "swarmer: made the cluster's server token, {}; keep it",
                path.display()
            );
            Ok(())
        }
    }
}
