//! Which agent is asked, and how.

use std::path::PathBuf;

use clap::Args;
use serde::de::DeserializeOwned;

use super::failure::Failure;
use super::operator_files::OperatorFiles;
use crate::client::{Answer, Client, DEFAULT_HTTP, Request, Target, host_and_port};
use crate::config::Secret;
use crate::pki::tls::{self, CertStore};

const HTTP_PORT: u16 = 8500;
const HTTPS_PORT: u16 = 8501;
/// Where root is an operator, in the default data folder.
const SOCKET: &str = "/var/lib/swarmer/swarmer.sock";
/// A token for HTTPS without a certificate, and for `login`.
pub(super) const TOKEN: &str = "SWARMER_TOKEN";

/// What every command takes.
#[derive(Args, Clone, Debug, Default)]
pub(super) struct Common {
    /// Ask the agent at this address instead of 127.0.0.1:8500 (https://ADDR: with TLS)
    #[arg(long, global = true, env = "SWARMER_HTTP", value_name = "ADDR")]
    pub(super) http: Option<String>,
    /// Ask through this unix socket of an agent, as an operator
    #[arg(long, global = true, value_name = "PATH")]
    pub(super) socket: Option<PathBuf>,
    /// Ask a cluster's servers, as the operator that `swarmer login` made you (or the folder of its files)
    #[arg(long, global = true, env = "SWARMER_CLUSTER", value_name = "STACK:DC")]
    pub(super) cluster: Option<String>,
    /// Whom to trust with https://: the cluster's CA, as `swarmer ca show` prints it
    #[arg(long, global = true, env = "SWARMER_CA", value_name = "FILE")]
    pub(super) ca_file: Option<PathBuf>,
    /// Print JSON, for programs
    #[arg(long, global = true)]
    pub(super) json: bool,
}

/// The way to an agent.
pub(super) struct Connect<'c> {
    common: &'c Common,
    cluster: Option<String>,
}

impl<'c> Connect<'c> {
    pub(super) fn new(common: &'c Common) -> Self {
        Self {
            common,
            cluster: common.cluster.clone(),
        }
    }

    /// The same way, but to this cluster, if one was named.
    pub(super) fn to(&self, cluster: Option<&String>) -> Self {
        Self {
            common: self.common,
            cluster: cluster.or(self.cluster.as_ref()).cloned(),
        }
    }

    pub(super) fn json(&self) -> bool {
        self.common.json
    }

    /// The agent's unix socket, if one was named.
    pub(super) fn socket(&self) -> Option<PathBuf> {
        self.common.socket.clone()
    }

    /// The operator's files, if a cluster was named.
    pub(super) fn files(&self) -> Result<Option<OperatorFiles>, Failure> {
        self.cluster.as_deref().map(OperatorFiles::find).transpose()
    }

    /// For what anyone on the node may ask.
    pub(super) fn client(&self) -> Result<Client, Failure> {
        if let Some(path) = &self.common.socket {
            return Ok(Client::new(Target::Socket(path.clone())));
        }
        if let Some(files) = self.files()? {
            return Ok(Client::new(files.target()?));
        }
        let Some(text) = &self.common.http else {
            return Ok(Client::new(Target::Plain(DEFAULT_HTTP.to_owned())));
        };
        match text.strip_prefix("https://") {
            Some(at) => self.https(at),
            None => {
                let at = text.strip_prefix("http://").unwrap_or(text);
                let at = host_and_port(at.trim_end_matches('/'), HTTP_PORT)?;
                Ok(Client::new(Target::Plain(at)))
            }
        }
    }

    fn https(&self, at: &str) -> Result<Client, Failure> {
        let at = host_and_port(at.trim_end_matches('/'), HTTPS_PORT)?;
        let Some(path) = &self.common.ca_file else {
            return Err(Failure::usage(
                "https:// needs --ca-file, the cluster's CA",
                "`swarmer ca show` on a node prints it; `swarmer login ADDRESS` fetches it with a token",
            ));
        };
        let ca = std::fs::read_to_string(path)
            .map_err(|error| Failure::file("read", path.display(), error))?;
        let certificates = CertStore::empty();
        certificates.trust(&ca)?;
        let config = tls::https_client_config(certificates)?;
        let target = Target::Tls {
            servers: vec![at],
            config,
        };
        let token = std::env::var(TOKEN).ok().map(Secret::new);
        Ok(Client::new(target).with_token(token))
    }

    /// For what only operators may ask: without other word, root's socket.
    pub(super) fn operator(&self) -> Result<Client, Failure> {
        let common = self.common;
        if common.socket.is_none() && self.cluster.is_none() && common.http.is_none() {
            return Ok(Client::new(Target::Socket(SOCKET.into())));
        }
        self.client()
    }
}

/// Asks, and takes only a success.
pub(super) async fn ask(client: &Client, request: Request<'_>) -> Result<Answer, Failure> {
    let answer = client.send(request).await?;
    if answer.is_success() {
        return Ok(answer);
    }
    Err(refused(&answer))
}

pub(super) fn refused(answer: &Answer) -> Failure {
    Failure::Refused {
        from: answer.from.clone(),
        status: answer.status,
        text: match answer.text() {
            text if text.is_empty() => "it gave no reason".to_owned(),
            text => text,
        },
    }
}

/// Asks with `GET`, and reads JSON.
pub(super) async fn read<T: DeserializeOwned>(client: &Client, path: &str) -> Result<T, Failure> {
    let answer = ask(client, Request::get(path)).await?;
    parse(&answer)
}

pub(super) fn parse<T: DeserializeOwned>(answer: &Answer) -> Result<T, Failure> {
    answer
        .json()
        .map_err(|error| Failure::garbled(answer, &error))
}
