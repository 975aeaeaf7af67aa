//! The operator's files of a cluster: `~/.swarmer/<stack>/<dc>/`.

use std::fs;
use std::io::Write as _;
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject as _;
use serde::{Deserialize, Serialize};

use super::failure::Failure;
use crate::client::Target;
use crate::cluster::join_messages::Login;
use crate::model::Name;
use crate::pki::tls::{self, CertStore};
use crate::pki::{NodeKey, Validity};
use crate::task::clock;

const CA: &str = "ca.pem";
const CERTIFICATE: &str = "cert.pem";
const KEY: &str = "key.pem";
const CLUSTER: &str = "cluster.json";
const VERSION: u32 = 1;
const DNS_PORT: u16 = 53;
const DOCKER_PORT: u16 = 2376;

/// `cluster.json`: where the servers are, refreshed at use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ClusterFile {
    pub(super) version: u32,
    pub(super) stack: String,
    pub(super) dc: String,
    /// The HTTPS addresses of the servers.
    pub(super) servers: Vec<SocketAddr>,
    /// Where nodes answer DNS, servers first. Empty until a node was asked.
    #[serde(default)]
    pub(super) dns: Vec<SocketAddr>,
    /// Where nodes' Docker Engines are reached, servers first. Empty until a node was asked.
    #[serde(default)]
    pub(super) docker: Vec<SocketAddr>,
}

impl ClusterFile {
    /// Where nodes answer DNS; before that was heard, the servers on the usual port.
    pub(super) fn dns(&self) -> Vec<SocketAddr> {
        self.known(&self.dns, DNS_PORT)
    }

    /// Where engines are reached; before that was heard, on the servers and the usual port.
    pub(super) fn docker(&self) -> Vec<SocketAddr> {
        self.known(&self.docker, DOCKER_PORT)
    }

    fn known(&self, heard: &[SocketAddr], port: u16) -> Vec<SocketAddr> {
        if !heard.is_empty() {
            return heard.to_vec();
        }
        let servers = self.servers.iter();
        servers
            .map(|server| SocketAddr::new(server.ip(), port))
            .collect()
    }
}

/// Where a cluster's nodes are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Places {
    /// HTTPS of servers.
    pub(super) servers: Vec<SocketAddr>,
    /// DNS.
    pub(super) dns: Vec<SocketAddr>,
    /// Docker Engines.
    pub(super) docker: Vec<SocketAddr>,
}

/// The folder of one cluster.
#[derive(Clone, Debug)]
pub(super) struct OperatorFiles {
    folder: PathBuf,
}

impl OperatorFiles {
    /// By `STACK:DC`, or by the folder itself (with a `/` in it).
    pub(super) fn find(cluster: &str) -> Result<Self, Failure> {
        let files = if cluster.contains('/') {
            Self::at(PathBuf::from(cluster))
        } else {
            let (stack, dc) = cluster.split_once(':').ok_or_else(|| wrong(cluster))?;
            let name = |text| Name::new(text).map_err(|_| wrong(cluster));
            Self::of(&name(stack)?, &name(dc)?)?
        };
        if files.path(CLUSTER).is_file() {
            return Ok(files);
        }
        Err(Failure::not(
            format!(
                "not logged in to {cluster}: there is no {}",
                files.path(CLUSTER).display()
            ),
            "`swarmer login ADDRESS`, with the address of one of its servers, makes it",
        ))
    }

    /// Those of a cluster in the user's home.
    pub(super) fn of(stack: &Name, dc: &Name) -> Result<Self, Failure> {
        let home = std::env::var_os("HOME").filter(|home| !home.is_empty());
        let Some(home) = home else {
            return Err(Failure::usage(
                "the environment has no HOME, in which ~/.swarmer would be",
                "name the folder: `swarmer login --dir DIR`, and later --cluster DIR/",
            ));
        };
        let folder = Path::new(&home).join(".swarmer");
        Ok(Self::at(folder.join(stack.as_str()).join(dc.as_str())))
    }

