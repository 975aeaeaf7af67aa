//! Files that are wrong, and what their author is told.

use super::*;

/// One line on top of [`BASE`], and the whole message.
const CASES: &[(&str, &str)] = &[
    (
        "listen: { rpc: banana }",
        ":7: listen.rpc: found \"banana\", expected a port (1 to 65535)",
    ),
    (
        "listen: { rpc: 0 }",
        ":7: listen.rpc: found 0, expected a port (1 to 65535)",
    ),
    (
        "listen: { rpc: 65536 }",
        ":7: listen.rpc: found 65536, expected a port (1 to 65535)",
    ),
    (
        "listen: { rpc: -1 }",
        ":7: listen.rpc: found -1, expected a port (1 to 65535)",
    ),
    (
        "listen: { rpc: 8300.5 }",
        ":7: listen.rpc: found 8300.5, expected a port (1 to 65535)",
    ),
    (
        "listen: { rpc: 340282366920938463463374607431768211456000 }",
        ":7: listen.rpc: found 340282366920938460000000000000000000000000, expected a port (1 to 65535)",
    ),
    (
        "listen: { rcp: 1 }",
        ":7: listen: unknown key \"rcp\", did you mean \"rpc\"?",
    ),
    (
        "listen: { colour: 1 }",
        ":7: listen: unknown key \"colour\", expected rpc, http, https, registry or docker",
    ),
    (
        "listen: 8300",
        ":7: listen: found a number without quotes, expected a map with rpc, http, https, registry or docker",
    ),
    (
        "listen: { rpc: 8500 }",
        ":7: listen.rpc: found 8500, expected a port of its own: listen.http has it too",
    ),
    (
        "dns: { port: 8501 }",
        ":7: dns.port: found 8501, expected a port of its own: listen.https has it too",
    ),
    (
        "tokn: x",
        ":7:1: unknown key \"tokn\", did you mean \"token\"?",
    ),
    (
        "<<: { dc: x }",
        ":7:1: unknown key, expected stack, dc, role, name, expect, admin_network, join, token, data_dir, dns, docker, registry, log, meta, listen or timing",
    ),
    ("? [a]\n: b", ":7:3: unknown key, expected a text"),
    (
        "role: operator",
        ":3: role: found \"operator\", expected server or worker",
    ),
    (
        "role: [server]",
        ":3: role: found a list, expected server or worker",
    ),
    (
        "stack: a.b",
        ":1: stack: found \"a.b\", expected a name of 1 to 63 of a-z, 0-9 and '-', not starting or ending with '-'",
    ),
    (
        "stack: 5",
        ":1: stack: found 5, expected a name of 1 to 63 of a-z, 0-9 and '-', not starting or ending with '-'",
    ),
    (
        "name:",
        ":7: name: found nothing, expected a name of 1 to 63 of a-z, 0-9 and '-', not starting or ending with '-'",
    ),
    (
        "expect: 0",
        ":4: expect: found 0, expected how many servers must meet before the first election (1 to 9, best an odd number)",
    ),
    (
        "expect: three",
        ":4: expect: found \"three\", expected how many servers must meet before the first election (1 to 9, best an odd number)",
    ),
    (
        "admin_network: 10.0.0.0/33",
        ":5: admin_network: found \"10.0.0.0/33\", expected a network like 192.168.101.0/24, an address, or an interface's name",
    ),
    (
        "token: [a, b]",
        ":6: token: found a list, expected the join token of this role, \"${NAME}\" of the environment, \"file:/path\", \"ssm:NAME\", \"secretsmanager:NAME\" or \"guestinfo:KEY\"",
    ),
    (
        "token: 12345678",
        ":6: token: found a number without quotes, expected the join token of this role, \"${NAME}\" of the environment, \"file:/path\", \"ssm:NAME\", \"secretsmanager:NAME\" or \"guestinfo:KEY\"",
    ),
    (
        "token: \"${TOKEN\"",
        ":6: token: found a text, expected the join token of this role, \"${NAME}\" of the environment, \"file:/path\", \"ssm:NAME\", \"secretsmanager:NAME\" or \"guestinfo:KEY\"",
    ),
    (
        "token: ''",
        ":6: token: found an empty text, expected the join token of this role, \"${NAME}\" of the environment, \"file:/path\", \"ssm:NAME\", \"secretsmanager:NAME\" or \"guestinfo:KEY\"",
    ),
    (
        "data_dir: data",
        ":7: data_dir: found \"data\", expected an absolute path",
    ),
    (
        "join: 10.0.0.1",
        ":7: join: found \"10.0.0.1\", expected a list of peers",
    ),
    (
        "join:\n  - 10.0.0.1\n  - 10.0.0.256",
        ":9: join[1]: found \"10.0.0.256\", expected an address with or without a port, \"dns:NAME\", or \"provider=KIND …\"",
    ),
    (
        "join: [servers.example.com]",
        ":7: join[0]: found \"servers.example.com\", expected \"dns:\" before a name that is to be looked up",
    ),
    (
        "join:\n  - dns: servers",
        ":8: join[0]: found a map, expected an address with or without a port, \"dns:NAME\", or \"provider=KIND …\"",
    ),
    (
        "join: [provider=cloud password=hunter2]",
        ":7: join[0]: found provider=cloud, expected addresses, \"dns:NAME\", or one of provider=aws|vsphere|gce|azure",
    ),
    (
        "dns: { recursors: [dns.example] }",
        ":7: dns.recursors: found a list, expected auto, or a list of addresses, each with or without a port",
    ),
    (
        "docker: { enabled: yes }",
        ":7: docker.enabled: found \"yes\", expected true or false",
    ),
    (
        "docker: { swarm: on }",
        ":7: docker.swarm: found \"on\", expected auto or off",
    ),
    (
        "docker: { registrator: { tags: [\"{{toUpper .Name}}\"] } }",
        ":7: docker.registrator.tags: found a list, expected a list of texts, each with fields like {{.Config.Hostname}} or without",
    ),
    (
        "registry: { storage: /x }",
        ":7: registry.storage: found a text, expected a map with filesystem or s3",
    ),
    (
        "registry: { storage: {} }",
        ":7: registry.storage: found a map, expected either filesystem or s3",
    ),
    (
        "registry: { storage: { filesystem: /a, s3: { bucket: b, region: r } } }",
        ":7: registry.storage: found both filesystem and s3, expected either filesystem or s3",
    ),
    (
        "registry: { storage: { s3: { bucket: b } } }",
        ":7: registry.storage.s3.region: missing, expected the bucket's region",
    ),
    (
        "registry: { storage: { s3: { bucket: b, region: r, accesskey: k } } }",
        ":7: registry.storage.s3.secretkey: missing, expected it beside accesskey",
    ),
    (
        "registry: { storage: { s3: { bucket: b, region: r, chunksize: 1024 } } }",
        ":7: registry.storage.s3.chunksize: found 1024, expected a whole number from 5242880 to 5368709120",
    ),
    (
        "registry: { storage: { s3: { bucket: b, region: r, v4auth: false } } }",
        ":7: registry.storage.s3.regionendpoint: missing, expected the service that takes older signatures, beside v4auth: false",
    ),
    (
        "log: { level: loud }",
        ":7: log.level: found \"loud\", expected error, warn, info, debug or trace",
    ),
    (
        "meta: { rack: 7 }",
        ":7: meta.rack: found 7, expected a text of up to 512 bytes (a number needs quotes)",
    ),
    (
        "meta: { a b: x }",
        ":7: meta[…]: found another key, expected keys of 1 to 128 of a-z, A-Z, 0-9, '-' and '_'",
    ),
    (
        "timing: { lease: 2 }",
        ":7: timing.lease: found 2, expected a duration from 100ms to 1m0s, like \"2s\" or \"1h30m\"",
    ),
    (
        "timing: { lease: 2d }",
        ":7: timing.lease: found \"2d\", expected a duration from 100ms to 1m0s, like \"2s\" or \"1h30m\"",
    ),
    (
        "timing: { lease: 10s }",
        ":7: timing.lease: found \"10s\", expected less than timing.session_grace (8s)",
    ),
    (
        "timing: { session_grace: 1s }",
        ":7: timing.session_grace: found \"1s\", expected more than timing.lease (2s)",
    ),
    (
        "timing: { grace: 8s }",
        ":7: timing.grace: found \"8s\", expected more than timing.session_grace (8s)",
    ),
    (
        "timing: { reap: 30s }",
        ":7: timing.reap: found \"30s\", expected more than timing.grace (30s)",
    ),
    ("dc: other\ndc: other", ":3: dc: found twice, expected once"),
];

