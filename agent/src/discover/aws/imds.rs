//! The instance metadata service, version 2: what an instance may ask about itself.
//!
//! <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/configuring-instance-metadata-service.html>

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use hyper::{Method, Request, Response, StatusCode};
use tokio::sync::Mutex;

use super::KIND;
use super::endpoint;
use super::sign::hidden;
use super::surroundings::Variables;
use crate::config::Secret;
use crate::discover::ProviderError;
use crate::discover::web::Web;
use crate::task::clock;

/// It is on the instance's own host.
const CONNECT: Duration = Duration::from_secs(1);
const ANSWER: Duration = Duration::from_secs(2);
/// The longest that a token may live.
const TOKEN_LIVES: Duration = Duration::from_secs(6 * 60 * 60);
/// A token is not used in its last minute.
const EARLY: Duration = Duration::from_secs(60);

const CALL: &str = "IMDSv2";
const USUAL: &str = "http://169.254.169.254";
const USUAL_IPV6: &str = "http://[fd00:ec2::254]";
const NOT_THERE: &str = "is this an EC2 instance, with its metadata service enabled and within this program's hop limit?";

/// The way to the metadata service. Clones share its token.
#[derive(Clone)]
pub struct Imds {
    web: Web,
    base: Base,
    token: Arc<Mutex<Option<Token>>>,
}

#[derive(Clone)]
enum Base {
    At(String),
    Off,
    Wrong,
}

struct Token {
    text: Secret,
    until: Instant,
}

impl Imds {
    /// Where the environment says that it is: `AWS_EC2_METADATA_SERVICE_ENDPOINT`,
    /// `AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE`, `AWS_EC2_METADATA_DISABLED`.
    #[must_use]
    pub fn from_environment() -> Self {
        Self::new(&Variables::of_the_process(), Web::public())
    }

    pub(super) fn new(variables: &Variables, web: Web) -> Self {
        let is = |name: &str, value: &str| {
            let found = variables.get(name);
            found.is_some_and(|found| found.eq_ignore_ascii_case(value))
        };
        let base = match variables.get("AWS_EC2_METADATA_SERVICE_ENDPOINT") {
            _ if is("AWS_EC2_METADATA_DISABLED", "true") => Base::Off,
            Some(text) => endpoint::read(&text).map_or(Base::Wrong, Base::At),
            None if is("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "IPv6") => {
                Base::At(USUAL_IPV6.to_owned())
            }
            None => Base::At(USUAL.to_owned()),
        };
        Self {
            web: web.patient_for(CONNECT, ANSWER),
            base,
            token: Arc::default(),
        }
    }

    /// What stands under `latest/meta-data/`: `instance-id`, `spot/instance-action`. `None`: there
    /// is no such thing (404), or the environment says that the service is not to be asked.
    pub async fn get(&self, path: &str) -> Result<Option<String>, ProviderError> {
        let base = match &self.base {
            Base::At(base) => base,
            Base::Off => return Ok(None),
            Base::Wrong => {
                let key = "AWS_EC2_METADATA_SERVICE_ENDPOINT";
                return Err(ProviderError::argument(KIND, key, endpoint::EXPECTED));
            }
        };
        let uri = format!("{base}/latest/meta-data/{path}");
        let mut answer = self.ask(&uri, base).await?;
        if answer.status() == StatusCode::UNAUTHORIZED {
            // The token was another boot's, or the service's clock is ahead.
            *self.token.lock().await = None;
            answer = self.ask(&uri, base).await?;
        }
        match answer.status() {
            StatusCode::OK => String::from_utf8(answer.into_body().into())
                .map(Some)
                .map_err(|_| unreadable("it is not text")),
            StatusCode::NOT_FOUND => Ok(None),
            status => Err(refused(format!("{status} for {path}"))),
        }
    }

    async fn ask(&self, uri: &str, base: &str) -> Result<Response<Bytes>, ProviderError> {
        let token = self.token(base).await?;
        let value = hidden(token.expose()).map_err(|_| unreadable("the token is no header"))?;
        let request = Request::get(uri).header("x-aws-ec2-metadata-token", value);
        self.send(request).await
    }

    async fn token(&self, base: &str) -> Result<Secret, ProviderError> {
        let mut kept = self.token.lock().await;
        if let Some(token) = kept.as_ref().filter(|token| clock::now() < token.until) {
            return Ok(token.text.clone());
        }
        let lives = TOKEN_LIVES.as_secs().to_string();
        let asked_at = clock::now();
        let request = Request::builder()
            .method(Method::PUT)
            .uri(format!("{base}/latest/api/token"))
            .header("x-aws-ec2-metadata-token-ttl-seconds", lives);
        let answer = self.send(request).await?;
        if answer.status() != StatusCode::OK {
            return Err(refused(format!("{} for a token", answer.status())));
        }
        let text = std::str::from_utf8(answer.body())
            .unwrap_or_default()
            .trim();
        if text.is_empty() {
            return Err(unreadable("it sent no token"));
        }
        let token = Token {
            text: Secret::new(text),
            until: asked_at + TOKEN_LIVES.saturating_sub(EARLY),
        };
        Ok(kept.insert(token).text.clone())
    }

    async fn send(
        &self,
        request: hyper::http::request::Builder,
    ) -> Result<Response<Bytes>, ProviderError> {
        let request = request
            .body(Bytes::new())
            .map_err(|_| unreadable("that path can't be asked for"))?;
        let answer = self.web.send(request).await;
        answer.map_err(|error| ProviderError::Unreachable {
            call: CALL,
            at: error.at,
            why: format!("{} ({NOT_THERE})", error.why),
        })
    }
}

fn refused(said: String) -> ProviderError {
    ProviderError::Refused {
        call: CALL,
        said,
        hint: Some(NOT_THERE),
    }
}

fn unreadable(why: &str) -> ProviderError {
    ProviderError::Unreadable {
        call: CALL,
        why: why.to_owned(),
    }
}
