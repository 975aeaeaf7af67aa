//! EC2's API alone, with instances of which only the addresses matter, and which can be told to hang
//! or to refuse.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Result;

use super::wire::{self, Answer};

/// How it answers.
#[derive(Clone, Debug)]
pub enum Mood {
    /// Running instances with these addresses, whatever the tags.
    Answers(Vec<IpAddr>),
    /// This status, code and message.
    Refuses(u16, &'static str, &'static str),
    /// It takes the connection and the request, and says nothing.
    Hangs,
}

/// The stand-in.
#[derive(Debug)]
pub struct Ec2 {
    address: SocketAddr,
    shared: Arc<Mutex<Shared>>,
}

#[derive(Debug)]
struct Shared {
    mood: Mood,
    asked: Vec<String>,
}

impl Ec2 {
    /// The secret that [`Ec2::source`] gives: it must be found nowhere else.
    pub const SECRET: &str = "s3cret-of-an-access-key";

    /// On a port of its own.
    pub fn start(mood: Mood) -> Result<Self> {
        let asked = Vec::new();
        let shared = Arc::new(Mutex::new(Shared { mood, asked }));
        let answering = Arc::clone(&shared);
        let address = wire::serve(move |request| {
            let mut shared = lock(&answering);
            shared.asked.push(request.body);
            answer(&shared.mood)
        })?;
        Ok(Self { address, shared })
    }

    /// The entry of `join` that asks it.
    #[must_use]
    pub fn source(&self) -> String {
        let (at, secret) = (self.address, Self::SECRET);
        format!(
            "provider=aws tag_key=swarmer tag_value=test-dev region=eu-west-1 endpoint=http://{at} access_key_id=AKIATEST secret_access_key={secret}"
        )
    }

    /// From now on.
    pub fn is_now(&self, mood: Mood) {
        lock(&self.shared).mood = mood;
    }

    /// The bodies of all requests so far.
    #[must_use]
    pub fn asked(&self) -> Vec<String> {
        lock(&self.shared).asked.clone()
    }
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

fn answer(mood: &Mood) -> Answer {
    match mood {
        Mood::Answers(addresses) => Some((200, instances(addresses))),
        Mood::Refuses(status, code, message) => Some((*status, super::refusal(code, message))),
        Mood::Hangs => None,
    }
}

fn instances(addresses: &[IpAddr]) -> String {
    let items = addresses.iter().enumerate().map(|(number, address)| {
        let address = address.to_string();
        super::instance_item(&format!("i-{number:017x}"), "running", &address)
    });
    super::describe_instances(&items.collect::<String>())
}
