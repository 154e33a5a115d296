//! Text as Java sees it (client-protocol.md section 1).
//!
//! Apache keeps text as UTF-16 and writes each unit by itself, so a supplementary character leaves it as two
//! three-byte surrogates (CESU-8), which its own reader then replaces by U+FFFD. Here text is UTF-8. What clients see
//! is what Apache answers; what goes into files is plain UTF-8, and surrogate pairs found in Apache's files are
//! understood.

use std::borrow::Cow;

/// Bytes into text. Every malformed sequence becomes U+FFFD, as many as Java makes of it; surrogate pairs are
/// malformed too, or with `join_surrogates` the character they stand for.
#[inline]
pub(crate) fn decode(bytes: &[u8], join_surrogates: bool) -> Cow<'_, str> {
    match core::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(replaced(bytes, join_surrogates)),
    }
}

/// True if Apache would write some character of `text` as two surrogates.
#[inline]
pub(crate) fn has_supplementary(text: &str) -> bool {
    text.bytes().any(|byte| byte >= 0xf0)
}

/// Appends the length and `text` with supplementary characters as surrogate pairs.
#[cold]
pub(crate) fn put_with_surrogates(out: &mut Vec<u8>, text: &str) {
    let units = |c: char| if c.len_utf8() == 4 { 6 } else { c.len_utf8() };
    crate::jute::put_length(out, text.chars().map(units).sum());
    for c in text.chars() {
        if c.len_utf8() < 4 {
            out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            continue;
        }
        for unit in c.encode_utf16(&mut [0; 2]) {
            out.extend_from_slice(&[
                0xe0 | (*unit >> 12) as u8,
                0x80 | (*unit >> 6 & 0x3f) as u8,
                0x80 | (*unit & 0x3f) as u8,
            ]);
        }
    }
}

/// Decodes with replacement. Differs from the Unicode recommendation (and so from the standard library) in one
/// point, which Java makes: a surrogate in three-byte form, whole or without its third byte, is one error.
#[cold]
fn replaced(bytes: &[u8], join_surrogates: bool) -> String {
    let mut text = String::with_capacity(bytes.len());
    let mut rest = bytes;
    while !rest.is_empty() {
        match core::str::from_utf8(rest) {
            Ok(valid) => {
                text.push_str(valid);
                break;
            }
            Err(error) => {
                let (valid, bad) = rest.split_at(error.valid_up_to());
                text.push_str(core::str::from_utf8(valid).expect("valid up to here, says the validator"));
                let (c, length) = match (surrogate(bad), bad.get(3..).and_then(surrogate)) {
                    (Some(high), Some(low)) if join_surrogates && high < 0xdc00 && low >= 0xdc00 => {
                        let code = 0x1_0000 + ((u32::from(high) - 0xd800) << 10) + (u32::from(low) - 0xdc00);
                        (char::from_u32(code).expect("a pair of surrogates is a character"), 6)
                    }
                    (Some(_), _) => (char::REPLACEMENT_CHARACTER, 3),
                    _ if cut_surrogate(bad) => (char::REPLACEMENT_CHARACTER, 2),
                    _ => (char::REPLACEMENT_CHARACTER, error.error_len().unwrap_or(bad.len())),
                };
                text.push(c);
                rest = &bad[length..];
            }
        }
    }
    text
}

/// The surrogate that stands at the front of `bytes` in three-byte form.
fn surrogate(bytes: &[u8]) -> Option<u16> {
    match bytes {
        [0xed, second @ 0xa0..=0xbf, third @ 0x80..=0xbf, ..] => {
            Some(0xd000 | u16::from(second & 0x3f) << 6 | u16::from(third & 0x3f))
        }
        _ => None,
    }
}

/// True if `bytes` start with a surrogate that lacks its third byte.
fn cut_surrogate(bytes: &[u8]) -> bool {
    matches!(bytes, [0xed, 0xa0..=0xbf, ..]) && surrogate(bytes).is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMILE: &str = "\u{1f600}";
    const SMILE_SURROGATES: &[u8] = &[0xed, 0xa0, 0xbd, 0xed, 0xb8, 0x80];

    #[test]
    fn supplementary_characters_leave_as_surrogates() {
        let mut out = Vec::new();
        crate::jute::put_reply_text(&mut out, Some(&format!("a{SMILE}\u{e9}")));
        assert_eq!(out, [&[0, 0, 0, 9, b'a'], SMILE_SURROGATES, &[0xc3, 0xa9]].concat());
        assert_eq!(decode(&out[4..], true), format!("a{SMILE}\u{e9}"));
    }

    /// Recorded from JDK 17: `new String(bytes, UTF_8)`.
    #[test]
    fn malformed_text_is_replaced_as_java_replaces_it() {
        for (bytes, text) in [
            (&b"a\x80b"[..], "a\u{fffd}b"),
            (b"\xc0\x80", "\u{fffd}\u{fffd}"),
            (b"\xc2", "\u{fffd}"),
            (b"\xc2A", "\u{fffd}A"),
            (b"\xe0\x80\x80", "\u{fffd}\u{fffd}\u{fffd}"),
            (b"\xe0\xa0", "\u{fffd}"),
            (b"\xe1\x80A", "\u{fffd}A"),
            (b"\xed\xa0", "\u{fffd}"),
            (b"\xed\xa0A", "\u{fffd}A"),
            (b"\xed\xa0\xc0", "\u{fffd}\u{fffd}"),
            (b"\xed\xbf\xbf", "\u{fffd}"),
            (b"\xf0\x80\x80\x80", "\u{fffd}\u{fffd}\u{fffd}\u{fffd}"),
            (b"\xf0\x90\x80", "\u{fffd}"),
            (b"\xf1\x80\x80A", "\u{fffd}A"),
            (b"\xf4\x90\x80\x80", "\u{fffd}\u{fffd}\u{fffd}\u{fffd}"),
            (b"\xf8\x80", "\u{fffd}\u{fffd}"),
        ] {
            assert_eq!(decode(bytes, false), text, "{bytes:02x?}");
            assert_eq!(decode(bytes, true), text, "{bytes:02x?}");
        }
    }

    #[test]
    fn surrogates_are_errors_on_the_wire_and_characters_in_files() {
        assert_eq!(decode(SMILE_SURROGATES, false), "\u{fffd}\u{fffd}");
        assert_eq!(decode(SMILE_SURROGATES, true), SMILE);
        // Alone, or in the wrong order, they are errors everywhere.
        assert_eq!(decode(&SMILE_SURROGATES[..3], true), "\u{fffd}");
        assert_eq!(decode(&SMILE_SURROGATES[3..], true), "\u{fffd}");
        let swapped = [&SMILE_SURROGATES[3..], &SMILE_SURROGATES[..3]].concat();
        assert_eq!(decode(&swapped, true), "\u{fffd}\u{fffd}");
    }
}
