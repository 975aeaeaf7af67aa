//! The way to one vCenter.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hyper::{Request, Response, StatusCode};

use super::super::ProviderError;
use super::super::said::{retry_after, said};
use super::super::web::Web;
use super::trust::Trust;

/// A vCenter that is there takes the call within this.
const CONNECT: Duration = Duration::from_secs(3);

/// Sends to one vCenter, and tells trouble on the way.
pub(super) struct Line {
    web: Web,
    trust: Arc<Trust>,
    base: String,
}

impl Line {
    /// To the vCenter at `host`, which may have a port, waiting at most so long for an answer.
    pub(super) fn new(host: &str, trust: Trust, timeout: Duration) -> Self {
        let trust = Arc::new(trust);
        let web = Web::trusting(trust.config()).patient_for(CONNECT.min(timeout), timeout);
        Self {
            web,
            trust,
            base: format!("https://{host}"),
        }
    }

    /// The URI of this path there.
    pub(super) fn uri(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// Sends it; an answer of any status but those that ask for patience is an answer.
    pub(super) async fn send(
        &self,
        call: &'static str,
        request: Request<Bytes>,
    ) -> Result<Response<Bytes>, ProviderError> {
        let answer = self.web.send(request).await.map_err(|error| {
            let why = self.trust.take_refusal().unwrap_or(error.why);
            ProviderError::Unreachable {
                call,
                at: error.at,
                why,
            }
        })?;
        let status = answer.status();
        let busy = [
            StatusCode::TOO_MANY_REQUESTS,
            StatusCode::SERVICE_UNAVAILABLE,
        ];
        if busy.contains(&status) {
            return Err(ProviderError::Throttled {
                call,
                said: said(&format!(
                    "{status} {}",
                    String::from_utf8_lossy(answer.body())
                )),
                after: retry_after(answer.headers()),
            });
        }
        Ok(answer)
    }
}

/// The request, or which part of it can't be sent.
pub(super) fn request(
    call: &'static str,
    built: hyper::http::Result<Request<Bytes>>,
) -> Result<Request<Bytes>, ProviderError> {
    // Only what vCenter itself said before stands in a path or a header.
    built.map_err(|error| ProviderError::Unreadable {
        call,
        why: format!("it leads nowhere: {error}"),
    })
}
