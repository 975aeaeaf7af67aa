//! vCenter's web services (`/sdk`): the only place that tells guest addresses of many machines in
//! one answer. Envelopes are written by hand; each call is a few elements.

use std::sync::Arc;

use bytes::Bytes;
use hyper::header::{CONTENT_TYPE, COOKIE, HeaderName, HeaderValue, SET_COOKIE};
use hyper::{Method, Request, Response, StatusCode};
use roxmltree::{Document, Node};
use tokio::sync::Mutex;

use super::super::ProviderError;
use super::super::said::said;
use super::line::Line;
use super::login::Login;

const LOGIN: &str = "logging in to vCenter";
const CONTENT: &str = "asking vCenter for its services";
/// The oldest version that is spoken to; newer ones answer in its words.
const ACTION: (HeaderName, HeaderValue) = (
    HeaderName::from_static("soapaction"),
    HeaderValue::from_static("\"urn:vim25/6.7\""),
);

/// The fault of a property for which one must be logged in.
const OVER: &str = ":type=\"NotAuthenticated\"";

/// Asks, with one session that is kept.
pub(super) struct Soap {
    line: Arc<Line>,
    login: Arc<Login>,
    session: Mutex<Option<Arc<Session>>>,
}

/// What was opened by logging in: the cookie, and the services' names there.
pub(super) struct Session {
    cookie: HeaderValue,
    /// `PropertyCollector`.
    pub(super) collector: String,
    /// `SearchIndex`.
    pub(super) index: String,
}

/// The body of a good answer.
pub(super) struct Reply(String);

/// Why there is none.
#[derive(Debug)]
pub(super) enum SoapError {
    /// vCenter's fault, in its own words.
    Fault {
        /// Which call.
        call: &'static str,
        /// Its type, such as `ManagedObjectNotFound`.
        kind: String,
        /// What it said.
        words: String,
    },
    /// All else.
    Other(ProviderError),
}

impl From<ProviderError> for SoapError {
    fn from(error: ProviderError) -> Self {
        Self::Other(error)
    }
}

impl From<SoapError> for ProviderError {
    fn from(error: SoapError) -> Self {
        let SoapError::Fault { call, kind, words } = error else {
            let SoapError::Other(error) = error else {
                unreachable!("the other variant");
            };
            return error;
        };
        let hint = match kind.as_str() {
            "InvalidLogin" => {
                Some("check user and password: they are not tried again for five minutes")
            }
            "NoPermission" => Some("the account needs to read tags and virtual machines"),
            _ => None,
        };
        Self::Refused {
            call,
            said: said(&format!("{kind}: {words}")),
            hint,
        }
    }
}

impl Soap {
    /// Asks on this line, as this login.
    pub(super) fn new(line: Arc<Line>, login: Arc<Login>) -> Self {
        Self {
            line,
            login,
            session: Mutex::new(None),
        }
    }

    /// Makes a call: `body` writes its element, knowing the session's services.
    pub(super) async fn call(
        &self,
        call: &'static str,
        body: impl Fn(&Session) -> String,
    ) -> Result<Reply, SoapError> {
        let session = self.session(None).await?;
        let first = self
            .send(call, body(&session), Some(&session.cookie))
            .await
            .map(|(_, reply)| reply);
        match first {
            Err(SoapError::Fault { kind, .. }) if kind == "NotAuthenticated" => {}
            answered => return answered,
        }
        // It has expired, or vCenter was restarted.
        let session = self.session(Some(&session)).await?;
        let (_, reply) = self
            .send(call, body(&session), Some(&session.cookie))
            .await?;
        Ok(reply)
    }

    /// The session that is kept; a new one if there is none, or if it is the one that is `over`.
    async fn session(&self, over: Option<&Arc<Session>>) -> Result<Arc<Session>, SoapError> {
        let mut kept = self.session.lock().await;
        let usable = |session: &&Arc<Session>| over.is_none_or(|over| !Arc::ptr_eq(session, over));
        if let Some(session) = kept.as_ref().filter(usable) {
            return Ok(Arc::clone(session));
        }
        *kept = None;
        let session = Arc::new(self.log_in().await?);
        *kept = Some(Arc::clone(&session));
        Ok(session)
    }

