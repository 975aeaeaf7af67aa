//! From a question to its answer. Pure: one snapshot of the catalog, no waiting, no packets.

use std::collections::BTreeSet;
use std::net::IpAddr;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;

use super::dice::Dice;
use super::name::WireName;
use super::names::{Question, Subject, Zone};
use super::record::{Answer, Data, Owner, Record};
use super::view::{Place, View};

/// How many names of ours are followed from one to the next.
const DEEPEST_CHAIN: usize = 3;
/// How many name servers are named.
const NAME_SERVERS: usize = 3;

/// What can be said without asking anyone.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// The answer.
    Answer(Answer),
    /// The answer so far: its last record points to this name, which is not ours.
    Chase(Answer, WireName),
    /// Not ours to answer.
    Foreign,
    /// An address that we know nothing of.
    UnknownAddress,
}

/// Answers questions from one snapshot.
pub(super) struct Teller<'s> {
    /// The snapshot.
    pub(super) view: View<'s>,
    /// TTL of positive answers, in seconds.
    pub(super) ttl: u32,
    /// Decides the order of answers.
    pub(super) dice: &'s mut Dice,
}

impl Teller<'_> {
    /// Answers the question for `labels`, leftmost first.
    pub(super) fn tell(&mut self, labels: &[&[u8]], qtype: RecordType) -> Told {
        let zones = self.view.zones;
        match zones.read(labels, qtype == RecordType::SRV) {
            Question::Foreign => Told::Foreign,
            Question::Pointer(address) => self.pointer(address, qtype),
            Question::Ours(..) if !self.view.is_loaded() => {
                Told::Answer(Answer::bare(ResponseCode::ServFail))
            }
            Question::Ours(zone, subject) => match qtype {
                RecordType::SOA => Told::Answer(self.authority(zone)),
                RecordType::NS => Told::Answer(self.name_servers(zone)),
                _ => self.ours(zone, &subject, qtype, labels),
            },
        }
    }

    fn ours(
        &mut self,
        zone: Zone,
        subject: &Subject<'_>,
        qtype: RecordType,
        asked: &[&[u8]],
    ) -> Told {
        if let (RecordType::SRV, Subject::Service { name, tag }) = (qtype, subject) {
            return Told::Answer(self.services(zone, name, tag.as_deref(), asked));
        }
        let Some(places) = self.view.places(subject, asked) else {
            return Told::Answer(self.negative(zone, ResponseCode::NXDomain));
        };
        let mut told = match qtype {
            RecordType::A | RecordType::AAAA | RecordType::ANY => {
                self.addresses(zone, places, qtype)
            }
            RecordType::CNAME => self.addresses(zone, hosts_only(places), qtype),
            _ => Told::Answer(self.negative(zone, ResponseCode::NoError)),
        };
        if let Told::Answer(answer) | Told::Chase(answer, _) = &mut told {
            self.add_text(answer, subject, qtype);
            add_spelled(answer, subject, self.ttl);
            if !answer.answers.is_empty() {
                answer.authority.clear();
            }
        }
        told
    }

    /// Address records, or the first alias if there are only aliases.
    fn addresses(&mut self, zone: Zone, places: Vec<Place>, qtype: RecordType) -> Told {
        let mut answer = self.negative(zone, ResponseCode::NoError);
        let mut owner = Owner::Asked;
        let mut places = places;
        for _ in 0..=DEEPEST_CHAIN {
            places.sort_unstable();
            places.dedup();
            self.dice.shuffle(&mut places);
            let found = self.records(&owner, &places, qtype);
            let alias = places.into_iter().find_map(|place| match place {
                Place::Host(host) => Some(host),
                Place::Ip(_) => None,
            });
            answer.answers.extend(found);
            let Some(host) = alias.filter(|_| owned(&answer, &owner) == 0) else {
                break;
            };
            answer
                .answers
                .push(self.record(owner, Data::Cname(host.clone())));
            owner = Owner::Target(answer.answers.len() - 1);
            if qtype == RecordType::CNAME {
                break;
            }
            let labels: Vec<&[u8]> = host.labels().collect();
            places = match self.view.zones.read(&labels, false) {
                Question::Ours(_, subject) => {
                    self.view.places(&subject, &labels).unwrap_or_default()
                }
                _ => return Told::Chase(answer, host),
            };
        }
        Told::Answer(answer)
    }

    fn records(&self, owner: &Owner, places: &[Place], qtype: RecordType) -> Vec<Record> {
        let wanted = places.iter().filter_map(|place| match place {
            Place::Ip(address) => address_data(*address, qtype),
            Place::Host(_) => None,
        });
        wanted
            .map(|data| self.record(owner.clone(), data))
            .collect()
    }

    fn services(&mut self, zone: Zone, name: &str, tag: Option<&str>, asked: &[&[u8]]) -> Answer {
        let parts = self.view.zones.parts(zone);
        let Some(mut offers) = self.view.offers(name, tag, parts, asked) else {
            return self.negative(zone, ResponseCode::NXDomain);
        };
        if offers.is_empty() {
            return self.negative(zone, ResponseCode::NoError);
        }
        self.dice.shuffle(&mut offers);
        let mut answer = positive();
        let mut told = BTreeSet::new();
        for (number, offer) in offers.iter().enumerate() {
            if told.insert(&offer.target) {
                let addresses = offer.addresses.iter();
                let known = addresses.filter_map(|address| address_data(*address, RecordType::ANY));
                let glue = known.map(|data| self.record(Owner::Target(number), data));
                answer.additional.extend(glue);
            }
            let data = Data::Srv {
                weight: offer.weight,
                port: offer.port,
                target: offer.target.clone(),
            };
            answer.answers.push(self.record(Owner::Asked, data));
        }
        answer
    }

    fn pointer(&mut self, address: IpAddr, qtype: RecordType) -> Told {
        if !matches!(qtype, RecordType::PTR | RecordType::ANY) {
            return Told::Foreign;
        }
        let names = self.view.names_of(address);
        if names.is_empty() {
            return Told::UnknownAddress;
        }
        let mut answer = positive();
        let records = names.into_iter().map(Data::Ptr);
        answer.answers = records
            .map(|data| self.record(Owner::Asked, data))
            .collect();
        Told::Answer(answer)
    }

    /// A node's meta data as text, one record a pair.
    fn add_text(&self, answer: &mut Answer, subject: &Subject<'_>, qtype: RecordType) {
        let Subject::Node(name) = subject else { return };
        if !matches!(qtype, RecordType::TXT | RecordType::ANY) {
            return;
        }
        let Some(node) = self.view.node(name) else {
            return;
        };
        let texts = node
            .meta
            .iter()
            .map(|(key, value)| Data::Txt(text(key, value)));
        let records = texts.map(|data| self.record(Owner::Asked, data));
        answer.answers.extend(records);
    }

    /// No such name (`NXDomain`), or none of the type asked for (`NoError`).
    fn negative(&self, zone: Zone, code: ResponseCode) -> Answer {
        Answer {
            code,
            authority: vec![self.start_of_authority(zone)],
            ..positive()
        }
    }

    fn start_of_authority(&self, zone: Zone) -> Record {
        let parts = self.view.zones.parts(zone);
        let data = Data::Soa {
            master: parts.master.clone(),
            mailbox: parts.mailbox.clone(),
            serial: self.view.serial(),
        };
        Record {
            owner: apex(zone),
            ttl: 0,
            data,
        }
    }

    /// Asked for anywhere in the zone, as Consul does.
    fn authority(&self, zone: Zone) -> Answer {
        let mut answer = positive();
        answer.answers.push(self.start_of_authority(zone));
        answer
    }

    fn name_servers(&mut self, zone: Zone) -> Answer {
        let parts = self.view.zones.parts(zone);
        let mut servers: Vec<_> = self.view.servers().collect();
        self.dice.shuffle(&mut servers);
        let mut answer = positive();
        for (name, address) in servers.into_iter().take(NAME_SERVERS) {
            let Some(name) = WireName::under(&name, &parts.node) else {
                continue;
            };
            let owner = Owner::Target(answer.answers.len());
            answer.answers.push(self.record(apex(zone), Data::Ns(name)));
            let glue = address_data(address, RecordType::ANY);
            answer
                .additional
                .extend(glue.map(|data| self.record(owner, data)));
        }
        if answer.answers.is_empty() {
            return self.negative(zone, ResponseCode::NoError);
        }
        answer
    }

    fn record(&self, owner: Owner, data: Data) -> Record {
        Record {
            owner,
            ttl: self.ttl,
            data,
        }
    }
}

