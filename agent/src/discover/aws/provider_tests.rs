//! Instances by tag, against recorded answers.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::time::Duration;

use tokio::net::TcpListener;

use super::Aws;
use super::double::{Answer, Asked, Double, args, around};
use crate::config::AdminNetwork;
use crate::discover::{Fate, LeftOut, Provider as _, ProviderError};
use crate::task::clock;

/// Recorded from the API's reference and cut to what is read.
const THREE: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<DescribeInstancesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/">
  <requestId>8f7724cf-496f-496e-8fe3-example</requestId>
  <reservationSet>
    <item><reservationId>r-1</reservationId><groupSet/><instancesSet>
      <item>
        <instanceId>i-1</instanceId><instanceState><code>16</code><name>running</name></instanceState>
        <privateIpAddress>10.0.1.5</privateIpAddress><ipAddress>198.51.100.5</ipAddress>
        <tagSet><item><key>swarmer</key><value>dev</value></item><item><key>Name</key><value>server-1</value></item></tagSet>
        <networkInterfaceSet><item>
          <privateIpAddressesSet>
            <item><privateIpAddress>10.0.1.5</privateIpAddress><primary>true</primary><association><publicIp>198.51.100.5</publicIp></association></item>
            <item><privateIpAddress>10.0.9.5</privateIpAddress><primary>false</primary></item>
          </privateIpAddressesSet>
          <ipv6AddressesSet><item><ipv6Address>2001:db8::5</ipv6Address></item><item><ipv6Address>fd12::5</ipv6Address></item></ipv6AddressesSet>
        </item></networkInterfaceSet>
      </item>
      <item>
        <instanceId>i-2</instanceId><instanceState><code>80</code><name>stopped</name></instanceState>
        <privateIpAddress>10.0.1.6</privateIpAddress><tagSet/>
      </item>
    </instancesSet></item>
    <item><reservationId>r-2</reservationId><instancesSet>
      <item><instanceId>i-3</instanceId><instanceState><code>48</code><name>terminated</name></instanceState><ipAddress/></item>
      <item><instanceId>i-4</instanceId><instanceState><code>16</code><name>running</name></instanceState><privateIpAddress>10.0.2.7</privateIpAddress></item>
    </instancesSet></item>
  </reservationSet>
</DescribeInstancesResponse>"#;

const SECRETS: [&str; 3] = ["AKIAEXAMPLE", "s3cret/key", "t0ken+=more"];

fn network(text: &str) -> AdminNetwork {
    AdminNetwork::Cidr(text.parse().unwrap())
}

fn provider(url: &str, more: &[(&str, &str)]) -> Result<Aws, ProviderError> {
    let mut all = vec![
        ("tag_key", "swarmer"),
        ("tag_value", "dev"),
        ("region", "eu-west-1"),
        ("endpoint", url),
        ("access_key_id", SECRETS[0]),
        ("secret_access_key", SECRETS[1]),
        ("session_token", SECRETS[2]),
    ];
    all.extend(more);
    let nowhere = around(&[("AWS_EC2_METADATA_DISABLED", "true")]);
    Aws::in_surroundings(&args(&all), &network("10.0.0.0/8"), nowhere)
}

