//! Credentials that a container's host serves: ECS tasks, EKS pods.
//!
//! <https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html>

use bytes::Bytes;
use hyper::header::AUTHORIZATION;
use hyper::{Request, Uri};

use super::super::sign::hidden;
use super::super::surroundings::{Surroundings, Variables};
use super::Credentials;
use super::sources::Looked;

const ECS: &str = "http://169.254.170.2";
/// A token must not go to anyone else over plain HTTP.
const NEAR: [&str; 6] = [
    "127.0.0.1",
    "localhost",
    "[::1]",
    "169.254.170.2",
    "169.254.170.23",
    "[fd00:ec2::23]",
];

/// Asks the container's host, where the environment says that there is one.
pub(super) async fn look(around: &Surroundings) -> Result<Looked, String> {
    let variables = &around.variables;
    let Some(uri) = uri(variables)? else {
        let why = "AWS_CONTAINER_CREDENTIALS_FULL_URI is not set";
        return Ok(Looked::NotHere(why.to_owned()));
    };
    let at = uri
        .authority()
        .map_or_else(String::new, ToString::to_string);
    let mut request = Request::get(uri);
    if let Some(token) = token(variables)? {
        let token = hidden(&token).map_err(|_| "the container's token can't be sent")?;
        request = request.header(AUTHORIZATION, token);
    }
    let request = request
        .body(Bytes::new())
        .map_err(|error| error.to_string())?;
    let answer = around.web.send(request).await;
    let answer = answer.map_err(|error| format!("the container's credentials: {error}"))?;
    if !answer.status().is_success() {
        let status = answer.status();
        return Err(format!("the container's credentials at {at}: {status}"));
    }
    let text = String::from_utf8_lossy(answer.body());
    let issued = Credentials::issued(&text);
    let issued = issued.map_err(|why| format!("the container's credentials at {at}: {why}"))?;
    Ok(Looked::Found(issued))
}

fn uri(variables: &Variables) -> Result<Option<Uri>, String> {
    if let Some(path) = variables.get("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI") {
        let uri = format!("{ECS}{path}").parse::<Uri>();
        let uri = uri.ok().filter(|uri| uri.host() == Some("169.254.170.2"));
        let wrong = "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI must be a path";
        return uri.map(Some).ok_or_else(|| wrong.to_owned());
    }
    let Some(text) = variables.get("AWS_CONTAINER_CREDENTIALS_FULL_URI") else {
        return Ok(None);
    };
    let uri = text
        .parse::<Uri>()
        .ok()
        .filter(|uri| match uri.scheme_str() {
            Some("https") => true,
            Some("http") => uri.host().is_some_and(|host| NEAR.contains(&host)),
            _ => false,
        });
    let wrong = "AWS_CONTAINER_CREDENTIALS_FULL_URI must be https://… or http:// to this host";
    uri.map(Some).ok_or_else(|| wrong.to_owned())
}

fn token(variables: &Variables) -> Result<Option<String>, String> {
    let Some(file) = variables.get("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE") else {
        return Ok(variables.get("AWS_CONTAINER_AUTHORIZATION_TOKEN"));
    };
    let text = std::fs::read_to_string(&file);
    let text = text.map_err(|error| format!("{file} can't be read: {error}"))?;
    Ok(Some(text.trim().to_owned()))
}
