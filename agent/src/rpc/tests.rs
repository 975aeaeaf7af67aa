//! The port under fire: garbage, half a handshake, half a connection, too much of everything.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, join_all};
use std::sync::Arc;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::frame::{Frame, Kind, MAX_STRANGE};
use super::*;
use crate::pki::{NodeKey, join_client_config, tls};
use crate::task::{self, Shutdown};

const SOON: Duration = Duration::from_secs(10);

/// Echoes; `wait` never answers, `large` answers with more than fits. Streams echo, too.
#[derive(Default)]
struct Echo {
    waiting: Arc<AtomicUsize>,
    dropped: Arc<AtomicUsize>,
    connections: AtomicUsize,
}

struct Dropped(Arc<AtomicUsize>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Handler for Echo {
    fn serve(self: Arc<Self>, _peer: Peer, incoming: Incoming) -> BoxFuture<'static, ()> {
        async move {
            self.connections.fetch_add(1, Ordering::SeqCst);
            if incoming.opening().is_some() {
                let mut stream = incoming.into_stream();
                while let Ok(item) = stream.source.next().await {
                    if stream.sink.send(item).await.is_err() {
                        return;
                    }
                }
                return;
            }
            let answer = move |request: Bytes| {
                let (waiting, dropped) = (Arc::clone(&self.waiting), Arc::clone(&self.dropped));
                async move {
                    match &request[..] {
                        b"wait" => {
                            let _dropped = Dropped(dropped);
                            waiting.fetch_add(1, Ordering::SeqCst);
                            std::future::pending().await
                        }
                        b"large" => vec![1; MAX_PAYLOAD + 1],
                        other => other.to_vec(),
                    }
                }
                .boxed()
            };
            incoming.answer(answer).await;
        }
        .boxed()
    }
}

/// A port that echoes.
struct Port {
    address: SocketAddr,
    echo: Arc<Echo>,
    shutdown: Shutdown,
}

impl Port {
    async fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let key = NodeKey::generate().unwrap();
        let config = tls::join_server_config(&key).unwrap();
        let pick: PickConfig = Arc::new(move |_| Some(Arc::clone(&config)));
        let (echo, shutdown) = (Arc::new(Echo::default()), Shutdown::new());
        let handler = Arc::clone(&echo) as Arc<dyn Handler>;
        let _ = task::spawn("port", serve(listener, pick, handler, shutdown.clone()));
        Self {
            address,
            echo,
            shutdown,
        }
    }

    async fn dial(&self) -> Dialed {
        let config = join_client_config().unwrap();
        dial(self.address, config, SOON).await.unwrap()
    }

    async fn calls(&self) -> Calls {
        Calls::over(self.dial().await)
    }

    async fn still_answers(&self) {
        let answer = self.calls().await.call(b"there?".to_vec(), SOON).await;
        assert_eq!(answer.unwrap(), &b"there?"[..]);
    }
}

