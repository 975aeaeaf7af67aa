//! Spans of time as Go writes them (<https://pkg.go.dev/time#ParseDuration>): `300ms`, `1.5h`,
//! `1h2m3s`. Consul's API speaks this, and so does our configuration.

use std::time::Duration;

const UNITS: [(&str, u64); 8] = [
    ("ns", 1),
    ("us", 1_000),
    // The micro sign, and the Greek letter that looks like it.
    ("\u{b5}s", 1_000),
    ("\u{3bc}s", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60 * 1_000_000_000),
    ("h", 3_600 * 1_000_000_000),
];

/// Go keeps a span in an `i64` of nanoseconds.
const MAX: u64 = 1 << 63;

/// Why a text is not a duration, in Go's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    /// Not a number, or more than 292 years.
    #[error("time: invalid duration {}", quote(.0))]
    Invalid(String),
    /// A number alone.
    #[error("time: missing unit in duration {}", quote(.0))]
    MissingUnit(String),
    /// A unit that Go doesn't know.
    #[error("time: unknown unit {} in duration {}", quote(.unit), quote(.text))]
    UnknownUnit {
        /// The unit.
        unit: String,
        /// The whole text.
        text: String,
    },
    /// Fine for Go, but a span of time can't be negative here.
    #[error("negative duration {}", quote(.0))]
    Negative(String),
}

/// A span that is not negative.
pub fn parse(text: &str) -> Result<Duration, DurationError> {
    let nanos = parse_nanos(text)?;
    u64::try_from(nanos)
        .map(Duration::from_nanos)
        .map_err(|_| DurationError::Negative(text.to_owned()))
}

/// What Go's `time.ParseDuration` returns: nanoseconds, possibly negative.
pub fn parse_nanos(text: &str) -> Result<i64, DurationError> {
    let invalid = || DurationError::Invalid(text.to_owned());
    let (negative, mut rest) = match text.as_bytes().first() {
        Some(b'-') => (true, text.get(1..).unwrap_or_default()),
        Some(b'+') => (false, text.get(1..).unwrap_or_default()),
        _ => (false, text),
    };
    if rest == "0" {
        return Ok(0);
    }
    if rest.is_empty() {
        return Err(invalid());
    }
    let mut sum = 0u64;
    while !rest.is_empty() {
        let (part, after) = one_part(text, rest)?;
        sum = sum
            .checked_add(part)
            .filter(|s| *s <= MAX)
            .ok_or_else(invalid)?;
        rest = after;
    }
    if negative {
        Ok(0i64.wrapping_sub_unsigned(sum))
    } else {
        i64::try_from(sum).map_err(|_| invalid())
    }
}

/// One number with its unit, in nanoseconds, and what comes after it.
fn one_part<'a>(text: &str, rest: &'a str) -> Result<(u64, &'a str), DurationError> {
    let invalid = || DurationError::Invalid(text.to_owned());
    let (whole_digits, after) = split_digits(rest);
    let whole = whole_digits.bytes().try_fold(0u64, |sum, digit| {
        let sum = sum.checked_mul(10)?.checked_add(u64::from(digit - b'0'))?;
        (sum <= MAX).then_some(sum)
    });
    let whole = whole.ok_or_else(invalid)?;
    let (fraction_digits, after) = match after.strip_prefix('.') {
        Some(after) => split_digits(after),
        None => ("", after),
    };
    if whole_digits.is_empty() && fraction_digits.is_empty() {
        return Err(invalid());
    }
    let end = after
        .find(|c: char| c == '.' || c.is_ascii_digit())
        .unwrap_or(after.len());
    let (unit, after) = after.split_at(end);
    if unit.is_empty() {
        return Err(DurationError::MissingUnit(text.to_owned()));
    }
    let Some((_, scale)) = UNITS.iter().find(|(name, _)| *name == unit) else {
        return Err(DurationError::UnknownUnit {
            unit: unit.to_owned(),
            text: text.to_owned(),
        });
    };
    let nanos = whole
        .checked_mul(*scale)
        .and_then(|nanos| nanos.checked_add(fraction(fraction_digits, *scale)))
        .filter(|nanos| *nanos <= MAX);
    Ok((nanos.ok_or_else(invalid)?, after))
}

/// Nanoseconds of `0.digits`, as Go computes them.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "Go does the same, and digits beyond a nanosecond don't count"
)]
fn fraction(digits: &str, scale: u64) -> u64 {
    let (mut value, mut divisor) = (0u64, 1.0f64);
    for digit in digits.bytes() {
        let next = value
            .checked_mul(10)
            .and_then(|v| v.checked_add(u64::from(digit - b'0')));
        match next {
            Some(next) if next <= MAX => value = next,
            _ => break,
        }
        divisor *= 10.0;
    }
    (value as f64 * (scale as f64 / divisor)) as u64
}

fn split_digits(text: &str) -> (&str, &str) {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    text.split_at(end)
}

/// What Go's `Duration.String` prints: `0s`, `1.5ms`, `2m0s`, `1h0m0.5s`.
#[must_use]
pub fn format(span: Duration) -> String {
    let nanos = u64::try_from(span.as_nanos()).unwrap_or(u64::MAX);
    match nanos {
        0 => "0s".to_owned(),
        1..1_000 => format!("{nanos}ns"),
        1_000..1_000_000 => decimal(nanos, 1_000, "\u{b5}s"),
        1_000_000..1_000_000_000 => decimal(nanos, 1_000_000, "ms"),
        _ => {
            let minutes = nanos / 60_000_000_000;
            let seconds = decimal(nanos % 60_000_000_000, 1_000_000_000, "s");
            match (minutes / 60, minutes % 60) {
                (0, 0) => seconds,
                (0, minutes) => format!("{minutes}m{seconds}"),
                (hours, minutes) => format!("{hours}h{minutes}m{seconds}"),
            }
        }
    }
}

