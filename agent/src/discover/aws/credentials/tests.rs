//! Where credentials come from, in which order, and for how long.

use std::time::{Duration, SystemTime};

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::super::double::{Double, around};
use super::super::surroundings::Surroundings;
use super::{Credentials, Purse};
use crate::discover::ProviderError;
use crate::task::clock;

async fn take(purse: &Purse, around: &Surroundings) -> Result<Credentials, ProviderError> {
    purse.take("DescribeInstances", "eu-west-1", around).await
}

async fn first_key(variables: &[(&str, &str)]) -> Result<String, String> {
    let around = around(variables);
    let found = take(&Purse::new(None), &around).await;
    let found = found.map(|found| found.access_key_id().to_owned());
    found.map_err(|error| error.to_string())
}

fn in_time(time: Duration) -> String {
    let at: SystemTime = clock::wall() + time;
    OffsetDateTime::from(at).format(&Rfc3339).unwrap()
}

fn issued(id: &str, good_for: Duration) -> String {
    format!(
        r#"{{"Code":"Success","AccessKeyId":"{id}","SecretAccessKey":"s3cret","Token":"t0ken","Expiration":"{}"}}"#,
        in_time(good_for)
    )
}

const HOUR: Duration = Duration::from_secs(3600);

async fn instance(good_for: Duration) -> Double {
    let key = issued("ROLE", good_for);
    Double::imds(&[
        ("iam/security-credentials/", "swarmer\n"),
        ("iam/security-credentials/swarmer", &key),
    ])
    .await
}

