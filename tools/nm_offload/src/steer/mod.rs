// SPDX-License-Identifier: GPL-2.0
//! Steering flows to queues so that no packet is lost on the way.
//!
//! Coming: the queues leave the RSS table, they are taken from the kernel, the
//! rules go in. Leaving: the rules go out, the queues go back, the table is
//! restored. So the hash never picks a queue in transit, and steered packets
//! find somebody there. Each step is written to the state file before it is done.

pub mod ethtool;
mod flow;
pub mod spec;
pub mod state;
pub mod table;

use anyhow::{bail, Context, Result};
use ethtool::Ethtool;
use spec::Spec;
use state::{Reta, Rule, State, Store};
use std::fs::File;

/// What we have changed on one port.
#[derive(Debug)]
pub struct Steering<E> {
    nic: E,
    store: Store,
    state: State,
    rules: Vec<Spec>,
}

impl<E: Ethtool> Steering<E> {
    /// Undo what dead processes left, check that rules are possible; nothing else
    /// is changed yet. `rules` have their queue as action.
    pub fn new(
        nic: E,
        store: Store,
        ifname: &str,
        rules: Vec<Spec>,
        enable_ntuple: bool,
    ) -> Result<Self> {
        let queues = nic.queues()?;
        if let Some(q) = rules
            .iter()
            .filter_map(|r| r.action)
            .find(|q| u32::from(*q) >= queues)
        {
            bail!("{ifname} has {queues} RX queues, there is no queue {q} to steer to");
        }
        if !rules.is_empty() && !nic.ntuple()? {
            if !enable_ntuple {
                bail!(
                    "{ifname}: filter rules are off: 'ethtool -K {ifname} ntuple on' (or \
                     --enable-ntuple); on ixgbe this resets the port once, so do it before"
                );
            }
            nic.enable_ntuple()?;
        }
        Ok(Self {
            nic,
            store,
            state: State::new(ifname)?,
            rules,
        })
    }

    /// Step 1: the hash no longer picks these queues.
    pub fn exclude(&mut self, queues: &[u16]) -> Result<()> {
        let _lock = self.begin()?;
        self.see_reset()?;
        let current = self.nic.reta()?;
        let new =
            table::without(&current, queues).with_context(|| self.state.ifname.to_string())?;
        if new == current {
            return Ok(());
        }
        self.state.reta = Some(match self.state.reta.take() {
            None => {
                self.state.was_default = table::is_default(&current, self.nic.rx_rings()?);
                Reta {
                    old: current,
                    new: new.clone(),
                }
            }
            Some(before) => table::extend(before, &current, &new),
        });
        self.store.save(&self.state)?;
        self.nic.set_reta(&new)
    }

    /// Step 3: the rules that lead to these queues go in.
    pub fn insert(&mut self, queues: &[u16]) -> Result<()> {
        let _lock = self.begin()?;
        for spec in &self.rules {
            if !spec.action.is_some_and(|q| queues.contains(&q)) {
                continue;
            }
            let (used, size) = self.nic.rule_places()?;
            let place = table::free_place(&used, size)
                .with_context(|| format!("{}: no place for another rule", self.state.ifname))?;
            let rule = Rule {
                place,
                flow: spec.to_string(),
            };
            self.state.rules.push(rule);
            self.store.save(&self.state)?;
            if let Err(e) = self.nic.insert_rule(place, spec) {
                self.state.rules.pop();
                self.store.save(&self.state)?;
                return Err(e);
            }
        }
        Ok(())
    }

    /// Put in again what is no longer there; the places. Where another rule has
    /// taken the place, ours gets a new one.
    pub fn renew(&mut self) -> Result<Vec<u32>> {
        let _lock = self.begin()?;
        let mut set = Vec::new();
        for i in 0..self.state.rules.len() {
            let before = self.state.rules[i].place;
            let spec = self.state.rules[i].flow.parse::<Spec>()?;
            if self.nic.rule(before)?.as_ref() == Some(&spec) {
                continue;
            }
            let (used, size) = self.nic.rule_places()?;
            let place = Some(before)
                .filter(|p| !used.contains(p))
                .or_else(|| table::free_place(&used, size))
                .with_context(|| format!("{}: no place for '{spec}'", self.state.ifname))?;
            self.state.rules[i].place = place;
            self.store.save(&self.state)?;
            if let Err(e) = self.nic.insert_rule(place, &spec) {
                self.state.rules[i].place = before;
                self.store.save(&self.state)?;
                return Err(e);
            }
            set.push(place);
        }
        Ok(set)
    }

    /// Leaving, step 1: no rule leads to these queues any more.
    pub fn withdraw(&mut self, queues: &[u16]) -> Result<()> {
        let _lock = self.begin()?;
        let ours = |r: &Rule| {
            r.flow
                .parse::<Spec>()
                .is_ok_and(|s| s.action.is_some_and(|q| queues.contains(&q)))
        };
        let (out, stay): (Vec<_>, Vec<_>) = self.state.rules.iter().cloned().partition(ours);
        for rule in &out {
            remove_rule(&self.nic, rule)?;
        }
        self.state.rules = stay;
        self.store.save(&self.state)
    }

    /// Leaving, step 3: the hash may pick these queues again.
    pub fn include(&mut self, queues: &[u16]) -> Result<()> {
        let _lock = self.begin()?;
        self.see_reset()?;
        if let Some(reta) = &self.state.reta {
            restore(&self.nic, reta, |q| {
                queues.iter().any(|x| u32::from(*x) == q)
            })?;
        }
        Ok(())
    }

