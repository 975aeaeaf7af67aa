use std::sync::atomic::Ordering;

use super::*;
use crate::loops::registry_front::{RouteLoop, StoreGate};
use crate::loops::test_leader::{BOOT, Cluster, member};
use crate::model::LeaseEvent;
use crate::registry::{Admission, Gate, Route, Storage};
use crate::task;

const LIMIT: Duration = Duration::from_secs(10);

fn held() -> Option<Instant> {
    Some(clock::now() + Duration::from_secs(600))
}

/// One node's loops, with the real program.
struct Node {
    me: NodeId,
    serving: watch::Receiver<Option<Serving>>,
    status: watch::Receiver<RegistryStatus>,
    route: watch::Receiver<Route>,
    gate: Arc<StoreGate>,
    lease: watch::Sender<Option<Instant>>,
    shutdown: Shutdown,
    _tasks: [task::AbortOnDrop; 2],
    _folder: tempfile::TempDir,
}

fn run(cluster: &Arc<Cluster>, number: u8, command: Option<&str>) -> Node {
    let folder = tempfile::tempdir().unwrap();
    let (store, member) = (cluster.store(), member(number, Role::Server));
    let (lease, held) = watch::channel(held());
    let (this, serving, status) = RegistryLoop::new(Parts {
        me: member.id,
        boot: BOOT,
        name: member.name.clone(),
        role: Role::Server,
        address: member.address,
        port: member.ports.registry,
        store: Arc::clone(&store),
        settings: Some(Settings {
            command: command.map(str::to_owned),
            storage: Storage::Filesystem(folder.path().join("images")),
            log_level: "warn".into(),
            run_dir: folder.path().join("run"),
            launcher: Vec::new(),
        }),
        tenure: Tenure::new(held.clone()),
        report: Arc::default(),
    });
    let (routes, route) = RouteLoop::new(
        member.id,
        BOOT,
        Arc::clone(&store),
        serving.clone(),
        Tenure::new(held),
    );
    let shutdown = Shutdown::new();
    let tasks = [
        task::spawn("registry", this.run(&shutdown)).abort_on_drop(),
        task::spawn("route", routes.run(&shutdown)).abort_on_drop(),
    ];
    Node {
        me: member.id,
        serving,
        status,
        route,
        gate: StoreGate::new(member.id, BOOT, store, Arc::new(|_| Admission::Refused)),
        lease,
        shutdown,
        _tasks: tasks,
        _folder: folder,
    }
}

impl Node {
    async fn serves(&mut self) -> Serving {
        let term = self.serving.wait_for(Option::is_some);
        let term = tokio::time::timeout(LIMIT, term)
            .await
            .expect("it serves in time");
        term.unwrap().clone().unwrap()
    }

    async fn routes(&mut self, wanted: impl Fn(&Route) -> bool) {
        let wait = tokio::time::timeout(LIMIT, self.route.wait_for(wanted));
        let found = wait.await.is_ok();
        assert!(found, "the route is {:?}", *self.route.borrow());
    }

    fn is_host(&self) -> bool {
        matches!(*self.route.borrow(), Route::Here { .. })
    }
}

fn registered(cluster: &Cluster) -> Vec<String> {
    let rows = cluster.state().catalog().instances(SERVICE);
    rows.iter()
        .map(|instance| instance.service.node.clone())
        .collect()
}

async fn until(fact: impl Fn() -> bool) {
    let came = async {
        while !fact() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(LIMIT, came)
        .await
        .expect("it comes true in time");
}

#[tokio::test]
async fn l5_one_host_serves_and_when_its_lease_lapses_the_next_does() {
    let cluster = Cluster::of(vec![member(1, Role::Server), member(2, Role::Server)]);
    *cluster.leader.lock().unwrap() = Some(NodeId::from_u128(1));
    let (mut one, mut two) = (run(&cluster, 1, None), run(&cluster, 2, None));
    let term = two.serves().await;
    assert!(
        one.serving.borrow().is_none(),
        "the leader leaves it to the other"
    );
    until(|| registered(&cluster) == ["n2"]).await;
    one.routes(
        |route| matches!(route, Route::There(host) if host.address.ip().to_string() == "10.0.0.2"),
    )
    .await;
    assert_eq!(two.gate.confirm(term.sequencer).await, Ok(()));
    assert!(
        one.gate.confirm(term.sequencer).await.is_err(),
        "another's term"
    );
    assert!(
        two.gate.confirm(term.sequencer + 1).await.is_err(),
        "another term"
    );

    let began = clock::now();
    two.lease.send_replace(None);
    cluster.lease(two.me, LeaseEvent::Lapsed);
    one.serves().await;
    until(|| registered(&cluster).contains(&"n1".to_owned())).await;
    let took = clock::now().saturating_duration_since(began);
    assert!(took < Duration::from_secs(4), "the next host took {took:?}");
    assert!(!two.is_host());
    assert!(
        two.gate.confirm(term.sequencer).await.is_err(),
        "a push of the old term is refused"
    );

    two.lease.send_replace(held());
    cluster.lease(two.me, LeaseEvent::Held);
    until(|| registered(&cluster) == ["n1"]).await;
    two.routes(|route| matches!(route, Route::There(_))).await;
}

#[tokio::test]
async fn l5_a_host_that_can_not_renew_stops_though_nobody_leads() {
    let cluster = Cluster::of(vec![member(1, Role::Server)]);
    let mut one = run(&cluster, 1, None);
    let term = one.serves().await;
    one.routes(|route| matches!(route, Route::Here { .. }))
        .await;
    cluster.leaderless.store(true, Ordering::SeqCst);
    assert!(
        one.gate.confirm(term.sequencer).await.is_err(),
        "no leader, no acknowledgement"
    );
    one.lease.send_replace(None);
    one.routes(|route| *route == Route::Nowhere).await;
    let stopped = one.serving.wait_for(Option::is_none);
    tokio::time::timeout(Duration::from_secs(1), stopped)
        .await
        .unwrap()
        .unwrap();
}

#[tokio::test]
async fn a_stopping_host_gives_the_duty_back() {
    let cluster = Cluster::of(vec![member(1, Role::Server)]);
    let mut one = run(&cluster, 1, None);
    one.serves().await;
    until(|| registered(&cluster) == ["n1"]).await;
    one.shutdown.begin();
    until(|| cluster.state().duty(Duty::Registry).is_none()).await;
    assert!(registered(&cluster).is_empty());
}

#[tokio::test]
async fn a_node_without_the_program_stands_by_and_says_why() {
    let cluster = Cluster::of(vec![member(1, Role::Server)]);
    let mut one = run(&cluster, 1, Some("/nowhere/registry"));
    let said = one
        .status
        .wait_for(|status| matches!(status, RegistryStatus::Unable { .. }));
    let said = tokio::time::timeout(LIMIT, said)
        .await
        .unwrap()
        .unwrap()
        .to_string();
    assert!(
        said.starts_with("no host") && said.contains("apt install docker-registry"),
        "{said}"
    );
    assert!(cluster.state().duty(Duty::Registry).is_none());
}

#[tokio::test]
async fn a_host_whose_program_fails_lets_another_try() {
    let cluster = Cluster::of(vec![member(1, Role::Server), member(2, Role::Server)]);
    let failing = run(&cluster, 1, Some("/bin/false"));
    until(|| cluster.state().duty(Duty::Registry).is_some()).await;
    let mut two = run(&cluster, 2, None);
    two.serves().await;
    assert!(failing.serving.borrow().is_none());
    until(|| registered(&cluster) == ["n2"]).await;
}
