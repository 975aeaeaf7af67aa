//! The image and the ISO, booted: what a node is from its switch on. Run by `make test-image`, which
//! builds both.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use harness::dns::Dig;
use harness::place::Place;
use harness::story::Story;
use harness::vm::{self, Boot, DataDisk, Seed, Timeline, Vm};
use harness::{binary, needs, process};

/// What a running node may take to do what it was asked, emulated on busy cores.
const ACTS_WITHIN: Duration = Duration::from_secs(400);
/// The image, compressed, is at most so large.
const MOST_MEBIBYTES: u64 = 900;

/// A resolver that says of every name that its address is 192.0.2.1.
const WORLD: &str = r"
import socket
door = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
door.bind(('127.0.0.1', 5300))
while True:
    query, client = door.recvfrom(4096)
    question = query[12:query.index(0, 12) + 5]
    address = b'\xc0\x0c\0\x01\0\x01\0\0\0\0\0\x04\xc0\0\x02\x01'
    door.sendto(query[:2] + b'\x81\x80\0\x01\0\x01\0\0\0\0' + question + address, client)
";

/// A server's token for one test.
fn token() -> Result<String> {
    let mut make = Command::new(binary::swarmer()?);
    Ok(process::run(make.args(["token", "new"]))?.trim().to_owned())
}

/// The file of a server that is a cluster by itself.
fn alone(token: &str) -> String {
    format!(
        "stack: vagrant\ndc: dev\nrole: server\nexpect: 1\nadmin_network: 10.0.2.0/24\ntoken: \"{token}\"\n"
    )
}

/// Waits until the node says that all is well, its engine in the Swarm included.
fn wait_healthy(vm: &mut Vm) -> Result<()> {
    vm.wait("the cluster is healthy", ACTS_WITHIN, |vm| {
        vm.run("swarmer status --wait-healthy").map(drop)
    })?;
    vm.wait("its engine is a Swarm's manager", ACTS_WITHIN, |vm| {
        let state =
            vm.run("docker info --format '{{.Swarm.LocalNodeState}} {{.Swarm.ControlAvailable}}'")?;
        ensure!(state.trim() == "active true", "the Swarm: {state}");
        Ok(())
    })
}

/// True of what the root must be in every kind of boot: as it was built, whatever is done to it.
fn root_is_read_only(vm: &Vm) -> Result<()> {
    let options = vm.run("findmnt -no OPTIONS /run/swarmer-root/lower")?;
    ensure!(options.split(',').any(|o| o.trim() == "ro"), "{options}");
    let written = vm.run("touch /run/swarmer-root/lower/usr/mark");
    ensure!(written.is_err(), "the root's disk could be written to");
    vm.run("touch /usr/mark").map(drop)
}

/// The TLS front on 2376, from this host: an operator's certificate opens it, nothing else does.
fn engine_is_for_operators(vm: &Vm, token: &str) -> Result<()> {
    let derive = Command::new(binary::swarmer()?)
        .args(["token", "derive", "operator"])
        .env("SWARMER_TOKEN", token)
        .output()?;
    ensure!(derive.status.success(), "token derive: {derive:?}");
    let operator = String::from_utf8(derive.stdout)?;
    let login = "SWARMER_TOKEN=$(cat) swarmer login 10.0.2.15 --dir /root/login";
    vm.feed(login, operator.trim().as_bytes())?;
    let files = vm.folder().join("operator");
    std::fs::create_dir(&files)?;
    for file in ["ca.pem", "cert.pem", "key.pem"] {
        let text = vm.run(&format!("cat /root/login/{file}"))?;
        std::fs::write(files.join(file), text)?;
    }
    let [ca, cert, key] =
        ["ca.pem", "cert.pem", "key.pem"].map(|file| files.join(file).display().to_string());
    let ask = |with: &[&str]| {
        let mut docker = Command::new("docker");
        docker
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default());
        docker
            .args(["-H", &format!("tcp://{}", vm.engine())])
            .args(["--tls", "--tlscacert", &ca])
            .args(with);
        process::run(docker.args(["node", "ls", "--format", "{{.Hostname}}"]))
    };
    let named = ask(&["--tlscert", &cert, "--tlskey", &key])?;
    ensure!(named.trim() == "node-1", "the engine says {named:?}");
    let refusal = ask(&[]).err().map(|error| error.to_string());
    let refused = refusal
        .as_deref()
        .is_some_and(|said| said.contains("certificate"));
    ensure!(refused, "a stranger was told {refusal:?}");
    Ok(())
}

