//! Rules of the API as a whole: consistency, roles, methods, error texts.

use super::*;

#[tokio::test]
async fn r6_without_a_leader_only_stale_reads_are_answered() {
    let desk = Desk::new();
    desk.put("/v1/kv/a", "1").await.is(200, "true");
    desk.leader.up.store(false, Ordering::SeqCst);
    for uri in [
        "/v1/kv/a",
        "/v1/kv/a?consistent",
        "/v1/kv/a?index=1",
        "/v1/catalog/nodes",
        "/v1/catalog/service/x",
        "/v1/health/service/x",
        "/v1/session/list",
        "/v1/health/state/any",
    ] {
        desk.get(uri).await.is(500, "No cluster leader");
    }
    desk.put("/v1/kv/a", "2").await.is(500, "No cluster leader");
    for uri in [
        "/v1/kv/a?stale",
        "/v1/catalog/nodes?stale=0",
        "/v1/health/service/x?cached",
    ] {
        let seen = desk.get(uri).await;
        assert_eq!(seen.status, 200, "{uri}");
        assert_eq!(seen.header("x-consul-knownleader"), "false");
        assert_eq!(seen.header("x-consul-lastcontact"), "1500");
        assert_eq!(seen.header("x-consul-effective-consistency"), "stale");
    }
    desk.get("/v1/status/leader").await.is(200, "\"\"");
    assert_eq!(desk.get("/healthz").await.status, 503);
}

#[tokio::test]
async fn r6_a_worker_answers_stale_catalog_reads_itself_and_hands_on_the_rest() {
    let server = Desk::new();
    let worker = Desk::worker_of(&server);
    worker.put("/v1/kv/a?flags=3", "1").await.is(200, "true");
    let here = worker.get("/v1/kv/a?pretty").await;
    assert_eq!(
        here,
        server.get("/v1/kv/a?pretty").await,
        "given back as it came"
    );
    worker.get("/v1/kv/none").await.is(404, "");
    let made = worker.put("/v1/session/create", "").await.json();
    let id = made["ID"].as_str().unwrap();
    let session = worker.get(&format!("/v1/session/info/{id}")).await.json();
    assert_eq!(
        session[0]["Node"], "w1",
        "a session is the worker's own by default"
    );
    let body = r#"{"Node":"new","Address":"1.1.1.1"}"#;
    server
        .put("/v1/catalog/register", body)
        .await
        .is(200, "true");
    let count = async |uri| worker.get(uri).await.json().as_array().unwrap().len();
    assert_eq!(
        count("/v1/catalog/nodes").await,
        3,
        "a default read is the server's answer"
    );
    assert_eq!(
        count("/v1/catalog/nodes?stale").await,
        2,
        "a stale one comes from memory"
    );
    worker.leader.up.store(false, Ordering::SeqCst);
    worker
        .get("/v1/catalog/nodes")
        .await
        .is(500, "No cluster leader");
    worker
        .get("/v1/kv/a?stale")
        .await
        .is(500, "No cluster leader");
    assert_eq!(count("/v1/catalog/nodes?cached").await, 2);
    assert_eq!(worker.get("/v1/agent/self").await.status, 200);
}