async fn answering(answer: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> (Double, Aws) {
    let double = Double::new(answer).await;
    let aws = provider(&double.url, &[]).unwrap();
    (double, aws)
}

#[tokio::test]
async fn those_that_run_are_found_and_the_others_are_told() {
    let (double, aws) = answering(|_| (200, THREE.to_owned())).await;
    let found = aws.machines().await.unwrap();
    let found: Vec<_> = found
        .into_iter()
        .map(|one| (one.id, one.name, one.address))
        .collect();
    let at = |text: &str| Ok(text.parse::<IpAddr>().unwrap());
    let is = |state: &str| Err(LeftOut::State(state.to_owned()));
    let no = String::new;
    assert_eq!(
        found,
        [
            ("i-1".to_owned(), "server-1".to_owned(), at("10.0.1.5")),
            ("i-2".to_owned(), no(), is("stopped")),
            ("i-3".to_owned(), no(), is("terminated")),
            ("i-4".to_owned(), no(), at("10.0.2.7")),
        ]
    );
    let asked = double.asked().remove(0);
    assert!(
        asked
            .body
            .contains("Filter.1.Name=tag%3Aswarmer&Filter.1.Value.1=dev")
    );
    assert!(!asked.body.contains("state"), "all states are asked for");
    let signed = asked.header("authorization");
    assert!(signed.contains("/eu-west-1/ec2/aws4_request"), "{signed}");
    assert!(signed.contains("x-amz-security-token"), "{signed}");
}

#[tokio::test]
async fn each_type_of_address_is_found_or_missed() {
    let double = Double::new(|_| (200, THREE.to_owned())).await;
    for (kind, first, last) in [
        ("private_v4", "10.0.1.5", Some("10.0.2.7")),
        ("public_v4", "198.51.100.5", None),
        ("private_v6", "fd12::5", None),
        ("public_v6", "2001:db8::5", None),
    ] {
        let aws = provider(&double.url, &[("addr_type", kind)]).unwrap();
        let found = aws.machines().await.unwrap();
        assert_eq!(found[0].address, Ok(first.parse().unwrap()), "{kind}");
        let none = LeftOut::NoAddress(kind.to_owned());
        let last = last.map(|last| last.parse().unwrap()).ok_or(none);
        assert_eq!(found[3].address, last, "{kind}");
    }
}

#[tokio::test]
async fn of_several_addresses_the_one_in_the_nodes_network_is_taken() {
    let double = Double::new(|_| (200, THREE.to_owned())).await;
    let all = args(&[
        ("tag_key", "swarmer"),
        ("tag_value", "dev"),
        ("region", "eu-west-1"),
        ("endpoint", &double.url),
        ("access_key_id", "A"),
        ("secret_access_key", "B"),
    ]);
    let here = around(&[]);
    let aws = Aws::in_surroundings(&all, &network("10.0.9.0/24"), here).unwrap();
    let found = aws.machines().await.unwrap();
    assert_eq!(found[0].address, Ok("10.0.9.5".parse().unwrap()));
    let outside = Ok("10.0.2.7".parse().unwrap());
    assert_eq!(found[3].address, outside, "another zone's subnet");
}

#[tokio::test]
async fn five_thousand_instances_come_in_ten_pages() {
    let (double, aws) = answering(|asked| {
        let token = asked.body.split("NextToken=page").nth(1);
        let page: usize = token.map_or(0, |page| page.parse().unwrap());
        let mut text = String::from("<DescribeInstancesResponse><reservationSet>");
        for number in page * 500..(page + 1) * 500 {
            let (high, low) = (number / 250, number % 250 + 1);
            write!(text, "<item><instancesSet><item><instanceId>i-{number}</instanceId><instanceState><name>running</name></instanceState><privateIpAddress>10.1.{high}.{low}</privateIpAddress></item></instancesSet></item>").unwrap();
        }
        text.push_str("</reservationSet>");
        if page < 9 {
            write!(text, "<nextToken>page{}</nextToken>", page + 1).unwrap();
        }
        text.push_str("</DescribeInstancesResponse>");
        (200, text)
    })
    .await;
    let found = aws.machines().await.unwrap();
    let ids: std::collections::BTreeSet<_> = found.iter().map(|one| &one.id).collect();
    assert_eq!(ids.len(), 5000);
    assert!(found.iter().all(|one| one.address.is_ok()));
    assert_eq!(double.asked().len(), 10);
}

#[tokio::test]
async fn an_answer_without_end_ends() {
    let endless =
        "<DescribeInstancesResponse><nextToken>again</nextToken></DescribeInstancesResponse>";
    let (_double, aws) = answering(|_| (200, endless.to_owned())).await;
    let error = aws.machines().await.unwrap_err().to_string();
    assert!(error.contains("more than 100 pages"), "{error}");
}

#[tokio::test]
async fn a_tag_that_matches_nothing_is_an_empty_answer() {
    let none =
        "<DescribeInstancesResponse xmlns=\"x\"><reservationSet/></DescribeInstancesResponse>";
    let (_double, aws) = answering(|_| (200, none.to_owned())).await;
    assert_eq!(aws.machines().await, Ok(Vec::new()));
}

#[tokio::test]
async fn refusals_are_one_line_with_what_to_do_and_no_secret() {
    let of = |code: &str, message: &str| {
        format!(
            "<Response><Errors><Error><Code>{code}</Code><Message>{message}</Message></Error></Errors></Response>"
        )
    };
    let cases = [
        (401, of("AuthFailure", "AWS was not able to validate s3cret/key"), "enabled this region"),
        (400, of("RequestExpired", "Request has expired. t0ken+=more"), "timedatectl"),
        (403, of("UnauthorizedOperation", "You are not authorized"), "ec2:DescribeInstances"),
        (503, of("RequestLimitExceeded", "Request limit exceeded."), "asking again later"),
        (200, "<html>\n<p></html>".to_owned(), "it is no XML"),
        (200, "<html/>".to_owned(), "it is a html"),
        (200, "<DescribeInstancesResponse><reservationSet><item><instancesSet><item/></instancesSet></item></reservationSet></DescribeInstancesResponse>".to_owned(), "no instanceId"),
        (502, String::new(), "502 Bad Gateway"),
    ];
    for (status, body, said) in cases {
        let (_double, aws) = answering(move |_| (status, body.clone())).await;
        let error = aws.machines().await.unwrap_err();
        let text = format!("{error} {error:?}");
        assert!(error.to_string().contains(said), "{error}");
        assert!(!error.to_string().contains('\n'), "{error}");
        for secret in SECRETS {
            assert!(!text.contains(secret), "{text}");
        }
    }
}

#[tokio::test]
async fn credentials_that_were_refused_are_looked_for_again() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("credentials");
    let write = |id: &str| {
        let text = format!("[default]\naws_access_key_id={id}\naws_secret_access_key=x\n");
        std::fs::write(&file, text).unwrap();
    };
    write("OLD");
    let double = Double::new(
        |asked| match asked.header("authorization").contains("=NEW/") {
            true => (200, THREE.to_owned()),
            false => (
                400,
                "<Response><Errors><Error><Code>ExpiredToken</Code></Error></Errors></Response>"
                    .to_owned(),
            ),
        },
    )
    .await;
    let here = around(&[("AWS_SHARED_CREDENTIALS_FILE", file.to_str().unwrap())]);
    let all = args(&[
        ("tag_key", "swarmer"),
        ("tag_value", "dev"),
        ("region", "eu-west-1"),
        ("endpoint", &double.url),
    ]);
    let aws = Aws::in_surroundings(&all, &network("10.0.0.0/8"), here).unwrap();
    assert!(aws.machines().await.is_err());
    write("NEW");
    assert!(aws.machines().await.is_ok());
}

