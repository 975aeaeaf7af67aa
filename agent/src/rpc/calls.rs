//! Calls that share a connection.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use futures_util::future::{AbortHandle, Abortable, BoxFuture};
use futures_util::stream::FuturesUnordered;
use tokio::io::{ReadHalf, WriteHalf};
use tokio::sync::{mpsc, oneshot};

use super::frame::{Frame, FrameReader, Kind, MAX_PAYLOAD};
use super::serve::Socket;
use super::stream::write_all;
use super::{Dialed, RpcError};
use crate::task;

/// Frames that wait for the writer; a caller beyond that waits itself.
const QUEUE: usize = 1024;
/// Answers that wait for the writer: more than any burst of woken blocking queries on one connection.
const ANSWERS: usize = 65_536;
/// While someone waits and nothing comes, the other side is asked this often whether it is there,
/// and given up after so many times: its kernel may go on confirming what the process never reads.
const PING: Duration = Duration::from_secs(1);
const PINGS: u32 = 5;
/// The writer gathers up to this much before it writes.
const GATHER: usize = 256 * 1024;

/// The calling side of a connection. Cheap to clone; the connection ends with the last clone.
#[derive(Clone)]
pub struct Calls {
    inner: Arc<Inner>,
}

struct Inner {
    address: SocketAddr,
    out: mpsc::Sender<Frame>,
    next: AtomicU64,
    waiting: Arc<Waiting>,
}

#[derive(Default)]
struct Waiting {
    closed: AtomicBool,
    calls: Mutex<HashMap<u64, oneshot::Sender<Bytes>>>,
}

impl Waiting {
    fn calls(&self) -> MutexGuard<'_, HashMap<u64, oneshot::Sender<Bytes>>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        self.calls().clear();
    }
}

impl Calls {
    /// Uses a fresh connection for calls.
    #[must_use]
    pub fn over(dialed: Dialed) -> Self {
        let (reader, writer) = tokio::io::split(dialed.socket);
        let (out, queue) = mpsc::channel(QUEUE);
        let waiting = Arc::new(Waiting::default());
        let _ = task::spawn("rpc writer", {
            let waiting = Arc::clone(&waiting);
            async move {
                let _ = write_frames(queue, writer).await;
                waiting.close();
            }
        });
        let _ = task::spawn("rpc reader", {
            let waiting = Arc::clone(&waiting);
            let out = out.downgrade();
            async move {
                let _ = read_replies(FrameReader::new(reader), &waiting, &out).await;
                waiting.close();
            }
        });
        let inner = Inner {
            address: dialed.address,
            out,
            next: AtomicU64::new(1),
            waiting,
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// Whether both are clones of one connection.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.inner, &other.inner)
    }

    /// Whether the connection has ended.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.inner.waiting.closed.load(Ordering::SeqCst)
    }

    /// Sends `request` and waits for its answer, at most `deadline`. Dropping the future tells
    /// the other side that nobody waits any more.
    pub async fn call(&self, request: Vec<u8>, deadline: Duration) -> Result<Bytes, RpcError> {
        let address = self.inner.address;
        let size = request.len();
        if size > MAX_PAYLOAD {
            return Err(RpcError::TooLarge { address, size });
        }
        let closed = || RpcError::Closed {
            address,
            reason: "the connection broke".into(),
        };
        let number = self.inner.next.fetch_add(1, Ordering::Relaxed);
        let (answered, answer) = oneshot::channel();
        self.inner.waiting.calls().insert(number, answered);
        let mut guard = CallGuard {
            inner: &self.inner,
            number,
            done: false,
        };
        if self.is_closed() {
            return Err(closed());
        }
        let exchange = async {
            let frame = Frame::new(Kind::Request, number, request);
            self.inner.out.send(frame).await.map_err(|_| closed())?;
            answer.await.map_err(|_| closed())
        };
        let result = tokio::time::timeout(deadline, exchange)
            .await
            .map_err(|_| RpcError::Timeout {
                address,
                after: deadline,
            })?;
        guard.done = true;
        result
    }
}

struct CallGuard<'a> {
    inner: &'a Inner,
    number: u64,
    done: bool,
}

impl Drop for CallGuard<'_> {
    fn drop(&mut self) {
        self.inner.waiting.calls().remove(&self.number);
        if !self.done {
            // If the queue is full the answer comes, and finds nobody: no harm.
            let _ = self
                .inner
                .out
                .try_send(Frame::new(Kind::Cancel, self.number, Bytes::new()));
        }
    }
}

