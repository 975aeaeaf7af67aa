//! Carries out `decide::registry`: takes the duty, runs the registry's process and says where it
//! is, for as long as the duty and the lease are held.

mod report;
mod rows;
mod tenure;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use tokio::sync::watch;

pub use report::{RegistryLoopError, RegistryStatus};
pub use tenure::Tenure;

use crate::decide::registry::{self as decide, Row, Step, View, plan};
use crate::model::{
    BootId, Duty, Member, MemberStatus, Name, NodeId, Op, Refusal, Reply, Role, Topic,
};
use crate::registry::{Backend, BackendState, Settings, Socket};
use crate::state::State;
use crate::store::report::Report;
use crate::store::{Store, Watch};
use crate::task::{Backoff, Looper, Next, Round, Shutdown, clock};

/// The service's name and id in the catalog.
pub const SERVICE: &str = "registry";
/// The hidden entry with the `http.secret` that all hosts share.
pub const HTTP_SECRET: &str = "registry/http-secret";

const TICK: Duration = Duration::from_secs(5);
/// While there is something to do or to wait for.
const SOON: Duration = Duration::from_millis(250);
/// How long a host whose process failed leaves the duty to others.
const REST: Duration = Duration::from_secs(60);
/// How long a stopping host tries to give the duty back.
const FAREWELL: Duration = Duration::from_secs(2);

/// The term under which this node serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Serving {
    /// The duty's sequencer.
    pub sequencer: u64,
    /// Where the process listens.
    pub socket: Socket,
}

/// What the loop is made of.
pub struct Parts {
    /// This node.
    pub me: NodeId,
    /// This process.
    pub boot: BootId,
    /// Its name.
    pub name: Name,
    /// Its role: only servers host the registry.
    pub role: Role,
    /// Its address in the admin network.
    pub address: IpAddr,
    /// The front's port.
    pub port: u16,
    /// The cluster.
    pub store: Arc<Store>,
    /// How to run the process; `None`: this node hosts no registry.
    pub settings: Option<Settings>,
    /// This node's own lease.
    pub tenure: Tenure,
    /// What the node says of itself to the cluster.
    pub report: Arc<Report>,
}

/// The loop.
pub struct RegistryLoop {
    parts: Parts,
    watch: Watch,
    serving: watch::Sender<Option<Serving>>,
    status: watch::Sender<RegistryStatus>,
    process: Option<Process>,
    vacant_since: Option<Instant>,
    resting_since: Option<Instant>,
    last_failure: Option<String>,
}

struct Process {
    _backend: Backend,
    state: watch::Receiver<BackendState>,
}

impl RegistryLoop {
    /// The loop, the term under which this node serves, and how it stands.
    #[must_use]
    pub fn new(
        parts: Parts,
    ) -> (
        Self,
        watch::Receiver<Option<Serving>>,
        watch::Receiver<RegistryStatus>,
    ) {
        let (serving, terms) = watch::channel(None);
        let (status, standing) = watch::channel(RegistryStatus::default());
        let topics = vec![
            Topic::Duties,
            Topic::Members,
            Topic::Node(parts.name.to_string()),
        ];
        let this = Self {
            watch: parts.store.watch(topics),
            parts,
            serving,
            status,
            process: None,
            vacant_since: None,
            resting_since: None,
            last_failure: None,
        };
        (this, terms, standing)
    }

