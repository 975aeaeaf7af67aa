//! A thousand blocking queries on one node, and one write elsewhere: when the last one is told.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::Bench;
use crate::cluster::{HTTP, Make};
use crate::figures::Better;
use crate::http;
use crate::makes::{self, Shape};

const SECTION: &str = "Blocking queries";
const WATCHERS: usize = 1000;
const KEY: &str = "/v1/kv/watched";

pub(crate) fn measure(bench: &mut Bench) -> Result<()> {
    for make in bench.makes(&[Make::Swarmer, Make::Consul]) {
        let cluster = makes::start(make, &bench.programs, Shape::servers_only())?;
        crate::formation::first_write(&cluster)?;
        let leader = cluster.leader()?;
        let watched = cluster.nodes[(leader + 1) % cluster.servers].at(HTTP);
        let written = cluster.nodes[(leader + 2) % cluster.servers].at(HTTP);
        for round in 0..bench.rounds {
            let time = last_told(watched, written, round)?;
            let name = "1,000 on one key: a write elsewhere, the last one told";
            let line = bench.figures.line(SECTION, name, "ms", Better::Less, None);
            line.add(make, time.as_secs_f64() * 1000.0);
        }
        let memory = cluster.nodes[(leader + 1) % cluster.servers]
            .process
            .resident()?;
        let line = bench
            .figures
            .line(SECTION, "that node's memory", "MiB", Better::Less, None);
        line.add(make, memory as f64 / 1_048_576.0);
    }
    Ok(())
}

fn last_told(watched: SocketAddr, written: SocketAddr, round: usize) -> Result<Duration> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    http::ask(written, "PUT", KEY, &format!("before {round}"))?;
    runtime.block_on(async {
        let index = index(watched).await?;
        let mut streams = Vec::new();
        for _ in 0..WATCHERS {
            let mut stream = TcpStream::connect(watched).await?;
            let request = get(watched, &format!("?index={index}&wait=60s"));
            stream.write_all(request.as_bytes()).await?;
            streams.push(stream);
        }
        tokio::time::sleep(Duration::from_millis(700)).await;
        let tasks: Vec<_> = streams
            .into_iter()
            .map(|mut stream| {
                tokio::spawn(async move {
                    let mut buffer = [0; 2048];
                    let count = stream.read(&mut buffer).await?;
                    anyhow::ensure!(count > 0, "a watcher was cut off");
                    Ok::<_, anyhow::Error>(Instant::now())
                })
            })
            .collect();
        tokio::task::yield_now().await;
        let start = Instant::now();
        let mut writer = TcpStream::connect(written).await?;
        let put =
            format!("PUT {KEY} HTTP/1.1\r\nHost: {written}\r\nContent-Length: 5\r\n\r\nafter");
        writer.write_all(put.as_bytes()).await?;
        let mut last = start;
        for task in tasks {
            last = last.max(task.await??);
        }
        Ok(last.duration_since(start))
    })
}

fn get(door: SocketAddr, query: &str) -> String {
    format!("GET {KEY}{query} HTTP/1.1\r\nHost: {door}\r\n\r\n")
}

async fn index(door: SocketAddr) -> Result<u64> {
    let mut stream = TcpStream::connect(door).await?;
    stream.write_all(get(door, "").as_bytes()).await?;
    let mut buffer = vec![0; 4096];
    let count = stream.read(&mut buffer).await?;
    let text = String::from_utf8_lossy(&buffer[..count]);
    let index = http::header(&text, "x-consul-index").context("no index")?;
    Ok(index.parse()?)
}
