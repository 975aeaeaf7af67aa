//! Which region is asked.

use super::profile::{self, Profile};
use super::surroundings::Surroundings;
use crate::discover::ProviderError;

/// What a region looks like.
pub(super) const EXPECTED: &str = "a region's name, such as eu-central-1";

const CALL: &str = "region";

/// Whether it can be part of a host's name.
pub(super) fn is_one(text: &str) -> bool {
    let fine = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    (1..=40).contains(&text.len()) && text.bytes().all(fine) && !text.starts_with('-')
}

/// The argument, the environment, the shared files, the instance's own: the first that there is.
pub(super) async fn find(
    given: Option<&str>,
    around: &Surroundings,
) -> Result<String, ProviderError> {
    let variables = &around.variables;
    let named = given
        .map(str::to_owned)
        .or_else(|| variables.get("AWS_REGION"))
        .or_else(|| variables.get("AWS_DEFAULT_REGION"))
        .or_else(|| from_files(around));
    let found = match named {
        Some(region) => Some(region),
        None => around.imds.get("placement/region").await.map_err(none)?,
    };
    match found.as_deref().map(str::trim) {
        Some(region) if is_one(region) => Ok(region.to_owned()),
        Some(_) => Err(ProviderError::Unreadable {
            call: CALL,
            why: format!("what was found is not {EXPECTED}"),
        }),
        None => Err(ProviderError::Refused {
            call: CALL,
            said: "none was found".to_owned(),
            hint: Some(HINT),
        }),
    }
}

const HINT: &str = "give region=REGION behind provider=aws, or set AWS_REGION; on an instance the metadata service tells it";

/// The metadata service was the last place to look.
fn none(error: ProviderError) -> ProviderError {
    ProviderError::Refused {
        call: CALL,
        said: format!("none was found: {error}"),
        hint: Some(HINT),
    }
}

fn from_files(around: &Surroundings) -> Option<String> {
    let profile = profile::load(&around.variables).ok()?;
    profile.as_ref().and_then(Profile::region)
}