fn decimal(nanos: u64, unit: u64, name: &str) -> String {
    let (whole, part) = (nanos / unit, nanos % unit);
    if part == 0 {
        return format!("{whole}{name}");
    }
    let width = unit.ilog10() as usize;
    let part = format!("{part:0width$}");
    format!("{whole}.{}{name}", part.trim_end_matches('0'))
}

/// Go's `quote`: what is not printable ASCII comes as bytes in hexadecimal.
fn quote(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => {
                quoted.push('\\');
                quoted.push(c);
            }
            ' '..='~' => quoted.push(c),
            other => {
                let mut bytes = [0u8; 4];
                for byte in other.encode_utf8(&mut bytes).bytes() {
                    quoted.push_str(&format!("\\x{byte:02x}"));
                }
            }
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From Go's own `time_test.go`.
    const GOOD: &[(&str, i64)] = &[
        ("0", 0),
        ("5s", 5_000_000_000),
        ("30s", 30_000_000_000),
        ("1478s", 1_478_000_000_000),
        ("-5s", -5_000_000_000),
        ("+5s", 5_000_000_000),
        ("-0", 0),
        ("+0", 0),
        ("5.0s", 5_000_000_000),
        ("5.6s", 5_600_000_000),
        ("5.s", 5_000_000_000),
        (".5s", 500_000_000),
        ("1.0040s", 1_004_000_000),
        ("100.00100s", 100_001_000_000),
        ("10ns", 10),
        ("11us", 11_000),
        ("12µs", 12_000),
        ("12μs", 12_000),
        ("13ms", 13_000_000),
        ("15m", 900_000_000_000),
        ("16h", 57_600_000_000_000),
        ("3h30m", 12_600_000_000_000),
        ("10.5s4m", 250_500_000_000),
        ("-2m3.4s", -123_400_000_000),
        ("1h2m3s4ms5us6ns", 3_723_004_005_006),
        ("39h9m14.425s", 140_954_425_000_000),
        ("52763797000ns", 52_763_797_000),
        ("0.3333333333333333333h", 1_200_000_000_000),
        ("9007199254740993ns", (1 << 53) + 1),
        ("9223372036854775807ns", i64::MAX),
        ("9223372036854775.807us", i64::MAX),
        ("9223372036s854ms775us807ns", i64::MAX),
        ("-9223372036854775808ns", i64::MIN),
        ("-2562047h47m16.854775808s", i64::MIN),
        ("0.100000000000000000000h", 360_000_000_000),
        ("0.830103483285477580700h", 2_988_372_539_827),
    ];

    const BAD: &[(&str, &str)] = &[
        ("", "time: invalid duration \"\""),
        ("3", "time: missing unit in duration \"3\""),
        ("-", "time: invalid duration \"-\""),
        ("s", "time: invalid duration \"s\""),
        (".", "time: invalid duration \".\""),
        ("-.", "time: invalid duration \"-.\""),
        (".s", "time: invalid duration \".s\""),
        ("+.s", "time: invalid duration \"+.s\""),
        ("1d", "time: unknown unit \"d\" in duration \"1d\""),
        ("1.2.3s", "time: missing unit in duration \"1.2.3s\""),
        ("1 s", "time: unknown unit \" s\" in duration \"1 s\""),
        (
            "\u{85}\u{ff}",
            "time: invalid duration \"\\xc2\\x85\\xc3\\xbf\"",
        ),
        ("hello \"x\"", "time: invalid duration \"hello \\\"x\\\"\""),
        (
            "9223372036854775810ns",
            "time: invalid duration \"9223372036854775810ns\"",
        ),
        (
            "9223372036854775808ns",
            "time: invalid duration \"9223372036854775808ns\"",
        ),
        (
            "-9223372036854775809ns",
            "time: invalid duration \"-9223372036854775809ns\"",
        ),
        ("3000000h", "time: invalid duration \"3000000h\""),
    ];

    #[test]
    fn what_go_reads_is_read() {
        for (text, nanos) in GOOD {
            assert_eq!(parse_nanos(text), Ok(*nanos), "{text}");
        }
    }

    #[test]
    fn what_go_refuses_is_refused_in_its_words() {
        for (text, said) in BAD {
            let error = parse_nanos(text).expect_err(text);
            assert_eq!(error.to_string(), *said);
        }
        assert!(matches!(parse("-1s"), Err(DurationError::Negative(_))));
        assert_eq!(parse("-0"), Ok(Duration::ZERO));
    }

    #[test]
    fn go_prints_it_so() {
        let cases = [
            (0, "0s"),
            (1, "1ns"),
            (1_100, "1.1µs"),
            (2_200_000, "2.2ms"),
            (300_000_000, "300ms"),
            (3_300_000_000, "3.3s"),
            (8_000_000_000, "8s"),
            (245_000_000_000, "4m5s"),
            (245_001_000_000, "4m5.001s"),
            (18_367_001_000_000, "5h6m7.001s"),
            (480_000_000_001, "8m0.000000001s"),
            (259_200_000_000_000, "72h0m0s"),
        ];
        for (nanos, text) in cases {
            assert_eq!(format(Duration::from_nanos(nanos)), text);
        }
    }

    proptest::proptest! {
        #[test]
        fn what_was_printed_is_read_again(nanos in 0..1u64 << 52) {
            let span = Duration::from_nanos(nanos);
            proptest::prop_assert_eq!(parse(&format(span)), Ok(span));
        }

        #[test]
        fn nothing_makes_it_panic(text in "[-+.0-9a-zµ]{0,30}") {
            let _ = parse_nanos(&text);
        }
    }
}