#[tokio::test]
async fn a_region_that_does_not_exist_is_named() {
    let all = args(&[
        ("tag_key", "swarmer"),
        ("tag_value", "dev"),
        ("region", "eu-mars-1"),
        ("access_key_id", "A"),
        ("secret_access_key", "B"),
    ]);
    let aws = Aws::in_surroundings(&all, &network("10.0.0.0/8"), around(&[])).unwrap();
    let error = aws.machines().await.unwrap_err().to_string();
    assert!(error.contains("ec2.eu-mars-1.amazonaws.com:443"), "{error}");
    assert!(error.contains("is eu-mars-1 the right region"), "{error}");
    assert!(!error.contains('\n'), "{error}");
}

#[tokio::test]
async fn an_endpoint_that_never_answers_is_given_up() {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", closed.local_addr().unwrap());
    drop(closed);
    let started = clock::now();
    let error = provider(&url, &[]).unwrap().machines().await.unwrap_err();
    assert!(started.elapsed() < Duration::from_secs(5));
    assert!(
        error
            .to_string()
            .starts_with("DescribeInstances at 127.0.0.1:"),
        "{error}"
    );
}

#[tokio::test]
async fn the_region_is_the_instance_s_own_where_none_is_given() {
    let imds = Double::imds(&[("placement/region", "ap-south-1"), ("instance-id", "i-7")]).await;
    let ec2 = Double::new(|_| (200, THREE.to_owned())).await;
    let variables = [
        ("AWS_EC2_METADATA_SERVICE_ENDPOINT", imds.url.as_str()),
        ("AWS_ENDPOINT_URL_EC2", &ec2.url),
        ("AWS_ACCESS_KEY_ID", "A"),
        ("AWS_SECRET_ACCESS_KEY", "B"),
    ];
    let all = args(&[("tag_key", "swarmer"), ("tag_value", "dev")]);
    let new = |variables: &[(&str, &str)]| {
        Aws::in_surroundings(&all, &network("10.0.0.0/8"), around(variables)).unwrap()
    };
    let aws = new(&variables);
    aws.machines().await.unwrap();
    assert!(
        ec2.asked()[0]
            .header("authorization")
            .contains("/ap-south-1/ec2/")
    );
    assert_eq!(aws.this_machine().await, Ok(Some("i-7".to_owned())));
    let mut named = variables.to_vec();
    named.push(("AWS_REGION", "eu-west-3"));
    new(&named).machines().await.unwrap();
    assert!(
        ec2.asked()[1]
            .header("authorization")
            .contains("/eu-west-3/ec2/")
    );
    let nowhere = [("AWS_EC2_METADATA_DISABLED", "true")];
    let error = new(&nowhere).machines().await.unwrap_err().to_string();
    assert!(error.contains("give region=REGION"), "{error}");
}

