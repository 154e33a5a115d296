//! Options of Apache's commands, cut from the other words as the Java library behind its shell does.

use std::collections::BTreeMap;

/// An option: its name, whether a value follows, and the group of which only one may stand.
#[derive(Clone, Copy, Debug)]
pub struct Definition {
    /// Without the dash.
    pub name: &'static str,
    /// Whether a value follows.
    pub has_value: bool,
    /// Whether it excludes the others that say so.
    pub is_exclusive: bool,
}

/// An option alone.
pub const fn flag(name: &'static str) -> Definition {
    Definition { name, has_value: false, is_exclusive: false }
}

/// An option with a value.
pub const fn value(name: &'static str) -> Definition {
    Definition { name, has_value: true, is_exclusive: false }
}

impl Definition {
    /// It excludes the other exclusive ones.
    pub const fn exclusive(self) -> Definition {
        Definition { is_exclusive: true, ..self }
    }
}

/// A command's words, sorted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parsed {
    options: BTreeMap<&'static str, Option<String>>,
    /// The words that belong to no option.
    pub words: Vec<String>,
}

impl Parsed {
    /// Whether an option stands there.
    pub fn has(&self, name: &str) -> bool {
        self.options.contains_key(name)
    }

    /// An option's value.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.options.get(name)?.as_deref()
    }

    /// A word by its place.
    pub fn word(&self, place: usize) -> Option<String> {
        self.words.get(place).cloned()
    }
}

/// The Java library's name of what is wrong, and its words for it.
fn exception(kind: &str, text: &str) -> String {
    format!("org.apache.commons.cli.{kind}Exception: {text}")
}

/// Sorts the words behind a command's name.
///
/// # Errors
/// What the Java library prints.
pub fn parse(definitions: &[Definition], words: &[String]) -> Result<Parsed, String> {
    let find = |name: &str| definitions.iter().find(|definition| definition.name == name);
    // Whether a word would be taken for an option; a number with a minus is none.
    let is_option = |word: &str| {
        let name = word.strip_prefix('-').map(|rest| rest.split('=').next().unwrap_or_default());
        name.is_some_and(|name| {
            let first = name.chars().next().map(String::from).unwrap_or_default();
            find(name).is_some() || find(&first).is_some()
        }) && word.parse::<f64>().is_err()
    };
    let mut parsed = Parsed::default();
    let mut selected: Option<&'static str> = None;
    let mut add = |parsed: &mut Parsed, definition: &Definition, value: Option<String>| {
        if definition.is_exclusive {
            match selected {
                Some(other) if other != definition.name => {
                    return Err(exception(
                        "AlreadySelected",
                        &format!(
                            "The option '{}' was specified but an option from this group has already been selected: '{other}'",
                            definition.name
                        ),
                    ));
                }
                _ => selected = Some(definition.name),
            }
        }
        // The first value counts.
        parsed.options.entry(definition.name).or_insert(value);
        Ok(())
    };
    let mut words = words.iter().peekable();
    let mut only_words = false;
    while let Some(word) = words.next() {
        let dashed = word.strip_prefix('-').filter(|rest| !only_words && !rest.is_empty());
        let Some(name) = dashed else {
            parsed.words.push(word.clone());
            continue;
        };
        if word == "--" {
            only_words = true;
            continue;
        }
        let (whole, inline) = match name.split_once('=') {
            Some((whole, value)) => (whole, Some(value.to_owned())),
            None => (name, None),
        };
        if let Some(definition) = find(whole).filter(|definition| definition.has_value || inline.is_none()) {
            let value = match (definition.has_value, inline) {
                (false, _) => None,
                (true, Some(value)) => Some(value),
                (true, None) => match words.next_if(|next| !is_option(next)) {
                    Some(value) => Some(value.clone()),
                    None => {
                        let text = format!("Missing argument for option: {}", definition.name);
                        return Err(exception("MissingArgument", &text));
                    }
                },
            };
            add(&mut parsed, definition, value)?;
            continue;
        }
        // Several letters behind one dash; the value of the last one may stand there too.
        for (at, letter) in name.char_indices() {
            let Some(definition) = find(&letter.to_string()) else {
                return Err(exception("UnrecognizedOption", &format!("Unrecognized option: {word}")));
            };
            let rest = &name[at + letter.len_utf8()..];
            if !definition.has_value {
                add(&mut parsed, definition, None)?;
                continue;
            }
            let value =
                if rest.is_empty() { words.next_if(|next| !is_option(next)).cloned() } else { Some(rest.into()) };
            match value {
                Some(value) => add(&mut parsed, definition, Some(value))?,
                None => return Err(exception("MissingArgument", &format!("Missing argument for option: {letter}"))),
            }
            break;
        }
    }
    Ok(parsed)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPTIONS: &[Definition] =
        &[flag("s"), flag("w"), value("v"), value("add"), flag("n").exclusive(), value("b").exclusive()];

    fn parsed(line: &str) -> Result<Parsed, String> {
        parse(OPTIONS, &line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn options_stand_anywhere() {
        let found = parsed("/a -s data -v 7 -add x").unwrap();
        assert_eq!(
            (found.has("s"), found.has("w"), found.value("v"), found.value("add")),
            (true, false, Some("7"), Some("x"))
        );
        assert_eq!(found.words, ["/a", "data"]);
        assert_eq!(parsed("-sw -v5 - -- -s").unwrap().words, ["-", "-s"]);
        assert_eq!(parsed("-v -1 /a").unwrap().value("v"), Some("-1"));
        assert_eq!(parsed("-v=3").unwrap().value("v"), Some("3"));
    }

    #[test]
    fn what_is_wrong_in_the_librarys_words() {
        let wrong = |line| parsed(line).unwrap_err();
        assert_eq!(wrong("-z"), "org.apache.commons.cli.UnrecognizedOptionException: Unrecognized option: -z");
        // Numbers with a minus are values of options only.
        assert_eq!(wrong("-5"), "org.apache.commons.cli.UnrecognizedOptionException: Unrecognized option: -5");
        assert_eq!(wrong("-sz /a"), "org.apache.commons.cli.UnrecognizedOptionException: Unrecognized option: -sz");
        assert_eq!(wrong("/a -v"), "org.apache.commons.cli.MissingArgumentException: Missing argument for option: v");
        assert!(wrong("-v -s").ends_with("Missing argument for option: v"));
        assert_eq!(
            wrong("-n -b 5"),
            "org.apache.commons.cli.AlreadySelectedException: The option 'b' was specified but an option from this group has already been selected: 'n'"
        );
    }
}
