//! The section `registry`.

use std::path::Path;

use super::complaints::Complaints;
use super::error::Problem;
use super::field::Section;
use super::parse::{ABSOLUTE, absolute};
use super::s3::s3;
use super::sections::{TEXT, flag, section, text};
use super::{Registry, Storage};

pub(super) const REGISTRY_KEYS: [&str; 3] = ["enabled", "command", "storage"];
pub(super) const STORAGE_KEYS: [&str; 2] = ["filesystem", "s3"];

pub(super) fn registry(
    top: &Section<'_>,
    data_dir: &Path,
    complaints: &mut Complaints,
) -> Registry {
    let mut registry = Registry {
        enabled: true,
        command: None,
        storage: Storage::Filesystem(data_dir.join("registry")),
    };
    if let Some(section) = section(top, "registry", Some(&REGISTRY_KEYS), complaints) {
        registry.enabled = flag(&section, "enabled", registry.enabled, complaints);
        registry.command = section.get("command", TEXT, complaints, text);
        registry.storage = storage(&section, complaints).unwrap_or(registry.storage);
    }
    registry
}

fn storage(registry: &Section<'_>, complaints: &mut Complaints) -> Option<Storage> {
    const ONE: &str = "either filesystem or s3";
    let field = registry.field("storage")?;
    let before = complaints.count();
    let section = Section::open(field, Some(&STORAGE_KEYS), complaints);
    match section.fields() {
        [("filesystem", _)] => section
            .get("filesystem", ABSOLUTE, complaints, absolute)
            .map(Storage::Filesystem),
        [(_, field)] => s3(field, complaints).map(Storage::S3),
        [] => {
            // What is not right in there may have been meant.
            if complaints.count() == before {
                complaints.wrong(field, ONE);
            }
            None
        }
        [_, (_, second), ..] => {
            let problem = Problem::Wrong {
                found: "both filesystem and s3".to_owned(),
                expected: ONE.to_owned(),
            };
            complaints.add(second.place(), &field.path, problem);
            None
        }
    }
}
