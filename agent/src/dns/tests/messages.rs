use std::sync::OnceLock;

use hickory_proto::op::{Message, OpCode, ResponseCode};
use hickory_proto::rr::rdata::opt::{ClientSubnet, EdnsCode, EdnsOption};
use hickory_proto::rr::{DNSClass, RData, RecordType};
use proptest::prelude::*;

use super::world::{World, ask, query};
use crate::dns::responder::Responder;
use crate::dns::stats::Transport;

const MANY: u16 = 100;

/// One service with a hundred instances.
fn crowd() -> World {
    let mut world = World::new();
    for n in 1..=MANY {
        let address = format!("10.9.{}.{}", n / 200, n % 200);
        world.service("s1", "web", &address, 1000 + n, "");
    }
    world
}

fn udp(world: &World, packet: &[u8], client: &str) -> (Message, usize) {
    let bytes = ask(&world.responder(), packet, client, Transport::Udp).unwrap();
    (Message::from_vec(&bytes).unwrap(), bytes.len())
}

fn named(qtype: RecordType, size: Option<u16>) -> Vec<u8> {
    query("web.service.dev.vagrant.", qtype, size)
}

#[test]
fn an_answer_that_does_not_fit_is_cut_and_says_so() {
    let world = crowd();
    for qtype in [RecordType::A, RecordType::SRV] {
        let mut counts = Vec::new();
        for (size, limit) in [(None, 512), (Some(512), 512), (Some(1232), 1232)] {
            let (answer, length) = udp(&world, &named(qtype, size), "127.0.0.1");
            assert!(length <= limit, "{qtype} {size:?}: {length} bytes");
            assert!(answer.metadata.truncation, "{qtype} {size:?} was cut");
            assert_eq!(
                answer.edns.is_some(),
                size.is_some(),
                "OPT only for who sent one"
            );
            counts.push(answer.answers.len());
        }
        assert!(
            counts[0] >= 5 && counts[2] > counts[1] * 2,
            "{qtype}: {counts:?} answers"
        );
    }
    let (answer, length) = udp(&world, &named(RecordType::A, Some(4096)), "127.0.0.1");
    assert_eq!(
        (answer.answers.len(), answer.metadata.truncation),
        (100, false)
    );
    assert_eq!(
        length,
        12 + 29 + 100 * 16 + 11,
        "header, question, answers with owners of two bytes, OPT"
    );
}

#[test]
fn a_cut_srv_answer_has_the_addresses_of_its_targets_and_of_no_others() {
    let world = crowd();
    for size in (512..1500).step_by(7) {
        let (answer, length) = udp(&world, &named(RecordType::SRV, Some(size)), "127.0.0.1");
        assert!(length <= usize::from(size));
        let targets = answer.answers.iter().map(|record| match &record.data {
            RData::SRV(srv) => srv.target.clone(),
            other => panic!("{other} in an SRV answer"),
        });
        let mut targets: Vec<_> = targets.collect();
        let mut glue: Vec<_> = answer
            .additionals
            .iter()
            .map(|glue| glue.name.clone())
            .collect();
        targets.sort_unstable();
        glue.sort_unstable();
        assert_eq!(targets, glue, "{size} bytes");
    }
}

#[test]
fn tcp_gives_all() {
    let mut world = crowd();
    for n in 1..=900 {
        let address = format!("10.10.{}.{}", n / 200, n % 200);
        world.service("s1", "web", &address, 2000 + n, "");
    }
    let responder = world.responder();
    for (qtype, glue) in [(RecordType::A, 0), (RecordType::SRV, 1000)] {
        let packet = named(qtype, None);
        let bytes = ask(&responder, &packet, "127.0.0.1", Transport::Tcp).unwrap();
        let answer = Message::from_vec(&bytes).unwrap();
        assert_eq!(answer.answers.len(), 1000);
        if bytes.len() < 60_000 {
            assert_eq!(answer.additionals.len(), glue);
        }
    }
}

