//! The load: many clients, one thread, each with a connection of its own that is kept open.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::cluster::Make;
use crate::grpc::{self, Grpc};
use crate::http::header;

/// A value's length.
const VALUE: usize = 256;
/// Each client goes round these many keys.
const KEYS: usize = 50;

/// What clients do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    Put,
    /// Linearizable, as far as the peer's default mode goes.
    Get,
    /// From whatever the asked server has.
    StaleGet,
}

/// What came of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outcome {
    pub(crate) per_second: f64,
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
    pub(crate) failed: usize,
}

/// Lets `clients` work for `length`, spread over `doors`.
pub(crate) fn run(
    make: Make,
    work: Work,
    clients: usize,
    doors: &[SocketAddr],
    length: Duration,
) -> Result<Outcome> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut ready = Vec::new();
        for (number, door) in (0..clients).zip(doors.iter().cycle()) {
            let mut client = Client::connect(make, work, number, *door).await?;
            client.once(0).await.context("the first request")?;
            ready.push(client);
        }
        let start = Instant::now();
        let end = start + length;
        let tasks: Vec<_> = ready
            .into_iter()
            .map(|client| tokio::spawn(client.work(end)))
            .collect();
        let (mut times, mut failed) = (Vec::new(), 0);
        for task in tasks {
            let (mine, errors) = task.await?;
            times.extend(mine);
            failed += errors;
        }
        times.sort_unstable();
        let at = |part: usize| {
            let index = (times.len() * part / 100).min(times.len().saturating_sub(1));
            times.get(index).copied().unwrap_or_default()
        };
        Ok(Outcome {
            per_second: times.len() as f64 / start.elapsed().as_secs_f64(),
            p50: at(50),
            p99: at(99),
            failed,
        })
    })
}

/// Writes all that as many clients will read.
pub(crate) fn fill(make: Make, clients: usize, doors: &[SocketAddr]) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut tasks = Vec::new();
        for (number, door) in (0..clients).zip(doors.iter().cycle()) {
            let mut client = Client::connect(make, Work::Put, number, *door).await?;
            tasks.push(tokio::spawn(async move {
                for key in 0..KEYS {
                    client.once(key).await?;
                }
                Ok::<_, anyhow::Error>(())
            }));
        }
        for task in tasks {
            task.await?.context("write what will be read")?;
        }
        Ok(())
    })
}

enum Client {
    Http {
        stream: TcpStream,
        requests: Vec<Vec<u8>>,
        buffer: Vec<u8>,
    },
    Grpc {
        grpc: Box<Grpc>,
        head: Vec<u8>,
        messages: Vec<Vec<u8>>,
    },
}

impl Client {
    async fn connect(make: Make, work: Work, number: usize, door: SocketAddr) -> Result<Self> {
        let keys = (0..KEYS).map(|key| format!("bench/{number}/{key}"));
        if make == Make::Etcd {
            let method = if work == Work::Put { "Put" } else { "Range" };
            return Ok(Self::Grpc {
                grpc: Box::new(Grpc::connect(door).await?),
                head: grpc::head(&format!("/etcdserverpb.KV/{method}"), &door.to_string()),
                messages: keys.map(|key| etcd_message(work, &key)).collect(),
            });
        }
        let stream = TcpStream::connect(door).await?;
        stream.set_nodelay(true)?;
        Ok(Self::Http {
            stream,
            requests: keys.map(|key| http_request(work, &key, door)).collect(),
            buffer: Vec::with_capacity(4096),
        })
    }

    /// Until `end`: the time of each request that succeeded, and how many failed.
    async fn work(mut self, end: Instant) -> (Vec<Duration>, usize) {
        let (mut times, mut failed) = (Vec::new(), 0);
        for round in 0.. {
            let begin = Instant::now();
            if begin >= end {
                break;
            }
            match self.once(round).await {
                Ok(()) => times.push(begin.elapsed()),
                Err(_) if failed >= 100 => break,
                Err(_) => failed += 1,
            }
        }
        (times, failed)
    }

    async fn once(&mut self, round: usize) -> Result<()> {
        match self {
            Self::Grpc {
                grpc,
                head,
                messages,
            } => grpc.call(head, &messages[round % KEYS]).await,
            Self::Http {
                stream,
                requests,
                buffer,
            } => {
                stream.write_all(&requests[round % KEYS]).await?;
                answer(stream, buffer).await
            }
        }
    }
}

async fn answer(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Result<()> {
    buffer.clear();
    loop {
        if stream.read_buf(buffer).await? == 0 {
            bail!("closed");
        }
        let Some(end) = buffer.windows(4).position(|four| four == b"\r\n\r\n") else {
            continue;
        };
        let head = std::str::from_utf8(&buffer[..end])?;
        let length: usize = header(head, "content-length")
            .context("no length")?
            .parse()?;
        if buffer.len() >= end + 4 + length {
            // A put that was refused says `false`.
            if !head.starts_with("HTTP/1.1 200") || buffer.ends_with(b"false") {
                bail!("{head}");
            }
            return Ok(());
        }
    }
}

fn http_request(work: Work, key: &str, door: SocketAddr) -> Vec<u8> {
    let (method, query, body) = match work {
        Work::Put => ("PUT", "", VALUE),
        Work::Get => ("GET", "", 0),
        Work::StaleGet => ("GET", "?stale", 0),
    };
    let mut request = format!("{method} /v1/kv/{key}{query} HTTP/1.1\r\nHost: {door}\r\n");
    if body > 0 {
        request.push_str(&format!("Content-Length: {body}\r\n"));
    }
    request.push_str("\r\n");
    request.extend(std::iter::repeat_n('v', body));
    request.into_bytes()
}

fn etcd_message(work: Work, key: &str) -> Vec<u8> {
    let mut message = Vec::new();
    grpc::bytes_field(&mut message, 1, key.as_bytes());
    match work {
        Work::Put => grpc::bytes_field(&mut message, 2, &[b'v'; VALUE]),
        Work::Get => {}
        // RangeRequest.serializable
        Work::StaleGet => message.extend([7 << 3, 1]),
    }
    message
}
