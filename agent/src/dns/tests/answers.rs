use hickory_proto::rr::RecordType::{self, A, AAAA, ANY, CNAME, MX, NS, PTR, SOA, SRV, TXT};

use super::world::World;
use crate::model::{CheckStatus, LeaseEvent, SERF_HEALTH};

const SOA_MAIN: &str = "authority dev.vagrant. SOA ns.dev.vagrant. hostmaster.dev.vagrant.";

/// Two workers with a web server each; one of them also listens on IPv6 and has a tag.
fn world() -> World {
    let mut world = World::new();
    world.worker(2, "w1", "10.0.0.2");
    world.worker(3, "w2", "10.0.0.3");
    world.service("w1", "web", "", 80, "");
    world.service("w2", "web", "10.1.0.3", 81, "blue v1.2");
    world.service("w2", "six", "2001:db8::1", 90, "");
    world.outsider(
        "printer",
        "192.168.1.9",
        &[("rack", "a=1"), ("rfc1035-note", "as it is")],
    );
    world
}

fn check(world: &World, name: &str, qtype: RecordType, wanted: &[&str]) {
    assert_eq!(world.ask(name, qtype), wanted.join("\n"), "{name} {qtype}");
}

#[test]
fn a_service_is_found_under_all_its_names() {
    let world = world();
    for name in [
        "web.service.dev.vagrant.",
        "web.service.vagrant.",
        "web.service.dev.",
        "web.service.consul.",
        "web.service.dev.consul.",
        "WEB.Service.dev.Vagrant.",
        "_web._tcp.service.dev.vagrant.",
    ] {
        let one = format!("{name} A 10.0.0.2");
        let other = format!("{name} A 10.1.0.3");
        check(&world, name, A, &["NoError", &one, &other]);
    }
    for name in [
        "blue.web.service.dev.vagrant.",
        "BLUE.web.service.dev.vagrant.",
        "v1.2.web.service.dev.vagrant.",
        "_web._blue.service.dev.vagrant.",
    ] {
        check(&world, name, A, &["NoError", &format!("{name} A 10.1.0.3")]);
    }
}

#[test]
fn what_is_not_there_is_nxdomain_and_what_has_no_such_record_is_nodata() {
    let world = world();
    for name in [
        "nope.service.dev.vagrant.",
        "green.web.service.dev.vagrant.",
        "nope.node.dev.vagrant.",
        "_web._udp.service.dev.vagrant.",
        "web.dev.vagrant.",
        "zz.addr.dev.vagrant.",
    ] {
        check(&world, name, A, &["NXDomain", SOA_MAIN]);
    }
    check(
        &world,
        "web.service.dev.vagrant.",
        AAAA,
        &["NoError", SOA_MAIN],
    );
    check(
        &world,
        "six.service.dev.vagrant.",
        A,
        &["NoError", SOA_MAIN],
    );
    check(
        &world,
        "web.service.dev.vagrant.",
        TXT,
        &["NoError", SOA_MAIN],
    );
    check(
        &world,
        "web.service.dev.vagrant.",
        MX,
        &["NoError", SOA_MAIN],
    );
    check(
        &world,
        "web.service.dev.vagrant.",
        CNAME,
        &["NoError", SOA_MAIN],
    );
    check(&world, "w1.node.dev.vagrant.", SRV, &["NoError", SOA_MAIN]);
    check(&world, "dev.vagrant.", A, &["NoError", SOA_MAIN]);
    check(&world, "service.dev.vagrant.", A, &["NoError", SOA_MAIN]);
    // The authority begins where our part of a shared name begins.
    let soa = "authority service.dev. SOA ns.dev.vagrant. hostmaster.dev.vagrant.";
    check(&world, "nope.service.dev.", A, &["NXDomain", soa]);
    let soa = "authority consul. SOA ns.consul. hostmaster.consul.";
    check(&world, "nope.service.consul.", A, &["NXDomain", soa]);
    check(&world, "web.service.other.consul.", A, &["NXDomain", soa]);
}

