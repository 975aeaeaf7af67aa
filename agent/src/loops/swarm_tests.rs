use std::sync::Mutex;

use super::*;
use crate::decide::swarm::SwarmNode;
use crate::docker::EngineError;
use crate::loops::test_leader::{Cluster, member};
use crate::task;

/// What several engines that can reach each other come to.
#[derive(Default)]
struct World {
    swarms: Vec<SwarmView>,
    inits: usize,
}

/// An engine without Docker.
struct FakeEngine {
    world: Arc<Mutex<World>>,
    number: u8,
    /// The Swarm that it is in, by its place in the world.
    swarm: Mutex<Option<usize>>,
    there: Mutex<bool>,
}

impl FakeEngine {
    fn node(&self) -> String {
        format!("s{}", self.number)
    }

    fn enter(&self, world: &mut World, swarm: usize, manager: bool) {
        let address = format!("10.0.0.{}", self.number);
        let leader = world.swarms[swarm].nodes.is_empty();
        world.swarms[swarm].nodes.push(SwarmNode {
            id: self.node(),
            manages_at: manager.then(|| format!("{address}:2377")),
            address,
            manager,
            reachable: manager,
            leader,
            ready: true,
            down: false,
            drained: false,
            nameless: false,
        });
        *self.swarm.lock().unwrap() = Some(swarm);
    }

    fn seen(&self) -> Option<(SwarmView, SwarmNode)> {
        let swarm = (*self.swarm.lock().unwrap())?;
        let swarm = self.world.lock().unwrap().swarms[swarm].clone();
        let own = swarm
            .nodes
            .iter()
            .find(|node| node.id == self.node())
            .cloned()?;
        Some((swarm, own))
    }
}

type Asked<'a, T> = BoxFuture<'a, Result<T, EngineError>>;

impl Engine for FakeEngine {
    fn info(&self) -> Asked<'_, EngineInfo> {
        Box::pin(async {
            if !*self.there.lock().unwrap() {
                return Err(EngineError::NoSocket("/docker.sock".into()));
            }
            let id = format!("E{}", self.number);
            Ok(match self.seen() {
                None => EngineInfo {
                    id,
                    ..EngineInfo::default()
                },
                Some((swarm, own)) => EngineInfo {
                    id,
                    local: Local::Active,
                    node: own.id,
                    cluster: own.manager.then_some(swarm.cluster),
                    manager: own.manager,
                    ..EngineInfo::default()
                },
            })
        })
    }

    fn swarm(&self) -> Asked<'_, SwarmView> {
        Box::pin(async { Ok(self.seen().map(|(swarm, _)| swarm).unwrap_or_default()) })
    }

    fn init<'a>(&'a self, _: &'a Advertise) -> Asked<'a, ()> {
        Box::pin(async {
            let mut world = self.world.lock().unwrap();
            world.inits += 1;
            let number = world.swarms.len();
            world.swarms.push(SwarmView {
                cluster: format!("S{number}"),
                worker_token: format!("SWMTKN-{number}"),
                ..SwarmView::default()
            });
            self.enter(&mut world, number, true);
            Ok(())
        })
    }

    fn join<'a>(&'a self, offer: &'a JoinOffer, _: &'a Advertise) -> Asked<'a, ()> {
        Box::pin(async {
            let mut world = self.world.lock().unwrap();
            let number = offer.token.rsplit_once('-').unwrap().1.parse().unwrap();
            self.enter(&mut world, number, false);
            Ok(())
        })
    }

    fn leave(&self, _: bool) -> Asked<'_, ()> {
        Box::pin(async {
            let swarm = self.swarm.lock().unwrap().take().unwrap();
            let nodes = &mut self.world.lock().unwrap().swarms[swarm].nodes;
            let own = nodes
                .iter_mut()
                .find(|node| node.id == self.node())
                .unwrap();
            (own.ready, own.reachable, own.down) = (false, false, true);
            Ok(())
        })
    }

    fn change<'a>(&'a self, id: &'a str, change: NodeChange) -> Asked<'a, ()> {
        Box::pin(async move {
            let swarm = self.swarm.lock().unwrap().unwrap();
            let nodes = &mut self.world.lock().unwrap().swarms[swarm].nodes;
            let at = nodes.iter().position(|node| node.id == id).unwrap();
            let node = &mut nodes[at];
            match change {
                NodeChange::Promote => {
                    (node.manager, node.reachable) = (true, true);
                    node.manages_at = Some(format!("{}:2377", node.address));
                }
                NodeChange::Demote => (node.manager, node.reachable) = (false, false),
                NodeChange::Drain => node.drained = true,
                NodeChange::Remove => drop(nodes.remove(at)),
            }
            Ok(())
        })
    }
}

