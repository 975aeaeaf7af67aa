//! Reads: how consistent, and how long to wait for something new.

use std::pin::pin;
use std::time::Duration;

use super::api::Api;
use super::reply::{Outcome, Problem, Reply};
use super::request::Request;
use crate::config::duration;
use crate::model::Topic;
use crate::state::State;

/// How long a blocking query waits when the client does not say.
const WAIT_DEFAULT: Duration = Duration::from_secs(300);
/// How long it waits at most, before jitter.
const WAIT_MAX: Duration = Duration::from_secs(600);
/// Waits are longer by a random part of up to this fraction, so that waiters do not come at once.
const JITTER: u32 = 16;

/// Where the answer comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// Linearizable at the first look.
    Default,
    /// Linearizable at every look.
    Consistent,
    /// This node's memory, at once.
    Stale,
}

/// The parameters that all reads share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ReadOptions {
    pub(super) mode: Mode,
    /// 0: don't wait.
    pub(super) index: u64,
    pub(super) wait: Duration,
}

fn bad(text: &str) -> Problem {
    Problem::Bad(text.to_owned())
}

impl ReadOptions {
    /// Reads them; `age` is how long ago this node last heard of the leader.
    pub(super) fn parse(request: &Request, age: Duration) -> Result<Self, Problem> {
        let query = &request.query;
        let index = match query.some("index") {
            Some(text) => parse_index(text)?,
            None => 0,
        };
        let wait = match query.some("wait") {
            Some(text) => {
                let nanos = duration::parse_nanos(text).map_err(|_| bad("Invalid wait time"))?;
                // A wait below zero is as good as none given.
                Duration::from_nanos(u64::try_from(nanos).unwrap_or(0))
            }
            None => Duration::ZERO,
        };
        check_cache_control(request)?;
        Ok(Self {
            mode: parse_mode(request, age)?,
            index,
            wait: if wait.is_zero() {
                WAIT_DEFAULT
            } else {
                wait.min(WAIT_MAX)
            },
        })
    }
}

fn parse_index(text: &str) -> Result<u64, Problem> {
    super::request::parse_uint(text).map_err(|_| bad("Invalid index"))
}

fn parse_mode(request: &Request, age: Duration) -> Result<Mode, Problem> {
    let query = &request.query;
    let consistent = query.has("consistent");
    let mut stale = query.has("stale");
    if stale && consistent {
        return Err(bad(
            "Cannot specify ?stale with ?consistent, conflicting semantics.",
        ));
    }
    if query.has("cached") && consistent {
        return Err(bad(
            "Cannot specify ?cached with ?consistent, conflicting semantics.",
        ));
    }
    if let Some(text) = query.some("max_stale") {
        let most = duration::parse(text)
            .map_err(|_| Problem::Bad(format!("Invalid max_stale value {text:?}")))?;
        if consistent && !most.is_zero() {
            return Err(bad(
                "Cannot specify ?stale with ?consistent, conflicting semantics.",
            ));
        }
        stale = !most.is_zero() && age <= most;
    }
    Ok(if consistent {
        Mode::Consistent
    } else if stale || query.has("cached") {
        Mode::Stale
    } else {
        Mode::Default
    })
}

fn check_cache_control(request: &Request) -> Result<(), Problem> {
    let Some(header) = request.header("cache-control") else {
        return Ok(());
    };
    for part in header.split(',') {
        if let Some((name, value)) = part.trim().split_once('=')
            && matches!(name, "max-age" | "stale-if-error")
            && value.parse::<u64>().is_err()
        {
            return Err(bad("Invalid Cache-Control header."));
        }
    }
    Ok(())
}

/// A read that may wait: subscribes to `topics`, looks, and answers once `index` is past the one
/// that the client has, or when the wait is over. Dropping the future ends the wait.
pub(super) async fn read(
    api: &Api,
    request: &Request,
    topics: Vec<Topic>,
    index: impl Fn(&State) -> u64,
    render: impl FnOnce(&State) -> Outcome,
) -> Outcome {
    api.check_dc(request)?;
    let options = ReadOptions::parse(request, api.store().contact().age)?;
    if options.index > 0 {
        wait_for_news(api, &options, topics, &index).await?;
    } else {
        settle(api, options.mode).await?;
    }
    let state = api.store().state();
    let reply = match render(&state) {
        Ok(reply) => reply,
        // Clients that watch need the index on a 404 too.
        Err(problem @ Problem::Missing(_)) => problem.reply(),
        Err(other) => return Err(other),
    };
    Ok(stamp(api, options.mode, index(&state), reply))
}

