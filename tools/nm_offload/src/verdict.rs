// SPDX-License-Identifier: GPL-2.0
//! What happens to a packet: any --pass expression puts it back into the kernel,
//! else any --drop expression drops it, else the default decides.

use crate::filter::Filter;
use anyhow::Result;

/// What to do with one packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Put back into the kernel.
    Pass,
    /// Drop.
    Drop,
}

/// The expressions, compiled.
#[derive(Debug)]
pub struct Rules {
    pass: Vec<Filter>,
    drop: Vec<Filter>,
    default: Verdict,
}

impl Rules {
    /// Compile the expressions of the command line.
    pub fn new(pass: &[String], drop: &[String], default: Verdict) -> Result<Self> {
        let compile = |list: &[String]| -> Result<Vec<Filter>> {
            list.iter().map(|e| Filter::compile(e)).collect()
        };
        let (pass, drop) = (compile(pass)?, compile(drop)?);
        Ok(Self {
            // An expression that leads to what happens anyway need not be run.
            pass: match default {
                Verdict::Pass if drop.is_empty() => Vec::new(),
                _ => pass,
            },
            drop: match default {
                Verdict::Drop => Vec::new(),
                Verdict::Pass => drop,
            },
            default,
        })
    }

    /// The verdict that holds for every packet, if no expression must be run.
    pub fn constant(&self) -> Option<Verdict> {
        (self.pass.is_empty() && self.drop.is_empty()).then_some(self.default)
    }

    /// The one expression that is to be run, and whether a match puts back: most
    /// command lines come down to that.
    pub fn single(&self) -> Option<(&Filter, bool)> {
        match (self.pass.as_slice(), self.drop.as_slice(), self.default) {
            ([f], [], Verdict::Drop) => Some((f, true)),
            ([], [f], Verdict::Pass) => Some((f, false)),
            _ => None,
        }
    }

    /// Judge a frame of `wire` bytes that begins with `head`.
    #[inline]
    pub fn judge(&self, head: &[u8], wire: u32) -> Verdict {
        let any = |list: &[Filter]| list.iter().any(|f| f.matches(head, wire));
        if any(&self.pass) {
            Verdict::Pass
        } else if any(&self.drop) {
            Verdict::Drop
        } else {
            self.default
        }
    }

    /// One line that says what was set up.
    pub fn describe(&self) -> String {
        let mut parts = Vec::new();
        for f in &self.pass {
            parts.push(format!("pass '{}'", f.text()));
        }
        for f in &self.drop {
            parts.push(format!("drop '{}'", f.text()));
        }
        parts.push(match self.default {
            Verdict::Pass => "the rest goes back to the kernel".into(),
            Verdict::Drop => "the rest is dropped".into(),
        });
        parts.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::udp_frame;

    fn rules(pass: &[&str], drop: &[&str], default: Verdict) -> Rules {
        let own = |l: &[&str]| l.iter().map(|s| s.to_string()).collect::<Vec<_>>();
        Rules::new(&own(pass), &own(drop), default).expect("compiles")
    }

    fn judge(r: &Rules, src: [u8; 4], dport: u16) -> Verdict {
        let f = udp_frame(src, 1000, dport, b"0123456789");
        r.judge(&f, f.len() as u32)
    }

    #[test]
    fn pass_wins_over_drop() {
        let r = rules(&["src host 10.0.3.2"], &["udp port 53"], Verdict::Pass);
        assert_eq!(judge(&r, [10, 0, 3, 2], 53), Verdict::Pass);
        assert_eq!(judge(&r, [192, 0, 2, 9], 53), Verdict::Drop);
    }

    #[test]
    fn the_rest_follows_the_default() {
        let r = rules(&["src host 10.0.3.2"], &["udp port 53"], Verdict::Pass);
        assert_eq!(judge(&r, [192, 0, 2, 9], 80), Verdict::Pass);
        let r = rules(&["src host 10.0.3.2"], &[], Verdict::Drop);
        assert_eq!(judge(&r, [192, 0, 2, 9], 80), Verdict::Drop);
        assert_eq!(judge(&r, [10, 0, 3, 2], 80), Verdict::Pass);
    }

    #[test]
    fn any_of_several_expressions_counts() {
        let r = rules(&[], &["udp port 53", "udp port 123"], Verdict::Pass);
        assert_eq!(judge(&r, [192, 0, 2, 9], 123), Verdict::Drop);
        assert_eq!(judge(&r, [192, 0, 2, 9], 53), Verdict::Drop);
        assert_eq!(judge(&r, [192, 0, 2, 9], 54), Verdict::Pass);
    }

    #[test]
    fn what_needs_no_expression_runs_none() {
        assert_eq!(
            rules(&[], &[], Verdict::Pass).constant(),
            Some(Verdict::Pass)
        );
        assert_eq!(
            rules(&[], &["udp"], Verdict::Drop).constant(),
            Some(Verdict::Drop)
        );
        assert_eq!(
            rules(&["udp"], &[], Verdict::Pass).constant(),
            Some(Verdict::Pass)
        );
        assert_eq!(rules(&["udp"], &["ip"], Verdict::Pass).constant(), None);
    }

    #[test]
    fn a_single_expression_is_recognised() {
        for (r, on_match) in [
            (
                rules(&["udp port 53"], &["ip"], Verdict::Drop),
                Verdict::Pass,
            ),
            (rules(&[], &["udp port 53"], Verdict::Pass), Verdict::Drop),
        ] {
            let (f, puts_back) = r.single().expect("single");
            assert_eq!(f.text(), "udp port 53");
            assert_eq!(puts_back, on_match == Verdict::Pass);
            assert_eq!(judge(&r, [192, 0, 2, 9], 53), on_match);
        }
        assert!(rules(&["udp"], &["ip"], Verdict::Pass).single().is_none());
        assert!(rules(&[], &["udp", "tcp"], Verdict::Pass)
            .single()
            .is_none());
    }

    #[test]
    fn a_wrong_expression_is_refused_even_if_it_would_not_run() {
        assert!(Rules::new(&[], &["nonsense here".into()], Verdict::Drop).is_err());
    }
}
