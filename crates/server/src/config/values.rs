//! The settings as given, in layers, and typed access to them.
//!
//! Lowest first: `-D` items of SERVER_JVMFLAGS and JVMFLAGS, `-D` arguments, zoo.cfg (which overrides system
//! properties, as in Apache), then `--set` items. Each value remembers where it came from, for messages.

use super::keys::{self, Place, Use};
use super::number;
use super::{ConfigError, Notice};
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

/// Where a value was given.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Source {
    /// A line of a file.
    File(PathBuf, usize),
    /// A `-D` item.
    Property(&'static str),
    /// A flag, an argument or an environment variable, by name.
    Flag(&'static str),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::File(path, line) => write!(f, "{}:{line}", path.display()),
            Source::Property(place) => f.write_str(place),
            Source::Flag(name) => f.write_str(name),
        }
    }
}

#[derive(Clone, Debug)]
struct Given {
    value: String,
    source: Source,
}

/// All settings that were given and are known, and what there is to say about the others.
#[derive(Debug, Default)]
pub struct Values {
    given: BTreeMap<String, Given>,
    java: Vec<String>,
    missing: BTreeMap<&'static str, Vec<String>>,
    /// What to tell the operator, in order.
    pub notices: Vec<Notice>,
}

impl Values {
    /// A `-Dname=value`; `origin` says where it stood.
    pub fn property(&mut self, name: &str, value: &str, origin: &'static str) {
        let source = Source::Property(origin);
        if let Some(short) = name.strip_prefix("zookeeper.") {
            match keys::find(short) {
                Some(key) if key.place == Place::File => self.notices.push(Notice::warn(
                    format!("{source}: -D{name}: not read from a system property"),
                    format!("write {short}={value} into zoo.cfg, or use --set {short}={value}"),
                )),
                _ => self.give(short, value, source),
            }
        } else if keys::find(name).is_some_and(|key| key.place == Place::Bare || name == "fsync.warningthresholdms") {
            self.give(name, value, source);
        } else if keys::find(name).is_some_and(|key| key.place == Place::Both) {
            self.notices.push(Notice::warn(
                format!("{source}: -D{name}: not read under this name"),
                format!("use -Dzookeeper.{name}={value}"),
            ));
        } else {
            self.notices.push(Notice::debug(format!("{source}: -D{name}: not for us")));
        }
    }

    /// A key of zoo.cfg or a `--set`.
    pub fn entry(&mut self, name: &str, value: &str, source: Source) {
        self.give(name, value, source);
    }

    fn give(&mut self, name: &str, value: &str, source: Source) {
        let mut name = name;
        if let Some(read) = keys::renamed(name) {
            self.notices.push(Notice::warn(
                format!("{source}: {name} is read as {read}"),
                format!("Apache's documentation says {name}, but its code reads {read}: write that"),
            ));
            name = read;
        }
        let Some(key) = keys::find(name) else {
            let hint = match keys::nearest(name) {
                Some(near) => format!("did you mean {near}?"),
                None => "it has no effect; remove it, or look it up in Apache's administrator's guide".to_owned(),
            };
            self.notices.push(Notice::warn(format!("{source}: unknown key {name}"), hint));
            return;
        };
        match key.usage {
            Use::Read => {
                self.given.insert(name.to_owned(), Given { value: value.to_owned(), source });
            }
            Use::Ensemble | Use::Silent => {
                self.notices.push(Notice::debug(format!("{source}: {name} has no effect on a standalone server")));
            }
            Use::Java => self.java.push(name.to_owned()),
            Use::Missing(feature) => {
                let switched_off = value.eq_ignore_ascii_case("false") || value == "0" || value == "-1";
                if !switched_off {
                    self.missing.entry(feature).or_default().push(name.to_owned());
                }
            }
        }
    }

    /// Adds the notices that sum up several keys. Call it once, when everything was given.
    pub fn summarize(&mut self) {
        if !self.java.is_empty() {
            self.java.sort();
            self.java.dedup();
            self.notices.push(Notice::warn(
                format!("accepted without effect (they tune Apache's implementation): {}", self.java.join(", ")),
                "they may stay in the file".to_owned(),
            ));
        }
        for (feature, names) in &mut self.missing {
            names.sort();
            names.dedup();
            self.notices.push(Notice::warn(
                format!("this version does not have {feature} yet; without effect: {}", names.join(", ")),
                "if you depend on it, stay with Apache ZooKeeper until COMPAT.md lists it".to_owned(),
            ));
        }
    }