async fn settle(api: &Api, mode: Mode) -> Result<(), Problem> {
    match mode {
        Mode::Stale => Ok(()),
        Mode::Default | Mode::Consistent => Ok(api.store().linearize().await?),
    }
}

async fn wait_for_news(
    api: &Api,
    options: &ReadOptions,
    topics: Vec<Topic>,
    index: &impl Fn(&State) -> u64,
) -> Result<(), Problem> {
    let mut over = pin!(tokio::time::sleep(
        options.wait + random_part(options.wait / JITTER)
    ));
    let _waiting = api.metrics().waiting();
    let watch = api.store().watch(topics);
    settle(api, options.mode).await?;
    let mut applied = 0;
    loop {
        let state = api.store().state();
        // A copy that went back was replaced by a restored one: that is news too.
        if index(&state).max(1) > options.index || state.index() < applied {
            return Ok(());
        }
        applied = state.index();
        drop(state);
        tokio::select! {
            () = watch.changed() => {}
            () = &mut over => return Ok(()),
        }
        if options.mode == Mode::Consistent {
            settle(api, options.mode).await?;
        }
    }
}

/// Adds the headers that tell a reader how new the answer is.
fn stamp(api: &Api, mode: Mode, index: u64, reply: Reply) -> Reply {
    let contact = api.store().contact();
    let (word, known, age) = match mode {
        Mode::Default => ("leader", true, 0),
        Mode::Consistent => ("consistent", true, 0),
        Mode::Stale => ("stale", contact.leader.is_some(), contact.age.as_millis()),
    };
    reply
        .with("X-Consul-Index", index.max(1).to_string())
        .with("X-Consul-KnownLeader", known.to_string())
        .with("X-Consul-LastContact", age.to_string())
        .with("X-Consul-Effective-Consistency", word)
        .with("X-Consul-Query-Backend", "blocking-query")
}

/// Uniform in `[0, most)`.
fn random_part(most: Duration) -> Duration {
    let (random, _) = uuid::Uuid::new_v4().as_u64_pair();
    let nanos = u64::try_from(most.as_nanos()).unwrap_or(u64::MAX);
    Duration::from_nanos(random.checked_rem(nanos).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::super::caller::Caller;
    use super::*;

    fn options(query: &str) -> Result<ReadOptions, String> {
        let uri = format!("/v1/kv/a?{query}");
        let request = Request::new("GET", &uri, Vec::new(), Caller::plain()).unwrap();
        ReadOptions::parse(&request, Duration::from_secs(5)).map_err(|error| error.to_string())
    }

    #[test]
    fn waits_default_to_five_minutes_and_end_at_ten() {
        assert_eq!(options("index=1").unwrap().wait, WAIT_DEFAULT);
        assert_eq!(options("index=1&wait=0").unwrap().wait, WAIT_DEFAULT);
        assert_eq!(options("index=1&wait=-5s").unwrap().wait, WAIT_DEFAULT);
        assert_eq!(
            options("wait=9.998s").unwrap().wait,
            Duration::from_millis(9998)
        );
        assert_eq!(options("wait=3h").unwrap().wait, WAIT_MAX);
    }

    #[test]
    fn contradictions_and_nonsense_are_refused() {
        for (query, text) in [
            ("index=x", "Invalid index"),
            ("index=-1", "Invalid index"),
            ("wait=10", "Invalid wait time"),
            ("wait=x", "Invalid wait time"),
            (
                "stale&consistent",
                "Cannot specify ?stale with ?consistent, conflicting semantics.",
            ),
            (
                "cached&consistent",
                "Cannot specify ?cached with ?consistent, conflicting semantics.",
            ),
            ("max_stale=x", "Invalid max_stale value \"x\""),
        ] {
            assert_eq!(options(query).unwrap_err(), text, "{query}");
        }
    }

    #[test]
    fn max_stale_allows_only_what_is_young_enough() {
        assert_eq!(options("max_stale=10s").unwrap().mode, Mode::Stale);
        assert_eq!(options("max_stale=1s").unwrap().mode, Mode::Default);
        assert_eq!(options("stale=0").unwrap().mode, Mode::Stale);
        assert_eq!(options("cached").unwrap().mode, Mode::Stale);
    }

    #[test]
    fn jitter_stays_below_its_bound() {
        let most = Duration::from_millis(10);
        assert!((0..1000).all(|_| random_part(most) < most));
        assert_eq!(random_part(Duration::ZERO), Duration::ZERO);
    }
}