#[test]
fn every_srv_target_comes_with_its_address() {
    let world = world();
    let name = "_web._tcp.service.dev.vagrant.";
    check(
        &world,
        name,
        SRV,
        &[
            "NoError",
            "_web._tcp.service.dev.vagrant. SRV 1 10 80 w1.node.dev.vagrant.",
            "_web._tcp.service.dev.vagrant. SRV 1 10 81 0a010003.addr.dev.vagrant.",
            "additional 0a010003.addr.dev.vagrant. A 10.1.0.3",
            "additional w1.node.dev.vagrant. A 10.0.0.2",
        ],
    );
    check(
        &world,
        "web.service.consul.",
        SRV,
        &[
            "NoError",
            "web.service.consul. SRV 1 10 80 w1.node.dev.consul.",
            "web.service.consul. SRV 1 10 81 0a010003.addr.dev.consul.",
            "additional 0a010003.addr.dev.consul. A 10.1.0.3",
            "additional w1.node.dev.consul. A 10.0.0.2",
        ],
    );
    let target = "20010db8000000000000000000000001.addr.dev.vagrant.";
    check(
        &world,
        "six.service.dev.",
        SRV,
        &[
            "NoError",
            &format!("six.service.dev. SRV 1 10 90 {target}"),
            &format!("additional {target} AAAA 2001:db8::1"),
        ],
    );
}

#[test]
fn two_ports_on_one_host_are_two_offers_and_one_address() {
    let mut world = world();
    world.service("w1", "web", "", 8080, "");
    world.service("w1", "web", "10.1.0.3", 81, "");
    let answer = world.ask("web.service.dev.vagrant.", SRV);
    assert_eq!(
        answer.matches(" SRV ").count(),
        3,
        "each host and port once: {answer}"
    );
    assert_eq!(answer.matches("additional w1.node").count(), 1, "{answer}");
    let answer = world.ask("web.service.dev.vagrant.", A);
    assert_eq!(answer.matches("10.0.0.2").count(), 1, "{answer}");
}

#[test]
fn nodes_and_spelled_addresses_resolve() {
    let world = world();
    for name in [
        "w1.node.dev.vagrant.",
        "w1.node.vagrant.",
        "w1.node.dev.",
        "w1.node.consul.",
    ] {
        check(&world, name, A, &["NoError", &format!("{name} A 10.0.0.2")]);
    }
    check(
        &world,
        "printer.node.dev.vagrant.",
        ANY,
        &[
            "NoError",
            "printer.node.dev.vagrant. A 192.168.1.9",
            "printer.node.dev.vagrant. TXT as it is",
            "printer.node.dev.vagrant. TXT rack=a=1",
        ],
    );
    let addr = "0a000002.addr.dev.vagrant.";
    check(&world, addr, A, &["NoError", &format!("{addr} A 10.0.0.2")]);
    let extra = format!("additional {addr} A 10.0.0.2");
    check(&world, addr, AAAA, &["NoError", SOA_MAIN, &extra]);
    check(
        &world,
        "ns.dev.vagrant.",
        A,
        &["NoError", "ns.dev.vagrant. A 10.0.0.1"],
    );
    check(
        &world,
        "dev.vagrant.",
        NS,
        &[
            "NoError",
            "dev.vagrant. NS s1.node.dev.vagrant.",
            "additional s1.node.dev.vagrant. A 10.0.0.1",
        ],
    );
    let soa = SOA_MAIN.replace("authority ", "");
    check(&world, "dev.vagrant.", SOA, &["NoError", &soa]);
}

#[test]
fn an_address_has_the_name_of_its_node_or_of_its_service() {
    let world = world();
    let name = "2.0.0.10.in-addr.arpa.";
    check(
        &world,
        name,
        PTR,
        &["NoError", &format!("{name} PTR w1.node.dev.vagrant.")],
    );
    let name = "3.0.1.10.in-addr.arpa.";
    check(
        &world,
        name,
        PTR,
        &["NoError", &format!("{name} PTR web.service.dev.vagrant.")],
    );
    check(&world, "9.9.9.10.in-addr.arpa.", PTR, &["NXDomain"]);
}

#[test]
fn a_critical_check_of_the_node_hides_all_its_instances_and_one_of_an_instance_only_that() {
    let mut world = world();
    world.service("w2", "api", "", 7000, "");
    world.check("w2", "api-alive", "api-7000", CheckStatus::Critical);
    check(
        &world,
        "api.service.dev.vagrant.",
        A,
        &["NXDomain", SOA_MAIN],
    );
    assert!(
        world
            .ask("web.service.dev.vagrant.", A)
            .contains("10.1.0.3")
    );
    world.check("w2", "disk", "", CheckStatus::Critical);
    check(
        &world,
        "web.service.dev.vagrant.",
        A,
        &["NoError", "web.service.dev.vagrant. A 10.0.0.2"],
    );
    let node = world.ask("w2.node.dev.vagrant.", A);
    assert!(
        node.contains("10.0.0.3"),
        "a full disk does not make the node unreachable: {node}"
    );
    world.check("w1", "_node_maintenance", "", CheckStatus::Critical);
    check(
        &world,
        "web.service.dev.vagrant.",
        A,
        &["NXDomain", SOA_MAIN],
    );
}

