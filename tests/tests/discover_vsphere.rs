//! `provider=vsphere` against a simulated vCenter over TLS: what `swarmer discover` finds there, and
//! what it says where it finds nothing.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Output};

use anyhow::{Context, Result, ensure};
use harness::needs::{self, Need};
use harness::scratch::Scratch;
use harness::story::Story;
use harness::vcsim::{PROGRAM, Vcsim};
use harness::{binary, process};
use serde::Deserialize;

const NEEDS: [Need; 3] = [
    Need::Target(PROGRAM),
    Need::Program("curl"),
    Need::Program("openssl"),
];

#[derive(Deserialize, Debug)]
struct Row {
    id: String,
    name: String,
    address: Option<String>,
    left_out: Option<String>,
}

/// A node's file whose network is 10.20.0.0/16, its vCenter's password, and a stand-in for the
/// program of open-vm-tools that reads guestinfo.
struct Node {
    scratch: Scratch,
}

impl Node {
    fn new() -> Result<Self> {
        let scratch = Scratch::new("discover")?;
        let token = process::run(Command::new(binary::swarmer()?).args(["token", "new"]))?;
        let file = format!(
            "stack: vagrant\ndc: dev\nrole: server\nexpect: 3\nadmin_network: 10.20.0.0/16\ntoken: {}\n",
            token.trim()
        );
        fs::write(scratch.path().join("swarmer.yaml"), file)?;
        fs::write(scratch.path().join("password"), Vcsim::PASSWORD)?;
        let rpctool = scratch.path().join("vmware-rpctool");
        let script = format!(
            "#!/bin/sh\n[ \"$1\" = 'info-get guestinfo.swarmer.vcenter' ] && echo '{}' && exit\necho 'No value found' >&2\nexit 1\n",
            Vcsim::PASSWORD
        );
        fs::write(&rpctool, script)?;
        fs::set_permissions(&rpctool, fs::Permissions::from_mode(0o755))?;
        Ok(Self { scratch })
    }

    fn password(&self) -> PathBuf {
        self.scratch.path().join("password")
    }

    /// The arguments that fit `vcsim`, with these in place of theirs.
    fn discover(&self, vcsim: &Vcsim, instead: &[(&str, &str)]) -> Result<Output> {
        let password = format!("file:{}", self.password().display());
        let ca = vcsim.ca().display().to_string();
        let usual = [
            ("category_name", "swarmer"),
            ("tag_name", "vagrant-dev"),
            ("host", vcsim.at()),
            ("user", Vcsim::USER),
            ("password", &password),
            ("ca_file", &ca),
        ];
        let mut source = "provider=vsphere".to_owned();
        let pinned = instead.iter().any(|(key, _)| *key == "thumbprint");
        for (key, value) in usual {
            if pinned && key == "ca_file" {
                continue;
            }
            let other = instead.iter().find(|(other, _)| *other == key);
            let value = other.map_or(value, |(_, value)| value);
            if !value.is_empty() {
                source.push_str(&format!(" {key}={value}"));
            }
        }
        for (key, value) in instead {
            if !usual.iter().any(|(known, _)| known == key) {
                source.push_str(&format!(" {key}={value}"));
            }
        }
        let mut command = Command::new(binary::swarmer()?);
        command
            .args(["--json", "discover", &source, "--config"])
            .arg(self.scratch.path().join("swarmer.yaml"))
            .env_remove("VSPHERE_PASSWORD");
        let path = std::env::var("PATH").unwrap_or_default();
        command.env("PATH", format!("{}:{path}", self.scratch.path().display()));
        let output = process::output(&mut command)?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(!said.contains("s3cret"), "a secret is told: {said}");
        Ok(output)
    }

    fn rows(&self, vcsim: &Vcsim, instead: &[(&str, &str)]) -> Result<Vec<Row>> {
        let output = self.discover(vcsim, instead)?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(output.status.success(), "{said}");
        serde_json::from_slice(&output.stdout).context(said)
    }

    /// It fails, and says all of `words` on one line.
    fn refused(&self, vcsim: &Vcsim, instead: &[(&str, &str)], words: &[&str]) -> Result<()> {
        let output = self.discover(vcsim, instead)?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(!output.status.success(), "it succeeded with {instead:?}");
        let line = said
            .lines()
            .find(|line| words.iter().all(|word| line.contains(word)));
        ensure!(line.is_some(), "no line has all of {words:?}:\n{said}");
        Ok(())
    }
}

