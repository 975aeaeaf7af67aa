//! Whom we reach ourselves, when no leader can tell.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::net::TcpStream;

use super::cluster_status::MemberStatus;

const PATIENCE: Duration = Duration::from_millis(700);

/// For each member, whether its RPC port takes a connection from here.
pub(super) async fn answering(members: &[MemberStatus]) -> Vec<bool> {
    let looks = members.iter().map(|member| async move {
        let connect = TcpStream::connect((member.address.as_str(), member.ports.rpc));
        matches!(tokio::time::timeout(PATIENCE, connect).await, Ok(Ok(_)))
    });
    join_all(looks).await
}
