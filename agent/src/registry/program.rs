//! Which program serves, with which configuration, and where it listens.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Value, json};

use crate::config::{self, Secret, SecretError, SecretSource};

/// What the program is called: Debian's name, then upstream's.
const NAMES: [&str; 2] = ["docker-registry", "registry"];
/// Where it is looked for if `PATH` says nothing.
const USUAL_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
const SOCKET: &str = "registry.sock";
/// JSON is YAML, so nobody has to write YAML.
pub(super) const CONFIG: &str = "config.yml";

/// Where images are kept.
#[derive(Clone, PartialEq, Eq)]
pub enum Storage {
    /// In a folder of this node.
    Filesystem(PathBuf),
    /// In a bucket: the settings of Distribution's s3 driver, secrets among them.
    S3 {
        /// By the driver's names.
        settings: BTreeMap<String, Value>,
        /// Whether clients are sent to the bucket for what they pull.
        redirect: bool,
    },
}

impl Storage {
    /// What the configuration says; `resolve` finds a secret where it says that it is.
    pub fn from_config(
        config: &config::Storage,
        resolve: impl Fn(&SecretSource) -> Result<Secret, SecretError>,
    ) -> Result<Self, SecretError> {
        let s3 = match config {
            config::Storage::Filesystem(folder) => return Ok(Self::Filesystem(folder.clone())),
            config::Storage::S3(s3) => s3,
        };
        let mut settings: BTreeMap<String, Value> = [
            ("bucket", json!(s3.bucket)),
            ("region", json!(s3.region)),
            ("encrypt", json!(s3.encrypt)),
            ("skipverify", json!(s3.skipverify)),
            ("forcepathstyle", json!(s3.forcepathstyle)),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into();
        let texts = [
            ("regionendpoint", &s3.regionendpoint),
            ("rootdirectory", &s3.rootdirectory),
        ];
        for (name, text) in texts {
            settings.extend(text.as_ref().map(|text| (name.to_owned(), json!(text))));
        }
        for (name, setting) in &s3.more {
            let value = match setting {
                config::Setting::Flag(flag) => json!(flag),
                config::Setting::Number(number) => json!(number),
                config::Setting::Text(text) => json!(text),
            };
            settings.insert((*name).to_owned(), value);
        }
        for (name, source) in [("accesskey", &s3.accesskey), ("secretkey", &s3.secretkey)] {
            if let Some(source) = source {
                settings.insert(name.to_owned(), json!(resolve(source)?.expose()));
            }
        }
        Ok(Self::S3 {
            settings,
            redirect: s3.redirect,
        })
    }
}

impl std::fmt::Debug for Storage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Filesystem(folder) => f.debug_tuple("Filesystem").field(folder).finish(),
            Self::S3 { .. } => f.debug_struct("S3").finish_non_exhaustive(),
        }
    }
}

/// How to run the program.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The program, as a path or a name; `None`: `docker-registry` or `registry`, whichever is
    /// found first.
    pub command: Option<String>,
    /// Where images are kept.
    pub storage: Storage,
    /// `error`, `warn`, `info` or `debug`.
    pub log_level: String,
    /// A folder of the agent's for the configuration and the socket.
    pub run_dir: PathBuf,
    /// What stands before the program so that it dies with the agent: the agent's own binary and
    /// its hidden subcommand, which calls [`super::supervise`]. The agent's process id, the
    /// program and its arguments are added. Empty: nothing.
    pub launcher: Vec<OsString>,
}

/// Why the registry's process can't serve.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// There is no such program.
    #[error(
        "there is no registry program ({wanted}): install CNCF Distribution (Debian: `apt install docker-registry`), or set `registry: {{enabled: false}}`"
    )]
    NoProgram {
        /// What was looked for.
        wanted: String,
    },
    /// A file or folder could not be made.
    #[error("can't {act} {path}")]
    Io {
        /// What was tried.
        act: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        #[source]
        cause: io::Error,
    },
    /// The configuration can't be written as JSON.
    #[error("can't write the registry's configuration")]
    Config(#[source] serde_json::Error),
    /// It ended.
    #[error("the registry process ended ({status}): {words}")]
    Ended {
        /// Its exit status.
        status: String,
        /// The last that it said.
        words: String,
    },
    /// It runs, but does not answer.
    #[error("the registry process does not answer: {0}")]
    Silent(String),
}

/// The socket of the process, named through its open folder, so that its path may be of any
/// length (`sun_path` ends at 108 bytes).
#[derive(Clone, Debug)]
pub struct Socket(Arc<OwnedFd>);

impl Socket {
    #[cfg(test)]
    pub(super) fn in_folder(folder: &Path) -> Self {
        Self(Arc::new(std::fs::File::open(folder).unwrap().into()))
    }

    pub(super) fn path(&self) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}/{SOCKET}", self.0.as_raw_fd()))
    }
}

