//! Waiting for facts: the only file that sleeps.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};

/// How long to pause between two looks: short, so that a measured time is true to a few milliseconds.
const PAUSE: Duration = Duration::from_millis(5);

/// Looks until `look` says yes, and returns what it found. An `Err` of `look` is not a failure but
/// what was seen instead; the last one is in the error when `within` is over.
pub fn for_fact<T>(fact: &str, within: Duration, mut look: impl FnMut() -> Result<T>) -> Result<T> {
    let start = Instant::now();
    loop {
        match look() {
            Ok(found) => return Ok(found),
            Err(seen) if start.elapsed() >= within => {
                return Err(anyhow!(
                    "after {:.1} s it is still not true that {fact}; last seen: {seen:#}",
                    start.elapsed().as_secs_f64()
                ));
            }
            Err(_) => thread::sleep(PAUSE),
        }
    }
}

/// Looks for the whole of `during`, and fails as soon as `look` does: for what must stay true.
pub fn that_it_stays(
    fact: &str,
    during: Duration,
    mut look: impl FnMut() -> Result<()>,
) -> Result<()> {
    let start = Instant::now();
    while start.elapsed() < during {
        if let Err(seen) = look() {
            return Err(anyhow!(
                "after {:.1} s it is no longer true that {fact}; seen: {seen:#}",
                start.elapsed().as_secs_f64()
            ));
        }
        thread::sleep(PAUSE);
    }
    Ok(())
}

/// Lets time pass, where time itself is the story ("a server comes a second late"); `why` says so.
pub fn a_while(why: &str, time: Duration) {
    eprintln!("    … {:.1} s: {why}", time.as_secs_f64());
    thread::sleep(time);
}

/// The pace of a loop that would otherwise use up the machine.
pub fn briefly(time: Duration) {
    thread::sleep(time);
}

/// How long `act` took, and what it gave.
pub fn timed<T>(act: impl FnOnce() -> T) -> (Duration, T) {
    let start = Instant::now();
    let given = act();
    (start.elapsed(), given)
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::bail;

    #[test]
    fn a_wait_that_fails_says_what_it_wanted_and_what_it_saw() {
        let failed: Result<()> = for_fact("the moon is blue", Duration::from_millis(20), || {
            bail!("a white moon")
        });
        let text = failed.unwrap_err().to_string();
        assert!(text.contains("the moon is blue"), "{text}");
        assert!(text.contains("a white moon"), "{text}");
    }

    #[test]
    fn a_wait_gives_back_what_it_found() {
        let mut looks = 0;
        let found = for_fact("the third look succeeds", Duration::from_secs(5), || {
            looks += 1;
            if looks < 3 {
                bail!("look {looks}")
            }
            Ok(looks)
        });
        assert_eq!(found.unwrap(), 3);
    }
}
