use serde_json::{Value, json};

use super::*;

async fn external(desk: &Desk, node: &str, tag: &str, status: &str) {
    let body = json!({
        "node": node, "address": "1.2.3.4", "nodemeta": {"zone": node},
        "service": {"id": format!("web-{node}"), "service": "Web", "tags": [tag, "all"], "port": 80},
        "check": {"name": "up", "serviceid": format!("web-{node}"), "status": status},
    });
    desk.put("/v1/catalog/register", body.to_string())
        .await
        .is(200, "true");
}

fn names<'a>(list: &'a Value, path: &str) -> Vec<&'a str> {
    let all = list.as_array().unwrap().iter();
    all.map(|row| row.pointer(path).unwrap().as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn catalog_and_health_list_the_same_instances_in_the_same_order() {
    let desk = Desk::new();
    for (node, status) in [("c", "passing"), ("a", "warning"), ("b", "critical")] {
        external(&desk, node, "Blue", status).await;
    }
    let catalog = desk.get("/v1/catalog/service/web").await.json();
    let health = desk.get("/v1/health/service/WEB").await.json();
    assert_eq!(names(&catalog, "/ServiceID"), ["web-a", "web-b", "web-c"]);
    assert_eq!(names(&health, "/Service/ID"), ["web-a", "web-b", "web-c"]);
    assert!(
        names(&catalog, "/ID").iter().all(|id| id.len() == 36),
        "every node has an id"
    );
    let passing = desk.get("/v1/health/service/web?passing=1").await.json();
    assert_eq!(names(&passing, "/Node/Node"), ["c"]);
    let all = desk
        .get("/v1/health/service/web?passing=false")
        .await
        .json();
    assert_eq!(all.as_array().unwrap().len(), 3);
    desk.get("/v1/health/service/web?passing=x")
        .await
        .is(400, "Invalid value for ?passing");
    let near = desk.get("/v1/catalog/service/web?near=C").await.json();
    assert_eq!(names(&near, "/Node"), ["c", "a", "b"]);
    let zone = desk
        .get("/v1/health/service/web?node-meta=zone:b&tag=blue")
        .await
        .json();
    assert_eq!(names(&zone, "/Node/Node"), ["b"]);
    for (query, count) in [("tag=BLUE&tag=all", 3), ("tag=blue&tag=red", 0)] {
        let found = desk
            .get(&format!("/v1/catalog/service/web?{query}"))
            .await
            .json();
        assert_eq!(found.as_array().unwrap().len(), count, "{query}");
    }
}

#[tokio::test]
async fn rows_have_consuls_shape() {
    let desk = Desk::new();
    external(&desk, "ext", "a", "passing").await;
    let flat = desk.get("/v1/catalog/service/web").await.json()[0].clone();
    let id = flat["ID"].as_str().unwrap();
    let (create, modify) = (&flat["CreateIndex"], &flat["ModifyIndex"]);
    assert_eq!(
        flat,
        json!({
            "ID": id, "Node": "ext", "Address": "1.2.3.4", "Datacenter": "dev",
            "TaggedAddresses": {}, "NodeMeta": {"zone": "ext"}, "ServiceKind": "",
            "ServiceID": "web-ext", "ServiceName": "Web", "ServiceTags": ["a", "all"],
            "ServiceAddress": "", "ServiceWeights": {"Passing": 1, "Warning": 1},
            "ServiceMeta": {}, "ServicePort": 80, "ServiceSocketPath": "",
            "ServiceEnableTagOverride": false,
            "ServiceProxy": {"Mode": "", "MeshGateway": {}, "Expose": {}},
            "ServiceConnect": {}, "ServiceLocality": null,
            "CreateIndex": create, "ModifyIndex": modify,
        })
    );
    let health = desk.get("/v1/health/service/web").await.json()[0].clone();
    assert_eq!(
        health["Checks"],
        json!([{
            "Node": "ext", "CheckID": "up", "Name": "up", "Status": "passing", "Notes": "",
            "Output": "", "ServiceID": "web-ext", "ServiceName": "Web",
            "ServiceTags": ["a", "all"], "Type": "", "Interval": "", "Timeout": "",
            "ExposedPort": 0, "Definition": {}, "CreateIndex": create, "ModifyIndex": modify,
        }])
    );
    assert_eq!(health["Service"]["Service"], "Web");
    let node = desk.get("/v1/catalog/node/EXT").await.json();
    assert_eq!(node["Services"]["web-ext"]["Port"], 80);
    assert_eq!(
        desk.get(&format!("/v1/catalog/node/{id}")).await.json(),
        node
    );
    let list = desk.get("/v1/catalog/node-services/ext").await.json();
    assert_eq!(list["Services"], json!([node["Services"]["web-ext"]]));
}

#[tokio::test]
async fn what_is_not_there_is_empty_and_not_an_error() {
    let desk = Desk::new();
    desk.get("/v1/catalog/node/none").await.is(200, "null");
    let none = desk.get("/v1/catalog/node-services/none").await;
    none.is(200, r#"{"Node":null,"Services":[]}"#);
    desk.get("/v1/catalog/service/none").await.is(200, "[]");
    desk.get("/v1/health/service/none").await.is(200, "[]");
    desk.get("/v1/health/node/none").await.is(200, "[]");
    desk.get("/v1/catalog/connect/none").await.is(200, "[]");
    desk.get("/v1/catalog/service/")
        .await
        .is(400, "Missing service name");
    desk.get("/v1/catalog/node/")
        .await
        .is(400, "Missing node name");
    desk.get("/v1/health/state/")
        .await
        .is(400, "Missing check state");
    desk.get("/v1/catalog/datacenters")
        .await
        .is(200, r#"["dev"]"#);
    assert!(desk.get("/v1/catalog/service/none").await.index() >= 1);
}

#[tokio::test]
async fn services_are_names_with_the_union_of_their_tags() {
    let desk = Desk::new();
    external(&desk, "a", "blue", "passing").await;
    external(&desk, "b", "red", "passing").await;
    desk.put(
        "/v1/catalog/register",
        r#"{"Node":"a","Address":"1.2.3.4","Service":{"Service":"bare"}}"#,
    )
    .await;
    let all = desk.get("/v1/catalog/services").await.json();
    assert_eq!(all["Web"], json!(["all", "blue", "red"]));
    assert_eq!(all["bare"], json!([]));
    let some = desk
        .get("/v1/catalog/services?node-meta=zone:b")
        .await
        .json();
    assert_eq!(some, json!({"Web": ["all", "red"]}));
}

#[tokio::test]
async fn a_catalog_write_that_makes_no_sense_is_a_500_in_consuls_words() {
    let desk = Desk::new();
    for (body, text) in [
        ("{}", "Must provide node"),
        (
            r#"{"Node":"x"}"#,
            "Must provide address if SkipNodeUpdate is not set",
        ),
        (
            r#"{"Node":"x","Address":"1.1.1.1","Service":{"ID":"a"}}"#,
            "Must provide service name (Service.Service) when service ID is provided",
        ),
        (
            r#"{"Node":"x","Address":"1.1.1.1","Service":{"Service":"a","Address":"0.0.0.0"}}"#,
            "Invalid service address",
        ),
        (
            r#"{"Node":"x","Address":"1.1.1.1","Datacenter":"elsewhere"}"#,
            "No path to datacenter",
        ),
    ] {
        desk.put("/v1/catalog/register", body).await.is(500, text);
    }
    let bad_id = desk
        .put(
            "/v1/catalog/register",
            r#"{"Node":"x","Address":"1","ID":"zz"}"#,
        )
        .await;
    assert!(
        bad_id.status == 500 && bad_id.body.starts_with("Bad node ID: "),
        "{bad_id:?}"
    );
    desk.put("/v1/catalog/deregister", "{}")
        .await
        .is(500, "Must provide node");
    desk.put("/v1/catalog/deregister", r#"{"Node":"none"}"#)
        .await
        .is(200, "true");
    desk.put("/v1/catalog/register", "")
        .await
        .is(400, "Request decode failed: EOF");
}

#[tokio::test]
async fn others_can_add_to_a_members_node_but_not_change_its_row() {
    let desk = Desk::new();
    let before = desk.get("/v1/catalog/node/n1").await.json()["Node"].clone();
    let body = r#"{"Node":"N1","Address":"6.6.6.6","Service":{"Service":"web"}}"#;
    desk.put("/v1/catalog/register", body).await.is(200, "true");
    let after = desk.get("/v1/catalog/node/n1").await.json();
    assert_eq!(after["Node"], before);
    assert_eq!(after["Services"]["web"]["Service"], "web");
}

#[tokio::test]
async fn filters_keep_what_they_are_true_for() {
    let desk = Desk::new();
    for (node, status) in [("a", "passing"), ("b", "critical")] {
        external(&desk, node, node, status).await;
    }
    desk.put(
        "/v1/agent/service/register",
        r#"{"Name":"own","Tags":["x"],"Check":{"TTL":"9s"}}"#,
    )
    .await
    .is(200, "");
    for (uri, filter, path, wanted) in [
        ("/v1/catalog/nodes", "Meta.zone==b", "/Node", "b"),
        ("/v1/catalog/service/web", "a+in+ServiceTags", "/Node", "a"),
        (
            "/v1/health/service/web",
            "Checks.Status==critical",
            "/Node/Node",
            "b",
        ),
        (
            "/v1/health/state/any",
            "Status==critical+and+Node==b",
            "/CheckID",
            "up",
        ),
        ("/v1/health/node/a", "Status==passing", "/CheckID", "up"),
        ("/v1/health/checks/web", "Status==passing", "/Node", "a"),
        (
            "/v1/catalog/node-services/n1",
            "Service==consul",
            "/ID",
            "consul",
        ),
    ] {
        let found = desk.get(&format!("{uri}?filter={filter}")).await.json();
        let found = found.get("Services").unwrap_or(&found);
        assert_eq!(names(found, path), [wanted], "{uri}");
        let wrong = desk.get(&format!("{uri}?filter=Nope==b")).await;
        let text = "Failed to create boolean expression evaluator: Selector \"Nope\" is not valid";
        wrong.is(400, text);
    }
    let services = desk
        .get("/v1/catalog/services?filter=NodeMeta.zone==b")
        .await
        .json();
    assert_eq!(services, json!({"Web": ["all", "b"]}));
    let node = desk
        .get("/v1/catalog/node/n1?filter=Service==own")
        .await
        .json();
    assert_eq!(
        node["Services"]
            .as_object()
            .unwrap()
            .keys()
            .collect::<Vec<_>>(),
        ["own"]
    );
    let own = desk.get("/v1/agent/services?filter=x+in+Tags").await.json();
    assert_eq!(own["own"]["Service"], "own");
    desk.get("/v1/agent/services?filter=Service==other")
        .await
        .is(200, "{}");
    desk.get("/v1/agent/checks?filter=Status==passing")
        .await
        .is(200, "{}");
}
