//! What a test needs from its machine. What can't be had is skipped aloud, never silently.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;

use crate::binary;

/// What a story may need beyond the agent.
#[derive(Clone, Copy, Debug)]
pub enum Need {
    /// Root, for namespaces, mounts and low ports.
    Root,
    /// A program on the PATH.
    Program(&'static str),
    /// A device or file.
    File(&'static str),
    /// What `tests/setup.sh` builds below cargo's target directory.
    Target(&'static str),
}

/// True if all `needs` are met; otherwise says what is skipped and why, on standard error and in the
/// file that `SWARMER_SKIPPED` names (its lines end the report of `make test`).
///
/// With `SWARMER_NO_SKIP` set, an unmet need fails the test instead.
#[must_use]
pub fn met(test: &str, needs: &[Need]) -> bool {
    let missing: Vec<String> = needs.iter().filter_map(missing).collect();
    if missing.is_empty() {
        return true;
    }
    let line = format!("{test}: skipped, for want of {}", missing.join(", "));
    assert!(std::env::var_os("SWARMER_NO_SKIP").is_none(), "{line}");
    eprintln!("{line}");
    if let Some(file) = std::env::var_os("SWARMER_SKIPPED") {
        let noted = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&file)
            .and_then(|mut open| writeln!(open, "{line}"));
        assert!(
            noted.is_ok(),
            "write {}: {noted:?}",
            Path::new(&file).display()
        );
    }
    false
}

fn missing(need: &Need) -> Option<String> {
    match need {
        Need::Root if rustix::process::geteuid().is_root() => None,
        Need::Root => Some("root".to_owned()),
        Need::Program(name) if binary::on_path(name).is_some() => None,
        Need::Program(name) => Some(format!("the program {name}")),
        Need::File(path) if Path::new(path).exists() => None,
        Need::File(path) => Some((*path).to_owned()),
        Need::Target(path) => match binary::target_directory() {
            Ok(target) if target.join(path).exists() => None,
            _ => Some(format!("target/{path} (tests/setup.sh)")),
        },
    }
}
