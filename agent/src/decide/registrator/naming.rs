//! Names, ids and tags, as registrator makes them.

use serde_json::Value;

use super::words::Port;
use super::{Complaints, Container};
use crate::config::{Part, Template};
use crate::decide::services::is_loops;

/// A service's name for want of a better one: the image's last element, without tag and digest.
pub(super) fn name_of_image(image: &str) -> &str {
    let image = image.split('@').next().unwrap_or_default();
    let last = image.rsplit('/').next().unwrap_or_default();
    last.split(':').next().unwrap_or_default()
}

/// `<host>:<container or Swarm service>:<port>`, and the protocol if it is not TCP. A host may have
/// a name that looks like one of the agent's own ids.
pub(super) fn id(host: &str, name: &str, port: Port) -> String {
    let node = if is_loops(&format!("{host}:")) {
        "node-"
    } else {
        ""
    };
    match port.protocol.suffix() {
        Some(protocol) => format!("{node}{host}:{name}:{}:{protocol}", port.number),
        None => format!("{node}{host}:{name}:{}", port.number),
    }
}

/// Splits at commas; `\,` is a comma of the tag.
pub(super) fn split_tags(text: &str) -> Vec<String> {
    let mut tags = vec![String::new()];
    let mut rest = text.chars().peekable();
    while let Some(letter) = rest.next() {
        match letter {
            ',' => tags.push(String::new()),
            '\\' if rest.next_if_eq(&',').is_some() => push(&mut tags, ','),
            letter => push(&mut tags, letter),
        }
    }
    tags.retain(|tag| !tag.is_empty());
    tags
}

fn push(tags: &mut [String], letter: char) {
    if let Some(tag) = tags.last_mut() {
        tag.push(letter);
    }
}

/// A tag of the config for one container; `None`: it has no such field.
pub(super) fn render(
    template: &Template,
    container: &Container,
    complaints: &mut Complaints<'_>,
) -> Option<String> {
    let mut tag = String::new();
    for part in template.parts() {
        match part {
            Part::Text(text) => tag.push_str(text),
            Part::Field(names) => {
                let start = Some(&container.inspect);
                let found = names.iter().fold(start, |at, name| at?.get(name));
                match found {
                    Some(Value::String(text)) => tag.push_str(text),
                    Some(Value::Number(number)) => tag.push_str(&number.to_string()),
                    Some(Value::Bool(flag)) => tag.push_str(&flag.to_string()),
                    _ => {
                        let field = names.join(".");
                        complaints.add(format!("the tag {template} is left out: no text .{field}"));
                        return None;
                    }
                }
            }
        }
    }
    (!tag.is_empty()).then_some(tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_image_names_the_service() {
        let cases = [
            ("redis", "redis"),
            ("redis:7", "redis"),
            ("reg:5000/a/redis:7", "redis"),
            ("reg:5000/a/redis", "redis"),
            ("nginx@sha256:0123", "nginx"),
            ("gliderlabs/registrator:latest", "registrator"),
            ("sha256:0123", "sha256"),
            ("", ""),
        ];
        for (image, wanted) in cases {
            assert_eq!(name_of_image(image), wanted, "{image}");
        }
    }

    #[test]
    fn ids_name_host_container_and_port() {
        let port = |text| Port::parse(text).unwrap();
        assert_eq!(id("n1", "web", port("80/tcp")), "n1:web:80");
        assert_eq!(id("n1", "dns", port("53/udp")), "n1:dns:53:udp");
        assert_eq!(id("swarmer", "web", port("80")), "node-swarmer:web:80");
    }

    #[test]
    fn tags_split_at_commas_that_are_not_escaped() {
        let cases: [(&str, &[&str]); 8] = [
            ("", &[]),
            ("a", &["a"]),
            ("a,b", &["a", "b"]),
            (",a,,b,", &["a", "b"]),
            (r"a\,b,c", &["a,b", "c"]),
            (r"traefik.rule=A\,B\,C", &["traefik.rule=A,B,C"]),
            (r"a\b", &[r"a\b"]),
            (r"\,", &[","]),
        ];
        for (text, wanted) in cases {
            assert_eq!(split_tags(text), wanted, "{text}");
        }
    }

    #[test]
    fn a_field_that_is_no_text_leaves_its_tag_out() {
        let container = Container {
            inspect: serde_json::json!({ "Name": "/web", "Config": { "Tty": true, "Env": [] } }),
            ..Container::default()
        };
        let mut said = Vec::new();
        let mut tag = |text: &str| {
            let template = Template::parse(text).unwrap();
            render(
                &template,
                &container,
                &mut Complaints::new("web", &mut said),
            )
        };
        assert_eq!(
            tag("x{{.Name}}-{{.Config.Tty}}").as_deref(),
            Some("x/web-true")
        );
        assert_eq!(tag("{{.Config.Env}}"), None);
        assert_eq!(tag("{{.Config.Hostname}}"), None);
        assert_eq!(said.len(), 2, "{said:?}");
    }
}
