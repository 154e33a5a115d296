//! Numbers and booleans as Java reads them: strict in zoo.cfg's own keys, lenient in system properties
//! (operations.md section 1.2).

/// `Integer.parseInt` and `Long.parseLong`: an optional sign and decimal digits.
pub fn parse_decimal(text: &str) -> Option<i64> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

/// `Integer.getInteger` and `Long.getLong`: also `0x1f`, `#1f` and octal `017`.
pub fn decode(text: &str) -> Option<i64> {
    let (negative, rest) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let (radix, digits) = if let Some(hex) = rest.strip_prefix("0x").or(rest.strip_prefix("0X")) {
        (16, hex)
    } else if let Some(hex) = rest.strip_prefix('#') {
        (16, hex)
    } else if rest.len() > 1 && rest.starts_with('0') {
        (8, &rest[1..])
    } else {
        (10, rest)
    };
    if digits.is_empty() || !digits.chars().all(|c| c.is_digit(radix)) {
        return None;
    }
    let value = i128::from_str_radix(digits, radix).ok()?;
    i64::try_from(if negative { -value } else { value }).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strict() {
        assert_eq!(parse_decimal("2181"), Some(2181));
        assert_eq!(parse_decimal("-1"), Some(-1));
        assert_eq!(parse_decimal("+7"), Some(7));
        assert_eq!(parse_decimal("010"), Some(10));
        for bad in ["", "abc", "0x10", "1 0", "1.5", "+", "--1", "99999999999999999999"] {
            assert_eq!(parse_decimal(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn lenient() {
        assert_eq!(decode("0x1F"), Some(31));
        assert_eq!(decode("-#1f"), Some(-31));
        assert_eq!(decode("010"), Some(8));
        assert_eq!(decode("0"), Some(0));
        assert_eq!(decode("-9223372036854775808"), Some(i64::MIN));
        for bad in ["", "abc", "08", "0x", "1 ", "- 1", "9223372036854775808"] {
            assert_eq!(decode(bad), None, "{bad:?}");
        }
    }
}
