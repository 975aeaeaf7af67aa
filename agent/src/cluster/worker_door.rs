//! A worker's door: it lets nobody in. Whoever takes it for a server is told, and one who knows the
//! cluster's secret can check it: servers that count each other need not count this one (B1).

use std::time::Duration;

use futures_util::FutureExt as _;

use super::join_messages::{JoinCall, JoinReply, VERSION};
use crate::model::{Role, TokenId};
use crate::pki::proof::{self, Binding};
use crate::pki::{Csr, Token};
use crate::rpc::{Incoming, Peer};

/// There is one thing to say.
const STAY: Duration = Duration::from_secs(5);

/// Serves one join channel.
pub async fn serve(token: Token, peer: Peer, incoming: Incoming) {
    let exporter = peer.exporter;
    let answers = incoming.answer(move |request| {
        let reply = postcard::from_bytes(&request)
            .ok()
            .and_then(|call| answer(&token, exporter, call))
            .unwrap_or_else(|| JoinReply::Refused("this is a worker: ask a server".to_owned()));
        async move { postcard::to_stdvec(&reply).unwrap_or_default() }.boxed()
    });
    let _ = tokio::time::timeout(STAY, answers).await;
}

fn answer(token: &Token, exporter: [u8; 32], call: JoinCall) -> Option<JoinReply> {
    let JoinCall::Hello { csr, name, .. } = call else {
        return None;
    };
    let csr = Csr::from_der(&csr).ok()?;
    let binding = binding(token, exporter, &csr, &name);
    let mac = proof::worker_mac(&token.proof_key(), &binding).to_vec();
    Some(JoinReply::Worker {
        token: token.id(),
        mac,
    })
}

/// What the worker's word covers, on both sides.
fn binding(token: &Token, exporter: [u8; 32], csr: &Csr, name: &str) -> Binding {
    Binding {
        exporter,
        version: VERSION,
        role: Role::Worker,
        token: token.id(),
        csr_hash: csr.hash(),
        name: name.to_owned(),
    }
}

/// Whether the other side of this channel proved to be a worker of the cluster that `asker` is a
/// token of. Those who can't know take its word for nothing.
pub(super) fn is_proven(
    asker: &Token,
    exporter: [u8; 32],
    csr: &Csr,
    name: &str,
    said: (TokenId, &[u8]),
) -> bool {
    let worker = match asker.role() {
        Role::Worker => Some(asker.clone()),
        Role::Server => asker.derive(Role::Worker).ok(),
        Role::Operator => None,
    };
    worker.is_some_and(|worker| {
        let binding = binding(&worker, exporter, csr, name);
        worker.id() == said.0 && proof::is_worker_mac(&worker.proof_key(), &binding, said.1)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::NodeKey;

    const CHANNEL: [u8; 32] = [7; 32];

    fn said(worker: &Token, csr: &Csr) -> (TokenId, Vec<u8>) {
        let hello = JoinCall::Hello {
            version: VERSION,
            role: Role::Server,
            token: worker.id(),
            csr: csr.der().to_vec(),
            name: "s1".into(),
        };
        match answer(worker, CHANNEL, hello) {
            Some(JoinReply::Worker { token, mac }) => (token, mac),
            _ => panic!("a worker answers as one"),
        }
    }

    #[test]
    fn b1_a_worker_is_believed_by_its_own_cluster_on_its_own_channel_only() {
        let server = Token::generate_server();
        let worker = server.derive(Role::Worker).unwrap();
        let stranger = Token::generate_server();
        let csr = Csr::new(&NodeKey::generate().unwrap(), "s1").unwrap();
        let (id, mac) = said(&worker, &csr);
        let proven = |asker: &Token, channel| is_proven(asker, channel, &csr, "s1", (id, &mac));
        assert!(proven(&server, CHANNEL));
        assert!(proven(&worker, CHANNEL), "one of the same");
        assert!(!proven(&server, [8; 32]), "said on another channel");
        assert!(!proven(&stranger, CHANNEL), "of another cluster");
        let operator = server.derive(Role::Operator).unwrap();
        assert!(!proven(&operator, CHANNEL), "who can't know");
    }

    #[test]
    fn a_worker_hears_nothing_but_a_greeting() {
        let worker = Token::generate_server().derive(Role::Worker).unwrap();
        assert!(answer(&worker, CHANNEL, JoinCall::Login).is_none());
    }
}