async fn read_replies(
    mut reader: FrameReader<ReadHalf<Socket>>,
    waiting: &Waiting,
    out: &mpsc::WeakSender<Frame>,
) -> std::io::Result<()> {
    let mut quiet = 0;
    let mut pending = 0;
    loop {
        match tokio::time::timeout(PING, reader.next()).await {
            Ok(frame) => {
                let Some(frame) = frame? else { return Ok(()) };
                quiet = 0;
                if frame.kind == Kind::Reply
                    && let Some(call) = waiting.calls().remove(&frame.number)
                {
                    let _ = call.send(frame.payload);
                }
            }
            // A part of a long answer is a sign of life, too.
            Err(_) if reader.pending() != pending => quiet = 0,
            Err(_) => {
                let out = out.upgrade();
                if out.is_some() && waiting.calls().is_empty() {
                    quiet = 0;
                    continue;
                }
                quiet += 1;
                if quiet > PINGS {
                    return Err(std::io::ErrorKind::TimedOut.into());
                }
                if let Some(out) = out {
                    let _ = out.try_send(Frame::new(Kind::Ping, 0, Bytes::new()));
                }
            }
        }
        pending = reader.pending();
    }
}

async fn write_frames(
    mut queue: mpsc::Receiver<Frame>,
    mut writer: WriteHalf<Socket>,
) -> std::io::Result<()> {
    let mut buffer = BytesMut::new();
    while let Some(frame) = queue.recv().await {
        frame.write_to(&mut buffer);
        while buffer.len() < GATHER
            && let Ok(more) = queue.try_recv()
        {
            more.write_to(&mut buffer);
        }
        write_all(&mut writer, &buffer).await?;
        buffer.clear();
    }
    tokio::io::AsyncWriteExt::shutdown(&mut writer).await
}

/// The answering side: runs each call as soon as it comes, in this one task, and drops those
/// that are cancelled.
pub(super) async fn answer_calls<F>(
    first: Frame,
    mut reader: FrameReader<ReadHalf<Socket>>,
    writer: WriteHalf<Socket>,
    answer: F,
) -> std::io::Result<()>
where
    F: Fn(Bytes) -> BoxFuture<'static, Vec<u8>> + Send + Sync,
{
    let (out, queue) = mpsc::channel(ANSWERS);
    let writing = write_frames(queue, writer);
    tokio::pin!(writing);
    let mut running = FuturesUnordered::new();
    let mut aborts: HashMap<u64, AbortHandle> = HashMap::new();
    let mut begin = Some(first);
    loop {
        if let Some(frame) = begin.take() {
            match frame.kind {
                Kind::Request => {
                    if running.len() >= ANSWERS {
                        let what = "too many calls at once";
                        return Err(std::io::Error::new(std::io::ErrorKind::InvalidData, what));
                    }
                    let (abort, registration) = AbortHandle::new_pair();
                    aborts.insert(frame.number, abort);
                    let work = answer(frame.payload);
                    let number = frame.number;
                    let work = async move { (number, work.await) };
                    running.push(Abortable::new(work, registration));
                }
                Kind::Cancel => {
                    if let Some(abort) = aborts.remove(&frame.number) {
                        abort.abort();
                    }
                }
                Kind::Ping => {
                    // If there is no room for it, other frames are on their way.
                    let _ = out.try_send(Frame::new(Kind::Pong, 0, Bytes::new()));
                }
                other => {
                    let what = format!("a frame of kind {other:?} among calls");
                    return Err(std::io::Error::new(std::io::ErrorKind::InvalidData, what));
                }
            }
        }
        tokio::select! {
            ended = &mut writing => return ended,
            done = running.next(), if !running.is_empty() => {
                if let Some(Ok((number, payload))) = done {
                    aborts.remove(&number);
                    // What does not fit is not sent: it would end the connection for all others.
                    let payload = if payload.len() > MAX_PAYLOAD { Vec::new() } else { payload };
                    // The writer runs in this very select, so waiting for it here could stall
                    // both; a queue this long means a peer that does not read.
                    if out.try_send(Frame::new(Kind::Reply, number, payload)).is_err() {
                        let what = "the peer does not read its answers";
                        return Err(std::io::Error::new(std::io::ErrorKind::TimedOut, what));
                    }
                }
            }
            frame = reader.next() => match frame? {
                Some(frame) => begin = Some(frame),
                None => return Ok(()),
            },
        }
    }
}
