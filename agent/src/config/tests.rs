//! x
use super::*;

#[test]
fn probe() {
    let nest = [
        "[".repeat(255 << 10),
        "{".repeat(255 << 10),
        "[[[[[[[[[[[[[[]]]]]]]]]]]]]],".repeat(9000),
        "x: ".repeat(80 << 10),
        "\"a\" ".repeat(50 << 10),
        "- &a\n".repeat(40 << 10),
        "- &a x\n".repeat(36 << 10),
        format!(
            "a: &a [{}]\nb: &b [{}]\nc: [{}]\n",
            "x,".repeat(99),
            "*a,".repeat(99),
            "*b,".repeat(99)
        ),
        format!(
            "a: &a {}\nb: [{}]",
            "x".repeat(200 << 10),
            "*a,".repeat(9999)
        ),
        "%".repeat(255 << 10),
        format!("- {}\n", "?".repeat(255 << 10)),
        "!".repeat(255 << 10),
        "|\n".repeat(120 << 10),
        " ".repeat(255 << 10),
        format!("{}a: b", " ".repeat(255 << 10)),
        (0..2000)
            .map(|i| format!("{}a:\n", " ".repeat(i.min(120))))
            .collect::<String>(),
        (0..700)
            .map(|i| format!("{}a:\n", " ".repeat(i)))
            .collect::<String>(),
        (0..700)
            .map(|i| format!("{}- \n", " ".repeat(i)))
            .collect::<String>(),
        "- ".repeat(127 << 10),
        "? ".repeat(127 << 10),
        "- - - - - - - - - - - - - - x\n".repeat(8000),
        ": ".repeat(127 << 10),
        ":\n".repeat(127 << 10),
        "? a\n".repeat(60 << 10),
        "? [a]: b\n".repeat(20 << 10),
        "a: b\n".repeat(4990),
        "a: b\n".repeat(50000),
        "a:b\n".repeat(50000),
        "[a: b,".repeat(999),
        "{a: ".repeat(999),
        format!("{}{}", "{a: ".repeat(999), "b".repeat(1 << 17)),
        format!("{}{}", "{a: ".repeat(999), "b,".repeat(1 << 17)),
        format!("{}{}", "[".repeat(999), "b,".repeat(1 << 16)),
        "--- x\n".repeat(40000),
        "token: s3cret\n--- \n".to_string(),
        "s3cret".into(),
        "- s3cret".into(),
        "{token:s3cret}".into(),
        "token: !!int s3cret".into(),
        "token: !x s3cret".into(),
        "\ttoken: s3cret".into(),
        "a:\n\t- b: s3cret".into(),
        "token: *s3cret".into(),
        "*s3cret: a".into(),
        "token: 's3cret\n".into(),
        "token: [s3cret".into(),
        "\u{feff}stack: b".into(),
        "token: @s3cret".into(),
        "token: a: s3cret".into(),
        "token: \"\\s3cret\"".into(),
        "a: b\n  c: s3cret".into(),
        "a: b\n c\nd\n".into(),
        "\u{0}".into(),
        "".into(),
        "# x".into(),
        "a: %s3cret".into(),
        "%s3cret".into(),
    ];
    for text in nest {
        let s = crate::task::clock::now();
        let e = Config::parse("swarmer.yaml", &text).unwrap_err();
        println!(
            "{:?} {:?}\n      {}",
            s.elapsed(),
            text.chars().take(20).collect::<String>(),
            e.to_string().lines().next().unwrap()
        );
    }
}