fn positive() -> Answer {
    Answer {
        authoritative: true,
        ..Answer::bare(ResponseCode::NoError)
    }
}

/// Where the zone begins, counted in labels of the question: we are the authority for
/// `dc.stack` and `consul`, but under a bare `dc` only from `service.dc` on.
fn apex(zone: Zone) -> Owner {
    Owner::Tail(match zone {
        Zone::Consul => 1,
        Zone::Main | Zone::Dc | Zone::Stack => 2,
    })
}

fn address_data(address: IpAddr, qtype: RecordType) -> Option<Data> {
    match (address, qtype) {
        (IpAddr::V4(address), RecordType::A | RecordType::ANY) => Some(Data::A(address)),
        (IpAddr::V6(address), RecordType::AAAA | RecordType::ANY) => Some(Data::Aaaa(address)),
        _ => None,
    }
}

/// How many records of `answer` are `owner`'s.
fn owned(answer: &Answer, owner: &Owner) -> usize {
    answer
        .answers
        .iter()
        .filter(|record| record.owner == *owner)
        .count()
}

fn hosts_only(places: Vec<Place>) -> Vec<Place> {
    // A name with an address of its own is nobody's alias.
    let has_address = places.iter().any(|place| matches!(place, Place::Ip(_)));
    if has_address { Vec::new() } else { places }
}

/// An address spelled out in the name is told even to who asked for another type.
fn add_spelled(answer: &mut Answer, subject: &Subject<'_>, ttl: u32) {
    let Subject::Address(address) = subject else {
        return;
    };
    if answer.answers.is_empty()
        && let Some(data) = address_data(*address, RecordType::ANY)
    {
        answer.additional.push(Record {
            owner: Owner::Asked,
            ttl,
            data,
        });
    }
}

/// A pair of meta data as RFC 1464 writes it.
fn text(key: &str, value: &str) -> Vec<u8> {
    if key.starts_with("rfc1035-") {
        return value.as_bytes().to_vec();
    }
    let spaces = |text: &str| text.chars().all(|c| c == ' ');
    let mut out = String::with_capacity(key.len() + value.len() + 1);
    for (at, letter) in key.char_indices() {
        let outer = key.get(..=at).is_some_and(spaces) || key.get(at..).is_some_and(spaces);
        if matches!(letter, '`' | '=') || (letter == ' ' && outer) {
            out.push('`');
        }
        out.push(letter);
    }
    out.push('=');
    out.push_str(&value.replace('`', "``"));
    out.into_bytes()
}
