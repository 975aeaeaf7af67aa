//! Tags with fields in them: `rack-{{.Config.Hostname}}`.

use std::fmt;

/// A text, parts of which are looked up in what Docker says of a container.
///
/// The part of Go's templates that is a path of fields is understood, as in registrator's `-tags`;
/// its functions are not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template(Vec<Part>);

/// One part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// As it is.
    Text(String),
    /// Names of fields, from the outside in.
    Field(Vec<String>),
}

impl Template {
    /// Reads it; `None`: something in braces is no path of fields, or nothing is there.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("{{") {
            let (field, after) = after.split_once("}}")?;
            if !before.is_empty() {
                parts.push(Part::Text(before.to_owned()));
            }
            let names = field.trim().strip_prefix('.')?.split('.');
            let names: Vec<String> = names.map(str::to_owned).collect();
            if !names.iter().all(|name| is_field(name)) {
                return None;
            }
            parts.push(Part::Field(names));
            rest = after;
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.to_owned()));
        }
        (!parts.is_empty()).then_some(Self(parts))
    }

    /// Its parts.
    #[must_use]
    pub fn parts(&self) -> &[Part] {
        &self.0
    }
}

fn is_field(name: &str) -> bool {
    let fine = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    !name.is_empty() && name.bytes().all(fine)
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|part| match part {
            Part::Text(text) => f.write_str(text),
            Part::Field(names) => write!(f, "{{{{.{}}}}}", names.join(".")),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_fields_are_understood_and_functions_are_not() {
        for good in ["plain", "{{.Name}}", "rack-{{.Config.Hostname}}-x", "a } b"] {
            let read = Template::parse(good).unwrap();
            assert_eq!(read.to_string(), good);
        }
        let spaced = Template::parse("{{ .Name }}").unwrap();
        assert_eq!(spaced.parts(), [Part::Field(vec!["Name".to_owned()])]);
        let bad = [
            "",
            "{{",
            "{{}}",
            "{{.}}",
            "{{Name}}",
            "{{.A..B}}",
            "{{toUpper .Name}}",
            "{{index .Config.Labels \"a\"}}",
        ];
        for text in bad {
            assert_eq!(Template::parse(text), None, "{text}");
        }
    }
}
