//! The schema and the parser say the same, as far as a schema can.

use serde_json::Value;

use super::super::{parse as parser, s3, sections, storage, timing};
use super::good::FULL;
use super::*;

/// As much of JSON Schema as ours uses, without patterns.
pub(super) fn accepts(schema: &Value, value: &Value) -> bool {
    let Some(rules) = schema.as_object() else {
        return schema.as_bool().unwrap_or(true);
    };
    rules.iter().all(|(rule, wanted)| match rule.as_str() {
        "$schema" | "title" | "description" | "default" | "pattern" | "propertyNames" => true,
        "then" | "else" => true,
        "type" => match wanted {
            Value::Array(types) => types.iter().any(|wanted| is(value, wanted)),
            one => is(value, one),
        },
        "const" => value == wanted,
        "enum" => wanted.as_array().unwrap().contains(value),
        "oneOf" => {
            let fitting = wanted.as_array().unwrap().iter();
            fitting.filter(|schema| accepts(schema, value)).count() == 1
        }
        "if" => {
            let branch = if accepts(wanted, value) {
                "then"
            } else {
                "else"
            };
            accepts(&schema[branch], value)
        }
        "minimum" => value
            .as_f64()
            .is_none_or(|number| number >= wanted.as_f64().unwrap()),
        "maximum" => value
            .as_f64()
            .is_none_or(|number| number <= wanted.as_f64().unwrap()),
        "minLength" => value
            .as_str()
            .is_none_or(|text| text.len() as u64 >= number(wanted)),
        "maxLength" => value
            .as_str()
            .is_none_or(|text| text.len() as u64 <= number(wanted)),
        "minItems" => value
            .as_array()
            .is_none_or(|list| list.len() as u64 >= number(wanted)),
        "items" => value
            .as_array()
            .is_none_or(|list| list.iter().all(|item| accepts(wanted, item))),
        _ => value.as_object().is_none_or(|map| match rule.as_str() {
            "minProperties" => map.len() as u64 >= number(wanted),
            "maxProperties" => map.len() as u64 <= number(wanted),
            "required" => names(wanted).all(|name| map.contains_key(name)),
            "dependentRequired" => wanted.as_object().unwrap().iter().all(|(name, others)| {
                !map.contains_key(name) || names(others).all(|name| map.contains_key(name))
            }),
            "properties" => map
                .iter()
                .all(|(name, value)| wanted.get(name).is_none_or(|schema| accepts(schema, value))),
            "additionalProperties" => map
                .iter()
                .filter(|(name, _)| schema["properties"].get(name).is_none())
                .all(|(_, value)| accepts(wanted, value)),
            other => panic!("this test does not know the rule {other}"),
        }),
    })
}

fn number(wanted: &Value) -> u64 {
    wanted.as_u64().unwrap()
}

fn names(list: &Value) -> impl Iterator<Item = &str> {
    list.as_array()
        .unwrap()
        .iter()
        .map(|name| name.as_str().unwrap())
}

fn is(value: &Value, wanted: &Value) -> bool {
    match wanted.as_str().unwrap() {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        "integer" => value.is_i64() || value.is_u64(),
        other => panic!("{other}"),
    }
}

fn by_schema(text: &str) -> bool {
    accepts(&schema(), &serde_yaml::from_str(text).unwrap())
}

const EVERYTHING_OF_S3: &str = "registry: { storage: { s3: { bucket: b, region: r, \
    regionendpoint: 'http://10.0.0.1:9000', rootdirectory: /r, accesskey: a, secretkey: s, \
    encrypt: true, keyid: k, secure: false, skipverify: true, v4auth: false, chunksize: 5242880, \
    multipartcopychunksize: 33554432, multipartcopymaxconcurrency: 1, \
    multipartcopythresholdsize: 0, storageclass: REDUCED_REDUNDANCY, useragent: x/1, \
    objectacl: bucket-owner-read, forcepathstyle: true, \
    redirect: false } } }";

#[test]
fn what_the_parser_accepts_the_schema_accepts() {
    let good = [
        FULL.to_owned(),
        BASE.to_owned(),
        base_with(&["role: worker", "-expect", "join: [10.0.0.1]"]),
        base_with(&["dns: { recursors: auto }", "meta: {}", "docker: ", "join: "]),
        base_with(&[
            "registry: { storage: { filesystem: /x } }",
            "timing: { lease: 1.5s }",
        ]),
        base_with(&[EVERYTHING_OF_S3]),
    ];
    for text in good {
        parse(&text).unwrap();
        assert!(by_schema(&text), "{text}");
    }
}

#[test]
fn mistakes_of_shape_are_refused_by_both() {
    let bad = [
        "colour: red",
        "stack: 5",
        "role: operator",
        "expect: 0",
        "expect: 10",
        "expect: '3'",
        "-token",
        "-admin_network",
        "-expect",
        "role: worker",
        "role: worker\njoin: []",
        "join: 10.0.0.1",
        "join: [7]",
        "dns: { port: 0 }",
        "dns: { recursors: none }",
        "docker: { enabled: 'yes' }",
        "docker: { swarm: manager }",
        "docker: { registrator: { enabled: 1 } }",
        "docker: { registrator: { tags: a } }",
        "docker: { registrator: { ip: 10.0.0.1 } }",
        "registry: { storage: {} }",
        "registry: { storage: { filesystem: /x, s3: { bucket: b, region: r } } }",
        "registry: { storage: { s3: { bucket: b } } }",
        "registry: { storage: { s3: { bucket: b, region: r, secretkey: x } } }",
        "registry: { storage: { s3: { bucket: b, region: r, keyid: x } } }",
        "registry: { storage: { s3: { bucket: b, region: r, chunksize: 1024 } } }",
        "registry: { storage: { s3: { bucket: b, region: r, chunksize: 10MiB } } }",
        "registry: { storage: { s3: { bucket: b, region: r, storageclass: GLACIER } } }",
        "registry: { storage: { s3: { bucket: b, region: r, objectacl: everyone } } }",
        "registry: { storage: { s3: { bucket: b, region: r, secure: 'no' } } }",
        "log: { level: loud }",
        "log: []",
        "meta: { rack: 7 }",
        "listen: { rpc: 70000 }",
        "listen: { grpc: 1 }",
        "timing: { lease: 2 }",
    ];
    for line in bad {
        let text = base_with(&[line]);
        assert!(parse(&text).is_err(), "the parser accepts {line}");
        assert!(!by_schema(&text), "the schema accepts {line}");
    }
}

#[test]
fn both_know_the_same_keys() {
    let schema = schema();
    let same = |pointer: &str, known: &[&str]| {
        let properties = schema.pointer(pointer).unwrap()["properties"].as_object();
        let mut keys: Vec<&str> = properties.unwrap().keys().map(String::as_str).collect();
        let mut known = known.to_vec();
        keys.sort_unstable();
        known.sort_unstable();
        assert_eq!(keys, known, "{pointer}");
    };
    same("", &parser::KEYS);
    same("/properties/dns", &sections::DNS_KEYS);
    same("/properties/docker", &sections::DOCKER_KEYS);
    let registrator = "/properties/docker/properties/registrator";
    same(registrator, &sections::REGISTRATOR_KEYS);
    same("/properties/registry", &storage::REGISTRY_KEYS);
    let storage = "/properties/registry/properties/storage";
    same(storage, &storage::STORAGE_KEYS);
    same(&format!("{storage}/properties/s3"), &s3::keys());
    same("/properties/log", &sections::LOG_KEYS);
    same("/properties/listen", &sections::LISTEN_KEYS);
    same("/properties/timing", &timing::TIMING_KEYS);
}
