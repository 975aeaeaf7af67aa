//! `vagrant up`: what is told before any machine starts, and (by `make test-image`, which builds the
//! box) three machines that become a cluster.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use harness::needs;
use harness::process;
use harness::story::Story;
use harness::vagrant::{self, Moments, Project, Timeline};
use harness::wait;
use serde_json::Value;

/// The machines of `vagrant/servers.yml`.
const MACHINES: [(&str, &str); 3] = [
    ("node-1", "192.168.101.101"),
    ("node-2", "192.168.101.102"),
    ("node-3", "192.168.101.103"),
];
const CLUSTER: &str = "vagrant:dev";
const REGISTRY: &str = "registry.service.dev.vagrant";
const IMAGE: &str = "registry.service.dev.vagrant:5000/app:1";
/// What the agents may take of a boot, from the last one's start to a formed cluster.
const AGENTS_SHARE: Duration = Duration::from_secs(10);
/// What running nodes may take to do what they were asked, three of them emulated on two cores.
const ACTS_WITHIN: Duration = Duration::from_secs(600);

/// Settings with a box that is never opened.
const SOME_BOX: &[(&str, &str)] = &[("SWARMER_BOX", "/dev/null")];

fn can_read(test: &str) -> bool {
    needs::met(test, vagrant::NEEDS)
}

/// Runs Vagrant where it must fail, and gives what it says.
fn refused(project: &Project, arguments: &[&str], settings: &[(&str, &str)]) -> Result<String> {
    let ran = project.vagrant(arguments, settings)?;
    ensure!(
        !ran.success,
        "vagrant {arguments:?} went through:\n{}",
        ran.said
    );
    Ok(ran.said.trim().to_owned())
}

#[test]
fn a_wrong_list_of_servers_is_told_before_any_machine_starts() -> Result<()> {
    if !can_read("a_wrong_list_of_servers_is_told_before_any_machine_starts") {
        return Ok(());
    }
    let project = Project::new()?;
    let ran = project.vagrant(&["validate", "--ignore-provider"], SOME_BOX)?;
    ensure!(
        ran.success && ran.said.contains("validated successfully"),
        "{}",
        ran.said
    );
    project.edit("name: node-2", "name: node-1")?;
    project.edit("192.168.101.103", "192.168.102.103")?;
    for command in ["validate", "up"] {
        let said = refused(&project, &[command], SOME_BOX)?;
        let told: Vec<&str> = said.lines().collect();
        ensure!(
            told.len() == 2
                && told[0].ends_with("servers[1].name: found \"node-1\", expected a name of its own: servers[0].name is the same")
                && told[1].ends_with("servers[2].ip: found \"192.168.102.103\", expected an address in admin_network, 192.168.101.0/24"),
            "vagrant {command} says\n{said}"
        );
    }
    ensure!(
        !project.operator_file("token").exists(),
        "a token was made for a cluster that can't be"
    );
    Ok(())
}

#[test]
fn what_is_missing_is_one_line_that_says_how_to_get_it() -> Result<()> {
    if !can_read("what_is_missing_is_one_line_that_says_how_to_get_it") {
        return Ok(());
    }
    let project = Project::new()?;
    let no_plugin = [SOME_BOX, &[("VAGRANT_NO_PLUGINS", "1")]].concat();
    let no_box = [("SWARMER_BOX", "/nonexistent.box")];
    let no_program = [("SWARMER", "/nonexistent")];
    let cases = [
        (
            ["up", "--provider=libvirt"],
            no_box.as_slice(),
            "SWARMER_BOX names /nonexistent.box, which is no file: \"make box\" in the project's folder makes one",
        ),
        (
            ["up", "--provider=libvirt"],
            &no_plugin,
            "the provider libvirt is a plugin: vagrant plugin install vagrant-libvirt",
        ),
        (
            ["up", "--provider=docker"],
            SOME_BOX,
            "there are boxes for libvirt and virtualbox, not for docker",
        ),
        (
            ["up", "node-1"],
            &no_program,
            "SWARMER names /nonexistent, which is no program",
        ),
    ];
    for (arguments, settings, line) in cases {
        let said = refused(&project, &arguments, settings)?;
        ensure!(said == line, "{arguments:?} {settings:?} says\n{said}");
    }
    Ok(())
}

