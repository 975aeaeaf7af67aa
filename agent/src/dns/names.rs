//! From a name to what it asks about. Pure: knows the cluster's two words and nothing else.

use std::borrow::Cow;
use std::net::IpAddr;

use crate::model::Name;

use super::name::WireName;

/// The labels that we answer for under a zone that is not ours alone.
const KINDS: [&[u8]; 3] = [b"service", b"node", b"addr"];

/// What a name asks about.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Question<'q> {
    /// A name of ours, and the zone by which it was called.
    Ours(Zone, Subject<'q>),
    /// The name behind an address; ours only if the catalog knows the address.
    Pointer(IpAddr),
    /// Not ours.
    Foreign,
}

/// By which of its surnames the cluster was called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Zone {
    /// `<dc>.<stack>`, all of it.
    Main,
    /// `consul`, Consul's own.
    Consul,
    /// `<dc>` alone, and only its service, node and addr labels.
    Dc,
    /// `<stack>` alone, and only its service, node and addr labels.
    Stack,
}

/// What is asked for within our zones.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Subject<'q> {
    /// The healthy instances of a service.
    Service {
        /// Its name.
        name: &'q str,
        /// Only those with this tag; a tag may contain dots.
        tag: Option<Cow<'q, str>>,
    },
    /// A node; its name may contain dots.
    Node(Cow<'q, str>),
    /// An address spelled out in the name.
    Address(IpAddr),
    /// The zone itself.
    Apex,
    /// The zone's name server.
    NameServer,
    /// A name that only has names below it.
    Branch,
    /// No name of ours.
    Missing,
}

/// The names that this cluster answers for.
#[derive(Clone)]
pub(super) struct Zones {
    dc: Name,
    stack: Name,
    main: Parts,
    consul: Parts,
}

/// What answers in a zone are made of.
#[derive(Clone)]
pub(super) struct Parts {
    /// `node.<dc>.` and the zone: generated names tell the data center too.
    pub(super) node: WireName,
    /// Likewise `service.…`.
    pub(super) service: WireName,
    /// Likewise `addr.…`.
    pub(super) addr: WireName,
    /// The zone's SOA master.
    pub(super) master: WireName,
    /// The zone's SOA mailbox.
    pub(super) mailbox: WireName,
}

impl Parts {
    fn of(base: &str, apex: &str) -> Option<Self> {
        Some(Self {
            node: WireName::parse(&format!("node.{base}"))?,
            service: WireName::parse(&format!("service.{base}"))?,
            addr: WireName::parse(&format!("addr.{base}"))?,
            master: WireName::parse(&format!("ns.{apex}"))?,
            mailbox: WireName::parse(&format!("hostmaster.{apex}"))?,
        })
    }
}

impl Zones {
    /// The names of data center `dc` of `stack`. Two labels always make a name, so this succeeds;
    /// `None` would be a label that [`Name`] should have refused.
    pub(super) fn of(dc: &Name, stack: &Name) -> Option<Self> {
        let main = format!("{dc}.{stack}");
        Some(Self {
            main: Parts::of(&main, &main)?,
            consul: Parts::of(&format!("{dc}.consul"), "consul")?,
            dc: dc.clone(),
            stack: stack.clone(),
        })
    }

    /// What answers in `zone` are made of. Under a bare `<dc>` or `<stack>` the full names are
    /// given: those are ours for certain.
    pub(super) fn parts(&self, zone: Zone) -> &Parts {
        match zone {
            Zone::Consul => &self.consul,
            Zone::Main | Zone::Dc | Zone::Stack => &self.main,
        }
    }

    /// Reads `labels`, leftmost first. `srv`: an SRV record is asked for, which RFC 2782 lets
    /// stand directly under the zone.
    pub(super) fn read<'q>(&self, labels: &[&'q [u8]], srv: bool) -> Question<'q> {
        if let Some(address) = pointer(labels) {
            return Question::Pointer(address);
        }
        let Some((last, head)) = labels.split_last() else {
            return Question::Foreign;
        };
        if same(last, self.stack.as_str())
            && let Some((dc, head)) = head.split_last()
            && same(dc, self.dc.as_str())
        {
            return Question::Ours(Zone::Main, in_main(head, srv));
        }
        if same(last, "consul")
            && let Some(subject) = self.in_consul(head)
        {
            return Question::Ours(Zone::Consul, subject);
        }
        let bare = match last {
            last if same(last, self.dc.as_str()) => Zone::Dc,
            last if same(last, self.stack.as_str()) => Zone::Stack,
            _ => return Question::Foreign,
        };
        match head.last() {
            Some(kind) if is_kind(kind) => Question::Ours(bare, in_kind(head)),
            _ => Question::Foreign,
        }
    }

    fn in_consul<'q>(&self, head: &[&'q [u8]]) -> Option<Subject<'q>> {
        let (last, before) = head.split_last()?;
        if is_kind(last) {
            return Some(in_kind(head));
        }
        if !before.last().is_some_and(|kind| is_kind(kind)) {
            return None;
        }
        Some(if same(last, self.dc.as_str()) {
            in_kind(before)
        } else {
            Subject::Missing
        })
    }
}

