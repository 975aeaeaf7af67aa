use std::collections::BTreeMap;

use super::*;
use crate::decide::checks::{CheckSpec, Probe};
use crate::decide::registrator::{Step as RegistratorStep, Wanted};
use crate::decide::services::Kept;
use crate::model::{CheckDefinition, CheckRow, NodeId, Weights};

fn node(id: NodeId) -> NodeRow {
    NodeRow {
        id,
        name: "n1".into(),
        address: "10.0.0.1".into(),
        tagged_addresses: BTreeMap::new(),
        meta: BTreeMap::new(),
        owner: Some(id),
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
        port: 0,
        meta: BTreeMap::new(),
        weights: Weights::default(),
        enable_tag_override: false,
        tagged_addresses: BTreeMap::new(),
        kind: String::new(),
        create_index: 0,
        modify_index: 0,
    }
}

fn check(id: &str, service: &str) -> LocalCheck {
    LocalCheck {
        row: CheckRow {
            node: "n1".into(),
            check_id: id.into(),
            name: id.into(),
            status: CheckStatus::Critical,
            notes: String::new(),
            output: String::new(),
            service_id: service.into(),
            service_name: String::new(),
            service_tags: Vec::new(),
            kind: "ttl".into(),
            definition: CheckDefinition::default(),
            create_index: 0,
            modify_index: 0,
        },
        spec: CheckSpec {
            probe: Probe::Ttl(Duration::from_secs(10)),
            ..CheckSpec::fixed()
        },
        beat: Duration::ZERO,
        restored: false,
        quiet_until: None,
    }
}

#[tokio::test]
async fn definitions_outlive_the_process() {
    let folder = tempfile::tempdir().unwrap();
    let open = || {
        let data = DataDir::open(folder.path()).unwrap();
        LocalServices::open(node(data.node_id()), Some(data)).unwrap()
    };
    let local = open();
    let checks = vec![check("c", "web")];
    local.register(service("web"), checks, false).await.unwrap();
    local
        .register(service("gone"), vec![], false)
        .await
        .unwrap();
    assert!(local.deregister("GONE").await.unwrap());
    assert!(!local.deregister("gone").await.unwrap());
    let before = local.rows();
    drop(local);
    let after = open().rows();
    assert_eq!(after.services, before.services);
    assert_eq!(after.checks.keys().collect::<Vec<_>>(), ["c"]);
    let found = after.check("c").unwrap();
    assert!(found.restored, "the catalog knows its result better");
    assert_eq!(found.spec, check("c", "web").spec);
}

#[tokio::test]
async fn ids_differ_in_more_than_case() {
    let local = LocalServices::open(node(NodeId::from_u128(1)), None).unwrap();
    local
        .register(service("Web"), vec![check("C", "Web")], false)
        .await
        .unwrap();
    local
        .register(service("web"), vec![check("c", "web")], false)
        .await
        .unwrap();
    let rows = local.rows();
    assert_eq!((rows.services.len(), rows.checks.len()), (1, 1));
    assert_eq!(
        local.report("C", CheckStatus::Passing, String::new()),
        Some(true)
    );
    assert_eq!(
        local.report("c", CheckStatus::Passing, "x".into()),
        Some(false)
    );
    assert_eq!(
        local.report("none", CheckStatus::Passing, String::new()),
        None
    );
}

#[tokio::test]
async fn many_writers_at_once_leave_the_last_word_on_disk() {
    let folder = tempfile::tempdir().unwrap();
    let data = DataDir::open(folder.path()).unwrap();
    let local = LocalServices::open(node(data.node_id()), Some(data.clone())).unwrap();
    let writes = (0..20).map(|n| {
        let local = Arc::clone(&local);
        async move {
            local
                .register(service(&format!("s{n}")), vec![], false)
                .await
        }
    });
    for done in futures_util::future::join_all(writes).await {
        done.unwrap();
    }
    let kept: LocalRows = data.read_versioned(FILE, VERSION).unwrap().unwrap();
    assert_eq!(kept.services, local.rows().services);
}

#[tokio::test]
async fn a_new_output_is_held_back_once_and_not_for_ever() {
    let local = LocalServices::open(node(NodeId::from_u128(1)), None).unwrap();
    local.add_check(check("c", "")).await.unwrap();
    let quiet = || local.look(|rows| rows.check("c").and_then(|check| check.quiet_until));
    local.report("c", CheckStatus::Passing, "a".into());
    assert_eq!(quiet(), None, "a new status goes at once");
    local.report("c", CheckStatus::Passing, "b".into());
    let first = quiet();
    assert!(first.is_some_and(|until| until >= QUIET && until < 4 * QUIET));
    local.report("c", CheckStatus::Passing, "c".into());
    assert_eq!(quiet(), first, "chatter does not put it off");
}

fn wanted(id: &str, origin: &str, with_check: bool) -> RegistratorStep {
    let check = with_check.then(|| check(&format!("service:{id}"), id));
    RegistratorStep::Keep(Box::new(Wanted {
        service: service(id),
        told: false,
        kept: Kept {
            origin: origin.to_owned(),
            check: with_check,
        },
        check,
    }))
}

#[tokio::test]
async fn what_the_registrator_keeps_outlives_the_process_and_is_still_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let open = || {
        let data = DataDir::open(folder.path()).unwrap();
        LocalServices::open(node(NodeId::from_u128(1)), Some(data)).unwrap()
    };
    let local = open();
    local
        .register(service("mine"), Vec::new(), false)
        .await
        .unwrap();
    local.settle(vec![wanted("web", "c1", true)]).await.unwrap();
    drop(local);
    let local = open();
    let kept = local.rows().kept;
    assert_eq!(kept.keys().collect::<Vec<_>>(), ["web"]);
    let release = |id: &str| RegistratorStep::Release { service: id.into() };
    local
        .settle(vec![release("mine"), release("WEB")])
        .await
        .unwrap();
    drop(local);
    let rows = open().rows();
    assert_eq!(rows.services.keys().collect::<Vec<_>>(), ["mine"]);
    assert!(rows.checks.is_empty() && rows.kept.is_empty());
}

#[tokio::test]
async fn a_client_takes_a_kept_service_over_without_the_check_that_came_with_it() {
    let local = LocalServices::open(node(NodeId::from_u128(1)), None).unwrap();
    local.settle(vec![wanted("web", "c1", true)]).await.unwrap();
    let theirs = check("theirs", "web");
    local
        .register(service("WEB"), vec![theirs], false)
        .await
        .unwrap();
    let rows = local.rows();
    assert!(rows.kept.is_empty());
    assert_eq!(rows.checks.keys().collect::<Vec<_>>(), ["theirs"]);
    local.settle(vec![wanted("db", "c2", true)]).await.unwrap();
    local.settle(vec![wanted("db", "c2", false)]).await.unwrap();
    assert!(
        local.rows().check("service:db").is_none(),
        "it is wanted no more"
    );
}
