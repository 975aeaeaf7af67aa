//! `swarmer demo` and the commands, as people use them: the program itself, nothing else.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use std::io::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;
use swarmer::task::clock;

const SWARMER: &str = env!("CARGO_BIN_EXE_swarmer");

/// A demo that is gone when the test is, however it ends.
struct Demo {
    dir: tempfile::TempDir,
    object: Value,
}

impl Demo {
    fn start(servers: u8, workers: u8) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (servers, workers) = (servers.to_string(), workers.to_string());
        let path = dir.path().to_str().unwrap();
        let words = [
            "demo",
            "--servers",
            &servers,
            "--workers",
            &workers,
            "--detach",
            "--json",
            "--dir",
            path,
        ];
        let object = serde_json::from_str(&good(&words)).unwrap();
        Self { dir, object }
    }

    fn node(&self, number: usize) -> &Value {
        &self.object["nodes"][number]
    }

    fn text<'v>(&'v self, number: usize, key: &str) -> &'v str {
        self.node(number)[key].as_str().unwrap()
    }

    fn http(&self, number: usize) -> &str {
        self.text(number, "http")
    }

    fn kill(&self, number: usize) {
        let pid = self.node(number)["pid"].to_string();
        let killed = Command::new("kill").args(["-9", &pid]).status().unwrap();
        assert!(killed.success());
    }

    /// By the node's own command line.
    fn start_again(&self, number: usize) -> Child {
        let words = self.node(number)["command"].as_array().unwrap();
        let mut words = words.iter().map(|word| word.as_str().unwrap());
        Command::new(words.next().unwrap())
            .args(words)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    }

    fn stop(&self) -> Output {
        run(&["demo", "stop", "--dir", self.dir.path().to_str().unwrap()])
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        self.stop();
    }
}

fn run(words: &[&str]) -> Output {
    let mut command = Command::new(SWARMER);
    for name in [
        "SWARMER_HTTP",
        "SWARMER_CLUSTER",
        "SWARMER_CA",
        "SWARMER_TOKEN",
    ] {
        command.env_remove(name);
    }
    command.args(words).stdin(Stdio::null()).output().unwrap()
}

/// What it prints if it succeeds.
fn good(words: &[&str]) -> String {
    let output = run(words);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{words:?}: {said}");
    String::from_utf8(output.stdout).unwrap()
}

/// Exit code and what it says if it fails.
fn bad(words: &[&str]) -> (i32, String) {
    let output = run(words);
    assert!(!output.status.success(), "{words:?} succeeded");
    assert!(output.stdout.is_empty(), "{words:?} printed a result");
    let said = String::from_utf8(output.stderr).unwrap();
    (output.status.code().unwrap(), said)
}

