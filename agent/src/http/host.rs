//! The `Host` header on plain HTTP. A web page whose name was made to resolve to this host (DNS
//! rebinding) reaches the port, but it can't choose the header: it names the page's own host.

use std::net::IpAddr;

/// The names under which the plain port may be asked.
#[derive(Clone, Debug)]
pub(super) struct Hosts {
    names: Vec<String>,
    suffixes: Vec<String>,
}

impl Hosts {
    /// Those of a node called `name` in `stack` and `dc`.
    pub(super) fn new(name: &str, stack: &str, dc: &str) -> Self {
        // Under a bare data center or stack only these labels are ours: `dev` is a public domain.
        let labels = ["service", "node", "addr"];
        let zones = [dc.to_owned(), stack.to_owned(), "consul".to_owned()];
        let ours = zones
            .iter()
            .flat_map(|zone| labels.map(|label| format!(".{label}.{zone}")));
        let far = labels.map(|label| format!(".{label}.{dc}.consul"));
        Self {
            names: vec![
                "localhost".into(),
                // What containers call their host.
                "host.docker.internal".into(),
                // What they are told to call us (`--add-host consul:…`).
                "consul".into(),
                "swarmer".into(),
                name.to_ascii_lowercase(),
            ],
            suffixes: ours
                .chain(far)
                .chain([format!(".{dc}.{stack}"), ".localhost".into()])
                .map(|suffix| suffix.to_ascii_lowercase())
                .collect(),
        }
    }

    /// Whether a request with this header may be answered.
    pub(super) fn allows(&self, header: &str) -> bool {
        let host = without_port(header);
        if host.parse::<IpAddr>().is_ok() {
            return true;
        }
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        self.names.contains(&host) || self.suffixes.iter().any(|suffix| host.ends_with(suffix))
    }
}

fn without_port(header: &str) -> &str {
    if let Some(rest) = header.strip_prefix('[') {
        return rest.split(']').next().unwrap_or_default();
    }
    match header.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') && port.bytes().all(|b| b.is_ascii_digit()) => {
            host
        }
        _ => header,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t6_a_rebound_name_is_refused() {
        let hosts = Hosts::new("web-1", "vagrant", "dev");
        for good in [
            "127.0.0.1:8500",
            "127.0.0.1",
            "[::1]:8500",
            "::1",
            "localhost",
            "LOCALHOST:8500",
            "web-1",
            "web-1:8500",
            "web-1.node.dev.vagrant:8500",
            "x.service.dev",
            "web-1.node.consul.",
            "a.node.dev.consul",
            "host.docker.internal:8500",
            "consul:8500",
        ] {
            assert!(hosts.allows(good), "{good}");
        }
        for bad in [
            "evil.example:8500",
            "go.dev",
            "dev",
            "web-1.evil.example",
            "127.0.0.1.evil.example",
            "",
            "localhost.evil.example",
            "evil.dev",
            "[evil]:1",
            "x:y:z",
        ] {
            assert!(!hosts.allows(bad), "{bad}");
        }
    }
}
