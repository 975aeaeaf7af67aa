//! `swarmer cloud-init` as people and programs run it.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

const SERVERS: &str = "\
stack: vagrant
dc: dev
admin_network: 192.168.101.0/24
servers:
- { name: n1, ip: 192.168.101.101, role: server }
- { name: w1, ip: 192.168.101.102, role: worker }
";
const TOKEN: &str = ".swarmer/vagrant/dev/token";

/// A home with a `servers.yml` in it.
fn home() -> TempDir {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("servers.yml"), SERVERS).unwrap();
    home
}

fn command(home: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_swarmer"));
    command.args(arguments).env_clear().env("HOME", home);
    command.current_dir(home).stdin(Stdio::null());
    command
}

fn run(home: &Path, arguments: &[&str]) -> Output {
    command(home, arguments).output().unwrap()
}

/// What it prints, where it must succeed.
#[track_caller]
fn printed(home: &Path, arguments: &[&str]) -> String {
    let ran = run(home, arguments);
    let error = String::from_utf8(ran.stderr).unwrap();
    assert!(ran.status.success(), "{arguments:?}: {error}");
    String::from_utf8(ran.stdout).unwrap()
}

/// What it says, where it must fail with `code`.
#[track_caller]
fn refused(home: &Path, arguments: &[&str], code: i32) -> String {
    let ran = run(home, arguments);
    let error = String::from_utf8(ran.stderr).unwrap();
    assert_eq!(ran.status.code(), Some(code), "{arguments:?}: {error}");
    assert!(ran.stdout.is_empty(), "{arguments:?} printed something");
    error
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// The token in a user-data.
fn token_in(user_data: &str) -> String {
    let (_, rest) = user_data.split_once("token: \"").unwrap();
    rest.split_once('"').unwrap().0.to_owned()
}

/// The node's own file in a user-data.
fn swarmer_yaml(user_data: &str) -> String {
    let (_, content) = user_data.split_once("content: |\n").unwrap();
    let lines = content
        .lines()
        .map_while(|line| line.strip_prefix("      "));
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn one_token_is_made_once_for_its_owner_only() {
    let home = home();
    let starts: Vec<_> = (0..6)
        .map(|_| {
            let mut command = command(home.path(), &["cloud-init", "n1"]);
            command.stdout(Stdio::piped()).stderr(Stdio::piped());
            command.spawn().unwrap()
        })
        .collect();
    let mut tokens: Vec<String> = starts
        .into_iter()
        .map(|child| child.wait_with_output().unwrap())
        .map(|ran| token_in(&String::from_utf8(ran.stdout).unwrap()))
        .collect();
    tokens.dedup();
    let path = home.path().join(TOKEN);
    assert_eq!(tokens, [fs::read_to_string(&path).unwrap().trim()]);
    assert_eq!(mode(&path), 0o600);
    assert_eq!(mode(path.parent().unwrap()), 0o700);
    let folder = fs::read_dir(path.parent().unwrap()).unwrap();
    assert_eq!(folder.count(), 1, "nothing is left beside it");
}

#[test]
fn a_node_gets_its_own_role_s_token_and_a_file_that_the_agent_accepts() {
    let home = home();
    let server = printed(home.path(), &["cloud-init", "n1"]);
    let worker = printed(home.path(), &["cloud-init", "w1"]);
    let secret = fs::read_to_string(home.path().join(TOKEN)).unwrap();
    assert_eq!(token_in(&server), secret.trim());
    assert!(!worker.contains("swarmer-server-"), "{worker}");
    let derived = command(home.path(), &["token", "derive", "worker"])
        .env("SWARMER_TOKEN", secret.trim())
        .output()
        .unwrap();
    assert_eq!(
        token_in(&worker),
        String::from_utf8(derived.stdout).unwrap().trim()
    );
    for (role, user_data) in [("server", &server), ("worker", &worker)] {
        fs::write(home.path().join("swarmer.yaml"), swarmer_yaml(user_data)).unwrap();
        let said = printed(home.path(), &["config", "check", "swarmer.yaml"]);
        assert_eq!(
            said,
            format!("swarmer.yaml is fine: a {role} of vagrant:dev\n")
        );
    }
}

#[test]
fn cloud_init_s_own_check_accepts_it() {
    let there = Command::new("cloud-init").arg("--version").output();
    if there.is_err() {
        eprintln!("skipped, for want of cloud-init");
        return;
    }
    let home = home();
    for node in ["n1", "w1"] {
        let user_data = home.path().join("user-data");
        fs::write(&user_data, printed(home.path(), &["cloud-init", node])).unwrap();
        let mut check = Command::new("cloud-init");
        let ran = check.args(["schema", "--config-file"]).arg(&user_data);
        let ran = ran.output().unwrap();
        assert!(ran.status.success(), "{ran:?}");
    }
}

#[test]
fn the_seed_holds_the_three_texts_and_is_replaced_whole() {
    let home = home();
    let iso = home.path().join("n1.iso");
    fs::write(&iso, "an older one").unwrap();
    let said = printed(home.path(), &["cloud-init", "n1", "--iso", "n1.iso"]);
    assert_eq!(said, "n1.iso is the seed of n1, a server of vagrant:dev\n");
    assert_eq!(mode(&iso), 0o600);
    let image = fs::read(&iso).unwrap();
    let json = printed(home.path(), &["cloud-init", "n1", "--json"]);
    let texts: serde_json::Value = serde_json::from_str(&json).unwrap();
    for name in ["user_data", "meta_data", "network_config"] {
        let text = texts[name].as_str().unwrap().as_bytes();
        assert!(image.windows(text.len()).any(|part| part == text), "{name}");
    }
    let Ok(ran) = Command::new("bsdtar").arg("-tf").arg(&iso).output() else {
        eprintln!("not read by another program, for want of bsdtar");
        return;
    };
    let names = String::from_utf8(ran.stdout).unwrap();
    for name in ["user-data", "meta-data", "network-config"] {
        assert!(names.lines().any(|line| line == name), "{names}");
    }
}

#[test]
fn a_wrong_list_node_or_token_is_told_and_no_secret_with_it() {
    let home = home();
    let said = refused(home.path(), &["cloud-init", "n2"], 2);
    assert!(
        said.contains("servers.yml has no \"n2\"\n  it has n1, w1"),
        "{said}"
    );
    let said = refused(home.path(), &["cloud-init", "n1", "--from", "x.yml"], 1);
    assert!(said.contains("can't read x.yml"), "{said}");
    fs::write(home.path().join("bad.yml"), SERVERS.replace("w1", "n1")).unwrap();
    let wrong = "bad.yml:6: servers[1].name: found \"n1\", expected a name of its own: servers[0].name is the same";
    for arguments in [
        ["cloud-init", "n1", "--from", "bad.yml"],
        ["config", "check", "--servers", "bad.yml"],
    ] {
        assert!(refused(home.path(), &arguments, 78).contains(wrong));
    }
    let worker = token_in(&printed(home.path(), &["cloud-init", "w1"]));
    fs::write(home.path().join("token"), &worker).unwrap();
    printed(home.path(), &["cloud-init", "w1", "--token-file", "token"]);
    let said = refused(
        home.path(),
        &["cloud-init", "n1", "--token-file", "token"],
        1,
    );
    assert!(
        said.contains("this is a worker token, and the machine is to be a server"),
        "{said}"
    );
    assert!(!said.contains(&worker), "{said}");
    fs::write(home.path().join("token"), "hunter2").unwrap();
    let said = refused(
        home.path(),
        &["cloud-init", "n1", "--token-file", "token"],
        1,
    );
    assert!(
        said.contains("token: this is not a swarmer token") && !said.contains("hunter2"),
        "{said}"
    );
}

#[test]
fn the_list_is_printed_for_programs_with_its_defaults() {
    let home = home();
    let json = printed(home.path(), &["config", "check", "--servers", "--json"]);
    let list: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(list["admin_network"], "192.168.101.0/24");
    assert_eq!(list["servers"][1]["role"], "worker");
    assert_eq!(list["servers"][1]["disk"], 20);
    let schema = printed(home.path(), &["config", "schema", "--servers"]);
    assert!(schema.contains("\"title\": \"servers.yml\""), "{schema}");
}
