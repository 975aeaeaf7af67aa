//! Names that are not ours: asked of the configured upstreams, one after the other.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hickory_proto::op::Message;
use hickory_proto::rr::{RData, RecordType};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::dice::unguessable;
use super::name::WireName;
use super::record::Data;
use super::request::HEADER;
use super::stats::{DnsStats, Transport};

/// How long one upstream may take (Consul's `recursor_timeout`).
const PATIENCE: Duration = Duration::from_secs(2);
/// Queries under way at once: each holds a socket.
const MOST_UNDER_WAY: usize = 1024;
/// The largest answer that we take over UDP, in bytes.
const LARGEST_UDP: usize = 65_535;
/// How many addresses an alias is followed to.
const MOST_ADDRESSES: usize = 64;

/// The upstreams.
pub(super) struct Upstreams {
    servers: Vec<SocketAddr>,
    slots: Semaphore,
    stats: Arc<DnsStats>,
}

/// Why there is no answer from one server.
#[derive(Debug, thiserror::Error)]
pub(super) enum UpstreamError {
    #[error("no answer within {} s", PATIENCE.as_secs())]
    Timeout,
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("it answered with code {0}")]
    Code(u8),
    #[error("it answered something else than was asked")]
    Mismatch,
    #[error("the kernel gives no random numbers")]
    NoChance,
}

impl Upstreams {
    /// Will ask `servers`, in this order.
    pub(super) fn new(servers: Vec<SocketAddr>, stats: Arc<DnsStats>) -> Self {
        Self {
            servers,
            slots: Semaphore::new(MOST_UNDER_WAY),
            stats,
        }
    }

    /// Whether there is nobody to ask.
    pub(super) fn is_empty(&self) -> bool {
        self.servers.is_empty()
    }

    /// Passes `query` on, over the transport that the client used, and returns the first usable
    /// answer with the client's own id. `question_end`: where the query's question ends.
    /// `None`: no upstream gave one, or too many queries are under way.
    pub(super) async fn forward(
        &self,
        query: &[u8],
        question_end: usize,
        transport: Transport,
    ) -> Option<Vec<u8>> {
        let Ok(_slot) = self.slots.try_acquire() else {
            self.stats.crowded();
            return None;
        };
        self.stats.forwarded();
        for server in &self.servers {
            match ask(*server, query, question_end, transport).await {
                Ok(mut answer) => {
                    put_id(&mut answer, query.get(..2)?);
                    return Some(answer);
                }
                Err(error) => {
                    self.stats.upstream_failed();
                    tracing::debug!(%server, %error, "no answer from this upstream");
                }
            }
        }
        None
    }