#[test]
fn each_mistake_has_its_message() {
    for (line, message) in CASES {
        let text = base_with(&[line]);
        assert_eq!(errors(&text), [format!("swarmer.yaml{message}")], "{line}");
    }
}

#[test]
fn what_must_be_there_is_named() {
    for key in ["stack", "dc", "role", "expect", "admin_network", "token"] {
        let errors = errors(&base_with(&[&format!("-{key}")]));
        assert_eq!(errors.len(), 1);
        let start = format!("swarmer.yaml:1: {key}: missing, expected ");
        assert!(errors[0].starts_with(&start), "{}", errors[0]);
    }
    for join in ["# none", "join: []", "join:"] {
        let errors = errors(&base_with(&["role: worker", join]));
        assert_eq!(errors.len(), 1);
        assert!(
            errors[0].ends_with("at least one peer: a worker can't be alone"),
            "{}",
            errors[0]
        );
    }
}

#[test]
fn all_mistakes_are_told_at_once_in_the_files_order() {
    let text =
        "stack: a.b\nrole: boss\nexpect: 0\nadmin_network: eth0\ntoken: t\nlog: { level: x }\n";
    let errors = errors(text);
    let places: Vec<&str> = errors
        .iter()
        .map(|error| error.split(' ').nth(1).unwrap())
        .collect();
    assert_eq!(places, ["dc:", "stack:", "role:", "expect:", "log.level:"]);
    let flood: String = (0..500).map(|n| format!("x{n}: 1\n")).collect();
    assert_eq!(
        parse(&flood).unwrap_err().0.len(),
        20,
        "but not without end"
    );
}

