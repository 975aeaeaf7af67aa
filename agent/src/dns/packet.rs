//! Writes answers.
//!
//! By hand, where hickory's encoder stops compressing owner names after the 120th and allocates for
//! every name: our owners are the question itself, a tail of it, or the target of a record already
//! written, so each is a pointer of two bytes, and what fits is known before a byte is written.

use std::net::{Ipv4Addr, Ipv6Addr};

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::rdata::opt::ClientSubnet;

use super::name::WireName;
use super::request::{HEADER, Head, Request};

/// What a name may point at: an offset of 14 bits (RFC 1035 section 4.1.4).
const FARTHEST_POINTER: usize = 0x3fff;
/// A record's type, class, TTL and data length.
const FIXED: usize = 10;
/// An OPT record without options.
const OPT: usize = 11;

/// Whose record it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    /// The name asked for, in the case in which it was asked.
    Asked,
    /// This many of its last labels.
    Tail(usize),
    /// The name that the answer with this number points to.
    Target(usize),
}

/// What a record says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Data {
    /// An IPv4 address.
    A(Ipv4Addr),
    /// An IPv6 address.
    Aaaa(Ipv6Addr),
    /// Where a service is (RFC 2782); the priority is always 1.
    Srv {
        /// Share of the load.
        weight: u16,
        /// Port.
        port: u16,
        /// Host; never compressed.
        target: WireName,
    },
    /// The name is another name's.
    Cname(WireName),
    /// The name of an address.
    Ptr(WireName),
    /// A name server.
    Ns(WireName),
    /// The zone's authority.
    Soa {
        /// Primary server.
        master: WireName,
        /// Mailbox of who is responsible.
        mailbox: WireName,
        /// Grows with every change.
        serial: u32,
    },
    /// Text, any length; split into strings of 255 bytes.
    Txt(Vec<u8>),
}

/// A resource record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    /// Whose.
    pub(super) owner: Owner,
    /// For how many seconds it may be cached.
    pub(super) ttl: u32,
    /// What it says.
    pub(super) data: Data,
}

/// An answer before it is a packet.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer {
    /// How it went.
    pub(super) code: ResponseCode,
    /// Whether we are the authority for it.
    pub(super) authoritative: bool,
    /// What was asked for.
    pub(super) answers: Vec<Record>,
    /// The SOA of negative answers; empty in positive ones (HAProxy 2.2 trips over NS there).
    pub(super) authority: Vec<Record>,
    /// Addresses of the answers' targets, in the order of the answers, and other extras.
    pub(super) additional: Vec<Record>,
}

impl Answer {
    /// An answer that says no more than `code`.
    pub(super) fn bare(code: ResponseCode) -> Self {
        Self {
            code,
            authoritative: false,
            answers: Vec::new(),
            authority: Vec::new(),
            additional: Vec::new(),
        }
    }
}

impl Data {
    fn kind(&self) -> u16 {
        match self {
            Self::A(_) => 1,
            Self::Ns(_) => 2,
            Self::Cname(_) => 5,
            Self::Soa { .. } => 6,
            Self::Ptr(_) => 12,
            Self::Txt(_) => 16,
            Self::Aaaa(_) => 28,
            Self::Srv { .. } => 33,
        }
    }