    /// The addresses behind an alias that leads out of our zones; empty if there are none to be had.
    pub(super) async fn addresses(&self, name: &WireName, qtype: RecordType) -> Vec<Data> {
        let qtype = match qtype {
            RecordType::AAAA => RecordType::AAAA,
            _ => RecordType::A,
        };
        let mut query = vec![0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        query.extend(name.as_bytes());
        query.extend(u16::from(qtype).to_be_bytes());
        query.extend([0, 1]);
        let answer = self.forward(&query, query.len(), Transport::Udp).await;
        let Some(Ok(message)) = answer.map(|bytes| Message::from_vec(&bytes)) else {
            return Vec::new();
        };
        let records = message
            .answers
            .iter()
            .filter_map(|record| match &record.data {
                RData::A(address) => Some(Data::A(address.0)),
                RData::AAAA(address) => Some(Data::Aaaa(address.0)),
                _ => None,
            });
        records.take(MOST_ADDRESSES).collect()
    }
}

/// Asks one server; the answer has an id of its own.
pub(super) async fn ask(
    server: SocketAddr,
    query: &[u8],
    question_end: usize,
    transport: Transport,
) -> Result<Vec<u8>, UpstreamError> {
    let id = unguessable().ok_or(UpstreamError::NoChance)?.to_be_bytes();
    let mut query = query.to_vec();
    put_id(&mut query, &id);
    let exchange = async {
        match transport {
            Transport::Udp => over_udp(server, &query, question_end).await,
            Transport::Tcp => over_tcp(server, &query, question_end).await,
        }
    };
    let answer = timeout(PATIENCE, exchange)
        .await
        .map_err(|_| UpstreamError::Timeout)??;
    // NOERROR and NXDOMAIN are answers; anything else may be this upstream's own trouble.
    match answer.get(3).map(|flags| flags & 0x0f) {
        Some(0 | 3) => Ok(answer),
        code => Err(UpstreamError::Code(code.unwrap_or_default())),
    }
}

/// A socket of its own for every query: the kernel picks an unforeseeable port, and a connected
/// socket hears nobody but the upstream (RFC 5452 section 9.2).
async fn over_udp(
    server: SocketAddr,
    query: &[u8],
    question_end: usize,
) -> Result<Vec<u8>, UpstreamError> {
    let any = match server.ip() {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    let socket = UdpSocket::bind((any, 0)).await?;
    socket.connect(server).await?;
    socket.send(query).await?;
    let mut answer = Vec::with_capacity(1500);
    loop {
        answer.clear();
        answer.reserve(LARGEST_UDP);
        socket.recv_buf(&mut answer).await?;
        // A forged answer must not end the wait for the true one.
        if answers(query, question_end, &answer) {
            return Ok(answer);
        }
    }
}

async fn over_tcp(
    server: SocketAddr,
    query: &[u8],
    question_end: usize,
) -> Result<Vec<u8>, UpstreamError> {
    let mut stream = TcpStream::connect(server).await?;
    let length = u16::try_from(query.len()).map_err(|_| UpstreamError::Mismatch)?;
    let framed = [&length.to_be_bytes(), query].concat();
    stream.write_all(&framed).await?;
    let length = stream.read_u16().await?;
    let mut answer = vec![0; usize::from(length)];
    stream.read_exact(&mut answer).await?;
    if answers(query, question_end, &answer) {
        Ok(answer)
    } else {
        Err(UpstreamError::Mismatch)
    }
}

/// Whether `answer` is a response to `query`: the same id, and the same first question but for
/// the case of letters.
fn answers(query: &[u8], question_end: usize, answer: &[u8]) -> bool {
    let is_response = answer.get(2).is_some_and(|flags| flags & 0x80 != 0);
    let same_id = answer.get(..2) == query.get(..2);
    let one_question = answer.get(4..6) == Some(&[0, 1]);
    let asked = query.get(HEADER..question_end);
    let answered = answer.get(HEADER..question_end);
    let same_question = match (asked, answered) {
        (Some(asked), Some(answered)) => asked.eq_ignore_ascii_case(answered),
        _ => false,
    };
    is_response && same_id && one_question && same_question
}

/// Puts `id` in the place of a message's own.
pub(super) fn put_id(message: &mut [u8], id: &[u8]) {
    message
        .iter_mut()
        .zip(id)
        .for_each(|(to, byte)| *to = *byte);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_answer_to_the_question_counts() {
        let question = b"\x02go\x03dev\x00\x00\x01\x00\x01";
        let query = [b"\x12\x34\x01\x00\x00\x01\0\0\0\0\0\0".as_slice(), question].concat();
        let end = query.len();
        let mut good = query.clone();
        good[2] = 0x81;
        assert!(answers(&query, end, &good));
        let cased = [&good[..HEADER], b"\x02GO\x03dev\x00\x00\x01\x00\x01"].concat();
        assert!(answers(&query, end, &cased), "the case of letters is free");
        let with = |at: usize, byte: u8| {
            let mut bad = good.clone();
            bad[at] = byte;
            bad
        };
        for (bad, why) in [
            (with(0, 0), "another id"),
            (with(2, 0x01), "not a response"),
            (with(5, 0), "no question"),
            (with(13, b'n'), "another name"),
            (with(end - 3, 28), "another type"),
            (good[..end - 1].to_vec(), "cut short"),
        ] {
            assert!(!answers(&query, end, &bad), "{why}");
        }
    }
}