/// Remembers as long as the test lives.
#[derive(Default)]
struct Head(Mutex<Option<Memory>>);

impl MemoryFile for Head {
    fn read(&self) -> Result<Option<Memory>, DiskError> {
        Ok(self.0.lock().unwrap().clone())
    }

    fn write(&self, memory: Option<&Memory>) -> Result<(), DiskError> {
        *self.0.lock().unwrap() = memory.cloned();
        Ok(())
    }
}

struct Running {
    engine: Arc<FakeEngine>,
    status: watch::Receiver<SwarmStatus>,
    _task: task::AbortOnDrop,
}

fn run(cluster: &Arc<Cluster>, world: &Arc<Mutex<World>>, number: u8, role: Role) -> Running {
    let engine = Arc::new(FakeEngine {
        world: Arc::clone(world),
        number,
        swarm: Mutex::default(),
        there: Mutex::new(true),
    });
    let (me, store) = (NodeId::from_u128(number.into()), cluster.store());
    let (this, status) = SwarmLoop::new(Parts {
        me,
        role,
        advertise: Advertise {
            address: [10, 0, 0, number].into(),
            port: 2377,
        },
        store: Arc::clone(&store),
        engine: Arc::clone(&engine) as Arc<dyn Engine>,
        join_info: Arc::new(FromState { store, me }),
        memory: Arc::new(Head::default()),
        report: Arc::default(),
    });
    let task = task::spawn("swarm", this.run(&Shutdown::new())).abort_on_drop();
    Running {
        engine,
        status,
        _task: task,
    }
}

async fn until(running: &mut Running, says: &str) {
    let wait = running.status.wait_for(|status| status.to_string() == says);
    let came = tokio::time::timeout(Duration::from_secs(20), wait).await;
    let came = came.map(|status| status.is_ok());
    assert_eq!(came, Ok(true), "it stands at {}", *running.status.borrow());
}

#[tokio::test]
async fn s1_servers_that_start_together_make_one_swarm_and_all_manage_it() {
    let roles = [Role::Server, Role::Server, Role::Server, Role::Worker];
    let members = roles.iter().zip(1..).map(|(role, id)| member(id, *role));
    let cluster = Cluster::of(members.collect());
    let world = Arc::new(Mutex::new(World::default()));
    let mut nodes: Vec<Running> = (roles.iter().zip(1..))
        .map(|(role, id)| run(&cluster, &world, id, *role))
        .collect();
    for (node, role) in nodes.iter_mut().zip(roles) {
        until(
            node,
            &format!(
                "{}, ready",
                if role == Role::Server {
                    "manager"
                } else {
                    "worker"
                }
            ),
        )
        .await;
    }
    let swarms = world.lock().unwrap();
    assert_eq!((swarms.inits, swarms.swarms.len()), (1, 1));
    assert_eq!(swarms.swarms[0].nodes.len(), 4);
}

#[tokio::test]
async fn a_missing_engine_is_waited_for_and_a_leaver_is_taken_off_the_list() {
    let cluster = Cluster::of(vec![member(1, Role::Server), member(2, Role::Worker)]);
    let world = Arc::new(Mutex::new(World::default()));
    let mut server = run(&cluster, &world, 1, Role::Server);
    *server.engine.there.lock().unwrap() = false;
    let gone = server
        .status
        .wait_for(|status| matches!(status, SwarmStatus::Failed(_)));
    let gone = tokio::time::timeout(Duration::from_secs(20), gone)
        .await
        .unwrap()
        .unwrap();
    assert!(
        gone.to_string().contains("systemctl start docker"),
        "{}",
        *gone
    );
    drop(gone);
    *server.engine.there.lock().unwrap() = true;
    until(&mut server, "manager, ready").await;
    let mut worker = run(&cluster, &world, 2, Role::Worker);
    until(&mut worker, "worker, ready").await;
    let tokens = async || {
        let nodes = || {
            cluster
                .state()
                .hidden(NODES)
                .map(|(value, _)| value.clone())
        };
        while !nodes().is_some_and(|value| String::from_utf8_lossy(&value).contains("s2")) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), tokens())
        .await
        .expect("it is written down");
    cluster.lease(NodeId::from_u128(2), crate::model::LeaseEvent::Leaving);
    until(&mut worker, "left").await;
    cluster.apply(Op::MemberRemove(NodeId::from_u128(2)));
    let alone = async {
        while world.lock().unwrap().swarms[0].nodes.len() > 1 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), alone)
        .await
        .expect("it is taken off");
}
