//! Where an agent is, and how it is spoken to.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::ClientConfig;

/// Where an agent is.
#[derive(Clone)]
pub enum Target {
    /// Plain HTTP: `host:port`.
    Plain(String),
    /// A unix socket.
    Socket(PathBuf),
    /// HTTPS: servers as `host:port`, tried in order.
    Tls {
        /// Any of them will do.
        servers: Vec<String>,
        /// Whom to trust, and the certificate to show.
        config: Arc<ClientConfig>,
    },
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(at) => f.write_str(at),
            Self::Socket(path) => write!(f, "{}", path.display()),
            Self::Tls { servers, .. } => f.write_str(&servers.join(", ")),
        }
    }
}

/// A text that is no address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{found:?} is not an address: use HOST:PORT or HOST (an IPv6 address with a port needs brackets)"
)]
pub struct TargetError {
    found: String,
}

/// `HOST:PORT`, with `port` where the text has none.
pub fn host_and_port(text: &str, port: u16) -> Result<String, TargetError> {
    let wrong = || TargetError {
        found: text.chars().take(80).collect(),
    };
    if text.parse::<std::net::SocketAddr>().is_ok() {
        return Ok(text.to_owned());
    }
    if let Ok(ip) = text.trim_matches(['[', ']']).parse::<std::net::IpAddr>() {
        return Ok(std::net::SocketAddr::new(ip, port).to_string());
    }
    let (host, port) = match text.rsplit_once(':') {
        Some((host, digits)) => (host, digits.parse::<u16>().map_err(|_| wrong())?),
        None => (text, port),
    };
    let fine = !host.is_empty()
        && host
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b));
    if !fine || port == 0 {
        return Err(wrong());
    }
    Ok(format!("{host}:{port}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_port_or_gets_one() {
        for (text, whole) in [
            ("10.0.0.1", "10.0.0.1:8500"),
            ("10.0.0.1:9", "10.0.0.1:9"),
            ("node-1.example.com", "node-1.example.com:8500"),
            ("node-1:81", "node-1:81"),
            ("::1", "[::1]:8500"),
            ("[::1]", "[::1]:8500"),
            ("[::1]:7", "[::1]:7"),
        ] {
            assert_eq!(host_and_port(text, 8500).unwrap(), whole);
        }
        for bad in ["", ":80", "a:b", "a:0", "a:70000", "a b", "http://a", "a/b"] {
            assert!(host_and_port(bad, 8500).is_err(), "{bad:?}");
        }
    }
}