/// The cluster as its operator sees it.
fn status(project: &Project) -> Result<Value> {
    let status = project.swarmer(&["status", CLUSTER, "--json"])?;
    Ok(serde_json::from_str(&status)?)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// A member of the status; fails unless just one has this name.
fn member<'s>(status: &'s Value, name: &str) -> Result<&'s Value> {
    let members = status["members"].as_array().context("no members")?;
    let mut found = members.iter().filter(|one| text(&one["name"]) == name);
    match (found.next(), found.next()) {
        (Some(one), None) => Ok(one),
        (one, other) => bail!("{name}: {one:?} and {other:?}"),
    }
}

/// All three vote, are healthy, and their engines are ready managers of one Swarm.
fn wait_whole(project: &Project) -> Result<()> {
    wait::for_fact("three servers vote, all healthy", ACTS_WITHIN, || {
        wait::briefly(Duration::from_millis(500));
        let seen = status(project)?;
        for (name, _) in MACHINES {
            let one = member(&seen, name)?;
            ensure!(
                text(&one["status"]) == "alive" && text(&one["health"]) == "passing",
                "{one}"
            );
            ensure!(one["voter"] == true, "{one}");
        }
        Ok(())
    })?;
    wait::for_fact("the Swarm has three ready managers", ACTS_WITHIN, || {
        wait::briefly(Duration::from_secs(1));
        let format = "docker node ls --format '{{.Hostname}} {{.Status}} {{.ManagerStatus}}'";
        let nodes = project.run(MACHINES[1].1, format)?;
        for (name, _) in MACHINES {
            let ready = nodes.lines().any(|line| {
                line.starts_with(&format!("{name} Ready"))
                    && (line.ends_with("Leader") || line.ends_with("Reachable"))
            });
            ensure!(ready, "{name} in\n{nodes}");
        }
        Ok(())
    })
}

/// The names of the containers that answer on a machine's published port, of so many asked.
fn backends(project: &Project, address: &str, asks: usize) -> Result<BTreeSet<String>> {
    let mut answered = BTreeSet::new();
    for _ in 0..asks {
        let mut curl = project.command("curl")?;
        curl.args(["-sf", "-m", "10", &format!("http://{address}:8080/")]);
        answered.insert(process::run(&mut curl)?.trim().to_owned());
    }
    Ok(answered)
}

/// Every machine's published port leads to containers of more than one machine.
fn wait_ingress(project: &Project) -> Result<()> {
    for (name, address) in MACHINES {
        let fact = format!("{name}'s published port leads to several machines' containers");
        wait::for_fact(&fact, ACTS_WITHIN, || {
            wait::briefly(Duration::from_secs(1));
            let answered = backends(project, address, 6)?;
            ensure!(answered.len() > 1, "{answered:?} answered");
            Ok(())
        })?;
    }
    Ok(())
}

/// What `dig` on the host says to one name, asked of one node.
fn dig(project: &Project, address: &str, name: &str) -> Result<String> {
    let mut dig = project.command("dig")?;
    let found = process::run(dig.args(["+short", "+tries=1", &format!("@{address}"), name]))?;
    Ok(found.trim().to_owned())
}

#[test]
#[ignore = "boots machines: make test-image"]
fn three_machines_become_a_cluster_and_one_is_replaced() -> Result<()> {
    let name = "three_machines_become_a_cluster_and_one_is_replaced";
    if !needs::met(name, vagrant::MACHINE_NEEDS) {
        return Ok(());
    }
    let story = Story::of("vagrant up: three machines on a network of their own");
    let box_file = vagrant::box_file()?;
    let box_file = box_file.to_str().context("the box's path is no text")?;
    let settings = [("SWARMER_BOX", box_file)];
    let project = Project::with_libvirt()?;

    story.phase("vagrant up, as a newcomer types it, but with emulated processors");
    let start = Instant::now();
    up(&project, &settings)?;
    let told = after_up(&story, &project, &settings, start);
    told.with_context(|| last_words(&project))
}

