//! One request to one service, and its answer.

use bytes::Bytes;
use hyper::http::request::Builder;
use hyper::{Request, Response, Uri};

use super::KIND;
use super::calls::Call;
use super::endpoint;
use super::surroundings::Variables;
use crate::discover::ProviderError;
use crate::discover::ask::escaped;
use crate::discover::web::Web;

/// What a form's content is called.
pub(super) const FORM: &str = "application/x-www-form-urlencoded; charset=utf-8";

/// Where a call goes.
pub(super) struct Place<'a> {
    call: Call,
    base: String,
    /// Set where the host's name was made from it.
    region: Option<&'a str>,
}

impl<'a> Place<'a> {
    /// `given` goes before the environment, and that before AWS's own.
    pub(super) fn of(
        call: Call,
        region: &'a str,
        given: Option<&str>,
        variables: &Variables,
    ) -> Result<Self, ProviderError> {
        let named = match given {
            Some(given) => Ok(Some(given.to_owned())),
            None => endpoint::of_the_environment(call.service, variables),
        };
        let wrong = |key| ProviderError::argument(KIND, key, endpoint::EXPECTED);
        let named = named.map_err(wrong)?;
        Ok(match named {
            Some(base) => Self {
                call,
                base,
                region: None,
            },
            None => Self {
                call,
                base: endpoint::public(call.service, region),
                region: Some(region),
            },
        })
    }

    /// The request there, with its host among the headers, so that it can be signed.
    pub(super) fn request(
        &self,
        request: Builder,
        body: String,
    ) -> Result<Request<Bytes>, ProviderError> {
        let uri: Uri = format!("{}/", self.base)
            .parse()
            .map_err(|_| self.unsendable())?;
        let host = uri.authority().map_or("", |authority| authority.as_str());
        let request = request.header("host", host).uri(uri.clone());
        request.body(body.into()).map_err(|_| self.unsendable())
    }

    pub(super) async fn send(
        &self,
        request: Request<Bytes>,
        web: &Web,
    ) -> Result<Response<Bytes>, ProviderError> {
        let answer = web.send(request).await;
        answer.map_err(|error| ProviderError::Unreachable {
            call: self.call.action,
            at: error.at,
            why: match self.region {
                Some(region) => format!(
                    "{} (is {region} the right region, and is there a way to it: a NAT gateway, or a VPC endpoint for {}?)",
                    error.why,
                    self.call.service.name()
                ),
                None => error.why,
            },
        })
    }

    fn unsendable(&self) -> ProviderError {
        ProviderError::Unreadable {
            call: self.call.action,
            why: "its question can't be sent".to_owned(),
        }
    }
}

/// The answer's body.
pub(super) fn text(call: Call, answer: Response<Bytes>) -> Result<String, ProviderError> {
    String::from_utf8(answer.into_body().into()).map_err(|_| ProviderError::Unreadable {
        call: call.action,
        why: "it is not UTF-8".to_owned(),
    })
}

/// Action, version and parameters as a form.
pub(super) fn form(call: Call, parameters: &[(&str, &str)]) -> String {
    let head = [("Action", call.action), ("Version", call.version())];
    let pairs = head.iter().chain(parameters);
    let pairs = pairs.map(|(name, value)| format!("{}={}", escaped(name), escaped(value)));
    pairs.collect::<Vec<_>>().join("&")
}

#[cfg(test)]
mod tests {
    use super::super::calls::DESCRIBE_INSTANCES;
    use super::*;

    #[test]
    fn a_form_holds_any_tag() {
        let text = form(
            DESCRIBE_INSTANCES,
            &[("Filter.1.Name", "tag:a b"), ("V", "ü&=")],
        );
        assert_eq!(
            text,
            "Action=DescribeInstances&Version=2016-11-15&Filter.1.Name=tag%3Aa%20b&V=%C3%BC%26%3D"
        );
    }
}
