//! From text to [`Config`].

use std::path::{Path, PathBuf};

use super::complaints::Complaints;
use super::error::{ConfigError, ConfigErrors, Problem};
use super::field::{Field, Section};
use super::join::{JoinError, JoinSource};
use super::{AdminNetwork, Config, SecretSource, sections, storage, timing, tree};
use crate::model::{Name, Role};

pub(super) const KEYS: [&str; 16] = [
    "stack",
    "dc",
    "role",
    "name",
    "expect",
    "admin_network",
    "join",
    "token",
    "data_dir",
    "dns",
    "docker",
    "registry",
    "log",
    "meta",
    "listen",
    "timing",
];

pub(super) const DATA_DIR: &str = "/var/lib/swarmer";
/// Raft with more voters is slower and no safer.
pub const MAX_EXPECT: u32 = 9;

pub(super) const NAME: &str =
    "a name of 1 to 63 of a-z, 0-9 and '-', not starting or ending with '-'";
pub(super) const ROLE: &str = "server or worker";
const EXPECT: &str =
    "how many servers must meet before the first election (1 to 9, best an odd number)";
const NETWORK: &str = "a network like 192.168.101.0/24, an address, or an interface's name";
pub(super) const JOIN: &str = "a list of peers";
const TOKEN: &str = "the join token of this role, \"${NAME}\" of the environment, \"file:/path\", \"ssm:NAME\", \"secretsmanager:NAME\" or \"guestinfo:KEY\"";
pub(super) const ABSOLUTE: &str = "an absolute path";

impl Config {
    /// Reads `text`. `file_name` is for the messages.
    pub fn parse(file_name: &str, text: &str) -> Result<Self, ConfigErrors> {
        read_with(file_name, text, read_root)
    }
}

/// Reads a file whose root `read_root` understands; it gives `None` only after a complaint.
pub(super) fn read_with<T>(
    file_name: &str,
    text: &str,
    read_root: impl FnOnce(&tree::Node, &mut Complaints) -> Option<T>,
) -> Result<T, ConfigErrors> {
    // Some editors put a byte order mark there.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let root = tree::read(text).map_err(|(place, problem)| {
        ConfigErrors(vec![ConfigError {
            file: file_name.to_owned(),
            place,
            key: String::new(),
            problem,
        }])
    })?;
    let mut complaints = Complaints::default();
    let read = read_root(&root, &mut complaints);
    match (complaints.finish(file_name, text, &root), read) {
        (None, Some(read)) => Ok(read),
        (errors, _) => Err(errors.unwrap_or(ConfigErrors(Vec::new()))),
    }
}

/// `None` only after a complaint.
fn read_root(root: &tree::Node, complaints: &mut Complaints) -> Option<Config> {
    let top = Section::root(root, &KEYS, complaints)?;
    let stack = top.require("stack", NAME, complaints, name);
    let dc = top.require("dc", NAME, complaints, name);
    let role = top.require("role", ROLE, complaints, role);
    let own_name = top.get("name", NAME, complaints, name);
    let expect = read_expect(&top, role, complaints);
    let network = top.require("admin_network", NETWORK, complaints, |field| {
        AdminNetwork::read(field.text()?)
    });
    let join = read_join(&top, role, complaints);
    let token = read_source(&top, "token", TOKEN, SecretSource::read_token, complaints);
    if token.is_none() && top.field("token").is_none() {
        top.missing("token", TOKEN, complaints);
    }
    let data_dir = top.get("data_dir", ABSOLUTE, complaints, absolute);
    let data_dir = data_dir.unwrap_or_else(|| PathBuf::from(DATA_DIR));
    let dns = sections::dns(&top, complaints);
    let docker = sections::docker(&top, complaints);
    let registry = storage::registry(&top, &data_dir, complaints);
    let log = sections::log(&top, complaints);
    let meta = sections::meta(&top, complaints);
    let listen = sections::listen(&top, complaints);
    sections::check_ports(&top, listen, &dns, complaints);
    let timing = timing::timing(&top, complaints);
    let role = role?;
    let expect = expect?;
    Some(Config {
        stack: stack?,
        dc: dc?,
        role,
        name: own_name,
        expect,
        admin_network: network?,
        join,
        token: token?,
        data_dir,
        dns,
        docker,
        registry,
        log,
        meta,
        listen,
        timing,
        warnings: warnings(role, expect),
    })
}

