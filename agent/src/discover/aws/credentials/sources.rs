//! Where credentials are looked for, in the order of AWS's SDKs: the environment, the shared files,
//! a web identity, the container's, the instance's role.

use super::super::imds::Imds;
use super::super::profile::{self, Profile};
use super::super::surroundings::{Surroundings, Variables};
use super::Credentials;
use super::container;
use super::web_identity::{self, WebIdentity};
use crate::discover::ProviderError;

/// What one place comes to.
pub(super) enum Looked {
    /// There they are.
    Found(Credentials),
    /// It is not in use; why it is thought so.
    NotHere(String),
}

/// The first credentials that there are. A place that is in use and fails ends the search, so that
/// nobody is asked with an identity that was not meant.
pub(super) async fn look(
    call: &'static str,
    region: &str,
    around: &Surroundings,
) -> Result<Credentials, ProviderError> {
    let variables = &around.variables;
    let fail = |tried: String| ProviderError::Credentials { call, tried };
    let mut tried = Vec::new();
    match environment(variables).map_err(fail)? {
        Looked::Found(found) => return Ok(found),
        Looked::NotHere(why) => tried.push(why),
    }
    let profile = profile::load(variables).map_err(fail)?;
    match files(profile.as_ref(), variables).map_err(fail)? {
        Looked::Found(found) => return Ok(found),
        Looked::NotHere(why) => tried.push(why),
    }
    let identity = WebIdentity::of(variables, profile.as_ref()).map_err(fail)?;
    match identity {
        Some(identity) => return web_identity::exchange(&identity, region, around).await,
        None => tried.push("AWS_WEB_IDENTITY_TOKEN_FILE is not set".to_owned()),
    }
    match container::look(around).await.map_err(fail)? {
        Looked::Found(found) => return Ok(found),
        Looked::NotHere(why) => tried.push(why),
    }
    match instance(&around.imds).await {
        Ok(Looked::Found(found)) => return Ok(found),
        Ok(Looked::NotHere(why)) => tried.push(why),
        Err(error) => tried.push(error.to_string()),
    }
    Err(fail(tried.join("; ")))
}

fn environment(variables: &Variables) -> Result<Looked, String> {
    let [id, secret] = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"].map(|n| variables.get(n));
    match (id, secret) {
        (Some(id), Some(secret)) => {
            let token = variables.get("AWS_SESSION_TOKEN");
            let found = Credentials::new(&id, &secret, token.as_deref());
            Ok(Looked::Found(found))
        }
        (None, None) => Ok(Looked::NotHere("AWS_ACCESS_KEY_ID is not set".to_owned())),
        (Some(_), None) => {
            Err("AWS_ACCESS_KEY_ID is set, but AWS_SECRET_ACCESS_KEY is not".to_owned())
        }
        (None, Some(_)) => {
            Err("AWS_SECRET_ACCESS_KEY is set, but AWS_ACCESS_KEY_ID is not".to_owned())
        }
    }
}

/// What this program does not do, though a profile may ask for it.
const OTHER_WAYS: [&str; 5] = [
    "credential_process",
    "source_profile",
    "credential_source",
    "sso_session",
    "sso_start_url",
];

fn files(profile: Option<&Profile>, variables: &Variables) -> Result<Looked, String> {
    let name = profile::name(variables);
    let Some(profile) = profile else {
        let why = format!("the shared files have no profile {name}");
        return match variables.get("AWS_PROFILE") {
            Some(_) => Err(format!("{why}, which AWS_PROFILE names")),
            None => Ok(Looked::NotHere(why)),
        };
    };
    let key = ["aws_access_key_id", "aws_secret_access_key"].map(|key| profile.get(key));
    match key {
        [Some(id), Some(secret)] => {
            let token = profile.get("aws_session_token");
            Ok(Looked::Found(Credentials::new(id, secret, token)))
        }
        [None, None] => match OTHER_WAYS.iter().find(|way| profile.get(way).is_some()) {
            Some(way) => Err(format!(
                "profile {name} has {way}, which is not supported here: use an access key, a web identity or the instance's role"
            )),
            None => Ok(Looked::NotHere(format!("profile {name} has no access key"))),
        },
        _ => Err(format!(
            "profile {name} has only one of aws_access_key_id and aws_secret_access_key"
        )),
    }
}

const ROLES: &str = "iam/security-credentials/";

async fn instance(imds: &Imds) -> Result<Looked, ProviderError> {
    let none = || Ok(Looked::NotHere("the instance has no role".to_owned()));
    let Some(roles) = imds.get(ROLES).await? else {
        return none();
    };
    let Some(role) = roles.lines().map(str::trim).find(|line| !line.is_empty()) else {
        return none();
    };
    let Some(text) = imds.get(&format!("{ROLES}{role}")).await? else {
        return none();
    };
    Ok(match Credentials::issued(&text) {
        Ok(found) => Looked::Found(found),
        Err(why) => Looked::NotHere(format!("the instance's role {role}: {why}")),
    })
}
