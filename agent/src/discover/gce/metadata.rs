//! The metadata server: what Google tells an instance about itself.

use bytes::Bytes;
use hyper::{Method, Request, Response, StatusCode};

use super::super::ProviderError;
use super::super::ask;
use super::super::oauth::{Granted, granted};
use super::super::said::said;
use super::super::web::Web;

/// By its address: a name would be asked of a resolver that may be this program.
pub(super) const SERVER: &str = "http://169.254.169.254";
const PROJECT: &str = "asking Google's metadata server for the project";
const TOKEN: &str = "asking Google's metadata server for a token";
const INSTANCE: &str = "asking Google's metadata server for this instance's id";

/// Asks it.
pub(super) struct Metadata {
    web: Web,
    server: String,
}

impl Metadata {
    /// At this address.
    pub(super) fn new(web: Web, server: &str) -> Self {
        Self {
            web,
            server: server.to_owned(),
        }
    }

    /// The project's id.
    pub(super) async fn project(&self) -> Result<String, ProviderError> {
        let hint = "set project_name, if this is no instance of Google's";
        self.text(PROJECT, "project/project-id", hint).await
    }

    /// This instance's id.
    pub(super) async fn instance_id(&self) -> Result<String, ProviderError> {
        self.text(INSTANCE, "instance/id", "is it an instance?")
            .await
    }

    /// A token of the instance's service account.
    pub(super) async fn token(&self) -> Result<Granted, ProviderError> {
        let path = "instance/service-accounts/default/token";
        let answer = self.get(TOKEN, path).await?;
        let hint = "give the instance a service account that may read Compute Engine, or set credentials_file";
        granted(TOKEN, &answer, hint)
    }

    async fn text(
        &self,
        call: &'static str,
        path: &str,
        hint: &'static str,
    ) -> Result<String, ProviderError> {
        let answer = self.get(call, path).await?;
        // Another service at this address does not say so.
        let google = answer.headers().get("metadata-flavor");
        let google = google.is_some_and(|flavor| flavor == "Google");
        let text = String::from_utf8_lossy(answer.body()).trim().to_owned();
        if answer.status() == StatusCode::OK && google && !text.is_empty() {
            return Ok(text);
        }
        Err(ProviderError::Refused {
            call,
            said: said(answer.status().as_str()),
            hint: Some(hint),
        })
    }

    async fn get(&self, call: &'static str, path: &str) -> Result<Response<Bytes>, ProviderError> {
        let built = Request::builder()
            .method(Method::GET)
            .uri(format!("{}/computeMetadata/v1/{path}", self.server))
            .header("metadata-flavor", "Google")
            .body(Bytes::new());
        ask::send(&self.web, call, built).await
    }
}
