//! The words of `swarmer console`, for a screen of 80 columns.

use std::fmt::Write as _;

use super::cluster_status::ClusterStatus;
use super::console::{Addresses, Stage};
use super::table::Table;
use crate::config::Config;

/// A text console's.
const COLUMNS: usize = 80;
/// Where what is said begins, after its name.
const INDENT: usize = 10;
/// Members beyond these are counted, not shown: a screen has 24 lines.
const ROWS: usize = 12;

/// The whole screen.
pub(super) fn render(stage: &Stage, addresses: &Addresses, file: &str) -> String {
    let mut text = format!("Swarmer {}\n\n", env!("CARGO_PKG_VERSION"));
    match stage {
        Stage::NoFile => say(&mut text, "state", &no_file(file)),
        Stage::BadFile(errors) => {
            // Word for word, line for line: people search for it, and programs too.
            let _ = writeln!(text, "{}\n", errors.trim_end());
            say(
                &mut text,
                "next",
                &format!(
                    "mend it where it was written (cloud-init's user-data); `swarmer config check {file}` says the same"
                ),
            );
        }
        Stage::NoAgent(config, why) => {
            node(&mut text, config, None);
            say(&mut text, "state", why);
        }
        Stage::Agent(config, status) => {
            node(&mut text, config, Some(status));
            cluster(&mut text, status);
        }
    }
    let mut each = String::new();
    for (interface, address) in addresses {
        let comma = if each.is_empty() { "" } else { ", " };
        let _ = write!(each, "{comma}{address} ({interface})");
    }
    say(
        &mut text,
        "addresses",
        if each.is_empty() { "none yet" } else { &each },
    );
    if let Stage::Agent(_, status) = stage
        && status.cluster.is_some()
    {
        members(&mut text, status);
    }
    text
}

pub(super) fn no_file(file: &str) -> String {
    format!("waiting for {file}: cloud-init has not written it yet")
}

fn node(text: &mut String, config: &Config, status: Option<&ClusterStatus>) {
    let name = status
        .map(|status| status.node.clone())
        .or_else(|| config.name.as_ref().map(ToString::to_string));
    let name = name.unwrap_or_else(|| "(the host's name)".to_owned());
    let node = format!(
        "{name}, a {} of {}:{}",
        config.role, config.stack, config.dc
    );
    say(text, "node", &node);
}

fn cluster(text: &mut String, status: &ClusterStatus) {
    if status.cluster.is_none() {
        let waits = match &status.waiting {
            Some(waits) => format!("waiting: {waits}"),
            None => "looking for the others".to_owned(),
        };
        return say(text, "state", &waits);
    }
    let leader = match &status.leader {
        Some(leader) if *leader == status.node => "this node".to_owned(),
        Some(leader) if status.problem.is_none() => leader.clone(),
        Some(leader) => format!("{leader} was it, and does not answer"),
        None => "NONE".to_owned(),
    };
    say(text, "leader", &leader);
    if let Some(host) = &status.registry_host {
        say(text, "registry", &format!("on {host}"));
    }
    let trouble = status.trouble();
    say(text, "health", trouble.as_deref().unwrap_or("all well"));
}

fn members(text: &mut String, status: &ClusterStatus) {
    text.push('\n');
    let mut table = Table::new(&["NODE", "ROLE", "ADDRESS", "STATUS", "HEALTH"]);
    for member in status.members.iter().take(ROWS) {
        table.row([
            member.name.clone(),
            member.part().to_owned(),
            member.address.clone(),
            member.status.clone(),
            member.health.clone().unwrap_or_default(),
        ]);
    }
    for line in table.render().lines() {
        let _ = writeln!(text, "{}", cut(line));
    }
    if let Some(more) = status.members.len().checked_sub(ROWS + 1) {
        let _ = writeln!(text, "and {} more: `swarmer status`", more + 1);
    }
}

fn cut(line: &str) -> String {
    let whole = line.chars().count() <= COLUMNS;
    if whole {
        return line.to_owned();
    }
    line.chars().take(COLUMNS - 1).chain(['>']).collect()
}

