//! Taking connections in, until the shutdown.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use super::{Shutdown, spawn};

/// Pause after an accept failed, such as too many open files.
const BREATH: Duration = Duration::from_millis(100);

/// Whose connections they are, and how many there may be at a time.
#[derive(Clone, Copy, Debug)]
pub struct Reception {
    /// For the log: "the engine's front".
    pub who: &'static str,
    /// The name of the task that serves a connection.
    pub task: &'static str,
    /// Beyond this a connection is closed at once rather than left waiting.
    pub most: usize,
}

impl Reception {
    /// Serves each connection in a task of its own. Returns when the shutdown begins; what is
    /// being served then is the tasks' own affair.
    pub async fn run<S>(
        self,
        listener: TcpListener,
        shutdown: &Shutdown,
        serve: impl Fn(TcpStream, SocketAddr) -> S,
    ) where
        S: Future<Output = ()> + Send + 'static,
    {
        let places = Arc::new(Semaphore::new(self.most));
        loop {
            let accepted = tokio::select! {
                () = shutdown.begun() => return,
                accepted = listener.accept() => accepted,
            };
            let (stream, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!("{} can't accept a connection: {error}", self.who);
                    tokio::time::sleep(BREATH).await;
                    continue;
                }
            };
            let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
                continue;
            };
            let served = serve(stream, peer);
            spawn(self.task, async move {
                served.await;
                drop(place);
            });
        }
    }
}
