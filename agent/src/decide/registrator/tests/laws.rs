//! What is true of every plan, whatever runs and whatever is registered.

use proptest::prelude::*;

use super::*;
use crate::decide::services::Kept;

/// Does the steps, as `LocalServices` does them.
fn act(rows: &mut LocalRows, steps: Vec<Step>) {
    for step in steps {
        match step {
            Step::Keep(wanted) => {
                let id = wanted.service.id.to_lowercase();
                let check = format!("service:{id}");
                match &wanted.check {
                    None if rows.kept.get(&id).is_some_and(|kept| kept.check) => {
                        rows.checks.remove(&check);
                    }
                    None => {}
                    Some(new) => {
                        let mut new = new.clone();
                        if let Some(old) = rows.checks.get(&check) {
                            new.row.status = old.row.status;
                            new.row.output.clone_from(&old.row.output);
                        }
                        rows.checks.insert(check, new);
                    }
                }
                rows.kept.insert(id.clone(), wanted.kept);
                rows.services.insert(id, wanted.service);
            }
            Step::Release { service } => {
                let id = service.to_lowercase();
                assert!(
                    rows.kept.remove(&id).is_some(),
                    "{service} is someone else's"
                );
                rows.checks
                    .retain(|_, check| check.row.service_id != service);
                rows.services.remove(&id);
            }
            Step::Report {
                check,
                status,
                output,
            } => {
                let check = rows.checks.get_mut(&check.to_lowercase()).unwrap();
                (check.row.status, check.row.output) = (status, output);
                check.restored = false;
            }
        }
    }
}

fn containers() -> impl Strategy<Value = Vec<Container>> {
    let ports = proptest::sample::subsequence(vec!["80:8080", "443:8443", "53/udp:53", "81"], 0..4);
    let pairs = vec![
        ("SERVICE_NAME", "x"),
        ("SERVICE_ID", "theirs"),
        ("SERVICE_80_ID", "One"),
        ("SERVICE_TAGS", "a,b"),
        ("SERVICE_CHECK_HTTP", "/"),
        ("SERVICE_443_IGNORE", "1"),
    ];
    let pairs = proptest::sample::subsequence(pairs, 0..6);
    let health = proptest::option::of(prop_oneof![
        Just(HealthStatus::Healthy),
        Just(HealthStatus::Starting),
        Just(HealthStatus::Unhealthy),
    ]);
    let one = ("[a-c]", 0..3u8, ports, pairs, health);
    let one = one.prop_map(|(name, run, ports, env, health)| Container {
        id: format!("{name}{run}"),
        started: run.to_string(),
        health: health.map(|status| Health {
            status,
            output: String::new(),
        }),
        ..container(&name, &ports, &env)
    });
    proptest::collection::vec(one, 0..5)
}

/// Two services of clients, one of which has an id that a container may claim.
fn clients() -> LocalRows {
    let mut found = with(
        &Registrator::default(),
        &[
            container(
                "api",
                &["80:1"],
                &[("SERVICE_ID", "theirs"), ("SERVICE_CHECK_TCP", "1")],
            ),
            container("db", &["80:2"], &[("SERVICE_ID", "alone")]),
        ],
        &[],
    );
    let mut rows = LocalRows::default();
    act(&mut rows, plan(&mut found, &LocalRows::default()));
    rows.kept.clear();
    rows
}

proptest! {
    #[test]
    fn a_plan_leads_where_it_should_and_touches_nothing_else(
        before in containers(),
        after in containers(),
    ) {
        let clients = clients();
        let mut rows = clients.clone();
        for now in [before, after, Vec::new()] {
            let mut wanted = with(&Registrator::default(), &now, &[]);
            let steps = plan(&mut wanted, &rows);
            act(&mut rows, steps);
            let again = plan(&mut wanted, &rows);
            prop_assert_eq!(again, vec![], "nothing is left to do");
            for (id, wanted) in &wanted.services {
                if clients.services.contains_key(id) {
                    prop_assert!(!rows.kept.contains_key(id));
                } else {
                    prop_assert_eq!(&rows.services[id], &wanted.service);
                    prop_assert_eq!(&rows.kept[id], &wanted.kept);
                }
            }
            for id in rows.kept.keys() {
                prop_assert!(wanted.services.contains_key(id), "{} is left over", id);
            }
            for (id, service) in &clients.services {
                prop_assert_eq!(rows.services.get(id), Some(service));
            }
            for (id, check) in &clients.checks {
                prop_assert_eq!(rows.checks.get(id), Some(check));
            }
        }
        prop_assert_eq!(rows, clients, "with no container left all is as before");
    }
}

#[test]
fn another_container_of_the_same_name_starts_afresh() {
    let mut rows = LocalRows::default();
    let web = |id: &str| Container {
        id: id.to_owned(),
        ..container("web", &["80:8080"], &[("SERVICE_CHECK_TCP", "1")])
    };
    let mut first = with(&Registrator::default(), &[web("one")], &[]);
    act(&mut rows, plan(&mut first, &LocalRows::default()));
    rows.checks.get_mut("service:n1:web:80").unwrap().row.status = CheckStatus::Passing;
    assert_eq!(plan(&mut first, &rows), [], "a result is no reason to act");
    let mut second = with(&Registrator::default(), &[web("two")], &[]);
    let steps = plan(&mut second, &rows);
    assert!(
        matches!(steps[..], [Step::Release { .. }, Step::Keep(_)]),
        "{steps:?}"
    );
    act(&mut rows, steps);
    assert_eq!(
        rows.checks["service:n1:web:80"].row.status,
        CheckStatus::Critical
    );
    let origin = "two".to_owned();
    assert_eq!(
        rows.kept["n1:web:80"],
        Kept {
            origin,
            check: true
        }
    );
}

#[test]
fn what_a_client_has_registered_is_said_to_be_in_the_way() {
    let rows = clients();
    let mut found = with(
        &Registrator::default(),
        &[container("web", &["80:8080"], &[("SERVICE_ID", "Alone")])],
        &[],
    );
    assert_eq!(plan(&mut found, &rows), []);
    assert!(found.complaints[0].contains("\"Alone\""), "{found:?}");
}

#[test]
fn after_a_restart_docker_is_believed_rather_than_the_catalog() {
    let starting = Container {
        health: Some(Health {
            status: HealthStatus::Starting,
            output: String::new(),
        }),
        ..container("web", &["80:8080"], &[])
    };
    let mut rows = LocalRows::default();
    let mut found = with(&Registrator::default(), &[starting], &[]);
    act(&mut rows, plan(&mut found, &LocalRows::default()));
    assert_eq!(plan(&mut found, &rows), []);
    rows.checks
        .values_mut()
        .for_each(|check| check.restored = true);
    let steps = plan(&mut found, &rows);
    assert!(matches!(steps[..], [Step::Report { .. }]), "{steps:?}");
    act(&mut rows, steps);
    assert_eq!(plan(&mut found, &rows), []);
}
