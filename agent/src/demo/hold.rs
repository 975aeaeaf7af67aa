//! A demo that is not detached: it lives as long as its terminal wants it.

use std::process::Child;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::record::{self, Demo};
use super::{DemoError, processes, programs, words};

const LOOK: Duration = Duration::from_millis(200);

/// Watches the nodes until it is told to stop, then ends them all, also those that were started
/// again by hand.
pub(super) async fn hold(demo: &Demo, children: Vec<Child>) -> Result<(), DemoError> {
    tokio::select! {
        () = watch(demo, children) => return Ok(()),
        told = told_to_stop() => told?,
    }
    eprintln!("stopping");
    processes::end_all(&demo.dir).await?;
    match demo.named {
        true => super::folder::remove(&record::file(&demo.dir)),
        false => demo.remove_files(),
    }
}

/// Returns on Ctrl-C, `kill`, or the end of the terminal.
pub(super) async fn told_to_stop() -> Result<(), DemoError> {
    let on = |kind| -> Result<Signal, DemoError> {
        signal(kind).map_err(|error| DemoError::io("listen for", "signals", error))
    };
    let mut interrupt = on(SignalKind::interrupt())?;
    let mut terminate = on(SignalKind::terminate())?;
    let mut hangup = on(SignalKind::hangup())?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        _ = hangup.recv() => {}
    }
    Ok(())
}

/// Says which node ended, and returns once `demo stop` has taken the demo away.
async fn watch(demo: &Demo, mut children: Vec<Child>) {
    let mut gone = vec![false; children.len()];
    loop {
        tokio::time::sleep(LOOK).await;
        if !record::file(&demo.dir).exists() {
            return;
        }
        let nodes = demo.nodes.iter().zip(&mut children).zip(&mut gone);
        for ((node, child), gone) in nodes.filter(|(_, gone)| !**gone) {
            if let Ok(Some(status)) = child.try_wait() {
                *gone = true;
                let how = processes::how(status);
                let command = words::command(node, &programs::typed(node.program()));
                eprintln!("{} ended ({how}); start it again: {command}", node.name);
            }
        }
    }
}
