use serde_json::json;

use super::*;

const UNKNOWN: &str = "Ensure that the service ID is passed, not the service name.";

#[tokio::test]
async fn a_registered_service_is_in_agent_and_catalog_when_the_put_returns() {
    let desk = Desk::new();
    let body = r#"{"id":"w1","name":"web","tags":["a"],"port":80,"address":"10.1.1.1",
        "enable_tag_override":false,"meta":{"Key":"v"},"Unknown":1,"check":{"ttl":"10s","status":"passing"}}"#;
    let done = desk.put("/v1/agent/service/register", body).await;
    done.is(200, "");
    assert_eq!(done.header("content-type"), "");
    let mine = desk.get("/v1/agent/services").await.json();
    assert_eq!(
        mine["w1"],
        json!({
            "ID": "w1", "Service": "web", "Tags": ["a"], "Meta": {"Key": "v"}, "Port": 80,
            "Address": "10.1.1.1", "Weights": {"Passing": 1, "Warning": 1},
            "EnableTagOverride": false, "Datacenter": "dev",
            "TaggedAddresses": {
                "lan_ipv4": {"Address": "10.1.1.1", "Port": 80},
                "wan_ipv4": {"Address": "10.1.1.1", "Port": 80},
            },
        })
    );
    let health = desk.get("/v1/health/service/web").await.json();
    let checks = health[0]["Checks"].as_array().unwrap();
    let ids: Vec<_> = checks
        .iter()
        .map(|check| check["CheckID"].as_str().unwrap())
        .collect();
    assert_eq!(ids, ["serfHealth", "service:w1"]);
    assert_eq!(checks[1]["Name"], "Service 'web' check");
    assert_eq!(checks[1]["Type"], "ttl");
    let own = desk.get("/v1/agent/checks").await.json();
    assert_eq!(own["service:w1"]["ServiceName"], "web");
    desk.put("/v1/agent/service/deregister/w1", "")
        .await
        .is(200, "");
    desk.get("/v1/catalog/service/web").await.is(200, "[]");
    let again = desk.put("/v1/agent/service/deregister/w1", "").await;
    again.is(404, &format!("Unknown service ID \"w1\". {UNKNOWN}"));
}

#[tokio::test]
async fn registering_again_keeps_results_and_changes_no_index() {
    let desk = Desk::new();
    let body = r#"{"Name":"web","Checks":[{"TTL":"10s"},{"TTL":"20s"}]}"#;
    desk.put("/v1/agent/service/register", body)
        .await
        .is(200, "");
    desk.put(
        "/v1/agent/check/pass/service:web:1?note=fine%20so%20far",
        "",
    )
    .await
    .is(200, "");
    desk.put(
        "/v1/agent/check/update/service:web:2",
        r#"{"status":"warning","output":"hm"}"#,
    )
    .await
    .is(200, "");
    let before = desk.get("/v1/health/service/web").await;
    desk.put("/v1/agent/service/register", body)
        .await
        .is(200, "");
    let after = desk.get("/v1/health/service/web").await;
    assert_eq!(before, after);
    let checks = after.json()[0]["Checks"].clone();
    assert_eq!(
        (&checks[1]["Status"], &checks[1]["Output"]),
        (&json!("passing"), &json!("fine so far"))
    );
    assert_eq!(
        (&checks[2]["Status"], &checks[2]["Output"]),
        (&json!("warning"), &json!("hm"))
    );
    let uri = "/v1/agent/service/register?replace-existing-checks";
    desk.put(
        uri,
        r#"{"Name":"web","Check":{"CheckID":"service:web:2","TTL":"20s"}}"#,
    )
    .await
    .is(200, "");
    let own = desk.get("/v1/agent/checks").await.json();
    assert_eq!(
        own.as_object().unwrap().keys().collect::<Vec<_>>(),
        ["service:web:2"]
    );
}

