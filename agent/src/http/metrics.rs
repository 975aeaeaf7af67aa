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
    let state = api.store().state();
    let contact = api.store().contact();
    page.head("swarmer_info", "gauge", "The agent's version and role");
    let who = api.identity();
    let labels = format!(
        "version=\"{}\",role=\"{}\",node=\"{}\"",
        who.version, who.role, who.name
    );
    page.line("swarmer_info", &labels, 1.0);
    page.head(
        "swarmer_http_responses_total",
        "counter",
        "HTTP answers by class of status",
    );
    for (class, counter) in CLASSES.iter().zip(&api.metrics().answers) {
        let count = counter.load(Ordering::Relaxed);
        page.line(
            "swarmer_http_responses_total",
            &format!("class=\"{class}\""),
            count as f64,
        );
    }
    let waiters = api.metrics().waiters() as f64;
    page.one(
        "swarmer_http_blocking_queries",
        "gauge",
        "Blocking queries that wait now",
        waiters,
    );
    page.one(
        "swarmer_state_index",
        "gauge",
        "Last index of the local copy",
        state.index() as f64,
    );
    let known = if contact.leader.is_some() { 1.0 } else { 0.0 };
    page.one(
        "swarmer_leader_known",
        "gauge",
        "Whether this node knows a leader",
        known,
    );
    let age = contact.age.as_secs_f64();
    page.one(
        "swarmer_leader_contact_seconds",
        "gauge",
        "Time since the leader was last heard",
        age,
    );
    page.head("swarmer_members", "gauge", "Members by status");
    for (word, status) in [
        ("alive", MemberStatus::Alive),
        ("lapsed", MemberStatus::Lapsed),
        ("failed", MemberStatus::Failed),
        ("leaving", MemberStatus::Leaving),
    ] {
        let count = state
            .members()
            .filter(|member| member.status == status)
            .count();
        page.line(
            "swarmer_members",
            &format!("status=\"{word}\""),
            count as f64,
        );
    }
    api.metrics()
        .sources
        .iter()
        .for_each(|source| source(&mut page.0));
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
    fn head(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a string can't fail.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn line(&mut self, name: &str, labels: &str, value: f64) {
        let _ = writeln!(self.0, "{name}{{{labels}}} {value}");
    }

    fn one(&mut self, name: &str, kind: &str, help: &str, value: f64) {
        self.head(name, kind, help);
        let _ = writeln!(self.0, "{name} {value}");
    }
}
