//! From a packet to an answer: what both transports do with a query.

use std::net::IpAddr;
use std::sync::Arc;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::{DNSClass, RecordType};
use ipnet::IpNet;

use crate::store::Store;

use super::answer::{Teller, Told};
use super::dice::Dice;
use super::name::WireName;
use super::names::{Question, Zones};
use super::nodes::Nodes;
use super::packet;
use super::record::{Answer, Owner, Record};
use super::recurse::Upstreams;
use super::request::{HEADER, PLAIN_UDP, Request, Unreadable};
use super::stats::{DnsStats, Transport};
use super::view::View;

/// The largest UDP answer for clients of our own networks, in bytes: what HAProxy and others ask
/// for on a LAN is honoured (Consul's cap).
const LARGEST_NEAR: usize = 65_467;
/// The largest UDP answer for strangers: no fragments, little to amplify (DNS flag day 2020).
const LARGEST_FAR: usize = 1232;
/// The largest answer over TCP (RFC 1035 section 4.2.2).
const LARGEST_TCP: usize = 65_535;

/// Everything that an answer depends on.
#[derive(Clone)]
pub(super) struct Responder {
    /// The cluster's names.
    pub(super) zones: Zones,
    /// The local copy of the state.
    pub(super) store: Arc<Store>,
    /// Who is asked for our names, where there is no local copy.
    pub(super) nodes: Option<Arc<Nodes>>,
    /// Who is asked for names that are not ours.
    pub(super) upstreams: Arc<Upstreams>,
    /// Whose queries for such names are passed on.
    pub(super) near: Vec<IpNet>,
    /// TTL of answers, in seconds.
    pub(super) ttl: u32,
    /// Counters.
    pub(super) stats: Arc<DnsStats>,
}

/// What is to be done about a packet.
pub(super) enum Verdict {
    /// Nothing.
    Silent,
    /// The answer is in the buffer.
    Answered,
    /// The answer needs an upstream.
    Later(Errand),
}

/// A query that waits for an upstream.
pub(super) struct Errand {
    packet: Vec<u8>,
    transport: Transport,
    limit: usize,
    kind: Kind,
}

enum Kind {
    /// Pass the query on.
    Forward,
    /// Let a node answer, whatever it says.
    Nodes,
    /// Let a node answer if it knows, and the upstreams otherwise.
    NodesFirst,
    /// Complete the answer with the addresses of its last alias.
    Chase(Answer, WireName),
}

impl Responder {
    /// The same, which passes on the queries of these networks too.
    pub(super) fn near_to(&self, networks: &[IpNet]) -> Self {
        let mut same = self.clone();
        same.near.extend(networks);
        same
    }

    /// Answers `packet` from memory into `out`, or says what else is to be done. Never waits.
    pub(super) fn respond(
        &self,
        packet: &[u8],
        client: IpAddr,
        transport: Transport,
        dice: &mut Dice,
        out: &mut Vec<u8>,
    ) -> Verdict {
        let request = match Request::read(packet) {
            Ok(request) => request,
            Err(Unreadable::Silent) => {
                self.stats.dropped();
                return Verdict::Silent;
            }
            Err(Unreadable::Refused(head, code, question)) => {
                self.stats.asked(transport);
                self.stats.answered(code);
                packet::refuse(&head, code, question, out);
                return Verdict::Answered;
            }
        };
        self.stats.asked(transport);
        let near = self.is_near(client);
        let limit = limit(&request, near, transport);
        let kind = match self.decide(&request, near, dice) {
            Ok(answer) => {
                self.write(&request, &answer, near, limit, out);
                return Verdict::Answered;
            }
            Err(kind) => kind,
        };
        Verdict::Later(Errand {
            packet: packet.to_vec(),
            transport,
            limit,
            kind,
        })
    }

    fn decide(&self, request: &Request<'_>, near: bool, dice: &mut Dice) -> Result<Answer, Kind> {
        if let Some(code) = refusal(request) {
            return Ok(Answer::bare(code));
        }
        let may_ask = near && !self.upstreams.is_empty();
        if self.nodes.is_some() {
            let srv = request.qtype == RecordType::SRV;
            return match self.zones.read(&request.labels, srv) {
                Question::Ours(..) => Err(Kind::Nodes),
                Question::Pointer(_) if near => Err(Kind::NodesFirst),
                Question::Foreign if may_ask => Err(Kind::Forward),
                _ => Ok(Answer::bare(ResponseCode::Refused)),
            };
        }
        let state = self.store.state();
        let view = View {
            zones: &self.zones,
            state: &state,
        };
        let mut teller = Teller {
            view,
            ttl: self.ttl,
            dice,
        };
        match teller.tell(&request.labels, request.qtype) {
            Told::Answer(answer) => Ok(answer),
            Told::Chase(answer, name) if may_ask => Err(Kind::Chase(answer, name)),
            Told::Chase(answer, _) => Ok(answer),
            Told::Foreign | Told::UnknownAddress if may_ask => Err(Kind::Forward),
            Told::UnknownAddress if near => Ok(Answer::bare(ResponseCode::NXDomain)),
            Told::Foreign | Told::UnknownAddress => Ok(Answer::bare(ResponseCode::Refused)),
        }
    }

