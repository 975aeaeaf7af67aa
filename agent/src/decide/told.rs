//! Whether the machine's cloud has told it to go, and how much time that leaves.

use std::time::Duration;

/// A spot instance has two minutes from its notice; the rest is for the machine's own shutdown.
const SPOT: Duration = Duration::from_secs(90);
/// A lifecycle hook waits while it is told to; a VM's owner waits too. A server that its cluster
/// can't do without may find a successor in this time.
const HOOK: Duration = Duration::from_secs(300);

/// What was seen to be said, by whichever cloud. Nothing is the usual case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// AWS: what will be done to a spot instance in two minutes (`terminate`, `stop`,
    /// `hibernate`).
    pub spot: Option<String>,
    /// AWS: a spot instance is at a higher risk than others.
    pub rebalance: bool,
    /// AWS: the state that an autoscaling group wants it in.
    pub lifecycle: Option<String>,
    /// vSphere: what the VM's owner has set to tell it.
    pub key: Option<String>,
}

/// To leave for good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Marching {
    /// For people.
    pub why: &'static str,
    /// How long a server may wait until the others can do without its vote.
    pub patience: Duration,
}

/// What follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// Nothing.
    Stay,
    /// Nothing, but whoever reads the log wants to know.
    Hint(&'static str),
    /// The machine ends.
    Go(Marching),
}

/// What follows from what was seen. Only the end of the machine makes a node leave for good: one
/// that is stopped comes back with its disk, and a recommendation is none.
#[must_use]
pub fn order(seen: &Seen) -> Order {
    let ends = |why, patience| Order::Go(Marching { why, patience });
    if seen.spot.as_deref() == Some("terminate") {
        return ends("a spot interruption: the machine ends in two minutes", SPOT);
    }
    if seen
        .lifecycle
        .as_deref()
        .is_some_and(|state| state == "Terminated" || state == "Warmed:Terminated")
    {
        return ends("its autoscaling group terminates the machine", HOOK);
    }
    if seen.key.as_deref().is_some_and(is_yes) {
        return ends("guestinfo.swarmer.leave says so", HOOK);
    }
    if seen.spot.is_some() {
        return Order::Hint(
            "a spot interruption will stop this machine; it stays a member, and goes on when it is started again",
        );
    }
    if seen.rebalance {
        return Order::Hint(
            "the cloud recommends to replace this machine, since it is likely to be interrupted; nothing is done before it says that it ends",
        );
    }
    Order::Stay
}

/// Whether a key that people set means yes. That of a machine that has left goes on meaning it.
fn is_yes(value: &str) -> bool {
    let no = ["", "0", "false", "no"];
    !no.contains(&value.trim().to_ascii_lowercase().as_str())
}

/// What the agent answers on vSphere when it has left.
pub const LEFT: &str = "left";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_end_of_the_machine_makes_it_leave() {
        let seen =
            |spot: Option<&str>, rebalance, lifecycle: Option<&str>, key: Option<&str>| Seen {
                spot: spot.map(str::to_owned),
                rebalance,
                lifecycle: lifecycle.map(str::to_owned),
                key: key.map(str::to_owned),
            };
        let cases = [
            (seen(None, false, None, None), "stay"),
            (seen(None, false, Some("InService"), None), "stay"),
            (seen(None, false, Some("Standby"), None), "stay"),
            (seen(None, false, Some("Detached"), None), "stay"),
            (seen(None, false, Some("Terminated"), None), "go in 300"),
            (seen(None, true, Some("InService"), None), "hint"),
            (seen(None, true, Some("Terminated"), None), "go in 300"),
            (seen(Some("terminate"), true, None, None), "go in 90"),
            (
                seen(Some("terminate"), false, Some("Terminated"), None),
                "go in 90",
            ),
            (seen(Some("stop"), false, None, None), "hint"),
            (seen(Some("hibernate"), false, None, None), "hint"),
            (
                seen(Some("stop"), false, Some("Terminated"), None),
                "go in 300",
            ),
            (seen(None, false, None, Some("1")), "go in 300"),
            (seen(None, false, None, Some("yes\n")), "go in 300"),
            (seen(None, false, None, Some(" ")), "stay"),
            (seen(None, false, None, Some("false")), "stay"),
            (seen(None, false, None, Some(LEFT)), "go in 300"),
        ];
        for (seen, expected) in cases {
            let found = match order(&seen) {
                Order::Stay => "stay".to_owned(),
                Order::Hint(_) => "hint".to_owned(),
                Order::Go(marching) => format!("go in {}", marching.patience.as_secs()),
            };
            assert_eq!(found, expected, "{seen:?}");
        }
    }
}
