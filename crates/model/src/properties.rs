//! The syntax of java.util.Properties, in which zoo.cfg and the ensemble's configuration are written (operations.md
//! section 1.2, ensemble.md section 16.1).
//!
//! Bytes of files are ISO-8859-1. A line is `key=value`, `key:value` or `key value`; `#` and `!` start comment lines; a line
//! that ends in an odd number of backslashes goes on in the next one. There are no trailing comments.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

/// One `key=value` of a file, trimmed as ZooKeeper trims it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// The key, escapes resolved.
    pub key: String,
    /// The value, escapes resolved.
    pub value: String,
    /// Where it begins, counted from 1.
    pub line: usize,
}

/// A `\u` that is not followed by four hexadecimal digits: the only thing this syntax can refuse.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BadEscape {
    /// The line it is in, counted from 1.
    pub line: usize,
}

impl fmt::Display for BadEscape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("malformed \\uxxxx escape")
    }
}

impl core::error::Error for BadEscape {}

/// Reads a whole file. Duplicate keys are all returned, in order (the last one counts).
///
/// # Errors
/// A malformed `\u` escape.
pub fn parse(bytes: &[u8]) -> Result<Vec<Entry>, BadEscape> {
    let text: Vec<char> = bytes.iter().map(|&byte| byte as char).collect();
    entries(&text).collect()
}

/// Reads entry by entry, so that who finds one too many or a wrong one can stop there.
pub fn entries(text: &[char]) -> impl Iterator<Item = Result<Entry, BadEscape>> {
    let mut lines = natural_lines(text).enumerate();
    core::iter::from_fn(move || {
        loop {
            let (index, line) = lines.next()?;
            let line = trim_start(line);
            if line.is_empty() || matches!(line[0], '#' | '!') {
                continue;
            }
            let mut logical = line.to_vec();
            while ends_in_odd_backslashes(&logical) {
                logical.pop();
                match lines.next() {
                    Some((_, next)) => logical.extend_from_slice(trim_start(next)),
                    None => break,
                }
            }
            return Some(entry(&logical, index + 1));
        }
    })
}

fn natural_lines(text: &[char]) -> impl Iterator<Item = &[char]> {
    let mut rest = Some(text);
    core::iter::from_fn(move || {
        let text = rest?;
        let Some(end) = text.iter().position(|c| matches!(c, '\n' | '\r')) else {
            rest = None;
            return Some(text);
        };
        let skip = if text[end..].starts_with(&['\r', '\n']) { 2 } else { 1 };
        rest = Some(&text[end + skip..]);
        Some(&text[..end])
    })
}

/// Java's `trim`, which Apache uses everywhere: everything up to the space is blank, nothing above it, whatever Unicode says.
pub fn trim(text: &str) -> &str {
    text.trim_matches(|c| c <= ' ')
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\x0c')
}

fn trim_start(line: &[char]) -> &[char] {
    let start = line.iter().position(|&c| !is_blank(c)).unwrap_or(line.len());
    &line[start..]
}

fn ends_in_odd_backslashes(line: &[char]) -> bool {
    line.iter().rev().take_while(|&&c| c == '\\').count() % 2 == 1
}

fn entry(line: &[char], number: usize) -> Result<Entry, BadEscape> {
    let mut end = 0;
    while end < line.len() && !is_blank(line[end]) && !matches!(line[end], '=' | ':') {
        end += if line[end] == '\\' { 2 } else { 1 };
    }
    let end = end.min(line.len());
    let mut rest = trim_start(&line[end..]);
    if let Some('=' | ':') = rest.first() {
        rest = trim_start(&rest[1..]);
    }
    let key = trim(&unescape(&line[..end], number)?).to_owned();
    let value = trim(&unescape(rest, number)?).to_owned();
    Ok(Entry { key, value, line: number })
}

