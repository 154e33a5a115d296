//! Lines into words, as people write them and as Apache's shell cuts them.

use crate::error::CommandError;

/// Words between blanks. `'...'` is taken as it is; in `"..."` and outside of quotes a backslash takes the next character as it
/// is.
///
/// # Errors
/// A quote is not closed.
pub fn split(line: &str) -> Result<Vec<String>, CommandError> {
    let mut words = Vec::new();
    let mut chars = line.chars().peekable();
    loop {
        while chars.next_if(|c| c.is_whitespace()).is_some() {}
        if chars.peek().is_none() {
            return Ok(words);
        }
        let mut word = String::new();
        while let Some(c) = chars.next_if(|c| !c.is_whitespace()) {
            match c {
                '\'' | '"' => loop {
                    match chars.next() {
                        Some(end) if end == c => break,
                        Some('\\') if c == '"' => word.extend(chars.next()),
                        Some(inside) => word.push(inside),
                        None => {
                            return Err(CommandError::Usage(format!(
                                "a {c} is not closed\nhint: a quote as such is written \\{c}"
                            )));
                        }
                    }
                },
                '\\' => word.extend(chars.next()),
                other => word.push(other),
            }
        }
        words.push(word);
    }
}

/// Where the last word of a line that is being written begins, in bytes.
pub fn last_begins(line: &str) -> usize {
    line.rfind(char::is_whitespace).map_or(0, |at| at + line[at..].chars().next().map_or(0, char::len_utf8))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_people() {
        assert_eq!(split("  set /a  'two words' ").unwrap(), ["set", "/a", "two words"]);
        assert_eq!(split(r#"set /a "say \"x\"" '' a\ b '\'"#).unwrap(), ["set", "/a", "say \"x\"", "", "a b", "\\"]);
        assert_eq!(split("").unwrap(), [""; 0]);
        assert!(split("get '/a").unwrap_err().to_string().contains("hint: "));
        assert_eq!([last_begins("get /a"), last_begins("get "), last_begins("ge")], [4, 4, 0]);
    }
}
