//! The section `registry`.

use std::path::Path;

use super::complaints::Complaints;
use super::error::Problem;
use super::field::{Field, Section};
use super::parse::{ABSOLUTE, absolute, read_secret};
use super::sections::{TEXT, flag, section, text};
use super::{Registry, S3, Storage};

pub(super) const REGISTRY_KEYS: [&str; 3] = ["enabled", "command", "storage"];
pub(super) const STORAGE_KEYS: [&str; 2] = ["filesystem", "s3"];
pub(super) const S3_KEYS: [&str; 9] = [
    "bucket",
    "region",
    "regionendpoint",
    "rootdirectory",
    "accesskey",
    "secretkey",
    "encrypt",
    "skipverify",
    "forcepathstyle",
];
const KEY_SOURCE: &str = "the key itself, \"${NAME}\" of the environment, or \"file:/path\"";

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

fn s3(field: &Field<'_>, complaints: &mut Complaints) -> Option<S3> {
    let section = Section::open(field, Some(&S3_KEYS), complaints);
    let bucket = section.require("bucket", "the bucket's name", complaints, text);
    let region = section.require("region", "the bucket's region", complaints, text);
    let s3 = S3 {
        bucket: bucket.unwrap_or_default(),
        region: region.unwrap_or_default(),
        regionendpoint: section.get("regionendpoint", TEXT, complaints, text),
        rootdirectory: section.get("rootdirectory", TEXT, complaints, text),
        accesskey: read_secret(&section, "accesskey", KEY_SOURCE, complaints),
        secretkey: read_secret(&section, "secretkey", KEY_SOURCE, complaints),
        encrypt: flag(&section, "encrypt", false, complaints),
        skipverify: flag(&section, "skipverify", false, complaints),
        forcepathstyle: flag(&section, "forcepathstyle", false, complaints),
    };
    match (section.field("accesskey"), section.field("secretkey")) {
        (Some(_), None) => section.missing("secretkey", "it beside accesskey", complaints),
        (None, Some(_)) => section.missing("accesskey", "it beside secretkey", complaints),
        _ => {}
    }
    Some(s3)
}
