//! What the DNS server counts.

use std::sync::atomic::{AtomicU64, Ordering};

use hickory_proto::op::ResponseCode;

/// How a client reached us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Transport {
    /// One packet each way.
    Udp,
    /// A stream.
    Tcp,
}

/// Counters of the DNS server since its start. Read them with [`DnsStats::counters`].
#[derive(Debug, Default)]
pub struct DnsStats {
    udp: AtomicU64,
    tcp: AtomicU64,
    noerror: AtomicU64,
    nxdomain: AtomicU64,
    servfail: AtomicU64,
    refused: AtomicU64,
    formerr: AtomicU64,
    notimp: AtomicU64,
    other: AtomicU64,
    cut: AtomicU64,
    dropped: AtomicU64,
    forwarded: AtomicU64,
    upstream_failures: AtomicU64,
    crowded: AtomicU64,
}

/// One counter: `name{label="value"} count`, as Prometheus writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counter {
    /// Its name.
    pub name: &'static str,
    /// Its label and that label's value, if it has one.
    pub label: Option<(&'static str, &'static str)>,
    /// How often since the start.
    pub count: u64,
}

impl DnsStats {
    /// All counters as they are now.
    #[must_use]
    pub fn counters(&self) -> Vec<Counter> {
        const QUERIES: &str = "swarmer_dns_queries_total";
        const ANSWERS: &str = "swarmer_dns_answers_total";
        let rows = [
            (QUERIES, Some(("transport", "udp")), &self.udp),
            (QUERIES, Some(("transport", "tcp")), &self.tcp),
            (ANSWERS, Some(("rcode", "NOERROR")), &self.noerror),
            (ANSWERS, Some(("rcode", "NXDOMAIN")), &self.nxdomain),
            (ANSWERS, Some(("rcode", "SERVFAIL")), &self.servfail),
            (ANSWERS, Some(("rcode", "REFUSED")), &self.refused),
            (ANSWERS, Some(("rcode", "FORMERR")), &self.formerr),
            (ANSWERS, Some(("rcode", "NOTIMP")), &self.notimp),
            (ANSWERS, Some(("rcode", "other")), &self.other),
            ("swarmer_dns_answers_cut_total", None, &self.cut),
            ("swarmer_dns_dropped_total", None, &self.dropped),
            ("swarmer_dns_forwarded_total", None, &self.forwarded),
            (
                "swarmer_dns_upstream_failures_total",
                None,
                &self.upstream_failures,
            ),
            ("swarmer_dns_crowded_total", None, &self.crowded),
        ];
        let read = |(name, label, count): (_, _, &AtomicU64)| Counter {
            name,
            label,
            count: count.load(Ordering::Relaxed),
        };
        rows.map(read).to_vec()
    }

    /// Appends the counters in Prometheus' text format.
    pub fn append(&self, out: &mut String) {
        let mut family = "";
        for Counter { name, label, count } in self.counters() {
            if name != family {
                family = name;
                out.push_str(&format!("# TYPE {name} counter\n"));
            }
            let label = label.map(|(key, value)| format!("{{{key}=\"{value}\"}}"));
            out.push_str(&format!("{name}{} {count}\n", label.unwrap_or_default()));
        }
    }

    pub(super) fn asked(&self, transport: Transport) {
        one(match transport {
            Transport::Udp => &self.udp,
            Transport::Tcp => &self.tcp,
        });
    }

    pub(super) fn answered(&self, code: ResponseCode) {
        one(match code {
            ResponseCode::NoError => &self.noerror,
            ResponseCode::NXDomain => &self.nxdomain,
            ResponseCode::ServFail => &self.servfail,
            ResponseCode::Refused => &self.refused,
            ResponseCode::FormErr => &self.formerr,
            ResponseCode::NotImp => &self.notimp,
            _ => &self.other,
        });
    }

    /// An answer did not fit and says so.
    pub(super) fn cut(&self) {
        one(&self.cut);
    }

    /// A packet was not worth an answer.
    pub(super) fn dropped(&self) {
        one(&self.dropped);
    }

    /// A query went to the upstreams.
    pub(super) fn forwarded(&self) {
        one(&self.forwarded);
    }

    /// One upstream did not give a usable answer in time.
    pub(super) fn upstream_failed(&self) {
        one(&self.upstream_failures);
    }

    /// A query or a connection was turned away because there were too many.
    pub(super) fn crowded(&self) {
        one(&self.crowded);
    }
}

fn one(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_family_is_declared_once_before_its_lines() {
        let stats = DnsStats::default();
        stats.asked(Transport::Tcp);
        stats.answered(ResponseCode::NXDomain);
        let mut text = String::new();
        stats.append(&mut text);
        let start = "# TYPE swarmer_dns_queries_total counter\n\
             swarmer_dns_queries_total{transport=\"udp\"} 0\n\
             swarmer_dns_queries_total{transport=\"tcp\"} 1\n\
             # TYPE swarmer_dns_answers_total counter\n";
        assert!(text.starts_with(start), "{text}");
        assert!(text.contains("{rcode=\"NXDOMAIN\"} 1\n"), "{text}");
        assert!(text.contains("\nswarmer_dns_forwarded_total 0\n"), "{text}");
        assert_eq!(text.matches("# TYPE").count(), 7, "{text}");
    }
}
