//! The Resource Manager: lists, page by page.

use bytes::Bytes;
use hyper::{Method, Request, Response, StatusCode, Uri};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::super::ProviderError;
use super::super::ask;
use super::super::said::said;
use super::super::web::Web;
use super::identity::Identity;

/// Azure decides how long they are; some hundreds each.
const PAGES: usize = 500;

/// Asks it.
pub(super) struct Manager {
    base: String,
    identity: Identity,
    web: Web,
}

#[derive(Deserialize)]
struct Page<T> {
    value: Vec<T>,
    #[serde(rename = "nextLink")]
    next: Option<String>,
}

#[derive(Deserialize, Default)]
struct Failure {
    #[serde(default)]
    error: Complaint,
}

#[derive(Deserialize, Default)]
struct Complaint {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
}

impl Manager {
    /// At this address, as this identity.
    pub(super) fn new(base: &str, identity: Identity, web: Web) -> Self {
        Self {
            base: base.to_owned(),
            identity,
            web,
        }
    }

    /// The path and query of a link to this same place, which Azure may write with its port.
    fn path_of(&self, link: &str) -> Option<String> {
        let (link, base): (Uri, Uri) = (link.parse().ok()?, self.base.parse().ok()?);
        let secure = |uri: &Uri| uri.scheme_str() == Some("https");
        let port = |uri: &Uri| uri.port_u16().unwrap_or(if secure(uri) { 443 } else { 80 });
        let same = link.scheme() == base.scheme()
            && link.host()?.eq_ignore_ascii_case(base.host()?)
            && port(&link) == port(&base)
            && !link.authority()?.as_str().contains('@');
        same.then(|| link.path_and_query().map(ToString::to_string))?
    }

    /// Who asks.
    pub(super) fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The whole list at this path.
    pub(super) async fn list<T: DeserializeOwned>(
        &self,
        call: &'static str,
        path: String,
    ) -> Result<Vec<T>, ProviderError> {
        let unreadable = |why: String| ProviderError::Unreadable { call, why };
        let mut found = Vec::new();
        let mut uri = format!("{}{path}", self.base);
        for _ in 0..PAGES {
            let built = Request::builder()
                .method(Method::GET)
                .uri(&uri)
                .header("authorization", self.identity.authorization().await?)
                .body(Bytes::new());
            let answer = ask::send(&self.web, call, built).await?;
            if answer.status() != StatusCode::OK {
                if answer.status() == StatusCode::UNAUTHORIZED {
                    self.identity.forget().await;
                }
                return Err(refused(call, &answer));
            }
            let page: Page<T> = ask::json(call, &answer)?;
            found.extend(page.value);
            match page.next.filter(|next| !next.is_empty()) {
                None => return Ok(found),
                // The token is for nobody else.
                Some(next) => {
                    let path = self.path_of(&next);
                    let path = path
                        .ok_or_else(|| unreadable("the next page is at another host".to_owned()))?;
                    uri = format!("{}{path}", self.base);
                }
            }
        }
        Err(unreadable(format!("more than {PAGES} pages")))
    }
}

fn refused(call: &'static str, answer: &Response<Bytes>) -> ProviderError {
    let failure: Failure = serde_json::from_slice(answer.body()).unwrap_or_default();
    let hint = match answer.status() {
        StatusCode::FORBIDDEN => Some(
            "the identity needs to read virtual machines and network interfaces (the role Reader)",
        ),
        StatusCode::NOT_FOUND => Some("check subscription_id, resource_group and vm_scale_set"),
        _ => None,
    };
    let words = format!(
        "{} {} {}",
        answer.status(),
        failure.error.code,
        failure.error.message
    );
    ProviderError::Refused {
        call,
        said: said(&words),
        hint,
    }
}
