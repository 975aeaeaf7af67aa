//! Where a node looks for its peers.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// The port of a peer that is named without one.
pub const DEFAULT_RPC_PORT: u16 = 8300;

/// Kinds of `provider=` that this version can ask: none yet.
const PROVIDERS: [&str; 0] = [];

/// One entry of `join`. All are asked, again and again.
#[derive(Clone, PartialEq, Eq)]
pub enum JoinSource {
    /// A peer's RPC address.
    Address(SocketAddr),
    /// `dns:host[:port]`: all addresses of a name.
    Dns {
        /// The name.
        host: String,
        /// The RPC port at each address.
        port: u16,
    },
    /// `provider=kind key=value …`: what a cloud knows.
    Provider {
        /// Which cloud.
        kind: String,
        /// Its arguments; may hold secrets.
        args: BTreeMap<String, String>,
    },
}

/// Why an entry of `join` is of no use. Quotes no arguments: there may be secrets in them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum JoinError {
    /// None of the forms.
    Form,
    /// A host name without `dns:`.
    BareName,
    /// `dns:` without a good name or port behind it.
    Dns,
    /// `provider=` with something that is not `key=value`, or a key twice.
    Arguments,
    /// A cloud that this version can't ask.
    UnknownProvider,
}

impl JoinError {
    /// What would be right.
    pub(super) fn expected(&self) -> &'static str {
        match self {
            Self::Form => "an address with or without a port, \"dns:NAME\", or \"provider=KIND …\"",
            Self::BareName => "\"dns:\" before a name that is to be looked up",
            Self::Dns => "\"dns:NAME\" or \"dns:NAME:PORT\" with a host's full name",
            Self::Arguments => {
                "\"provider=KIND\" and then KEY=VALUE, each key once, with spaces between"
            }
            Self::UnknownProvider => {
                "addresses or \"dns:NAME\": this version of swarmer can't ask that provider yet"
            }
        }
    }
}

impl JoinSource {
    pub(super) fn read(text: &str) -> Result<Self, JoinError> {
        if let Some(name) = text.strip_prefix("dns:") {
            return read_dns(name);
        }
        if text.starts_with("provider=") {
            return read_provider(text);
        }
        if let Some(address) = read_address(text, DEFAULT_RPC_PORT) {
            return Ok(Self::Address(address));
        }
        let name = text.rsplit_once(':').map_or(text, |(name, _)| name);
        Err(if is_host_name(name) {
            JoinError::BareName
        } else {
            JoinError::Form
        })
    }
}

/// `address`, `address:port`, `[address]:port`, `[address]`; not one that nobody can be reached at.
pub(super) fn read_address(text: &str, port: u16) -> Option<SocketAddr> {
    let bare = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(text);
    let address = match bare.parse::<IpAddr>() {
        Ok(address) => SocketAddr::new(address, port),
        Err(_) => text.parse::<SocketAddr>().ok()?,
    };
    let fine =
        !address.ip().is_unspecified() && !address.ip().is_multicast() && address.port() != 0;
    fine.then_some(address)
}

fn read_dns(text: &str) -> Result<JoinSource, JoinError> {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) => (host, port.parse().map_err(|_| JoinError::Dns)?),
        None => (text, DEFAULT_RPC_PORT),
    };
    if port == 0 || !is_host_name(host) {
        return Err(JoinError::Dns);
    }
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    Ok(JoinSource::Dns { host, port })
}

fn read_provider(text: &str) -> Result<JoinSource, JoinError> {
    let mut args = BTreeMap::new();
    for word in text.split_ascii_whitespace() {
        let (key, value) = word.split_once('=').ok_or(JoinError::Arguments)?;
        let new = args.insert(key.to_owned(), value.to_owned()).is_none();
        if key.is_empty() || value.is_empty() || !new {
            return Err(JoinError::Arguments);
        }
    }
    let kind = args.remove("provider").ok_or(JoinError::Arguments)?;
    if PROVIDERS.contains(&kind.as_str()) {
        Ok(JoinSource::Provider { kind, args })
    } else {
        Err(JoinError::UnknownProvider)
    }
}

/// RFC 1123 section 2.1, with a letter in the last label so that no bad address passes.
fn is_host_name(text: &str) -> bool {
    let name = text.strip_suffix('.').unwrap_or(text);
    let label_is_fine = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    let last = name.rsplit('.').next().unwrap_or_default();
    name.len() <= 253
        && name.split('.').all(label_is_fine)
        && last.bytes().any(|b| b.is_ascii_alphabetic())
}

impl fmt::Display for JoinSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => write!(f, "{address}"),
            Self::Dns { host, port } => write!(f, "dns:{host}:{port}"),
            Self::Provider { kind, .. } => write!(f, "provider={kind}"),
        }
    }
}

impl fmt::Debug for JoinSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_is_read() {
        let cases = [
            ("192.168.101.101", "192.168.101.101:8300"),
            ("192.168.101.101:18300", "192.168.101.101:18300"),
            ("fd00::1", "[fd00::1]:8300"),
            ("[fd00::1]", "[fd00::1]:8300"),
            ("[fd00::1]:1", "[fd00::1]:1"),
            ("dns:Servers.Example.com.", "dns:servers.example.com:8300"),
            ("dns:servers:83", "dns:servers:83"),
        ];
        for (text, read) in cases {
            assert_eq!(JoinSource::read(text).unwrap().to_string(), read);
        }
    }

    #[test]
    fn what_is_none_of_them_is_told_what_it_should_be() {
        use JoinError::*;
        let cases = [
            ("", Form),
            ("10.0.0.1:0", Form),
            ("10.0.0.1:99999", Form),
            ("0.0.0.0", Form),
            ("300.0.0.1", Form),
            ("a b", Form),
            ("servers.example.com", BareName),
            ("servers:8300", BareName),
            ("dns:", Dns),
            ("dns:10.0.0.1", Dns),
            ("dns:a..b", Dns),
            ("dns:a:0", Dns),
            ("dns:a:x", Dns),
            ("provider=", Arguments),
            ("provider=aws tag", Arguments),
            ("provider=aws a=1 a=2", Arguments),
            (
                "provider=aws tag_key=swarmer tag_value=vagrant-dev",
                UnknownProvider,
            ),
        ];
        for (text, error) in cases {
            assert_eq!(JoinSource::read(text), Err(error), "{text:?}");
        }
    }
}