#[test]
fn machines_are_found_by_their_tag() -> Result<()> {
    if !needs::met("machines_are_found_by_their_tag", &NEEDS) {
        return Ok(());
    }
    let story = Story::of("machines are found by their tag, and those left out say why");
    let vcsim = Vcsim::start(5)?;
    let tagged = ["DC0_H0_VM0", "DC0_H0_VM1", "DC0_H0_VM2", "DC0_H0_VM3"];
    vcsim.tag("swarmer", "vagrant-dev", &tagged)?;
    vcsim.set_address("DC0_H0_VM0", "10.20.0.10")?;
    vcsim.set_address("DC0_H0_VM1", "192.168.7.7")?;
    vcsim.set_address("DC0_H0_VM2", "10.20.0.12")?;
    vcsim.set_address("DC0_H0_VM4", "10.20.0.14")?;
    vcsim.power_off("DC0_H0_VM2")?;
    let node = Node::new()?;

    story.phase("the one that runs and has an address in the nodes' network is used");
    let rows = node.rows(&vcsim, &[])?;
    let names: Vec<&str> = rows.iter().map(|row| row.name.as_str()).collect();
    ensure!(names == tagged, "{rows:?}");
    for row in &rows {
        ensure!(row.id == vcsim.instance_uuid(&row.name)?, "{row:?}");
    }
    let told = |row: &Row| (row.address.clone(), row.left_out.clone());
    let left_out = |why: &str| (None, Some(why.to_owned()));
    let expected = [
        (Some("10.20.0.10:8300".to_owned()), None),
        left_out("it has no 10.20.0.0/16 address"),
        left_out("it is poweredOff"),
        left_out("it has no 10.20.0.0/16 address"),
    ];
    ensure!(rows.iter().map(told).eq(expected), "{rows:?}");

    story.phase("a folder narrows it, and one that is not there is named");
    ensure!(node.rows(&vcsim, &[("folder", "/DC0/vm")])?.len() == 4);
    node.refused(
        &vcsim,
        &[("folder", "/DC0/vm/prod")],
        &["no folder \"DC0/vm/prod\""],
    )?;

    story.phase("a category or a tag that is not there is named");
    node.refused(
        &vcsim,
        &[("category_name", "swarm")],
        &["no category \"swarm\"", "category_name"],
    )?;
    node.refused(
        &vcsim,
        &[("tag_name", "prod")],
        &["no tag \"prod\" in the category \"swarmer\""],
    )?;
    Ok(())
}

#[test]
fn only_the_vcenter_that_is_known_is_talked_to() -> Result<()> {
    if !needs::met("only_the_vcenter_that_is_known_is_talked_to", &NEEDS) {
        return Ok(());
    }
    let story = Story::of("only the vCenter that is known is talked to, by who may");
    let vcsim = Vcsim::start(1)?;
    vcsim.tag("swarmer", "vagrant-dev", &["DC0_H0_VM0"])?;
    vcsim.set_address("DC0_H0_VM0", "10.20.0.10")?;
    let node = Node::new()?;

    story.phase("known by its CA, or by a thumbprint in any of its forms");
    ensure!(node.rows(&vcsim, &[])?.len() == 1);
    let (sha1, sha256) = (vcsim.thumbprint("sha1")?, vcsim.thumbprint("sha256")?);
    for thumbprint in [&sha1, &sha256, &sha256.replace(':', "").to_lowercase()] {
        ensure!(node.rows(&vcsim, &[("thumbprint", thumbprint)])?.len() == 1);
    }

    story.phase("a certificate that nobody vouches for is refused with the thumbprint to put in");
    let put_in = format!("thumbprint={sha256}");
    node.refused(
        &vcsim,
        &[("ca_file", "")],
        &["vCenter's REST API at 127.0.0.1:", &put_in],
    )?;

    story.phase("another thumbprint than its own is refused in one line");
    let wrong = "00".repeat(32);
    let words = ["not the one that thumbprint names", &sha256];
    node.refused(&vcsim, &[("thumbprint", &wrong)], &words)?;

    story.phase("the password may come from guestinfo");
    ensure!(
        node.rows(&vcsim, &[("password", "guestinfo:swarmer.vcenter")])?
            .len()
            == 1
    );
    let words = ["no credentials: password: guestinfo.other: No value found"];
    node.refused(&vcsim, &[("password", "guestinfo:other")], &words)?;

    story.phase("a wrong password is told, and nothing of it");
    fs::write(node.password(), "s3cret-but-old")?;
    node.refused(
        &vcsim,
        &[],
        &["401 Unauthorized", "check user and password"],
    )?;
    fs::remove_file(node.password())?;
    node.refused(&vcsim, &[], &["no credentials: password:", "No such file"])?;
    Ok(())
}
