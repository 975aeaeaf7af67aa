//! What AWS says instead of an answer, and what to do about it.

use bytes::Bytes;
use hyper::{Response, StatusCode};
use roxmltree::Document;
use serde_json::Value;

use super::calls::Call;
use super::xml;
use crate::discover::ProviderError;
use crate::discover::said::{retry_after, said};

const EXPIRED: &str = "the credentials have expired, or this machine's clock is wrong: whoever gave them gives new ones, `timedatectl` shows the clock";
const CLOCK: &str = "this machine's clock is wrong: `timedatectl` shows it";
const WRONG_KEY: &str = "AWS does not know this access key: it was deleted, or belongs to another partition (China, GovCloud) than the region";
const WRONG_SECRET: &str =
    "the secret access key does not belong to the access key, or the clock is wrong";
const NOT_VALID: &str =
    "the access key is wrong, the account has not enabled this region, or the clock is wrong";
const NOT_ENABLED: &str = "the account has not enabled this region: is it the right one?";
const NO_SUCH_SECRET: &str = "nothing has that name in this account and region";

/// A refusal's code and message; either may be empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Said {
    code: String,
    message: String,
}

/// Codes with which AWS asks to be asked less often.
const SLOWER: [&str; 9] = [
    "EC2ThrottledException",
    "RequestLimitExceeded",
    "RequestThrottled",
    "ServiceUnavailable",
    "SlowDown",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
    "Unavailable",
];

/// Codes after which other credentials may be there.
const STALE: [&str; 7] = [
    "AuthFailure",
    "ExpiredToken",
    "ExpiredTokenException",
    "InvalidClientTokenId",
    "RequestExpired",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
];

impl Said {
    /// From an answer's body, whichever of the three shapes it has.
    pub(super) fn read(body: &str) -> Self {
        let read = from_json(body).or_else(|| from_xml(body));
        read.unwrap_or_default()
    }

    /// Whether the credentials should be looked for again.
    pub(super) fn is_stale(&self) -> bool {
        STALE.contains(&self.code.as_str())
    }

    /// As an error.
    pub(super) fn error(&self, call: Call, answer: &Response<Bytes>) -> ProviderError {
        let status = answer.status();
        let said = match (self.code.as_str(), self.message.as_str()) {
            ("", _) => status.to_string(),
            (code, "") => code.to_owned(),
            (code, message) => format!("{code}: {message}"),
        };
        let busy = matches!(
            status,
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE
        );
        if busy || SLOWER.contains(&self.code.as_str()) {
            return ProviderError::Throttled {
                call: call.action,
                said,
                after: retry_after(answer.headers()),
            };
        }
        ProviderError::Refused {
            call: call.action,
            said,
            hint: self.hint(call),
        }
    }

    fn hint(&self, call: Call) -> Option<&'static str> {
        let late = self.message.contains("Signature expired") || self.message.contains("not yet");
        Some(match self.code.as_str() {
            "ExpiredToken" | "ExpiredTokenException" | "RequestExpired" => EXPIRED,
            "RequestTimeTooSkewed" => CLOCK,
            "SignatureDoesNotMatch" | "InvalidSignatureException" if late => CLOCK,
            "SignatureDoesNotMatch" | "InvalidSignatureException" => WRONG_SECRET,
            "InvalidClientTokenId" | "UnrecognizedClientException" => WRONG_KEY,
            "AuthFailure" => NOT_VALID,
            "OptInRequired" => NOT_ENABLED,
            "UnauthorizedOperation" | "AccessDenied" | "AccessDeniedException" => call.needs,
            "ParameterNotFound" | "ResourceNotFoundException" => NO_SUCH_SECRET,
            _ => return None,
        })
    }
}

/// `{"__type": "com.amazonaws.x#Code", "message": "…"}`.
fn from_json(text: &str) -> Option<Said> {
    let value: Value = serde_json::from_str(text).ok()?;
    let word = |key: &str| value.get(key).and_then(Value::as_str);
    let code = word("__type")?;
    let message = word("message").or_else(|| word("Message"));
    Some(Said {
        code: tame(code.rsplit('#').next().unwrap_or(code)),
        message: tame(message.unwrap_or_default()),
    })
}

