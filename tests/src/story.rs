//! The telling of a test: phases, each with its reason.

use std::time::Instant;

/// A test told in phases. What it prints is shown when the test fails (or with `--nocapture`).
#[derive(Debug)]
pub struct Story {
    name: String,
    start: Instant,
}

impl Story {
    /// Begins a story.
    #[must_use]
    pub fn of(name: &str) -> Self {
        eprintln!("== {name}");
        Self {
            name: name.to_owned(),
            start: Instant::now(),
        }
    }

    /// The next phase: what happens now, and why.
    pub fn phase(&self, what_and_why: &str) {
        eprintln!(
            "  {:6.1} s  {what_and_why}",
            self.start.elapsed().as_secs_f64()
        );
    }

    /// The story's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}
