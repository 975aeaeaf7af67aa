//! DNS over TCP (RFC 7766): pipelined queries, answers in the order in which they are ready.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::task::{Shutdown, spawn};

use super::dice::Dice;
use super::responder::{Responder, Verdict};
use super::stats::Transport;

/// Connections of clients in our own networks.
const MOST_NEAR: usize = 256;
/// Connections of strangers, who must not take the places of the others.
const MOST_FAR: usize = 64;
/// How long a connection may be idle (RFC 7766 section 6.2.3 wants seconds).
const IDLE: Duration = Duration::from_secs(10);
/// How long a client may take to accept one answer.
const SLOWEST_WRITE: Duration = Duration::from_secs(5);
/// Queries of one connection that wait for an upstream at once.
const MOST_WAITING: usize = 16;
/// The longest query, in bytes; nobody has a reason for more.
const LONGEST_QUERY: usize = 4096;
/// Pause after a failed accept, such as too many open files.
const BREATH: Duration = Duration::from_millis(50);

/// Places for connections, shared by all listeners.
#[derive(Clone)]
pub(super) struct Places {
    near: Arc<Semaphore>,
    far: Arc<Semaphore>,
}

impl Places {
    pub(super) fn new() -> Self {
        Self {
            near: Arc::new(Semaphore::new(MOST_NEAR)),
            far: Arc::new(Semaphore::new(MOST_FAR)),
        }
    }

    fn take(&self, near: bool) -> Option<OwnedSemaphorePermit> {
        let places = if near { &self.near } else { &self.far };
        Arc::clone(places).try_acquire_owned().ok()
    }
}

/// Answers on `listener` until `shutdown`.
pub(super) async fn serve(
    listener: TcpListener,
    responder: Arc<Responder>,
    places: Places,
    shutdown: Shutdown,
) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = shutdown.begun() => return,
        };
        let (stream, client) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "DNS connection not accepted");
                tokio::time::sleep(BREATH).await;
                continue;
            }
        };
        let Some(place) = places.take(responder.is_near(client.ip())) else {
            responder.stats.crowded();
            continue;
        };
        let connection = Connection {
            stream,
            client,
            responder: Arc::clone(&responder),
            dice: Dice::new(),
            input: Vec::with_capacity(512),
            out: Vec::with_capacity(512),
        };
        let shutdown = shutdown.clone();
        spawn("dns-tcp", async move {
            let _place = place;
            let served = tokio::select! {
                served = connection.serve() => served,
                () = shutdown.begun() => Ok(()),
            };
            if let Err(error) = served {
                tracing::debug!(%client, %error, "DNS connection ended");
            }
        });
    }
}

struct Connection {
    stream: TcpStream,
    client: SocketAddr,
    responder: Arc<Responder>,
    dice: Dice,
    input: Vec<u8>,
    out: Vec<u8>,
}

type Waiting = FuturesUnordered<BoxFuture<'static, Option<Vec<u8>>>>;

impl Connection {
    async fn serve(mut self) -> io::Result<()> {
        // Answers to pipelined queries must not wait for the client's acknowledgements.
        self.stream.set_nodelay(true)?;
        let mut waiting = Waiting::new();
        let mut closing = false;
        loop {
            while waiting.len() < MOST_WAITING
                && let Some(end) = self.frame()?
            {
                self.answer(end, &mut waiting).await?;
            }
            if closing && waiting.is_empty() {
                return Ok(());
            }
            let may_read = !closing && waiting.len() < MOST_WAITING;
            tokio::select! {
                read = timeout(IDLE, self.stream.read_buf(&mut self.input)), if may_read => match read {
                    Ok(read) => closing = read? == 0,
                    Err(_) if waiting.is_empty() => return Ok(()),
                    Err(_) => {}
                },
                Some(answer) = waiting.next() => {
                    if let Some(answer) = answer {
                        write(&mut self.stream, &answer).await?;
                    }
                }
            }
        }
    }

    /// Where the first query in the input ends, once all of it is there.
    fn frame(&self) -> io::Result<Option<usize>> {
        let Some(&[high, low]) = self.input.get(..2) else {
            return Ok(None);
        };
        let length = usize::from(u16::from_be_bytes([high, low]));
        if length > LONGEST_QUERY {
            let why = format!("a query of {length} bytes: at most {LONGEST_QUERY} are read");
            return Err(io::Error::new(io::ErrorKind::InvalidData, why));
        }
        Ok((self.input.len() >= length + 2).then_some(length + 2))
    }

    async fn answer(&mut self, end: usize, waiting: &mut Waiting) -> io::Result<()> {
        let packet = self.input.get(2..end).unwrap_or_default();
        let verdict = self.responder.respond(
            packet,
            self.client.ip(),
            Transport::Tcp,
            &mut self.dice,
            &mut self.out,
        );
        self.input.drain(..end);
        match verdict {
            Verdict::Answered => write(&mut self.stream, &self.out).await,
            Verdict::Later(errand) => {
                let responder = Arc::clone(&self.responder);
                waiting.push(Box::pin(async move { responder.run(errand).await }));
                Ok(())
            }
            Verdict::Silent => {
                let why = "what it sent is no DNS query";
                Err(io::Error::new(io::ErrorKind::InvalidData, why))
            }
        }
    }
}

/// Length and answer in one write (RFC 7766 section 8).
async fn write(stream: &mut TcpStream, answer: &[u8]) -> io::Result<()> {
    let length = u16::try_from(answer.len()).map_err(io::Error::other)?;
    let framed = [&length.to_be_bytes(), answer].concat();
    timeout(SLOWEST_WRITE, stream.write_all(&framed))
        .await
        .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
}
