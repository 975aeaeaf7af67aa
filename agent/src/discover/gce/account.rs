//! A service account's key, and the token that is had for it (RFC 7523 section 2.1).

use std::path::Path;
use std::time::UNIX_EPOCH;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hyper::{Method, Request};
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject as _;
use serde::Deserialize;

use super::super::ProviderError;
use super::super::ask;
use super::super::oauth::{Granted, form, granted};
use super::super::web::Web;
use crate::config::Secret;
use crate::task::clock;

const TOKEN: &str = "asking Google for the service account's token";
const SCOPE: &str = "https://www.googleapis.com/auth/compute.readonly";
const GRANT: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
/// In seconds; the most that Google takes.
const LIFETIME: u64 = 3600;

/// As Google's console writes it.
#[derive(Deserialize)]
pub(super) struct Account {
    client_email: String,
    private_key: String,
    #[serde(default)]
    private_key_id: String,
    #[serde(default = "token_service")]
    token_uri: String,
}

fn token_service() -> String {
    "https://oauth2.googleapis.com/token".to_owned()
}

impl Account {
    /// From its file.
    pub(super) fn read(path: &Path) -> Result<Self, ProviderError> {
        let bad = |why: String| ProviderError::Credentials {
            call: TOKEN,
            tried: format!("{}: {why}", path.display()),
        };
        let text = std::fs::read(path).map_err(|error| bad(error.to_string()))?;
        // serde's own words may quote the key.
        serde_json::from_slice(&text)
            .map_err(|_| bad("it is no service account's key in JSON".to_owned()))
    }

    /// A token for it.
    pub(super) async fn token(&self, web: &Web) -> Result<Granted, ProviderError> {
        let assertion = self.assertion().ok_or_else(|| ProviderError::Credentials {
            call: TOKEN,
            tried: format!("the private key of {} is no RSA key", self.client_email),
        })?;
        let body = form(&[
            ("grant_type", &Secret::new(GRANT)),
            ("assertion", &Secret::new(assertion)),
        ]);
        let built = Request::builder()
            .method(Method::POST)
            .uri(&self.token_uri)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(body);
        let answer = ask::send(web, TOKEN, built).await?;
        let hint = "is the key in credentials_file still valid, and this host's clock right?";
        granted(TOKEN, &answer, hint)
    }

    /// RFC 7515 section 3.1, signed as RFC 7518 section 3.3 says.
    fn assertion(&self) -> Option<String> {
        let now = clock::wall().duration_since(UNIX_EPOCH).ok()?.as_secs();
        let head = serde_json::json!({"alg": "RS256", "typ": "JWT", "kid": self.private_key_id});
        let claims = serde_json::json!({
            "iss": self.client_email,
            "scope": SCOPE,
            "aud": self.token_uri,
            "iat": now,
            "exp": now + LIFETIME,
        });
        let part = |value: &serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(&head), part(&claims));
        let key = PrivatePkcs8KeyDer::from_pem_slice(self.private_key.as_bytes()).ok()?;
        let key = RsaKeyPair::from_pkcs8(key.secret_pkcs8_der()).ok()?;
        let mut signature = vec![0; key.public().modulus_len()];
        let random = SystemRandom::new();
        key.sign(
            &RSA_PKCS1_SHA256,
            &random,
            signed.as_bytes(),
            &mut signature,
        )
        .ok()?;
        Some(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}