#[test]
fn a_warning_stays_with_its_own_weight() {
    let mut world = world();
    world.check("w1", "load", "web-80", CheckStatus::Warning);
    let answer = world.ask("web.service.dev.vagrant.", SRV);
    assert!(answer.contains("SRV 1 1 80 w1.node"), "{answer}");
    assert!(answer.contains("SRV 1 10 81 "), "{answer}");
}

#[test]
fn the_dead_are_not_named() {
    for event in [LeaseEvent::Lapsed, LeaseEvent::Leaving] {
        let mut world = world();
        world.lease(2, event);
        check(&world, "w1.node.dev.vagrant.", A, &["NXDomain", SOA_MAIN]);
        check(&world, "2.0.0.10.in-addr.arpa.", PTR, &["NXDomain"]);
        check(
            &world,
            "web.service.dev.vagrant.",
            A,
            &["NoError", "web.service.dev.vagrant. A 10.1.0.3"],
        );
        world.lease(3, event);
        check(
            &world,
            "web.service.dev.vagrant.",
            A,
            &["NXDomain", SOA_MAIN],
        );
        check(&world, "3.0.1.10.in-addr.arpa.", PTR, &["NXDomain"]);
        world.lease(1, event);
        check(&world, "dev.vagrant.", NS, &["NoError", SOA_MAIN]);
    }
}

#[test]
fn a_host_without_an_agent_is_dead_when_who_watches_it_says_so() {
    let mut world = world();
    let name = "printer.node.dev.vagrant.";
    check(
        &world,
        name,
        A,
        &["NoError", &format!("{name} A 192.168.1.9")],
    );
    world.check("printer", SERF_HEALTH, "", CheckStatus::Critical);
    check(&world, name, A, &["NXDomain", SOA_MAIN]);
}

#[test]
fn an_alias_into_our_names_is_followed() {
    let mut world = world();
    world.outsider("alias", "w1.node.dev.vagrant", &[]);
    let name = "alias.node.dev.vagrant.";
    check(
        &world,
        name,
        A,
        &[
            "NoError",
            "alias.node.dev.vagrant. CNAME w1.node.dev.vagrant.",
            "w1.node.dev.vagrant. A 10.0.0.2",
        ],
    );
    check(
        &world,
        name,
        CNAME,
        &[
            "NoError",
            "alias.node.dev.vagrant. CNAME w1.node.dev.vagrant.",
        ],
    );
    world.service("alias", "db", "", 5432, "");
    check(
        &world,
        "db.service.dev.vagrant.",
        SRV,
        &[
            "NoError",
            "db.service.dev.vagrant. SRV 1 10 5432 w1.node.dev.vagrant.",
            "additional w1.node.dev.vagrant. A 10.0.0.2",
        ],
    );
}

#[test]
fn an_alias_that_bites_its_tail_ends() {
    let mut world = world();
    world.outsider("a", "b.node.dev.vagrant", &[]);
    world.outsider("b", "a.node.dev.vagrant", &[]);
    let answer = world.ask("a.node.dev.vagrant.", A);
    assert!(answer.matches("CNAME").count() <= 4, "{answer}");
    world.service("w1", "self", "self.service.dev.vagrant", 1, "");
    check(
        &world,
        "self.service.dev.vagrant.",
        A,
        &["NoError", "self.service.dev.vagrant. A 10.0.0.2"],
    );
}

#[test]
fn before_the_catalog_has_come_nothing_is_denied() {
    let blank = World::default();
    check(&blank, "web.service.dev.vagrant.", A, &["ServFail"]);
    check(&blank, "w1.node.consul.", A, &["ServFail"]);
}

#[test]
fn names_that_are_not_ours_are_refused_without_an_upstream() {
    let world = world();
    for name in [
        "go.dev.",
        "dev.",
        "vagrant.",
        "consul.",
        "example.com.",
        "web.query.consul.",
    ] {
        check(&world, name, A, &["Refused"]);
    }
}
