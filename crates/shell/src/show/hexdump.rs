//! Bytes as a table of hexadecimal digits and characters.

use std::fmt::Write;

const EDGE: &str = "+--------+-------------------------------------------------+----------------+";

/// Rows of 16 bytes with a frame, as Apache's `get -x` prints them. Without bytes there are no rows, and no frame.
pub fn framed(bytes: &[u8]) -> String {
    if bytes.is_empty() {
        return String::new();
    }
    let mut table = String::from("         +-------------------------------------------------+\n");
    table.push_str("         |  0  1  2  3  4  5  6  7  8  9  a  b  c  d  e  f |\n");
    let _ = writeln!(table, "{EDGE}");
    for (row, part) in bytes.chunks(16).enumerate() {
        let _ = writeln!(table, "|{:08x}|{:<49}|{:<16}|", row * 16, digits(part), characters(part));
    }
    table.push_str(EDGE);
    table
}

/// Rows of 16 bytes without a frame, for people.
pub fn plain(bytes: &[u8]) -> String {
    let row = |(row, part): (usize, &[u8])| format!("{:08x} {:<49} {}", row * 16, digits(part), characters(part));
    bytes.chunks(16).enumerate().map(row).collect::<Vec<_>>().join("\n")
}

fn digits(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, " {byte:02x}");
        text
    })
}

fn characters(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| if matches!(byte, 0x20..=0x7e) { char::from(*byte) } else { '.' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_apache_frames_it() {
        let expected = "         +-------------------------------------------------+
         |  0  1  2  3  4  5  6  7  8  9  a  b  c  d  e  f |
+--------+-------------------------------------------------+----------------+
|00000000| 64 61 74 61                                     |data            |
+--------+-------------------------------------------------+----------------+";
        assert_eq!(framed(b"data"), expected);
        assert_eq!(framed(&[0; 17]).lines().count(), 6);
    }
}
