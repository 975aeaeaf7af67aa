use super::*;
use crate::decide::services::LocalCheck;
use crate::model::{CheckDefinition, CheckRow};

const S: Duration = Duration::from_secs(1);

fn rows(spec: CheckSpec, status: CheckStatus) -> LocalRows {
    let row = CheckRow {
        node: "n".into(),
        check_id: "c".into(),
        name: "c".into(),
        status,
        notes: String::new(),
        output: String::new(),
        service_id: "s".into(),
        service_name: String::new(),
        service_tags: Vec::new(),
        kind: String::new(),
        definition: CheckDefinition::default(),
        create_index: 0,
        modify_index: 0,
    };
    let check = LocalCheck {
        row,
        spec,
        beat: Duration::ZERO,
        restored: false,
        quiet_until: None,
    };
    LocalRows {
        checks: BTreeMap::from([("c".to_owned(), check)]),
        ..LocalRows::default()
    }
}

fn tcp() -> CheckSpec {
    CheckSpec {
        probe: Probe::Tcp {
            address: "h:1".into(),
        },
        interval: 10 * S,
        ..CheckSpec::fixed()
    }
}

#[test]
fn the_first_run_is_spread_and_the_next_comes_an_interval_after_the_last_ended() {
    let rows = rows(tcp(), CheckStatus::Critical);
    let mut checks = Checks::default();
    let plan = checks.plan(&rows, S, || 0.5);
    assert_eq!(
        plan,
        Plan {
            steps: vec![],
            again: Some(5 * S)
        }
    );
    let plan = checks.plan(&rows, 6 * S, || 0.5);
    assert_eq!(plan.steps, [Step::Run("c".into())]);
    assert_eq!(
        checks.plan(&rows, 60 * S, || 0.5),
        Plan::default(),
        "it runs once at a time"
    );
    checks.finished("c", &tcp(), CheckStatus::Passing, 62 * S);
    assert_eq!(checks.plan(&rows, 62 * S, || 0.5).again, Some(10 * S));
}

#[test]
fn thresholds_count_results_in_a_row() {
    use CheckStatus::{Critical, Passing, Warning};
    let spec = CheckSpec {
        success_before_passing: 2,
        failures_before_warning: 2,
        failures_before_critical: 3,
        ..tcp()
    };
    let rows = rows(spec.clone(), Critical);
    let mut checks = Checks::default();
    checks.plan(&rows, S, || 0.0);
    let script = [
        (Passing, Some(Passing)),
        (Critical, None),
        (Critical, Some(Warning)),
        (Critical, Some(Critical)),
        (Passing, None),
        (Warning, Some(Warning)),
        (Critical, None),
    ];
    for (at, (result, becomes)) in script.into_iter().enumerate() {
        assert_eq!(
            checks.finished("c", &spec, result, S),
            becomes,
            "result {at}"
        );
    }
    assert_eq!(checks.finished("gone", &spec, Passing, S), None);
    assert_eq!(
        checks.finished("c", &tcp(), Passing, S),
        None,
        "another definition's result"
    );
}

#[test]
fn a_ttl_runs_out_once_and_a_beat_puts_it_off() {
    let spec = CheckSpec {
        probe: Probe::Ttl(10 * S),
        ..CheckSpec::fixed()
    };
    let mut rows = rows(spec, CheckStatus::Passing);
    let mut checks = Checks::default();
    assert_eq!(checks.plan(&rows, 9 * S, || 0.0).again, Some(S));
    if let Some(check) = rows.checks.get_mut("c") {
        check.beat = 9 * S;
    }
    assert_eq!(checks.plan(&rows, 10 * S, || 0.0).again, Some(9 * S));
    assert_eq!(
        checks.plan(&rows, 19 * S, || 0.0).steps,
        [Step::Expire("c".into())]
    );
    if let Some(check) = rows.checks.get_mut("c") {
        check.row.status = CheckStatus::Critical;
    }
    assert_eq!(checks.plan(&rows, 30 * S, || 0.0), Plan::default());
}

#[test]
fn a_service_goes_when_it_was_critical_without_a_break() {
    let spec = CheckSpec {
        deregister_after: Some(60 * S),
        ..CheckSpec::fixed()
    };
    let mut rows = rows(spec, CheckStatus::Critical);
    let mut checks = Checks::default();
    assert_eq!(checks.plan(&rows, S, || 0.0).again, Some(60 * S));
    let mut turn = |status| {
        if let Some(check) = rows.checks.get_mut("c") {
            check.row.status = status;
        }
        rows.clone()
    };
    checks.plan(&turn(CheckStatus::Warning), 50 * S, || 0.0);
    let critical = turn(CheckStatus::Critical);
    assert_eq!(checks.plan(&critical, 61 * S, || 0.0).again, Some(60 * S));
    let plan = checks.plan(&critical, 121 * S, || 0.0);
    assert_eq!(plan.steps, [Step::Deregister("s".into())]);
}

#[test]
fn outputs_are_cut_at_a_characters_edge() {
    assert_eq!(cut_output("aä".into(), 2), "a ... (captured 1 of 3 bytes)");
    assert_eq!(cut_output("ab".into(), 2), "ab");
    assert_eq!(expired_output(""), "TTL expired");
    let last = expired_output("fine");
    assert_eq!(
        last,
        "TTL expired (last output before timeout follows): fine"
    );
    assert_eq!(expired_output(&last), "TTL expired");
}