    /// Undo everything that still is, and forget about it. Queues of ours that are
    /// stuck are returned: the hash goes on without them.
    pub fn finish(&mut self) -> Result<Vec<u32>> {
        let _lock = self.begin()?;
        self.see_reset()?;
        hand_on(&self.nic, &self.store, &self.state)?;
        undo(&self.nic, &self.state)?;
        self.store.remove(&self.state)?;
        let ours = self.state.reta.iter().flat_map(table::queues_out);
        let stuck = self.nic.stuck();
        let mut left: Vec<u32> = ours.filter(|q| stuck.contains(q)).collect();
        left.sort_unstable();
        left.dedup();
        Ok(left)
    }

    /// Each step: nobody else changes tables, and we know what others who have left
    /// handed on to us.
    fn begin(&mut self) -> Result<File> {
        let lock = self.store.lock()?;
        if let Some(state) = self.store.load(&self.state) {
            self.state = state;
        }
        Ok(lock)
    }

    /// A reset of the port makes a new table, without the queues that are out. If
    /// there is one in place of the driver's own, that is what we have changed now.
    fn see_reset(&mut self) -> Result<()> {
        let Some(reta) = self.state.reta.as_ref().filter(|_| self.state.was_default) else {
            return Ok(());
        };
        let current = self.nic.reta()?;
        let rings = self.nic.rx_rings()?;
        if current == reta.new
            || current.len() != reta.old.len()
            || table::is_default(&current, rings)
            || !table::in_turn(&current)
            // Changes of theirs are not ours to undo.
            || !self.store.others(&self.state)?.is_empty()
        {
            return Ok(());
        }
        self.state.reta = Some(Reta {
            old: (0..current.len() as u32).map(|i| i % rings).collect(),
            new: current,
        });
        self.store.save(&self.state)
    }

    /// Rules that are in, for messages.
    pub fn rules_in(&self) -> impl Iterator<Item = &Rule> {
        self.state.rules.iter()
    }
}

/// Undo what processes that were killed left behind; what was undone, in words.
pub fn recover<E: Ethtool>(store: &Store, open: impl Fn(&str) -> Result<E>) -> Result<Vec<String>> {
    let _lock = store.lock()?;
    let (orphans, bad) = store.orphans()?;
    let mut said: Vec<String> = bad
        .iter()
        .map(|b| format!("cannot read {b}; look at 'ethtool -n' and '-x', then remove it"))
        .collect();
    for state in orphans {
        // Another of them may have handed something on to it just now.
        let state = store.load(&state).unwrap_or(state);
        let name = &state.ifname;
        let done = open(name).and_then(|nic| {
            hand_on(&nic, store, &state)?;
            undo(&nic, &state)
        });
        match done {
            Ok(0) => said.push(format!("{name}: pid {} left nothing behind", state.pid)),
            Ok(n) => said.push(format!(
                "{name}: undid {n} change{} of pid {}, which was killed",
                if n == 1 { "" } else { "s" },
                state.pid
            )),
            // The interface may be gone; its tables are, then.
            Err(e) if !std::path::Path::new(&format!("/sys/class/net/{name}")).exists() => {
                said.push(format!("{name} is gone ({e}); nothing to undo"));
            }
            Err(e) => {
                said.push(format!(
                    "{name}: cannot undo what pid {} left: {e:#}",
                    state.pid
                ));
                continue;
            }
        }
        store.remove(&state)?;
    }
    Ok(said)
}

/// What others have changed on top of `state`, they are to take back to what was
/// before `state`.
fn hand_on(nic: &impl Ethtool, store: &Store, state: &State) -> Result<()> {
    let Some(ours) = &state.reta else {
        return Ok(());
    };
    let current = nic.reta()?;
    for mut other in store.others(state)? {
        let Some(theirs) = other.reta.as_mut() else {
            continue;
        };
        if table::hand_on(ours, theirs, &current) {
            other.was_default = table::is_default(&theirs.old, nic.rx_rings()?);
            store.save(&other)?;
        }
    }
    Ok(())
}

/// Take back all of `state`; how many changes that were.
fn undo(nic: &impl Ethtool, state: &State) -> Result<usize> {
    let mut n = 0;
    for rule in &state.rules {
        n += usize::from(remove_rule(nic, rule)?);
    }
    if let Some(reta) = &state.reta {
        n += usize::from(restore(nic, reta, |_| true)?);
    }
    Ok(n)
}

/// Remove a rule of ours; a rule of somebody else at its place stays.
fn remove_rule(nic: &impl Ethtool, rule: &Rule) -> Result<bool> {
    let ours = rule.flow.parse::<Spec>()?;
    if nic.rule(rule.place)?.as_ref() != Some(&ours) {
        return Ok(false);
    }
    nic.delete_rule(rule.place)?;
    Ok(true)
}

/// Restore the entries of the table that we have changed and nobody since, but
/// lead nothing to a queue that is stuck.
fn restore(nic: &impl Ethtool, reta: &Reta, which: impl Fn(u32) -> bool) -> Result<bool> {
    let current = nic.reta()?;
    let stuck = nic.stuck();
    let back = table::restored(reta, &current, |q| which(q) && !stuck.contains(&q));
    if back == current {
        return Ok(false);
    }
    let rings = nic.rx_rings()?;
    if table::is_default(&back, rings) {
        // Not the same to the driver: now it may change the table with the
        // number of queues again.
        nic.set_reta(&[])?;
    } else {
        nic.set_reta(&back)?;
    }
    Ok(true)
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