/// `name  words`, broken between words; those too long for a line are broken too.
fn say(text: &mut String, name: &str, words: &str) {
    let room = COLUMNS - INDENT;
    let mut line = String::new();
    let mut lines = Vec::new();
    for word in words.split_whitespace() {
        // What came from elsewhere must not move the cursor.
        let mut word: Vec<char> = word.chars().filter(|c| !c.is_control()).collect();
        let needed = line.chars().count() + usize::from(!line.is_empty()) + word.len();
        if needed > room && !line.is_empty() {
            lines.push(std::mem::take(&mut line));
        }
        while word.len() > room {
            lines.push(word.drain(..room).collect());
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.extend(word);
    }
    lines.push(line);
    let mut name = name;
    for line in lines {
        let _ = writeln!(text, "{name:<INDENT$}{line}");
        name = "";
    }
}

#[cfg(test)]
mod tests {
    use super::super::cluster_status::MemberStatus;
    use super::*;

    const FILE: &str = "/etc/swarmer/swarmer.yaml";
    const GOOD: &str = "stack: vagrant\ndc: dev\nrole: server\nexpect: 3\nname: s1\nadmin_network: 10.0.0.0/8\ntoken: x\n";

    fn config() -> Box<Config> {
        Box::new(Config::parse(FILE, GOOD).unwrap())
    }

    fn screen(stage: &Stage) -> String {
        let addresses = vec![("eth0".to_owned(), "10.0.0.1".parse().unwrap())];
        let text = render(stage, &addresses, FILE);
        let ours = text.lines().filter(|line| !line.starts_with(FILE));
        for line in ours {
            assert!(line.chars().count() <= COLUMNS, "{line:?}");
        }
        assert!(text.contains("10.0.0.1 (eth0)"), "{text}");
        text
    }

    #[test]
    fn a_node_without_its_file_waits_for_it() {
        let text = screen(&Stage::NoFile);
        let said = "waiting for /etc/swarmer/swarmer.yaml: cloud-init has not written it";
        assert!(text.contains(said), "{text}");
    }

    #[test]
    fn a_wrong_file_is_told_in_the_words_of_config_check() {
        let errors = Config::parse(FILE, &GOOD.replace("expect", "exspect")).unwrap_err();
        let text = screen(&Stage::BadFile(errors.to_string()));
        let said = errors.to_string();
        assert!(text.contains(&said), "{said:?} is not in\n{text}");
        assert!(said.contains("did you mean \"expect\"?"), "{said}");
    }

    #[test]
    fn an_agent_that_is_down_or_waits_is_told() {
        let why = "the agent does not run: `systemctl status swarmer`".to_owned();
        let text = screen(&Stage::NoAgent(config(), why));
        assert!(
            text.contains("node      s1, a server of vagrant:dev"),
            "{text}"
        );
        assert!(text.contains("state     the agent does not run"), "{text}");
        let waits = ClusterStatus {
            node: "s1".into(),
            waiting: Some(format!("1 of 3 servers are here; {}", "x".repeat(200))),
            ..ClusterStatus::default()
        };
        let text = screen(&Stage::Agent(config(), Box::new(waits)));
        assert!(text.contains("waiting: 1 of 3 servers are here;"), "{text}");
    }

    #[test]
    fn a_member_shows_its_cluster_s_health_and_the_first_of_many_nodes() {
        let member = |number: usize| MemberStatus {
            name: format!("{}-{number}", "n".repeat(60)),
            role: "server".into(),
            status: "alive".into(),
            health: Some("passing".into()),
            ..MemberStatus::default()
        };
        let status = ClusterStatus {
            cluster: Some("c".into()),
            node: "s1".into(),
            leader: Some("s1".into()),
            members: (0..20).map(member).collect(),
            ..ClusterStatus::default()
        };
        let text = screen(&Stage::Agent(config(), Box::new(status)));
        assert!(text.contains("leader    this node"), "{text}");
        assert!(text.contains("0 of 1 servers vote"), "{text}");
        assert!(text.contains("and 8 more"), "{text}");
        assert!(text.lines().count() <= 24, "{text}");
    }
}
