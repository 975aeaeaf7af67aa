//! DNS over UDP: one task a socket.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::UdpSocket;

use crate::task::{Shutdown, spawn};

use super::dice::Dice;
use super::responder::{Errand, Responder, Verdict};
use super::stats::Transport;

/// Room for a query. Longer ones are cut by the kernel and then malformed.
const LONGEST_QUERY: usize = 4096;
/// Packets taken in a row before other tasks get their turn.
const BURST: usize = 64;
/// Pause after an error that is not about one packet, such as no memory.
const BREATH: Duration = Duration::from_millis(50);

/// Answers on `socket` until `shutdown`.
pub(super) async fn serve(socket: UdpSocket, responder: Arc<Responder>, shutdown: Shutdown) {
    let socket = Arc::new(socket);
    let mut worker = Worker {
        socket,
        responder,
        dice: Dice::new(),
        query: vec![0; LONGEST_QUERY],
        out: Vec::with_capacity(LONGEST_QUERY),
    };
    let work = async {
        loop {
            if let Err(error) = worker.burst().await {
                tracing::warn!(%error, "DNS socket");
                tokio::time::sleep(BREATH).await;
            }
        }
    };
    tokio::select! {
        () = work => {}
        () = shutdown.begun() => {}
    }
}

struct Worker {
    socket: Arc<UdpSocket>,
    responder: Arc<Responder>,
    dice: Dice,
    query: Vec<u8>,
    out: Vec<u8>,
}

impl Worker {
    /// Answers what is there.
    async fn burst(&mut self) -> io::Result<()> {
        self.socket.readable().await?;
        for _ in 0..BURST {
            let (length, client) = match self.socket.try_recv_from(&mut self.query) {
                Ok(received) => received,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            };
            self.answer(length, client).await;
        }
        tokio::task::yield_now().await;
        Ok(())
    }

    async fn answer(&mut self, length: usize, client: SocketAddr) {
        // Port 0 can't be answered; it is only ever forged.
        if client.port() == 0 {
            return;
        }
        let packet = self.query.get(..length).unwrap_or_default();
        let verdict = self.responder.respond(
            packet,
            client.ip(),
            Transport::Udp,
            &mut self.dice,
            &mut self.out,
        );
        match verdict {
            Verdict::Silent => {}
            Verdict::Answered => send(&self.socket, &self.out, client).await,
            Verdict::Later(errand) => self.later(errand, client),
        }
    }

    fn later(&self, errand: Errand, client: SocketAddr) {
        let responder = Arc::clone(&self.responder);
        let socket = Arc::clone(&self.socket);
        spawn("dns-upstream", async move {
            if let Some(answer) = responder.run(errand).await {
                send(&socket, &answer, client).await;
            }
        });
    }
}

/// A client that can't be reached is its own trouble, and asks again.
async fn send(socket: &UdpSocket, answer: &[u8], client: SocketAddr) {
    let sent = match socket.try_send_to(answer, client) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            socket.send_to(answer, client).await
        }
        sent => sent,
    };
    if let Err(error) = sent {
        tracing::debug!(%client, %error, "DNS answer not sent");
    }
}
