use super::*;
use crate::model::{CheckDefinition, NodeId, Weights};

const NOW: Duration = Duration::from_secs(100);

fn node() -> NodeRow {
    NodeRow {
        id: NodeId::from_u128(1),
        name: "n1".into(),
        address: "10.0.0.1".into(),
        tagged_addresses: BTreeMap::new(),
        meta: BTreeMap::new(),
        owner: Some(NodeId::from_u128(1)),
        create_index: 0,
        modify_index: 0,
    }
}

fn service(id: &str) -> ServiceRow {
    ServiceRow {
        node: "n1".into(),
        id: id.into(),
        name: id.into(),
        tags: Vec::new(),
        address: String::new(),
        port: 80,
        meta: BTreeMap::new(),
        weights: Weights::default(),
        enable_tag_override: false,
        tagged_addresses: BTreeMap::new(),
        kind: String::new(),
        create_index: 0,
        modify_index: 0,
    }
}

fn check(id: &str, service: &str) -> CheckRow {
    CheckRow {
        node: "n1".into(),
        check_id: id.into(),
        name: id.into(),
        status: CheckStatus::Passing,
        notes: String::new(),
        output: String::new(),
        service_id: service.into(),
        service_name: String::new(),
        service_tags: Vec::new(),
        kind: "ttl".into(),
        definition: CheckDefinition::default(),
        create_index: 0,
        modify_index: 0,
    }
}

fn local(services: &[ServiceRow], checks: &[CheckRow]) -> LocalRows {
    let services = services.iter().map(|row| (row.id.clone(), row.clone()));
    let checks = checks.iter().map(|row| {
        let check = LocalCheck {
            row: row.clone(),
            spec: CheckSpec::fixed(),
            beat: Duration::ZERO,
            restored: false,
            quiet_until: None,
        };
        (row.check_id.clone(), check)
    });
    LocalRows {
        services: services.collect(),
        checks: checks.collect(),
        ..LocalRows::default()
    }
}

fn seen(services: &[ServiceRow], checks: &[CheckRow]) -> Seen {
    Seen {
        node: Some(Arc::new(NodeRow {
            modify_index: 7,
            ..node()
        })),
        services: services
            .iter()
            .map(|row| {
                Arc::new(ServiceRow {
                    modify_index: 8,
                    ..row.clone()
                })
            })
            .collect(),
        checks: checks
            .iter()
            .map(|row| {
                let service_name = "filled in".into();
                Arc::new(CheckRow {
                    service_name,
                    modify_index: 9,
                    ..row.clone()
                })
            })
            .collect(),
    }
}

#[test]
fn agreement_writes_nothing() {
    let rows = ([service("web")], [check("c", "web")]);
    let steps = plan(
        &node(),
        &local(&rows.0, &rows.1),
        &seen(&rows.0, &rows.1),
        NOW,
    );
    assert_eq!(steps, []);
}

#[test]
fn what_is_missing_or_differs_is_registered_in_one_command() {
    let changed = ServiceRow {
        port: 81,
        ..service("web")
    };
    let wanted = local(&[changed.clone(), service("db")], &[check("c", "db")]);
    let steps = plan(&node(), &wanted, &seen(&[service("web")], &[]), NOW);
    let [Step::Write(Op::Register(registration))] = &steps[..] else {
        panic!("{steps:?}");
    };
    assert!(registration.skip_node_update);
    assert_eq!(registration.services, [service("db"), changed]);
    assert_eq!(registration.checks, [check("c", "db")]);
}

#[test]
fn extra_rows_go_but_not_those_of_the_agents_loops() {
    let others = [
        service("consul"),
        service("registry"),
        service("swarmer:x:1"),
    ];
    let mut there = others.to_vec();
    there.push(service("old"));
    let checks = [
        check(SERF_HEALTH, ""),
        check("swarmer:x:1", ""),
        check("probe", "registry"),
        check("of-old", "old"),
        check("stray", ""),
    ];
    let steps = plan(&node(), &LocalRows::default(), &seen(&there, &checks), NOW);
    let gone = |service: Option<&str>, check: Option<&str>| {
        Step::Write(Op::Deregister {
            node: "n1".into(),
            service: service.map(str::to_owned),
            check: check.map(str::to_owned),
        })
    };
    assert_eq!(steps, [gone(Some("old"), None), gone(None, Some("stray"))]);
}

#[test]
fn a_new_status_goes_at_once_and_a_new_output_waits() {
    let mut wanted = local(
        &[],
        &[CheckRow {
            output: "b".into(),
            ..check("c", "")
        }],
    );
    let there = seen(
        &[],
        &[CheckRow {
            output: "a".into(),
            ..check("c", "")
        }],
    );
    let mut steps = |quiet_until, status| {
        if let Some(check) = wanted.checks.get_mut("c") {
            check.quiet_until = quiet_until;
            check.row.status = status;
        }
        plan(&node(), &wanted, &there, NOW).len()
    };
    assert_eq!(steps(Some(NOW * 2), CheckStatus::Passing), 0);
    assert_eq!(steps(Some(NOW), CheckStatus::Passing), 1);
    assert_eq!(steps(Some(NOW * 2), CheckStatus::Critical), 1);
}

#[test]
fn tags_that_others_may_change_are_adopted() {
    let mine = ServiceRow {
        enable_tag_override: true,
        ..service("web")
    };
    let theirs = ServiceRow {
        tags: vec!["blue".into()],
        ..mine.clone()
    };
    let steps = plan(&node(), &local(&[mine], &[]), &seen(&[theirs], &[]), NOW);
    let tags = vec!["blue".to_owned()];
    assert_eq!(
        steps,
        [Step::AdoptTags {
            service: "web".into(),
            tags
        }]
    );
}

#[test]
fn a_restored_check_goes_on_with_its_last_result() {
    let stored = CheckRow {
        status: CheckStatus::Critical,
        ..check("c", "")
    };
    let mut wanted = local(&[], &[stored]);
    if let Some(check) = wanted.checks.get_mut("c") {
        check.restored = true;
    }
    let steps = plan(&node(), &wanted, &seen(&[], &[check("c", "")]), NOW);
    assert!(matches!(
        &steps[..],
        [Step::AdoptResult {
            status: CheckStatus::Passing,
            ..
        }]
    ));
}

#[test]
fn a_changed_node_row_is_written_without_any_service() {
    let mut wanted = node();
    wanted.meta.insert("zone".into(), "a".into());
    let steps = plan(&wanted, &LocalRows::default(), &seen(&[], &[]), NOW);
    let [Step::Write(Op::Register(registration))] = &steps[..] else {
        panic!("{steps:?}");
    };
    assert!(!registration.skip_node_update);
}