    /// True if the key was given.
    pub fn has(&self, key: &str) -> bool {
        self.given.contains_key(key)
    }

    /// True if the key was last given by a flag, an argument or an environment variable.
    pub fn by_flag(&self, key: &str) -> bool {
        matches!(self.given.get(key), Some(Given { source: Source::Flag(_), .. }))
    }

    /// Keys given that begin with `prefix`, with their values.
    pub fn with_prefix<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> + 'a {
        self.given
            .iter()
            .filter(move |(key, _)| key.starts_with(prefix))
            .map(|(key, given)| (key.as_str(), given.value.as_str()))
    }

    /// Where a key was given, for messages; the key itself if it was not.
    pub fn place(&self, key: &str) -> String {
        self.given.get(key).map_or_else(|| key.to_owned(), |given| format!("{}: {key}", given.source))
    }

    /// A text, `None` if not given.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.given.get(key).map(|given| given.value.as_str())
    }

    /// A path.
    pub fn path(&self, key: &str) -> Option<&Path> {
        self.text(key).map(Path::new)
    }

    /// A whole number of zoo.cfg, strictly read.
    ///
    /// # Errors
    /// Not a decimal number of 32 bits.
    pub fn int(&self, key: &str, default: i32) -> Result<i32, ConfigError> {
        let Some(text) = self.text(key) else { return Ok(default) };
        number::parse_decimal(text).and_then(|value| i32::try_from(value).ok()).ok_or_else(|| {
            ConfigError::at(
                self.place(key),
                format!("For input string: \"{text}\""),
                format!("{key} must be a decimal number between -2147483648 and 2147483647"),
            )
        })
    }

    /// A boolean of zoo.cfg, strictly read.
    ///
    /// # Errors
    /// Neither `true` nor `false`.
    pub fn flag(&self, key: &str, default: bool) -> Result<bool, ConfigError> {
        match self.text(key) {
            None => Ok(default),
            Some(text) if text.eq_ignore_ascii_case("true") => Ok(true),
            Some(text) if text.eq_ignore_ascii_case("false") => Ok(false),
            Some(text) => Err(ConfigError::at(
                self.place(key),
                format!("Invalid option {text} for {key}. Choose 'true' or 'false.'"),
                format!("write {key}=true or {key}=false"),
            )),
        }
    }

    /// A number as Java reads a system property: garbage means the default (and is reported).
    pub fn lenient_long(&mut self, key: &str, default: i64) -> i64 {
        let Some(text) = self.text(key) else { return default };
        if let Some(value) = number::decode(text) {
            return value;
        }
        let what = format!("{}: {text:?} is not a number", self.place(key));
        self.notices.push(Notice::warn(what, format!("Apache silently takes the default {default}, and so do we")));
        default
    }

    /// As [`Values::lenient_long`], of 32 bits.
    pub fn lenient_int(&mut self, key: &str, default: i32) -> i32 {
        let value = self.lenient_long(key, default.into());
        i32::try_from(value).unwrap_or(default)
    }

    /// A number between 0 and 1, in billionths: garbage means the default (and is reported).
    pub fn lenient_fraction(&mut self, key: &str, default: u32) -> u32 {
        let Some(text) = self.text(key) else { return default };
        match text.trim().parse::<f64>() {
            Ok(value) if (0.0..=1.0).contains(&value) => (value * f64::from(ostler_node::ONE)).round() as u32,
            _ => {
                let what = format!("{}: {text:?} is no number between 0 and 1", self.place(key));
                self.notices.push(Notice::warn(what, "the default is taken"));
                default
            }
        }
    }

    /// A boolean as Java reads a system property: anything but `true` is false.
    pub fn lenient_flag(&self, key: &str, default: bool) -> bool {
        self.text(key).map_or(default, |text| text.eq_ignore_ascii_case("true"))
    }
}
