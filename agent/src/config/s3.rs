//! `registry.storage.s3`: what Distribution's driver knows, under its own names.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::complaints::Complaints;
use super::field::{Field, Section};
use super::parse::read_secret;
use super::schema;
use super::sections::{TEXT, flag, text};
use super::{S3, Setting};

const KEY_SOURCE: &str = "the key itself, \"${NAME}\" of the environment, or \"file:/path\"";
/// Amazon's own limits on the parts of an upload.
const SMALLEST_PART: u64 = 5 << 20;
const LARGEST_PART: u64 = 5 << 30;

/// What S3 has a field of its own for.
const OWN: [&str; 10] = [
    "bucket",
    "region",
    "regionendpoint",
    "rootdirectory",
    "accesskey",
    "secretkey",
    "encrypt",
    "skipverify",
    "forcepathstyle",
    "redirect",
];

/// All others, which are handed on as they are. Left out, each has the driver's own default.
/// <https://distribution.github.io/distribution/storage-drivers/s3/>
const MORE: [More; 10] = [
    More {
        name: "keyid",
        what: "The id of the KMS key, with encrypt.",
        form: Form::Text,
    },
    More {
        name: "secure",
        what: "Whether HTTPS is used where regionendpoint does not say; by default true.",
        form: Form::Flag,
    },
    More {
        name: "v4auth",
        what: "Whether requests are signed in Amazon's present way; by default true.",
        form: Form::Flag,
    },
    More {
        name: "chunksize",
        what: "The size of an upload's parts in bytes; by default 10 MiB.",
        form: Form::Number(SMALLEST_PART, LARGEST_PART),
    },
    More {
        name: "multipartcopychunksize",
        what: "The size of a copy's parts in bytes; by default 32 MiB.",
        form: Form::Number(SMALLEST_PART, LARGEST_PART),
    },
    More {
        name: "multipartcopymaxconcurrency",
        what: "How many parts are copied at once; by default 100.",
        form: Form::Number(1, 10_000),
    },
    More {
        name: "multipartcopythresholdsize",
        what: "Larger objects are copied in parts, in bytes; by default 32 MiB.",
        form: Form::Number(0, LARGEST_PART),
    },
    More {
        name: "storageclass",
        what: "Which class new objects have; NONE for services that know none; by default STANDARD.",
        form: Form::Choice(&["STANDARD", "NONE", "REDUCED_REDUNDANCY"]),
    },
    More {
        name: "useragent",
        what: "What stands behind the driver's own name in its requests.",
        form: Form::Text,
    },
    More {
        name: "objectacl",
        what: "Who may use new objects, as a canned ACL; by default private.",
        form: Form::Choice(&[
            "private",
            "public-read",
            "public-read-write",
            "authenticated-read",
            "aws-exec-read",
            "bucket-owner-read",
            "bucket-owner-full-control",
        ]),
    },
];

struct More {
    name: &'static str,
    what: &'static str,
    form: Form,
}

enum Form {
    Text,
    Flag,
    Number(u64, u64),
    Choice(&'static [&'static str]),
}

impl More {
    fn read(&self, field: &Field<'_>) -> Option<Setting> {
        match self.form {
            Form::Text => text(field).map(Setting::Text),
            Form::Flag => field.flag().map(Setting::Flag),
            Form::Number(from, to) => field
                .whole::<u64>()
                .filter(|number| (from..=to).contains(number))
                .map(Setting::Number),
            Form::Choice(choices) => field
                .text()
                .filter(|text| choices.contains(text))
                .map(|text| Setting::Text(text.to_owned())),
        }
    }

    fn expected(&self) -> String {
        match self.form {
            Form::Text => TEXT.to_owned(),
            Form::Flag => "true or false".to_owned(),
            Form::Number(from, to) => format!("a whole number from {from} to {to}"),
            Form::Choice(choices) => format!("one of {}", choices.join(", ")),
        }
    }

    fn schema(&self) -> Value {
        let rules = match self.form {
            Form::Text => json!({ "type": "string", "minLength": 1 }),
            Form::Flag => json!({ "type": "boolean" }),
            Form::Number(from, to) => json!({ "type": "integer", "minimum": from, "maximum": to }),
            Form::Choice(choices) => json!({ "enum": choices }),
        };
        let mut rules = rules;
        rules["description"] = json!(self.what);
        rules
    }
}

/// All keys.
pub(super) fn keys() -> Vec<&'static str> {
    OWN.into_iter()
        .chain(MORE.iter().map(|more| more.name))
        .collect()
}

pub(super) fn s3(field: &Field<'_>, complaints: &mut Complaints) -> Option<S3> {
    let section = Section::open(field, Some(&keys()), complaints);
    let bucket = section.require("bucket", "the bucket's name", complaints, text);
    let region = section.require("region", "the bucket's region", complaints, text);
    let mut more = BTreeMap::new();
    for one in &MORE {
        let expected = one.expected();
        let found = section.get(one.name, &expected, complaints, |field| one.read(field));
        more.extend(found.map(|setting| (one.name, setting)));
    }
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
        redirect: flag(&section, "redirect", true, complaints),
        more,
    };
    match (section.field("accesskey"), section.field("secretkey")) {
        (Some(_), None) => section.missing("secretkey", "it beside accesskey", complaints),
        (None, Some(_)) => section.missing("accesskey", "it beside secretkey", complaints),
        _ => {}
    }
    if section.field("keyid").is_some() && !s3.encrypt {
        section.missing("encrypt", "encrypt: true beside keyid", complaints);
    }
    if s3.more.get("v4auth") == Some(&Setting::Flag(false)) && s3.regionendpoint.is_none() {
        let needed = "the service that takes older signatures, beside v4auth: false";
        section.missing("regionendpoint", needed, complaints);
    }
    Some(s3)
}

pub(super) fn s3_schema() -> Value {
    const KEY: &str = "Itself, \"${NAME}\", or \"file:/path\"";
    let role = format!("{KEY}; by default the machine's own role.");
    let mut properties = json!({
        "bucket": schema::text("The bucket."),
        "region": schema::text("Its region."),
        "regionendpoint": schema::text("A service other than Amazon's, as a URL."),
        "rootdirectory": schema::text("Where in the bucket."),
        "accesskey": schema::text(&role),
        "secretkey": schema::text(&format!("{KEY}.")),
        "encrypt": schema::flag("Whether objects are encrypted at rest.", false),
        "skipverify": schema::flag("Whether the service's certificate is not checked.", false),
        "forcepathstyle": schema::flag("Whether the bucket stands in the URL's path (Distribution 3; version 2 does so where regionendpoint is given).", false),
        "redirect": schema::flag("Whether clients fetch images from the bucket itself, which they must then reach; otherwise through the registry's host.", true)
    });
    for more in &MORE {
        properties[more.name] = more.schema();
    }
    json!({
        "description": "A bucket that all hosts share, with Distribution's names for its parameters.",
        "type": "object",
        "additionalProperties": false,
        "required": ["bucket", "region"],
        "dependentRequired": { "accesskey": ["secretkey"], "secretkey": ["accesskey"], "keyid": ["encrypt"] },
        "properties": properties
    })
}