/// What three machines that are up must do.
fn after_up(
    story: &Story,
    project: &Project,
    settings: &[(&str, &str)],
    start: Instant,
) -> Result<()> {
    story.phase("its user is the cluster's operator, without another word");
    operator_s_files(project)?;
    wait_whole(project)?;
    story.phase("one cluster, one Swarm");
    eprint!("{}", project.swarmer(&["status", CLUSTER])?);
    let share = boot_times(project, start)?;
    story.phase("cloud-init has nothing to complain of");
    as_configured(project)?;
    story.phase("any node answers for the cluster's names");
    names(project)?;
    story.phase(
        "on the operator's machine: dig through swarmer dns serve, docker through swarmer docker",
    );
    from_the_host(project)?;
    story.phase("an image is pushed on one node and pulled on another, by the registry's name");
    images(project)?;
    story.phase("a service of it is reached through every node (the kernel's own load balancer)");
    serve(project)?;
    wait_ingress(project)?;
    story.phase("one node is destroyed and made anew: what was written stays, a new member votes");
    replace(project, settings)?;
    story.phase("the service is reached through the new node too");
    wait_ingress(project)?;
    let seconds = share.as_secs_f64();
    ensure!(
        share < AGENTS_SHARE,
        "from the last agent's start to a formed cluster: {seconds:.1} s; was the machine busy?"
    );
    Ok(())
}

/// What the agents said last, for the error.
fn last_words(project: &Project) -> String {
    let said = MACHINES.map(|(name, address)| {
        let ask = "journalctl -q -b -o cat -n 20 -u swarmer";
        let said = match project.run(address, ask) {
            Ok(log) => log.lines().map(message).collect::<Vec<_>>().join("\n"),
            Err(error) => error.to_string(),
        };
        format!("{name}:\n{said}")
    });
    format!("the agents' last words:\n{}", said.join("\n"))
}

/// A line of the agent's log without what only programs need.
fn message(line: &str) -> String {
    match serde_json::from_str::<Value>(line) {
        Ok(entry) => format!("{} {}", text(&entry["timestamp"]), text(&entry["message"])),
        Err(_) => line.to_owned(),
    }
}

fn up(project: &Project, settings: &[(&str, &str)]) -> Result<()> {
    let up = project.vagrant(&["up", "--provider=libvirt"], settings)?;
    let operator = up.said.contains("is there, and you are its operator");
    let consoles = MACHINES.map(|(name, _)| project.console(name, 15));
    ensure!(
        up.success && operator,
        "vagrant said:\n{}\n{}",
        up.said,
        consoles.join("\n---\n")
    );
    eprintln!("{}", up.said);
    eprintln!("    vagrant up: {:.0} s", up.took.as_secs_f64());
    Ok(())
}

fn operator_s_files(project: &Project) -> Result<()> {
    for file in ["ca.pem", "cert.pem", "key.pem", "cluster.json"] {
        let there = project.operator_file(file).is_file();
        ensure!(there, "no {file} in ~/.swarmer/vagrant/dev");
    }
    for secret in ["token", "key.pem"] {
        let mode = fs::metadata(project.operator_file(secret))?.permissions();
        let mode = mode.mode() & 0o777;
        ensure!(mode == 0o600, "{secret} has mode {mode:o}");
    }
    Ok(())
}

/// Prints when what was ready; gives the agents' share of it.
fn boot_times(project: &Project, start: Instant) -> Result<Duration> {
    let machines = MACHINES.iter();
    let read = machines.map(|(name, address)| Moments::of(project, name, address, start));
    let timeline = Timeline(read.collect::<Result<_>>()?);
    eprint!("{timeline}");
    let share = timeline.agents_share()?;
    let seconds = share.as_secs_f64();
    eprintln!("    from the last agent's start to a formed cluster: {seconds:.1} s");
    Ok(share)
}

fn as_configured(project: &Project) -> Result<()> {
    for (name, address) in MACHINES {
        let checked = project.run(address, "cloud-init schema --system 2>&1 || true")?;
        ensure!(checked.contains("Valid"), "{name}: {checked}");
        let mode = project.run(address, "stat -c %a /etc/swarmer/swarmer.yaml")?;
        ensure!(mode.trim() == "600", "{name}: swarmer.yaml has mode {mode}");
        let host = project.run(address, "hostname")?;
        ensure!(host.trim() == name, "{name} calls itself {host}");
    }
    Ok(())
}

