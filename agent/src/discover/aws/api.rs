//! Signed calls to AWS's services.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use hyper::header::CONTENT_TYPE;
use hyper::http::request::Builder;
use hyper::{Request, Response};
use serde_json::Value;
use tokio::sync::OnceCell;

use super::KIND;
use super::calls::Call;
use super::credentials::{Credentials, Purse};
use super::endpoint::{self, Service};
use super::exchange::{FORM, Place, form, text};
use super::refusal::Said;
use super::region;
use super::sign::{Scope, sign};
use super::surroundings::{Surroundings, Variables};
use crate::discover::ProviderError;
use crate::task::clock;

const JSON: &str = "application/x-amz-json-1.1";

/// Asks AWS, with the credentials and in the region that it finds. Clones share both.
#[derive(Clone)]
pub struct Api {
    inner: Arc<Inner>,
}

struct Inner {
    around: Surroundings,
    purse: Purse,
    region: OnceCell<String>,
    given_region: Option<String>,
    given_ec2: Option<String>,
}

impl Api {
    /// With the arguments of an entry of `join` (`region`, `access_key_id`, `secret_access_key`,
    /// `session_token`, and `endpoint` for EC2); what is not among them comes from the environment,
    /// the shared files and the metadata service, as with AWS's own programs. Asks nobody yet.
    pub fn new(args: &BTreeMap<String, String>) -> Result<Self, ProviderError> {
        Self::in_surroundings(args, Surroundings::new(Variables::of_the_process()))
    }

    pub(super) fn in_surroundings(
        args: &BTreeMap<String, String>,
        around: Surroundings,
    ) -> Result<Self, ProviderError> {
        let arg = |key: &str| args.get(key).map(String::as_str);
        let wrong = |key, expected: &str| ProviderError::argument(KIND, key, expected);
        let given = match (arg("access_key_id"), arg("secret_access_key")) {
            (Some(id), Some(secret)) => Some(Credentials::new(id, secret, arg("session_token"))),
            (None, None) if arg("session_token").is_none() => None,
            (None, _) => return Err(wrong("access_key_id", "given with secret_access_key")),
            (_, None) => return Err(wrong("secret_access_key", "given with access_key_id")),
        };
        let given_region = match arg("region") {
            Some(text) if !region::is_one(text) => return Err(wrong("region", region::EXPECTED)),
            text => text.map(str::to_owned),
        };
        let given_ec2 = match arg("endpoint") {
            Some(text) => {
                let read = endpoint::read(text);
                Some(read.ok_or_else(|| wrong("endpoint", endpoint::EXPECTED))?)
            }
            None => None,
        };
        let inner = Inner {
            around,
            purse: Purse::new(given),
            region: OnceCell::new(),
            given_region,
            given_ec2,
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// The metadata service beside it.
    #[must_use]
    pub fn imds(&self) -> &super::Imds {
        &self.inner.around.imds
    }

    /// The region that is asked. Found once.
    pub async fn region(&self) -> Result<&str, ProviderError> {
        let inner = &self.inner;
        let find = || region::find(inner.given_region.as_deref(), &inner.around);
        inner.region.get_or_try_init(find).await.map(String::as_str)
    }

    /// Asks with a form; the answer is XML.
    pub(super) async fn query(
        &self,
        call: Call,
        parameters: &[(&str, &str)],
    ) -> Result<String, ProviderError> {
        let request = Request::post("/").header(CONTENT_TYPE, FORM);
        let answer = self.send(call, request, form(call, parameters)).await?;
        text(call, answer)
    }

    /// Asks with JSON.
    pub(super) async fn json(&self, call: Call, body: &Value) -> Result<Value, ProviderError> {
        let request = Request::post("/")
            .header(CONTENT_TYPE, JSON)
            .header("x-amz-target", format!("{}.{}", call.target(), call.action));
        let answer = self.send(call, request, body.to_string()).await?;
        // What the parser says might quote the secret.
        serde_json::from_slice(answer.body()).map_err(|_| ProviderError::Unreadable {
            call: call.action,
            why: "it is no JSON".to_owned(),
        })
    }

    async fn send(
        &self,
        call: Call,
        request: Builder,
        body: String,
    ) -> Result<Response<Bytes>, ProviderError> {
        let inner = &self.inner;
        let around = &inner.around;
        let region = self.region().await?;
        let given = inner.given_ec2.as_deref();
        let given = given.filter(|_| call.service == Service::Ec2);
        let place = Place::of(call, region, given, &around.variables)?;
        let credentials = inner.purse.take(call.action, region, around).await?;
        let scope = Scope {
            region,
            service: call.service.name(),
            at: clock::wall(),
        };
        let mut request = place.request(request, body)?;
        sign(&mut request, &credentials, &scope).map_err(|_| ProviderError::Credentials {
            call: call.action,
            tried: "those that were found have characters that can't be sent".to_owned(),
        })?;
        let answer = place.send(request, &around.web).await?;
        if answer.status().is_success() {
            return Ok(answer);
        }
        let body = String::from_utf8_lossy(answer.body());
        let said = Said::read(&credentials.redact(&body));
        if said.is_stale() {
            inner.purse.forget().await;
        }
        Err(said.error(call, &answer))
    }
}
