//! Against answers written from the documents of the Compute API and of the metadata server.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, RsaKeyPair, UnparsedPublicKey};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::{Value, json};

use super::super::double::{Answer, Asked, Double, bare, json as answer};
use super::*;

/// Made for these tests, and good for nothing else.
const KEY: &str = include_str!("test_key.pem");
const TOKEN: &str = "ya29.s3cret";

fn instance(id: &str, name: &str, status: &str, tags: &[&str], address: &str) -> Value {
    json!({
        "kind": "compute#instance",
        "id": id,
        "name": name,
        "status": status,
        "zone": "https://www.googleapis.com/compute/v1/projects/p/zones/us-west1-a",
        "tags": {"fingerprint": "42WmSpB8rSM=", "items": tags},
        "networkInterfaces": [{
            "network": "https://www.googleapis.com/compute/v1/projects/p/global/networks/default",
            "networkIP": address,
            "name": "nic0",
            "accessConfigs": [{"type": "ONE_TO_ONE_NAT", "natIP": "203.0.113.1"}],
        }],
    })
}

/// Two pages, as `instances.aggregatedList` gives them.
fn pages(asked: &Asked) -> Answer {
    let none = json!({"warning": {"code": "NO_RESULTS_ON_PAGE", "message": "There are no results for scope 'zones/asia-east1-a' on this page."}});
    if asked.target.contains("&pageToken=next%2F1") {
        let other = instance("103", "server-3", "TERMINATED", &["swarmer"], "10.0.0.3");
        return answer(&json!({"items": {"zones/us-west1-a": {"instances": [other]}}}));
    }
    let mut far = instance("104", "server-4", "RUNNING", &["swarmer"], "10.0.0.4");
    far["zone"] = json!("https://www.googleapis.com/compute/v1/projects/p/zones/us-west11-a");
    let here = [
        instance(
            "102",
            "server-2",
            "RUNNING",
            &["web", "swarmer"],
            "192.168.0.2",
        ),
        instance("101", "server-1", "RUNNING", &["swarmer"], "10.0.0.1"),
        instance("900", "other", "RUNNING", &["web"], "10.0.0.9"),
    ];
    answer(&json!({
        "kind": "compute#instanceAggregatedList",
        "items": {
            "zones/asia-east1-a": none,
            "zones/us-west1-a": {"instances": here},
            "zones/us-west11-a": {"instances": [far]},
        },
        "nextPageToken": "next/1",
    }))
}

fn metadata(asked: &Asked) -> Option<Answer> {
    let path = asked.target.strip_prefix("/computeMetadata/v1/")?;
    assert_eq!(asked.header("metadata-flavor"), "Google");
    let text = |text: &str| {
        let flavor = ("metadata-flavor", "Google".to_owned());
        (200, vec![flavor], text.to_owned())
    };
    Some(match path {
        "project/project-id" => text("p"),
        "instance/id" => text("101"),
        "instance/service-accounts/default/token" => text(
            &json!({"access_token": TOKEN, "expires_in": 3599, "token_type": "Bearer"}).to_string(),
        ),
        other => panic!("asked for {other}"),
    })
}

async fn scene(
    args: &[(&str, &str)],
    api: impl Fn(&Asked) -> Answer + Send + Sync + 'static,
) -> (Double, Gce) {
    let double = Double::plain(move |asked| {
        metadata(asked).unwrap_or_else(|| {
            assert_eq!(asked.header("authorization"), format!("Bearer {TOKEN}"));
            api(asked)
        })
    })
    .await;
    let base = format!("http://{}", double.at);
    let given = [("tag_value", "swarmer")];
    let args = given.iter().chain(args);
    let args = args.map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    let network = AdminNetwork::Cidr("10.0.0.0/8".parse().unwrap());
    let gce = Gce::at(&base, &base, &args.collect(), &network).unwrap();
    (double, gce)
}

#[tokio::test]
async fn tagged_instances_of_all_pages_are_found() {
    let (double, gce) = scene(&[("zone_pattern", "us-west1-.*")], pages).await;
    let found = gce.machines().await.unwrap();
    let machine = |id: &str, name: &str, address| Machine {
        id: id.to_owned(),
        name: name.to_owned(),
        address,
    };
    let elsewhere = Err(LeftOut::NoAddress("10.0.0.0/8".to_owned()));
    let stopped = Err(LeftOut::State("TERMINATED".to_owned()));
    assert_eq!(
        found,
        [
            machine("101", "server-1", Ok("10.0.0.1".parse().unwrap())),
            machine("102", "server-2", elsewhere),
            machine("103", "server-3", stopped),
        ]
    );
    gce.machines().await.unwrap();
    let asked = double.asked();
    let count = |part: &str| asked.iter().filter(|a| a.target.contains(part)).count();
    assert_eq!((count("/token"), count("/project-id")), (1, 1));
    assert_eq!(
        count("/compute/v1/projects/p/aggregated/instances?maxResults=500"),
        4
    );
}

