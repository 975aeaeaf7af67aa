//! `/metrics` in Prometheus' text format
//! (<https://prometheus.io/docs/instrumenting/exposition_formats/>).

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};

use super::api::Api;
use super::reply::{Outcome, Reply};
use super::request::Request;
use crate::model::MemberStatus;

/// Appends another room's figures, in the same format.
pub type MetricsSource = Box<dyn Fn(&mut String) + Send + Sync>;

const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// What the API counts.
pub(super) struct Metrics {
    answers: [AtomicU64; CLASSES.len()],
    waiting: AtomicU64,
    sources: Vec<MetricsSource>,
}

/// Counts a blocking query as long as it lives.
pub(super) struct Waiting<'a>(&'a AtomicU64);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Metrics {
    pub(super) fn new(sources: Vec<MetricsSource>) -> Self {
        Self {
            answers: Default::default(),
            waiting: AtomicU64::new(0),
            sources,
        }
    }

    pub(super) fn answered(&self, status: u16) {
        let class = usize::from(status / 100).saturating_sub(1);
        if let Some(counter) = self.answers.get(class) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn waiting(&self) -> Waiting<'_> {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        Waiting(&self.waiting)
    }

    /// How many blocking queries wait now.
    pub(super) fn waiters(&self) -> u64 {
        self.waiting.load(Ordering::Relaxed)
    }
}

/// `GET /metrics`.
pub(super) async fn serve(api: &Api, _: &Request) -> Outcome {
    let mut page = Page(String::new());
    page.of_this_agent(api);
    page.of_the_cluster(api);
    let sources = &api.metrics().sources;
    sources.iter().for_each(|source| source(&mut page.0));
    Ok(Reply {
        body: page.0.into(),
        ..Reply::empty().with("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
    })
}

/// `GET /healthz`: 200 while this node knows a leader, 503 otherwise.
pub(super) async fn healthz(api: &Api, _: &Request) -> Outcome {
    let contact = api.store().contact();
    Ok(match contact.leader {
        Some(_) => Reply::text(200, "ok\n"),
        None => Reply::text(
            503,
            format!("no leader known, last heard {:?} ago\n", contact.age),
        ),
    })
}

struct Page(String);

impl Page {
    fn of_this_agent(&mut self, api: &Api) {
        let who = api.identity();
        let info = "swarmer_info";
        self.head(info, "gauge", "The agent's version and role");
        let labels = format!(
            "version=\"{}\",role=\"{}\",node=\"{}\"",
            who.version, who.role, who.name
        );
        self.line(info, &labels, 1.0);
        let answers = "swarmer_http_responses_total";
        self.head(answers, "counter", "HTTP answers by class of status");
        for (class, counter) in CLASSES.iter().zip(&api.metrics().answers) {
            let count = counter.load(Ordering::Relaxed) as f64;
            self.line(answers, &format!("class=\"{class}\""), count);
        }
        let waiters = api.metrics().waiters() as f64;
        let help = "Blocking queries that wait now";
        self.one("swarmer_http_blocking_queries", help, waiters);
    }

    fn of_the_cluster(&mut self, api: &Api) {
        let state = api.store().state();
        let contact = api.store().contact();
        let index = state.index() as f64;
        self.one("swarmer_state_index", "Last index of the local copy", index);
        let known = if contact.leader.is_some() { 1.0 } else { 0.0 };
        self.one(
            "swarmer_leader_known",
            "Whether this node knows a leader",
            known,
        );
        let age = contact.age.as_secs_f64();
        let help = "Time since the leader was last heard";
        self.one("swarmer_leader_contact_seconds", help, age);
        let members = "swarmer_members";
        self.head(members, "gauge", "Members by status");
        for (word, status) in [
            ("alive", MemberStatus::Alive),
            ("lapsed", MemberStatus::Lapsed),
            ("failed", MemberStatus::Failed),
            ("leaving", MemberStatus::Leaving),
        ] {
            let such = state.members().filter(|member| member.status == status);
            self.line(members, &format!("status=\"{word}\""), such.count() as f64);
        }
    }

    fn head(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a string can't fail.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn line(&mut self, name: &str, labels: &str, value: f64) {
        let _ = writeln!(self.0, "{name}{{{labels}}} {value}");
    }

    fn one(&mut self, name: &str, help: &str, value: f64) {
        self.head(name, "gauge", help);
        let _ = writeln!(self.0, "{name} {value}");
    }
}