#[tokio::test]
async fn each_place_is_looked_at_after_the_one_before() {
    let imds = instance(HOUR).await;
    let container = Double::new(|asked| match asked.header("authorization") {
        "pod" => (200, issued("CONTAINER", HOUR)),
        _ => (401, String::new()),
    })
    .await;
    let sts = Double::new(|asked| {
        let wanted = "RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Fx&RoleSessionName=swarmer&WebIdentityToken=jwt";
        assert!(asked.body.ends_with(wanted), "{}", asked.body);
        assert_eq!(asked.header("authorization"), "");
        let until = in_time(HOUR);
        (200, format!("<R xmlns=\"u:x\"><AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>WEB</AccessKeyId><SecretAccessKey>s3cret</SecretAccessKey><SessionToken>t0ken</SessionToken><Expiration>{until}</Expiration></Credentials></AssumeRoleWithWebIdentityResult></R>"))
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let jwt = file("jwt", "jwt\n");
    let shared = file(
        "shared",
        "[default]\naws_access_key_id=FILE\naws_secret_access_key=s3cret\n",
    );
    let mut variables = vec![("AWS_EC2_METADATA_SERVICE_ENDPOINT", imds.url.as_str())];
    assert_eq!(first_key(&variables).await.as_deref(), Ok("ROLE"));
    variables.push(("AWS_CONTAINER_CREDENTIALS_FULL_URI", &container.url));
    variables.push(("AWS_CONTAINER_AUTHORIZATION_TOKEN", "pod"));
    assert_eq!(first_key(&variables).await.as_deref(), Ok("CONTAINER"));
    variables.push(("AWS_ENDPOINT_URL_STS", &sts.url));
    variables.push(("AWS_WEB_IDENTITY_TOKEN_FILE", &jwt));
    variables.push(("AWS_ROLE_ARN", "arn:aws:iam::1:role/x"));
    assert_eq!(first_key(&variables).await.as_deref(), Ok("WEB"));
    variables.push(("AWS_SHARED_CREDENTIALS_FILE", &shared));
    assert_eq!(first_key(&variables).await.as_deref(), Ok("FILE"));
    variables.push(("AWS_ACCESS_KEY_ID", "ENVIRONMENT"));
    variables.push(("AWS_SECRET_ACCESS_KEY", "s3cret"));
    assert_eq!(first_key(&variables).await.as_deref(), Ok("ENVIRONMENT"));
    let given = Purse::new(Some(Credentials::new("ARGUMENT", "s3cret", None)));
    let found = take(&given, &around(&variables)).await.unwrap();
    assert_eq!(found.access_key_id(), "ARGUMENT");
}

#[tokio::test]
async fn a_place_that_is_in_use_and_fails_is_not_passed_over() {
    let imds = instance(HOUR).await;
    let refusing = Double::new(|_| (403, "<ErrorResponse><Error><Code>ExpiredTokenException</Code><Message>Token expired: jwt-s3cret</Message></Error></ErrorResponse>".to_owned())).await;
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let jwt = file("jwt", "jwt-s3cret");
    let sso = file("sso", "[default]\nsso_session = x\n");
    let cases: [(&[(&str, &str)], &str); 6] = [
        (
            &[("AWS_ACCESS_KEY_ID", "A")],
            "AWS_SECRET_ACCESS_KEY is not",
        ),
        (
            &[("AWS_PROFILE", "ops")],
            "no profile ops, which AWS_PROFILE names",
        ),
        (
            &[("AWS_CONFIG_FILE", &sso)],
            "sso_session, which is not supported",
        ),
        (
            &[("AWS_WEB_IDENTITY_TOKEN_FILE", &jwt)],
            "AWS_ROLE_ARN is not",
        ),
        (
            &[
                ("AWS_WEB_IDENTITY_TOKEN_FILE", &jwt),
                ("AWS_ROLE_ARN", "r"),
                ("AWS_ENDPOINT_URL", &refusing.url),
            ],
            "AssumeRoleWithWebIdentity: ExpiredTokenException: Token expired: [secret] (the credentials have expired",
        ),
        (
            &[(
                "AWS_CONTAINER_CREDENTIALS_FULL_URI",
                "http://198.51.100.1/x",
            )],
            "http:// to this host",
        ),
    ];
    for (variables, said) in cases {
        let mut variables = variables.to_vec();
        variables.push(("AWS_EC2_METADATA_SERVICE_ENDPOINT", &imds.url));
        let error = first_key(&variables).await.unwrap_err();
        assert!(error.contains(said) && !error.contains('\n'), "{error}");
    }
}

#[tokio::test]
async fn where_there_are_none_every_place_is_named() {
    let imds = Double::imds(&[]).await;
    let url = ("AWS_EC2_METADATA_SERVICE_ENDPOINT", imds.url.as_str());
    let error = first_key(&[url]).await.unwrap_err();
    for place in [
        "DescribeInstances: no credentials",
        "AWS_ACCESS_KEY_ID is not set",
        "no profile default",
        "AWS_WEB_IDENTITY_TOKEN_FILE is not set",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI is not set",
        "the instance has no role",
    ] {
        assert!(error.contains(place), "{error}");
    }
}

#[tokio::test]
async fn they_are_kept_until_five_minutes_before_they_expire() {
    let what = "GET /latest/meta-data/iam/security-credentials/swarmer";
    for (good_for, times) in [(HOUR, 1), (Duration::from_secs(290), 2)] {
        let imds = instance(good_for).await;
        let around = around(&[("AWS_EC2_METADATA_SERVICE_ENDPOINT", &imds.url)]);
        let purse = Purse::new(None);
        for _ in 0..2 {
            take(&purse, &around).await.unwrap();
        }
        assert_eq!(imds.times(what), times, "good for {good_for:?}");
    }
}

#[tokio::test]
async fn what_is_still_good_serves_while_new_ones_cannot_be_had() {
    let imds = instance(Duration::from_secs(290)).await;
    let around = around(&[("AWS_EC2_METADATA_SERVICE_ENDPOINT", &imds.url)]);
    let purse = Purse::new(None);
    take(&purse, &around).await.unwrap();
    drop(imds);
    assert!(take(&purse, &around).await.is_ok());
    purse.forget().await;
    assert!(take(&purse, &around).await.is_err());
}

#[tokio::test]
async fn a_role_that_cannot_be_assumed_is_told_in_aws_s_words() {
    let no = r#"{"Code":"AssumeRoleUnauthorizedAccess","Message":"EC2 cannot assume the role"}"#;
    let imds = Double::imds(&[
        ("iam/security-credentials/", "swarmer"),
        ("iam/security-credentials/swarmer", no),
    ])
    .await;
    let url = ("AWS_EC2_METADATA_SERVICE_ENDPOINT", imds.url.as_str());
    let error = first_key(&[url]).await.unwrap_err();
    assert!(
        error.contains("swarmer: AssumeRoleUnauthorizedAccess: EC2 cannot"),
        "{error}"
    );
}
