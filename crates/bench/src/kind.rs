//! Kinds of requests, and how much of each a run sends.

use std::str::FromStr;

/// What a request does.
#[derive(Clone, Copy, PartialEq, Eq, Debug, PartialOrd, Ord)]
pub enum Kind {
    /// getData.
    Get,
    /// setData.
    Set,
    /// create of a persistent node.
    Create,
    /// delete of a node that was created for it.
    Delete,
    /// getChildren2.
    Children,
    /// multi of setData.
    Multi,
}

impl Kind {
    /// All of them.
    pub const ALL: [Kind; 6] = [Kind::Get, Kind::Set, Kind::Create, Kind::Delete, Kind::Children, Kind::Multi];

    /// The word on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Get => "get",
            Kind::Set => "set",
            Kind::Create => "create",
            Kind::Delete => "delete",
            Kind::Children => "children",
            Kind::Multi => "multi",
        }
    }
}

/// Shares in percent, 100 together.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mix(Vec<(Kind, u32)>);

impl Mix {
    pub(crate) fn only(kind: Kind) -> Mix {
        Mix(vec![(kind, 100)])
    }

    pub(crate) fn reads(percent: u32) -> Mix {
        Mix(vec![(Kind::Get, percent), (Kind::Set, 100 - percent)])
    }

    /// The kind of a number below 100.
    pub(crate) fn pick(&self, mut number: u32) -> Kind {
        for &(kind, share) in &self.0 {
            if number < share {
                return kind;
            }
            number -= share;
        }
        unreachable!("shares are 100 together")
    }

    pub(crate) fn share(&self, kind: Kind) -> u32 {
        self.0.iter().filter(|(other, _)| *other == kind).map(|(_, share)| share).sum()
    }

    pub(crate) fn has(&self, kind: Kind) -> bool {
        self.share(kind) > 0
    }

    /// More than one kind is sent.
    pub(crate) fn is_mixed(&self) -> bool {
        self.0.iter().filter(|(_, share)| *share > 0).count() > 1
    }
}

impl FromStr for Mix {
    type Err = String;

    fn from_str(text: &str) -> Result<Mix, String> {
        let mut mix = Vec::new();
        for item in text.split(',') {
            let names = || Kind::ALL.map(Kind::name).join(", ");
            let (name, share) = item.split_once('=').ok_or_else(|| format!("{item:?} is not KIND=PERCENT"))?;
            let kind = Kind::ALL.into_iter().find(|kind| kind.name() == name.trim());
            let kind = kind.ok_or_else(|| format!("{name:?} is no kind; hint: there are {}", names()))?;
            let share: u32 = share.trim().parse().map_err(|_| format!("{share:?} is not a number of percent"))?;
            mix.push((kind, share));
        }
        let sum: u64 = mix.iter().map(|(_, share)| u64::from(*share)).sum();
        if sum != 100 {
            return Err(format!("the shares are {sum} together; hint: make them 100"));
        }
        let mix = Mix(mix);
        if mix.share(Kind::Delete) > mix.share(Kind::Create) {
            return Err("more is deleted than created; hint: raise the share of create".into());
        }
        Ok(mix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_kept() {
        let mix: Mix = "get=70,set=20,create=6,delete=4".parse().expect("sound");
        let count = |kind| (0..100).filter(|&number| mix.pick(number) == kind).count();
        assert_eq!(Kind::ALL.map(count), [70, 20, 6, 4, 0, 0]);
        assert!(mix.is_mixed() && !Mix::reads(100).is_mixed());
    }

    #[test]
    fn what_cannot_be_is_told() {
        for (text, part) in [
            ("get=50", "50 together"),
            ("get", "KIND=PERCENT"),
            ("got=100", "there are get, set"),
            ("get=x", "percent"),
            ("create=40,delete=60", "more is deleted"),
            ("get=4294967295,set=101", "4294967396"),
        ] {
            let error = text.parse::<Mix>().expect_err(text);
            assert!(error.contains(part), "{error}");
        }
    }
}
