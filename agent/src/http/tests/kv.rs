use serde_json::json;

use super::*;

#[tokio::test]
async fn an_entry_has_consuls_shape() {
    let desk = Desk::new();
    desk.put("/v1/kv/a?flags=18446744073709551615", "hello")
        .await
        .is(200, "true");
    let seen = desk.get("/v1/kv/a").await;
    let index = seen.index();
    assert_eq!(
        seen.body,
        format!(
            r#"[{{"LockIndex":0,"Key":"a","Flags":18446744073709551615,"Value":"aGVsbG8=","CreateIndex":{index},"ModifyIndex":{index}}}]"#
        )
    );
    assert_eq!(seen.header("x-consul-knownleader"), "true");
    assert_eq!(seen.header("x-consul-lastcontact"), "0");
    assert_eq!(seen.header("x-consul-effective-consistency"), "leader");
    assert_eq!(seen.header("x-consul-default-acl-policy"), "allow");
    let pretty = desk.get("/v1/kv/a?pretty").await;
    assert!(
        pretty
            .body
            .starts_with("[\n    {\n        \"LockIndex\": 0,")
    );
    assert!(pretty.body.ends_with("]\n"));
}

#[tokio::test]
async fn a_path_is_one_key_however_it_is_escaped() {
    let desk = Desk::new();
    for (written, read) in [
        ("/v1/kv/a%2Fb", "/v1/kv/a/b"),
        ("/v1/kv/a//b", "/v1/kv/a%2F%2Fb"),
        ("/v1/kv/a/../b", "/v1/kv/a%2F..%2Fb"),
        ("/v1/kv/with%20space", "/v1/kv/with%20space"),
        ("/v1/kv/a:b%25c", "/v1/kv/a%3Ab%25c"),
        ("/v1/kv/%C3%A4.json", "/v1/kv/\u{e4}.json"),
        ("/v1/kv/folder/", "/v1/kv/folder%2F"),
        ("/v1/kv/a+b", "/v1/kv/a+b"),
    ] {
        desk.put(written, written).await.is(200, "true");
        desk.get(&format!("{read}?raw")).await.is(200, written);
    }
    desk.put("/v1/kv/empty", "").await.is(200, "true");
    assert_eq!(
        desk.get("/v1/kv/empty").await.json()[0]["Value"],
        json!(null)
    );
    let raw = desk.get("/v1/kv/empty?raw").await;
    raw.is(200, "");
    assert_eq!(raw.header("content-type"), "text/plain");
    assert_eq!(raw.header("x-content-type-options"), "nosniff");
    assert_eq!(raw.header("content-security-policy"), "sandbox");
}

#[tokio::test]
async fn what_is_not_there_is_a_404_with_an_index() {
    let desk = Desk::new();
    for uri in [
        "/v1/kv/none",
        "/v1/kv/none/?recurse",
        "/v1/kv/none/?keys",
        "/v1/kv/?recurse",
    ] {
        let seen = desk.get(uri).await;
        seen.is(404, "");
        assert!(seen.index() >= 1, "{uri}");
        assert_eq!(seen.header("content-type"), "");
    }
    desk.get("/v1/kv/?keys").await.is(200, "[]");
    desk.get("/v1/kv?keys").await.is(200, "[]");
    desk.get("/v1/kv/").await.is(400, "Missing key name");
}

