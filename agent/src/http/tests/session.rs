use serde_json::json;

use super::*;

#[tokio::test]
async fn a_session_has_consuls_shape() {
    let desk = Desk::new();
    let body = r#"{"name":"my","lockdelay":"5s","behavior":"delete","ttl":"15.000000s"}"#;
    let id = desk.put("/v1/session/create", body).await.json()["ID"].clone();
    let id = id.as_str().unwrap();
    let seen = desk.get(&format!("/v1/session/info/{id}")).await;
    let index = seen.index();
    let expected = json!([{
        "ID": id, "Name": "my", "Node": "n1", "LockDelay": 5_000_000_000u64,
        "Behavior": "delete", "TTL": "15.000000s", "NodeChecks": ["serfHealth"],
        "ServiceChecks": null, "CreateIndex": index, "ModifyIndex": index,
    }]);
    assert_eq!(seen.json(), expected);
    assert_eq!(desk.get("/v1/session/list").await.json(), expected);
    assert_eq!(desk.get("/v1/session/node/N1").await.json(), expected);
    assert_eq!(desk.get("/v1/session/node/other").await.json(), json!([]));
    assert_eq!(
        desk.put(&format!("/v1/session/renew/{id}"), "")
            .await
            .json(),
        expected
    );
    desk.put(&format!("/v1/session/destroy/{id}"), "")
        .await
        .is(200, "true");
    assert_eq!(
        desk.get(&format!("/v1/session/info/{id}")).await.json(),
        json!([])
    );
    let gone = format!("Session id '{id}' not found");
    desk.put(&format!("/v1/session/renew/{id}"), "")
        .await
        .is(404, &gone);
}

#[tokio::test]
async fn what_cant_be_is_told_in_consuls_words() {
    let desk = Desk::new();
    for (body, status, text) in [
        (
            r#"{"TTL":"9s"}"#,
            500,
            "Invalid Session TTL '9000000000', must be between [10s=24h0m0s]",
        ),
        (
            r#"{"TTL":"86401s"}"#,
            500,
            "Invalid Session TTL '86401000000000', must be between [10s=24h0m0s]",
        ),
        (r#"{"Behavior":"x"}"#, 500, "Invalid Behavior setting 'x'"),
        (r#"{"Node":"nowhere"}"#, 500, "Missing node registration"),
        (
            r#"{"Checks":["none"]}"#,
            500,
            "Missing check 'none' registration",
        ),
        (
            r#"{"Name":1}"#,
            400,
            "Request decode failed: Name is a number, want a string",
        ),
    ] {
        desk.put("/v1/session/create", body).await.is(status, text);
    }
    desk.put("/v1/session/destroy/", "")
        .await
        .is(400, "Missing session");
    desk.put("/v1/session/renew/", "")
        .await
        .is(400, "Missing session");
    desk.get("/v1/session/info/")
        .await
        .is(400, "Missing session");
    desk.get("/v1/session/node/")
        .await
        .is(400, "Missing node name");
    desk.put("/v1/session/renew/x", "")
        .await
        .is(404, "Session id 'x' not found");
    desk.put("/v1/session/destroy/x", "").await.is(200, "true");
}

#[tokio::test]
async fn a_session_ends_with_its_keys_as_its_behavior_says() {
    let desk = Desk::new();
    for (behavior, status) in [("release", 200), ("delete", 404)] {
        let body = format!(r#"{{"Behavior":"{behavior}"}}"#);
        let id = desk.put("/v1/session/create", body).await.json()["ID"].clone();
        let id = id.as_str().unwrap();
        let key = format!("/v1/kv/{behavior}");
        desk.put(&format!("{key}?acquire={id}"), "v")
            .await
            .is(200, "true");
        let before = desk.get(&key).await.index();
        desk.put(&format!("/v1/session/destroy/{id}"), "")
            .await
            .is(200, "true");
        let after = desk.get(&key).await;
        assert_eq!(after.status, status);
        assert!(after.index() > before, "{behavior}: watchers see it");
        if status == 200 {
            assert_eq!(after.json()[0].get("Session"), None);
        }
    }
}