    /// The name that it points to, and how many bytes of data stand before that name.
    pub(super) fn target(&self) -> Option<(usize, &WireName)> {
        match self {
            Self::Srv { target, .. } => Some((6, target)),
            Self::Cname(name) | Self::Ptr(name) | Self::Ns(name) => Some((0, name)),
            _ => None,
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::A(_) => 4,
            Self::Aaaa(_) => 16,
            Self::Soa { master, mailbox, .. } => {
                master.as_bytes().len() + mailbox.as_bytes().len() + 20
            }
            Self::Txt(text) => text.len() + text.len().div_ceil(255).max(1),
            pointing => pointing
                .target()
                .map_or(0, |(before, name)| before + name.as_bytes().len()),
        }
    }

    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::A(address) => out.extend(address.octets()),
            Self::Aaaa(address) => out.extend(address.octets()),
            Self::Srv { weight, port, target } => {
                out.extend([0, 1]);
                out.extend(weight.to_be_bytes());
                out.extend(port.to_be_bytes());
                out.extend(target.as_bytes());
            }
            Self::Cname(name) | Self::Ptr(name) | Self::Ns(name) => out.extend(name.as_bytes()),
            Self::Soa { master, mailbox, serial } => {
                out.extend(master.as_bytes());
                out.extend(mailbox.as_bytes());
                // Serial, refresh, retry, expire, minimum: the last is the TTL of negative answers.
                let numbers = [*serial, 3600, 600, 86_400, 0];
                numbers.map(|number| out.extend(number.to_be_bytes()));
            }
            Self::Txt(text) if text.is_empty() => out.push(0),
            Self::Txt(text) => text.chunks(255).for_each(|part| {
                out.push(u8::try_from(part.len()).unwrap_or(u8::MAX));
                out.extend(part);
            }),
        }
    }
}

/// Writes `answer` to `request` into `out`, at most `limit` bytes. What does not fit is left out
/// from the end, a target's addresses together with the record that points to it, and the answer
/// then says that it was cut (TC). Returns whether it was.
pub(super) fn write(
    request: &Request<'_>,
    answer: &Answer,
    recursion_available: bool,
    limit: usize,
    out: &mut Vec<u8>,
) -> bool {
    out.clear();
    let opt = request.edns.as_ref().map_or(0, |edns| {
        OPT + edns.subnet.as_ref().map_or(0, |subnet| subnet_option(subnet).len())
    });
    let mut page = Page {
        out,
        labels: &request.labels,
        targets: Vec::with_capacity(answer.answers.len()),
    };
    page.out.extend([0; HEADER]);
    page.out.extend(request.question);
    let room = limit.saturating_sub(page.out.len() + opt);
    let kept = fitting(answer, room);
    let cut = kept < answer.answers.len();
    for record in answer.answers.iter().take(kept) {
        page.record(record, &answer.answers);
        page.note_target(record);
    }
    let mut counts = [1, kept, 0, 0];
    let sections = [(2, &answer.authority), (3, &answer.additional)];
    for (section, records) in sections {
        for record in records {
            let dropped = matches!(record.owner, Owner::Target(number) if number >= kept);
            if !dropped && page.out.len() + page.len_of(record, &answer.answers) + opt <= limit {
                page.record(record, &answer.answers);
                counts[section] += 1;
            }
        }
    }
    if let Some(edns) = &request.edns {
        page.opt(edns, answer.code);
        counts[3] += 1;
    }
    head(
        page.out,
        &request.head,
        Flags {
            code: answer.code,
            authoritative: answer.authoritative,
            truncated: cut,
            recursion_available,
        },
        counts,
    );
    cut
}

/// Writes an answer that has only a code and, if it could be read, the question.
pub(super) fn refuse(to: &Head, code: ResponseCode, question: &[u8], out: &mut Vec<u8>) {
    out.clear();
    out.extend([0; HEADER]);
    out.extend(question);
    let flags = Flags {
        code,
        authoritative: false,
        truncated: false,
        recursion_available: false,
    };
    head(out, to, flags, [usize::from(!question.is_empty()), 0, 0, 0]);
}

struct Flags {
    code: ResponseCode,
    authoritative: bool,
    truncated: bool,
    recursion_available: bool,
}

fn head(out: &mut [u8], to: &Head, flags: Flags, counts: [usize; 4]) {
    let one = 0x80
        | u8::from(to.op_code) << 3
        | u8::from(flags.authoritative) << 2
        | u8::from(flags.truncated) << 1
        | u8::from(to.recursion_desired);
    let two = u8::from(flags.recursion_available) << 7
        | u8::from(to.checking_disabled) << 4
        | flags.code.low();
    let id = to.id.to_be_bytes();
    let start = [id[0], id[1], one, two];
    let counts = counts.map(|count| u16::try_from(count).unwrap_or(u16::MAX).to_be_bytes());
    let bytes = start.into_iter().chain(counts.into_iter().flatten());
    out.iter_mut().zip(bytes).for_each(|(to, byte)| *to = byte);
}

