//! Keeps the registry's process running and knows whether it answers.

use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::header::HOST;
use hyper::{Request, StatusCode};
use tokio::sync::watch;

use super::child::Child;
use super::program::{CONFIG, RegistryError, Settings, Socket};
use super::upstream;
use crate::task::{self, AbortOnDrop, Backoff, Chain};

/// How often a starting process is asked whether it answers.
const STARTING: Duration = Duration::from_millis(20);
/// A process that has not answered by then is started again.
const START_LIMIT: Duration = Duration::from_secs(45);
/// How often a running process is asked.
const HEALTH: Duration = Duration::from_secs(5);
/// How long an answer may take.
const ANSWER: Duration = Duration::from_secs(5);
/// So many missed answers in a row, and it is started again.
const MISSES: u32 = 3;
const BACKOFF_FIRST: Duration = Duration::from_millis(100);
const BACKOFF_CAP: Duration = Duration::from_secs(10);

/// How the process is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BackendState {
    /// Where it answers; `None`: not yet, or not now.
    pub up: Option<Socket>,
    /// How often in a row it ended or failed to answer.
    pub failures: u32,
    /// What went wrong last.
    pub last: Option<String>,
}

/// A running registry process. Dropping it ends the process.
pub struct Backend {
    state: watch::Receiver<BackendState>,
    _task: AbortOnDrop,
}

impl Backend {
    /// Runs the program and starts it again, slower and slower, when it ends or goes silent.
    /// `secret` is the cluster's, so that uploads survive a change of host.
    #[must_use]
    pub fn start(settings: Settings, secret: String) -> Self {
        let (report, state) = watch::channel(BackendState::default());
        let task = task::spawn("registry-process", keep(settings, secret, report));
        Self {
            state,
            _task: task.abort_on_drop(),
        }
    }

    /// How it is, now and later.
    #[must_use]
    pub fn state(&self) -> watch::Receiver<BackendState> {
        self.state.clone()
    }
}

async fn keep(settings: Settings, secret: String, report: watch::Sender<BackendState>) {
    let mut backoff = Backoff::new(BACKOFF_FIRST, BACKOFF_CAP);
    loop {
        let Err(error) = run(&settings, &secret, &report).await;
        if report.borrow().up.is_some() {
            backoff.reset();
        }
        let pause = backoff.next_delay();
        tracing::warn!(again_in = ?pause, "{}", Chain(&error));
        report.send_modify(|state| {
            state.up = None;
            state.failures = state.failures.saturating_add(1);
            state.last = Some(Chain(&error).to_string());
        });
        tokio::time::sleep(pause).await;
    }
}

/// Runs the process until it fails.
async fn run(
    settings: &Settings,
    secret: &str,
    report: &watch::Sender<BackendState>,
) -> Result<std::convert::Infallible, RegistryError> {
    let program = settings.program()?;
    let socket = settings.prepare(secret)?;
    let mut child = Child::spawn(command(settings, &program))
        .await
        .map_err(|cause| RegistryError::Io {
            act: "run",
            path: program,
            cause,
        })?;
    tokio::select! {
        end = child.ended() => Err(RegistryError::Ended { status: end.status, words: end.words }),
        error = attend(&socket, report) => Err(error),
    }
}

fn command(settings: &Settings, program: &std::path::Path) -> Command {
    let mut command = match settings.launcher.split_first() {
        None => Command::new(program),
        Some((launcher, rest)) => {
            let mut command = Command::new(launcher);
            command.args(rest);
            command.arg(std::process::id().to_string()).arg(program);
            command
        }
    };
    command.arg("serve").arg(CONFIG);
    // Variables of ours would become settings of its, and some make its S3 driver panic.
    command
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .current_dir(&settings.run_dir);
    // A Ctrl-C in the agent's terminal is the agent's to answer.
    command.process_group(0);
    command
}

