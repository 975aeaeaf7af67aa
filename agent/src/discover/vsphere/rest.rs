//! vCenter's REST API, of which only the tags are asked: nothing else knows them. The paths under
//! `/rest` are those that vCenter 6.7 to 8 have.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::sync::Mutex;

use super::super::said::said;
use super::super::{ProviderError, ask};
use super::line::Line;
use super::login::Login;

const LOGIN: &str = "logging in to vCenter's REST API";
const SESSION: &str = "/rest/com/vmware/cis/session";
const SESSION_ID: &str = "vmware-api-session-id";

/// Asks, with one session that is kept.
pub(super) struct Rest {
    line: Arc<Line>,
    login: Arc<Login>,
    session: Mutex<Option<HeaderValue>>,
}

/// Every answer of `/rest` is wrapped so; vcsim leaves an empty list out.
#[derive(Deserialize)]
struct Wrapped<T> {
    value: Option<T>,
}

/// `com.vmware.vapi.std.errors.*`.
#[derive(Deserialize, Default)]
struct Complaint {
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    value: Messages,
}

#[derive(Deserialize, Default)]
struct Messages {
    #[serde(default)]
    messages: Vec<Message>,
}

#[derive(Deserialize)]
struct Message {
    #[serde(default)]
    default_message: String,
}

impl Rest {
    /// Asks on this line, as this login.
    pub(super) fn new(line: Arc<Line>, login: Arc<Login>) -> Self {
        Self {
            line,
            login,
            session: Mutex::new(None),
        }
    }

    /// Reads what is at a path; `None` if nothing is there.
    pub(super) async fn get<T: DeserializeOwned + Default>(
        &self,
        call: &'static str,
        path: &str,
    ) -> Result<Option<T>, ProviderError> {
        self.ask(call, Method::GET, path).await
    }

    /// Asks a question that this API takes as a `POST`; `None` if there is nothing to ask about.
    pub(super) async fn post<T: DeserializeOwned + Default>(
        &self,
        call: &'static str,
        path: &str,
    ) -> Result<Option<T>, ProviderError> {
        self.ask(call, Method::POST, path).await
    }

    async fn ask<T: DeserializeOwned + Default>(
        &self,
        call: &'static str,
        method: Method,
        path: &str,
    ) -> Result<Option<T>, ProviderError> {
        let mut session = self.session(None).await?;
        let mut answer = self.send(call, &method, path, &session).await?;
        if answer.status() == StatusCode::UNAUTHORIZED {
            // It has expired, or vCenter was restarted.
            session = self.session(Some(&session)).await?;
            answer = self.send(call, &method, path, &session).await?;
        }
        match answer.status() {
            StatusCode::OK => read(call, &answer).map(Some),
            StatusCode::NOT_FOUND => Ok(None),
            _ => Err(refused(call, &answer)),
        }
    }

    async fn send(
        &self,
        call: &'static str,
        method: &Method,
        path: &str,
        session: &HeaderValue,
    ) -> Result<Response<Bytes>, ProviderError> {
        let body: &'static [u8] = if method == Method::POST { b"{}" } else { b"" };
        let built = Request::builder()
            .method(method.clone())
            .uri(self.line.uri(path))
            .header(SESSION_ID, session)
            .header(CONTENT_TYPE, "application/json")
            .body(Bytes::from_static(body));
        self.line.send(call, built).await
    }

    /// The session that is kept; a new one if there is none, or if it is the one that is `over`.
    async fn session(&self, over: Option<&HeaderValue>) -> Result<HeaderValue, ProviderError> {
        let mut kept = self.session.lock().await;
        if let Some(session) = kept.as_ref().filter(|session| Some(*session) != over) {
            return Ok(session.clone());
        }
        *kept = None;
        let session = self.log_in().await?;
        *kept = Some(session.clone());
        Ok(session)
    }

    async fn log_in(&self) -> Result<HeaderValue, ProviderError> {
        let pair = self.login.pair(LOGIN).await?;
        let basic = STANDARD.encode(format!("{}:{}", pair.user.expose(), pair.password.expose()));
        let built = Request::builder()
            .method(Method::POST)
            .uri(self.line.uri(SESSION))
            .header(AUTHORIZATION, format!("Basic {basic}"))
            .body(Bytes::new());
        let answer = self.line.send(LOGIN, built).await?;
        match answer.status() {
            StatusCode::OK | StatusCode::CREATED => {}
            StatusCode::UNAUTHORIZED => {
                return Err(self.login.refuse(pair, refused(LOGIN, &answer)));
            }
            _ => return Err(refused(LOGIN, &answer)),
        }
        let id: String = read(LOGIN, &answer)?;
        let mut session = HeaderValue::from_str(&id).map_err(|_| ProviderError::Unreadable {
            call: LOGIN,
            why: "no session's id".to_owned(),
        })?;
        session.set_sensitive(true);
        Ok(session)
    }
}

fn read<T: DeserializeOwned + Default>(
    call: &'static str,
    answer: &Response<Bytes>,
) -> Result<T, ProviderError> {
    let read: Wrapped<T> = ask::json(call, answer)?;
    Ok(read.value.unwrap_or_default())
}

fn refused(call: &'static str, answer: &Response<Bytes>) -> ProviderError {
    let complaint: Complaint = serde_json::from_slice(answer.body()).unwrap_or_default();
    let kind = complaint.kind.rsplit('.').next().unwrap_or_default();
    let messages = complaint.value.messages.iter();
    let messages: Vec<&str> = messages.map(|m| m.default_message.as_str()).collect();
    let hint = match answer.status() {
        StatusCode::UNAUTHORIZED if call == LOGIN => {
            Some("check user and password: they are not tried again for five minutes")
        }
        StatusCode::NOT_FOUND => Some("check host: it must be a vCenter"),
        StatusCode::UNAUTHORIZED => Some("a session that was just opened is not taken"),
        StatusCode::FORBIDDEN => Some("the account needs to read tags and virtual machines"),
        _ => None,
    };
    let words = format!("{} {kind} {}", answer.status(), messages.join(" "));
    ProviderError::Refused {
        call,
        said: said(&words),
        hint,
    }
}
