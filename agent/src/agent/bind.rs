//! The ports of a node.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use tokio::net::TcpListener;

use super::{AgentError, address};
use crate::cluster::me::Me;
use crate::config::Config;

/// The listeners of this node.
pub(super) struct Bound {
    pub(super) rpc: TcpListener,
    pub(super) http: Vec<TcpListener>,
    pub(super) https: TcpListener,
    pub(super) registry: Option<TcpListener>,
    pub(super) docker: Option<TcpListener>,
}

/// Takes every port, or none.
pub(super) async fn bind(config: &Config, me: &Me) -> Result<Bound, AgentError> {
    let listen = async |what: &'static str, ip: IpAddr, port: u16| {
        let address = SocketAddr::new(ip, port);
        TcpListener::bind(address)
            .await
            .map_err(|source| AgentError::Bind {
                address,
                what,
                source,
            })
    };
    let mut http = Vec::new();
    // Plain HTTP stays on the host: loopback, or the admin address where that is one.
    let plain = if me.address.is_loopback() {
        me.address
    } else {
        Ipv4Addr::LOCALHOST.into()
    };
    http.push(listen("HTTP", plain, me.ports.http).await?);
    if config.docker.enabled && !me.address.is_loopback() {
        for bridge in address::docker_bridges() {
            http.push(listen("HTTP on Docker's bridge", bridge.ip.into(), me.ports.http).await?);
        }
    }
    let registry = if config.registry.enabled {
        Some(listen("the registry", me.address, me.ports.registry).await?)
    } else {
        None
    };
    let docker = if config.docker.enabled {
        Some(listen("the Docker Engine", me.address, me.ports.docker).await?)
    } else {
        None
    };
    Ok(Bound {
        rpc: listen("RPC", me.address, me.ports.rpc).await?,
        https: listen("HTTPS", me.address, me.ports.https).await?,
        http,
        registry,
        docker,
    })
}