    /// Runs until the shutdown begins, and then gives the duty back.
    pub fn run(self, shutdown: &Shutdown) -> BoxFuture<'static, ()> {
        let backoff = Backoff::new(SOON / 2, SOON * 4);
        let looper = Looper::new("registry", TICK, shutdown).with_backoff(backoff);
        let (me, boot, name) = (self.parts.me, self.parts.boot, self.parts.name.clone());
        let store = Arc::clone(&self.parts.store);
        Box::pin(async move {
            looper.run(self).await;
            let held = store.state().duty(Duty::Registry);
            if held.is_some_and(|held| (held.node, held.boot) == (me, boot)) {
                let farewell = async {
                    store.write(rows::deregister(&name)).await?;
                    store.write(rows::release(me)).await
                };
                if let Ok(Err(error)) = tokio::time::timeout(FAREWELL, farewell).await {
                    tracing::debug!("the registry's duty was not given back: {error}");
                }
            }
        })
    }

    /// What there is to do, and the state that says so.
    fn look(&mut self) -> (Vec<Step>, Arc<State>) {
        let state = self.parts.store.state();
        let now = clock::now();
        let since = |then: Option<Instant>| then.map(|then| now.saturating_duration_since(then));
        let holder = state.duty(Duty::Registry);
        self.vacant_since = holder.is_none().then(|| self.vacant_since.unwrap_or(now));
        if since(self.resting_since).is_some_and(|rested| rested >= REST) {
            self.resting_since = None;
        }
        let member = state.member(self.parts.me);
        let status = member.map(|member| member.status);
        let alive = status == Some(MemberStatus::Alive)
            && member.is_some_and(|member| member.boot == Some(self.parts.boot));
        let members: BTreeMap<NodeId, Member> = state
            .members()
            .map(|member| (member.id, Member::clone(member)))
            .collect();
        let steps = plan(&View {
            me: self.parts.me,
            boot: self.parts.boot,
            eligible: self.eligible(),
            stopping: status == Some(MemberStatus::Leaving),
            lease: self.parts.tenure.is_held() && alive,
            resting: self.resting_since.is_some(),
            holder,
            vacant: since(self.vacant_since).unwrap_or_default(),
            leader: self.parts.store.contact().leader,
            members: &members,
            backend: self.backend(),
            row: rows::present(&state, &self.parts.name),
            wanted: self.wanted(),
        });
        (steps, state)
    }

    fn eligible(&self) -> bool {
        let settings = self.parts.settings.as_ref();
        self.parts.role == Role::Server
            && settings.is_some_and(|settings| settings.program().is_ok())
    }

    fn wanted(&self) -> Row {
        Row {
            address: self.parts.address,
            port: self.parts.port,
        }
    }

    fn backend(&mut self) -> decide::Backend {
        let Some(process) = &mut self.process else {
            return decide::Backend::Off;
        };
        let state = process.state.borrow_and_update();
        if state.last.is_some() {
            self.last_failure.clone_from(&state.last);
        }
        match &state.up {
            Some(_) => decide::Backend::Up,
            None => decide::Backend::Starting {
                failures: state.failures,
            },
        }
    }

    /// Nothing here may wait for the leader before what a lost duty asks for is done: `Stop` is
    /// always the first step.
    async fn perform(&mut self, step: Step, state: &State) -> Result<(), RegistryLoopError> {
        match step {
            Step::Stop => self.stop(),
            Step::Start => self.start(state)?,
            Step::Serve(sequencer) => self.serve(sequencer),
            Step::Register(row) => {
                self.write(rows::register(state, self.parts.me, &self.parts.name, row))
                    .await?
            }
            Step::Deregister => self.write(rows::deregister(&self.parts.name)).await?,
            Step::Take => {
                let (node, boot) = (self.parts.me, self.parts.boot);
                let duty = Duty::Registry;
                self.write(Op::DutyTake { duty, node, boot }).await?;
            }
            Step::Release => self.write(rows::release(self.parts.me)).await?,
            Step::Rest => self.resting_since = Some(clock::now()),
        }
        Ok(())
    }

    fn stop(&mut self) {
        self.serving.send_replace(None);
        if self.process.take().is_some() {
            tracing::info!("the registry stops on this node");
        }
    }

    fn start(&mut self, state: &State) -> Result<(), RegistryLoopError> {
        let secret = state
            .hidden(HTTP_SECRET)
            .ok_or(RegistryLoopError::NoSecret)?
            .0;
        let secret = String::from_utf8_lossy(secret).into_owned();
        let Some(settings) = self.parts.settings.clone() else {
            return Ok(());
        };
        tracing::info!("the registry starts on this node");
        let backend = Backend::start(settings, secret);
        self.process = Some(Process {
            state: backend.state(),
            _backend: backend,
        });
        Ok(())
    }

    fn serve(&mut self, sequencer: u64) {
        let socket = self
            .process
            .as_ref()
            .and_then(|process| process.state.borrow().up.clone());
        let term = socket.map(|socket| Serving { sequencer, socket });
        self.serving.send_if_modified(|now| {
            let changed = *now != term;
            *now = term;
            changed
        });
    }

    async fn write(&self, op: Op) -> Result<(), RegistryLoopError> {
        let reply = tokio::select! {
            reply = self.parts.store.write(op) => reply?,
            // What this round wanted no longer counts: look again.
            () = self.parts.tenure.clone().ends() => return Ok(()),
        };
        match reply {
            Reply::Refused(refusal) => Err(RegistryLoopError::Refused(refusal)),
            _ => Ok(()),
        }
    }

    fn report(&self) {
        let state = self.parts.store.state();
        let holder = state.duty(Duty::Registry);
        let host = holder.and_then(|holder| state.member(holder.node));
        let host = host.map(|member| member.name.to_string());
        let mine = holder.is_some_and(|holder| holder.node == self.parts.me);
        let missing = self
            .parts
            .settings
            .as_ref()
            .and_then(|settings| settings.program().err());
        let next = if self.serving.borrow().is_some() {
            RegistryStatus::Serving
        } else if mine {
            RegistryStatus::Starting(self.last_failure.clone())
        } else if let Some(error) = missing {
            RegistryStatus::Unable {
                host,
                reason: error.to_string(),
            }
        } else {
            RegistryStatus::StandingBy { host }
        };
        self.status.send_if_modified(|now| {
            let changed = *now != next;
            if changed {
                tracing::info!("registry: {next}");
                self.parts.report.set("registry", next.to_string());
                *now = next;
            }
            changed
        });
    }
}

impl Round for RegistryLoop {
    type Error = RegistryLoopError;

    async fn wake(&mut self) {
        let process = async {
            match &mut self.process {
                Some(process) => changed(&mut process.state).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = self.watch.changed() => {}
            () = process => {}
            () = self.parts.tenure.turns() => {}
        }
    }

    async fn round(&mut self) -> Result<Next, RegistryLoopError> {
        let (steps, state) = self.look();
        let mut done = Ok(());
        for step in &steps {
            done = self.perform(*step, &state).await;
            if done.is_err() {
                break;
            }
        }
        // A process that is no longer up is served by nobody, whatever the plan waits for.
        if self.backend() != decide::Backend::Up {
            self.serving.send_if_modified(|now| now.take().is_some());
        }
        self.report();
        done?;
        let quiet = steps.iter().all(|step| matches!(step, Step::Serve(_)));
        let calm = quiet && self.vacant_since.is_none();
        Ok(if calm {
            Next::OnTick
        } else {
            Next::After(SOON)
        })
    }
}

/// Returns at the next change; never, if whoever made changes is gone.
pub(super) async fn changed<T>(value: &mut watch::Receiver<T>) {
    if value.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
}

#[cfg(test)]
#[path = "registry_tests.rs"]
mod tests;
