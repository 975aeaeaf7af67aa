//! Starting a demo.

use std::io;
use std::path::Path;
use std::process::Child;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::node::Node;
use super::record::{self, Demo, DemoNode};
use super::{Arguments, DemoError, files, folder, ports, processes, programs, ready};
use crate::client::{Client, Request, Target};
use crate::model::Role;
use crate::task::clock;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Ca {
    certificate: String,
}

/// Starts the nodes, and returns once they serve. Fails with no process left.
pub(super) async fn start(arguments: &Arguments) -> Result<(Demo, Vec<Child>), DemoError> {
    let dir = folder::open(&arguments.folder())?;
    if record::file(&dir).exists() {
        let folder = dir.display().to_string();
        let option = arguments.dir.as_ref().map(|_| {
            let word = programs::quoted(&folder);
            format!(" --dir {word}")
        });
        return Err(DemoError::Taken {
            folder,
            option: option.unwrap_or_default(),
        });
    }
    let program = programs::ourselves()?;
    let registry = programs::has_registry();
    let token = files::write_tokens(&dir)?;
    let (servers, workers) = (
        usize::from(arguments.servers),
        usize::from(arguments.workers),
    );
    let reserved = ports::reserve(&dir, servers + workers)?;
    let roles = (1..=servers)
        .map(|number| (Role::Server, number))
        .chain((1..=workers).map(|number| (Role::Worker, number)));
    let nodes: Vec<Node> = roles
        .zip(&reserved.addresses)
        .map(|((role, number), address)| Node::new(&dir, role, number, *address, reserved.ports))
        .collect();
    for node in &nodes {
        files::write_node(&dir, node, &nodes, registry)?;
    }
    let mut demo = Demo {
        nodes: nodes
            .iter()
            .map(|node| DemoNode::new(node, &program, 0))
            .collect(),
        ca: files::ca_file(&dir),
        token: token.expose(),
        dir,
        dc: files::DC.to_owned(),
        stack: files::STACK.to_owned(),
        registry,
        named: arguments.dir.is_some(),
        ready_after: 0,
        leader: None,
    };
    // From here on `demo stop` knows what to remove.
    demo.save()?;
    drop(reserved);
    let mut children = Vec::new();
    let served = tokio::select! {
        served = serve(&mut demo, &nodes, &program, &mut children) => served,
        told = super::hold::told_to_stop() => told.and(Err(DemoError::Interrupted)),
    };
    match served {
        Ok(()) => Ok((demo, children)),
        Err(error) => {
            give_up(&demo, children).await?;
            Err(error)
        }
    }
}

async fn serve(
    demo: &mut Demo,
    nodes: &[Node],
    program: &Path,
    children: &mut Vec<Child>,
) -> Result<(), DemoError> {
    let begun = clock::now();
    for (node, record) in nodes.iter().zip(&mut demo.nodes) {
        let child = processes::spawn(program, node)?;
        record.pid = child.id();
        children.push(child);
    }
    ready::wait(nodes, children).await?;
    let took = clock::now().saturating_duration_since(begun);
    demo.ready_after = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    if let Some(node) = nodes.first() {
        let client = Client::new(Target::Plain(node.http().to_string()));
        let ca: Ca = get(&client, "/v1/swarmer/ca").await?;
        folder::write(&demo.ca, &ca.certificate)?;
        let leader: String = get(&client, "/v1/status/leader").await?;
        let leader = nodes.iter().find(|node| node.rpc().to_string() == leader);
        demo.leader = leader.map(|node| node.name.clone());
    }
    demo.save()
}

async fn get<T: DeserializeOwned>(client: &Client, path: &str) -> Result<T, DemoError> {
    let answer = client.send(Request::get(path)).await;
    answer
        .map_err(io::Error::other)
        .and_then(|answer| answer.json().map_err(io::Error::from))
        .map_err(|error| DemoError::io("get", path, error))
}

/// Leaves no process, and no file but in a folder that was named.
async fn give_up(demo: &Demo, mut children: Vec<Child>) -> Result<(), DemoError> {
    processes::end_all(&demo.dir).await?;
    for child in &mut children {
        // Where /proc is hidden from us, they were not found.
        let _ = child.kill();
        let _ = child.wait();
    }
    match demo.named {
        // The logs stay, to be read.
        true => folder::remove(&record::file(&demo.dir)),
        false => demo.remove_files(),
    }
}