/// `<Error><Code>…</Code><Message>…</Message></Error>`, however deep.
fn from_xml(text: &str) -> Option<Said> {
    let document = Document::parse(text).ok()?;
    let error = xml::anywhere(document.root(), "Error")?;
    Some(Said {
        code: tame(xml::text(error, "Code")?),
        message: tame(xml::text(error, "Message").unwrap_or_default()),
    })
}

/// One line, of a length that people read. What AWS puts behind the first line of a complaint about
/// a signature repeats the request's headers, session token included.
fn tame(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    let line = line.split("Encoded authorization failure").next();
    said(line.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::calls::{DESCRIBE_INSTANCES, GET_PARAMETER};
    use super::*;

    fn said(call: Call, status: u16, body: &str) -> String {
        let answer = Response::builder().status(status);
        let answer = answer
            .body(Bytes::copy_from_slice(body.as_bytes()))
            .unwrap();
        Said::read(body).error(call, &answer).to_string()
    }

    fn ec2(code: &str, message: &str) -> String {
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Response><Errors><Error><Code>{code}</Code><Message>{message}</Message></Error></Errors><RequestID>ea966190-f9aa-478e-9ede-example</RequestID></Response>"
        )
    }

    #[test]
    fn each_refusal_says_what_to_do() {
        let cases = [
            ("RequestExpired", "Request has expired.", "timedatectl"),
            (
                "ExpiredToken",
                "The security token included in the request is expired",
                "whoever gave them",
            ),
            (
                "AuthFailure",
                "AWS was not able to validate the provided access credentials",
                "has not enabled this region",
            ),
            (
                "UnauthorizedOperation",
                "You are not authorized to perform this operation. Encoded authorization failure message: aaaa",
                "ec2:DescribeInstances",
            ),
            (
                "InvalidClientTokenId",
                "The security token included in the request is invalid.",
                "does not know this access key",
            ),
            (
                "SignatureDoesNotMatch",
                "Signature expired: 20260101T000000Z is now earlier than 20260102T000000Z",
                "clock is wrong",
            ),
            ("OptInRequired", "You are not subscribed", "the right one?"),
        ];
        for (code, message, hint) in cases {
            let said = said(DESCRIBE_INSTANCES, 403, &ec2(code, message));
            assert!(said.starts_with("DescribeInstances: "), "{said}");
            assert!(said.contains(code) && said.contains(hint), "{said}");
            assert!(!said.contains("aaaa") && !said.contains('\n'), "{said}");
        }
    }

    #[test]
    fn throttling_is_no_refusal() {
        let body = ec2("RequestLimitExceeded", "Request limit exceeded.");
        for (status, body) in [
            (503, body.as_str()),
            (400, &body),
            (429, ""),
            (503, "<html>"),
        ] {
            let answer = Response::builder()
                .status(status)
                .header("retry-after", "7");
            let answer = answer
                .body(Bytes::copy_from_slice(body.as_bytes()))
                .unwrap();
            let error = Said::read(body).error(DESCRIBE_INSTANCES, &answer);
            let after = Some(Duration::from_secs(7));
            assert!(
                matches!(&error, ProviderError::Throttled { after: a, .. } if *a == after),
                "{error}"
            );
        }
    }

    #[test]
    fn the_other_shapes_are_read_too() {
        let body = r#"{"__type":"com.amazon.coral.service#AccessDeniedException","Message":"User: arn:aws:sts::1:assumed-role/x is not authorized"}"#;
        let text = said(GET_PARAMETER, 400, body);
        assert!(text.contains("AccessDeniedException: User"), "{text}");
        assert!(text.contains("kms:Decrypt"), "{text}");
        let body = "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>no</Message></Error></ErrorResponse>";
        assert!(said(GET_PARAMETER, 403, body).contains("AccessDenied: no"));
        assert_eq!(
            said(DESCRIBE_INSTANCES, 404, "<html><p>unclosed"),
            "DescribeInstances: 404 Not Found"
        );
    }

    #[test]
    fn a_repeated_request_is_cut_off() {
        let message = "The request signature we calculated does not match.\n\nThe Canonical String for this request should have been\n'POST\nx-amz-security-token:t0ken'";
        let text = said(
            DESCRIBE_INSTANCES,
            403,
            &ec2("SignatureDoesNotMatch", message),
        );
        assert!(!text.contains("t0ken"), "{text}");
        assert!(text.contains("does not belong to the access key"), "{text}");
    }
}
