use std::collections::BTreeMap;
use std::future::Future;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;
use crate::decide::checks::{HttpProbe, Probe};
use crate::decide::services::LocalCheck;
use crate::model::{CheckDefinition, CheckRow, CheckStatus, NodeId, NodeRow, ServiceRow, Weights};
use crate::task::{self, clock};

fn local() -> Arc<LocalServices> {
    let node = NodeRow {
        id: NodeId::from_u128(1),
        name: "n1".into(),
        address: "127.0.0.1".into(),
        tagged_addresses: BTreeMap::new(),
        meta: BTreeMap::new(),
        owner: Some(NodeId::from_u128(1)),
        create_index: 0,
        modify_index: 0,
    };
    LocalServices::open(node, None).unwrap()
}

fn service() -> ServiceRow {
    ServiceRow {
        node: "n1".into(),
        id: "s".into(),
        name: "s".into(),
        tags: Vec::new(),
        address: String::new(),
        port: 0,
        meta: BTreeMap::new(),
        weights: Weights::default(),
        enable_tag_override: false,
        tagged_addresses: BTreeMap::new(),
        kind: String::new(),
        create_index: 0,
        modify_index: 0,
    }
}

fn check(spec: CheckSpec) -> LocalCheck {
    LocalCheck {
        row: CheckRow {
            node: "n1".into(),
            check_id: "c".into(),
            name: "c".into(),
            status: CheckStatus::Critical,
            notes: String::new(),
            output: String::new(),
            service_id: "s".into(),
            service_name: "s".into(),
            service_tags: Vec::new(),
            kind: String::new(),
            definition: CheckDefinition::default(),
            create_index: 0,
            modify_index: 0,
        },
        spec,
        beat: Duration::ZERO,
        restored: false,
        quiet_until: None,
    }
}

fn often(probe: Probe) -> CheckSpec {
    CheckSpec {
        probe,
        interval: Duration::from_millis(20),
        timeout: Duration::from_secs(2),
        ..CheckSpec::fixed()
    }
}

/// Runs the loop with one check until its row is as wanted; returns the output.
async fn run_until(
    local: &Arc<LocalServices>,
    wanted: impl Fn(&CheckRow) -> bool,
) -> impl Future<Output = String> {
    let local = Arc::clone(local);
    async move {
        let look = async {
            let mut changes = local.changes();
            loop {
                let row = local.look(|rows| rows.check("c").map(|check| check.row.clone()));
                if let Some(row) = row.filter(|row| wanted(row)) {
                    return row.output;
                }
                changes.changed().await.unwrap();
            }
        };
        tokio::time::timeout(Duration::from_secs(10), look)
            .await
            .unwrap()
    }
}

/// Answers each connection with the next text and closes.
async fn server(answers: Vec<&'static str>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let _ = task::spawn("server", async move {
        for answer in answers {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut seen = [0; 1024];
            let _ = stream.read(&mut seen).await;
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    address
}

#[tokio::test]
async fn a_tcp_check_follows_its_port() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (local, shutdown) = (local(), Shutdown::new());
    let spec = often(Probe::Tcp {
        address: address.clone(),
    });
    local
        .register(service(), vec![check(spec)], false)
        .await
        .unwrap();
    let running = task::spawn("checks", run(Arc::clone(&local), None, shutdown.clone()));
    let passing = |row: &CheckRow| row.status == CheckStatus::Passing;
    let output = run_until(&local, passing).await.await;
    assert_eq!(output, format!("TCP connect {address}: Success"));
    drop(listener);
    let output = run_until(&local, |row| row.status == CheckStatus::Critical)
        .await
        .await;
    assert!(
        output.starts_with(&format!("dial tcp {address}: ")),
        "{output}"
    );
    shutdown.begin();
    running.join().await.unwrap();
}

#[tokio::test]
async fn an_http_check_takes_the_status_and_follows_redirects() {
    let moved = "HTTP/1.1 302 Found\r\nlocation: /new\r\ncontent-length: 0\r\n\r\n";
    let busy = "HTTP/1.1 429 Too Many Requests\r\ncontent-length: 4\r\n\r\nbusy";
    let fine = "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nfine";
    let broken = "HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\n\r\n";
    let address = server(vec![busy, moved, fine, broken]).await;
    let url = format!("http://user:secret@{address}/old");
    let (local, shutdown) = (local(), Shutdown::new());
    let spec = often(Probe::Http(HttpProbe {
        url,
        ..HttpProbe::default()
    }));
    local
        .register(service(), vec![check(spec)], false)
        .await
        .unwrap();
    let _running = task::spawn("checks", run(Arc::clone(&local), None, shutdown.clone()));
    let output = run_until(&local, |row| row.status == CheckStatus::Warning)
        .await
        .await;
    let url = format!("http://{address}/old");
    assert_eq!(
        output,
        format!("HTTP GET {url}: 429 Too Many Requests Output: busy")
    );
    let output = run_until(&local, |row| row.status == CheckStatus::Passing)
        .await
        .await;
    assert_eq!(output, format!("HTTP GET {url}: 200 OK Output: fine"));
    run_until(&local, |row| row.status == CheckStatus::Critical)
        .await
        .await;
    shutdown.begin();
}

#[tokio::test]
async fn a_silent_client_loses_its_ttl_check_and_a_critical_service_goes() {
    let (local, shutdown) = (local(), Shutdown::new());
    let spec = CheckSpec {
        probe: Probe::Ttl(Duration::from_millis(300)),
        deregister_after: Some(Duration::from_millis(300)),
        ..CheckSpec::fixed()
    };
    local
        .register(service(), vec![check(spec)], false)
        .await
        .unwrap();
    local.report("c", CheckStatus::Passing, "well".into());
    let _running = task::spawn("checks", run(Arc::clone(&local), None, shutdown.clone()));
    tokio::time::sleep(Duration::from_millis(200)).await;
    let beat = clock::now();
    local.report("c", CheckStatus::Passing, "still well".into());
    let critical = |row: &CheckRow| row.status == CheckStatus::Critical;
    let output = run_until(&local, critical).await.await;
    let said = "TTL expired (last output before timeout follows): still well";
    assert_eq!(output, said);
    assert!(
        beat.elapsed() >= Duration::from_millis(300),
        "the second beat counts"
    );
    let mut changes = local.changes();
    while local.rows() != LocalRows::default() {
        changes.changed().await.unwrap();
    }
    let critical_for = Duration::from_millis(600);
    assert!(
        beat.elapsed() >= critical_for,
        "the service goes with its check, not before"
    );
    shutdown.begin();
}