    async fn log_in(&self) -> Result<Session, SoapError> {
        let body = element(
            "RetrieveServiceContent",
            "ServiceInstance",
            "ServiceInstance",
            "",
        );
        let (_, content) = self.send(CONTENT, body, None).await?;
        let services = content.read(CONTENT, |answer| {
            let service = |name| {
                let found = answer.descendants().find(|n| n.tag_name().name() == name);
                found.and_then(|found| found.text()).map(str::to_owned)
            };
            let manager = service("sessionManager")?;
            Some((
                manager,
                service("propertyCollector")?,
                service("searchIndex")?,
            ))
        })?;
        let (manager, collector, index) = services.ok_or_else(|| ProviderError::Unreadable {
            call: CONTENT,
            why: "no services are named: it is no vCenter".to_owned(),
        })?;
        let pair = self.login.pair(LOGIN).await?;
        let arguments = format!(
            "<userName>{}</userName><password>{}</password>",
            escape(pair.user.expose()),
            escape(pair.password.expose())
        );
        let body = element("Login", "SessionManager", &manager, &arguments);
        let head = match self.send(LOGIN, body, None).await {
            Ok((head, _)) => head,
            Err(fault @ SoapError::Fault { .. }) => {
                let wrong =
                    matches!(&fault, SoapError::Fault { kind, .. } if kind == "InvalidLogin");
                let error = ProviderError::from(fault);
                return Err(if wrong {
                    self.login.refuse(pair, error).into()
                } else {
                    error.into()
                });
            }
            Err(error) => return Err(error),
        };
        let cookie = cookie(&head).ok_or_else(|| ProviderError::Unreadable {
            call: LOGIN,
            why: "no session's cookie came with it".to_owned(),
        })?;
        Ok(Session {
            cookie,
            collector,
            index,
        })
    }

    async fn send(
        &self,
        call: &'static str,
        body: String,
        cookie: Option<&HeaderValue>,
    ) -> Result<(Response<()>, Reply), SoapError> {
        let mut built = Request::builder()
            .method(Method::POST)
            .uri(self.line.uri("/sdk"))
            .header(CONTENT_TYPE, "text/xml; charset=utf-8")
            .header(ACTION.0, ACTION.1);
        if let Some(cookie) = cookie {
            built = built.header(COOKIE, cookie);
        }
        let built = built.body(Bytes::from(envelope(&body)));
        let answer = self.line.send(call, built).await?;
        let (head, body) = answer.into_parts();
        let reply = Reply(String::from_utf8_lossy(&body).into_owned());
        match head.status {
            // Properties that a session which is over may not see are only missing.
            StatusCode::OK if reply.0.contains(OVER) => Err(SoapError::Fault {
                call,
                kind: "NotAuthenticated".to_owned(),
                words: String::new(),
            }),
            StatusCode::OK => Ok((Response::from_parts(head, ()), reply)),
            StatusCode::INTERNAL_SERVER_ERROR => Err(reply.fault(call)),
            status => Err(ProviderError::Refused {
                call,
                said: status.to_string(),
                hint: status
                    .is_client_error()
                    .then_some("check host: it must be a vCenter"),
            }
            .into()),
        }
    }
}

impl Reply {
    /// Reads it; `found` is handed the whole document.
    pub(super) fn read<T>(
        &self,
        call: &'static str,
        found: impl FnOnce(Node<'_, '_>) -> T,
    ) -> Result<T, ProviderError> {
        let document = Document::parse(&self.0).map_err(|error| ProviderError::Unreadable {
            call,
            why: error.to_string(),
        })?;
        Ok(found(document.root()))
    }

    fn fault(&self, call: &'static str) -> SoapError {
        let fault = self.read(call, |answer| {
            let words = child_text(answer, "faultstring").unwrap_or_default();
            let detail = answer
                .descendants()
                .find(|n| n.tag_name().name() == "detail");
            let kind = detail.and_then(|detail| detail.first_element_child());
            let kind = kind.map(|kind| kind.tag_name().name());
            let kind = kind.map(|kind| kind.strip_suffix("Fault").unwrap_or(kind));
            kind.map(|kind| (kind.to_owned(), words))
        });
        match fault {
            Ok(Some((kind, words))) => SoapError::Fault { call, kind, words },
            Ok(None) => SoapError::Other(ProviderError::Unreadable {
                call,
                why: "a fault without a name".to_owned(),
            }),
            Err(error) => SoapError::Other(error),
        }
    }
}

/// The text of the first element of this name below `node`.
pub(super) fn child_text(node: Node<'_, '_>, name: &str) -> Option<String> {
    let found = node.descendants().find(|n| n.tag_name().name() == name)?;
    found.text().map(|text| text.trim().to_owned())
}

/// A call's element: `arguments` is XML.
pub(super) fn element(call: &str, kind: &str, this: &str, arguments: &str) -> String {
    format!(
        "<{call} xmlns=\"urn:vim25\"><_this type=\"{kind}\">{}</_this>{arguments}</{call}>",
        escape(this)
    )
}

/// A text between tags (XML 1.0 section 2.4).
pub(super) fn escape(text: &str) -> String {
    let text = text.replace('&', "&amp;");
    text.replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

fn envelope(body: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><soapenv:Envelope \
         xmlns:soapenv=\"http://schemas.xmlsoap.org/soap/envelope/\" \
         xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\">\
         <soapenv:Body>{body}</soapenv:Body></soapenv:Envelope>"
    )
}

fn cookie(head: &Response<()>) -> Option<HeaderValue> {
    let set = head.headers().get_all(SET_COOKIE).iter();
    let mut set = set.filter_map(|cookie| cookie.to_str().ok());
    let session = set.find(|cookie| cookie.starts_with("vmware_soap_session"))?;
    let mut value = HeaderValue::from_str(session.split(';').next()?).ok()?;
    value.set_sensitive(true);
    Some(value)
}
