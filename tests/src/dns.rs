//! DNS questions: with the real `dig`, as a user would see the answer, and with a bare packet where
//! many questions a second measure a time.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::process::Command;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use hickory_proto::op::{Message, Query, ResponseCode};
use hickory_proto::rr::rdata::A;
use hickory_proto::rr::{Name, RData, RecordType};

use crate::place::Place;
use crate::process;

/// How long one bare question may take. A node answers from its own memory.
const PATIENCE: Duration = Duration::from_secs(2);

/// Starts a DNS server on loopback that knows this one address for every name, and nothing else.
pub fn upstream(knows: Ipv4Addr) -> Result<SocketAddr> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    let address = socket.local_addr()?;
    thread::spawn(move || -> Result<()> {
        let mut buffer = [0; 4096];
        loop {
            let (size, client) = socket.recv_from(&mut buffer)?;
            let question = Message::from_vec(&buffer[..size])?;
            let mut answer = question.clone().into_response();
            for query in &question.queries {
                let record = hickory_proto::rr::Record::from_rdata(
                    query.name().clone(),
                    60,
                    RData::A(A(knows)),
                );
                answer.add_answer(record);
            }
            socket.send_to(&answer.to_vec()?, client)?;
        }
    });
    Ok(address)
}

/// What `dig` said.
#[derive(Clone, Debug)]
pub struct Dig {
    /// `NOERROR`, `NXDOMAIN`, `REFUSED`, …
    pub status: String,
    /// The header's flags: `qr`, `aa`, `tc`, `rd`, `ra`.
    pub flags: Vec<String>,
    /// The answer section's records.
    pub answers: Vec<Record>,
    /// The authority section's records.
    pub authority: Vec<Record>,
    /// The additional section's records, without OPT.
    pub additional: Vec<Record>,
    /// All of it, for an error to show.
    pub text: String,
}

/// One record, as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its owner, with the dot at the end.
    pub name: String,
    /// Its time to live in seconds.
    pub ttl: u32,
    /// Its type.
    pub kind: String,
    /// What it says.
    pub data: String,
}

impl Dig {
    /// Asks `server` for `name` from `place`. `options` are dig's own, such as `+tcp` or `+bufsize=512`.
    pub fn ask(
        place: &Place,
        server: SocketAddr,
        name: &str,
        kind: &str,
        options: &[&str],
    ) -> Result<Self> {
        let mut command = place.command("dig");
        command
            .arg(format!("@{}", server.ip()))
            .args(["-p", &server.port().to_string()])
            .args(["+tries=1", "+time=3", "+nocookie"])
            .args(options)
            .args(question(name, kind));
        Self::read(&mut command)
    }

    fn read(command: &mut Command) -> Result<Self> {
        let text = process::run(command)?;
        let mut dig = Self {
            status: between(&text, "status: ", ",").unwrap_or_default(),
            flags: Vec::new(),
            answers: Vec::new(),
            authority: Vec::new(),
            additional: Vec::new(),
            text: String::new(),
        };
        if dig.status.is_empty() {
            bail!("dig had no answer: {text}");
        }
        let flags = between(&text, ";; flags: ", ";").unwrap_or_default();
        dig.flags = flags.split_whitespace().map(str::to_owned).collect();
        let mut section = "";
        for line in text.lines() {
            if let Some(title) = line.strip_prefix(";; ") {
                section = title.split(' ').next().unwrap_or("");
            } else if let Some(record) = Record::parse(line) {
                match section {
                    "ANSWER" => dig.answers.push(record),
                    "AUTHORITY" => dig.authority.push(record),
                    "ADDITIONAL" => dig.additional.push(record),
                    _ => {}
                }
            }
        }
        dig.text = text;
        Ok(dig)
    }

    /// What the answers of this type say, sorted.
    #[must_use]
    pub fn data(&self, kind: &str) -> Vec<String> {
        let of_kind = self.answers.iter().filter(|record| record.kind == kind);
        let mut data: Vec<String> = of_kind.map(|record| record.data.clone()).collect();
        data.sort();
        data
    }
}

impl Record {
    fn parse(line: &str) -> Option<Self> {
        if line.starts_with(';') {
            return None;
        }
        let mut words = line.split_whitespace();
        let (name, ttl, _class, kind) =
            (words.next()?, words.next()?, words.next()?, words.next()?);
        Some(Self {
            name: name.to_owned(),
            ttl: ttl.parse().ok()?,
            kind: kind.to_owned(),
            data: words.collect::<Vec<_>>().join(" "),
        })
    }
}

fn question<'a>(name: &'a str, kind: &'a str) -> Vec<&'a str> {
    match kind {
        "PTR" if name.parse::<IpAddr>().is_ok() => vec!["-x", name],
        _ => vec![name, kind],
    }
}

fn between(text: &str, before: &str, after: &str) -> Option<String> {
    let rest = &text[text.find(before)? + before.len()..];
    Some(rest[..rest.find(after)?].to_owned())
}

/// The addresses (type A) that `server` gives for `name` just now, sorted; none if the name does
/// not exist. Any other failure is an error.
pub fn addresses(place: &Place, server: SocketAddr, name: &str) -> Result<Vec<IpAddr>> {
    let mut question = Message::query();
    let name = Name::from_ascii(name).with_context(|| format!("{name:?} as a DNS name"))?;
    question.add_query(Query::query(name, RecordType::A));
    question.metadata.recursion_desired = true;
    let socket = place.udp(server)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.send(&question.to_vec()?)?;
    let mut buffer = [0; 65_535];
    let size = socket
        .recv(&mut buffer)
        .with_context(|| format!("no answer from {server}"))?;
    let answer = Message::from_vec(&buffer[..size])?;
    match answer.metadata.response_code {
        ResponseCode::NoError | ResponseCode::NXDomain => {}
        other => bail!("{server} says {other}"),
    }
    let records = answer.answers.iter();
    let mut found: Vec<IpAddr> = records.filter_map(|record| record.data.ip_addr()).collect();
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read_as_dig_prints_it() {
        let line = "_web._tcp.service.dev. 0 IN SRV 1 1 80 s1.node.dev.vagrant.";
        let record = Record::parse(line).unwrap();
        assert_eq!((record.ttl, record.kind.as_str()), (0, "SRV"));
        assert_eq!(record.data, "1 1 80 s1.node.dev.vagrant.");
        assert_eq!(Record::parse(";web.service.dev. IN A"), None);
        assert_eq!(Record::parse(""), None);
    }
}
