//! Real sockets: what a client that is not ours may do to them.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};

use super::*;
use crate::task::{self, Shutdown};

const PROMPT: Duration = Duration::from_secs(5);

async fn plain(desk: &Desk) -> (std::net::SocketAddr, Shutdown) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let shutdown = Shutdown::new();
    let _ = task::spawn(
        "http",
        serve_plain(listener, Arc::clone(&desk.api), shutdown.clone()),
    );
    (address, shutdown)
}

/// Sends bytes, closes nothing, and reads one answer that announces its length.
async fn exchange(stream: &mut (impl AsyncReadExt + AsyncWriteExt + Unpin), text: &[u8]) -> String {
    stream.write_all(text).await.unwrap();
    let mut seen = Vec::new();
    let read = async {
        loop {
            let text = String::from_utf8_lossy(&seen).into_owned();
            if let Some((head, body)) = text.split_once("\r\n\r\n") {
                let length = head
                    .lines()
                    .find_map(|line| line.strip_prefix("content-length: "));
                if length.is_none_or(|length| body.len() >= length.parse().unwrap()) {
                    return text;
                }
            }
            let mut part = [0; 4096];
            let got = stream.read(&mut part).await.unwrap();
            if got == 0 {
                return text;
            }
            seen.extend_from_slice(&part[..got]);
        }
    };
    tokio::time::timeout(PROMPT, read).await.unwrap()
}

fn request(method: &str, uri: &str, host: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("{method} {uri} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {length}\r\n\r\n{body}")
        .into_bytes()
}

#[tokio::test]
async fn a_connection_serves_request_after_request() {
    let desk = Desk::new();
    let (address, _shutdown) = plain(&desk).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    let host = address.to_string();
    let put = exchange(&mut stream, &request("PUT", "/v1/kv/a%2Fb//c", &host, "v")).await;
    assert!(
        put.starts_with("HTTP/1.1 200 OK\r\n") && put.ends_with("\r\n\r\ntrue"),
        "{put}"
    );
    let get = exchange(
        &mut stream,
        &request("GET", "/v1/kv/a/b%2F/c?raw", &host, ""),
    )
    .await;
    assert!(
        get.contains("content-type: text/plain\r\n") && get.ends_with("\r\n\r\nv"),
        "{get}"
    );
    let raw = "GET /v1/kv/\u{e4}?keys HTTP/1.1\r\nHost: localhost\r\n\r\n".as_bytes();
    let get = exchange(&mut stream, raw).await;
    assert!(
        get.starts_with("HTTP/1.1 404 ") || get.starts_with("HTTP/1.1 400 "),
        "{get}"
    );
}

#[tokio::test]
async fn t6_a_rebound_host_name_is_refused_on_plain_http_only() {
    let desk = Desk::new();
    let (address, _shutdown) = plain(&desk).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    let seen = exchange(&mut stream, &request("GET", "/v1/kv/a", "evil.example", "")).await;
    assert!(seen.starts_with("HTTP/1.1 403 "), "{seen}");
    let absolute = b"GET http://evil.example/v1/kv/a HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let seen = exchange(&mut stream, absolute).await;
    assert!(seen.starts_with("HTTP/1.1 403 "), "{seen}");
    let seen = exchange(
        &mut stream,
        &request("GET", "/v1/kv/a", "n1.node.dev.vagrant", ""),
    )
    .await;
    assert!(seen.starts_with("HTTP/1.1 404 "), "{seen}");
}

