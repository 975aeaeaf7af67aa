//! `swarmer demo stop`.

use std::io::Write as _;
use std::path::Path;

use super::record::{self, Demo};
use super::{DemoError, folder, processes};

/// Ends all nodes of the demo in `place`, and removes what it put there.
pub(super) async fn stop(place: &Path, json: bool) -> Result<(), DemoError> {
    let none = || DemoError::None(place.to_owned());
    let dir = place.canonicalize().map_err(|_| none())?;
    let file = record::file(&dir);
    let text = std::fs::read(&file).map_err(|_| none())?;
    let demo: Demo = serde_json::from_slice(&text)
        .map_err(|error| DemoError::io("read", file.display(), error.into()))?;
    // Whoever watches over the demo in a terminal sees by this that it is over.
    folder::remove(&file)?;
    let ended = match processes::end_all(&dir).await {
        Ok(ended) => ended,
        Err(error) => {
            folder::write(&file, &demo.json()?)?;
            return Err(error);
        }
    };
    // The folder may have been moved since.
    let demo = Demo { dir, ..demo };
    demo.remove_files()?;
    let mut out = std::io::stdout().lock();
    let said = match json {
        true => writeln!(out, "{{\"stopped\": {ended}}}"),
        false => writeln!(out, "stopped {ended} nodes, and removed their files"),
    };
    // Nobody may be reading; it is done all the same.
    drop(said);
    Ok(())
}