    pub(super) fn at(folder: PathBuf) -> Self {
        Self { folder }
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn read(&self, name: &str) -> Result<String, Failure> {
        let path = self.path(name);
        fs::read_to_string(&path).map_err(|error| Failure::file("read", path.display(), error))
    }

    /// The CA's certificate, PEM.
    pub(super) fn ca(&self) -> Result<String, Failure> {
        self.read(CA)
    }

    pub(super) fn cluster(&self) -> Result<ClusterFile, Failure> {
        let text = self.read(CLUSTER)?;
        serde_json::from_str(&text)
            .map_err(|error| Failure::file("read", self.path(CLUSTER).display(), error.into()))
    }

    /// The cluster's servers, with the operator's certificate.
    pub(super) fn target(&self) -> Result<Target, Failure> {
        let cluster = self.cluster()?;
        let certificate = self.read(CERTIFICATE)?;
        if Validity::of_pem(&certificate)?.is_over(clock::wall()) {
            let server = cluster.servers.first();
            let address = server.map_or("ADDRESS".to_owned(), |server| server.ip().to_string());
            return Err(Failure::not(
                format!(
                    "your certificate for {}:{} has expired",
                    cluster.stack, cluster.dc
                ),
                format!("`swarmer login {address}` gets a new one"),
            ));
        }
        let certificates = CertStore::empty();
        certificates.trust(&self.ca()?)?;
        certificates.replace(&certificate, &self.key()?)?;
        Ok(Target::Tls {
            servers: cluster.servers.iter().map(ToString::to_string).collect(),
            config: tls::https_client_config(certificates)?,
        })
    }

    fn key(&self) -> Result<NodeKey, Failure> {
        let pem = self.read(KEY)?;
        let der = PrivatePkcs8KeyDer::from_pem_slice(pem.as_bytes()).map_err(|_| {
            Failure::not(
                format!("{} is no private key", self.path(KEY).display()),
                "`swarmer login ADDRESS` makes a new one",
            )
        })?;
        Ok(NodeKey::from_der(der.secret_pkcs8_der())?)
    }

    /// Keeps what a login brought. The key is for its owner only.
    pub(super) fn keep(&self, login: &Login, key: &NodeKey) -> Result<(), Failure> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.folder)
            .map_err(|error| Failure::file("make", self.folder.display(), error))?;
        self.write(KEY, &key.pem(), 0o600)?;
        self.write(CA, &login.ca, 0o644)?;
        self.write(CERTIFICATE, &login.certificate, 0o644)?;
        self.keep_cluster(&ClusterFile {
            version: VERSION,
            stack: login.stack.clone(),
            dc: login.dc.clone(),
            servers: login.servers.clone(),
            dns: Vec::new(),
            docker: Vec::new(),
        })
    }

    /// Nodes come and go: what was just heard is kept for the next time.
    pub(super) fn refresh(&self, heard: Places) -> Result<(), Failure> {
        let present = self.cluster()?;
        let Places {
            servers,
            dns,
            docker,
        } = heard;
        let next = ClusterFile {
            servers,
            dns,
            docker,
            ..present.clone()
        };
        if next.servers.is_empty() || present == next {
            return Ok(());
        }
        self.keep_cluster(&next)
    }

    fn keep_cluster(&self, cluster: &ClusterFile) -> Result<(), Failure> {
        let text = serde_json::to_string_pretty(cluster)
            .map_err(|error| Failure::file("write", self.path(CLUSTER).display(), error.into()))?;
        self.write(CLUSTER, &format!("{text}\n"), 0o644)
    }

    /// Whole or not at all: another command may be reading.
    fn write(&self, name: &str, text: &str, mode: u32) -> Result<(), Failure> {
        let path = self.path(name);
        let beside = self.path(&format!("{name}.{}", std::process::id()));
        let written = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(&beside)
            .and_then(|mut file| file.write_all(text.as_bytes()))
            .and_then(|()| fs::rename(&beside, &path));
        written.map_err(|error| {
            let _ = fs::remove_file(&beside);
            Failure::file("write", path.display(), error)
        })
    }
}

fn wrong(cluster: &str) -> Failure {
    Failure::usage(
        format!("{cluster:?} is not a cluster"),
        "use STACK:DC, as in vagrant:dev, or the path of a folder that `swarmer login --dir` filled",
    )
}