fn unescape(text: &[char], line: usize) -> Result<String, BadEscape> {
    // Collected as UTF-16, because two \u escapes may be the halves of one character.
    let mut units: Vec<u16> = Vec::with_capacity(text.len());
    let mut chars = text.iter().copied();
    while let Some(c) = chars.next() {
        if c != '\\' {
            units.extend_from_slice(c.encode_utf16(&mut [0; 2]));
            continue;
        }
        match chars.next() {
            Some('t') => units.push('\t' as u16),
            Some('n') => units.push('\n' as u16),
            Some('r') => units.push('\r' as u16),
            Some('f') => units.push(0x0c),
            Some('u') => {
                let mut unit = 0;
                for _ in 0..4 {
                    let digit = chars.next().and_then(|c| c.to_digit(16)).ok_or(BadEscape { line })?;
                    unit = unit << 4 | digit as u16;
                }
                units.push(unit);
            }
            Some(other) => units.extend_from_slice(other.encode_utf16(&mut [0; 2])),
            None => {}
        }
    }
    Ok(String::from_utf16_lossy(&units))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(text: &str) -> Vec<(String, String, usize)> {
        let bytes: Vec<u8> = text.chars().map(|c| c as u8).collect();
        parse(&bytes).unwrap().into_iter().map(|entry| (entry.key, entry.value, entry.line)).collect()
    }

    fn one(text: &str) -> (String, String) {
        let mut all = pairs(text);
        assert_eq!(all.len(), 1, "{text:?}");
        let (key, value, _) = all.remove(0);
        (key, value)
    }

    #[test]
    fn separators_and_blanks() {
        for text in ["a=b", "a:b", "a b", "  a = b ", "a\t:\tb", "a  \x0c= b", "a=b\n", "a=b\r\n"] {
            assert_eq!(one(text), ("a".into(), "b".into()), "{text:?}");
        }
        assert_eq!(one("a = = b"), ("a".into(), "= b".into()));
        assert_eq!(one("a::b"), ("a".into(), ":b".into()));
        assert_eq!(one("a"), ("a".into(), String::new()));
        assert_eq!(one("=b"), (String::new(), "b".into()));
    }

    #[test]
    fn blank_is_what_java_takes_for_it() {
        assert_eq!(trim("\0 \x1f a b\t\0"), "a b");
        assert_eq!(trim("\u{a0}a\u{85}"), "\u{a0}a\u{85}");
        assert_eq!(one("a=b\\u0001"), ("a".into(), "b".into()));
        assert_eq!(one("a=b\u{a0}"), ("a".into(), "b\u{a0}".into()));
    }

    #[test]
    fn comments_are_whole_lines_only() {
        assert_eq!(pairs("# a=b\n  ! c=d\\\ne=f # no comment\n"), [("e".into(), "f # no comment".into(), 3)]);
    }

    #[test]
    fn continued_lines() {
        assert_eq!(one("a=b\\\n    c\\\r\n d"), ("a".into(), "bcd".into()));
        assert_eq!(one("a=b\\\\"), ("a".into(), "b\\".into()));
        assert_eq!(one("a=b\\"), ("a".into(), "b".into()));
        assert_eq!(pairs("a=b\\\n\nc=d"), [("a".into(), "b".into(), 1), ("c".into(), "d".into(), 3)]);
    }

    #[test]
    fn escapes() {
        assert_eq!(one(r"a\=b=c"), ("a=b".into(), "c".into()));
        assert_eq!(one(r"a\ b c\tq\qx"), ("a b".into(), "c\tqqx".into()));
        assert_eq!(one(r"k=\u00e4\ud83d\ude00"), ("k".into(), "\u{e4}\u{1f600}".into()));
        assert_eq!(one(r"k=O\=Test Org\\, Inc."), ("k".into(), r"O=Test Org\, Inc.".into()));
        assert_eq!(parse(b"a=b\nk=\\u12g4"), Err(BadEscape { line: 2 }));
        assert_eq!(parse(b"k=\\u12"), Err(BadEscape { line: 1 }));
    }

    #[test]
    fn texts_are_unicode() {
        let text: Vec<char> = "k=\u{e4}\u{1f600}\\\u{1f600}".chars().collect();
        let entries: Vec<Entry> = entries(&text).map(Result::unwrap).collect();
        assert_eq!(entries[0].value, "\u{e4}\u{1f600}\u{1f600}");
    }

    #[test]
    fn bytes_are_latin_1() {
        let entries = parse(b"k=\xe4\xff").unwrap();
        assert_eq!(entries[0].value, "\u{e4}\u{ff}");
    }

    proptest::proptest! {
        #[test]
        fn never_panics(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
            let _ = parse(&bytes);
            let text: Vec<char> = String::from_utf8_lossy(&bytes).chars().collect();
            entries(&text).for_each(drop);
        }
    }
}