/// How many of the answers fit into `room` bytes, each with the addresses of its target.
fn fitting(answer: &Answer, room: usize) -> usize {
    let mut extras = answer.additional.iter().peekable();
    let mut used = 0;
    for (number, record) in answer.answers.iter().enumerate() {
        used += 2 + FIXED + record.data.len();
        while let Some(extra) = extras.next_if(|extra| extra.owner == Owner::Target(number)) {
            used += 2 + FIXED + extra.data.len();
        }
        if used > room {
            return number;
        }
    }
    answer.answers.len()
}

struct Page<'o, 'p> {
    out: &'o mut Vec<u8>,
    labels: &'p [&'p [u8]],
    targets: Vec<usize>,
}

impl Page<'_, '_> {
    fn record(&mut self, record: &Record, answers: &[Record]) {
        match self.pointer(&record.owner) {
            Some(pointer) => self.out.extend(pointer.to_be_bytes()),
            None => self.out.extend(named(&record.owner, answers)),
        }
        self.out.extend(record.data.kind().to_be_bytes());
        self.out.extend([0, 1]);
        self.out.extend(record.ttl.to_be_bytes());
        let length = u16::try_from(record.data.len()).unwrap_or(u16::MAX);
        self.out.extend(length.to_be_bytes());
        record.data.write(self.out);
    }

    /// The answer was just written: what points to its target can find it there.
    fn note_target(&mut self, record: &Record) {
        let end = self.out.len();
        let length = record.data.target().map_or(0, |(_, name)| name.as_bytes().len());
        self.targets.push(end - length);
    }

    fn len_of(&self, record: &Record, answers: &[Record]) -> usize {
        let owner = match self.pointer(&record.owner) {
            Some(_) => 2,
            None => named(&record.owner, answers).len(),
        };
        owner + FIXED + record.data.len()
    }

    fn pointer(&self, owner: &Owner) -> Option<u16> {
        let offset = match owner {
            Owner::Asked => HEADER,
            Owner::Tail(labels) => {
                let before = self.labels.len().saturating_sub(*labels);
                let skipped = self.labels.iter().take(before);
                HEADER + skipped.map(|label| label.len() + 1).sum::<usize>()
            }
            Owner::Target(number) => *self.targets.get(*number)?,
        };
        let offset = u16::try_from(offset).ok()?;
        (usize::from(offset) <= FARTHEST_POINTER).then_some(0xc000 | offset)
    }

    fn opt(&mut self, edns: &super::request::Extension, code: ResponseCode) {
        self.out.extend([0, 0, 41]);
        self.out.extend(edns.size.to_be_bytes());
        self.out.extend([code.high(), 0, u8::from(edns.dnssec_ok) << 7, 0]);
        let option = edns.subnet.as_ref().map(subnet_option).unwrap_or_default();
        let length = u16::try_from(option.len()).unwrap_or(u16::MAX);
        self.out.extend(length.to_be_bytes());
        self.out.extend(option);
    }
}

/// The owner's name in full: the packet is too long for a pointer to reach back.
fn named<'r>(owner: &Owner, answers: &'r [Record]) -> &'r [u8] {
    match owner {
        Owner::Target(number) => answers
            .get(*number)
            .and_then(|record| record.data.target())
            .map_or(&[0], |(_, name)| name.as_bytes()),
        Owner::Asked | Owner::Tail(_) => &[0],
    }
}

/// The client's subnet with scope 0: the answer is the same for everyone (RFC 7871 section 7.2.1).
fn subnet_option(subnet: &ClientSubnet) -> Vec<u8> {
    let mut echo = subnet.clone();
    echo.set_scope_prefix(0);
    let Ok(data) = Vec::<u8>::try_from(&echo) else {
        return Vec::new();
    };
    let length = u16::try_from(data.len()).unwrap_or(u16::MAX).to_be_bytes();
    [&[0, 8], length.as_slice(), &data].concat()
}
