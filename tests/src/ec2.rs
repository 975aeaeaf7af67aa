//! A stand-in for EC2's API whose instances are on this machine's loopback, and which can be told to
//! hang or to refuse. For the real protocol there is [`crate::moto`].

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use anyhow::{Context, Result};

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

/// The stand-in, until it is dropped.
#[derive(Debug)]
pub struct Ec2 {
    address: SocketAddr,
    shared: Arc<Mutex<Shared>>,
}

#[derive(Debug)]
struct Shared {
    mood: Mood,
    asked: Vec<String>,
    held: Vec<TcpStream>,
}

impl Ec2 {
    /// The secret that [`Ec2::source`] gives: it must be found nowhere else.
    pub const SECRET: &str = "s3cret-of-an-access-key";

    /// On a port of its own.
    pub fn start(mood: Mood) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Mutex::new(Shared {
            mood,
            asked: Vec::new(),
            held: Vec::new(),
        }));
        let weak = Arc::downgrade(&shared);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let Some(shared) = weak.upgrade() else { break };
                thread::spawn(move || drop(serve(stream, &shared)));
            }
        });
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

impl Drop for Ec2 {
    fn drop(&mut self) {
        // Its thread looks up once more, and finds nobody.
        let _ = TcpStream::connect(self.address);
    }
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

fn serve(stream: TcpStream, shared: &Mutex<Shared>) -> Result<()> {
    let mut reader = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        if line.trim().is_empty() {
            break;
        }
        let (name, value) = line.split_once(':').unwrap_or((&line, ""));
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().context("a length")?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let mut stream = reader.into_inner();
    let mut shared = lock(shared);
    shared.asked.push(String::from_utf8(body)?);
    let (status, answer) = match &shared.mood {
        Mood::Answers(addresses) => (200, instances(addresses)),
        Mood::Refuses(status, code, message) => (
            *status,
            format!(
                "<Response><Errors><Error><Code>{code}</Code><Message>{message}</Message></Error></Errors></Response>"
            ),
        ),
        Mood::Hangs => {
            shared.held.push(stream);
            return Ok(());
        }
    };
    drop(shared);
    let length = answer.len();
    write!(
        stream,
        "HTTP/1.1 {status} x\r\nContent-Type: text/xml\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{answer}"
    )?;
    Ok(())
}

fn instances(addresses: &[IpAddr]) -> String {
    let items = addresses.iter().enumerate().map(|(number, address)| {
        format!(
            "<item><instancesSet><item><instanceId>i-{number:017x}</instanceId><instanceState><code>16</code><name>running</name></instanceState><privateIpAddress>{address}</privateIpAddress></item></instancesSet></item>"
        )
    });
    let items: String = items.collect();
    format!(
        "<DescribeInstancesResponse xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\"><reservationSet>{items}</reservationSet></DescribeInstancesResponse>"
    )
}
