//! The way to one vCenter.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hyper::{Request, Response};

use super::super::web::Web;
use super::super::{ProviderError, ask};
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
        built: hyper::http::Result<Request<Bytes>>,
    ) -> Result<Response<Bytes>, ProviderError> {
        ask::send(&self.web, call, built).await.map_err(|error| {
            match (error, self.trust.take_refusal()) {
                (ProviderError::Unreachable { call, at, .. }, Some(why)) => {
                    ProviderError::Unreachable { call, at, why }
                }
                (error, _) => error,
            }
        })
    }
}
