//! zoo.cfg without its servers and with the name of the dynamic file, the same bytes that Apache writes: its keys in the
//! order of Java's hash table, without comments.
//!
//! Apache writes values as it read them, escapes resolved, so that a backslash or a line break in one is lost or breaks the
//! file when it is read again. Here such characters keep their escapes; both read that as what it was.

use ostler_model::properties::{self, BadEscape};
use std::collections::BTreeMap;
use std::fmt::Write;

/// The table that `new Properties()` begins with.
const BUCKETS: usize = 16;

/// The new text. With `names_client` the dynamic file says where clients connect, and zoo.cfg no longer does.
pub(super) fn rewritten(old: &[u8], pointer: &str, names_client: bool) -> Result<String, BadEscape> {
    let mut table = Table::default();
    for entry in properties::parse(old)? {
        table.put(entry.key, entry.value);
    }
    let goes = |key: &str| {
        ["server.", "group", "weight", "dynamicConfigFile", "peerType"].iter().any(|prefix| key.starts_with(prefix))
            || (names_client && key.starts_with("clientPort"))
    };
    let mut text = String::new();
    for key in table.order.iter().flatten().filter(|key| !goes(key)) {
        put_escaped(&mut text, key, true);
        text.push('=');
        put_escaped(&mut text, &table.values[key], false);
        text.push('\n');
    }
    text.push_str("dynamicConfigFile=");
    put_escaped(&mut text, pointer, false);
    text.push('\n');
    Ok(text)
}

fn put_escaped(out: &mut String, text: &str, is_key: bool) {
    for (at, c) in text.chars().enumerate() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\x0c' => out.push_str("\\f"),
            ' ' | '=' | ':' if is_key => out.extend(['\\', c]),
            '\t' if is_key => out.push_str("\\t"),
            '#' | '!' if is_key && at == 0 => out.extend(['\\', c]),
            c if c.is_ascii() => out.push(c),
            c => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    // Writing to a String cannot fail.
                    let _ = write!(out, "\\u{unit:04x}");
                }
            }
        }
    }
}

/// The order in which a `ConcurrentHashMap` of Java 9 and later yields its keys: bucket by bucket; in a bucket as they came,
/// except for what a doubling of the table turned round.
struct Table {
    order: Vec<Vec<String>>,
    values: BTreeMap<String, String>,
}

impl Default for Table {
    fn default() -> Table {
        Table { order: vec![Vec::new(); BUCKETS], values: BTreeMap::new() }
    }
}

impl Table {
    fn put(&mut self, key: String, value: String) {
        if self.values.insert(key.clone(), value).is_some() {
            return;
        }
        let buckets = self.order.len();
        self.order[hash(&key) & (buckets - 1)].push(key);
        if self.values.len() >= buckets / 4 * 3 {
            self.double();
        }
    }

    /// The last keys of a bucket that go the same way stay in their order; each one before them goes to the front.
    fn double(&mut self) {
        let buckets = self.order.len();
        let mut order = vec![Vec::new(); 2 * buckets];
        for (at, mut bucket) in std::mem::take(&mut self.order).into_iter().enumerate() {
            let moves = |key: &String| hash(key) & buckets != 0;
            let tail = bucket.last().map(moves);
            let run = bucket.iter().rposition(|key| Some(moves(key)) != tail).map_or(0, |before| before + 1);
            for key in bucket.drain(run..).collect::<Vec<_>>() {
                order[at + if moves(&key) { buckets } else { 0 }].push(key);
            }
            for key in bucket {
                order[at + if moves(&key) { buckets } else { 0 }].insert(0, key);
            }
        }
        self.order = order;
    }
}

/// `String.hashCode`, spread as the table does it.
fn hash(key: &str) -> usize {
    let code = key.encode_utf16().fold(0_u32, |code, unit| code.wrapping_mul(31).wrapping_add(u32::from(unit)));
    ((code ^ code >> 16) & 0x7fff_ffff) as usize
}
