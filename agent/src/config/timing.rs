//! The section `timing`.

use std::time::Duration;

use super::complaints::Complaints;
use super::field::Section;
use super::sections::section;
use super::{Timing, duration};

pub(super) const TIMING_KEYS: [&str; 5] =
    ["lease", "session_grace", "grace", "reap", "certificate"];

/// The shortest and the longest of each, which leave room for tests and for slow networks.
pub(super) const LEASE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_mins(1));
pub(super) const SESSION_GRACE: (Duration, Duration) =
    (Duration::from_millis(200), Duration::from_hours(1));
pub(super) const GRACE: (Duration, Duration) =
    (Duration::from_millis(500), Duration::from_hours(24));
pub(super) const REAP: (Duration, Duration) =
    (Duration::from_secs(1), Duration::from_hours(30 * 24));
pub(super) const CERTIFICATE: (Duration, Duration) =
    (Duration::from_secs(10), Duration::from_hours(365 * 24));

pub(super) fn timing(top: &Section<'_>, complaints: &mut Complaints) -> Timing {
    let mut timing = Timing::default();
    let Some(section) = section(top, "timing", Some(&TIMING_KEYS), complaints) else {
        return timing;
    };
    let mut read = |name: &str, default: Duration, (from, to): (Duration, Duration)| {
        let (low, high) = (duration::format(from), duration::format(to));
        let expected = format!("a duration from {low} to {high}, like \"2s\" or \"1h30m\"");
        let found = section.get(name, &expected, complaints, |field| {
            let span = duration::parse(field.text()?).ok()?;
            (from..=to).contains(&span).then_some(span)
        });
        found.unwrap_or(default)
    };
    timing.lease = read("lease", timing.lease, LEASE);
    timing.session_grace = read("session_grace", timing.session_grace, SESSION_GRACE);
    timing.grace = read("grace", timing.grace, GRACE);
    timing.reap = read("reap", timing.reap, REAP);
    timing.certificate = read("certificate", timing.certificate, CERTIFICATE);
    let order = [
        ("lease", timing.lease),
        ("session_grace", timing.session_grace),
        ("grace", timing.grace),
        ("reap", timing.reap),
    ];
    for pair in order.windows(2) {
        if let [(less, small), (more, large)] = *pair
            && small >= large
        {
            complain_of_order(&section, (less, small), (more, large), complaints);
        }
    }
    timing
}

/// At the key that the file gives; at the second, if it gives both.
fn complain_of_order(
    section: &Section<'_>,
    (less, small): (&str, Duration),
    (more, large): (&str, Duration),
    complaints: &mut Complaints,
) {
    let (small, large) = (duration::format(small), duration::format(large));
    if let Some(field) = section.field(more) {
        complaints.wrong(field, format!("more than timing.{less} ({small})"));
    } else if let Some(field) = section.field(less) {
        complaints.wrong(field, format!("less than timing.{more} ({large})"));
    }
}
