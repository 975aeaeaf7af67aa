//! In whose name Azure is asked: an application with its secret, or the machine's own identity.

use std::collections::BTreeMap;

use bytes::Bytes;
use hyper::header::HeaderValue;
use hyper::{Method, Request, Response, StatusCode};

use super::super::ProviderError;
use super::super::ask::{self, escaped};
use super::super::oauth::{Granted, Token, form, granted};
use super::super::said::said;
use super::super::web::Web;
use super::place::Place;
use super::wrong;
use crate::config::{Secret, SecretSource};

const LOGIN: &str = "logging in to Azure";
const MANAGED: &str = "asking Azure's metadata service for a token";
const MACHINE: &str = "asking Azure's metadata service for this machine's id";

/// Who asks.
pub(super) struct Identity {
    web: Web,
    manager: String,
    login: String,
    metadata: String,
    client: Option<String>,
    application: Option<Application>,
    token: Token,
}

struct Application {
    tenant: String,
    client: String,
    secret: SecretSource,
}

impl Identity {
    /// With `tenant_id`, `client_id` and `secret_access_key` an application, otherwise the machine;
    /// `client_id` alone picks one of the machine's identities.
    pub(super) fn new(
        place: &Place,
        args: &BTreeMap<String, String>,
        web: Web,
    ) -> Result<Self, ProviderError> {
        let given = |key: &str| args.get(key).cloned();
        let application = match (
            given("tenant_id"),
            given("client_id"),
            given("secret_access_key"),
        ) {
            (Some(tenant), Some(client), Some(secret)) => {
                let form = "itself, file:/path or ${NAME}";
                let secret = SecretSource::read(&secret);
                Some(Application {
                    tenant,
                    client,
                    secret: secret.ok_or_else(|| wrong("secret_access_key", form))?,
                })
            }
            (None, _, None) => None,
            (Some(_), _, None) => {
                return Err(wrong("secret_access_key", "given together with tenant_id"));
            }
            (None, _, Some(_)) => {
                return Err(wrong("tenant_id", "given together with secret_access_key"));
            }
            (Some(_), None, Some(_)) => {
                return Err(wrong("client_id", "given together with secret_access_key"));
            }
        };
        Ok(Self {
            web,
            manager: place.manager.clone(),
            login: place.login.clone(),
            metadata: place.metadata.clone(),
            client: given("client_id"),
            application,
            token: Token::default(),
        })
    }

    /// The `Authorization` header for the Resource Manager.
    pub(super) async fn authorization(&self) -> Result<HeaderValue, ProviderError> {
        let fetch = async {
            match &self.application {
                Some(application) => self.log_in(application).await,
                None => self.managed().await,
            }
        };
        self.token.header(LOGIN, fetch).await
    }

    /// The token was not taken.
    pub(super) async fn forget(&self) {
        self.token.forget().await;
    }

    /// This machine's `vmId`.
    pub(super) async fn machine_id(&self) -> Result<String, ProviderError> {
        let path = "instance/compute/vmId?api-version=2021-02-01&format=text";
        let answer = self.ask_metadata(MACHINE, path).await?;
        let text = String::from_utf8_lossy(answer.body());
        match uuid::Uuid::parse_str(text.trim()) {
            Ok(id) if answer.status() == StatusCode::OK => Ok(id.to_string()),
            _ => Err(ProviderError::Refused {
                call: MACHINE,
                said: said(answer.status().as_str()),
                hint: None,
            }),
        }
    }

    /// The client credentials grant (RFC 6749 section 4.4).
    async fn log_in(&self, application: &Application) -> Result<Granted, ProviderError> {
        let file = |path: &str| std::fs::read_to_string(path).map_err(|e| e.to_string());
        let secret = application
            .secret
            .resolve(|name| std::env::var(name).ok(), file)
            .map_err(|error| ProviderError::Credentials {
                call: LOGIN,
                tried: format!("secret_access_key: {error}"),
            })?;
        let body = form(&[
            ("grant_type", &Secret::new("client_credentials")),
            ("client_id", &Secret::new(&application.client)),
            ("client_secret", &secret),
            ("scope", &Secret::new(format!("{}/.default", self.manager))),
        ]);
        let built = Request::builder()
            .method(Method::POST)
            .uri(format!(
                "{}/{}/oauth2/v2.0/token",
                self.login,
                escaped(&application.tenant)
            ))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(body);
        let answer = ask::send(&self.web, LOGIN, built).await?;
        granted(
            LOGIN,
            &answer,
            "check tenant_id, client_id and secret_access_key",
        )
    }

    async fn managed(&self) -> Result<Granted, ProviderError> {
        let client = self.client.as_ref();
        let client = client.map(|id| format!("&client_id={}", escaped(id)));
        let path = format!(
            "identity/oauth2/token?api-version=2018-02-01&resource={}{}",
            escaped(&format!("{}/", self.manager)),
            client.unwrap_or_default()
        );
        let answer = self.ask_metadata(MANAGED, &path).await?;
        let hint = "give the machine a managed identity that may read machines and interfaces, or set tenant_id, client_id and secret_access_key";
        granted(MANAGED, &answer, hint)
    }

    async fn ask_metadata(
        &self,
        call: &'static str,
        path: &str,
    ) -> Result<Response<Bytes>, ProviderError> {
        let built = Request::builder()
            .method(Method::GET)
            .uri(format!("{}/metadata/{path}", self.metadata))
            .header("metadata", "true")
            .body(Bytes::new());
        ask::send(&self.web, call, built).await
    }
}