#[test]
fn an_error_says_its_column_too() {
    let errors = parse(&base_with(&["listen: { rpc: banana }"])).unwrap_err();
    assert_eq!(
        errors.0[0].place,
        Some(Place {
            line: 7,
            column: 16
        })
    );
}

/// The whole file, and the whole message.
const SYNTAX: &[(&str, &str)] = &[
    ("", ":1:1: not valid YAML: the file is empty"),
    (
        "# only a comment\n",
        ":2:1: not valid YAML: the file is empty",
    ),
    (
        "swarmer",
        ":1:1: found a text, expected lines of \"key: value\", with a space after the ':'",
    ),
    (
        "stack:a\ndc:b\n",
        ":1:1: found a text, expected lines of \"key: value\", with a space after the ':'",
    ),
    (
        "- stack\n",
        ":1:1: found a list, expected lines of \"key: value\", with a space after the ':'",
    ),
    (
        "stack: a\n\tdc: b\n",
        ":2:1: not valid YAML: a tab is in the way: YAML is indented with spaces",
    ),
    (
        "join:\n  -\t- a\n",
        ":2:4: not valid YAML: a tab is in the way: YAML is indented with spaces",
    ),
    (
        "stack: a: b\n",
        ":1:9: not valid YAML: there is one ':' too many on this line: put the value in quotes, or mind the indentation",
    ),
    (
        "stack: a\nrole\ndc: b\n",
        ":2:1: not valid YAML: a line that should be \"key: value\" has no ':' with a space after it",
    ),
    (
        "stack: a\n dc: b\n",
        ":2:4: not valid YAML: there is one ':' too many on this line: put the value in quotes, or mind the indentation",
    ),
    (
        "  stack: a\ndc: b\n",
        ":2:1: not valid YAML: the indentation does not fit the lines above",
    ),
    (
        "stack: a\ntoken: \"abc\ndc: b\n",
        ":2:8: not valid YAML: a quote is not closed",
    ),
    (
        "stack: a\njoin: [a, b\n",
        ":2:7: not valid YAML: a '[' or '{' is not closed, or a ',' is missing",
    ),
    (
        "token: @abc\n",
        ":1:8: not valid YAML: a value can't start with this character: put it in quotes",
    ),
    (
        "token: *abc\n",
        ":1:8: not valid YAML: this alias (*…) names no anchor (&…)",
    ),
    (
        "token: !vault abc\n",
        ":1:8: not valid YAML: there is a YAML tag (!…) here: remove it, or put the value in quotes",
    ),
    (
        "token: \"a\\qb\"\n",
        ":1:10: not valid YAML: there is no such escape within double quotes: use single quotes, or \\\\ for a backslash",
    ),
    (
        "stack: a\n---\nstack: b\n",
        ":3:1: not valid YAML: there is a second document after the first: remove the \"---\" between them",
    ),
    (
        "stack: \u{1}\n",
        ":1:1: not valid YAML: there is a control character here",
    ),
];

#[test]
fn what_is_no_yaml_is_told_in_our_words() {
    for (text, message) in SYNTAX {
        assert_eq!(errors(text), [format!("swarmer.yaml{message}")], "{text:?}");
    }
}
