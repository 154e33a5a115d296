//! Values by kind: text as it is, JSON with lines and indents, gzip unpacked, the rest as a table of hexadecimal digits.

use crate::output::{Output, Paint};
use crate::show::hexdump;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use flate2::read::GzDecoder;
use serde_json::{Value, json};
use std::io::Read;

/// The most that is unpacked of a gzip value, bytes: a small value can hold a large nothing.
const UNPACKED_BYTES_MAX: u64 = 16 << 20;

/// How a value is shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Form {
    /// As its kind is.
    #[default]
    ByKind,
    /// The bytes, nothing else.
    Raw,
    /// In base64.
    Base64,
    /// As a table of hexadecimal digits.
    Hex,
}

/// What a value is.
enum Kind<'a> {
    Null,
    Empty,
    Json(String),
    Text(&'a str),
    Gzip(Vec<u8>),
    Bytes,
}

fn kind(data: Option<&[u8]>) -> Kind<'_> {
    let Some(data) = data else { return Kind::Null };
    if data.is_empty() {
        return Kind::Empty;
    }
    if data.starts_with(&[0x1f, 0x8b]) {
        let mut unpacked = Vec::new();
        if GzDecoder::new(data).take(UNPACKED_BYTES_MAX).read_to_end(&mut unpacked).is_ok() {
            return Kind::Gzip(unpacked);
        }
    }
    let Ok(text) = std::str::from_utf8(data) else { return Kind::Bytes };
    if text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\t' | '\r')) {
        return Kind::Bytes;
    }
    // A number or a word is text that JSON would only copy.
    match serde_json::from_str(text) {
        Ok(Value::Object(_) | Value::Array(_)) => Kind::Json(indented(text)),
        _ => Kind::Text(text),
    }
}

/// JSON with lines and indents. Keys keep their order and numbers their digits, which parsing would not promise.
fn indented(json: &str) -> String {
    let mut text = String::new();
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    let mut chars = json.chars().filter(|c| *c != '\r').peekable();
    while let Some(c) = chars.next() {
        if in_string {
            text.push(c);
            (in_string, escaped) = (c != '"' || escaped, c == '\\' && !escaped);
            continue;
        }
        let line = |text: &mut String, depth: usize| text.push_str(&format!("\n{}", "  ".repeat(depth)));
        match c {
            ' ' | '\t' | '\n' => (),
            '{' | '[' => {
                text.push(c);
                while chars.next_if(|c| c.is_whitespace()).is_some() {}
                if let Some(end) = chars.next_if(|c| matches!(c, '}' | ']')) {
                    text.push(end);
                } else {
                    depth += 1;
                    line(&mut text, depth);
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                line(&mut text, depth);
                text.push(c);
            }
            ',' => {
                text.push(c);
                line(&mut text, depth);
            }
            ':' => text.push_str(": "),
            other => {
                in_string = other == '"';
                text.push(other);
            }
        }
    }
    text
}

/// For people. What is not the value itself, such as its kind, is a remark on stderr.
pub fn people(data: Option<&[u8]>, out: &Output) -> String {
    match kind(data) {
        Kind::Null => {
            out.note(out.paint(Paint::Dim, "(no data)"));
            String::new()
        }
        Kind::Empty => {
            out.note(out.paint(Paint::Dim, "(empty)"));
            String::new()
        }
        Kind::Json(text) => format!("{text}\n"),
        Kind::Text(text) => format!("{text}{}", if text.ends_with('\n') { "" } else { "\n" }),
        Kind::Gzip(unpacked) => {
            let bytes = data.map_or(0, <[u8]>::len);
            let remark =
                format!("(gzip: {bytes} bytes, unpacked {}; --raw shows the bytes as they are)", unpacked.len());
            out.note(out.paint(Paint::Dim, remark));
            match kind(Some(&unpacked)) {
                Kind::Gzip(_) | Kind::Bytes => format!("{}\n", hexdump::plain(&unpacked)),
                _ => people(Some(&unpacked), out),
            }
        }
        Kind::Bytes => format!("{}\n", hexdump::plain(data.unwrap_or_default())),
    }
}

/// For programs: `{"text": ...}`, `{"base64": ...}`, or null.
pub fn object(data: Option<&[u8]>) -> Value {
    match data.map(|data| (std::str::from_utf8(data), data)) {
        None => Value::Null,
        Some((Ok(text), _)) => json!({ "text": text }),
        Some((Err(_), data)) => json!({ "base64": base64(data) }),
    }
}

/// The bytes in base64.
pub fn base64(data: &[u8]) -> String {
    BASE64.encode(data)
}

/// The bytes of base64.
pub fn from_base64(text: &str) -> Result<Vec<u8>, base64::DecodeError> {
    BASE64.decode(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::Mode;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use std::io::Write;

    fn shown(data: Option<&[u8]>) -> String {
        people(data, &Output::new(Mode::People, false, Box::new(std::io::sink()), Box::new(std::io::sink())))
    }

    fn gzip(data: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(data).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn each_kind_is_shown_as_it_is_best_read() {
        assert_eq!(shown(None), "");
        assert_eq!(shown(Some(b"")), "");
        assert_eq!(shown(Some("z\u{e4}hler".as_bytes())), "z\u{e4}hler\n");
        assert_eq!(shown(Some(b"ends\n")), "ends\n");
        assert_eq!(shown(Some(b"12")), "12\n");
        assert_eq!(shown(Some(br#"{"a":[1]}"#)), "{\n  \"a\": [\n    1\n  ]\n}\n");
        assert_eq!(shown(Some(&gzip(b"packed"))), "packed\n");
        assert_eq!(shown(Some(&[0, 1, 2, b'x'])), format!("00000000 {:<49} ...x\n", " 00 01 02 78"));
        // Something that only begins like gzip.
        assert!(shown(Some(&[0x1f, 0x8b, 1])).starts_with("00000000  1f 8b 01"));
    }

    #[test]
    fn json_keeps_its_order_and_its_numbers() {
        let text = r#"{"b": 12345678901234567890123, "a":{ },"c":["x,\"{",[]]}"#;
        let lines = [
            "{",
            "  \"b\": 12345678901234567890123,",
            "  \"a\": {},",
            "  \"c\": [",
            "    \"x,\\\"{\",",
            "    []",
            "  ]",
            "}",
        ];
        assert_eq!(indented(text), lines.join("\n"));
    }

    #[test]
    fn a_small_value_that_unpacks_to_much_is_cut() {
        let bomb = gzip(&vec![b'x'; UNPACKED_BYTES_MAX as usize + 1_000]);
        assert_eq!(shown(Some(&bomb)).len() as u64, UNPACKED_BYTES_MAX + 1);
    }

    #[test]
    fn for_programs() {
        assert_eq!(object(None), Value::Null);
        assert_eq!(object(Some(b"x")), json!({ "text": "x" }));
        assert_eq!(object(Some(&[0xff])), json!({ "base64": "/w==" }));
    }
}
