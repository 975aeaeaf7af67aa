use serde_json::json;

use super::*;

fn item() -> Value {
    json!({
        "Node": {"Node": "web-1", "Meta": {"os": "linux", "k.k": "v"}},
        "Service": {"Service": "Web", "Tags": ["v1", "blue"], "Port": 80, "Meta": {},
                    "EnableTagOverride": true},
        "Checks": [{"Status": "passing", "Output": "a \"b\""}, {"Status": "critical"}],
    })
}

fn is_true(text: &str) -> Result<bool, String> {
    let parsed = parse::parse(text, Shape::Instance).map_err(|error| error.to_string())?;
    Ok(parsed.is_true_for(&item()))
}

#[test]
fn expressions_mean_what_consul_says() {
    for (text, wanted) in [
        ("Service.Service == Web", true),
        ("Service.Service == \"web\"", false),
        ("Service.Service != `web`", true),
        ("Service.Port==80", true),
        ("Service.EnableTagOverride == true", true),
        ("\"v1\" in Service.Tags", true),
        ("v2 not in Service.Tags", true),
        ("Service.Tags contains \"blue\"", true),
        ("Service.Tags not contains \"blue\"", false),
        ("Service.Service contains \"eb\"", true),
        ("Node.Meta.os == linux", true),
        ("Node.Meta[\"k.k\"] == \"v\"", true),
        ("os in Node.Meta", true),
        ("Node.Meta.none == \"\"", false),
        ("Node.Meta.none != x", true),
        ("Node.Meta.none is empty", true),
        ("Node.Meta.none is not empty", false),
        ("Service.Meta is empty", true),
        ("(Service.Tags is not empty)", true),
        ("Node.Node matches \"^web-\"", true),
        ("Node.Node not matches \"^db-\"", true),
        ("Checks.Status == \"critical\"", true),
        ("not (Checks.Status != \"passing\")", false),
        ("Checks.Output == \"a \\\"b\\\"\"", true),
        (
            "Service.Port == 80 and Node.Node == x or Service.Service == Web",
            true,
        ),
        (
            "Service.Service == Web or Node.Node == x and Node.Node == y",
            true,
        ),
        ("not Service.Port == 80 or not(Node.Node == x)", true),
        ("not not Service.Port == 80", true),
        (" ( Service.Port == 80 ) ", true),
    ] {
        assert_eq!(is_true(text), Ok(wanted), "{text}");
    }
}

#[test]
fn what_is_no_filter_is_refused_and_named() {
    for (text, reason) in [
        ("", "at byte 0: found \"\", want a selector or a value"),
        (
            "Service",
            "at byte 7: found \"\", want an operator (==, !=, in, contains, matches, is empty)",
        ),
        (
            "Service.Nope == 1",
            "Selector \"Service.Nope\" is not valid",
        ),
        ("\"x\" == Service.Port", "Selector \"x\" is not valid"),
        (
            "Service.Port == 1 AND Service.Port == 2",
            "at byte 18: found \"AND Service.Port == \", want \"and\", \"or\" or the end",
        ),
        ("(Service.Port == 1", "at byte 18: found \"\", want \")\""),
        (
            "Service.Service == \"x",
            "at byte 19: found \"\\\"x\", want a closing quote",
        ),
        (
            "Service.Port is nothing",
            "at byte 16: found \"nothing\", want \"empty\"",
        ),
    ] {
        assert_eq!(is_true(text), Err(reason.into()), "{text}");
    }
    assert_eq!(
        is_true(&"(".repeat(9999)),
        Err("nested deeper than 64 levels".into())
    );
    let bomb = is_true("Node.Node matches \"((a{100}){100}){100}\"").unwrap_err();
    assert!(
        bomb.starts_with("Failed to compile regular expression: "),
        "{bomb}"
    );
    let long = vec!["Service.Port == 80"; 5000].join(" and ");
    assert_eq!(is_true(&long), Ok(true));
}

proptest::proptest! {
    #[test]
    fn nothing_makes_the_parser_panic(text in "([A-Za-z.\\[\\]\"`()=! ]|not |and |in |is |\\PC){0,60}") {
        let _ = is_true(&text);
        let _ = is_true(&format!("Service.Port {text}"));
        let _ = is_true(&format!("Service.Service == {text}"));
    }
}
