//! Appends on their way to one follower, and the line that carries them.

use std::time::{Duration, Instant};

use futures_util::stream::BoxStream;
use futures_util::{Stream, StreamExt as _};
use openraft::OptionalSend;
use openraft::errors::{NetworkError, RPCError};
use openraft::raft::{AppendEntriesRequest, StreamAppendResult};

use super::messages::AppendAnswer;
use crate::rpc::FrameStream;
use crate::store::raft_types::TypeConfig;
use crate::task::clock;

/// Appends on their way to one follower: enough to keep a link busy, few enough to stop soon.
const PIPELINE: usize = 64;
/// An append or its answer that takes longer than this means that the link is dead.
const DEADLINE: Duration = Duration::from_secs(2);
/// A line whose follower has owed an answer for longer than this is not used again: what is sent
/// on it after a cut waits for TCP to try again, and a new connection does not.
const STALE: Duration = Duration::from_millis(500);

pub(super) type Failure = RPCError<TypeConfig>;
pub(super) type Answer = Result<StreamAppendResult<TypeConfig>, Failure>;

pub(super) fn broken(why: impl ToString) -> Failure {
    RPCError::Network(NetworkError::from_string(why))
}

/// A stream of appends to one follower. It outlives the requests of one `stream_append`: openraft
/// makes one for every heartbeat and every confirmed read, and a TLS handshake for each would
/// cost more than all the rest, and on a busy machine take longer than a heartbeat may.
pub(super) struct Line {
    stream: FrameStream,
    /// Requests without an answer. The first of them may be those of an asker who gave up.
    unanswered: usize,
    /// Since when the follower owes the next answer.
    since: Instant,
    /// A request may have gone out in part.
    torn: bool,
}

impl Line {
    pub(super) fn new(stream: FrameStream) -> Self {
        Self {
            stream,
            unanswered: 0,
            since: clock::now(),
            torn: false,
        }
    }

    /// Whether another asker may use it.
    pub(super) fn is_usable(&self) -> bool {
        !self.torn && (self.unanswered == 0 || self.since.elapsed() < STALE)
    }

    async fn send(&mut self, request: &AppendEntriesRequest<TypeConfig>) -> Result<(), Failure> {
        let bytes = postcard::to_stdvec(request).map_err(broken)?;
        self.torn = true;
        let sent = tokio::time::timeout(DEADLINE, self.stream.sink.send(bytes)).await;
        sent.map_err(broken)?.map_err(broken)?;
        self.torn = false;
        if self.unanswered == 0 {
            self.since = clock::now();
        }
        self.unanswered += 1;
        Ok(())
    }

    /// The next answer. Cancel safe. While none is owed it ends only with the line.
    async fn receive(&mut self) -> Answer {
        let next = self.stream.source.next();
        let bytes = if self.unanswered == 0 {
            next.await
        } else {
            let left = (self.since + DEADLINE).saturating_duration_since(clock::now());
            tokio::time::timeout(left, next).await.map_err(broken)?
        };
        let answer: AppendAnswer = postcard::from_bytes(&bytes.map_err(broken)?).map_err(broken)?;
        self.unanswered = self
            .unanswered
            .checked_sub(1)
            .ok_or_else(|| broken("an answer that nobody asked for"))?;
        self.since = clock::now();
        answer.map_err(broken)
    }
}

struct Pipe<'s, S> {
    line: &'s mut Option<Line>,
    input: Option<S>,
    waiting: usize,
}

/// Sends appends as they come and yields the answers in their order, without waiting for one
/// before the next goes out. Leaves the line in its place if it is as good as before.
pub(super) fn pipeline<'s, S>(line: &'s mut Option<Line>, input: S) -> BoxStream<'s, Answer>
where
    S: Stream<Item = AppendEntriesRequest<TypeConfig>> + OptionalSend + Unpin + 'static,
{
    let pipe = Pipe {
        line,
        input: Some(input),
        waiting: 0,
    };
    futures_util::stream::unfold(pipe, |mut pipe| async move {
        let answer = pipe.next().await?;
        Some((answer, pipe))
    })
    .boxed()
}

impl<S> Pipe<'_, S>
where
    S: Stream<Item = AppendEntriesRequest<TypeConfig>> + Unpin,
{
    async fn next(&mut self) -> Option<Answer> {
        loop {
            let line = self.line.as_mut()?;
            if self.input.is_none() && self.waiting == 0 {
                return None;
            }
            let room = self.waiting < PIPELINE;
            let request = async {
                match &mut self.input {
                    Some(input) if room => input.next().await,
                    _ => std::future::pending().await,
                }
            };
            let earlier = line.unanswered.saturating_sub(self.waiting);
            let step = tokio::select! {
                biased;
                answer = line.receive() => Err(answer),
                request = request => Ok(request),
            };
            match step {
                Ok(None) => self.input = None,
                Ok(Some(request)) => match line.send(&request).await {
                    Ok(()) => self.waiting += 1,
                    Err(error) => {
                        *self.line = None;
                        return Some(Err(error));
                    }
                },
                Err(Ok(Ok(_))) if earlier > 0 => {}
                Err(answer) => {
                    // After any other answer than a plain yes the follower ends the line.
                    if !matches!(answer, Ok(Ok(_))) {
                        *self.line = None;
                    }
                    if earlier > 0 {
                        return Some(Err(broken("the follower refused an earlier append")));
                    }
                    self.waiting = self.waiting.saturating_sub(1);
                    return Some(answer);
                }
            }
        }
    }
}

#[cfg(test)]
#[path = "pipeline_tests.rs"]
mod tests;
