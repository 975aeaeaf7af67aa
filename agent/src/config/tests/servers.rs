//! `servers.yml`: what its author is told, and what comes out of it.

use serde_json::Value;

use super::super::servers::{KEYS, MACHINE_KEYS};
use super::schema::accepts;
use super::*;
use crate::model::Role;
use crate::pki::Token;
use crate::seed::Seed;

const BASE: &str = "\
stack: vagrant
dc: dev
admin_network: 192.168.101.0/24
servers:
- { name: n1, ip: 192.168.101.101, role: server }
- { name: n2, ip: 192.168.101.102, role: server }
- { name: n3, ip: 192.168.101.103, role: server }
- { name: w1, ip: 192.168.101.104, role: worker }
";

const FULL: &str = "\
stack: prod
dc: east
admin_network: 10.1.0.0/16
interface: eth0
gateway: 10.1.0.254
nameservers: [10.1.0.253, \"fd00::53\"]
ssh_authorized_keys: [ssh-ed25519 AAAAC3Nz ann@example.com]
servers:
- { name: N1, ip: 10.1.0.1, role: server, memory: 2048, cpus: 4, disk: 100 }
";

fn read(text: &str) -> Result<Servers, Vec<String>> {
    let tell = |errors: ConfigErrors| errors.0.iter().map(ToString::to_string).collect();
    Servers::parse("servers.yml", text).map_err(tell)
}

/// [`BASE`] with another text in place of one of its own, and all that is told of it.
#[track_caller]
fn told(old: &str, new: &str, expected: &[&str]) {
    assert!(BASE.contains(old), "{old}");
    let text = BASE.replacen(old, new, 1);
    let expected: Vec<String> = expected
        .iter()
        .map(|told| format!("servers.yml{told}"))
        .collect();
    assert_eq!(read(&text), Err(expected), "{text}");
}

#[test]
fn a_small_file_has_defaults_and_a_full_one_has_what_it_says() {
    let small = read(BASE).unwrap();
    assert_eq!(small.voters().count(), 3);
    assert_eq!((&*small.interface, small.gateway), ("eth1", None));
    let machine = small.machines.last().unwrap();
    assert_eq!(machine.role, Role::Worker);
    assert_eq!((machine.memory, machine.cpus, machine.disk), (1024, 2, 20));
    let full = read(FULL).unwrap();
    let machine = full.machines.first().unwrap();
    assert_eq!(machine.name.as_str(), "n1");
    assert_eq!((machine.memory, machine.cpus, machine.disk), (2048, 4, 100));
    assert_eq!(full.nameservers.len(), 2);
}

#[test]
fn two_machines_have_neither_a_name_nor_an_address_in_common() {
    told(
        "n2",
        "N1",
        &[
            ":6: servers[1].name: found \"N1\", expected a name of its own: servers[0].name is the same",
        ],
    );
    told(
        "101.103",
        "101.101",
        &[
            ":7: servers[2].ip: found \"192.168.101.101\", expected an address of its own: servers[0].ip is the same",
        ],
    );
}

#[test]
fn an_address_is_one_machine_s_in_the_network() {
    let cases = [
        (
            "192.168.102.101",
            "an address in admin_network, 192.168.101.0/24",
        ),
        (
            "192.168.101.0",
            "an address of one machine: this is all of 192.168.101.0/24",
        ),
        (
            "192.168.101.255",
            "an address of one machine: this is all of 192.168.101.0/24",
        ),
        (
            "192.168.101.1",
            "another address: the network's first belongs to the host that the machines run on",
        ),
        ("192.168.101.256", "an IPv4 address in admin_network"),
        ("fd00::1", "an IPv4 address in admin_network"),
    ];
    for (address, right) in cases {
        let message = format!(":5: servers[0].ip: found \"{address}\", expected {right}");
        told("192.168.101.101", &format!("\"{address}\""), &[&message]);
    }
    let behind_a_router = FULL.replace("10.1.0.1,", "10.1.0.254,");
    assert_eq!(
        read(&behind_a_router).unwrap_err(),
        [
            "servers.yml:9: servers[0].ip: found \"10.1.0.254\", expected another address: this is the gateway's"
        ]
    );
}

#[test]
fn the_network_is_one_that_machines_can_be_in() {
    let cases = [
        ("eth1", "an IPv4 network like 192.168.101.0/24"),
        ("192.168.101.0/33", "an IPv4 network like 192.168.101.0/24"),
        ("127.0.0.0/8", "an IPv4 network like 192.168.101.0/24"),
        ("0.0.0.0/0", "an IPv4 network like 192.168.101.0/24"),
        (
            "192.168.101.0/31",
            "a prefix of at most /30, to have room for machines",
        ),
        (
            "172.16.0.0/12",
            "another one: Docker's own containers are in 172.17.0.0/16 on every machine",
        ),
    ];
    for (network, right) in cases {
        let message = format!(":3: admin_network: found \"{network}\", expected {right}");
        // The addresses are not held against a network that is wrong itself.
        told("192.168.101.0/24", network, &[&message]);
    }
    assert!(read(&BASE.replace("101.0/24", "101.7/24")).is_ok());
}

#[test]
fn the_servers_are_an_odd_number() {
    told(
        "role: server }\n- { name: w1",
        "role: worker }\n- { name: w1",
        &[
            ":4: servers: found 2 machines with role: server, expected an odd number of them: 2 survive no more losses than 1",
        ],
    );
    let none = BASE.replace("role: server", "role: worker");
    assert_eq!(
        read(&none).unwrap_err(),
        [
            "servers.yml:4: servers: found no machine with role: server, expected at least one machine with role: server, best three"
        ]
    );
    let list = &BASE[BASE.find("servers:").unwrap()..];
    told(
        list,
        "servers: []",
        &[
            ":4: servers: found no machine with role: server, expected at least one machine with role: server, best three",
        ],
    );
    told(
        list,
        "",
        &[":1: servers: missing, expected a list of machines, each with name, ip and role"],
    );
}

#[test]
fn what_is_misspelt_is_told_with_all_else_at_once() {
    told(
        "role: worker",
        "role: sever, memory: 128, cpu: 2, disk: 20G",
        &[
            ":8: servers[3].role: found \"sever\", expected server or worker",
            ":8: servers[3].memory: found 128, expected 512 to 16777216 MiB, as a bare number",
            ":8: servers[3]: unknown key \"cpu\", did you mean \"cpus\"?",
            ":8: servers[3].disk: found \"20G\", expected 1 to 65536 GiB, as a bare number",
        ],
    );
    told(
        "ip: 192.168.101.104, ",
        "",
        &[":8: servers[3].ip: missing, expected an IPv4 address in admin_network"],
    );
    told(
        "dc: dev",
        "data_center: dev",
        &[
            ":1: dc: missing, expected a name of 1 to 63 of a-z, 0-9 and '-', not starting or ending with '-'",
            ":2:1: unknown key \"data_center\", expected stack, dc, admin_network, interface, gateway, nameservers, ssh_authorized_keys, join or servers",
        ],
    );
    told(
        "role: worker",
        "role: operator",
        &[":8: servers[3].role: found \"operator\", expected server or worker"],
    );
}

#[test]
fn no_key_can_end_the_text_that_it_stands_in() {
    for key in ["\"ssh-rsa AAAA\\nwrite_files: []\"", "hunter2", "ssh-rsa x"] {
        let text = format!("{BASE}ssh_authorized_keys: [{key}]\n");
        assert!(read(&text).is_err(), "{key}");
    }
}

#[test]
fn who_is_found_otherwise_needs_no_address() {
    let text = "\
stack: prod
dc: east
admin_network: 10.1.0.0/16
join: [dns:servers.example.com, provider=aws tag_key=swarmer tag_value=prod-east]
servers:
- { name: n1, role: server }
- { name: w1, role: worker, ip: 10.1.0.4 }
";
    for (machine, _, seed) in seeds(text) {
        let user_data: Value = serde_yaml::from_str(&seed.user_data).unwrap();
        let config = parse(user_data["write_files"][0]["content"].as_str().unwrap()).unwrap();
        let join: Vec<String> = config.join.iter().map(ToString::to_string).collect();
        assert_eq!(join, ["dns:servers.example.com:8300", "provider=aws"]);
        let network: Value = serde_yaml::from_str(&seed.network_config).unwrap();
        let by_dhcp = &network["ethernets"]["eth1"]["dhcp4"];
        assert_eq!(by_dhcp, &Value::from(machine.role == Role::Server));
    }
    assert!(accepts(
        &servers_schema(),
        &serde_yaml::from_str(text).unwrap()
    ));
    let wrong = text.replace(
        "provider=aws tag_key",
        "provider=aws tag_kye=hunter2 tag_key",
    );
    let told = read(&wrong).unwrap_err().join("\n");
    assert!(
        told.contains("servers.yml:4: join[1]: found provider=aws"),
        "{told}"
    );
    assert!(!told.contains("hunter2"), "{told}");
}

/// What each machine of a file is told.
fn seeds(text: &str) -> Vec<(Machine, Token, Seed)> {
    let servers = read(text).unwrap();
    let server = Token::generate_server();
    let seed = |machine: &Machine| {
        let token = match machine.role {
            Role::Server => server.clone(),
            role => server.derive(role).unwrap(),
        };
        let seed = Seed::new(&servers, machine, &Secret::new(token.expose()));
        (machine.clone(), token, seed)
    };
    servers.machines.iter().map(seed).collect()
}

#[test]
fn what_is_rendered_is_what_the_agent_and_its_schema_accept() {
    for (machine, token, seed) in [seeds(BASE), seeds(FULL)].concat() {
        assert!(seed.user_data.starts_with("#cloud-config\n"));
        let user_data: Value = serde_yaml::from_str(&seed.user_data).unwrap();
        assert_eq!(user_data["hostname"], machine.name.as_str());
        let file = &user_data["write_files"][0];
        assert_eq!(file["path"], "/etc/swarmer/swarmer.yaml");
        assert_eq!(file["permissions"], "0600");
        let text = file["content"].as_str().unwrap();
        let by_schema: Value = serde_yaml::from_str(text).unwrap();
        assert!(accepts(&schema(), &by_schema), "{text}");
        let config = parse(text).unwrap();
        assert_eq!(
            (config.name, config.role),
            (Some(machine.name), machine.role)
        );
        assert_eq!(config.warnings, [""; 0]);
        assert_eq!(
            config.token,
            SecretSource::Literal(Secret::new(token.expose()))
        );
    }
}

#[test]
fn all_servers_name_the_same_servers() {
    for (machine, _, seed) in seeds(BASE) {
        let user_data: Value = serde_yaml::from_str(&seed.user_data).unwrap();
        let config = parse(user_data["write_files"][0]["content"].as_str().unwrap()).unwrap();
        let join: Vec<String> = config.join.iter().map(ToString::to_string).collect();
        assert_eq!(
            join,
            [
                "192.168.101.101:8300",
                "192.168.101.102:8300",
                "192.168.101.103:8300"
            ]
        );
        let expect = if machine.role == Role::Server { 3 } else { 0 };
        assert_eq!(config.expect, expect, "{}", machine.name);
    }
}

#[test]
fn the_network_config_gives_the_address_and_leaves_the_first_interface_to_dhcp() {
    let read = |text: &str| -> Value {
        let (_, _, seed) = seeds(text).swap_remove(0);
        serde_yaml::from_str(&seed.network_config).unwrap()
    };
    let small = read(BASE);
    assert_eq!(small["version"], 2);
    assert_eq!(small["ethernets"]["eth0"]["dhcp4"], true);
    let second = &small["ethernets"]["eth1"];
    assert_eq!(second["addresses"][0], "192.168.101.101/24");
    assert_eq!(second["routes"], Value::Null);
    let full = read(FULL);
    let only = &full["ethernets"]["eth0"];
    assert_eq!(
        (&only["dhcp4"], &only["addresses"][0]),
        (&Value::from(false), &Value::from("10.1.0.1/16"))
    );
    assert_eq!(only["routes"][0]["via"], "10.1.0.254");
    assert_eq!(only["nameservers"]["addresses"][1], "fd00::53");
}

#[test]
fn what_the_parser_accepts_the_schema_of_servers_accepts_and_both_know_the_same_keys() {
    let schema = servers_schema();
    let by_schema = |text: &str| accepts(&schema, &serde_yaml::from_str(text).unwrap());
    assert!(by_schema(BASE) && by_schema(FULL));
    let bad = [
        ("role: worker", "role: operator"),
        ("role: worker", "role: worker, memory: 1"),
        ("role: worker", "role: worker, colour: red"),
        ("name: w1, ", ""),
        ("stack: vagrant", "stack: 7"),
        ("dc: dev\n", ""),
        ("dc: dev", "dc: dev\ncolour: red"),
    ];
    for (old, new) in bad {
        let text = BASE.replacen(old, new, 1);
        assert!(read(&text).is_err(), "the parser accepts {new}");
        assert!(!by_schema(&text), "the schema accepts {new}");
    }
    let keys = |pointer: &str| {
        let properties = schema.pointer(pointer).unwrap()["properties"].as_object();
        let mut keys: Vec<String> = properties.unwrap().keys().cloned().collect();
        keys.sort_unstable();
        keys
    };
    let sorted = |known: &[&str]| {
        let mut known: Vec<String> = known.iter().map(ToString::to_string).collect();
        known.sort_unstable();
        known
    };
    assert_eq!(keys(""), sorted(&KEYS));
    assert_eq!(keys("/properties/servers/items"), sorted(&MACHINE_KEYS));
}
