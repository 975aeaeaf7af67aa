//! Where a service answers.

use hyper::Uri;

use super::surroundings::Variables;

/// What an endpoint looks like.
pub(super) const EXPECTED: &str = "http://HOST[:PORT] or https://HOST[:PORT]";

/// A service, by the names that AWS has for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Service {
    AutoScaling,
    Ec2,
    SecretsManager,
    Ssm,
    Sts,
}

impl Service {
    /// In host names and signatures.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::AutoScaling => "autoscaling",
            Self::Ec2 => "ec2",
            Self::SecretsManager => "secretsmanager",
            Self::Ssm => "ssm",
            Self::Sts => "sts",
        }
    }

    const fn variable(self) -> &'static str {
        match self {
            Self::AutoScaling => "AWS_ENDPOINT_URL_AUTO_SCALING",
            Self::Ec2 => "AWS_ENDPOINT_URL_EC2",
            Self::SecretsManager => "AWS_ENDPOINT_URL_SECRETS_MANAGER",
            Self::Ssm => "AWS_ENDPOINT_URL_SSM",
            Self::Sts => "AWS_ENDPOINT_URL_STS",
        }
    }
}

/// Scheme, host and port, without a slash behind them. `None`: that is none.
pub(super) fn read(text: &str) -> Option<String> {
    let uri: Uri = text.parse().ok()?;
    let scheme = uri
        .scheme_str()
        .filter(|s| matches!(*s, "http" | "https"))?;
    let authority = uri.authority().filter(|a| !a.as_str().contains('@'))?;
    let bare = matches!(uri.path(), "" | "/") && uri.query().is_none();
    bare.then(|| format!("{scheme}://{authority}"))
}

/// The endpoint of the environment, if it has one: the service's own goes before the one for all.
/// The error is the variable whose value is none.
pub(super) fn of_the_environment(
    service: Service,
    variables: &Variables,
) -> Result<Option<String>, &'static str> {
    for name in [service.variable(), "AWS_ENDPOINT_URL"] {
        if let Some(text) = variables.get(name) {
            return read(&text).map(Some).ok_or(name);
        }
    }
    Ok(None)
}

/// AWS's own.
pub(super) fn public(service: Service, region: &str) -> String {
    let domain = match region.starts_with("cn-") {
        true => "amazonaws.com.cn",
        false => "amazonaws.com",
    };
    format!("https://{}.{region}.{domain}", service.name())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_a_host_and_no_more() {
        for (text, read_as) in [
            ("http://127.0.0.1:5555", Some("http://127.0.0.1:5555")),
            (
                "https://x.vpce.amazonaws.com/",
                Some("https://x.vpce.amazonaws.com"),
            ),
            ("http://[fd00::1]:80", Some("http://[fd00::1]:80")),
            ("http://x/path", None),
            ("http://x/?a", None),
            ("ftp://x", None),
            ("127.0.0.1:5555", None),
            ("http://user:s3cret@x", None),
            ("", None),
        ] {
            assert_eq!(read(text).as_deref(), read_as, "{text}");
        }
    }

    #[test]
    fn each_service_has_its_place() {
        let variables = Variables::these(&[
            ("AWS_ENDPOINT_URL", "http://all:1"),
            ("AWS_ENDPOINT_URL_SSM", "http://one:2"),
            ("AWS_ENDPOINT_URL_STS", "nonsense"),
        ]);
        let of = |service| of_the_environment(service, &variables);
        assert_eq!(of(Service::Ec2), Ok(Some("http://all:1".to_owned())));
        assert_eq!(of(Service::Ssm), Ok(Some("http://one:2".to_owned())));
        assert_eq!(of(Service::Sts), Err("AWS_ENDPOINT_URL_STS"));
        let none = Variables::these(&[]);
        assert_eq!(of_the_environment(Service::Ec2, &none), Ok(None));
        let at = |region| public(Service::Ec2, region);
        assert_eq!(at("eu-west-1"), "https://ec2.eu-west-1.amazonaws.com");
        assert_eq!(at("cn-north-1"), "https://ec2.cn-north-1.amazonaws.com.cn");
    }
}
