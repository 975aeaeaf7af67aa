//! A cloud as a source of addresses: asked seldom, and never waited for by those who have others
//! to ask.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::provider::{Machine, Provider, ProviderError};
use crate::task::{AbortOnDrop, Backoff, clock, spawn};

/// A cloud is asked again when its last answer is older than this.
const FRESH: Duration = Duration::from_secs(5);
/// After errors, ever more seldom, up to this.
const CALM: Duration = Duration::from_secs(60);
/// Trouble is told once in this time.
const TOLD: Duration = Duration::from_secs(60);
/// A question that takes longer has not been answered.
const PATIENCE: Duration = Duration::from_secs(120);
/// The first answer may be waited for this long; what was known before is given at once.
const FIRST: Duration = Duration::from_secs(3);

/// What one entry of `join` with `provider=` comes to.
pub struct Cloud {
    provider: Arc<dyn Provider>,
    port: u16,
    asking: Mutex<Asking>,
    known: watch::Sender<Option<BTreeSet<SocketAddr>>>,
}

struct Asking {
    not_before: Instant,
    pace: Backoff,
    told: Option<Instant>,
    task: Option<AbortOnDrop>,
}

impl Cloud {
    /// Asks this provider for machines whose agents listen on this RPC port.
    #[must_use]
    pub fn new(provider: Arc<dyn Provider>, port: u16) -> Arc<Self> {
        let asking = Asking {
            not_before: clock::now(),
            pace: Backoff::new(FRESH, CALM),
            told: None,
            task: None,
        };
        Arc::new(Self {
            provider,
            port,
            asking: Mutex::new(asking),
            known: watch::Sender::new(None),
        })
    }

    /// The provider behind it.
    #[must_use]
    pub fn provider(&self) -> &Arc<dyn Provider> {
        &self.provider
    }

    /// What the last answer said. Where that is old, it is asked for anew, meanwhile.
    pub(super) async fn addresses(self: &Arc<Self>) -> Vec<SocketAddr> {
        self.refresh();
        let mut known = self.known.subscribe();
        let first = known.wait_for(Option::is_some);
        if let Ok(Ok(known)) = tokio::time::timeout(FIRST, first).await {
            return known.iter().flatten().copied().collect();
        }
        self.nothing_yet();
        Vec::new()
    }

    /// Nobody waits for the first answer again.
    fn nothing_yet(&self) {
        self.known.send_if_modified(|known| {
            let first = known.is_none();
            known.get_or_insert_default();
            first
        });
    }

    fn refresh(self: &Arc<Self>) {
        let mut asking = self.lock();
        if clock::now() < asking.not_before {
            return;
        }
        // Nobody asks again before this answer is there.
        asking.not_before = clock::now() + PATIENCE + FRESH;
        let weak = Arc::downgrade(self);
        let provider = Arc::clone(&self.provider);
        let name = format!("discovery ({})", provider.kind());
        let task = spawn(name, async move {
            let answer = tokio::time::timeout(PATIENCE, provider.machines()).await;
            let answer = answer.unwrap_or_else(|_| Err(never_answered(provider.kind())));
            if let Some(cloud) = weak.upgrade() {
                cloud.note(answer);
            }
        });
        asking.task = Some(task.abort_on_drop());
    }

    fn note(&self, answer: Result<Vec<Machine>, ProviderError>) {
        let mut asking = self.lock();
        match answer {
            Ok(machines) => {
                let found = machines
                    .iter()
                    .filter_map(|machine| machine.address.as_ref().ok());
                let found = found.map(|address| SocketAddr::new(*address, self.port));
                let found: BTreeSet<_> = found.collect();
                asking.pace.reset();
                asking.not_before = clock::now() + FRESH;
                if found.is_empty() {
                    let (kind, count) = (self.provider.kind(), machines.len());
                    asking.tell(&format_args!(
                        "provider={kind}: {count} machines have the tags, and none of them can be asked; `swarmer discover` shows why"
                    ));
                }
                self.known.send_if_modified(|known| {
                    let news = known.as_ref() != Some(&found);
                    if news {
                        tracing::info!(provider = self.provider.kind(), ?found, "discovered");
                        *known = Some(found);
                    }
                    news
                });
            }
            Err(error) => {
                let wait = match &error {
                    ProviderError::Throttled {
                        after: Some(after), ..
                    } => (*after).max(asking.pace.next_delay()),
                    _ => asking.pace.next_delay(),
                };
                asking.not_before = clock::now() + wait;
                asking.tell(&error);
                // What was known stays known.
                self.nothing_yet();
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Asking> {
        self.asking.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn never_answered(kind: &str) -> ProviderError {
    ProviderError::Unreachable {
        call: "listing machines",
        at: kind.to_owned(),
        why: format!("no answer within {} s", PATIENCE.as_secs()),
    }
}

impl Asking {
    fn tell(&mut self, trouble: &dyn Display) {
        if self.told.is_none_or(|at| at.elapsed() >= TOLD) {
            tracing::warn!("discovery: {trouble}");
            self.told = Some(clock::now());
        }
    }
}
