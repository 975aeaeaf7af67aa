//! Bad input over the network: garbage on every port, crowds, oversized messages. Nobody panics, and
//! whoever behaves is served on.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Result, ensure};
use harness::Cluster;
use harness::faults::Faults;
use harness::story::Story;

#[test]
fn garbage_on_every_port_harms_nobody() -> Result<()> {
    let story = Story::of("garbage on every port harms nobody");
    let mut faults = Faults::from_environment();
    let cluster = Cluster::of(3).registry().start()?;
    let node = cluster.node("s1");
    let ports = node.settings().ports;
    for (what, port) in [
        ("rpc", ports.rpc),
        ("http", ports.http),
        ("https", ports.https),
        ("dns", ports.dns),
        ("registry", ports.registry),
    ] {
        story.phase(what);
        let to = SocketAddr::new(node.address(), port);
        for size in [1, 3, 100, 5_000, 300_000] {
            let bytes: Vec<u8> = (0..size)
                .map(|_| faults.number().to_le_bytes()[0])
                .collect();
            // Refused, reset or answered: all the same, as long as the node lives.
            if let Ok(mut stream) = node.place().connect(to) {
                stream.set_read_timeout(Some(Duration::from_millis(200)))?;
                stream.set_write_timeout(Some(Duration::from_secs(2)))?;
                let _ = stream.write_all(&bytes);
                let _ = stream.read(&mut [0; 512]);
            }
            let datagram = &bytes[..bytes.len().min(60_000)];
            let _ = node.place().udp(to)?.send(datagram);
        }
        ensure!(
            node.is_running(),
            "garbage on {what} ended the agent:\n{}",
            node.log()
        );
    }
    story.phase("truncated and mutated real questions to the DNS");
    let question = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x02s1\x04node\x03dev\x04test\0\0\x01\0\x01";
    for cut in 0..question.len() {
        node.place()
            .udp(node.dns_address())?
            .send(&question[..cut])?;
        let mut changed = question.to_vec();
        changed[cut] = faults.number().to_le_bytes()[0];
        node.place().udp(node.dns_address())?.send(&changed)?;
    }
    ensure!(
        node.dig("s1.node.dev.test", "A")?.answers.len() == 1,
        "its DNS does not answer"
    );
    cluster.still_serves()
}

#[test]
fn connections_that_say_nothing_take_nothing() -> Result<()> {
    let story = Story::of("five hundred connections that say nothing keep nobody out");
    let cluster = Cluster::of(1).start()?;
    let node = cluster.node("s1");
    let ports = node.settings().ports;
    let mut held = Vec::new();
    for port in [ports.rpc, ports.http, ports.https, ports.dns] {
        for _ in 0..125 {
            if let Ok(stream) = node.place().connect(SocketAddr::new(node.address(), port)) {
                held.push(stream);
            }
        }
    }
    story.phase(&format!("{} connections stand open", held.len()));
    node.kv_put("through", "the crowd")?;
    let dig = node.dig_with("s1.node.dev.test", "A", &["+tcp"])?;
    ensure!(dig.answers.len() == 1, "no answer over TCP:\n{}", dig.text);
    Ok(())
}

#[test]
fn oversized_requests_are_refused() -> Result<()> {
    let story = Story::of("oversized requests are refused, and cost nothing");
    let cluster = Cluster::of(1).start()?;
    let node = cluster.node("s1");
    story.phase("a value of 512 KiB fits, one byte more does not");
    node.kv_put("big", vec![b'x'; 524_288])?;
    let answer = node.http_put("/v1/kv/big", vec![b'x'; 524_289])?;
    ensure!(answer.status == 413, "{}: {}", answer.status, answer.text());
    ensure!(answer.text().contains("too large"), "{}", answer.text());
    story.phase("a header without end, and a body that is announced and never comes");
    let before = node.resident_memory()?;
    let mut stream = node.place().connect(node.http_address())?;
    stream.set_write_timeout(Some(Duration::from_secs(2)))?;
    let _ = stream.write_all(b"GET / HTTP/1.1\r\nX: ");
    let _ = (0..300).try_for_each(|_| stream.write_all(&[b'x'; 100_000]));
    let mut stream = node.place().connect(node.http_address())?;
    stream.write_all(
        b"PUT /v1/kv/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999\r\n\r\nx",
    )?;
    node.kv_put("small", "one")?;
    let grown = node.resident_memory()?.saturating_sub(before);
    ensure!(grown < 20 << 20, "it grew by {grown} bytes");
    node.is_decent()
}