#[tokio::test]
async fn lists_of_keys_stop_at_the_separator() {
    let desk = Desk::new();
    for key in ["a/b/c", "a/b/d", "a/e", "f"] {
        desk.put(&format!("/v1/kv/{key}"), key).await;
    }
    desk.get("/v1/kv/a/?keys")
        .await
        .is(200, r#"["a/b/c","a/b/d","a/e"]"#);
    desk.get("/v1/kv/a/?keys&separator=/")
        .await
        .is(200, r#"["a/b/","a/e"]"#);
    desk.get("/v1/kv/?keys&seperator=%2F&recurse&raw")
        .await
        .is(200, r#"["a/","f"]"#);
    let all = desk.get("/v1/kv/a?recurse=").await.json();
    let keys: Vec<_> = all
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| &entry["Key"])
        .collect();
    assert_eq!(keys, ["a/b/c", "a/b/d", "a/e"]);
}

#[tokio::test]
async fn compare_and_set_says_whether_it_did() {
    let desk = Desk::new();
    desk.put("/v1/kv/a?cas=0", "1").await.is(200, "true");
    desk.put("/v1/kv/a?cas=0", "2").await.is(200, "false");
    let index = desk.get("/v1/kv/a").await.index();
    desk.put(&format!("/v1/kv/a?cas={}", index + 1), "3")
        .await
        .is(200, "false");
    desk.put(&format!("/v1/kv/a?cas={index}"), "4")
        .await
        .is(200, "true");
    desk.ask("DELETE", &format!("/v1/kv/a?cas={index}"), "")
        .await
        .is(200, "false");
    let index = desk.get("/v1/kv/a").await.index();
    desk.ask("DELETE", &format!("/v1/kv/a?cas={index}"), "")
        .await
        .is(200, "true");
    desk.ask("DELETE", "/v1/kv/a?cas=5", "")
        .await
        .is(200, "true");
    desk.ask("DELETE", "/v1/kv/a", "").await.is(200, "true");
    desk.ask("DELETE", "/v1/kv/?recurse", "")
        .await
        .is(200, "true");
    desk.ask("DELETE", "/v1/kv/", "")
        .await
        .is(400, "Missing key name");
}

#[tokio::test]
async fn nonsense_is_refused() {
    let desk = Desk::new();
    let text = "strconv.ParseUint: parsing \"x\": invalid syntax";
    desk.put("/v1/kv/a?cas=x", "").await.is(400, text);
    desk.put("/v1/kv/a?flags=x", "").await.is(400, text);
    desk.get("/v1/kv/a?index=x").await.is(400, "Invalid index");
    desk.get("/v1/kv/a?wait=10&index=1")
        .await
        .is(400, "Invalid wait time");
    desk.put("/v1/kv/a?cas=1&acquire=x", "")
        .await
        .is(400, "Conflicting flags: acquire=x&cas=1\n");
    desk.ask("DELETE", "/v1/kv/a?recurse&cas=1", "")
        .await
        .is(400, "Conflicting flags: cas=1&recurse=\n");
    desk.get("/v1/kv/a?dc=elsewhere")
        .await
        .is(500, "No path to datacenter");
    desk.get("/v1/kv/a?dc=DEV").await.is(404, "");
    let big = vec![b'x'; 512 * 1024 + 1];
    let refused = desk.put("/v1/kv/a", &big).await;
    assert_eq!(refused.status, 413);
    assert!(
        refused
            .body
            .starts_with("Request body(524289 bytes) too large, max size: 524288 bytes. See ")
    );
    desk.put("/v1/kv/a", &big[1..]).await.is(200, "true");
}

async fn session(desk: &Desk, body: &str) -> String {
    let made = desk.put("/v1/session/create", body).await.json();
    made["ID"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_lock_has_one_holder() {
    let desk = Desk::new();
    let (one, two) = (session(&desk, "").await, session(&desk, "{}").await);
    desk.put(&format!("/v1/kv/l?acquire={one}"), "1")
        .await
        .is(200, "true");
    desk.put(&format!("/v1/kv/l?acquire={two}"), "2")
        .await
        .is(200, "false");
    desk.put(&format!("/v1/kv/l?acquire={one}&flags=7"), "3")
        .await
        .is(200, "true");
    let entry = desk.get("/v1/kv/l").await.json()[0].clone();
    assert_eq!(
        (&entry["LockIndex"], &entry["Session"]),
        (&json!(1), &json!(one))
    );
    desk.put("/v1/kv/l", "plain").await.is(200, "true");
    assert_eq!(desk.get("/v1/kv/l").await.json()[0]["Session"], json!(one));
    desk.put(&format!("/v1/kv/l?release={two}"), "")
        .await
        .is(200, "false");
    desk.put("/v1/kv/l?release=bogus", "")
        .await
        .is(200, "false");
    desk.put(&format!("/v1/kv/l?release={one}"), "out")
        .await
        .is(200, "true");
    assert_eq!(desk.get("/v1/kv/l").await.json()[0].get("Session"), None);
    desk.put(&format!("/v1/kv/l?acquire={two}"), "2")
        .await
        .is(200, "true");
    assert_eq!(desk.get("/v1/kv/l").await.json()[0]["LockIndex"], json!(2));
}

#[tokio::test]
async fn a_lock_for_no_session_is_an_error_that_begins_with_the_reason() {
    let desk = Desk::new();
    desk.put("/v1/kv/l?acquire=bogus", "")
        .await
        .is(500, "invalid session \"bogus\"");
    desk.put("/v1/kv/l?acquire", "")
        .await
        .is(500, "missing session");
    let gone = "00000000-0000-0000-0000-00000000000a";
    let text = format!("invalid session \"{gone}\"");
    desk.put(&format!("/v1/kv/l?acquire={gone}"), "")
        .await
        .is(500, &text);
}

#[tokio::test]
async fn after_a_holders_end_nobody_gets_the_lock_for_the_lock_delay() {
    let desk = Desk::new();
    let one = session(&desk, r#"{"LockDelay":"20s"}"#).await;
    let two = session(&desk, "").await;
    desk.put(&format!("/v1/kv/l?acquire={one}"), "1")
        .await
        .is(200, "true");
    desk.put(&format!("/v1/session/destroy/{one}"), "")
        .await
        .is(200, "true");
    let take = format!("/v1/kv/l?acquire={two}");
    desk.put(&take, "2").await.is(200, "false");
    assert_eq!(desk.get("/v1/kv/l").await.json()[0].get("Session"), None);
    desk.put("/v1/kv/l", "others may write")
        .await
        .is(200, "true");
    desk.leader.pass(Duration::from_secs(19));
    desk.put(&take, "2").await.is(200, "false");
    desk.leader.pass(Duration::from_secs(2));
    desk.put(&take, "2").await.is(200, "true");
    desk.put(&format!("/v1/kv/l?release={two}"), "")
        .await
        .is(200, "true");
    desk.put(&take, "2").await.is(200, "true");
}
