//! AWS as moto simulates it, and programs that use it through boto3, AWS's own client.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::binary;
use crate::needs::Need;
use crate::process::{self, Process, mortal};
use crate::scratch::Scratch;
use crate::wait;

/// It loads all of AWS's services first: two seconds of an idle processor.
const STARTS_WITHIN: Duration = Duration::from_secs(120);

/// A simulated AWS, until it is dropped.
#[derive(Debug)]
pub struct Moto {
    _server: Process,
    address: SocketAddr,
    _folder: Scratch,
}

impl Moto {
    /// What a test needs to have one: `tests/setup.sh` puts it there.
    pub fn need() -> Result<Need> {
        let path = python()?.to_str().context("an odd path")?.to_owned();
        Ok(Need::File(Box::leak(path.into_boxed_str())))
    }

    /// An empty one, on a free port.
    pub fn start() -> Result<Self> {
        let folder = Scratch::new("moto")?;
        let free = TcpListener::bind("127.0.0.1:0")?;
        let address = free.local_addr()?;
        drop(free);
        let mut command = mortal(python()?.with_file_name("moto_server"));
        command.args(["-H", "127.0.0.1", "-p", &address.port().to_string()]);
        let server = Process::spawn("moto", command, &folder.path().join("moto.log"))?;
        wait::for_fact("moto answers", STARTS_WITHIN, || {
            TcpStream::connect(address).context("connect to moto")
        })?;
        Ok(Self {
            _server: server,
            address,
            _folder: folder,
        })
    }

    /// Its URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Runs a Python program with its URL as the first argument; gives what it printed.
    pub fn python(&self, program: &str) -> Result<String> {
        let mut command = mortal(python()?);
        command.args(["-c", program, &self.url()]);
        process::run(&mut command)
    }
}

fn python() -> Result<PathBuf> {
    Ok(binary::target_directory()?.join("moto/bin/python"))
}
