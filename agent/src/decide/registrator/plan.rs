//! What must change among the services that are registered through this agent.

use super::checks::check_id;
use super::{Desired, Wanted};
use crate::decide::services::{LocalCheck, LocalRows};
use crate::model::{CheckRow, CheckStatus};

/// A change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Register the service with its check, or replace it; it is the registrator's.
    Keep(Box<Wanted>),
    /// Take the service away with its checks.
    Release {
        /// Its id.
        service: String,
    },
    /// The result of its check is this.
    Report {
        /// The check's id.
        check: String,
        /// The status.
        status: CheckStatus,
        /// The output.
        output: String,
    },
}

impl Step {
    /// The id of the service or the check that it is about.
    #[must_use]
    pub fn subject(&self) -> &str {
        match self {
            Self::Keep(wanted) => &wanted.service.id,
            Self::Release { service } => service,
            Self::Report { check, .. } => check,
        }
    }
}

/// The steps from `rows` to what is desired, those that release first. Ids that are taken by
/// services of others are left to them, which `desired` is told for the log.
#[must_use]
pub fn plan(desired: &mut Desired, rows: &LocalRows) -> Vec<Step> {
    let mut steps = Vec::new();
    for (id, kept) in &rows.kept {
        let stays = desired.services.get(id);
        // Another container of the same name: nothing of the old one's checks is true of it.
        if stays.is_none_or(|wanted| wanted.kept.origin != kept.origin) {
            let service = rows.services.get(id);
            let service = service.map_or_else(|| id.clone(), |row| row.id.clone());
            steps.push(Step::Release { service });
        }
    }
    for (id, wanted) in &desired.services {
        let before = rows.kept.get(id);
        let row = rows.services.get(id);
        if before.is_none() && row.is_some() {
            let (id, name) = (&wanted.service.id, &wanted.service.name);
            desired.complaints.push(format!(
                "service {name}: not registered: a client of this agent has registered the id {id:?}"
            ));
            continue;
        }
        let found = rows.check(&check_id(&wanted.service.id));
        let stands =
            before == Some(&wanted.kept) && row == Some(&wanted.service) && is_same(found, wanted);
        if !stands {
            steps.push(Step::Keep(Box::new(wanted.clone())));
        }
        let same_origin = before.is_some_and(|kept| kept.origin == wanted.kept.origin);
        let found = found.filter(|_| same_origin);
        steps.extend(
            wanted
                .check
                .as_ref()
                .and_then(|check| report(check, wanted, found)),
        );
    }
    steps
}

/// A check that is new starts with the result that it comes with.
fn report(check: &LocalCheck, wanted: &Wanted, found: Option<&LocalCheck>) -> Option<Step> {
    let (found, row) = (found?, &check.row);
    let before = (found.row.status, &found.row.output);
    // What was read from disk would take the catalog's word for its result, which is older.
    let news = found.restored || before != (row.status, &row.output);
    (wanted.told && news).then(|| Step::Report {
        check: row.check_id.clone(),
        status: row.status,
        output: row.output.clone(),
    })
}

/// Whether a check is as wanted, whatever its result.
fn is_same(found: Option<&LocalCheck>, wanted: &Wanted) -> bool {
    let Some(check) = &wanted.check else {
        return !wanted.kept.check;
    };
    let plain = |row: &CheckRow| CheckRow {
        status: CheckStatus::Critical,
        output: String::new(),
        ..row.clone()
    };
    found.is_some_and(|found| found.spec == check.spec && plain(&found.row) == plain(&check.row))
}
