use crate::task::{self, TaskHandle};

use super::*;

const PROMPT: Duration = Duration::from_secs(5);

/// A request that runs on while the test goes on; waits until it waits.
async fn pending(desk: &Arc<Desk>, uri: String) -> TaskHandle<Seen> {
    let before = desk.api.metrics().waiters();
    let asking = Arc::clone(desk);
    let task = task::spawn("asking", async move { asking.get(&uri).await });
    while desk.api.metrics().waiters() == before {
        assert!(!task.is_finished(), "it was answered at once");
        tokio::task::yield_now().await;
    }
    tokio::task::yield_now().await;
    task
}

async fn answer(task: TaskHandle<Seen>) -> Seen {
    tokio::time::timeout(PROMPT, task.join())
        .await
        .unwrap()
        .unwrap()
}

async fn desk_with(keys: &[&str]) -> Arc<Desk> {
    let desk = Arc::new(Desk::new());
    for key in keys {
        desk.put(&format!("/v1/kv/{key}"), "1").await;
    }
    desk
}

#[tokio::test]
async fn a_key_watcher_wakes_for_its_key_and_not_for_a_sibling() {
    let desk = desk_with(&["a", "b"]).await;
    let index = desk.get("/v1/kv/a").await.index();
    let waiting = pending(&desk, format!("/v1/kv/a?index={index}")).await;
    desk.put("/v1/kv/b", "2").await;
    desk.put("/v1/kv/a", "1").await;
    tokio::task::yield_now().await;
    assert!(
        !waiting.is_finished(),
        "a sibling, and an equal value, are no news"
    );
    desk.put("/v1/kv/a", "2").await;
    let seen = answer(waiting).await;
    assert_eq!(seen.json()[0]["Value"], "Mg==");
    assert!(seen.index() > index);
}

#[tokio::test]
async fn a_prefix_watcher_wakes_for_a_recursive_delete_above_it() {
    let desk = desk_with(&["a/b/c", "z"]).await;
    let index = desk.get("/v1/kv/a/b/?recurse").await.index();
    let waiting = pending(&desk, format!("/v1/kv/a/b/?recurse&index={index}")).await;
    desk.ask("DELETE", "/v1/kv/a/?recurse", "")
        .await
        .is(200, "true");
    let seen = answer(waiting).await;
    seen.is(404, "");
    assert!(seen.index() > index);
}

#[tokio::test]
async fn a_watcher_of_an_absent_key_wakes_when_it_comes() {
    let desk = desk_with(&["other"]).await;
    let index = desk.get("/v1/kv/a").await.index();
    let waiting = pending(&desk, format!("/v1/kv/a?index={index}")).await;
    desk.put("/v1/kv/other", "2").await;
    tokio::task::yield_now().await;
    assert!(!waiting.is_finished());
    desk.put("/v1/kv/a", "1").await;
    assert_eq!(answer(waiting).await.status, 200);
}

#[tokio::test]
async fn a_wait_that_is_over_gives_the_same_index() {
    let desk = desk_with(&["a"]).await;
    let index = desk.get("/v1/kv/a").await.index();
    let start = task::clock::now();
    let seen = desk
        .get(&format!("/v1/kv/a?index={index}&wait=160ms"))
        .await;
    let took = start.elapsed();
    assert_eq!((seen.status, seen.index()), (200, index));
    assert!(
        took >= Duration::from_millis(160) && took < Duration::from_millis(400),
        "{took:?}"
    );
    let old = desk.get("/v1/kv/a?index=1&wait=10m").await;
    assert_eq!(old.index(), index, "older indexes are answered at once");
}

#[tokio::test]
async fn leaving_ends_the_wait() {
    let desk = desk_with(&["a"]).await;
    let index = desk.get("/v1/kv/a").await.index();
    let waiting = pending(&desk, format!("/v1/kv/a?index={index}")).await;
    waiting.abort();
    while desk.api.metrics().waiters() > 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn watchers_of_sessions_services_and_nodes_wake_for_theirs() {
    let desk = desk_with(&[]).await;
    let register = r#"{"Node":"ext","Address":"1.2.3.4","Service":{"Service":"web"}}"#;
    for (uri, method, change, body) in [
        ("/v1/session/list", "PUT", "/v1/session/create", "{}"),
        (
            "/v1/catalog/service/web",
            "PUT",
            "/v1/catalog/register",
            register,
        ),
        (
            "/v1/catalog/services",
            "PUT",
            "/v1/catalog/deregister",
            r#"{"Node":"ext"}"#,
        ),
        ("/v1/catalog/nodes", "PUT", "/v1/catalog/register", register),
        (
            "/v1/health/service/web",
            "PUT",
            "/v1/catalog/register",
            r#"{"Node":"ext","SkipNodeUpdate":true,"Check":{"Name":"c","Status":"passing"}}"#,
        ),
        (
            "/v1/health/state/any",
            "PUT",
            "/v1/catalog/register",
            r#"{"Node":"ext","SkipNodeUpdate":true,"Check":{"Name":"c","Status":"critical"}}"#,
        ),
        (
            "/v1/catalog/node/EXT",
            "PUT",
            "/v1/catalog/deregister",
            r#"{"Node":"ext","ServiceID":"web"}"#,
        ),
    ] {
        let index = desk.get(uri).await.index();
        let waiting = pending(&desk, format!("{uri}?index={index}")).await;
        desk.ask(method, change, body).await;
        let seen = answer(waiting).await;
        assert!(seen.index() > index, "{uri}");
    }
}

#[tokio::test]
async fn identical_registrations_are_no_news_and_a_new_output_is() {
    let desk = desk_with(&[]).await;
    let check = |output: &str| {
        format!(
            r#"{{"Node":"ext","Address":"1.2.3.4","Service":{{"Service":"web","Tags":["a"]}},
                "Check":{{"Name":"c","ServiceID":"web","Status":"passing","Output":"{output}"}}}}"#
        )
    };
    let uris = [
        "/v1/catalog/nodes",
        "/v1/catalog/services",
        "/v1/health/service/web",
        "/v1/health/state/any",
    ];
    desk.put("/v1/catalog/register", check("1"))
        .await
        .is(200, "true");
    for uri in uris {
        let before = desk.get(uri).await.index();
        desk.put("/v1/catalog/register", check("1"))
            .await
            .is(200, "true");
        assert_eq!(desk.get(uri).await.index(), before, "{uri}");
    }
    let before = desk.get("/v1/health/service/web").await.index();
    desk.put("/v1/catalog/register", check("2"))
        .await
        .is(200, "true");
    assert!(desk.get("/v1/health/service/web").await.index() > before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_change_between_the_look_and_the_wait_is_missed() {
    let desk = desk_with(&["a"]).await;
    for round in 0..300 {
        let index = desk.get("/v1/kv/a").await.index();
        let asking = Arc::clone(&desk);
        let uri = format!("/v1/kv/a?index={index}");
        let waiting = task::spawn("asking", async move { asking.get(&uri).await });
        desk.put("/v1/kv/a", format!("{round}")).await;
        assert!(answer(waiting).await.index() > index, "round {round}");
    }
}