async fn until(what: &str, mut is: impl FnMut() -> bool) {
    let waited = tokio::time::timeout(SOON, async {
        while !is() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    waited.await.unwrap_or_else(|_| panic!("in vain: {what}"));
}

#[tokio::test]
async fn garbage_on_the_port_ends_that_connection_and_no_other() {
    let port = Port::open().await;
    for garbage in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        &[0; 4096],
        &[0xff; 4096],
        b"\x16\x03\x01\xff\xff",
        b"",
    ] {
        let mut tcp = TcpStream::connect(port.address).await.unwrap();
        tcp.write_all(garbage).await.unwrap();
        tcp.shutdown().await.unwrap();
        let mut rest = Vec::new();
        let ended = tokio::time::timeout(SOON, tcp.read_to_end(&mut rest)).await;
        assert!(ended.is_ok(), "it holds on to {garbage:?}");
    }
    port.still_answers().await;
}

#[tokio::test]
async fn garbage_after_the_handshake_ends_that_connection_and_no_other() {
    let port = Port::open().await;
    let mut long = bytes::BytesMut::new();
    let too_long = u32::try_from(MAX_STRANGE + 1).unwrap();
    long.extend_from_slice(&too_long.to_be_bytes());
    for garbage in [&b"\0\0\0\x01\x01"[..], &[0xff; 64], &long] {
        let mut socket = port.dial().await.socket;
        socket.write_all(garbage).await.unwrap();
        socket.flush().await.unwrap();
        let mut rest = Vec::new();
        let ended = tokio::time::timeout(SOON, socket.read_to_end(&mut rest)).await;
        assert!(ended.is_ok() && rest.is_empty());
    }
    assert_eq!(port.echo.connections.load(Ordering::SeqCst), 0);
    port.still_answers().await;
}

#[tokio::test]
async fn a_stream_frame_among_calls_ends_the_connection() {
    let port = Port::open().await;
    let mut socket = port.dial().await.socket;
    let mut bytes = bytes::BytesMut::new();
    Frame::new(Kind::Request, 1, &b"wait"[..]).write_to(&mut bytes);
    Frame::new(Kind::Item, 2, &b"?"[..]).write_to(&mut bytes);
    socket.write_all(&bytes).await.unwrap();
    socket.flush().await.unwrap();
    let mut rest = Vec::new();
    let ended = tokio::time::timeout(SOON, socket.read_to_end(&mut rest)).await;
    assert!(ended.is_ok());
    port.still_answers().await;
}

#[tokio::test]
async fn half_a_connection_leaves_no_work_behind() {
    let port = Port::open().await;
    let mut socket = port.dial().await.socket;
    let mut bytes = bytes::BytesMut::new();
    Frame::new(Kind::Request, 1, &b"wait"[..]).write_to(&mut bytes);
    socket.write_all(&bytes).await.unwrap();
    socket.flush().await.unwrap();
    let echo = &port.echo;
    until("the call begins", || {
        echo.waiting.load(Ordering::SeqCst) == 1
    })
    .await;
    socket.shutdown().await.unwrap();
    until("the call is dropped", || {
        echo.dropped.load(Ordering::SeqCst) == 1
    })
    .await;
}

#[tokio::test]
async fn a_call_that_is_dropped_is_cancelled_over_there() {
    let port = Port::open().await;
    let calls = port.calls().await;
    let given_up = calls
        .call(b"wait".to_vec(), Duration::from_millis(200))
        .await;
    assert!(matches!(given_up, Err(RpcError::Timeout { .. })));
    let echo = &port.echo;
    until("the call is dropped", || {
        echo.dropped.load(Ordering::SeqCst) == 1
    })
    .await;
    assert!(!calls.is_closed(), "and the connection lives");
    assert_eq!(
        calls.call(b"next".to_vec(), SOON).await.unwrap(),
        &b"next"[..]
    );
}

#[tokio::test]
async fn many_calls_at_once_share_one_connection_and_keep_apart() {
    let port = Port::open().await;
    let calls = port.calls().await;
    let all = (0..5_000_u32).map(|number| {
        let calls = calls.clone();
        async move {
            let text = number.to_string().into_bytes();
            let answer = calls.call(text.clone(), SOON).await.unwrap();
            assert_eq!(answer, text);
        }
    });
    join_all(all).await;
    assert_eq!(port.echo.connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn what_fits_in_no_frame_harms_nobody_else() {
    let port = Port::open().await;
    let calls = port.calls().await;
    let refused = calls.call(vec![0; MAX_PAYLOAD + 1], SOON).await;
    assert!(
        matches!(refused, Err(RpcError::TooLarge { .. })),
        "{refused:?}"
    );
    let answer = calls.call(b"large".to_vec(), SOON).await.unwrap();
    assert!(answer.is_empty());
    assert_eq!(
        calls.call(b"next".to_vec(), SOON).await.unwrap(),
        &b"next"[..]
    );
}

#[tokio::test]
async fn when_the_other_side_goes_every_call_fails_at_once() {
    let port = Port::open().await;
    let calls = port.calls().await;
    let waiting = (0..10).map(|_| calls.call(b"wait".to_vec(), SOON * 10));
    let waiting = join_all(waiting);
    let go = async {
        let echo = &port.echo;
        until("all wait", || echo.waiting.load(Ordering::SeqCst) == 10).await;
        port.shutdown.begin();
    };
    let (failed, ()) = tokio::join!(waiting, go);
    assert!(
        failed
            .iter()
            .all(|end| matches!(end, Err(RpcError::Closed { .. })))
    );
    assert!(calls.is_closed());
}

/// Its kernel confirms all that is sent, but nobody reads: a process that is stopped.
#[tokio::test]
async fn a_peer_that_reads_nothing_is_given_up_long_before_the_deadline() {
    let (ours, theirs) = tokio::io::duplex(64 * 1024);
    let calls = Calls::over(Dialed {
        address: SocketAddr::from(([127, 0, 0, 1], 1)),
        certificates: Vec::new(),
        exporter: [0; 32],
        socket: Box::new(ours),
    });
    let begun = task::clock::now();
    let failed = calls.call(b"hello".to_vec(), SOON * 60).await;
    assert!(matches!(failed, Err(RpcError::Closed { .. })), "{failed:?}");
    assert!(begun.elapsed() < SOON);
    drop(theirs);
}

#[tokio::test]
async fn a_stream_carries_items_both_ways() {
    let port = Port::open().await;
    let mut stream = FrameStream::open(port.dial().await, b"open".to_vec())
        .await
        .unwrap();
    for item in ["one", "two"] {
        stream.sink.send(item.as_bytes().to_vec()).await.unwrap();
        assert_eq!(stream.source.next().await.unwrap(), item.as_bytes());
    }
    let refused = stream.sink.send(vec![0; MAX_PAYLOAD + 1]).await;
    assert!(matches!(refused, Err(RpcError::TooLarge { .. })));
}