#[tokio::test]
async fn an_instance_is_deleted_when_no_zone_has_it() {
    let (_double, gce) = scene(&[], pages).await;
    let fate = |id: &'static str| gce.fate(id);
    assert_eq!(fate("101").await, Ok(Fate::Exists("RUNNING".into())));
    // It may be started again.
    assert_eq!(fate("103").await, Ok(Fate::Exists("TERMINATED".into())));
    assert_eq!(fate("900").await, Ok(Fate::Exists("RUNNING".into())));
    assert_eq!(fate("555").await, Ok(Fate::Missing));
    assert_eq!(fate("i-0abc").await, Ok(Fate::Unknown));
    let (_double, blind) = scene(&[("tag_value", "nobody")], pages).await;
    assert_eq!(blind.fate("555").await, Ok(Fate::Unknown));
    let unreachable = |_: &Asked| {
        let here = instance("101", "server-1", "RUNNING", &["swarmer"], "10.0.0.1");
        answer(&json!({"items": {
            "zones/us-west1-a": {"instances": [here]},
            "zones/us-west1-b": {"warning": {"code": "UNREACHABLE"}},
        }}))
    };
    let (_double, gce) = scene(&[], unreachable).await;
    assert_eq!(gce.fate("555").await, Ok(Fate::Unknown));
}

#[tokio::test]
async fn refusals_are_told_in_googles_words() {
    let said = |status: u16, reason: &str, message: &str| {
        let error = json!({"error": {"code": status, "message": message, "errors": [{"domain": "global", "reason": reason}]}});
        (status, vec![], error.to_string())
    };
    let denied = said(
        403,
        "forbidden",
        "Required 'compute.instances.list' permission for 'projects/p'",
    );
    let (_double, gce) = scene(&[], move |_| denied.clone()).await;
    let error = gce.machines().await.unwrap_err().to_string();
    assert!(
        error.contains("Required 'compute.instances.list' permission"),
        "{error}"
    );
    assert!(error.contains("roles/compute.viewer"), "{error}");
    let busy = said(403, "rateLimitExceeded", "Rate Limit Exceeded");
    let (_double, gce) = scene(&[], move |_| busy.clone()).await;
    let error = gce.machines().await.unwrap_err();
    assert!(matches!(error, ProviderError::Throttled { .. }), "{error}");
    for (status, body) in [(200, "<html>"), (200, "[]"), (200, "{\"items\":[]}")] {
        let (_double, gce) = scene(&[], move |_| (status, vec![], body.to_owned())).await;
        let error = gce.machines().await.unwrap_err();
        assert!(matches!(error, ProviderError::Unreadable { .. }), "{error}");
    }
    // A token that is not taken is not kept.
    let (double, gce) = scene(&[], |_| bare(401)).await;
    let error = gce.machines().await.unwrap_err();
    assert!(!format!("{error:?}").contains("s3cret"));
    gce.machines().await.unwrap_err();
    let tokens = double.asked().into_iter();
    assert_eq!(tokens.filter(|a| a.target.ends_with("/token")).count(), 2);
}

#[tokio::test]
async fn a_service_account_signs_for_its_token() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("account.json");
    let double = Double::plain(|asked| {
        if asked.target == "/token" {
            return answer(&json!({"access_token": TOKEN, "expires_in": 3599}));
        }
        pages(asked)
    })
    .await;
    let base = format!("http://{}", double.at);
    let account = json!({
        "type": "service_account",
        "client_email": "swarmer@p.iam.gserviceaccount.com",
        "private_key": KEY,
        "private_key_id": "abc",
        "token_uri": format!("{base}/token"),
    });
    std::fs::write(&file, account.to_string()).unwrap();
    let args = [
        ("tag_value", "swarmer"),
        ("project_name", "p"),
        ("credentials_file", file.to_str().unwrap()),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()));
    let network = AdminNetwork::Interface("eth0".into());
    let gce = Gce::at(&base, "http://127.0.0.1:1", &args.into(), &network).unwrap();
    assert_eq!(gce.machines().await.unwrap().len(), 4);

    let body = &double.asked()[0].body;
    let grant = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=";
    let assertion = body.strip_prefix(grant).unwrap();
    let (signed, signature) = assertion.rsplit_once('.').unwrap();
    let key = PrivatePkcs8KeyDer::from_pem_slice(KEY.as_bytes()).unwrap();
    let key = RsaKeyPair::from_pkcs8(key.secret_pkcs8_der()).unwrap();
    let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key.public_key());
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    public.verify(signed.as_bytes(), &signature).unwrap();
    let claims = signed.split_once('.').unwrap().1;
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap();
    assert_eq!(claims["iss"], "swarmer@p.iam.gserviceaccount.com");
    assert_eq!(claims["aud"], format!("{base}/token"));

    std::fs::write(&file, "{\"client_email\": \"s3cret\"}").unwrap();
    gce.token.forget().await;
    let error = gce.machines().await.unwrap_err().to_string();
    assert!(error.contains("no service account's key"), "{error}");
    assert!(!error.contains("s3cret"), "{error}");
}

#[tokio::test]
async fn this_machine_asks_only_where_google_made_it() {
    let folder = tempfile::tempdir().unwrap();
    let (double, mut gce) = scene(&[], pages).await;
    gce.firmware = folder.path().join("sys_vendor");
    assert_eq!(gce.this_machine().await, Ok(None));
    std::fs::write(&gce.firmware, "QEMU\n").unwrap();
    assert_eq!(gce.this_machine().await, Ok(None));
    assert!(double.asked().is_empty());
    std::fs::write(&gce.firmware, "Google\n").unwrap();
    assert_eq!(gce.this_machine().await, Ok(Some("101".to_owned())));
}

#[test]
fn a_bad_pattern_is_told() {
    let args = [("tag_value", "a"), ("zone_pattern", "us-(")];
    let args = args.map(|(key, value)| (key.to_owned(), value.to_owned()));
    let network = AdminNetwork::Interface("eth0".into());
    let error = Gce::new(&args.into(), &network).err().unwrap().to_string();
    assert!(
        error.contains("zone_pattern must be a regular expression"),
        "{error}"
    );
}