#[test]
#[ignore = "boots machines: make test-image"]
fn a_node_from_its_seed() -> Result<()> {
    if !needs::met("a_node_from_its_seed", vm::NEEDS) {
        return Ok(());
    }
    let story =
        Story::of("a node from its seed: a blank disk, one file, and no network to fetch from");
    let image = vm::image()?;
    let mebibytes = image.metadata()?.len() >> 20;
    eprintln!("    the image: {mebibytes} MiB compressed");
    ensure!(mebibytes < MOST_MEBIBYTES, "{mebibytes} MiB");
    let token = token()?;
    // The world's names come from the machine itself: there is no world.
    let config = alone(&token) + "dns: { recursors: [\"127.0.0.1:5300\"] }\n";
    let seed = Seed::of("node-1").config(&config);
    let mut vm = Vm::new("node-1")?;
    let disk = DataDisk::blank(vm.folder().join("data.raw"), 2048)?;
    vm.boot(&Boot::Image(image.clone()), Some(&seed), Some(&disk))?;
    vm.wait_reachable()?;
    story.phase("one can log in with the seed's key; the node forms a cluster of one");
    wait_healthy(&mut vm)?;
    eprintln!("{}", Timeline::of(&vm)?);

    story.phase("DNS answers on the node's address, and the node itself asks it first");
    // On a machine that is short of time the lease may lapse for a moment, and the names with it.
    let name = "node-1.node.dev.vagrant";
    vm.wait("DNS names the node", ACTS_WITHIN, |vm| {
        let dig = Dig::ask(&Place::Loopback, vm.dns(), name, "A", &["+tcp"])?;
        let named = dig.answers.iter().any(|a| a.data == "10.0.2.15");
        ensure!(named, "{}", dig.text);
        let host = vm.run(&format!("getent hosts {name}"))?;
        ensure!(host.contains("10.0.2.15"), "getent says {host:?}");
        Ok(())
    })?;

    story.phase("a container runs, resolves the cluster's names, and reaches the HTTP API");
    vm.import_busybox("busybox:test")?;
    vm.wait("a container finds the registry", ACTS_WITHIN, |vm| {
        let ask = "docker run --rm busybox:test nslookup registry.service.dev.vagrant";
        let named = vm.run(ask)?;
        ensure!(
            named.contains("10.0.2.15"),
            "a container resolves {named:?}"
        );
        Ok(())
    })?;
    let api = "docker run --rm busybox:test wget -qO- http://172.17.0.1:8500/v1/agent/self 2>&1";
    let told = vm.run(api)?;
    ensure!(told.contains("node-1"), "a container is told {told:?}");
    vm.run("docker network create mesh")?;
    vm.feed("cat >/run/world.py", WORLD.as_bytes())?;
    vm.run("systemd-run --unit=world python3 /run/world.py")?;
    vm.wait("a container of a network made later finds the world", ACTS_WITHIN, |vm| {
        let asks = "docker run --rm --network mesh busybox:test nslookup -type=a example.com 172.17.0.1";
        let said = vm.run(&format!("{asks} 2>&1; true"))?;
        ensure!(said.contains("192.0.2.1"), "a container is told: {said}");
        Ok(())
    })?;

    story.phase(
        "the engine is reached from outside with an operator's certificate, and not without",
    );
    engine_is_for_operators(&vm, &token)?;

    story.phase("the root is as it was built; who the node is, is on its data disk only");
    root_is_read_only(&vm)?;
    for mount in [
        "/var/lib/docker",
        "/var/lib/containerd",
        "/var/lib/swarmer",
        "/var/log/journal",
    ] {
        let source = vm.run(&format!("findmnt -no SOURCE {mount}"))?;
        ensure!(source.contains("/dev/vd"), "{mount} is on {source}");
    }
    let built = "cd /run/swarmer-root/lower && ls etc/ssh/ssh_host_* etc/swarmer/* var/lib/swarmer/* root/.ssh \
                 home/packer 2>/dev/null; cat etc/machine-id";
    ensure!(
        vm.run(built)?.trim().is_empty(),
        "in the image: {}",
        vm.run(built)?
    );
    ensure!(
        vm.run("ss -Hltn sport = :2375")?.is_empty(),
        "the engine listens without TLS"
    );
    let failed = vm.run("systemctl --failed --no-legend --plain")?;
    ensure!(failed.trim().is_empty(), "failed: {failed}");

    story.phase("the second boot, on a disk that has grown: all is kept but the root's changes");
    vm.run("swarmer kv put greeting kept && docker run -d --name sleeper --restart unless-stopped busybox:test sleep 99999")?;
    let who = "cat /etc/machine-id /etc/ssh/ssh_host_ed25519_key.pub /var/lib/swarmer/node.json";
    let before = vm.run(who)?;
    vm.power_off()?;
    disk.grow(3072)?;
    vm.boot(&Boot::Image(image), Some(&seed), Some(&disk))?;
    vm.wait_reachable()?;
    wait_healthy(&mut vm)?;
    eprintln!("{}", Timeline::of(&vm)?);
    let after = vm.run(who)?;
    ensure!(before == after, "it was\n{before}\nand is\n{after}");
    ensure!(
        vm.run("swarmer kv get greeting")?.contains("kept"),
        "the key is lost"
    );
    ensure!(
        vm.run("test -e /usr/mark").is_err(),
        "the root has changed for good"
    );
    vm.wait("the container runs again", ACTS_WITHIN, |vm| {
        let running = vm.run("docker ps --format '{{.Names}}'")?;
        ensure!(running.contains("sleeper"), "running: {running:?}");
        Ok(())
    })?;
    let size: u64 = vm
        .run("df -B1M --output=size /data | tail -1")?
        .trim()
        .parse()?;
    ensure!(
        size > 2600,
        "the filesystem has {size} MiB on a disk of 3072"
    );
    Ok(())
}

