//! Where a node looks for its peers.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// The port of a peer that is named without one.
pub const DEFAULT_RPC_PORT: u16 = 8300;

/// What stands behind one `provider=`, in the words that users of go-discover know. `port` goes
/// with each: the RPC port of the machines that are found.
struct Form {
    kind: &'static str,
    required: &'static [&'static str],
    optional: &'static [&'static str],
}

/// The clouds that this version can ask.
const PROVIDERS: [Form; 4] = [
    Form {
        kind: "aws",
        required: &["tag_key", "tag_value"],
        optional: &[
            "region",
            "addr_type",
            "service",
            "access_key_id",
            "secret_access_key",
            "session_token",
            "endpoint",
        ],
    },
    Form {
        kind: "vsphere",
        required: &["category_name", "tag_name", "host"],
        optional: &[
            "user",
            "password",
            "folder",
            "ca_file",
            "thumbprint",
            "timeout",
        ],
    },
    Form {
        kind: "gce",
        required: &["tag_value"],
        optional: &["project_name", "zone_pattern", "credentials_file"],
    },
    Form {
        kind: "azure",
        required: &["subscription_id"],
        optional: &[
            "tag_name",
            "tag_value",
            "resource_group",
            "vm_scale_set",
            "tenant_id",
            "client_id",
            "secret_access_key",
            "environment",
        ],
    },
];

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
        kind: &'static str,
        /// Its arguments; may hold secrets.
        args: BTreeMap<String, String>,
        /// The RPC port of the machines.
        port: u16,
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
    /// A key that this provider does not have.
    UnknownKey(&'static str, String),
    /// A key that this provider needs.
    MissingKey(&'static str, &'static str),
    /// `port` is none.
    Port,
}

impl JoinError {
    /// What would be right.
    pub(super) fn expected(&self) -> String {
        let fixed = match self {
            Self::Form => "an address with or without a port, \"dns:NAME\", or \"provider=KIND …\"",
            Self::BareName => "\"dns:\" before a name that is to be looked up",
            Self::Dns => "\"dns:NAME\" or \"dns:NAME:PORT\" with a host's full name",
            Self::Arguments => {
                "\"provider=KIND\" and then KEY=VALUE, each key once, with spaces between"
            }
            Self::UnknownProvider => {
                let kinds: Vec<&str> = PROVIDERS.iter().map(|form| form.kind).collect();
                return format!(
                    "addresses, \"dns:NAME\", or one of provider={}",
                    kinds.join("|")
                );
            }
            Self::UnknownKey(kind, key) => {
                let keys: Vec<&str> = PROVIDERS
                    .iter()
                    .filter(|form| form.kind == *kind)
                    .flat_map(|form| form.required.iter().chain(form.optional))
                    .copied()
                    .collect();
                let keys = keys.join(", ");
                return format!("keys that provider={kind} has ({keys}, port), and not {key}");
            }
            Self::MissingKey(kind, key) => {
                return format!("provider={kind} with {key}=… among its arguments");
            }
            Self::Port => "port=PORT with the RPC port of the machines, 1 to 65535",
        };
        fixed.to_owned()
    }
}

impl JoinSource {
    /// One entry, as it stands in the file. The error is what would be right, and quotes nothing.
    pub fn parse(text: &str) -> Result<Self, String> {
        Self::read(text).map_err(|error| error.expected())
    }

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
    let form = PROVIDERS.iter().find(|form| form.kind == kind);
    let form = form.ok_or(JoinError::UnknownProvider)?;
    let kind = form.kind;
    let port = match args.remove("port").map(|port| port.parse()) {
        None => DEFAULT_RPC_PORT,
        Some(Ok(port)) if port != 0 => port,
        Some(_) => return Err(JoinError::Port),
    };
    let known = |key: &&String| form.required.iter().chain(form.optional).any(|k| k == key);
    if let Some(key) = args.keys().find(|key| !known(key)) {
        return Err(JoinError::UnknownKey(kind, quotable(key)));
    }
    if let Some(key) = form.required.iter().find(|key| !args.contains_key(**key)) {
        return Err(JoinError::MissingKey(kind, key));
    }
    Ok(JoinSource::Provider { kind, args, port })
}

/// A key that looks like a word; anything else may be a piece of a secret.
fn quotable(key: &str) -> String {
    let word = key.len() <= 32 && key.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    if word { key } else { "another" }.to_owned()
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
            (
                "provider=aws tag_key=swarmer tag_value=vagrant-dev",
                "provider=aws",
            ),
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
            ("provider=cloudy tag_key=swarmer", UnknownProvider),
            (
                "provider=aws tag_key=swarmer",
                MissingKey("aws", "tag_value"),
            ),
            ("provider=aws tag_key=a tag_value=b port=0", Port),
            (
                "provider=aws tag_key=a tag_value=b regoin=x",
                UnknownKey("aws", "regoin".into()),
            ),
            (
                "provider=aws tag_key=a tag_value=b S3CRET=x",
                UnknownKey("aws", "another".into()),
            ),
        ];
        for (text, error) in cases {
            assert_eq!(JoinSource::read(text), Err(error), "{text:?}");
        }
    }
}