/// Under `<dc>.<stack>`.
fn in_main<'q>(head: &[&'q [u8]], srv: bool) -> Subject<'q> {
    match head {
        [] => Subject::Apex,
        [.., kind] if is_kind(kind) => in_kind(head),
        [ns] if same(ns, "ns") => Subject::NameServer,
        [service, proto] if srv && hidden(service) && hidden(proto) => in_service(head),
        [proto] if hidden(proto) => Subject::Branch,
        _ => Subject::Missing,
    }
}

/// `labels` ends in one of [`KINDS`].
fn in_kind<'q>(labels: &[&'q [u8]]) -> Subject<'q> {
    let Some((kind, parts)) = labels.split_last() else {
        return Subject::Missing;
    };
    match parts {
        [] => Subject::Branch,
        parts if same(kind, "service") => in_service(parts),
        parts if same(kind, "node") => joined(parts).map_or(Subject::Missing, Subject::Node),
        [digits] => address(digits).map_or(Subject::Missing, Subject::Address),
        _ => Subject::Missing,
    }
}

/// `[tag.]service`, or RFC 2782's `_service._tag`.
fn in_service<'q>(parts: &[&'q [u8]]) -> Subject<'q> {
    let (name, tag) = match parts {
        // A resolver that asks label by label (RFC 9156) comes by here on its way to _service._tag.
        [proto] if hidden(proto) => return Subject::Branch,
        [service, proto] if hidden(service) && hidden(proto) => {
            let tag = proto.get(1..).filter(|tag| !same(tag, "tcp"));
            (service.get(1..), tag.map(|tag| joined(&[tag])))
        }
        [tag @ .., service] => (Some(*service), (!tag.is_empty()).then(|| joined(tag))),
        [] => return Subject::Branch,
    };
    let name = name.and_then(|name| std::str::from_utf8(name).ok());
    match (name, tag) {
        (Some(name), None) if !name.is_empty() => Subject::Service { name, tag: None },
        (Some(name), Some(Some(tag))) if !name.is_empty() => Subject::Service {
            name,
            tag: Some(tag),
        },
        _ => Subject::Missing,
    }
}

fn joined<'q>(parts: &[&'q [u8]]) -> Option<Cow<'q, str>> {
    match parts {
        [one] => std::str::from_utf8(one).ok().map(Cow::Borrowed),
        many => String::from_utf8(many.join(&b'.')).ok().map(Cow::Owned),
    }
}

/// Eight hexadecimal digits are an IPv4 address, thirty-two an IPv6 one.
fn address(digits: &[u8]) -> Option<IpAddr> {
    let digits = std::str::from_utf8(digits).ok()?;
    if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    match digits.len() {
        8 => u32::from_str_radix(digits, 16)
            .ok()
            .map(|bits| IpAddr::V4(bits.into())),
        32 => u128::from_str_radix(digits, 16)
            .ok()
            .map(|bits| IpAddr::V6(bits.into())),
        _ => None,
    }
}

/// The address in a full `in-addr.arpa` (RFC 1035 section 3.5) or `ip6.arpa` (RFC 3596) name.
fn pointer(labels: &[&[u8]]) -> Option<IpAddr> {
    let [digits @ .., family, arpa] = labels else {
        return None;
    };
    if !same(arpa, "arpa") {
        return None;
    }
    if same(family, "in-addr") && digits.len() == 4 {
        let bits = digits.iter().rev().try_fold(0u32, |bits, octet| {
            let octet: u8 = std::str::from_utf8(octet).ok()?.parse().ok()?;
            Some(bits << 8 | u32::from(octet))
        })?;
        return Some(IpAddr::V4(bits.into()));
    }
    if same(family, "ip6") && digits.len() == 32 {
        let bits = digits.iter().rev().try_fold(0u128, |bits, nibble| {
            let [digit] = nibble else { return None };
            Some(bits << 4 | u128::from(char::from(*digit).to_digit(16)?))
        })?;
        return Some(IpAddr::V6(bits.into()));
    }
    None
}

fn is_kind(label: &[u8]) -> bool {
    KINDS.iter().any(|kind| kind.eq_ignore_ascii_case(label))
}

fn same(label: &[u8], word: &str) -> bool {
    label.eq_ignore_ascii_case(word.as_bytes())
}

fn hidden(label: &[u8]) -> bool {
    label.first() == Some(&b'_')
}

#[cfg(test)]
mod tests;