#[test]
#[ignore = "boots machines: make test-image"]
fn a_wrong_file_is_explained_on_the_console() -> Result<()> {
    if !needs::met("a_wrong_file_is_explained_on_the_console", vm::NEEDS) {
        return Ok(());
    }
    let story = Story::of("a wrong file is explained on the console, and mending it is enough");
    let right = alone(&token()?);
    let wrong = right.replace("expect:", "exspect:");
    let mut vm = Vm::new("wrong")?;
    let disk = DataDisk::blank(vm.folder().join("data.raw"), 1024)?;
    vm.boot(
        &Boot::Image(vm::image()?),
        Some(&Seed::of("wrong").config(&wrong)),
        Some(&disk),
    )?;
    vm.wait("the console says what is wrong", vm::BOOTS_WITHIN, |vm| {
        let console = vm.console();
        let words =
            "/etc/swarmer/swarmer.yaml:4:1: unknown key \"exspect\", did you mean \"expect\"?";
        ensure!(console.contains(words), "it does not");
        Ok(())
    })?;
    vm.wait_reachable()?;
    let exit = vm.run("systemctl show -p ExecMainStatus --value swarmer.service")?;
    ensure!(exit.trim() == "78", "the agent ended with {exit}");
    story.phase("the file is mended; nothing else is done");
    vm.put("/etc/swarmer/swarmer.yaml", right.as_bytes())?;
    vm.wait("the cluster is healthy", ACTS_WITHIN, |vm| {
        vm.run("swarmer status --wait-healthy").map(drop)
    })
}

