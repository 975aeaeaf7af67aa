//! From "start three processes at once" to "takes writes and answers DNS".

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use crate::Bench;
use crate::cluster::{Cluster, DNS, ETCD, HTTP, Make, wait};
use crate::dns::Resolver;
use crate::figures::Better;
use crate::grpc::{self, Grpc};
use crate::http;
use crate::makes::{self, Shape};

const SECTION: &str = "Formation: three servers started together";
const MOST: Duration = Duration::from_secs(60);

pub(crate) fn measure(bench: &mut Bench) -> Result<()> {
    for _ in 0..bench.rounds {
        for make in bench.makes(&[Make::Swarmer, Make::Etcd, Make::Consul]) {
            let cluster = makes::start(make, &bench.programs, Shape::servers_only())?;
            let write = first_write(&cluster)?;
            let figures = &mut bench.figures;
            let ms = |time: Duration| time.as_secs_f64() * 1000.0;
            let name = "first acknowledged write";
            figures
                .line(SECTION, name, "ms", Better::Less, Some(1000.0))
                .add(make, ms(write));
            if make != Make::Etcd {
                let dns = every_dns_answers(&cluster)?;
                let name = "every server answers DNS";
                figures
                    .line(SECTION, name, "ms", Better::Less, Some(1000.0))
                    .add(make, ms(dns));
            }
        }
    }
    Ok(())
}

/// Time since the start until the first server has taken a write.
pub(crate) fn first_write(cluster: &Cluster) -> Result<Duration> {
    let door = cluster.nodes.first().context("no nodes")?;
    if cluster.make == Make::Etcd {
        first_etcd_write(door.at(ETCD))?;
        return Ok(cluster.started.elapsed());
    }
    wait("acknowledged write", MOST, || {
        let timeout = Duration::from_secs(10);
        let (status, text) = http::request(door.at(HTTP), "PUT", "/v1/kv/first", "1", timeout)?;
        (status == 200 && text.trim() == "true")
            .then_some(())
            .context(text)
    })?;
    Ok(cluster.started.elapsed())
}

fn first_etcd_write(door: std::net::SocketAddr) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let mut message = Vec::new();
    grpc::bytes_field(&mut message, 1, b"first");
    grpc::bytes_field(&mut message, 2, b"1");
    let head = grpc::head("/etcdserverpb.KV/Put", &door.to_string());
    runtime.block_on(async {
        let end = Instant::now() + MOST;
        loop {
            let once = async { Grpc::connect(door).await?.call(&head, &message).await };
            match tokio::time::timeout(Duration::from_secs(10), once).await {
                Ok(Ok(())) => return Ok(()),
                _ if Instant::now() > end => anyhow::bail!("etcd took no write within {MOST:?}"),
                _ => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
    })
}

fn every_dns_answers(cluster: &Cluster) -> Result<Duration> {
    let first = cluster.nodes.first().context("no nodes")?;
    let name = format!("{}.node.{}", first.name, cluster.domain);
    for node in cluster.servers() {
        let mut dns = Resolver::new(node.at(DNS), Duration::from_millis(100))?;
        wait("answer from DNS", MOST, || {
            let found = dns.addresses(&name)?;
            found
                .contains(&first.address)
                .then_some(())
                .context(name.clone())
        })?;
    }
    Ok(cluster.started.elapsed())
}