#[tokio::test]
async fn a_host_that_is_none_of_aws_s_has_no_id() {
    let other = Double::new(|_| (404, String::new())).await;
    let here = around(&[("AWS_EC2_METADATA_SERVICE_ENDPOINT", &other.url)]);
    let all = args(&[("tag_key", "swarmer"), ("tag_value", "dev")]);
    let aws = Aws::in_surroundings(&all, &network("10.0.0.0/8"), here).unwrap();
    assert_eq!(aws.this_machine().await, Ok(None));
}

#[tokio::test]
async fn a_fate_is_terminated_only_where_aws_says_so_of_this_very_id() {
    let one = |id: &str, state: &str| {
        format!(
            "<DescribeInstancesResponse><reservationSet><item><instancesSet><item><instanceId>{id}</instanceId><instanceState><name>{state}</name></instanceState></item></instancesSet></item></reservationSet></DescribeInstancesResponse>"
        )
    };
    let not_found = "<Response><Errors><Error><Code>InvalidInstanceID.NotFound</Code><Message>The instance ID 'i-1' does not exist</Message></Error></Errors></Response>";
    let cases = [
        (200, one("i-1", "terminated"), Some(Fate::Terminated)),
        (200, one("i-1", "shutting-down"), Some(Fate::Terminated)),
        (
            200,
            one("i-1", "running"),
            Some(Fate::Exists("running".into())),
        ),
        (
            200,
            one("i-1", "stopped"),
            Some(Fate::Exists("stopped".into())),
        ),
        (200, one("i-2", "terminated"), Some(Fate::Unknown)),
        (400, not_found.to_owned(), Some(Fate::Unknown)),
        (500, String::new(), None),
        (200, "<html/>".to_owned(), None),
    ];
    for (status, body, fate) in cases {
        let (double, aws) = answering(move |_| (status, body.clone())).await;
        assert_eq!(aws.fate("i-1").await.ok(), fate);
        assert!(double.asked()[0].body.ends_with("InstanceId.1=i-1"));
    }
}

#[test]
fn wrong_arguments_are_named_and_not_quoted() {
    for (key, value, said) in [
        ("addr_type", "s3cret", "private_v4, public_v4"),
        ("service", "ecs", "ec2, the only one"),
        ("region", "EU/../s3cret", "such as eu-central-1"),
        ("endpoint", "http://u:s3cret@h", "https://HOST"),
    ] {
        let error = provider("http://127.0.0.1:1", &[]).and_then(|_| {
            let mut all = args(&[("tag_key", "a"), ("tag_value", "b")]);
            all.insert(key.to_owned(), value.to_owned());
            Aws::in_surroundings(&all, &network("10.0.0.0/8"), around(&[]))
        });
        let error = error.err().unwrap().to_string();
        assert!(error.contains(said) && error.contains(key), "{error}");
        assert!(!error.contains("s3cret"), "{error}");
    }
    let half = args(&[("tag_key", "a"), ("tag_value", "b"), ("access_key_id", "A")]);
    let error = Aws::in_surroundings(&half, &network("10.0.0.0/8"), around(&[]));
    let error = error.err().unwrap().to_string();
    assert!(
        error.contains("secret_access_key must be given with"),
        "{error}"
    );
}