/// Looks until `what` holds.
fn eventually(why: &str, what: impl Fn() -> bool) {
    let begun = clock::now();
    while !what() {
        assert!(
            clock::now().duration_since(begun) < Duration::from_secs(20),
            "never: {why}"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The processes whose command line names `folder`.
fn processes_of(folder: &Path) -> Vec<String> {
    let folder = folder.to_str().unwrap();
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let lines = entries.filter_map(|entry| fs::read_to_string(entry.path().join("cmdline")).ok());
    lines.filter(|line| line.contains(folder)).collect()
}

#[test]
fn a_demo_is_a_cluster_that_people_can_break_and_mend() {
    let demo = Demo::start(3, 1);
    the_object_is_whole(&demo);
    keys_and_values_work_on_every_node(&demo);
    the_cluster_is_seen(&demo);
    a_killed_node_is_out_and_comes_back(&demo);
    a_second_demo_in_the_same_folder_is_refused(&demo);
    without_a_quorum_it_is_said_who_does_not_answer(&demo);

    assert!(!processes_of(demo.dir.path()).is_empty());
    assert!(demo.stop().status.success());
    assert_eq!(processes_of(demo.dir.path()), Vec::<String>::new());
    assert!(!demo.dir.path().exists(), "its folder is still there");
    let (code, said) = bad(&["demo", "stop", "--dir", demo.dir.path().to_str().unwrap()]);
    assert!(code == 1 && said.contains("there is no demo"), "{said}");
}

fn the_object_is_whole(demo: &Demo) {
    let nodes = demo.object["nodes"].as_array().unwrap();
    let roles: Vec<&str> = nodes
        .iter()
        .map(|node| node["role"].as_str().unwrap())
        .collect();
    assert_eq!(roles, ["server", "server", "server", "worker"]);
    for node in nodes {
        let address: IpAddr = node["address"].as_str().unwrap().parse().unwrap();
        assert!(address.is_loopback());
        for door in ["http", "https", "dns", "rpc"] {
            let door: SocketAddr = node[door].as_str().unwrap().parse().unwrap();
            assert!(door.ip() == address && door.port() > 1023);
        }
        assert!(Path::new(&format!("/proc/{}", node["pid"])).exists());
    }
    let ca = fs::read_to_string(demo.object["ca"].as_str().unwrap()).unwrap();
    assert!(ca.contains("BEGIN CERTIFICATE"));
    assert!(
        demo.object["token"]
            .as_str()
            .unwrap()
            .starts_with("swarmer-server-")
    );
    assert_eq!(
        (&demo.object["dc"], &demo.object["stack"]),
        (&"dev".into(), &"demo".into())
    );
    let dir = demo.dir.path().canonicalize().unwrap();
    assert_eq!(Path::new(demo.object["dir"].as_str().unwrap()), dir);
}

fn keys_and_values_work_on_every_node(demo: &Demo) {
    let (first, last) = (demo.http(0), demo.http(3));
    good(&[
        "kv", "put", "a/b c", "hello", "--flags", "7", "--http", first,
    ]);
    assert_eq!(
        good(&["kv", "get", "a/b c", "--raw", "--http", last]),
        "hello"
    );
    let entry: Value =
        serde_json::from_str(&good(&["kv", "get", "a/b c", "--json", "--http", last])).unwrap();
    assert_eq!(entry["Flags"], 7);
    let index = entry["ModifyIndex"].to_string();
    let (code, said) = bad(&["kv", "put", "a/b c", "x", "--cas", "1", "--http", last]);
    assert!(
        code == 1 && said.contains("not last changed at index 1"),
        "{said}"
    );
    good(&["kv", "put", "a/b c", "y", "--cas", &index, "--http", last]);
    good(&["kv", "put", "a/d", "-", "--http", last]);
    assert_eq!(good(&["kv", "list", "a/", "--http", first]), "a/b c\na/d\n");

    let file = demo.dir.path().join("export.json");
    fs::write(&file, good(&["kv", "export", "--http", first])).unwrap();
    good(&["kv", "delete", "a/", "--recurse", "--http", last]);
    let (code, said) = bad(&["kv", "get", "a/d", "--http", first]);
    assert!(
        code == 1 && said.contains("there is no key \"a/d\""),
        "{said}"
    );
    good(&["kv", "import", file.to_str().unwrap(), "--http", first]);
    assert_eq!(good(&["kv", "get", "a/b c", "--http", last]), "y\n");
    fs::remove_file(file).unwrap();
}

fn the_cluster_is_seen(demo: &Demo) {
    let text = good(&["status", "--wait-healthy", "--http", demo.http(3)]);
    for part in ["all well", "leader", "server-1", "worker-1", "(1 may fail)"] {
        assert!(text.contains(part), "{part:?} is not in\n{text}");
    }
    let services = good(&["services", "consul", "--http", demo.http(0)]);
    assert_eq!(services.lines().count(), 1 + 3, "{services}");
    let ca = good(&["ca", "show", "--http", demo.http(3)]);
    let file = fs::read_to_string(demo.object["ca"].as_str().unwrap()).unwrap();
    assert!(ca.ends_with(&file), "{ca}");

    let operator = demo.dir.path().join("operator");
    let (operator, rpc) = (operator.to_str().unwrap(), demo.text(1, "rpc"));
    let token = demo.dir.path().join("operator.token");
    let token = ["--token-file", token.to_str().unwrap()];
    good(&[&["login", rpc, "--dir", operator][..], &token].concat());
    let made = good(&["token", "create", "worker", "--cluster", operator]);
    assert!(made.starts_with("swarmer-worker-"));
    let tokens = good(&["token", "list", "--cluster", operator]);
    assert!(
        tokens.lines().count() == 1 + 4 && !tokens.contains(made.trim()),
        "{tokens}"
    );
    let (code, said) = bad(&["token", "list", "--http", demo.http(0)]);
    assert!(
        code == 1 && said.contains("or an operator: `swarmer login"),
        "{said}"
    );
}

fn a_killed_node_is_out_and_comes_back(demo: &Demo) {
    let watcher = demo.http(0);
    let status = || -> Value {
        serde_json::from_str(&good(&["status", "--json", "--http", watcher])).unwrap()
    };
    let health = || status()["members"][3]["health"].as_str().map(str::to_owned);
    demo.kill(3);
    eventually("the killed worker is seen", || {
        health().as_deref() == Some("critical")
    });
    let (code, said) = bad(&[
        "status",
        "--wait-healthy",
        "--timeout",
        "200ms",
        "--http",
        watcher,
    ]);
    assert!(code == 1 && said.contains("worker-1 is"), "{said}");
    let mut again = demo.start_again(3);
    good(&["status", "--wait-healthy", "--http", watcher]);
    eventually("the worker answers again", || {
        run(&["kv", "get", "a/b c", "--http", demo.http(3)])
            .status
            .success()
    });
    // Started by hand, it is ended by `demo stop` all the same; it is our child, so we bury it.
    std::thread::spawn(move || again.wait());
}

fn a_second_demo_in_the_same_folder_is_refused(demo: &Demo) {
    let dir = demo.dir.path().to_str().unwrap();
    let (code, said) = bad(&["demo", "--detach", "--dir", dir]);
    assert!(code == 1 && said.contains("there is a demo in"), "{said}");
    assert!(said.contains("demo stop --dir"), "{said}");
    good(&["status", "--http", demo.http(0)]);
}

fn without_a_quorum_it_is_said_who_does_not_answer(demo: &Demo) {
    demo.kill(1);
    demo.kill(2);
    let words = ["status", "--http", demo.http(0)];
    eventually("the loss is seen", || {
        good(&words).contains("1 of 3 servers answer")
    });
    let text = good(&words);
    assert!(text.contains("connect: server-2, server-3."), "{text}");
    let (code, said) = bad(&["kv", "put", "lost", "x", "--http", demo.http(0)]);
    assert!(code == 1 && said.contains("swarmer status"), "{said}");
}

#[test]
fn a_node_that_can_not_start_is_named_with_its_last_words() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("server-2")).unwrap();
    // No folder can be made here.
    fs::write(dir.path().join("server-2/data"), "").unwrap();
    let path = dir.path().to_str().unwrap();
    let (code, said) = bad(&["demo", "--detach", "--json", "--dir", path]);
    assert!(
        code == 1 && said.contains("server-2 ended before"),
        "{said}"
    );
    let data = dir.path().canonicalize().unwrap().join("server-2/data");
    assert!(said.contains(data.to_str().unwrap()), "{said}");
    assert_eq!(processes_of(dir.path()), Vec::<String>::new());
    // The way is free for the next.
    assert!(!dir.path().join("demo.json").exists());
}

#[test]
fn ctrl_c_leaves_nothing_behind() {
    let home = tempfile::tempdir().unwrap();
    let mut demo = Command::new(SWARMER)
        .args(["demo", "--servers", "1", "--workers", "0"])
        .env("TMPDIR", home.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut said = String::new();
    let mut out = std::io::BufReader::new(demo.stdout.take().unwrap());
    while !said.contains("Ctrl-C") {
        let read = std::io::BufRead::read_line(&mut out, &mut said).unwrap();
        assert!(read > 0, "it ended: {said}");
    }
    assert!(!processes_of(home.path()).is_empty());
    let pid = demo.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-INT", &pid])
            .status()
            .unwrap()
            .success()
    );
    assert!(demo.wait().unwrap().success());
    assert_eq!(processes_of(home.path()), Vec::<String>::new());
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0);
}

