//! A member's own certificate: renewed at half life, without a restart.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::authority;
use super::me::Me;
use super::messages::{Call, CallReply};
use super::papers::{self, Papers};
use super::path::Path;
use super::peers::Peers;
use super::worker_join;
use crate::discover::Sources;
use crate::disk::{DataDir, DiskError};
use crate::model::Role;
use crate::pki::{CertStore, Csr, PkiError, Token, Validity};
use crate::task::{Backoff, Shutdown, clock};

const CALL: Duration = Duration::from_secs(5);
/// Looked at this often, since a machine may have slept.
const LOOK: Duration = Duration::from_secs(30);

/// Why a renewal failed.
#[derive(Debug, thiserror::Error)]
pub enum RenewalError {
    /// Keys and certificates.
    #[error(transparent)]
    Pki(#[from] PkiError),
    /// The disk.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// No server signed.
    #[error("no server signed a new certificate; trying on")]
    Nobody,
}

/// Renews this node's certificate.
pub struct Renewal {
    /// This node.
    pub me: Arc<Me>,
    /// Its folder.
    pub disk: DataDir,
    /// Its papers, as kept.
    pub papers: Papers,
    /// Where the certificate in use is.
    pub certificates: Arc<CertStore>,
    /// The way to servers, for a worker.
    pub path: Arc<Path>,
    /// Connections, made anew with the new certificate.
    pub peers: Arc<Peers>,
    /// For a worker whose certificate has expired: it proves itself again.
    pub token: watch::Receiver<Option<Token>>,
    /// Where servers may be.
    pub sources: Sources,
    /// Told of every certificate that comes into use, the first included.
    pub in_use: Box<dyn Fn(&Papers) + Send + Sync>,
}

impl Renewal {
    /// Runs until `shutdown`.
    pub async fn run(mut self, shutdown: Shutdown) {
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));
        (self.in_use)(&self.papers);
        loop {
            let pause = match self.due() {
                Ok(Some(wait)) => wait.min(LOOK),
                Ok(None) => match self.renew(&shutdown).await {
                    Ok(()) => {
                        backoff.reset();
                        Duration::ZERO
                    }
                    Err(error) => {
                        tracing::warn!(%error, "the certificate is due for renewal");
                        backoff.next_delay()
                    }
                },
                Err(error) => {
                    tracing::error!(%error, "cannot read this node's own certificate");
                    backoff.next_delay()
                }
            };
            tokio::select! {
                () = shutdown.begun() => return,
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// How long until half of the life is over; `None`: now.
    fn due(&self) -> Result<Option<Duration>, PkiError> {
        let half = Validity::of_pem(&self.papers.certificate)?.half_life();
        Ok(half
            .duration_since(clock::wall())
            .ok()
            .filter(|wait| !wait.is_zero()))
    }

    async fn renew(&mut self, shutdown: &Shutdown) -> Result<(), RenewalError> {
        let certificate = match (&self.papers.server, self.me.role) {
            (Some(server), Role::Server) => {
                authority::sign_own(&self.me, self.papers.cluster, server, clock::wall())?
            }
            _ => self.ask(shutdown).await?,
        };
        self.papers.certificate = certificate;
        papers::keep(&self.disk, &self.papers)?;
        self.certificates
            .replace(&self.papers.certificate, &self.me.key)?;
        self.peers.forget_all();
        (self.in_use)(&self.papers);
        tracing::info!("renewed this node's certificate");
        Ok(())
    }

    async fn ask(&self, shutdown: &Shutdown) -> Result<String, RenewalError> {
        let csr = Csr::new(&self.me.key, self.me.name.as_str())?;
        let call = Call::Renew(csr.der().to_vec());
        for (node, address) in self.path.candidates() {
            match self.peers.call_at(node, address, &call, CALL).await {
                Ok(CallReply::Certificate(certificate)) => return Ok(certificate),
                Ok(_) => {}
                Err(error) => tracing::debug!(%address, %error, "not renewed here"),
            }
        }
        let expired = Validity::of_pem(&self.papers.certificate)?.is_over(clock::wall());
        let token = self.token.borrow().clone();
        if let (true, Some(token)) = (expired, token) {
            let joined = worker_join::join(&self.me, &token, &self.sources, shutdown).await?;
            return joined
                .map(|papers| papers.certificate)
                .ok_or(RenewalError::Nobody);
        }
        Err(RenewalError::Nobody)
    }
}
