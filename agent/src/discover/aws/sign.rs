//! Signature Version 4, for the one shape of request that is sent here: path `/` and no query.
//!
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::SystemTime;

use bytes::Bytes;
use hyper::Request;
use hyper::header::{AUTHORIZATION, HeaderValue, InvalidHeaderValue};
use ring::{digest, hmac};
use time::OffsetDateTime;

use super::credentials::Credentials;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// What a signature is good for.
pub(super) struct Scope<'a> {
    /// `eu-central-1`.
    pub(super) region: &'a str,
    /// The service's signing name: `ec2`.
    pub(super) service: &'a str,
    /// Now. It may be five minutes wrong.
    pub(super) at: SystemTime,
}

/// Adds the headers that make the request the caller's. All headers that it has are signed.
pub(super) fn sign(
    request: &mut Request<Bytes>,
    credentials: &Credentials,
    scope: &Scope<'_>,
) -> Result<(), InvalidHeaderValue> {
    let at = OffsetDateTime::from(scope.at);
    let day = format!("{:04}{:02}{:02}", at.year(), u8::from(at.month()), at.day());
    let stamp = format!(
        "{day}T{:02}{:02}{:02}Z",
        at.hour(),
        at.minute(),
        at.second()
    );
    let headers = request.headers_mut();
    headers.insert("x-amz-date", stamp.parse()?);
    if let Some(token) = credentials.session_token() {
        headers.insert("x-amz-security-token", hidden(token.expose())?);
    }
    let (names, canonical) = canonical(request);
    let scope_text = format!("{day}/{}/{}/aws4_request", scope.region, scope.service);
    let hashed = hex(digest::digest(&digest::SHA256, canonical.as_bytes()).as_ref());
    let to_sign = format!("{ALGORITHM}\n{stamp}\n{scope_text}\n{hashed}");
    let secret = format!("AWS4{}", credentials.secret_access_key().expose());
    let steps = [&day, scope.region, scope.service, "aws4_request", &to_sign];
    let signature = steps.iter().fold(secret.into_bytes(), |key, step| {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
        hmac::sign(&key, step.as_bytes()).as_ref().to_vec()
    });
    let value = format!(
        "{ALGORITHM} Credential={}/{scope_text}, SignedHeaders={names}, Signature={}",
        credentials.access_key_id(),
        hex(&signature)
    );
    request.headers_mut().insert(AUTHORIZATION, hidden(&value)?);
    Ok(())
}

/// The names of the signed headers, and the request as both sides hash it.
fn canonical(request: &Request<Bytes>) -> (String, String) {
    let headers: BTreeMap<&str, &[u8]> = request
        .headers()
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_bytes().trim_ascii()))
        .collect();
    let names = headers.keys().copied().collect::<Vec<_>>().join(";");
    let lines = headers.iter().fold(String::new(), |mut lines, header| {
        let (name, value) = header;
        // Writing to a string can't fail.
        let _ = writeln!(lines, "{name}:{}", String::from_utf8_lossy(value));
        lines
    });
    let body = hex(digest::digest(&digest::SHA256, request.body()).as_ref());
    let method = request.method();
    let canonical = format!("{method}\n/\n\n{lines}\n{names}\n{body}");
    (names, canonical)
}

/// A header that no `Debug` output shows.
pub(super) fn hidden(text: &str) -> Result<HeaderValue, InvalidHeaderValue> {
    let mut value = HeaderValue::from_str(text)?;
    value.set_sensitive(true);
    Ok(value)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// 2015-08-30T12:36:00Z, as all of the published examples have it.
    const AT: Duration = Duration::from_secs(1_440_938_160);

    fn signed(request: Request<Bytes>, token: Option<&str>) -> (String, String) {
        let mut request = request;
        let secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
        let credentials = Credentials::new("AKIDEXAMPLE", secret, token);
        let scope = Scope {
            region: "us-east-1",
            service: "service",
            at: SystemTime::UNIX_EPOCH + AT,
        };
        sign(&mut request, &credentials, &scope).unwrap();
        let value = request.headers()[AUTHORIZATION].to_str().unwrap();
        let (rest, signature) = value.rsplit_once("Signature=").unwrap();
        let (_, names) = rest.split_once("SignedHeaders=").unwrap();
        let names = names.trim_end_matches(", ").to_owned();
        (names, signature.to_owned())
    }

    fn request(method: &str) -> hyper::http::request::Builder {
        Request::builder()
            .method(method)
            .uri("https://example.amazonaws.com/")
            .header("host", "example.amazonaws.com")
    }

    /// From the test suite that AWS publishes with its SDKs: `post-vanilla`,
    /// `get-vanilla-with-session-token`, `post-sts-header-before` and
    /// `post-x-www-form-urlencoded-parameters`.
    #[test]
    fn published_examples_come_out_as_published() {
        let (names, signature) = signed(request("POST").body(Bytes::new()).unwrap(), None);
        assert_eq!(names, "host;x-amz-date");
        assert_eq!(
            signature,
            "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"
        );
        let token = "6e86291e8372ff2a2260956d9b8aae1d763fbf315fa00fa31553b73ebf194267";
        let (names, signature) = signed(request("GET").body(Bytes::new()).unwrap(), Some(token));
        assert_eq!(names, "host;x-amz-date;x-amz-security-token");
        assert_eq!(
            signature,
            "07ec1639c89043aa0e3e2de82b96708f198cceab042d4a97044c66dd9f74e7f8"
        );
        let token = "AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmxfpSPfIeoIYRqTflfKD8YUuwthAx7mSEI/qkPpKPi/kMcGdQrmGdeehM4IC1NtBmUpp2wUE8phUZampKsburEDy0KPkyQDYwT7WZ0wq5VSXDvp75YU9HFvlRd8Tx6q6fE8YQcHNVXAkiY9q6d+xo0rKwT38xVqr7ZD0u0iPPkUL64lIZbqBAz+scqKmlzm8FDrypNC9Yjc8fPOLn9FX9KSYvKTr4rvx3iSIlTJabIQwj2ICCR/oLxBA==";
        let (_, signature) = signed(request("POST").body(Bytes::new()).unwrap(), Some(token));
        assert_eq!(
            signature,
            "85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead"
        );
        let form = request("POST")
            .header("content-length", "13")
            .header(
                "content-type",
                "application/x-www-form-urlencoded; charset=utf-8",
            )
            .header(
                "x-amz-content-sha256",
                "9095672bbd1f56dfc5b65f3e153adc8731a4a654192329106275f4c7b24d0b6e",
            )
            .body(Bytes::from_static(b"Param1=value1"))
            .unwrap();
        let (_, signature) = signed(form, None);
        assert_eq!(
            signature,
            "328d1b9eaadca9f5818ef05e8392801e091653bafec24fcab71e7344e7f51422"
        );
    }

    #[test]
    fn what_was_signed_shows_no_secret() {
        let mut request = request("POST").body(Bytes::new()).unwrap();
        let credentials = Credentials::new("AKIDEXAMPLE", "s3cret", Some("t0ken"));
        let scope = Scope {
            region: "us-east-1",
            service: "ec2",
            at: SystemTime::UNIX_EPOCH + AT,
        };
        sign(&mut request, &credentials, &scope).unwrap();
        let shown = format!("{request:?} {credentials:?}");
        for hidden in ["s3cret", "t0ken", "AKIDEXAMPLE", "Signature="] {
            assert!(!shown.contains(hidden), "{shown}");
        }
    }
}
