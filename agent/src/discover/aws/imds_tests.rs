//! The metadata service as an instance meets it, and as it is when it fails.

use std::time::Duration;

use tokio::net::TcpListener;

use super::Imds;
use super::double::{Double, around};
use crate::discover::ProviderError;
use crate::task::clock;

fn at(url: &str) -> Imds {
    around(&[("AWS_EC2_METADATA_SERVICE_ENDPOINT", url)]).imds
}

#[tokio::test]
async fn a_token_is_fetched_once_and_shown_each_time() {
    let double = Double::imds(&[("instance-id", "i-1")]).await;
    let imds = at(&double.url);
    for _ in 0..2 {
        assert_eq!(imds.get("instance-id").await, Ok(Some("i-1".to_owned())));
    }
    assert_eq!(imds.clone().get("spot/instance-action").await, Ok(None));
    assert_eq!(double.times("PUT /latest/api/token"), 1);
}

#[tokio::test]
async fn a_token_that_is_refused_is_renewed() {
    let count = std::sync::atomic::AtomicU32::new(0);
    let double = Double::new(move |asked| match asked.what.as_str() {
        "PUT /latest/api/token" => {
            let token = count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            (200, format!("t{token}"))
        }
        _ if asked.header("x-aws-ec2-metadata-token") == "t0" => (401, String::new()),
        _ => (200, "i-1".to_owned()),
    })
    .await;
    let found = at(&double.url).get("instance-id").await;
    assert_eq!(found, Ok(Some("i-1".to_owned())));
    assert_eq!(double.times("PUT /latest/api/token"), 2);
}

#[tokio::test]
async fn a_service_that_hangs_is_told_in_one_line_and_in_time() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let started = clock::now();
    let error = at(&url).get("instance-id").await.unwrap_err().to_string();
    assert!(started.elapsed() < Duration::from_secs(4));
    assert!(error.contains("no answer within 2 s"), "{error}");
    assert!(
        error.contains("hop limit") && !error.contains('\n'),
        "{error}"
    );
}

#[tokio::test]
async fn a_host_that_has_no_such_service_is_told_in_one_line() {
    let double = Double::new(|_| (404, "<html>\nno\n</html>".to_owned())).await;
    let error = at(&double.url).get("instance-id").await.unwrap_err();
    assert!(matches!(error, ProviderError::Refused { .. }));
    let error = error.to_string();
    assert!(error.contains("404 Not Found for a token"), "{error}");
    assert!(
        error.contains("EC2 instance") && !error.contains('\n'),
        "{error}"
    );
}

#[tokio::test]
async fn the_environment_switches_it_off_or_is_told_that_it_is_wrong() {
    let off = around(&[("AWS_EC2_METADATA_DISABLED", "TRUE")]).imds;
    assert_eq!(off.get("instance-id").await, Ok(None));
    let error = at("169.254.169.254").get("instance-id").await.unwrap_err();
    let error = error.to_string();
    assert!(error.contains("must be http://HOST"), "{error}");
}
