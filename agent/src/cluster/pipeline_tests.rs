//! The line to a follower, over a real port.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use openraft::Vote;
use tokio::net::TcpListener;

use super::*;
use crate::model::NodeId;
use crate::pki::{NodeKey, join_client_config, tls};
use crate::rpc::{Handler, Incoming, Peer, PickConfig, dial, serve};
use crate::task::{self, Shutdown};

const SOON: Duration = Duration::from_secs(10);

/// A follower that says yes to appends, but only once so many have come.
struct Follower {
    batch: usize,
    connections: AtomicUsize,
}

impl Handler for Follower {
    fn serve(self: Arc<Self>, _peer: Peer, incoming: Incoming) -> BoxFuture<'static, ()> {
        async move {
            self.connections.fetch_add(1, Ordering::SeqCst);
            let mut stream = incoming.into_stream();
            let mut owed = 0;
            while stream.source.next().await.is_ok() {
                owed += 1;
                if owed < self.batch {
                    continue;
                }
                for _ in 0..std::mem::take(&mut owed) {
                    let yes: AppendAnswer = Ok(Ok(None));
                    let bytes = postcard::to_stdvec(&yes).unwrap();
                    if stream.sink.send(bytes).await.is_err() {
                        return;
                    }
                }
            }
        }
        .boxed()
    }
}

async fn follower(batch: usize) -> (Arc<Follower>, Line) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let config = tls::join_server_config(&NodeKey::generate().unwrap()).unwrap();
    let pick: PickConfig = Arc::new(move |_| Some(Arc::clone(&config)));
    let follower = Arc::new(Follower {
        batch,
        connections: AtomicUsize::new(0),
    });
    let handler = Arc::clone(&follower) as Arc<dyn Handler>;
    let _ = task::spawn("follower", serve(listener, pick, handler, Shutdown::new()));
    let dialed = dial(address, join_client_config().unwrap(), SOON)
        .await
        .unwrap();
    let stream = FrameStream::open(dialed, Vec::new()).await.unwrap();
    (follower, Line::new(stream))
}

fn appends(count: usize) -> impl Stream<Item = AppendEntriesRequest<TypeConfig>> + Unpin + Send {
    let request = AppendEntriesRequest {
        vote: Vote::new_committed(1, NodeId::from_u128(1)),
        prev_log_id: None,
        entries: Vec::new(),
        leader_commit: None,
    };
    futures_util::stream::iter(std::iter::repeat_n(request, count))
}

async fn answers(line: &mut Option<Line>, count: usize) -> usize {
    let all = pipeline(line, appends(count)).collect::<Vec<_>>();
    let all = tokio::time::timeout(SOON, all).await.unwrap();
    all.into_iter()
        .filter(|answer| matches!(answer, Ok(Ok(None))))
        .count()
}

/// One after another, the first answer would never come.
#[tokio::test]
async fn r4_appends_are_sent_before_the_answers_to_earlier_ones_have_come() {
    let (_, line) = follower(10).await;
    assert_eq!(answers(&mut Some(line), 30).await, 30);
}

#[tokio::test]
async fn r4_a_line_outlives_its_heartbeats() {
    let (follower, line) = follower(1).await;
    let mut line = Some(line);
    for _ in 0..20 {
        assert_eq!(answers(&mut line, 1).await, 1);
    }
    assert_eq!(follower.connections.load(Ordering::SeqCst), 1);
}

/// Openraft gives a heartbeat up after its interval: the next must not take its answer for its own.
#[tokio::test]
async fn r4_the_answer_to_one_who_gave_up_is_nobody_elses() {
    let (_, line) = follower(2).await;
    let mut line = Some(line);
    let given_up = tokio::time::timeout(Duration::from_millis(50), async {
        pipeline(&mut line, appends(1)).next().await
    });
    assert!(given_up.await.is_err());
    assert_eq!(line.as_ref().unwrap().unanswered, 1);
    assert_eq!(answers(&mut line, 1).await, 1);
    assert_eq!(line.as_ref().unwrap().unanswered, 0);
}

#[tokio::test]
async fn a_follower_that_is_silent_for_long_loses_its_line() {
    let (_, line) = follower(2).await;
    let mut line = Some(line);
    assert_eq!(answers(&mut line, 1).await, 0);
    assert!(line.is_none());
}