#[tokio::test]
async fn t6_a_worker_writes_its_own_rows_and_those_without_an_agent() {
    let server = Desk::new();
    let _worker = Desk::worker_of(&server);
    let caller = Caller::rpc(Role::Worker, WORKER);
    let body = |node: &str| {
        format!(r#"{{"Node":"{node}","Address":"1.1.1.1","Service":{{"Service":"x"}}}}"#)
    };
    for (node, status) in [("w1", 200), ("external", 200), ("n1", 403)] {
        let done = server
            .ask_as(caller, "PUT", "/v1/catalog/register", body(node))
            .await;
        assert_eq!(done.status, status, "{node}: {}", done.body);
        let done = server
            .ask_as(caller, "PUT", "/v1/catalog/deregister", body(node))
            .await;
        assert_eq!(done.status, status, "{node}: {}", done.body);
    }
    let own = server
        .ask_as(caller, "PUT", "/v1/agent/service/register", body("w1"))
        .await;
    assert_eq!(
        own.status, 403,
        "an agent's services are registered at that agent"
    );
}

#[tokio::test]
async fn t6_operators_calls_are_never_answered_on_plain_http_or_to_nodes() {
    let desk = Desk::new();
    let calls = [
        ("GET", "/v1/swarmer/tokens"),
        ("PUT", "/v1/swarmer/tokens/create"),
        ("PUT", "/v1/swarmer/tokens/rotate"),
        ("PUT", "/v1/swarmer/tokens/revoke/0011223344556677"),
        ("PUT", "/v1/swarmer/members/remove/n1"),
        ("PUT", "/v1/swarmer/leave"),
        ("PUT", "/v1/agent/leave"),
        ("PUT", "/v1/agent/force-leave/n1"),
        ("GET", "/v1/swarmer/log-level"),
        ("GET", "/v1/snapshot"),
        ("PUT", "/v1/snapshot"),
    ];
    let body = r#"{"Role":"worker"}"#;
    for (method, uri) in calls {
        for caller in [
            Caller::plain(),
            Caller::rpc(Role::Server, NODE),
            Caller::rpc(Role::Worker, WORKER),
            Caller::tls(None),
            Caller::tls(Some((Role::Worker, Some(WORKER)))),
        ] {
            let seen = desk.ask_as(caller, method, uri, body).await;
            assert_eq!(seen.status, 403, "{method} {uri} {caller:?}: {}", seen.body);
            assert!(
                seen.body.starts_with("Permission denied: "),
                "{}",
                seen.body
            );
        }
        for caller in [Caller::socket(), Caller::tls(Some((Role::Operator, None)))] {
            let seen = desk.ask_as(caller, method, uri, body).await;
            assert_eq!(seen.status, 200, "{method} {uri} {caller:?}: {}", seen.body);
        }
    }
    let tls = Caller::tls(None);
    assert_eq!(desk.ask_as(tls, "GET", "/v1/kv/a", "").await.status, 403);
    assert_eq!(desk.ask_as(tls, "GET", "/metrics", "").await.status, 403);
    assert_eq!(desk.ask_as(tls, "GET", "/healthz", "").await.status, 200);
}

#[tokio::test]
async fn operators_get_what_they_ask_for() {
    let desk = Desk::new();
    let operator = Caller::socket();
    let made = desk
        .ask_as(
            operator,
            "PUT",
            "/v1/swarmer/tokens/create",
            r#"{"Role":"worker","Description":"d"}"#,
        )
        .await
        .json();
    assert_eq!(
        (&made["Token"], &made["ID"]),
        (&"top-secret".into(), &"0011223344556677".into())
    );
    let answer = TokenAnswer::Made {
        token: "top-secret".into(),
        view: TokenView {
            id: String::new(),
            role: Role::Worker,
            description: String::new(),
            created: 0,
            revoked: false,
        },
    };
    assert!(
        !format!("{answer:?}").contains("top-secret"),
        "a token is never in a log"
    );
    let wrong = desk
        .ask_as(
            operator,
            "PUT",
            "/v1/swarmer/tokens/create",
            r#"{"Role":"x"}"#,
        )
        .await;
    wrong.is(400, "\"x\" is not a role: use server, worker or operator");
    let revoke = desk
        .ask_as(operator, "PUT", "/v1/swarmer/tokens/revoke/zz", "")
        .await;
    revoke.is(
        400,
        "\"zz\" is not a token id: it has 16 hexadecimal digits",
    );
    let level = desk
        .ask_as(
            operator,
            "PUT",
            "/v1/swarmer/log-level",
            r#"{"Level":"debug"}"#,
        )
        .await;
    level.is(200, r#"{"Level":"debug"}"#);
    let gone = desk
        .ask_as(operator, "PUT", "/v1/swarmer/members/remove/none", "")
        .await;
    gone.is(404, "there is no member \"none\"");
    let snapshot = desk.ask_as(operator, "GET", "/v1/snapshot", "").await;
    snapshot.is(200, "archive");
    assert_eq!(snapshot.index(), 7);
}

#[tokio::test]
async fn methods_and_paths_that_dont_exist_are_told_in_consuls_words() {
    let desk = Desk::new();
    let seen = desk.ask("POST", "/v1/kv/a", "").await;
    seen.is(405, "method POST not allowed");
    assert_eq!(seen.header("allow"), "OPTIONS,GET,PUT,DELETE");
    assert_eq!(seen.header("content-type"), "text/plain; charset=utf-8");
    desk.ask("HEAD", "/v1/kv/a", "")
        .await
        .is(405, "method HEAD not allowed");
    desk.get("/v1/session/create")
        .await
        .is(405, "method GET not allowed");
    let options = desk.ask("OPTIONS", "/v1/catalog/nodes", "").await;
    options.is(200, "");
    assert_eq!(options.header("allow"), "OPTIONS,GET");
    desk.get("/v1/nope").await.is(
        404,
        "Invalid URL path: not a recognized HTTP API endpoint\n",
    );
    desk.get("/nope").await.is(
        404,
        "Invalid URL path: if attempting to use the HTTP API, ensure the path starts with '/v1/'\n",
    );
    desk.get("/v1/kv/a?x=%zz").await.is(500, "");
    assert_eq!(desk.get("/").await.status, 200);
    for uri in ["/v1/acl/tokens", "/v1/acl/token/self"] {
        desk.get(uri).await.is(401, "ACL support disabled");
    }
    desk.put("/v1/acl/bootstrap", "")
        .await
        .is(401, "ACL support disabled");
    desk.put("/v1/agent/token/default", "{}")
        .await
        .is(401, "ACL support disabled");
    desk.get("/v1/catalog/nodes?token=whatever").await.json();
    desk.get("/v1/query").await.is(200, "[]");
    let off = "Connect must be enabled in order to use this endpoint";
    desk.get("/v1/agent/connect/ca/roots").await.is(500, off);
}

#[tokio::test]
async fn metrics_are_prometheus_text_with_other_rooms_figures() {
    let desk = Desk::new();
    desk.get("/v1/kv/a").await.is(404, "");
    let page = desk.get("/metrics").await;
    assert_eq!(
        page.header("content-type"),
        "text/plain; version=0.0.4; charset=utf-8"
    );
    for line in [
        "swarmer_http_responses_total{class=\"4xx\"} 1",
        "swarmer_leader_known 1",
        "swarmer_members{status=\"alive\"} 1",
        "other_room 1",
    ] {
        assert!(
            page.body.lines().any(|have| have == line),
            "{line} in\n{}",
            page.body
        );
    }
}
