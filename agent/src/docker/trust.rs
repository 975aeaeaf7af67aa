//! What the engine needs to trust the cluster's registry: `certs.d`, which it reads at every pull
//! (<https://docs.docker.com/engine/security/certificates/>).

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// Where the engine looks.
pub const CERTS: &str = "/etc/docker/certs.d";

/// Why the files can't be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {path} for Docker: {source}")]
pub struct TrustError {
    path: PathBuf,
    source: io::Error,
}

/// The cluster's CA and this node's own certificate and key, PEM.
pub struct Credentials<'a> {
    /// The CA.
    pub ca: &'a str,
    /// The certificate.
    pub certificate: &'a str,
    /// Its key. It stays the same when the certificate is renewed, so that a pull that reads the
    /// files in between finds a pair.
    pub key: &'a str,
}

/// Writes the credentials for each `host:port` under `root`, each file replaced at once.
pub fn write(
    root: &Path,
    registries: &[String],
    credentials: &Credentials<'_>,
) -> Result<(), TrustError> {
    let files = [
        ("ca.crt", credentials.ca, 0o644),
        ("client.key", credentials.key, 0o600),
        ("client.cert", credentials.certificate, 0o644),
    ];
    for registry in registries {
        let folder = root.join(registry);
        fs::create_dir_all(&folder).map_err(|source| TrustError {
            path: folder.clone(),
            source,
        })?;
        for (name, text, mode) in files {
            let path = folder.join(name);
            replace(&path, text, mode).map_err(|source| TrustError { path, source })?;
        }
    }
    Ok(())
}

fn replace(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    if fs::read(path).is_ok_and(|present| present == text.as_bytes()) {
        return Ok(());
    }
    // Docker takes every *.crt, *.cert and *.key in the folder for its own: the name beside must
    // be none of those.
    let beside = path.with_extension("new");
    let mut options = fs::OpenOptions::new();
    let mut file = options
        .write(true)
        .create(true)
        .truncate(true)
        .mode(mode)
        .open(&beside)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&beside, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_registry_name_gets_its_folder_and_a_renewal_replaces_the_certificate() {
        let root = tempfile::tempdir().unwrap();
        let names = [
            "registry.service.dev.demo:5000".to_owned(),
            "registry.service.demo:5000".to_owned(),
        ];
        let first = Credentials {
            ca: "ca",
            certificate: "one",
            key: "key",
        };
        write(root.path(), &names, &first).unwrap();
        write(
            root.path(),
            &names,
            &Credentials {
                certificate: "two",
                ..first
            },
        )
        .unwrap();
        for name in &names {
            let read = |file: &str| fs::read_to_string(root.path().join(name).join(file)).unwrap();
            assert_eq!(
                [read("ca.crt"), read("client.cert"), read("client.key")],
                ["ca", "two", "key"]
            );
            assert_eq!(fs::read_dir(root.path().join(name)).unwrap().count(), 3);
        }
    }
}
