//! The shared files of AWS's programs: `~/.aws/credentials` and `~/.aws/config`.
//!
//! <https://docs.aws.amazon.com/sdkref/latest/guide/file-format.html>

use std::collections::BTreeMap;
use std::io;

use super::surroundings::Variables;

/// What both files say of one profile; `credentials` goes before `config`.
#[derive(Default)]
pub(super) struct Profile {
    values: BTreeMap<String, String>,
}

impl Profile {
    pub(super) fn get(&self, key: &str) -> Option<&str> {
        self.values.get(key).map(String::as_str)
    }

    pub(super) fn region(&self) -> Option<String> {
        self.get("region").map(str::to_owned)
    }
}

/// The profile's name: `AWS_PROFILE`, or `default`.
pub(super) fn name(variables: &Variables) -> String {
    let named = variables.get("AWS_PROFILE");
    named.unwrap_or_else(|| "default".to_owned())
}

/// The profile in use. `None`: no file has it. The error is a file that can't be read.
pub(super) fn load(variables: &Variables) -> Result<Option<Profile>, String> {
    let name = name(variables);
    let config = variables.file("AWS_CONFIG_FILE", ".aws/config");
    let credentials = variables.file("AWS_SHARED_CREDENTIALS_FILE", ".aws/credentials");
    let in_config = match name.as_str() {
        "default" => vec!["default".to_owned(), "profile default".to_owned()],
        name => vec![format!("profile {name}")],
    };
    let mut found = None;
    for (file, headings) in [(config, in_config), (credentials, vec![name])] {
        let Some(file) = file else { continue };
        let text = match std::fs::read_to_string(&file) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(format!("{} can't be read: {error}", file.display())),
        };
        if let Some(section) = section(&text, &headings) {
            let profile: &mut Profile = found.get_or_insert_default();
            profile.values.extend(section);
        }
    }
    Ok(found)
}

/// What stands under these headings.
fn section(text: &str, headings: &[String]) -> Option<BTreeMap<String, String>> {
    let mut found: Option<BTreeMap<String, String>> = None;
    let mut inside = false;
    for line in text.lines() {
        let indented = line.starts_with([' ', '\t']);
        let line = line.trim();
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        if let Some(rest) = line.strip_prefix('[') {
            let heading = rest.split(']').next().unwrap_or_default();
            let heading = heading.split_whitespace().collect::<Vec<_>>().join(" ");
            inside = headings.contains(&heading);
            if inside {
                found.get_or_insert_default();
            }
        } else if let (true, false, Some((key, value))) = (inside, indented, line.split_once('=')) {
            let value = without_comment(value).trim().to_owned();
            if let Some(section) = &mut found {
                section.insert(key.trim().to_ascii_lowercase(), value);
            }
        }
    }
    found
}

/// A comment begins with a mark behind a white space: secrets may hold the mark itself.
fn without_comment(value: &str) -> &str {
    let marks = [" #", " ;", "\t#", "\t;"];
    let ends = marks.iter().filter_map(|mark| value.find(mark));
    ends.min().and_then(|end| value.get(..end)).unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = "# both\n[default]\nregion = eu-west-1\ns3 =\n  region = nested\n[profile  ops]\nregion=eu-west-2 # London\n";
    const CREDENTIALS: &str = "[default]\naws_access_key_id = AKIA1\naws_secret_access_key = a#b=c\n[ops]\naws_access_key_id = AKIA2\n";

    fn with(profile: &str) -> (tempfile::TempDir, Variables) {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().join(".aws");
        std::fs::create_dir(&home).unwrap();
        std::fs::write(home.join("config"), CONFIG).unwrap();
        std::fs::write(home.join("credentials"), CREDENTIALS).unwrap();
        let home = folder.path().to_str().unwrap();
        let variables = Variables::these(&[("HOME", home), ("AWS_PROFILE", profile)]);
        (folder, variables)
    }

    #[test]
    fn a_profile_is_put_together_from_both_files() {
        for (profile, region, id) in [("", "eu-west-1", "AKIA1"), ("ops", "eu-west-2", "AKIA2")] {
            let (_folder, variables) = with(profile);
            let profile = load(&variables).unwrap().unwrap();
            assert_eq!(profile.get("region"), Some(region));
            assert_eq!(profile.get("aws_access_key_id"), Some(id));
        }
        let (_folder, variables) = with("");
        let profile = load(&variables).unwrap().unwrap();
        assert_eq!(profile.get("aws_secret_access_key"), Some("a#b=c"));
    }

    #[test]
    fn what_is_not_there_is_no_error_and_what_cannot_be_read_is() {
        let (_folder, variables) = with("nobody");
        assert!(load(&variables).unwrap().is_none());
        assert!(load(&Variables::these(&[])).unwrap().is_none());
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_str().unwrap();
        let variables = Variables::these(&[("AWS_CONFIG_FILE", path)]);
        assert!(load(&variables).is_err_and(|said| said.contains(path)));
    }
}