#[tokio::test]
async fn too_much_is_refused_with_an_answer() {
    let desk = Desk::new();
    let (address, _shutdown) = plain(&desk).await;
    let host = address.to_string();
    let mut stream = TcpStream::connect(address).await.unwrap();
    let big = "x".repeat(3 * 1024 * 1024);
    let seen = exchange(&mut stream, &request("PUT", "/v1/kv/a", &host, &big)).await;
    assert!(seen.starts_with("HTTP/1.1 413 "), "{seen}");
    assert!(
        seen.contains("Request body(3145728 bytes) too large, max size: 524288 bytes."),
        "{seen}"
    );
    let mut stream = TcpStream::connect(address).await.unwrap();
    let uri = format!("/v1/kv/{}", "x".repeat(200_000));
    let seen = exchange(&mut stream, &request("GET", &uri, &host, "")).await;
    assert!(seen.starts_with("HTTP/1.1 4"), "{seen}");
    let mut stream = TcpStream::connect(address).await.unwrap();
    let seen = exchange(&mut stream, b"\x16\x03\x01 this is no HTTP\r\n\r\n").await;
    assert!(
        seen.is_empty() || seen.starts_with("HTTP/1.1 400 "),
        "{seen}"
    );
    let mut stream = TcpStream::connect(address).await.unwrap();
    let seen = exchange(&mut stream, &request("GET", "/healthz", &host, "")).await;
    assert!(
        seen.ends_with("\r\n\r\nok\n"),
        "the others are served on: {seen}"
    );
}

#[tokio::test]
async fn a_body_that_breaks_off_writes_nothing() {
    let desk = Desk::new();
    let (address, _shutdown) = plain(&desk).await;
    for head in ["Content-Length: 10", "Transfer-Encoding: chunked"] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let text = format!("PUT /v1/kv/a HTTP/1.1\r\nHost: localhost\r\n{head}\r\n\r\n5\r\nhello");
        stream.write_all(text.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut rest = Vec::new();
        let read = stream.read_to_end(&mut rest);
        tokio::time::timeout(PROMPT, read).await.unwrap().unwrap();
        desk.get("/v1/kv/a").await.is(404, "");
    }
}

#[tokio::test]
async fn a_client_that_hangs_up_ends_its_blocking_query() {
    let desk = Desk::new();
    let (address, _shutdown) = plain(&desk).await;
    desk.put("/v1/kv/a", "1").await;
    let index = desk.get("/v1/kv/a").await.index();
    let mut stream = TcpStream::connect(address).await.unwrap();
    let uri = format!("/v1/kv/a?index={index}");
    stream
        .write_all(&request("GET", &uri, "localhost", ""))
        .await
        .unwrap();
    let waiters = async |wanted| {
        while desk.api.metrics().waiters() != wanted {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(PROMPT, waiters(1)).await.unwrap();
    drop(stream);
    tokio::time::timeout(PROMPT, waiters(0)).await.unwrap();
}

#[tokio::test]
async fn stopping_ends_the_listener_even_while_clients_wait() {
    let desk = Desk::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let shutdown = Shutdown::new();
    let serving = task::spawn(
        "http",
        serve_plain(listener, Arc::clone(&desk.api), shutdown.clone()),
    );
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream
        .write_all(&request("GET", "/v1/kv/a?index=99999", "localhost", ""))
        .await
        .unwrap();
    while desk.api.metrics().waiters() == 0 {
        tokio::task::yield_now().await;
    }
    shutdown.begin();
    tokio::time::timeout(PROMPT, serving.join())
        .await
        .unwrap()
        .unwrap();
}

#[tokio::test]
async fn root_on_the_socket_is_an_operator() {
    use std::os::unix::fs::PermissionsExt as _;
    let desk = Desk::new();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("api.sock");
    drop(bind_unix(&path).unwrap());
    let listener = bind_unix(&path).unwrap();
    assert_eq!(
        std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let _ = task::spawn(
        "http",
        serve_unix(listener, Arc::clone(&desk.api), Shutdown::new()),
    );
    let mut stream = UnixStream::connect(&path).await.unwrap();
    let seen = exchange(&mut stream, &request("GET", "/v1/snapshot", "anything", "")).await;
    assert!(
        seen.starts_with("HTTP/1.1 200 OK\r\n") && seen.ends_with("archive"),
        "{seen}"
    );
}
