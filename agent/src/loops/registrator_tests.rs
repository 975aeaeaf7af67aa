//! The loop against an engine of paper.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::StreamExt as _;
use tokio::sync::mpsc;

use super::*;
use crate::decide::registrator::{Binding, Health, HealthStatus, Port};
use crate::decide::swarm::{JoinOffer, SwarmPort};
use crate::docker::Ended;
use crate::model::{CheckStatus, NodeId, NodeRow};
use crate::task;

const SOON: Duration = Duration::from_secs(10);

#[derive(Default)]
struct Paper {
    here: BTreeMap<String, Container>,
    away: bool,
    listeners: Vec<mpsc::UnboundedSender<Result<Event, EngineError>>>,
}

#[derive(Default)]
struct PaperEngine {
    paper: Mutex<Paper>,
    listed: AtomicU64,
}

type Asked<'a, T> = BoxFuture<'a, Result<T, EngineError>>;

impl PaperEngine {
    fn start(&self, container: Container) {
        let id = container.id.clone();
        self.paper
            .lock()
            .unwrap()
            .here
            .insert(id.clone(), container);
        self.tell(&id);
    }

    fn stop(&self, id: &str) {
        self.paper.lock().unwrap().here.remove(id);
        self.tell(id);
    }

    fn tell(&self, id: &str) {
        let event = Event::Container(id.to_owned());
        let mut paper = self.paper.lock().unwrap();
        let hears = |listener: &mpsc::UnboundedSender<_>| listener.send(Ok(event.clone())).is_ok();
        paper.listeners.retain(hears);
    }

    /// Goes with its containers, and nobody hears of it.
    fn die(&self) {
        *self.paper.lock().unwrap() = Paper {
            away: true,
            ..Paper::default()
        };
    }

    fn come_back_with(&self, container: Container) {
        let mut paper = self.paper.lock().unwrap();
        paper.here.insert(container.id.clone(), container);
        paper.away = false;
    }

    fn ask<T>(&self, answer: impl FnOnce(&mut Paper) -> T) -> Result<T, EngineError> {
        let mut paper = self.paper.lock().unwrap();
        if paper.away {
            return Err(EngineError::Refused("/docker.sock".into()));
        }
        Ok(answer(&mut paper))
    }
}

impl Containers for PaperEngine {
    fn events(&self) -> Asked<'_, Events> {
        Box::pin(async {
            self.ask(|paper| {
                let (tell, mut hear) = mpsc::unbounded_channel();
                paper.listeners.push(tell);
                futures_util::stream::poll_fn(move |context| hear.poll_recv(context)).boxed()
            })
        })
    }

    fn running(&self) -> Asked<'_, Vec<String>> {
        Box::pin(async {
            self.listed.fetch_add(1, Ordering::SeqCst);
            self.ask(|paper| paper.here.keys().cloned().collect())
        })
    }

    fn inspect<'a>(&'a self, id: &'a str) -> Asked<'a, Option<Container>> {
        Box::pin(async move { self.ask(|paper| paper.here.get(id).cloned()) })
    }

    fn services(&self) -> Asked<'_, Option<Vec<SwarmService>>> {
        Box::pin(async { self.ask(|_| None) })
    }

    fn run<'a>(&'a self, _: &'a str, _: &'a str, _: usize, _: Duration) -> Asked<'a, Ended> {
        Box::pin(async { Err(EngineError::Refused("/docker.sock".into())) })
    }
}

/// A server that knows one Swarm service.
struct Told;

impl JoinInfo for Told {
    fn offer(&self) -> BoxFuture<'_, Result<Option<JoinOffer>, JoinInfoError>> {
        Box::pin(async { Ok(None) })
    }

    fn services(&self) -> BoxFuture<'_, Result<Vec<SwarmService>, JoinInfoError>> {
        let target = Port::parse("80").unwrap();
        let service = SwarmService {
            id: "S1".into(),
            name: "mesh".into(),
            labels: BTreeMap::new(),
            ports: vec![SwarmPort {
                target,
                published: 30000,
            }],
        };
        Box::pin(async { Ok(vec![service]) })
    }
}

fn local() -> Arc<LocalServices> {
    let node = NodeRow {
        id: NodeId::from_u128(1),
        name: "n1".into(),
        address: "10.0.0.1".into(),
        tagged_addresses: BTreeMap::new(),
        meta: BTreeMap::new(),
        owner: Some(NodeId::from_u128(1)),
        create_index: 0,
        modify_index: 0,
    };
    LocalServices::open(node, None).unwrap()
}

fn container(name: &str, port: u16) -> Container {
    let mapped = Binding {
        address: None,
        port,
    };
    Container {
        id: format!("{name}-{port}"),
        name: name.to_owned(),
        image: name.to_owned(),
        mapped: BTreeMap::from([(Port::parse("80").unwrap(), vec![mapped])]),
        ..Container::default()
    }
}

