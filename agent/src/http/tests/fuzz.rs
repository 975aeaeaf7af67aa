//! Nothing that is sent makes the agent panic, and nothing of it ends as a broken answer.

use proptest::prelude::*;

use super::*;

fn path() -> impl Strategy<Value = String> {
    let known = proptest::sample::select(vec![
        "/v1/kv/",
        "/v1/session/create",
        "/v1/session/destroy/",
        "/v1/session/info/",
        "/v1/catalog/register",
        "/v1/catalog/deregister",
        "/v1/catalog/node/",
        "/v1/catalog/service/",
        "/v1/health/service/",
        "/v1/health/state/",
        "/v1/agent/service/register",
        "/v1/agent/service/deregister/",
        "/v1/agent/check/register",
        "/v1/agent/check/update/",
        "/v1/agent/service/maintenance/",
        "/v1/agent/service/",
        "/v1/agent/health/service/id/",
        "/v1/swarmer/status",
        "/v1/swarmer/tokens/create",
        "/metrics",
        "/",
        "",
    ]);
    (known, "([a-z/%.:_ -]|%[0-9a-f]{2}|\\PC){0,20}")
        .prop_map(|(known, tail)| format!("{known}{tail}"))
}

fn query() -> impl Strategy<Value = String> {
    let key = proptest::sample::select(vec![
        "stale",
        "consistent",
        "index",
        "keys",
        "recurse",
        "raw",
        "cas",
        "flags",
        "acquire",
        "release",
        "separator",
        "tag",
        "passing",
        "near",
        "node-meta",
        "max_stale",
        "pretty",
        "dc",
        "enable",
        "note",
        "hash",
        "wait",
    ]);
    let value = prop_oneof![
        Just(String::new()),
        Just("1ms".to_owned()),
        "[0-9]{1,22}",
        "[a-zA-Z0-9%+=;:/.-]{0,12}",
    ];
    proptest::collection::vec((key, value), 0..4).prop_map(|pairs| {
        let all = pairs.iter().map(|(key, value)| format!("{key}={value}"));
        // Waiting would make the test slow; how long is tested elsewhere.
        all.chain(["wait=1ms".to_owned()])
            .collect::<Vec<_>>()
            .join("&")
    })
}

fn body() -> impl Strategy<Value = Vec<u8>> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        "-?[0-9]{1,20}",
        "\"[a-z0-9.]{0,8}\"",
    ];
    let json = leaf.prop_recursive(3, 24, 6, |inner| {
        let key = proptest::sample::select(vec![
            "Name",
            "id",
            "Node",
            "Address",
            "TTL",
            "LockDelay",
            "Checks",
            "check",
            "Service",
            "tags",
            "Meta",
            "Weights",
            "port",
            "Interval",
            "HTTP",
            "Header",
            "TaggedAddresses",
            "Definition",
            "NodeChecks",
            "Status",
        ]);
        let fields = proptest::collection::vec((key, inner.clone()), 0..6).prop_map(|fields| {
            let all: Vec<_> = fields.iter().map(|(k, v)| format!("\"{k}\":{v}")).collect();
            format!("{{{}}}", all.join(","))
        });
        let list =
            proptest::collection::vec(inner, 0..3).prop_map(|list| format!("[{}]", list.join(",")));
        prop_oneof![3 => fields, 1 => list]
    });
    prop_oneof![
        4 => json.prop_map(String::into_bytes),
        1 => proptest::collection::vec(any::<u8>(), 0..64),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]
    #[test]
    fn nothing_that_is_sent_makes_the_agent_panic(
        requests in proptest::collection::vec(
            (proptest::sample::select(vec!["GET", "PUT", "DELETE", "OPTIONS", "X"]), path(), query(), body()),
            1..12,
        )
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let desk = Desk::new();
            let worker = Desk::worker_of(&desk);
            for (method, path, query, body) in requests {
                let uri = format!("{path}?{query}");
                for (desk, caller) in [
                    (&desk, Caller::plain()),
                    (&worker, Caller::plain()),
                    (&desk, Caller::socket()),
                ] {
                    let asking = desk.ask_as(caller, method, &uri, &body);
                    let seen = tokio::time::timeout(Duration::from_secs(20), asking).await.unwrap();
                    prop_assert!((200..=503).contains(&seen.status), "{seen:?}");
                    if seen.header("content-type") == "application/json" {
                        seen.json();
                    }
                }
            }
            Ok(())
        })?;
    }
}
