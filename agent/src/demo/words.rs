//! What a demo tells people: where it is, what to try, how to break it. Every line works when it
//! is pasted.

use std::fmt::Write as _;
use std::io::Write as _;

use super::record::{Demo, DemoNode, OPERATOR};
use super::{DemoError, files, programs};
use crate::model::Role;

/// Prints the demo: one JSON object for programs, the guide for people.
pub(super) fn print(demo: &Demo, json: bool, detached: bool) -> Result<(), DemoError> {
    let text = match json {
        true => demo.json()?,
        false => guide(demo, detached),
    };
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(DemoError::io("write to", "standard output", error))
        }
        _ => Ok(()),
    }
}

/// The line that starts a node again.
pub(super) fn command(node: &DemoNode, program: &str) -> String {
    let rest = node
        .command
        .iter()
        .skip(1)
        .map(|word| programs::quoted(word));
    let words: Vec<String> = std::iter::once(program.to_owned()).chain(rest).collect();
    words.join(" ")
}

fn guide(demo: &Demo, detached: bool) -> String {
    let (Some(first), Some(last)) = (demo.nodes.first(), demo.nodes.last()) else {
        return String::new();
    };
    let swarmer = programs::typed(first.program());
    let mut text = summary(demo);
    try_it(&mut text, demo, first, last, &swarmer);
    operate(&mut text, demo, first, &swarmer);
    break_it(&mut text, demo, first, last, &swarmer);
    let option = match demo.named {
        true => format!(
            " --dir {}",
            programs::quoted(&demo.dir.display().to_string())
        ),
        false => String::new(),
    };
    let end = match detached {
        true => format!("\nStop it, and leave nothing behind:\n  {swarmer} demo stop{option}\n"),
        false if demo.named => "\nCtrl-C stops it; the files stay.\n".to_owned(),
        false => "\nCtrl-C stops it, and leaves nothing behind.\n".to_owned(),
    };
    text.push_str(&end);
    text
}

fn summary(demo: &Demo) -> String {
    let servers = demo.servers().count();
    let workers = demo.nodes.len() - servers;
    let seconds = demo.ready_after / 1000;
    let mut text = format!(
        "A cluster of {} and {}, {}:{}, serves after {seconds}.{:03} s. Its files are in {}.\n\n",
        counted(servers, "server"),
        counted(workers, "worker"),
        demo.stack,
        demo.dc,
        demo.ready_after % 1000,
        demo.dir.display(),
    );
    let _ = writeln!(
        text,
        "  {:<12}{:<8}{:<9}{:<20}{:<20}{:<20}RPC",
        "NODE", "ROLE", "PID", "HTTP", "HTTPS", "DNS"
    );
    for node in &demo.nodes {
        let _ = writeln!(
            text,
            "  {:<12}{:<8}{:<9}{:<20}{:<20}{:<20}{}",
            node.name,
            node.role.as_str(),
            node.pid,
            node.http,
            node.https,
            node.dns,
            node.rpc
        );
    }
    text
}

fn counted(count: usize, what: &str) -> String {
    match count {
        1 => format!("1 {what}"),
        _ => format!("{count} {what}s"),
    }
}

fn dig(node: &DemoNode, name: &str) -> String {
    format!(
        "dig +short @{} -p {} {name}",
        node.dns.ip(),
        node.dns.port()
    )
}

fn name_of(demo: &Demo, node: &DemoNode) -> String {
    format!("{}.node.{}.{}", node.name, demo.dc, demo.stack)
}

fn try_it(text: &mut String, demo: &Demo, first: &DemoNode, last: &DemoNode, swarmer: &str) {
    text.push_str("\nTry, in another terminal:\n");
    let _ = writeln!(text, "  {swarmer} status --http {}", first.http);
    let _ = writeln!(text, "  {}", dig(last, &name_of(demo, first)));
    let _ = writeln!(
        text,
        "  {swarmer} kv put greeting hello --http {}",
        first.http
    );
    let _ = writeln!(text, "  {swarmer} kv get greeting --http {}", last.http);
    let _ = writeln!(text, "  curl 'http://{}/v1/kv/greeting?raw'", last.http);
    let _ = writeln!(
        text,
        "  curl 'http://{}/v1/catalog/nodes?pretty'",
        last.http
    );
    if demo.registry {
        let name = format!("registry.service.{}.{}", demo.dc, demo.stack);
        let ca = programs::quoted(&demo.ca.display().to_string());
        let _ = writeln!(text, "  {}", dig(last, &name));
        let _ = writeln!(
            text,
            "  curl --cacert {ca} --resolve {name}:{}:{} https://{name}:{}/v2/ -u x:$(cat {})",
            last.registry.port(),
            last.registry.ip(),
            last.registry.port(),
            programs::quoted(
                &files::token_file(&demo.dir, Role::Worker)
                    .display()
                    .to_string()
            ),
        );
    }
    let missing: Vec<&str> = ["dig", "curl"]
        .into_iter()
        .filter(|name| programs::find(name).is_none())
        .collect();
    if !missing.is_empty() {
        let _ = writeln!(
            text,
            "  ({} not on this machine; Debian: apt install dnsutils curl)",
            match missing.as_slice() {
                [one] => format!("{one} is"),
                _ => "dig and curl are".to_owned(),
            }
        );
    }
}

fn operate(text: &mut String, demo: &Demo, first: &DemoNode, swarmer: &str) {
    let token = files::token_file(&demo.dir, Role::Operator);
    let token = programs::quoted(&token.display().to_string());
    let folder = programs::quoted(&demo.dir.join(OPERATOR).display().to_string());
    text.push_str("\nBe its operator, over TLS:\n");
    let _ = writeln!(
        text,
        "  {swarmer} login {} --token-file {token} --dir {folder}",
        first.rpc
    );
    let _ = writeln!(text, "  {swarmer} token list --cluster {folder}");
}

fn break_it(text: &mut String, demo: &Demo, first: &DemoNode, last: &DemoNode, swarmer: &str) {
    if demo.nodes.len() > 1 {
        text.push_str("\nKill a node, and see it go out of DNS at once:\n");
        let _ = writeln!(text, "  kill -9 {}", last.pid);
        let _ = writeln!(text, "  {}", dig(first, &name_of(demo, last)));
        let _ = writeln!(text, "  {swarmer} status --http {}", first.http);
    }
    let leader = demo
        .servers()
        .find(|node| Some(&node.name) == demo.leader.as_ref());
    let other = demo
        .servers()
        .find(|node| Some(&node.name) != demo.leader.as_ref());
    if let (Some(leader), Some(other)) = (leader, other) {
        let _ = writeln!(text, "\nKill the leader, and see another lead:");
        let _ = writeln!(text, "  kill -9 {}", leader.pid);
        let _ = writeln!(text, "  {swarmer} status --http {}", other.http);
    }
    text.push_str("\nThe line that starts each node again:\n");
    for node in &demo.nodes {
        let _ = writeln!(text, "  {}", command(node, swarmer));
    }
}