fn looper(engine: &Arc<PaperEngine>, local: &Arc<LocalServices>) -> RegistratorLoop {
    RegistratorLoop::new(Parts {
        config: Registrator::default(),
        address: "10.0.0.1".parse().unwrap(),
        local: Arc::clone(local),
        engine: Arc::clone(engine) as Arc<dyn Containers>,
        swarm: Arc::new(Told),
    })
}

fn start(engine: &Arc<PaperEngine>, local: &Arc<LocalServices>) -> task::AbortOnDrop {
    let looper = looper(engine, local);
    task::spawn("registrator", looper.run(&Shutdown::new())).abort_on_drop()
}

/// Waits until the services are these, as `name:port`.
async fn become_these(local: &LocalServices, wanted: &[&str]) {
    let mut changes = local.changes();
    let settled = async {
        loop {
            let found: Vec<String> = local.look(|rows| {
                let rows = rows.services.values();
                rows.map(|row| format!("{}:{}", row.name, row.port))
                    .collect()
            });
            if found == wanted {
                return;
            }
            changes.changed().await.unwrap();
        }
    };
    tokio::time::timeout(SOON, settled).await.unwrap();
}

#[tokio::test]
async fn containers_come_and_go() {
    let (engine, local) = (Arc::new(PaperEngine::default()), local());
    engine.start(container("early", 1));
    let _running = start(&engine, &local);
    become_these(&local, &["early:1"]).await;
    engine.start(container("late", 2));
    become_these(&local, &["early:1", "late:2"]).await;
    engine.stop("early-1");
    become_these(&local, &["late:2"]).await;
    assert_eq!(
        engine.listed.load(Ordering::SeqCst),
        1,
        "events were enough"
    );
}

#[tokio::test]
async fn the_health_of_a_container_is_followed() {
    let (engine, local) = (Arc::new(PaperEngine::default()), local());
    let with = |status| Container {
        health: Some(Health {
            status,
            output: String::new(),
        }),
        ..container("web", 1)
    };
    engine.start(with(HealthStatus::Starting));
    let _running = start(&engine, &local);
    become_these(&local, &["web:1"]).await;
    let status = || local.look(|rows| rows.check("service:n1:web:80").unwrap().row.status);
    assert_eq!(status(), CheckStatus::Critical);
    let mut changes = local.changes();
    changes.mark_unchanged();
    engine.start(with(HealthStatus::Healthy));
    let changed = tokio::time::timeout(SOON, changes.changed());
    changed.await.unwrap().unwrap();
    assert_eq!(status(), CheckStatus::Passing);
}

#[tokio::test]
async fn an_engine_that_comes_back_is_read_in_full() {
    let (engine, local) = (Arc::new(PaperEngine::default()), local());
    engine.start(container("web", 1));
    let _running = start(&engine, &local);
    become_these(&local, &["web:1"]).await;
    engine.die();
    engine.come_back_with(container("web", 2));
    become_these(&local, &["web:2"]).await;
}

#[tokio::test]
async fn an_engine_that_stays_away_has_no_containers() {
    let (engine, local) = (Arc::new(PaperEngine::default()), local());
    engine.start(container("web", 1));
    let mut looper = looper(&engine, &local);
    looper.round().await.unwrap();
    engine.die();
    looper.round().await.unwrap();
    assert_eq!(local.rows().services.len(), 1, "it may come back at once");
    looper.patience = Duration::ZERO;
    looper.round().await.unwrap();
    assert_eq!(local.rows().services.len(), 0);
    engine.come_back_with(container("web", 1));
    looper.round().await.unwrap();
    assert_eq!(local.rows().services.len(), 1);
}

#[tokio::test]
async fn what_an_earlier_run_kept_is_not_claimed_where_no_engine_runs() {
    let (engine, local) = (Arc::new(PaperEngine::default()), local());
    engine.start(container("web", 1));
    looper(&engine, &local).round().await.unwrap();
    let mut next = looper(&engine, &local);
    next.round().await.unwrap();
    assert_eq!(local.rows().services.len(), 1);
    engine.die();
    looper(&engine, &local).round().await.unwrap();
    assert_eq!(local.rows().services.len(), 0);
}

#[tokio::test]
async fn what_only_managers_know_is_asked_for_as_a_task_comes() {
    let (engine, local) = (Arc::new(PaperEngine::default()), local());
    let _running = start(&engine, &local);
    engine.start(container("plain", 1));
    become_these(&local, &["plain:1"]).await;
    let labels = [("id", "S1"), ("name", "mesh")];
    let labels =
        labels.map(|(key, value)| (format!("com.docker.swarm.service.{key}"), value.to_owned()));
    engine.start(Container {
        id: "task".into(),
        name: "mesh.1.x".into(),
        labels: labels.into(),
        ..Container::default()
    });
    become_these(&local, &["mesh:30000", "plain:1"]).await;
}
