//! Answers before they are packets.

use std::net::{Ipv4Addr, Ipv6Addr};

use hickory_proto::op::ResponseCode;

use super::name::WireName;

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
    /// The type's number.
    pub(super) fn kind(&self) -> u16 {
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

    /// Length on the wire.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::A(_) => 4,
            Self::Aaaa(_) => 16,
            Self::Soa {
                master, mailbox, ..
            } => master.as_bytes().len() + mailbox.as_bytes().len() + 20,
            Self::Txt(text) => text.len() + text.len().div_ceil(255).max(1),
            pointing => pointing
                .target()
                .map_or(0, |(before, name)| before + name.as_bytes().len()),
        }
    }

    /// Puts it on the wire.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::A(address) => out.extend(address.octets()),
            Self::Aaaa(address) => out.extend(address.octets()),
            Self::Srv {
                weight,
                port,
                target,
            } => {
                out.extend([0, 1]);
                out.extend(weight.to_be_bytes());
                out.extend(port.to_be_bytes());
                out.extend(target.as_bytes());
            }
            Self::Cname(name) | Self::Ptr(name) | Self::Ns(name) => out.extend(name.as_bytes()),
            Self::Soa {
                master,
                mailbox,
                serial,
            } => {
                out.extend(master.as_bytes());
                out.extend(mailbox.as_bytes());
                // Serial, refresh, retry, expire, minimum: the last is the TTL of negative answers.
                let numbers = [*serial, 3600, 600, 86_400, 0];
                out.extend(numbers.into_iter().flat_map(u32::to_be_bytes));
            }
            Self::Txt(text) if text.is_empty() => out.push(0),
            Self::Txt(text) => text.chunks(255).for_each(|part| {
                out.push(u8::try_from(part.len()).unwrap_or(u8::MAX));
                out.extend(part);
            }),
        }
    }
}
