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

/// As Apache's shell: `"..."` and `'...'` group where a word begins, and have no escapes. A quote that is not closed is left out.
pub fn split_as_apache(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = line;
    while !rest.is_empty() {
        let trimmed = rest.trim_start();
        let Some(first) = trimmed.chars().next() else {
            // A line of blanks only is a command whose name is a blank.
            if words.is_empty() {
                words.extend(rest.chars().next_back().map(String::from));
            }
            return words;
        };
        if matches!(first, '"' | '\'') {
            match trimmed[1..].split_once(first) {
                Some((word, after)) => {
                    words.push(word.to_owned());
                    rest = after;
                }
                None => rest = &trimmed[1..],
            }
        } else {
            let end = trimmed.find(char::is_whitespace).unwrap_or(trimmed.len());
            words.push(trimmed[..end].to_owned());
            rest = &trimmed[end..];
            if rest.trim_start().is_empty() {
                return words;
            }
        }
    }
    words
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

    #[test]
    fn words_of_apache() {
        assert_eq!(split_as_apache(r#"create "/q x" 'it is "x"'"#), ["create", "/q x", "it is \"x\""]);
        assert_eq!(split_as_apache(r#"create /u ab"c d"e"#), ["create", "/u", "ab\"c", "d\"e"]);
        assert_eq!(split_as_apache("ls   /   "), ["ls", "/"]);
        assert_eq!(split_as_apache("   "), [" "]);
        assert_eq!(split_as_apache(""), [""; 0]);
        assert_eq!(split_as_apache("get \"abc"), ["get", "abc"]);
    }
}
