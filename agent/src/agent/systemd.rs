//! What the service manager is told: `Type=notify`, its status line, its watchdog
//! (<https://www.freedesktop.org/software/systemd/man/latest/sd_notify.html>). A few lines of text
//! in a datagram; nothing without `NOTIFY_SOCKET`.

use std::convert::Infallible;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::watch;

use crate::cluster::me::Me;
use crate::store::Store;
use crate::task::{Looper, Next, Round, Shutdown, Tasks};

/// How often the status line is looked at; it is sent when it has changed.
const TICK: Duration = Duration::from_secs(1);
/// A manager that is too busy to read must not hold the agent up.
const PATIENCE: Duration = Duration::from_secs(1);

/// The service manager, if there is one.
pub(super) struct Manager {
    door: Option<(UnixDatagram, SocketAddr)>,
    /// It kills a process that it did not hear of for so long.
    watchdog: Option<Duration>,
}

impl Manager {
    /// The one that started this process.
    pub(super) fn of_environment() -> Arc<Self> {
        Arc::new(Self::of(&|name| std::env::var_os(name)))
    }

    pub(super) fn of(variable: &dyn Fn(&str) -> Option<OsString>) -> Self {
        let wanted = variable("NOTIFY_SOCKET").filter(|text| !text.is_empty());
        let door = wanted.and_then(|wanted| match open(&wanted) {
            Ok(door) => Some(door),
            Err(error) => {
                tracing::warn!("NOTIFY_SOCKET is {wanted:?}, which can't be used: {error}");
                None
            }
        });
        let number = |name: &str| variable(name)?.to_str()?.parse::<u64>().ok();
        // For another process than this one, if a parent left its own there.
        let ours = number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(std::process::id()));
        let watchdog = number("WATCHDOG_USEC").filter(|period| ours && *period > 0);
        Self {
            door,
            watchdog: watchdog.map(Duration::from_micros),
        }
    }

    /// Everything that does not need a cluster serves.
    pub(super) fn ready(&self) {
        self.send("READY=1");
    }

    /// The agent stops.
    pub(super) fn stopping(&self) {
        self.send("STOPPING=1\nSTATUS=stopping");
    }

    /// For `systemctl status`: one line.
    pub(super) fn status(&self, text: &str) {
        self.send(&format!("STATUS={}", text.replace('\n', "; ")));
    }

    fn alive(&self) {
        if self.watchdog.is_some() {
            self.send("WATCHDOG=1");
        }
    }

    fn send(&self, text: &str) {
        let Some((socket, to)) = &self.door else {
            return;
        };
        if let Err(error) = socket.send_to_addr(text.as_bytes(), to) {
            tracing::debug!("the service manager does not listen: {error}");
        }
    }
}

/// `/path`, or `@name` in Linux's abstract namespace.
fn open(wanted: &OsStr) -> io::Result<(UnixDatagram, SocketAddr)> {
    let to = match wanted.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
        [b'/', ..] => SocketAddr::from_pathname(wanted)?,
        _ => {
            let why = "it is neither a path nor @ and a name";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
        }
    };
    let socket = UnixDatagram::unbound()?;
    socket.set_write_timeout(Some(PATIENCE))?;
    Ok((socket, to))
}

/// Says that everything which needs no cluster serves, and from then on how the agent is, until it
/// stops.
pub(super) fn ready(manager: &Arc<Manager>, me: &Arc<Me>, store: &Arc<Store>, tasks: &Tasks) {
    manager.ready();
    let keeper = Keeper::new(manager, me, store);
    tasks.spawn("systemd", keeper.run(tasks.shutdown()));
    let (manager, shutdown) = (Arc::clone(manager), tasks.shutdown().clone());
    tasks.spawn("farewell to systemd", async move {
        shutdown.begun().await;
        manager.stopping();
    });
}

/// Keeps the status line true and the watchdog quiet.
struct Keeper {
    manager: Arc<Manager>,
    me: Arc<Me>,
    store: Arc<Store>,
    waits: watch::Receiver<String>,
    said: String,
}

impl Keeper {
    fn new(manager: &Arc<Manager>, me: &Arc<Me>, store: &Arc<Store>) -> Self {
        Self {
            manager: Arc::clone(manager),
            me: Arc::clone(me),
            store: Arc::clone(store),
            waits: me.waits.subscribe(),
            said: String::new(),
        }
    }

    /// Runs until the shutdown begins; not at all without a manager.
    fn run(self, shutdown: &Shutdown) -> BoxFuture<'static, ()> {
        if self.manager.door.is_none() {
            return Box::pin(std::future::ready(()));
        }
        // Twice in a period, as sd_watchdog_enabled(3) wants it.
        let often = self.manager.watchdog.map_or(TICK, |period| period / 2);
        Box::pin(Looper::new("systemd", TICK.min(often), shutdown).run(self))
    }

    fn status(&mut self) -> String {
        let waits = self.waits.borrow_and_update().clone();
        let state = self.store.state();
        let (stack, dc) = (&self.me.stack, &self.me.dc);
        let name = |id| state.member(id).map(|member| member.name.to_string());
        match (state.cluster(), self.store.contact().leader) {
            (_, Some(leader)) if leader == self.me.id => format!("leads {stack}:{dc}"),
            (Some(_), Some(leader)) => {
                let leader = name(leader).unwrap_or_else(|| leader.to_string());
                format!("a member of {stack}:{dc}, which {leader} leads")
            }
            (Some(_), None) => format!("a member of {stack}:{dc}, which has no leader now"),
            (None, _) if waits.is_empty() => format!("looking for {stack}:{dc}"),
            (None, _) => format!("waiting: {waits}"),
        }
    }
}

impl Round for Keeper {
    type Error = Infallible;

    async fn wake(&mut self) {
        // The sender lives in `me`.
        let _ = self.waits.changed().await;
    }

    async fn round(&mut self) -> Result<Next, Infallible> {
        self.manager.alive();
        let status = self.status();
        if status != self.said {
            self.manager.status(&status);
            self.said = status;
        }
        Ok(Next::OnTick)
    }
}
