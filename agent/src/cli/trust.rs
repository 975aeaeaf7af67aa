//! `swarmer trust`: this machine believes a cluster's CA.

use std::fmt::Write as _;
use std::io::{BufRead as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::Args;
use serde_json::json;

use super::connect::Connect;
use super::failure::Failure;
use super::operator_files::OperatorFiles;
use super::output;
use super::trust_plan::{self as plan, Family, Step};
use crate::pki::tls::CertStore;

/// What `swarmer trust` takes.
#[derive(Args)]
pub(super) struct Arguments {
    /// A cluster that you are logged in to (or the folder of its files)
    #[arg(value_name = "STACK:DC")]
    of: String,
    /// Show what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Take it back
    #[arg(long)]
    undo: bool,
    /// Don't ask
    #[arg(long, conflicts_with = "dry_run")]
    yes: bool,
    /// The registry's port
    #[arg(long, value_name = "PORT", default_value_t = 5000)]
    registry_port: u16,
    /// The system below this folder, such as an image that is being made: files only
    #[arg(long, value_name = "DIR", default_value = "/")]
    root: PathBuf,
}

/// All that is to be done.
struct Plan {
    steps: Vec<Step>,
    /// What makes the system read its files, if one of those changes.
    command: Option<&'static str>,
}

impl Plan {
    fn is_nothing(&self) -> bool {
        !self.steps.iter().any(Step::changes)
    }
}

pub(super) fn run(arguments: &Arguments, connect: &Connect<'_>) -> Result<(), Failure> {
    let files = OperatorFiles::find(&arguments.of)?;
    let ca = files.ca()?;
    // What is no CA must not get into the system's trust.
    CertStore::empty().trust(&ca)?;
    let cluster = files.cluster()?;
    let plan = make(arguments, &cluster.stack, &cluster.dc, &ca)?;
    let words = words(arguments, &plan);
    if arguments.dry_run || plan.is_nothing() {
        return match connect.json() {
            true => print(&plan, false),
            false => output::raw(words.as_bytes()),
        };
    }
    if arguments.root == Path::new("/") && !rustix::process::geteuid().is_root() {
        return Err(needs_root(arguments, &files));
    }
    if !arguments.yes {
        confirm(&words)?;
    } else if !connect.json() {
        output::raw(words.as_bytes())?;
    }
    for step in &plan.steps {
        step.take(&ca)
            .map_err(|error| Failure::file("change", step.file.display(), error))?;
    }
    if let Some(command) = plan.command {
        execute(command)?;
    }
    match connect.json() {
        true => print(&plan, true),
        false => output::line(match arguments.undo {
            true => "done: this machine no longer believes that CA",
            false => {
                "done; what keeps CAs of its own (browsers, Java) and programs that run must be told, or started again"
            }
        }),
    }
}

fn make(arguments: &Arguments, stack: &str, dc: &str, ca: &str) -> Result<Plan, Failure> {
    let root = &arguments.root;
    let family = plan::family(root).ok_or_else(|| {
        Failure::not(
            format!(
                "{} has neither usr/local/share/ca-certificates nor etc/pki/ca-trust/source/anchors, so it is not known how it keeps its CAs",
                root.display()
            ),
            "install the package ca-certificates; elsewhere, `swarmer ca show` prints the CA for your system's own way",
        )
    })?;
    let step = |file| match arguments.undo {
        true => plan::remove(file),
        false => plan::install(file, ca),
    };
    let system = step(plan::system_file(root, family, stack, dc));
    let command = command(arguments, family, &system);
    let docker = plan::docker_files(root, stack, dc, arguments.registry_port);
    let mut steps = vec![system];
    steps.extend(docker.into_iter().map(step));
    Ok(Plan { steps, command })
}

/// A system elsewhere is not ours to run programs in.
fn command(arguments: &Arguments, family: Family, system: &Step) -> Option<&'static str> {
    (system.changes() && arguments.root == Path::new("/")).then_some(family.command)
}

fn words(arguments: &Arguments, plan: &Plan) -> String {
    let mut text = String::new();
    for step in &plan.steps {
        let _ = writeln!(text, "{}", step.words());
    }
    if let Some(command) = plan.command {
        let _ = writeln!(text, "run      {command}");
    }
    if plan.is_nothing() {
        text.push_str("nothing needs to be done\n");
    } else if !arguments.undo {
        let _ = writeln!(
            text,
            "From then on programs on this machine believe whatever the servers of {} sign, for any name.",
            arguments.of
        );
    }
    text
}

fn confirm(words: &str) -> Result<(), Failure> {
    let mut err = std::io::stderr().lock();
    let asked = write!(err, "{words}Do it? [y/N] ").and_then(|()| err.flush());
    asked.map_err(|error| Failure::file("write to", "standard error", error))?;
    let mut answer = String::new();
    let read = std::io::stdin().lock().read_line(&mut answer);
    read.map_err(|error| Failure::file("read", "standard input", error))?;
    match answer.trim() {
        "y" | "Y" | "yes" => Ok(()),
        _ => Err(Failure::not(
            "nothing was changed",
            "answer y, or give --yes",
        )),
    }
}

/// Root has another home: it must be told where the files are.
fn needs_root(arguments: &Arguments, files: &OperatorFiles) -> Failure {
    let folder = std::path::absolute(files.folder()).unwrap_or(files.folder().to_owned());
    let undo = if arguments.undo { " --undo" } else { "" };
    Failure::not(
        "only root may change what this machine trusts",
        format!(
            "sudo swarmer trust {}{undo}; --dry-run shows what it does, without root",
            folder.display()
        ),
    )
}

fn execute(command: &str) -> Result<(), Failure> {
    let ran = Command::new(command)
        .output()
        .map_err(|error| Failure::file("run", command, error))?;
    if ran.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&ran.stderr);
    Err(Failure::not(
        format!("{command} failed ({}): {}", ran.status, said.trim()),
        format!("the files are in place: run {command} again when it works"),
    ))
}

fn print(plan: &Plan, done: bool) -> Result<(), Failure> {
    output::json(&json!({
        "steps": plan.steps,
        "command": plan.command,
        "done": done,
    }))
}