#[test]
fn the_order_changes_from_answer_to_answer() {
    let world = crowd();
    let responder = world.responder();
    let mut dice = crate::dns::dice::Dice::seeded(3);
    let mut first = |_| {
        let (packet, mut out) = (named(RecordType::A, Some(4096)), Vec::new());
        let client = "127.0.0.1".parse().unwrap();
        responder.respond(&packet, client, Transport::Udp, &mut dice, &mut out);
        Message::from_vec(&out).unwrap().answers[0].data.clone()
    };
    let firsts: Vec<RData> = (0..10).map(&mut first).collect();
    assert!(firsts.iter().any(|other| *other != firsts[0]), "{firsts:?}");
}

#[test]
fn strangers_get_our_names_in_small_packets_and_nothing_else() {
    let world = crowd();
    let (answer, length) = udp(&world, &named(RecordType::A, Some(4096)), "203.0.113.5");
    assert!(length <= 1232 && answer.metadata.truncation);
    assert!(!answer.metadata.recursion_available);
    let packet = query("example.com.", RecordType::A, None);
    let (answer, _) = udp(&world, &packet, "203.0.113.5");
    assert_eq!(answer.metadata.response_code, ResponseCode::Refused);
    let packet = query("9.9.9.10.in-addr.arpa.", RecordType::PTR, None);
    let (answer, _) = udp(&world, &packet, "203.0.113.5");
    assert_eq!(answer.metadata.response_code, ResponseCode::Refused);
}

#[test]
fn the_question_comes_back_as_it_was_written() {
    let packet = query("wEb.sErViCe.DeV.vAgRaNt.", RecordType::A, None);
    let (answer, _) = udp(&crowd(), &packet, "127.0.0.1");
    let asked = Message::from_vec(&packet).unwrap();
    assert_eq!(answer.metadata.id, asked.metadata.id);
    let name = answer.queries[0].name();
    assert_eq!(name.to_ascii(), "wEb.sErViCe.DeV.vAgRaNt.");
    assert!(
        answer
            .answers
            .iter()
            .all(|record| record.name.eq_case(name))
    );
}

#[test]
fn flags_say_who_answers() {
    let world = crowd();
    let (answer, _) = udp(&world, &named(RecordType::A, None), "127.0.0.1");
    assert!(answer.metadata.authoritative, "AA for our names");
    assert!(answer.metadata.recursion_desired, "RD is repeated");
    assert!(
        !answer.metadata.recursion_available,
        "no RA without upstreams"
    );
    let mut packet = named(RecordType::A, None);
    packet[2] &= !1;
    let (answer, _) = udp(&world, &packet, "127.0.0.1");
    assert!(!answer.metadata.recursion_desired);
    let (answer, _) = udp(
        &world,
        &query("example.com.", RecordType::A, None),
        "127.0.0.1",
    );
    assert!(!answer.metadata.authoritative);
}

#[test]
fn edns_is_answered_in_kind() {
    let world = crowd();
    let mut message = Message::from_vec(&named(RecordType::A, Some(4096))).unwrap();
    let subnet = ClientSubnet::new("192.0.2.0".parse().unwrap(), 24, 0);
    if let Some(edns) = &mut message.edns {
        edns.options_mut().insert(EdnsOption::Subnet(subnet));
        edns.set_dnssec_ok(true);
    }
    let (answer, _) = udp(&world, &message.to_vec().unwrap(), "127.0.0.1");
    let edns = answer.edns.unwrap();
    assert_eq!(edns.max_payload(), 4096);
    assert!(edns.flags().dnssec_ok);
    assert_eq!(
        edns.option(EdnsCode::Subnet),
        Some(&EdnsOption::Subnet(subnet))
    );
    if let Some(edns) = &mut message.edns {
        edns.set_version(1);
    }
    let (answer, _) = udp(&world, &message.to_vec().unwrap(), "127.0.0.1");
    // 16 is BADVERS here and BADSIG elsewhere.
    assert_eq!(u16::from(answer.metadata.response_code), 16);
}

