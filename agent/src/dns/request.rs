//! Reads a query, and says what is wrong with one that can't be answered.

use hickory_proto::op::{Edns, Message, OpCode, ResponseCode};
use hickory_proto::rr::rdata::opt::{ClientSubnet, EdnsCode, EdnsOption};
use hickory_proto::rr::{DNSClass, RecordType};
use hickory_proto::serialize::binary::BinDecoder;

/// Length of a message's header (RFC 1035 section 4.1.1).
pub(super) const HEADER: usize = 12;
/// What a client takes over UDP unless it says more (RFC 1035 section 2.3.4).
pub(super) const PLAIN_UDP: usize = 512;
/// Longest name, its last zero included.
const LONGEST_NAME: usize = 255;

/// The parts of a header that the answer repeats.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head {
    /// The client's number for the query.
    pub(super) id: u16,
    /// What kind of message it is.
    pub(super) op_code: OpCode,
    /// The client wants recursion.
    pub(super) recursion_desired: bool,
    /// The client checks signatures itself.
    pub(super) checking_disabled: bool,
}

/// A query with one question (of several, the first).
#[derive(Debug)]
pub(super) struct Request<'p> {
    /// From its header.
    pub(super) head: Head,
    /// Name, type and class as they came, for the echo: the case of the name is a nonce (0x20).
    pub(super) question: &'p [u8],
    /// The name's labels, leftmost first.
    pub(super) labels: Vec<&'p [u8]>,
    /// The type asked for.
    pub(super) qtype: RecordType,
    /// The class asked for.
    pub(super) class: DNSClass,
    /// What the client's OPT record says (RFC 6891).
    pub(super) edns: Option<Extension>,
}

/// A client's OPT record.
#[derive(Debug)]
pub(super) struct Extension {
    /// The largest UDP answer that it takes, in bytes, at least 512.
    pub(super) size: u16,
    /// 0 is the only version there is.
    pub(super) version: u8,
    /// It wants signatures.
    pub(super) dnssec_ok: bool,
    /// For whom it asks (RFC 7871).
    pub(super) subnet: Option<ClientSubnet>,
}

/// Why a packet is no query that we answer.
#[derive(Debug)]
pub(super) enum Unreadable<'p> {
    /// Not even a header, or a response: an answer could go round in circles.
    Silent,
    /// To be answered with this code and, if it could be read, the question.
    Refused(Head, ResponseCode, &'p [u8]),
}

impl<'p> Request<'p> {
    /// Reads `packet`.
    pub(super) fn read(packet: &'p [u8]) -> Result<Self, Unreadable<'p>> {
        let head = Head::read(packet).ok_or(Unreadable::Silent)?;
        let refused = |code| Unreadable::Refused(head, code, &[]);
        if head.op_code != OpCode::Query {
            return Err(refused(ResponseCode::NotImp));
        }
        let [questions, answers, authorities, additionals] =
            counts(packet).ok_or(Unreadable::Silent)?;
        if questions == 0 {
            return Err(refused(ResponseCode::FormErr));
        }
        let (labels, after) = name(packet, HEADER).ok_or_else(|| refused(ResponseCode::FormErr))?;
        let fields = packet.get(after..after + 4);
        let Some(&[t1, t0, c1, c0]) = fields else {
            return Err(refused(ResponseCode::FormErr));
        };
        let end = after + 4;
        let question = packet.get(HEADER..end).unwrap_or_default();
        let broken = || Unreadable::Refused(head, ResponseCode::FormErr, question);
        let after_questions = (1..questions)
            .try_fold(end, |at, _| skip_question(packet, at))
            .ok_or_else(broken)?;
        let edns = if answers == 0 && authorities == 0 && additionals == 0 {
            None
        } else {
            let counts = [answers, authorities, additionals];
            extension(packet, after_questions, counts).map_err(|()| broken())?
        };
        Ok(Self {
            head,
            question,
            labels,
            qtype: RecordType::from(u16::from_be_bytes([t1, t0])),
            class: DNSClass::from(u16::from_be_bytes([c1, c0])),
            edns,
        })
    }

    /// The largest UDP answer that the client takes.
    pub(super) fn udp_limit(&self) -> usize {
        self.edns
            .as_ref()
            .map_or(PLAIN_UDP, |edns| usize::from(edns.size))
    }
}

impl Head {
    /// `None`: too short, or a response.
    fn read(packet: &[u8]) -> Option<Self> {
        let &[id1, id0, flags, more, ..] = packet else {
            return None;
        };
        (packet.len() >= HEADER && flags & 0x80 == 0).then_some(Self {
            id: u16::from_be_bytes([id1, id0]),
            op_code: OpCode::from_u8(flags >> 3 & 0x0f),
            recursion_desired: flags & 0x01 != 0,
            checking_disabled: more & 0x10 != 0,
        })
    }
}

fn counts(packet: &[u8]) -> Option<[u16; 4]> {
    let &[q1, q0, a1, a0, n1, n0, d1, d0] = packet.get(4..HEADER)? else {
        return None;
    };
    Some([[q1, q0], [a1, a0], [n1, n0], [d1, d0]].map(u16::from_be_bytes))
}

/// The labels of the name at `start`, and where it ends. A first question has nothing before it
/// to point at, so a compressed one is malformed.
fn name(packet: &[u8], start: usize) -> Option<(Vec<&[u8]>, usize)> {
    let mut labels = Vec::with_capacity(6);
    let mut at = start;
    loop {
        let length = usize::from(*packet.get(at)?);
        at += 1;
        match length {
            0 => break,
            1..=63 => labels.push(packet.get(at..at + length)?),
            _ => return None,
        }
        at += length;
    }
    (at - start <= LONGEST_NAME).then_some((labels, at))
}

/// Where the question at `start` ends; its name may point back.
fn skip_question(packet: &[u8], start: usize) -> Option<usize> {
    let mut at = start;
    loop {
        let length = usize::from(*packet.get(at)?);
        at += 1;
        match length {
            0 => break,
            1..=63 => at += length,
            192.. => {
                at += 1;
                break;
            }
            _ => return None,
        }
    }
    (at + 4 <= packet.len()).then_some(at + 4)
}

/// The OPT record among the records from `start` on.
fn extension(packet: &[u8], start: usize, counts: [u16; 3]) -> Result<Option<Extension>, ()> {
    let start = u16::try_from(start).map_err(drop)?;
    let mut decoder = BinDecoder::new(packet).clone(start);
    let mut edns = None;
    for (section, count) in counts.into_iter().enumerate() {
        let additional = section == 2;
        let count = usize::from(count);
        let (_, found, _) =
            Message::read_records(&mut decoder, count, additional, OpCode::Query).map_err(drop)?;
        edns = found;
    }
    Ok(edns.as_ref().map(Extension::of))
}

impl Extension {
    fn of(edns: &Edns) -> Self {
        let subnet = match edns.option(EdnsCode::Subnet) {
            Some(EdnsOption::Subnet(subnet)) => Some(*subnet),
            _ => None,
        };
        Self {
            size: edns.max_payload().max(512),
            version: edns.version(),
            dnssec_ok: edns.flags().dnssec_ok,
            subnet,
        }
    }
}
