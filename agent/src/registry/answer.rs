//! The front's own answers, in the form of the registry's API
//! (<https://distribution.github.io/distribution/spec/api/#errors>).

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, combinators::BoxBody};
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use hyper::{Response, StatusCode};
use serde_json::json;

/// What goes in and out: streamed, never held.
pub(super) type Body = BoxBody<Bytes, hyper::Error>;

const API_VERSION: HeaderName = HeaderName::from_static("docker-distribution-api-version");

/// Who are you?
pub(super) fn unauthorized() -> Response<Body> {
    let message = "give a certificate of the cluster, or one of its tokens as the password";
    let mut answer = error(StatusCode::UNAUTHORIZED, "UNAUTHORIZED", message);
    let basic = HeaderValue::from_static("Basic realm=\"swarmer\"");
    answer.headers_mut().insert(WWW_AUTHENTICATE, basic);
    answer
}

/// Not now: try again.
pub(super) fn unavailable(message: &str) -> Response<Body> {
    let mut answer = error(StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE", message);
    answer
        .headers_mut()
        .insert(RETRY_AFTER, HeaderValue::from_static("1"));
    answer
}

/// Not here.
pub(super) fn not_found() -> Response<Body> {
    let message = "this is a registry: its API is under /v2/";
    error(StatusCode::NOT_FOUND, "UNSUPPORTED", message)
}

fn error(status: StatusCode, code: &str, message: &str) -> Response<Body> {
    let text = json!({ "errors": [{ "code": code, "message": message, "detail": null }] });
    let body = Full::new(Bytes::from(text.to_string()));
    let mut answer = Response::new(body.map_err(|never| match never {}).boxed());
    *answer.status_mut() = status;
    let json = HeaderValue::from_static("application/json");
    answer.headers_mut().insert(CONTENT_TYPE, json);
    let version = HeaderValue::from_static("registry/2.0");
    answer.headers_mut().insert(API_VERSION, version);
    answer
}