#[tokio::test]
async fn what_is_wrong_with_a_registration_is_a_400() {
    let desk = Desk::new();
    for (body, text) in [
        ("{}", "Missing service name"),
        (r#"{"Name":"a","Address":"::"}"#, "Invalid service address"),
        (
            r#"{"Name":"a","Check":{"TTL":"1s","Status":"x"}}"#,
            "Status for checks must 'passing', 'warning', 'critical'",
        ),
        (
            r#"{"Name":"a","Check":{"HTTP":"x"}}"#,
            "Invalid check: Interval must be > 0 for Script, HTTP, H2PING, TCP, UDP or OSService checks",
        ),
        (
            r#"{"Name":"a","Meta":{"k k":"v"}}"#,
            "Invalid Service Meta: Couldn't load metadata pair ('k k', 'v'): Key contains invalid characters",
        ),
        (
            r#"{"Name":"a","Weights":{"Passing":0,"Warning":1}}"#,
            "Invalid Weights: Passing must be greater than 0",
        ),
        (
            r#"{"Name":"consul"}"#,
            "Invalid service ID: \"consul\" belongs to the agent itself",
        ),
    ] {
        desk.put("/v1/agent/service/register", body)
            .await
            .is(400, text);
    }
    desk.put("/v1/agent/check/register", r#"{"TTL":"1s"}"#)
        .await
        .is(400, "Missing check name");
    desk.put(
        "/v1/agent/check/register",
        r#"{"Name":"c","TTL":"1s","Status":"x"}"#,
    )
    .await
    .is(400, "Bad check status");
    let orphan = r#"{"Name":"c","TTL":"1s","service_id":"none"}"#;
    desk.put("/v1/agent/check/register", orphan)
        .await
        .is(404, "ServiceID \"none\" does not exist");
    let gone = desk.put("/v1/agent/check/pass/none", "").await;
    assert_eq!(gone.status, 404);
    assert!(
        gone.body.starts_with("Unknown check ID \"none\".")
            && gone.body.contains("does not have associated TTL")
    );
    desk.put("/v1/agent/check/update/none", r#"{"Status":"x"}"#)
        .await
        .is(400, "Invalid check status: 'x'");
    let tcp = r#"{"Name":"c","TCP":"127.0.0.1:1","Interval":"10s"}"#;
    desk.put("/v1/agent/check/register", tcp).await.is(200, "");
    desk.put("/v1/agent/check/pass/c", "")
        .await
        .is(500, "CheckID \"c\" does not have associated TTL");
    desk.put("/v1/agent/check/deregister/c", "")
        .await
        .is(200, "");
    assert_eq!(
        desk.put("/v1/agent/check/deregister/c", "").await.status,
        404
    );
}

#[tokio::test]
async fn ids_may_hold_slashes() {
    let desk = Desk::new();
    desk.put(
        "/v1/agent/service/register",
        r#"{"ID":"scope/name","Name":"pg"}"#,
    )
    .await
    .is(200, "");
    assert_eq!(
        desk.get("/v1/agent/service/scope/name").await.json()["ID"],
        "scope/name"
    );
    desk.put("/v1/agent/service/deregister/scope%2Fname", "")
        .await
        .is(200, "");
}

#[tokio::test]
async fn maintenance_takes_a_service_or_the_node_out_and_back() {
    let desk = Desk::new();
    desk.put("/v1/agent/service/register", r#"{"ID":"w","Name":"web"}"#)
        .await
        .is(200, "");
    let passing = async || {
        desk.get("/v1/health/service/web?passing")
            .await
            .json()
            .as_array()
            .unwrap()
            .len()
    };
    assert_eq!(passing().await, 1);
    for on in ["/v1/agent/service/maintenance/w", "/v1/agent/maintenance"] {
        desk.put(&format!("{on}?enable=true&reason=why"), "")
            .await
            .is(200, "");
        desk.put(&format!("{on}?enable=true&reason=why"), "")
            .await
            .is(200, "");
        assert_eq!(passing().await, 0);
        desk.put(&format!("{on}?enable=0"), "").await.is(200, "");
        desk.put(&format!("{on}?enable=0"), "").await.is(200, "");
        assert_eq!(passing().await, 1);
        desk.put(on, "").await.is(400, "Missing value for enable");
        desk.put(&format!("{on}?enable=x"), "")
            .await
            .is(400, "Invalid value for enable: \"x\"");
    }
    let gone = desk
        .put("/v1/agent/service/maintenance/none?enable=1", "")
        .await;
    gone.is(404, &format!("Unknown service ID \"none\". {UNKNOWN}"));
}

#[tokio::test]
async fn a_services_health_is_a_status_code() {
    let desk = Desk::new();
    let body = r#"{"ID":"w","Name":"web","Check":{"CheckID":"c","TTL":"10s"}}"#;
    desk.put("/v1/agent/service/register", body)
        .await
        .is(200, "");
    for (act, code, word) in [
        ("fail", 503, "critical"),
        ("warn", 429, "warning"),
        ("pass", 200, "passing"),
    ] {
        desk.put(&format!("/v1/agent/check/{act}/c"), "")
            .await
            .is(200, "");
        for uri in [
            "/v1/agent/health/service/id/w",
            "/v1/agent/health/service/name/web",
        ] {
            desk.get(&format!("{uri}?format=text")).await.is(code, word);
            let seen = desk.get(uri).await;
            assert_eq!(seen.status, code);
            assert_eq!(
                seen.header("x-consul-reason"),
                if code == 200 { "" } else { word }
            );
        }
    }
    desk.get("/v1/agent/health/service/id/x?format=text")
        .await
        .is(404, "ServiceId x not found");
    desk.get("/v1/agent/health/service/name/x")
        .await
        .is(404, "[]");
    desk.get("/v1/agent/health/service/id/x").await.is(
        404,
        r#"{"AggregatedStatus":"critical","Checks":null,"Service":null}"#,
    );
}

#[tokio::test]
async fn a_hash_waits_for_another_definition() {
    let desk = Arc::new(Desk::new());
    desk.put("/v1/agent/service/register", r#"{"Name":"web"}"#)
        .await
        .is(200, "");
    let seen = desk.get("/v1/agent/service/web").await;
    let hash = seen.json()["ContentHash"].as_str().unwrap().to_owned();
    assert_eq!(seen.header("x-consul-contenthash"), hash);
    let same = desk
        .get(&format!("/v1/agent/service/web?hash={hash}&wait=20ms"))
        .await;
    assert_eq!(same, seen);
    let asking = Arc::clone(&desk);
    let waiting = crate::task::spawn("asking", async move {
        asking
            .get(&format!("/v1/agent/service/web?hash={hash}"))
            .await
    });
    tokio::task::yield_now().await;
    desk.put("/v1/agent/service/register", r#"{"Name":"web","Port":1}"#)
        .await
        .is(200, "");
    assert_eq!(waiting.join().await.unwrap().json()["Port"], 1);
    desk.get("/v1/agent/service/none")
        .await
        .is(404, "unknown service ID: none");
}

#[tokio::test]
async fn what_the_agent_says_of_itself_fits_the_clients() {
    let desk = Desk::new();
    let me = desk.get("/v1/agent/self").await.json();
    assert!(
        me.as_object()
            .unwrap()
            .values()
            .all(serde_json::Value::is_object)
    );
    assert_eq!(me["Config"]["Datacenter"], "dev");
    assert_eq!(me["Config"]["NodeName"], "n1");
    assert_eq!(me["Config"]["SessionTTLMin"], 10_000_000_000u64);
    assert_eq!(me["Member"]["Addr"], "10.0.0.1");
    assert!(me["Stats"].as_object().unwrap().values().all(|section| {
        section
            .as_object()
            .unwrap()
            .values()
            .all(serde_json::Value::is_string)
    }));
    let members = desk.get("/v1/agent/members").await.json();
    assert_eq!(
        (&members[0]["Name"], &members[0]["Status"]),
        (&json!("n1"), &json!(1))
    );
    assert_eq!(members[0]["Tags"]["role"], "consul");
    desk.get("/v1/status/leader")
        .await
        .is(200, "\"10.0.0.1:8300\"");
    desk.get("/v1/status/peers")
        .await
        .is(200, "[\"10.0.0.1:8300\"]");
    desk.put("/v1/agent/join/10.0.0.1:8301", "")
        .await
        .is(200, "");
    assert_eq!(desk.put("/v1/agent/join/10.9.9.9", "").await.status, 500);
    let status = desk.get("/v1/swarmer/status").await.json();
    assert_eq!(
        (&status["leader"], &status["term"]),
        (&json!("n1"), &json!(3))
    );
    assert_eq!(status["members"][0]["health"], "passing");
}
