//! Writes answers.
//!
//! By hand, where hickory's encoder stops compressing owner names after the 120th and allocates for
//! every name: our owners are the question itself, a tail of it, or the target of a record already
//! written, so each is a pointer of two bytes, and what fits is known before a byte is written.

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::rdata::opt::ClientSubnet;

use super::record::{Answer, Owner, Record};
use super::request::{Extension, HEADER, Head, Request};

/// What a name may point at: an offset of 14 bits (RFC 1035 section 4.1.4).
const FARTHEST_POINTER: usize = 0x3fff;
/// A record's type, class, TTL and data length.
const FIXED: usize = 10;
/// An OPT record without options.
const OPT: usize = 11;

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
        OPT + edns
            .subnet
            .as_ref()
            .map_or(0, |subnet| subnet_option(subnet).len())
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

/// Writes an answer that says nothing but that it was cut.
pub(super) fn cut(request: &Request<'_>, out: &mut Vec<u8>) {
    write(
        request,
        &Answer::bare(ResponseCode::NoError),
        true,
        usize::MAX,
        out,
    );
    if let Some(flags) = out.get_mut(2) {
        *flags |= 0x02;
    }
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
        let length = record
            .data
            .target()
            .map_or(0, |(_, name)| name.as_bytes().len());
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

    fn opt(&mut self, edns: &Extension, code: ResponseCode) {
        self.out.extend([0, 0, 41]);
        self.out.extend(edns.size.to_be_bytes());
        self.out
            .extend([code.high(), 0, u8::from(edns.dnssec_ok) << 7, 0]);
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
    let mut echo = *subnet;
    echo.set_scope_prefix(0);
    let Ok(data) = Vec::<u8>::try_from(&echo) else {
        return Vec::new();
    };
    let length = u16::try_from(data.len()).unwrap_or(u16::MAX).to_be_bytes();
    [&[0, 8], length.as_slice(), &data].concat()
}