/// Waits until the process answers, and then as long as it does.
async fn attend(socket: &Socket, report: &watch::Sender<BackendState>) -> RegistryError {
    let begins = async {
        while probe(socket).await.is_err() {
            tokio::time::sleep(STARTING).await;
        }
    };
    if tokio::time::timeout(START_LIMIT, begins).await.is_err() {
        return RegistryError::Silent(format!("{} s after its start", START_LIMIT.as_secs()));
    }
    report.send_modify(|state| {
        state.up = Some(socket.clone());
        state.failures = 0;
    });
    let mut misses = 0;
    loop {
        tokio::time::sleep(HEALTH).await;
        match probe(socket).await {
            Ok(()) => misses = 0,
            Err(_) if misses + 1 < MISSES => misses += 1,
            Err(error) => return RegistryError::Silent(error),
        }
    }
}

async fn probe(socket: &Socket) -> Result<(), String> {
    let ask = async {
        let mut sender = upstream::to_process(socket)
            .await
            .map_err(|error| error.to_string())?;
        let body = Empty::<Bytes>::new()
            .map_err(|never| match never {})
            .boxed();
        let request = Request::get("/v2/").header(HOST, "localhost").body(body);
        let request = request.map_err(|error| error.to_string())?;
        let answer = sender.send_request(request).await;
        match answer.map_err(|error| error.to_string())?.status() {
            StatusCode::OK => Ok(()),
            other => Err(format!("GET /v2/ is answered with {other}")),
        }
    };
    tokio::time::timeout(ANSWER, ask)
        .await
        .unwrap_or_else(|_| Err(format!("no answer within {} s", ANSWER.as_secs())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::Storage;

    fn settings(folder: &std::path::Path, command: Option<&str>) -> Settings {
        Settings {
            command: command.map(Into::into),
            storage: Storage::Filesystem(folder.join("images")),
            log_level: "warn".into(),
            run_dir: folder.join("a".repeat(120)),
            launcher: Vec::new(),
        }
    }

    async fn until(
        state: &mut watch::Receiver<BackendState>,
        fact: impl FnMut(&BackendState) -> bool,
    ) -> BackendState {
        let limit = Duration::from_secs(20);
        let found = tokio::time::timeout(limit, state.wait_for(fact)).await;
        found.expect("it comes true in time").unwrap().clone()
    }

    #[tokio::test]
    async fn the_real_program_serves_comes_back_after_a_crash_and_ends_with_its_keeper() {
        let folder = tempfile::tempdir().unwrap();
        let backend = Backend::start(settings(folder.path(), None), "secret".into());
        let mut state = backend.state();
        let first = until(&mut state, |state| state.up.is_some())
            .await
            .up
            .unwrap();
        let process = || {
            let found = std::fs::read_dir("/proc").unwrap().flatten().find(|entry| {
                let cwd = std::fs::read_link(entry.path().join("cwd"));
                cwd.is_ok_and(|cwd| cwd.starts_with(folder.path()))
            });
            found.map(|entry| {
                entry
                    .file_name()
                    .into_string()
                    .unwrap()
                    .parse::<i32>()
                    .unwrap()
            })
        };
        let id = rustix::process::Pid::from_raw(process().unwrap()).unwrap();
        rustix::process::kill_process(id, rustix::process::Signal::KILL).unwrap();
        let down = until(&mut state, |state| state.up.is_none()).await;
        assert!(down.last.unwrap().contains("signal 9"));
        let again = until(&mut state, |state| state.up.is_some()).await;
        assert_eq!(again.failures, 0);
        assert_ne!(again.up.unwrap(), first, "a new process, a new route");
        drop(backend);
        let gone = async {
            while process().is_some() {
                tokio::time::sleep(STARTING).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(5), gone)
            .await
            .unwrap();
    }

    #[tokio::test]
    async fn a_program_that_fails_is_quoted_and_counted() {
        let folder = tempfile::tempdir().unwrap();
        let backend = Backend::start(settings(folder.path(), Some("/bin/false")), "s".into());
        let state = until(&mut backend.state(), |state| state.failures >= 2).await;
        assert!(state.last.unwrap().contains("exit status 1"));
        let backend = Backend::start(settings(folder.path(), Some("/bin/none")), "s".into());
        let state = until(&mut backend.state(), |state| state.failures >= 1).await;
        assert!(
            state.last.unwrap().contains("install"),
            "it says what to do"
        );
    }
}
