//! The registrator's way in: its services beside those of clients.

use super::{LocalServices, is_of, put_check, set_result};
use crate::decide::registrator::{Step, Wanted};
use crate::decide::services::LocalRows;
use crate::disk::DiskError;

impl LocalServices {
    /// Carries out what [`crate::decide::registrator::plan`] came to, all at once.
    pub async fn settle(&self, steps: Vec<Step>) -> Result<(), DiskError> {
        let results_only = steps.iter().all(|step| matches!(step, Step::Report { .. }));
        let now = self.now();
        self.edit(|rows| {
            for step in steps {
                match step {
                    Step::Keep(wanted) => {
                        let check = wanted.check.clone();
                        keep(rows, *wanted);
                        if let Some(check) = check {
                            put_check(rows, check, now);
                        }
                    }
                    Step::Release { service } => release(rows, &service),
                    Step::Report {
                        check,
                        status,
                        output,
                    } => {
                        if let Some(check) = rows.checks.get_mut(&check.to_lowercase()) {
                            set_result(check, status, output, now);
                        }
                    }
                }
            }
        });
        if results_only {
            return Ok(());
        }
        self.save().await
    }
}

fn keep(rows: &mut LocalRows, wanted: Wanted) {
    let id = wanted.service.id.to_lowercase();
    let before = rows.kept.insert(id.clone(), wanted.kept);
    if before.is_some_and(|before| before.check) && wanted.check.is_none() {
        drop_own_check(rows, &id);
    }
    rows.services.insert(id, wanted.service);
}

fn release(rows: &mut LocalRows, service: &str) {
    let id = service.to_lowercase();
    if rows.kept.remove(&id).is_some() {
        rows.checks.retain(|_, check| !is_of(check, service));
        rows.services.remove(&id);
    }
}

/// A client registers a service that was the registrator's: it is the client's from now on, and
/// nobody would go on with the check that came with it.
pub(super) fn hand_over(rows: &mut LocalRows, service: &str) {
    let id = service.to_lowercase();
    if rows.kept.remove(&id).is_some_and(|kept| kept.check) {
        drop_own_check(rows, &id);
    }
}

fn drop_own_check(rows: &mut LocalRows, service: &str) {
    rows.checks.remove(&format!("service:{service}"));
}
