//! The agent is the authority for its own node, and the catalog follows.

use super::*;
use crate::model::CheckStatus;

#[tokio::test]
async fn anti_entropy_repairs_what_others_did_and_then_writes_nothing() {
    let desk = Desk::new();
    desk.put(
        "/v1/agent/service/register",
        r#"{"Name":"web","Check":{"TTL":"9s"}}"#,
    )
    .await
    .is(200, "");
    desk.put(
        "/v1/catalog/deregister",
        r#"{"Node":"n1","ServiceID":"web"}"#,
    )
    .await
    .is(200, "true");
    desk.put(
        "/v1/catalog/register",
        r#"{"Node":"n1","Address":"x","Service":{"Service":"foreign"}}"#,
    )
    .await
    .is(200, "true");
    desk.get("/v1/catalog/service/web").await.is(200, "[]");
    assert_eq!(desk.local.sync(&desk.store).await.unwrap(), 2);
    assert_eq!(
        desk.get("/v1/health/checks/web").await.json()[0]["CheckID"],
        "service:web"
    );
    desk.get("/v1/catalog/service/foreign").await.is(200, "[]");
    assert_eq!(desk.local.sync(&desk.store).await.unwrap(), 0);
    let services = desk.get("/v1/catalog/node/n1").await.json()["Services"].clone();
    assert_eq!(
        services["consul"]["Service"], "consul",
        "the cluster's own rows stay"
    );
}

#[tokio::test]
async fn a_new_output_alone_does_not_reach_the_catalog_at_once() {
    let desk = Desk::new();
    desk.put(
        "/v1/agent/check/register",
        r#"{"Name":"c","TTL":"10s","Status":"passing"}"#,
    )
    .await
    .is(200, "");
    let before = desk.get("/v1/health/node/n1").await.index();
    desk.put("/v1/agent/check/pass/c?note=new", "")
        .await
        .is(200, "");
    assert_eq!(desk.get("/v1/health/node/n1").await.index(), before);
    assert_eq!(
        desk.get("/v1/agent/checks").await.json()["c"]["Output"],
        "new"
    );
    desk.put("/v1/agent/check/fail/c?note=down", "")
        .await
        .is(200, "");
    let row = desk
        .store
        .state()
        .catalog()
        .check("n1", "c")
        .cloned()
        .unwrap();
    assert_eq!(
        (row.status, row.output.as_str()),
        (CheckStatus::Critical, "down")
    );
}

#[tokio::test]
async fn without_a_leader_the_agent_takes_the_service_and_publishes_later() {
    let desk = Desk::new();
    desk.leader.up.store(false, Ordering::SeqCst);
    desk.put("/v1/agent/service/register", r#"{"Name":"web"}"#)
        .await
        .is(200, "");
    assert_eq!(
        desk.get("/v1/agent/services").await.json()["web"]["Service"],
        "web"
    );
    desk.leader.up.store(true, Ordering::SeqCst);
    assert_eq!(desk.local.sync(&desk.store).await.unwrap(), 1);
    assert_eq!(
        desk.get("/v1/catalog/service/web").await.json()[0]["Node"],
        "n1"
    );
}
