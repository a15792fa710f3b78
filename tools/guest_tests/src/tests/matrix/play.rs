// SPDX-License-Identifier: GPL-2.0
//! How most cells are played: the stage is set, the event happens, is undone, and each time what
//! its outcome promises is looked at.

use super::stage::{rules, Snapshot, Stage};
use super::{Case, Outcome};
use crate::check::*;
use crate::setup;
use crate::steer::wait_carrier;
use anyhow::{bail, Result};

/// The listing's state of a ring whose interface is down.
const PARKED: u32 = 5;

type Act = Box<dyn FnOnce(&Stage) -> Result<Sys<()>>>;
type Undo = Box<dyn FnOnce(&Stage) -> Result<()>>;

/// An event and its reverse.
pub struct Event {
    act: Act,
    undo: Undo,
    loses_rules: bool,
    away: bool,
}

impl Event {
    /// `act` makes it happen; its inner result is the kernel's answer.
    pub fn new(act: impl FnOnce(&Stage) -> Result<Sys<()>> + 'static) -> Event {
        Event {
            act: Box::new(act),
            undo: Box::new(|_| Ok(())),
            loses_rules: false,
            away: false,
        }
    }

    /// What restores the port; not called when the event was refused.
    pub fn undo(self, undo: impl FnOnce(&Stage) -> Result<()> + 'static) -> Event {
        Event {
            undo: Box::new(undo),
            ..self
        }
    }

    /// Packets do not arrive where they should until it is undone.
    pub fn away(self) -> Event {
        Event { away: true, ..self }
    }

    /// The driver drops its ntuple rules on the way.
    pub fn loses_rules(self) -> Event {
        Event {
            loses_rules: true,
            ..self
        }
    }
}

impl Case {
    /// Plays a cell; what it finds must be what is promised.
    pub fn play(self, event: Event) -> Result<()> {
        let mut stage = Stage::set(self.column)?;
        let before = stage.snapshot()?;
        let answer = match (event.act)(&stage) {
            Ok(answer) => answer,
            Err(e) => {
                let _ = (event.undo)(&stage);
                return Err(e);
            }
        };
        let at_once = self.at_once(&stage, &before, answer, (event.away, event.loses_rules));
        // also when that was not well: the next test wants the port as it was
        let undone = match answer {
            Ok(()) => (event.undo)(&stage),
            Err(_) => Ok(()),
        };
        at_once?;
        undone?;
        self.after(&mut stage, &before, event.loses_rules)?;
        stage.hush(self.whole())?;
        stage.end()
    }

    /// Whether nobody may lose a frame.
    fn whole(self) -> bool {
        matches!(self.outcome, Outcome::WorksOn | Outcome::Refused(_))
    }

    /// The answer, and what is seen before the event is undone.
    fn at_once(
        self,
        stage: &Stage,
        before: &Snapshot,
        answer: Sys<()>,
        (away, loses_rules): (bool, bool),
    ) -> Result<()> {
        match self.outcome {
            Outcome::Refused(errno) => want_errno("the event", answer, errno),
            _ => want_ok("the event", answer),
        }?;
        match self.outcome {
            Outcome::WorksOn | Outcome::Refused(_) => stage.flows(),
            Outcome::Carrier => Ok(()),
            Outcome::Reset if away && !stage.is_up() => Ok(()),
            Outcome::Reset | Outcome::Rearmed => {
                stage.restarted(before)?;
                wait_carrier()?;
                if away || loses_rules {
                    return Ok(());
                }
                stage.flows()
            }
            Outcome::Down(errno) => {
                stage.all_woken(before)?;
                stage.syncs(errno)?;
                stage.states(PARKED)
            }
            Outcome::Gone(errno) => {
                stage.all_woken(before)?;
                stage.syncs(errno)
            }
            Outcome::Returned | Outcome::NoCase => bail!("there is no such case"),
        }
    }

    /// What is seen when the event is undone.
    fn after(self, stage: &mut Stage, before: &Snapshot, loses_rules: bool) -> Result<()> {
        match self.outcome {
            Outcome::WorksOn | Outcome::Refused(_) => {
                stage.untouched(before)?;
                stage.link_kept(before)
            }
            Outcome::Carrier => {
                wait_carrier()?;
                stage.flows()?;
                stage.untouched(before)
            }
            Outcome::Reset | Outcome::Rearmed | Outcome::Down(_) => {
                setup::ensure()?;
                stage.restarted(before)?;
                if loses_rules {
                    stage.steer_again()?;
                }
                stage.flows()
            }
            // still, although the interface is there again
            Outcome::Gone(errno) => {
                setup::ensure()?;
                stage.syncs(errno)?;
                want_eq("rules that are left", rules()?, 0)
            }
            Outcome::Returned | Outcome::NoCase => Ok(()),
        }
    }
}

/// A program's failure as the errno it names; other failures are the test's own.
pub fn answer<T>(said: Result<T>) -> Result<Sys<()>> {
    let said = match said {
        Ok(_) => return Ok(Ok(())),
        Err(e) => e,
    };
    let text = format!("{said:#}");
    for errno in [
        libc::EBUSY,
        libc::EINVAL,
        libc::EOPNOTSUPP,
        libc::EPERM,
        libc::ENODEV,
    ] {
        let name = std::io::Error::from_raw_os_error(errno).to_string();
        let name = name.split(" (os error").next().unwrap_or(&name);
        if text.contains(name) {
            return Ok(Err(Errno(errno)));
        }
    }
    Err(said)
}