    /// Runs an errand; `None`: there is nothing to send after all.
    pub(super) async fn run(&self, errand: Errand) -> Option<Vec<u8>> {
        let request = Request::read(&errand.packet).ok()?;
        let mut out = Vec::with_capacity(PLAIN_UDP);
        let answer = match errand.kind {
            Kind::Forward | Kind::Nodes | Kind::NodesFirst => {
                match self.pass_on(&errand, &request).await {
                    Some(answer) if answer.len() <= errand.limit => {
                        return Some(self.passed_on(answer));
                    }
                    Some(_) => {
                        self.stats.answered(ResponseCode::NoError);
                        self.stats.cut();
                        packet::cut(&request, &mut out);
                        return Some(out);
                    }
                    None => Answer::bare(ResponseCode::ServFail),
                }
            }
            Kind::Chase(mut answer, name) => {
                let alias = answer.answers.len().saturating_sub(1);
                let addresses = self.upstreams.addresses(&name, request.qtype).await;
                answer
                    .answers
                    .extend(addresses.into_iter().map(|data| Record {
                        owner: Owner::Target(alias),
                        ttl: self.ttl,
                        data,
                    }));
                answer
            }
        };
        self.write(&request, &answer, true, errand.limit, &mut out);
        Some(out)
    }

    /// The answer of whoever may know.
    async fn pass_on(&self, errand: &Errand, request: &Request<'_>) -> Option<Vec<u8>> {
        let end = HEADER + request.question.len();
        let (packet, transport) = (&errand.packet, errand.transport);
        if let (Some(nodes), Kind::Nodes | Kind::NodesFirst) = (&self.nodes, &errand.kind) {
            let answer = nodes.forward(packet, end, transport).await;
            let known = answer.as_ref().is_some_and(|answer| is_known(answer));
            if known || matches!(errand.kind, Kind::Nodes) {
                return answer;
            }
        }
        self.upstreams.forward(packet, end, transport).await
    }

    fn write(
        &self,
        request: &Request<'_>,
        answer: &Answer,
        near: bool,
        limit: usize,
        out: &mut Vec<u8>,
    ) {
        let recursion = near && !self.upstreams.is_empty();
        self.stats.answered(answer.code);
        if packet::write(request, answer, recursion, limit, out) {
            self.stats.cut();
        }
    }

    fn passed_on(&self, mut answer: Vec<u8>) -> Vec<u8> {
        if let Some(flags) = answer.get_mut(3) {
            *flags |= 0x80;
            self.stats.answered(ResponseCode::from_low(*flags & 0x0f));
        }
        answer
    }

    /// Whether `client` is in a network that we recurse for.
    pub(super) fn is_near(&self, client: IpAddr) -> bool {
        let client = client.to_canonical();
        self.near.iter().any(|network| network.contains(&client))
    }
}

/// Whether an answer is its sender's own and says something.
fn is_known(answer: &[u8]) -> bool {
    let authoritative = answer.get(2).is_some_and(|flags| flags & 0x04 != 0);
    let records = answer.get(6..8).is_some_and(|count| count != [0, 0]);
    authoritative && records
}

fn refusal(request: &Request<'_>) -> Option<ResponseCode> {
    if request.edns.as_ref().is_some_and(|edns| edns.version > 0) {
        return Some(ResponseCode::BADVERS);
    }
    if !matches!(request.class, DNSClass::IN | DNSClass::ANY) {
        return Some(ResponseCode::Refused);
    }
    match request.qtype {
        RecordType::AXFR | RecordType::IXFR => Some(ResponseCode::NotImp),
        // These describe a message or a transaction; nobody asks for them.
        RecordType::OPT | RecordType::TSIG | RecordType::ZERO => Some(ResponseCode::FormErr),
        _ => None,
    }
}

fn limit(request: &Request<'_>, near: bool, transport: Transport) -> usize {
    match transport {
        Transport::Tcp => LARGEST_TCP,
        Transport::Udp if near => request.udp_limit().min(LARGEST_NEAR),
        Transport::Udp => request.udp_limit().min(LARGEST_FAR),
    }
}