#[test]
fn what_is_wrong_is_said_with_the_next_step() {
    // Nothing listens on a loopback address of our own.
    let (code, said) = bad(&["status", "--http", "127.99.0.1:9"]);
    assert!(
        code == 1 && said.contains("systemctl status swarmer"),
        "{said}"
    );
    let (code, said) = bad(&["kv", "get", "a", "--http", "no address"]);
    assert!(code == 2 && said.contains("HOST:PORT"), "{said}");
    let (code, said) = bad(&["members", "--cluster", "nowhere:land"]);
    assert!(code == 1 && said.contains("swarmer login"), "{said}");
    let (code, _) = bad(&["demo", "--servers", "0"]);
    assert_eq!(code, 2);
    let (code, said) = bad(&["status", "--socket", "/nonexistent/swarmer.sock"]);
    assert!(
        code == 1 && said.contains("is the agent running?"),
        "{said}"
    );
    let (code, said) = bad(&["demo", "stop", "--dir", "/nonexistent"]);
    assert!(code == 1 && said.contains("no demo"), "{said}");

    let mut file = tempfile::NamedTempFile::new().unwrap();
    writeln!(file, "stack: x\nrole: king").unwrap();
    let path = file.path().to_str().unwrap();
    let (code, said) = bad(&["config", "check", path]);
    assert!(
        code == 78 && said.contains("role") && said.contains("king"),
        "{said}"
    );
    let (code, said) = bad(&["snapshot", "inspect", path]);
    assert!(code == 1 && said.contains("can't be unpacked"), "{said}");
}

#[test]
fn tokens_and_completions_need_no_agent() {
    let token = good(&["token", "new"]);
    let mut derive = Command::new(SWARMER)
        .args(["token", "derive", "operator"])
        .env_remove("SWARMER_TOKEN")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    derive
        .stdin
        .take()
        .unwrap()
        .write_all(token.as_bytes())
        .unwrap();
    let derived = derive.wait_with_output().unwrap();
    assert!(derived.stdout.starts_with(b"swarmer-operator-"));
    for shell in ["bash", "zsh", "fish"] {
        assert!(
            good(&["completions", shell]).contains("wait-healthy"),
            "{shell}"
        );
    }
    let schema: Value = serde_json::from_str(&good(&["config", "schema"])).unwrap();
    assert_eq!(schema["title"], "swarmer.yaml");
}
