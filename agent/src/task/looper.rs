//! The one shape of every loop: wake on change or on tick, look, decide, act, sleep.

use std::borrow::Cow;
use std::error::Error;
use std::future::Future;
use std::time::Duration;

use super::{Backoff, Chain, Shutdown};

const BACKOFF_FIRST: Duration = Duration::from_millis(200);
const BACKOFF_CAP: Duration = Duration::from_secs(15);

/// When a loop wants to look again, if nothing wakes it before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// At the loop's tick.
    OnTick,
    /// After this long: there is a deadline before the tick.
    After(Duration),
}

/// What a loop does. A round looks at everything there is and does what follows from it, so it
/// doesn't matter how often it is woken, and why.
pub trait Round: Send {
    /// What may go wrong in a round.
    type Error: Error + Send;

    /// Returns when there may be something new. It is cancelled and called anew, so it must
    /// remember wake-ups that come in between (as `Notify` and the store's `Watch` do); subscribe
    /// before the first round.
    fn wake(&mut self) -> impl Future<Output = ()> + Send;

    /// Looks, decides, acts. It is never cancelled by the runner: it bounds its own time.
    fn round(&mut self) -> impl Future<Output = Result<Next, Self::Error>> + Send;
}

/// Runs [`Round`]s until the shutdown begins.
#[derive(Debug)]
pub struct Looper {
    name: Cow<'static, str>,
    tick: Duration,
    backoff: Backoff,
    shutdown: Shutdown,
}

impl Looper {
    /// A loop that looks at least every `tick` until `shutdown` begins.
    #[must_use]
    pub fn new(name: impl Into<Cow<'static, str>>, tick: Duration, shutdown: &Shutdown) -> Self {
        Self {
            name: name.into(),
            tick,
            backoff: Backoff::new(BACKOFF_FIRST, BACKOFF_CAP.min(tick.max(BACKOFF_FIRST))),
            shutdown: shutdown.clone(),
        }
    }

    /// Waits after errors as `backoff` says, instead of 200 ms up to 15 s or the tick.
    #[must_use]
    pub fn with_backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = backoff;
        self
    }

    /// Runs rounds, the first at once, then whenever woken or when it is time. After an error only
    /// the back-off counts: news does not make a failing thing work.
    pub async fn run<R: Round>(mut self, mut work: R) {
        let mut failures = 0u32;
        while !self.shutdown.is_begun() {
            match work.round().await {
                Ok(next) => {
                    if failures > 0 {
                        tracing::info!(failures, "{}: works again", self.name);
                    }
                    failures = 0;
                    self.backoff.reset();
                    let pause = match next {
                        Next::OnTick => self.tick,
                        Next::After(span) => span.min(self.tick),
                    };
                    tokio::select! {
                        () = self.shutdown.begun() => {}
                        () = work.wake() => {}
                        () = tokio::time::sleep(pause) => {}
                    }
                }
                Err(error) => {
                    failures = failures.saturating_add(1);
                    let pause = self.backoff.next_delay();
                    tracing::warn!(failures, again_in = ?pause, "{}: {}", self.name, Chain(&error));
                    tokio::select! {
                        () = self.shutdown.begun() => {}
                        () = tokio::time::sleep(pause) => {}
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::sync::{Notify, mpsc};

    use super::*;
    use crate::task::{clock, soon, spawn};

    const NEVER: Duration = Duration::from_secs(3600);
    const SOON: Duration = Duration::from_millis(5);

    /// Counts its rounds; in the first it is woken five times.
    struct Counting {
        woken: Arc<Notify>,
        rounds: mpsc::UnboundedSender<u32>,
        number: u32,
    }

    impl Round for Counting {
        type Error = std::io::Error;

        async fn wake(&mut self) {
            self.woken.notified().await;
        }

        async fn round(&mut self) -> Result<Next, Self::Error> {
            self.number += 1;
            if self.number == 1 {
                (0..5).for_each(|_| self.woken.notify_one());
                tokio::task::yield_now().await;
            }
            let _ = self.rounds.send(self.number);
            Ok(Next::OnTick)
        }
    }

    #[tokio::test]
    async fn wake_ups_coalesce_and_none_is_lost_while_it_acts() {
        let shutdown = Shutdown::new();
        let woken = Arc::new(Notify::new());
        let (rounds, mut seen) = mpsc::unbounded_channel();
        let looper = Looper::new("test", NEVER, &shutdown);
        let work = Counting {
            woken: Arc::clone(&woken),
            rounds,
            number: 0,
        };
        let task = spawn("test", looper.run(work));
        assert_eq!(soon(seen.recv()).await, Some(1));
        assert_eq!(
            soon(seen.recv()).await,
            Some(2),
            "woken in mid-round: once more"
        );
        let more = tokio::time::timeout(SOON * 10, seen.recv()).await;
        assert!(more.is_err(), "five wake-ups make one round");
        woken.notify_one();
        assert_eq!(soon(seen.recv()).await, Some(3));
        shutdown.begin();
        soon(task.join()).await.unwrap();
    }

    /// Ends the loop in its fourth round.
    struct Four<'a> {
        shutdown: Shutdown,
        rounds: &'a mut u32,
        nagging: bool,
        answer: fn() -> Result<Next, std::io::Error>,
    }

    impl Round for Four<'_> {
        type Error = std::io::Error;

        async fn wake(&mut self) {
            if !self.nagging {
                std::future::pending::<()>().await;
            }
        }

        async fn round(&mut self) -> Result<Next, Self::Error> {
            *self.rounds += 1;
            if *self.rounds == 4 {
                self.shutdown.begin();
            }
            (self.answer)()
        }
    }

    #[tokio::test]
    async fn it_looks_on_its_tick_or_when_the_round_asked_for() {
        type Case = (Duration, fn() -> Result<Next, std::io::Error>);
        let cases: [Case; 2] = [
            (SOON, || Ok(Next::OnTick)),
            (NEVER, || Ok(Next::After(SOON))),
        ];
        for (tick, answer) in cases {
            let (shutdown, mut rounds) = (Shutdown::new(), 0);
            let work = Four {
                shutdown: shutdown.clone(),
                rounds: &mut rounds,
                nagging: false,
                answer,
            };
            soon(Looper::new("test", tick, &shutdown).run(work)).await;
            assert_eq!(rounds, 4);
        }
    }

    #[tokio::test]
    async fn errors_slow_it_down_however_often_it_is_woken() {
        let (shutdown, mut rounds) = (Shutdown::new(), 0);
        let started = clock::now();
        let work = Four {
            shutdown: shutdown.clone(),
            rounds: &mut rounds,
            nagging: true,
            answer: || Err(std::io::Error::other("no")),
        };
        let backoff = Backoff::new(SOON * 4, SOON * 4);
        let looper = Looper::new("test", NEVER, &shutdown).with_backoff(backoff);
        soon(looper.run(work)).await;
        assert_eq!(rounds, 4);
        assert!(
            started.elapsed() >= SOON * 6,
            "three waits of 10 ms or more"
        );
    }
}
