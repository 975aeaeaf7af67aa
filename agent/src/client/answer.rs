//! What came back.

use bytes::Bytes;
use serde::de::DeserializeOwned;

/// An HTTP answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// `X-Consul-Index`, if there is one.
    pub index: Option<u64>,
    /// The body.
    pub body: Bytes,
    /// Who answered.
    pub from: String,
}

impl Answer {
    /// Whether the status says that it was done.
    #[must_use]
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The body as text, without white space around it.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).trim().to_owned()
    }

    /// The body, read as JSON.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_slice(&self.body)
    }
}
