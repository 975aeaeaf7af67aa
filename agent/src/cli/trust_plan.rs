//! What `swarmer trust` changes on a machine, file by file.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use serde::Serialize;

/// Docker reads a registry's CA from here at every pull
/// (<https://docs.docker.com/engine/security/certificates/>).
const DOCKER: &str = "etc/docker/certs.d";
const DOCKER_CA: &str = "ca.crt";
/// What an agent writes beside the CA: then the folder is the agent's.
const AGENT_KEY: &str = "client.key";

/// How a family of systems keeps the CAs that it trusts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Family {
    /// Where an administrator's own go, below the root.
    folder: &'static str,
    ending: &'static str,
    /// What makes the system read them.
    pub(super) command: &'static str,
}

const FAMILIES: [Family; 2] = [
    // Debian, Ubuntu, Alpine.
    Family {
        folder: "usr/local/share/ca-certificates",
        ending: "crt",
        command: "update-ca-certificates",
    },
    // Fedora, Red Hat and their kin.
    Family {
        folder: "etc/pki/ca-trust/source/anchors",
        ending: "pem",
        command: "update-ca-trust",
    },
];

/// The family of the system below `root`.
pub(super) fn family(root: &Path) -> Option<Family> {
    let known = FAMILIES.into_iter();
    let mut known = known.filter(|family| root.join(family.folder).is_dir());
    known.next()
}

/// What happens to one file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Act {
    /// It is not there yet.
    Write,
    /// It is there, and says something else.
    Replace,
    /// It is as it should be.
    Keep,
    /// It goes.
    Remove,
    /// There is none to remove.
    Absent,
    /// This machine's agent needs it.
    LeaveToAgent,
}

/// One file, and what happens to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Step {
    pub(super) file: PathBuf,
    pub(super) act: Act,
}

impl Step {
    pub(super) fn changes(&self) -> bool {
        matches!(self.act, Act::Write | Act::Replace | Act::Remove)
    }

    pub(super) fn words(&self) -> String {
        let file = self.file.display();
        match self.act {
            Act::Write => format!("write    {file}"),
            Act::Replace => format!("replace  {file}, which says something else"),
            Act::Keep => format!("keep     {file}, which is right"),
            Act::Remove => format!("remove   {file}"),
            Act::Absent => format!("-        {file} is not there"),
            Act::LeaveToAgent => format!("keep     {file}, which this machine's agent uses"),
        }
    }

    /// Does it.
    pub(super) fn take(&self, ca: &str) -> io::Result<()> {
        match self.act {
            Act::Write | Act::Replace => write(&self.file, ca),
            Act::Remove => {
                fs::remove_file(&self.file)?;
                // Only if nothing else is in it.
                if let Some(folder) = self.file.parent().filter(|folder| is_registry(folder)) {
                    let _ = fs::remove_dir(folder);
                }
                Ok(())
            }
            Act::Keep | Act::Absent | Act::LeaveToAgent => Ok(()),
        }
    }
}

/// The file of the system's own trust, for the cluster `stack:dc`.
pub(super) fn system_file(root: &Path, family: Family, stack: &str, dc: &str) -> PathBuf {
    let name = format!("swarmer-{stack}-{dc}.{}", family.ending);
    root.join(family.folder).join(name)
}

/// The files of Docker's trust: one for each name of the registry.
pub(super) fn docker_files(root: &Path, stack: &str, dc: &str, port: u16) -> Vec<PathBuf> {
    let zones = [format!("{dc}.{stack}"), stack.to_owned(), dc.to_owned()];
    let folder = |zone: &String| format!("registry.service.{zone}:{port}");
    zones
        .iter()
        .map(|zone| root.join(DOCKER).join(folder(zone)).join(DOCKER_CA))
        .collect()
}

/// What it takes that `file` says `ca`.
pub(super) fn install(file: PathBuf, ca: &str) -> Step {
    let act = match fs::read(&file) {
        Ok(present) if present == ca.as_bytes() => Act::Keep,
        Ok(_) => Act::Replace,
        Err(_) => Act::Write,
    };
    Step { file, act }
}

/// What it takes that `file` is gone.
pub(super) fn remove(file: PathBuf) -> Step {
    let agent = file
        .parent()
        .is_some_and(|folder| is_registry(folder) && folder.join(AGENT_KEY).exists());
    let act = match file.exists() {
        true if agent => Act::LeaveToAgent,
        true => Act::Remove,
        false => Act::Absent,
    };
    Step { file, act }
}

fn is_registry(folder: &Path) -> bool {
    folder.parent().is_some_and(|above| above.ends_with(DOCKER))
}

/// Whole or not at all.
fn write(file: &Path, text: &str) -> io::Result<()> {
    let folder = file.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(folder)?;
    // Neither Docker nor the system takes a file of this ending for a certificate.
    let beside = file.with_extension("new");
    let mut open = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o644)
        .open(&beside)?;
    open.write_all(text.as_bytes())?;
    open.sync_all()?;
    fs::rename(&beside, file)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn acts(steps: &[Step]) -> Vec<Act> {
        steps.iter().map(|step| step.act).collect()
    }

    #[test]
    fn what_was_installed_is_undone_and_nothing_else() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        assert_eq!(family(root), None);
        fs::create_dir_all(root.join("etc/pki/ca-trust/source/anchors")).unwrap();
        let fedora = family(root).unwrap();
        assert_eq!(fedora.command, "update-ca-trust");
        let files = || {
            let mut files = docker_files(root, "vagrant", "dev", 5000);
            files.push(system_file(root, fedora, "vagrant", "dev"));
            files
        };
        let install = |ca| {
            let steps: Vec<Step> = files().into_iter().map(|file| install(file, ca)).collect();
            steps.iter().for_each(|step| step.take(ca).unwrap());
            acts(&steps)
        };
        assert_eq!(install("one"), [Act::Write; 4]);
        assert_eq!(install("one"), [Act::Keep; 4]);
        assert_eq!(install("two"), [Act::Replace; 4]);
        let anchor = root.join("etc/pki/ca-trust/source/anchors/swarmer-vagrant-dev.pem");
        assert_eq!(fs::read_to_string(anchor).unwrap(), "two");

        // One is a node's, with an agent; one has a neighbour of somebody else's.
        let certs = root.join(DOCKER);
        let node = certs.join("registry.service.dev:5000");
        fs::write(node.join(AGENT_KEY), "").unwrap();
        let shared = certs.join("registry.service.vagrant:5000");
        fs::write(shared.join("other.crt"), "").unwrap();
        let undo = || {
            let steps: Vec<Step> = files().into_iter().map(remove).collect();
            steps.iter().for_each(|step| step.take("").unwrap());
            acts(&steps)
        };
        let (gone, agents) = (Act::Remove, Act::LeaveToAgent);
        assert_eq!(undo(), [gone, gone, agents, gone]);
        assert!(!certs.join("registry.service.dev.vagrant:5000").exists());
        assert!(shared.join("other.crt").exists() && node.join(DOCKER_CA).exists());
        let (absent, agents) = (Act::Absent, Act::LeaveToAgent);
        assert_eq!(undo(), [absent, absent, agents, absent]);
    }
}