impl PartialEq for Socket {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Socket {}

impl Settings {
    /// The program's path.
    pub fn program(&self) -> Result<PathBuf, RegistryError> {
        let names = self
            .command
            .as_deref()
            .map_or(NAMES.to_vec(), |name| vec![name]);
        let path = std::env::var_os("PATH").unwrap_or_else(|| USUAL_PATH.into());
        let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
        // A path that is not relative replaces the folder that it is joined to.
        let places = |name: &&str| {
            folders
                .iter()
                .map(|folder| folder.join(name))
                .collect::<Vec<_>>()
        };
        let found = names
            .iter()
            .flat_map(places)
            .find(|place| is_program(place));
        found.ok_or_else(|| RegistryError::NoProgram {
            wanted: names.join(" or "),
        })
    }

    /// Makes the folder, writes the configuration and removes what an earlier process left.
    pub(super) fn prepare(&self, secret: &str) -> Result<Socket, RegistryError> {
        let folder = &self.run_dir;
        let failed = |act, path: &Path| {
            let path = path.to_owned();
            move |cause| RegistryError::Io { act, path, cause }
        };
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .map_err(failed("make", folder))?;
        std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700))
            .map_err(failed("close to others", folder))?;
        if let Storage::Filesystem(images) = &self.storage {
            std::fs::create_dir_all(images).map_err(failed("make", images))?;
        }
        let config = folder.join(CONFIG);
        let text =
            serde_json::to_vec_pretty(&self.config(secret)).map_err(RegistryError::Config)?;
        let _ = std::fs::remove_file(&config);
        std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&config)
            .and_then(|mut file| io::Write::write_all(&mut file, &text))
            .map_err(failed("write", &config))?;
        let _ = std::fs::remove_file(folder.join(SOCKET));
        let open = std::fs::File::open(folder).map_err(failed("open", folder))?;
        Ok(Socket(Arc::new(open.into())))
    }

    fn config(&self, secret: &str) -> Value {
        let mut storage = json!({
            "delete": { "enabled": true },
            "cache": { "blobdescriptor": "inmemory" },
        });
        match &self.storage {
            Storage::Filesystem(folder) => {
                storage["filesystem"] = json!({ "rootdirectory": folder });
            }
            Storage::S3 { settings, redirect } => {
                storage["s3"] = json!(settings);
                storage["redirect"] = json!({ "disable": !redirect });
            }
        }
        json!({
            "version": "0.1",
            "log": { "level": self.log_level, "accesslog": { "disabled": true } },
            "storage": storage,
            "http": {
                "net": "unix",
                "addr": SOCKET,
                "relativeurls": true,
                "secret": secret,
            },
        })
    }
}

fn is_program(path: &Path) -> bool {
    std::fs::metadata(path)
        .is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_written_for_the_agents_eyes_only() {
        let folder = tempfile::tempdir().unwrap();
        let settings = Settings {
            command: Some("/nowhere/registry".into()),
            storage: Storage::S3 {
                settings: [("secretkey".to_owned(), json!("hush"))].into(),
                redirect: false,
            },
            log_level: "warn".into(),
            run_dir: folder.path().join("run"),
            launcher: Vec::new(),
        };
        settings.prepare("cluster-secret").unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let config = settings.run_dir.join(CONFIG);
        assert_eq!((mode(&settings.run_dir), mode(&config)), (0o700, 0o600));
        let text = std::fs::read_to_string(config).unwrap();
        assert!(text.contains("cluster-secret") && text.contains("hush"));
        let written: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(written["storage"]["redirect"]["disable"], true);
        assert!(!format!("{settings:?}").contains("hush"));
        let missing = settings.program().unwrap_err().to_string();
        assert!(missing.contains("/nowhere/registry") && missing.contains("apt install"));
    }

    #[test]
    fn a_bucket_is_passed_through_under_distributions_own_names() {
        let text = "stack: s\ndc: d\nrole: server\nexpect: 1\nadmin_network: 10.0.0.0/24\n\
            token: x\nregistry:\n  storage:\n    s3:\n      bucket: images\n      region: eu-1\n      \
            accesskey: ${KEY}\n      secretkey: ${SECRET}\n      chunksize: 5242880\n      \
            storageclass: REDUCED_REDUNDANCY\n      secure: false\n";
        let config = config::Config::parse("swarmer.yaml", text).unwrap();
        let resolve = |source: &SecretSource| {
            source.resolve(|name| Some(format!("<{name}>")), |_| Err(String::new()))
        };
        let Ok(Storage::S3 { settings: s3, .. }) =
            Storage::from_config(&config.registry.storage, resolve)
        else {
            panic!("it is a bucket");
        };
        assert_eq!(s3["bucket"], "images");
        assert_eq!(
            (&s3["accesskey"], &s3["secretkey"]),
            (&json!("<KEY>"), &json!("<SECRET>"))
        );
        assert_eq!(
            (&s3["chunksize"], &s3["storageclass"], &s3["secure"]),
            (
                &json!(5_242_880),
                &json!("REDUCED_REDUNDANCY"),
                &json!(false)
            )
        );
        assert!(
            !s3.contains_key("regionendpoint"),
            "what was not given is left out"
        );
    }
}
