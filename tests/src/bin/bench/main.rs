//! Measures Swarmer, and the peers that are installed beside it, in one run.
//! `docs/benchmarks.md` says what each figure means and how to have the peers.

mod cluster;
mod dns;
mod failure;
mod figures;
mod formation;
mod grpc;
mod http;
mod kv;
mod load;
mod makes;
mod memory;
mod process;
mod registry;
mod watchers;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};

use cluster::{Make, Programs};
use figures::Figures;

const USAGE: &str = "\
bench: measures Swarmer beside etcd and Consul, where those are installed

  --quick           medians of 3, short loads
  --rounds N        medians of N (default 10)
  --only LIST       of: formation,failure,registry,kv,memory,watchers
  --peers LIST      of: etcd,consul, or none (default: those that are there)
  --swarmer FILE    the program (default: beside this one)
  --json            JSON on standard output instead of the table

Consul is looked for in $CONSUL and in $PATH.";

/// One run.
pub(crate) struct Bench {
    pub(crate) programs: Programs,
    pub(crate) figures: Figures,
    pub(crate) rounds: usize,
    pub(crate) quick: bool,
}

impl Bench {
    /// Those of `wanted` that are there.
    pub(crate) fn makes(&self, wanted: &[Make]) -> Vec<Make> {
        let missing = self.missing();
        let there = wanted.iter().filter(|make| !missing.contains(make));
        there.copied().collect()
    }

    fn missing(&self) -> Vec<Make> {
        let peers = [
            (Make::Etcd, &self.programs.etcd),
            (Make::Consul, &self.programs.consul),
        ];
        let absent = peers.into_iter().filter(|(_, program)| program.is_none());
        absent.map(|(make, _)| make).collect()
    }
}

struct Options {
    bench: Bench,
    only: Option<String>,
    json: bool,
}

fn main() -> ExitCode {
    let run = options(std::env::args().skip(1)).and_then(run);
    match run {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: Options) -> Result<()> {
    let mut bench = options.bench;
    type Section = fn(&mut Bench) -> Result<()>;
    let sections: [(&str, Section); 6] = [
        ("formation", formation::measure),
        ("failure", failure::measure),
        ("registry", failure::registry),
        ("kv", kv::measure),
        ("memory", memory::measure),
        ("watchers", watchers::measure),
    ];
    let only = options.only.unwrap_or_default();
    let only: Vec<&str> = only.split(',').filter(|word| !word.is_empty()).collect();
    if let Some(word) = only
        .iter()
        .find(|word| !sections.iter().any(|(name, _)| name == *word))
    {
        bail!("no section {word}\n\n{USAGE}");
    }
    let mut failed = Vec::new();
    for (name, section) in sections {
        if !only.is_empty() && !only.contains(&name) {
            continue;
        }
        eprintln!("measuring: {name} (load average {})", load_average());
        // What was measured is shown even where a section broke off.
        if let Err(error) = section(&mut bench) {
            eprintln!("{name} broke off: {error:#}");
            failed.push(name);
        }
    }
    if options.json {
        println!("{:#}", bench.figures.json());
    } else {
        print!("{}", bench.figures.table(&bench.missing()));
        println!(
            "\nRatios above 1: Swarmer is better so many times. Load average {}.",
            load_average()
        );
    }
    if !failed.is_empty() {
        bail!("broke off: {}", failed.join(", "));
    }
    Ok(())
}

fn load_average() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().unwrap_or_default().to_owned()
}

fn options(mut arguments: impl Iterator<Item = String>) -> Result<Options> {
    let beside = std::env::current_exe()?.with_file_name("swarmer");
    let (mut swarmer, mut rounds, mut quick, mut json) = (beside, None, false, false);
    let (mut only, mut peers) = (None, None);
    while let Some(argument) = arguments.next() {
        let mut value = || {
            arguments
                .next()
                .with_context(|| format!("{argument} needs a value\n\n{USAGE}"))
        };
        match argument.as_str() {
            "--quick" => quick = true,
            "--json" => json = true,
            "--rounds" => rounds = Some(value()?.parse().context("--rounds")?),
            "--only" => only = Some(value()?),
            "--peers" => peers = Some(value()?),
            "--swarmer" => swarmer = PathBuf::from(value()?),
            "--help" | "-h" => {
                println!("{USAGE}");
                std::process::exit(0);
            }
            other => bail!("unknown argument {other}\n\n{USAGE}"),
        }
    }
    if !swarmer.is_file() {
        bail!("{} is not there: cargo build --release", swarmer.display());
    }
    let wanted = |name: &str| {
        peers
            .as_ref()
            .is_none_or(|list| list.split(',').any(|peer| peer == name))
    };
    let consul = std::env::var_os("CONSUL").map(PathBuf::from);
    let programs = Programs {
        swarmer,
        etcd: find("etcd").filter(|_| wanted("etcd")),
        consul: consul
            .or_else(|| find("consul"))
            .filter(|_| wanted("consul")),
        registry: find("docker-registry")
            .or_else(|| find("registry"))
            .is_some(),
    };
    Ok(Options {
        bench: Bench {
            programs,
            figures: Figures::default(),
            rounds: rounds.unwrap_or(if quick { 3 } else { 10 }),
            quick,
        },
        only,
        json,
    })
}

fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let mut places = std::env::split_paths(&path).map(|folder| folder.join(program));
    places.find(|file| file.is_file())
}