fn names(project: &Project) -> Result<()> {
    for (_, address) in MACHINES {
        let host = dig(project, address, REGISTRY)?;
        let known = MACHINES.iter().any(|(_, one)| *one == host);
        ensure!(known, "{REGISTRY} asked of {address} is {host:?}");
        let (name, right) = MACHINES[2];
        let node = dig(project, address, &format!("{name}.node.dev.vagrant"))?;
        ensure!(node == right, "{name} asked of {address} is {node:?}");
    }
    Ok(())
}

fn from_the_host(project: &Project) -> Result<()> {
    let at = ["-p", "8600", "@127.0.0.1"];
    let listen = ["--listen", "127.0.0.1:8600", "--resolver", "127.0.0.1:9"];
    let _serving = project.serve(&[&["dns", "serve", CLUSTER], listen.as_slice()].concat())?;
    wait::for_fact("a plain dig finds the registry", ACTS_WITHIN, || {
        let mut dig = project.command("dig")?;
        let found = process::run(dig.args(["+short", "+tries=1"]).args(at).arg(REGISTRY))?;
        let known = MACHINES.iter().any(|(_, one)| *one == found.trim());
        ensure!(known, "{REGISTRY} is {found:?}");
        Ok(())
    })?;
    let ask = [
        "docker",
        CLUSTER,
        "--",
        "node",
        "ls",
        "--format",
        "{{.Hostname}}",
    ];
    let nodes = project.swarmer(&ask)?;
    for (name, _) in MACHINES {
        ensure!(
            nodes.lines().any(|node| node == name),
            "no {name} in\n{nodes}"
        );
    }
    Ok(())
}

fn images(project: &Project) -> Result<()> {
    let (from, to) = (MACHINES[0].1, MACHINES[1].1);
    project.import_busybox(from, IMAGE)?;
    wait::for_fact("an image is pushed", ACTS_WITHIN, || {
        project.run(from, &format!("docker push -q {IMAGE}"))
    })?;
    project
        .run(to, &format!("docker pull -q {IMAGE}"))
        .map(drop)
}

fn serve(project: &Project) -> Result<()> {
    let page = "mkdir /www && hostname >/www/index.html && exec httpd -f -p 80 -h /www";
    let create = format!(
        "docker service create -q -d --name web --replicas 3 --publish 8080:80 {IMAGE} sh -c '{page}'"
    );
    project.run(MACHINES[1].1, &create).map(drop)
}

fn replace(project: &Project, settings: &[(&str, &str)]) -> Result<()> {
    let (name, address) = MACHINES[0];
    project.swarmer(&["kv", "put", "greeting", "hello", "--cluster", CLUSTER])?;
    let before = machine_id(project, address)?;
    let destroy = project.vagrant(&["destroy", "-f", name], settings)?;
    ensure!(destroy.success, "{}", destroy.said);
    let up = project.vagrant(&["up", "--provider=libvirt", name], settings)?;
    ensure!(up.success, "{}\n{}", up.said, project.console(name, 20));
    eprintln!(
        "    destroy: {:.0} s, up: {:.0} s",
        destroy.took.as_secs_f64(),
        up.took.as_secs_f64()
    );
    let after = machine_id(project, address)?;
    ensure!(after != before, "it is the same machine");
    wait_whole(project)?;
    eprint!("{}", project.swarmer(&["status", CLUSTER])?);
    let kept = project.swarmer(&["kv", "get", "greeting", "--cluster", CLUSTER])?;
    ensure!(kept.trim() == "hello", "greeting is {kept:?}");
    let node = dig(project, MACHINES[1].1, &format!("{name}.node.dev.vagrant"))?;
    ensure!(node == address, "{name} is {node:?}");
    Ok(())
}

fn machine_id(project: &Project, address: &str) -> Result<String> {
    project.run(address, "cat /etc/machine-id")
}