#[test]
#[ignore = "boots machines: make test-image"]
fn without_its_file_a_node_waits_and_says_so() -> Result<()> {
    if !needs::met("without_its_file_a_node_waits_and_says_so", vm::NEEDS) {
        return Ok(());
    }
    let story = Story::of("without its file a node waits, and its console says for what");
    let mut vm = Vm::new("waiting")?;
    let disk = DataDisk::blank(vm.folder().join("data.raw"), 1024)?;
    vm.boot(
        &Boot::Image(vm::image()?),
        Some(&Seed::of("waiting")),
        Some(&disk),
    )?;
    vm.wait(
        "the console says what it waits for",
        vm::BOOTS_WITHIN,
        |vm| {
            let console = vm.console();
            let says = console.lines().any(|line| {
                line.to_lowercase().contains("wait") && line.contains("/etc/swarmer/swarmer.yaml")
            });
            ensure!(says, "it does not");
            Ok(())
        },
    )?;
    vm.wait_reachable()?;
    let failed = vm.run("systemctl --failed --no-legend --plain")?;
    ensure!(failed.trim().is_empty(), "failed: {failed}");
    story.phase("its file comes late; the agent starts by itself");
    vm.put("/etc/swarmer/swarmer.yaml", alone(&token()?).as_bytes())?;
    vm.wait("the cluster is healthy", ACTS_WITHIN, |vm| {
        vm.run("swarmer status --wait-healthy").map(drop)
    })
}

#[test]
#[ignore = "boots machines: make test-image"]
fn a_foreign_data_disk_is_left_alone() -> Result<()> {
    if !needs::met("a_foreign_data_disk_is_left_alone", vm::NEEDS) {
        return Ok(());
    }
    let story =
        Story::of("a disk with somebody's files is never formatted, and the console says so");
    let mut vm = Vm::new("foreign")?;
    let disk = DataDisk::foreign(vm.folder().join("data.raw"), 512, "photos")?;
    let before = disk.content()?;
    let seed = Seed::of("foreign").config(&alone(&token()?));
    vm.boot(&Boot::Image(vm::image()?), Some(&seed), Some(&disk))?;
    vm.wait(
        "the console says that the disk is somebody's",
        vm::BOOTS_WITHIN,
        |vm| {
            let console = vm.console();
            let says = console.lines().any(|line| {
                line.contains("data disk: there is no blank one") && line.contains("photos")
            });
            ensure!(says, "it does not");
            Ok(())
        },
    )?;
    vm.wait_reachable()?;
    story.phase("neither agent nor engine runs: what they write would be gone with the next boot");
    for unit in ["swarmer.service", "docker.service"] {
        let state = vm.run(&format!("systemctl is-active {unit} || true"))?;
        ensure!(state.trim() != "active", "{unit} is {state}");
    }
    vm.power_off()?;
    ensure!(disk.content()? == before, "the disk was written to");
    Ok(())
}

#[test]
#[ignore = "boots machines: make test-image"]
fn the_next_iso_is_an_upgrade() -> Result<()> {
    if !needs::met("the_next_iso_is_an_upgrade", vm::NEEDS) {
        return Ok(());
    }
    let story =
        Story::of("a node boots the ISO, goes off, boots the next ISO, and is the same node");
    let iso = vm::iso()?;
    let mut vm = Vm::new("from-iso")?;
    let next = vm.folder().join("next.iso");
    std::fs::copy(&iso, &next).context("copy the ISO")?;
    let disk = DataDisk::blank(vm.folder().join("data.raw"), 2048)?;
    let seed = Seed::of("from-iso").config(&alone(&token()?));
    vm.boot(&Boot::Iso(iso), Some(&seed), Some(&disk))?;
    vm.wait_reachable()?;
    wait_healthy(&mut vm)?;
    eprintln!("{}", Timeline::of(&vm)?);
    root_is_read_only(&vm)?;
    vm.import_busybox("busybox:test")?;
    vm.run("swarmer kv put greeting kept")?;
    let who = "cat /etc/machine-id; swarmer status --json | grep -m1 -i '\"cluster'";
    let before = vm.run(who)?;
    vm.power_off()?;

    story.phase("the next ISO, on the same data disk");
    vm.boot(&Boot::Iso(next), Some(&seed), Some(&disk))?;
    vm.wait_reachable()?;
    wait_healthy(&mut vm)?;
    let after = vm.run(who)?;
    ensure!(before == after, "it was\n{before}\nand is\n{after}");
    ensure!(
        vm.run("swarmer kv get greeting")?.contains("kept"),
        "the key is lost"
    );
    ensure!(
        vm.run("docker images")?.contains("busybox"),
        "the image is lost"
    );
    ensure!(
        vm.run("test -e /usr/mark").is_err(),
        "the root has changed for good"
    );
    Ok(())
}
