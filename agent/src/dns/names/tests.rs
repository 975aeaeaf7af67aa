use super::*;

fn zones() -> Zones {
    Zones::of(&Name::new("dev").unwrap(), &Name::new("vagrant").unwrap()).unwrap()
}

fn said(name: &str, srv: bool) -> String {
    let labels: Vec<&[u8]> = name
        .split('.')
        .filter(|label| !label.is_empty())
        .map(str::as_bytes)
        .collect();
    match zones().read(&labels, srv) {
        Question::Foreign => "foreign".to_owned(),
        Question::Pointer(address) => format!("pointer {address}"),
        Question::Ours(zone, subject) => format!("{zone:?} {}", told(&subject)),
    }
}

fn told(subject: &Subject<'_>) -> String {
    match subject {
        Subject::Service { name, tag: None } => format!("service {name}"),
        Subject::Service {
            name,
            tag: Some(tag),
        } => format!("service {name} tag {tag}"),
        Subject::Node(name) => format!("node {name}"),
        Subject::Address(address) => format!("addr {address}"),
        other => format!("{other:?}"),
    }
}

/// Names, and what they ask about.
const FORMS: &[(&str, &str)] = &[
    // Under <dc>.<stack> all is ours.
    ("web.service.dev.vagrant", "Main service web"),
    ("Web.SERVICE.Dev.VAGRANT", "Main service Web"),
    ("blue.web.service.dev.vagrant", "Main service web tag blue"),
    ("v1.2.web.service.dev.vagrant", "Main service web tag v1.2"),
    ("_web._tcp.service.dev.vagrant", "Main service web"),
    ("_web._TCP.service.dev.vagrant", "Main service web"),
    (
        "_web._blue.service.dev.vagrant",
        "Main service web tag blue",
    ),
    ("_web._udp.service.dev.vagrant", "Main service web tag udp"),
    (
        "_http._tcp.web.service.dev.vagrant",
        "Main service web tag _http._tcp",
    ),
    ("_tcp.service.dev.vagrant", "Main Branch"),
    ("service.dev.vagrant", "Main Branch"),
    ("node.dev.vagrant", "Main Branch"),
    ("n1.node.dev.vagrant", "Main node n1"),
    ("n1.rack2.node.dev.vagrant", "Main node n1.rack2"),
    ("7f000002.addr.dev.vagrant", "Main addr 127.0.0.2"),
    (
        "20010db8000000000000000000000001.addr.dev.vagrant",
        "Main addr 2001:db8::1",
    ),
    ("7f00000.addr.dev.vagrant", "Main Missing"),
    ("+f000002.addr.dev.vagrant", "Main Missing"),
    ("a.7f000002.addr.dev.vagrant", "Main Missing"),
    ("dev.vagrant", "Main Apex"),
    ("ns.dev.vagrant", "Main NameServer"),
    ("web.dev.vagrant", "Main Missing"),
    ("web.service.prod.dev.vagrant", "Main Missing"),
    ("_.service.dev.vagrant", "Main Branch"),
    ("_._tcp.service.dev.vagrant", "Main Missing"),
    ("_web._tcp.dev.vagrant", "Main Missing"),
    // Under <stack>, <dc> and consul only three labels are.
    ("web.service.vagrant", "Stack service web"),
    ("n1.node.vagrant", "Stack node n1"),
    ("7f000002.addr.vagrant", "Stack addr 127.0.0.2"),
    ("service.vagrant", "Stack Branch"),
    ("web.service.prod.vagrant", "foreign"),
    ("vagrant", "foreign"),
    ("www.vagrant", "foreign"),
    ("web.service.dev", "Dc service web"),
    ("n1.node.dev", "Dc node n1"),
    ("go.dev", "foreign"),
    ("dev", "foreign"),
    ("service.go.dev", "foreign"),
    ("web.service.consul", "Consul service web"),
    ("web.service.dev.consul", "Consul service web"),
    ("blue.web.service.dev.consul", "Consul service web tag blue"),
    ("_web._tcp.service.consul", "Consul service web"),
    ("n1.node.consul", "Consul node n1"),
    ("n1.node.dev.consul", "Consul node n1"),
    ("web.service.node.consul", "Consul node web.service"),
    ("7f000002.addr.consul", "Consul addr 127.0.0.2"),
    ("web.service.other.consul", "Consul Missing"),
    ("web.query.consul", "foreign"),
    ("consul", "foreign"),
    // Addresses backwards.
    ("2.0.0.127.in-addr.arpa", "pointer 127.0.0.2"),
    ("2.0.0.127.IN-ADDR.ARPA", "pointer 127.0.0.2"),
    ("0.0.127.in-addr.arpa", "foreign"),
    ("256.0.0.127.in-addr.arpa", "foreign"),
    (
        "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa",
        "pointer 2001:db8::1",
    ),
    ("1.0.0.2.ip6.arpa", "foreign"),
    ("home.arpa", "foreign"),
    // The rest of the world.
    ("example.com", "foreign"),
    ("", "foreign"),
];

#[test]
fn every_form_of_a_name_is_understood() {
    for (name, wanted) in FORMS {
        assert_eq!(said(name, false), *wanted, "{name}");
    }
    assert_eq!(said("_web._tcp.dev.vagrant", true), "Main service web");
}

#[test]
fn a_cluster_with_one_word_for_both_still_has_names() {
    let word = Name::new("dev").unwrap();
    let zones = Zones::of(&word, &word).unwrap();
    let read = |labels: &[&'static [u8]]| match zones.read(labels, false) {
        Question::Ours(zone, subject) => format!("{zone:?} {}", told(&subject)),
        other => format!("{other:?}"),
    };
    assert_eq!(
        read(&[b"web", b"service", b"dev", b"dev"]),
        "Main service web"
    );
    assert_eq!(read(&[b"web", b"service", b"dev"]), "Dc service web");
    assert_eq!(read(&[b"go", b"dev"]), "Foreign");
}

#[test]
fn labels_that_are_not_text_are_missing_not_a_panic() {
    let labels: [&[u8]; 4] = [b"\xff\xfe", b"service", b"dev", b"vagrant"];
    assert_eq!(
        zones().read(&labels, false),
        Question::Ours(Zone::Main, Subject::Missing)
    );
}
