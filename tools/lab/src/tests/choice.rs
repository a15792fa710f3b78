// SPDX-License-Identifier: GPL-2.0
//! Which of the guest's tests run on a kernel: all on the main one, a small set on the
//! others of `tools/root/kernel.lock`, a slice on those with run-time checks.

/// Beginnings of the names of the small set: what shows whether this tree fits another kernel.
/// The rest of netmap.ko and of the hooks is the same code on each.
const SMALL: &[&str] = &[
    // the main job: take, filter, put back, undo; and the other programs
    "tools.",
    "programs.",
    // names, memory shared by files, sleep and wake-up
    "names.",
    "share.",
    "data.poll",
    // the driver's paths: modules come and go, the port is reset, XDP and queues exclude each other
    "lifecycle.rmmod_and_insmod",
    "lifecycle.ixgbe_alone",
    "lifecycle.mtu_change",
    "lifecycle.offline_self_test",
    "lifecycle.xdp_attach",
    "lifecycle.af_xdp",
    // TX beside the kernel's
    "txkernel.",
];

/// Which tests run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Choice {
    All,
    Small,
    Slice(Slice),
}

impl Choice {
    /// Whether the test `name`, at `index` of the list, belongs to it.
    pub fn has(self, index: usize, name: &str) -> bool {
        match self {
            Self::All => true,
            Self::Small => SMALL.iter().any(|start| name.starts_with(start)),
            Self::Slice(slice) => index % slice.of == slice.first,
        }
    }

    /// Beginnings of names that none of `all` has: the set would shrink unseen.
    pub fn missing(self, all: &[String]) -> Vec<&'static str> {
        let known = |start: &&str| all.iter().any(|name| name.starts_with(start));
        match self {
            Self::Small => SMALL.iter().filter(|s| !known(s)).copied().collect(),
            _ => Vec::new(),
        }
    }
}

/// Every `of`th test, from the `first`; any number may stand for `first`, so that it can
/// be taken from something that changes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Slice {
    pub first: usize,
    pub of: usize,
}

impl Slice {
    /// From `K/N`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let parsed = text
            .split_once('/')
            .and_then(|(first, of)| Some((first.parse::<usize>().ok()?, of.parse().ok()?)));
        match parsed {
            Some((first, of)) if of > 0 => Ok(Self {
                first: first % of,
                of,
            }),
            _ => Err(format!("'{text}' is no slice: K/N, N at least 1")),
        }
    }
}

#[cfg(test)]
mod unit {
    use super::*;

    #[test]
    fn slices_share_out_every_test_once() {
        let slices: Vec<Choice> = (5..9)
            .map(|k| Choice::Slice(Slice::parse(&format!("{k}/4")).unwrap()))
            .collect();
        for index in 0..20 {
            assert_eq!(slices.iter().filter(|s| s.has(index, "a.b")).count(), 1);
        }
        assert!(Slice::parse("1/0").is_err());
        assert!(Slice::parse("3").is_err());
    }

    #[test]
    fn a_beginning_that_names_no_test_is_told() {
        let mut all: Vec<String> = SMALL.iter().map(|s| format!("{s}x")).collect();
        assert!(all.iter().all(|name| Choice::Small.has(0, name)));
        assert!(!Choice::Small.has(0, "endurance.hours"));
        assert!(Choice::Small.missing(&all).is_empty());
        all.remove(0);
        assert_eq!(Choice::Small.missing(&all), [SMALL[0]]);
    }
}
