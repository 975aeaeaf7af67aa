//! A token of another identity provider (Kubernetes, a CI system), given to AWS's STS for
//! credentials of a role.

use std::path::Path;

use hyper::Request;
use hyper::header::CONTENT_TYPE;
use roxmltree::Document;

use super::super::calls::ASSUME_ROLE_WITH_WEB_IDENTITY as CALL;
use super::super::exchange::{FORM, Place, form, text};
use super::super::profile::Profile;
use super::super::refusal::Said;
use super::super::surroundings::{Surroundings, Variables};
use super::super::xml;
use super::{Credentials, read_time};
use crate::config::Secret;
use crate::discover::ProviderError;

/// Who asks, as the cloud's audit log shows it.
const SESSION: &str = "swarmer";

/// Which token is given for which role.
pub(super) struct WebIdentity {
    file: String,
    role: String,
    session: String,
}

impl WebIdentity {
    /// From the environment, or from a profile.
    pub(super) fn of(
        variables: &Variables,
        profile: Option<&Profile>,
    ) -> Result<Option<Self>, String> {
        let either = |variable: &str, key: &str| {
            let named = variables.get(variable);
            named.or_else(|| profile?.get(key).map(str::to_owned))
        };
        let file = either("AWS_WEB_IDENTITY_TOKEN_FILE", "web_identity_token_file");
        let Some(file) = file else {
            return Ok(None);
        };
        let role = either("AWS_ROLE_ARN", "role_arn");
        let role = role.ok_or("AWS_WEB_IDENTITY_TOKEN_FILE is set, but AWS_ROLE_ARN is not")?;
        let session = either("AWS_ROLE_SESSION_NAME", "role_session_name");
        let session = session.unwrap_or_else(|| SESSION.to_owned());
        Ok(Some(Self {
            file,
            role,
            session,
        }))
    }

    /// Read anew each time: whoever wrote it replaces it before it expires.
    fn token(&self) -> Result<Secret, ProviderError> {
        let fail = |why: String| ProviderError::Credentials {
            call: CALL.action,
            tried: format!("{} {why}", self.file),
        };
        let text = std::fs::read_to_string(Path::new(&self.file))
            .map_err(|error| fail(format!("can't be read: {error}")))?;
        match text.trim() {
            "" => Err(fail("is empty".to_owned())),
            token => Ok(Secret::new(token)),
        }
    }
}

/// The role's credentials. The call is not signed: the token is the proof.
pub(super) async fn exchange(
    identity: &WebIdentity,
    region: &str,
    around: &Surroundings,
) -> Result<Credentials, ProviderError> {
    let token = identity.token()?;
    let parameters = [
        ("RoleArn", identity.role.as_str()),
        ("RoleSessionName", &identity.session),
        ("WebIdentityToken", token.expose()),
    ];
    let place = Place::of(CALL, region, None, &around.variables)?;
    let request = Request::post("/").header(CONTENT_TYPE, FORM);
    let request = place.request(request, form(CALL, &parameters))?;
    let answer = place.send(request, &around.web).await?;
    if !answer.status().is_success() {
        let body = String::from_utf8_lossy(answer.body());
        let said = Said::read(&body.replace(token.expose(), "[secret]"));
        return Err(said.error(CALL, &answer));
    }
    read(&text(CALL, answer)?).map_err(|why| ProviderError::Unreadable {
        call: CALL.action,
        why,
    })
}

fn read(text: &str) -> Result<Credentials, String> {
    let document = Document::parse(text).map_err(|_| "it is no XML".to_owned())?;
    let node = xml::anywhere(document.root(), "Credentials").ok_or("it has no Credentials")?;
    let needed = |name: &str| xml::text(node, name).ok_or_else(|| format!("it has no {name}"));
    let id = needed("AccessKeyId")?;
    let secret = needed("SecretAccessKey")?;
    let token = needed("SessionToken")?;
    let expires = read_time(needed("Expiration")?)?;
    Ok(Credentials::new(id, secret, Some(token)).until(expires))
}