#[test]
fn what_we_do_not_do_is_refused_by_its_own_code() {
    let world = crowd();
    let code = |packet: &[u8]| udp(&world, packet, "127.0.0.1").0.metadata.response_code;
    for qtype in [RecordType::AXFR, RecordType::IXFR] {
        assert_eq!(
            code(&query("dev.vagrant.", qtype, None)),
            ResponseCode::NotImp
        );
    }
    let mut message = Message::from_vec(&query("version.bind.", RecordType::TXT, None)).unwrap();
    message.queries[0].set_query_class(DNSClass::CH);
    assert_eq!(code(&message.to_vec().unwrap()), ResponseCode::Refused);
    for op_code in [OpCode::Status, OpCode::Notify, OpCode::Update] {
        let mut packet = named(RecordType::A, None);
        packet[2] = u8::from(op_code) << 3;
        assert_eq!(code(&packet), ResponseCode::NotImp, "{op_code:?}");
    }
}

#[test]
fn broken_packets_get_formerr_and_half_headers_get_nothing() {
    let world = crowd();
    let responder = world.responder();
    let whole = named(RecordType::A, Some(4096));
    for length in 0..whole.len() {
        let answer = ask(&responder, &whole[..length], "127.0.0.1", Transport::Udp);
        match answer {
            None => assert!(length < 12, "{length} bytes were not answered"),
            Some(bytes) => {
                assert!(length >= 12);
                assert_eq!(bytes[3] & 0x0f, 1, "FORMERR for {length} bytes");
            }
        }
    }
    let mut response = whole.clone();
    response[2] |= 0x80;
    assert!(
        ask(&responder, &response, "127.0.0.1", Transport::Udp).is_none(),
        "no answer to answers"
    );
    let mut none = whole.clone();
    none[5] = 0;
    let answer = ask(&responder, &none, "127.0.0.1", Transport::Udp).unwrap();
    assert_eq!(answer[3] & 0x0f, 1, "FORMERR for no question");
    let mut pointing = whole;
    pointing[12] = 0xc0;
    let answer = ask(&responder, &pointing, "127.0.0.1", Transport::Udp).unwrap();
    assert_eq!(
        answer[3] & 0x0f,
        1,
        "FORMERR for a question that points at itself"
    );
}

#[test]
fn of_two_questions_the_first_is_answered() {
    let mut message = Message::from_vec(&named(RecordType::A, None)).unwrap();
    let second = Message::from_vec(&query("s1.node.dev.vagrant.", RecordType::A, None)).unwrap();
    message.add_query(second.queries[0].clone());
    let (answer, _) = udp(&crowd(), &message.to_vec().unwrap(), "127.0.0.1");
    assert_eq!(answer.queries.len(), 1);
    assert_eq!(answer.queries[0], message.queries[0]);
    assert!(!answer.answers.is_empty());
}

fn never_panics(packet: &[u8]) {
    static RESPONDER: OnceLock<Responder> = OnceLock::new();
    let responder = RESPONDER.get_or_init(|| crowd().responder());
    for transport in [Transport::Udp, Transport::Tcp] {
        let Some(bytes) = ask(responder, packet, "127.0.0.1", transport) else {
            continue;
        };
        let answer = Message::from_vec(&bytes);
        assert!(
            answer.is_ok(),
            "{packet:02x?} got an answer that can't be read: {bytes:02x?}"
        );
        assert_eq!(bytes[..2], packet[..2], "the id");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes_never_panic(packet in prop::collection::vec(any::<u8>(), 0..300)) {
        never_panics(&packet);
    }

    #[test]
    fn random_bytes_behind_a_query_header_never_panic(
        counts in prop::array::uniform4(0u8..4),
        body in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let header = [7, 7, 1, 0, 0, counts[0], 0, counts[1], 0, counts[2], 0, counts[3]];
        never_panics(&[header.as_slice(), &body].concat());
    }

    #[test]
    fn changed_queries_never_panic(
        qtype in any::<u16>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in any::<prop::sample::Index>(),
        size in prop::option::of(any::<u16>()),
    ) {
        let mut packet = named(RecordType::from(qtype), size);
        for (at, byte) in changes {
            let at = at.index(packet.len());
            packet[at] = byte;
        }
        never_panics(&packet);
        never_panics(&packet[..cut.index(packet.len())]);
    }
}
