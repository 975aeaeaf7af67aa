//! Crockford's base 32 in lower case (<https://www.crockford.com/base32.html>): no `i`, `l`, `o`
//! or `u`, so that a token can be read out and typed.

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// What stands in a text that is not base 32.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Wrong {
    /// The character at this place, counted from 1, is not in the alphabet.
    Character(usize),
    /// The number of characters, or the bits left over, fit no whole number of bytes.
    Tail,
}

pub(super) fn encode(bytes: &[u8]) -> String {
    let mut out = String::new();
    let (mut held, mut bits) = (0u32, 0u32);
    for byte in bytes {
        held = (held << 8) | u32::from(*byte);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            out.push(letter(held >> bits));
        }
        held &= (1 << bits) - 1;
    }
    if bits > 0 {
        out.push(letter(held << (5 - bits)));
    }
    out
}

fn letter(value: u32) -> char {
    let place = usize::try_from(value & 31).unwrap_or(0);
    ALPHABET.get(place).map_or('0', |byte| char::from(*byte))
}

/// Also takes upper case and what the eye confuses: `o` for 0, `i` and `l` for 1.
pub(super) fn decode(text: &str) -> Result<Vec<u8>, Wrong> {
    let mut out = Vec::new();
    let (mut held, mut bits) = (0u32, 0u32);
    for (place, character) in text.chars().enumerate() {
        let value = value(character).ok_or(Wrong::Character(place + 1))?;
        held = (held << 5) | value;
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            out.extend(u8::try_from(held >> bits));
            held &= (1 << bits) - 1;
        }
    }
    if bits >= 5 || held != 0 {
        return Err(Wrong::Tail);
    }
    Ok(out)
}

fn value(character: char) -> Option<u32> {
    let folded = match character.to_ascii_lowercase() {
        'o' => '0',
        'i' | 'l' => '1',
        other => other,
    };
    let place = ALPHABET.iter().position(|a| char::from(*a) == folded)?;
    u32::try_from(place).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn known_texts() {
        assert_eq!(encode(b""), "");
        assert_eq!(encode(&[0]), "00");
        assert_eq!(encode(&[0xff; 5]), "zzzzzzzz");
        assert_eq!(decode("ZZZZzzzz"), Ok(vec![0xff; 5]));
        assert_eq!(decode("0O"), Ok(vec![0]));
        assert_eq!(decode("0u"), Err(Wrong::Character(2)));
        assert_eq!(decode("01"), Err(Wrong::Tail));
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn what_is_written_is_read(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            prop_assert_eq!(decode(&encode(&bytes)), Ok(bytes));
        }

        #[test]
        fn any_text_is_read_or_refused(text in ".*") {
            let _ = decode(&text);
        }
    }
}