fn warnings(role: Role, expect: u32) -> Vec<String> {
    let mut warnings = Vec::new();
    if role == Role::Server && expect.is_multiple_of(2) {
        warnings.push(format!(
            "expect is {expect}: an even number of servers survives no more losses than {}",
            expect - 1
        ));
    }
    warnings
}

fn read_expect(top: &Section<'_>, role: Option<Role>, complaints: &mut Complaints) -> Option<u32> {
    if top.field("expect").is_none() && role == Some(Role::Worker) {
        return Some(0);
    }
    top.require("expect", EXPECT, complaints, |field| {
        let expect = field.whole::<u32>()?;
        (1..=MAX_EXPECT).contains(&expect).then_some(expect)
    })
}

fn read_join(
    top: &Section<'_>,
    role: Option<Role>,
    complaints: &mut Complaints,
) -> Vec<JoinSource> {
    const SOMEBODY: &str = "at least one peer: a worker can't be alone";
    let is_worker = role == Some(Role::Worker);
    let Some(field) = top.field("join").filter(|field| !field.is_null()) else {
        if is_worker {
            top.missing("join", SOMEBODY, complaints);
        }
        return Vec::new();
    };
    let Some(items) = field.items() else {
        complaints.wrong(field, JOIN);
        return Vec::new();
    };
    if is_worker && items.is_empty() {
        let problem = Problem::Wrong {
            found: "an empty list".to_owned(),
            expected: SOMEBODY.to_owned(),
        };
        complaints.add(field.place(), &field.path, problem);
    }
    read_join_items(&items, complaints)
}

/// Complains of each that is none.
pub(super) fn read_join_items(items: &[Field<'_>], complaints: &mut Complaints) -> Vec<JoinSource> {
    let mut join = Vec::with_capacity(items.len());
    for item in items {
        match read_join_item(item) {
            Ok(source) => join.push(source),
            Err(expected) => complaints.add(
                item.place(),
                &item.path,
                Problem::Wrong {
                    found: found_in_join(item),
                    expected,
                },
            ),
        }
    }
    join
}

fn read_join_item(item: &Field<'_>) -> Result<JoinSource, String> {
    match item.text() {
        Some(text) => JoinSource::read(text).map_err(|error| error.expected()),
        None => Err(JoinError::Form.expected()),
    }
}

/// A provider's arguments may hold secrets; its kind is a word.
fn found_in_join(item: &Field<'_>) -> String {
    let Some(rest) = item.text().and_then(|text| text.strip_prefix("provider=")) else {
        return item.found();
    };
    let kind = rest.split(' ').next().unwrap_or_default();
    let is_word = (1..=16).contains(&kind.len()) && kind.bytes().all(|b| b.is_ascii_lowercase());
    format!("provider={}", if is_word { kind } else { "…" })
}

/// A secret's text is never told, so this doesn't go through [`Section::get`].
pub(super) fn read_secret(
    section: &Section<'_>,
    key: &str,
    expected: &str,
    complaints: &mut Complaints,
) -> Option<SecretSource> {
    read_source(section, key, expected, SecretSource::read, complaints)
}

fn read_source(
    section: &Section<'_>,
    key: &str,
    expected: &str,
    read: impl FnOnce(&str) -> Option<SecretSource>,
    complaints: &mut Complaints,
) -> Option<SecretSource> {
    let field = section.field(key)?;
    let source = field.text().and_then(read);
    if source.is_none() {
        let problem = Problem::Wrong {
            found: field.kind().to_owned(),
            expected: expected.to_owned(),
        };
        complaints.add(field.place(), &field.path, problem);
    }
    source
}

pub(super) fn name(field: &Field<'_>) -> Option<Name> {
    Name::new(field.text()?).ok()
}

pub(super) fn role(field: &Field<'_>) -> Option<Role> {
    let role = field.text()?.parse().ok()?;
    (role != Role::Operator).then_some(role)
}

pub(super) fn absolute(field: &Field<'_>) -> Option<PathBuf> {
    let path = Path::new(field.text()?);
    path.is_absolute().then(|| path.to_owned())
}
