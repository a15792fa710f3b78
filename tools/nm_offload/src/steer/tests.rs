// SPDX-License-Identifier: GPL-2.0
//! Steering against a card in memory: order of steps, undoing, being killed.

use super::*;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

#[path = "reta_tests.rs"]
mod reta_tests;

#[derive(Debug, Default)]
struct Card {
    queues: u32,
    rings: u32,
    ntuple: bool,
    reta: Vec<u32>,
    rules: BTreeMap<u32, Spec>,
    refuse_rules: bool,
    stuck: Vec<u32>,
    resets: u32,
}

#[derive(Clone, Debug, Default)]
struct Fake(Rc<RefCell<Card>>);

impl Ethtool for Fake {
    fn queues(&self) -> Result<u32> {
        Ok(self.0.borrow().queues)
    }
    fn stuck(&self) -> Vec<u32> {
        self.0.borrow().stuck.clone()
    }
    fn rx_rings(&self) -> Result<u32> {
        Ok(self.0.borrow().rings)
    }
    fn ntuple(&self) -> Result<bool> {
        Ok(self.0.borrow().ntuple)
    }
    fn enable_ntuple(&self) -> Result<()> {
        self.0.borrow_mut().ntuple = true;
        Ok(())
    }
    fn reta(&self) -> Result<Vec<u32>> {
        Ok(self.0.borrow().reta.clone())
    }
    fn set_reta(&self, table: &[u32]) -> Result<()> {
        let mut card = self.0.borrow_mut();
        if table.is_empty() {
            card.resets += 1;
            let rings = card.rings;
            card.reta = (0..128).map(|i| i % rings).collect();
        } else {
            card.reta = table.to_vec();
        }
        Ok(())
    }
    fn rule_places(&self) -> Result<(Vec<u32>, u32)> {
        Ok((self.0.borrow().rules.keys().copied().collect(), 2046))
    }
    fn rule(&self, place: u32) -> Result<Option<Spec>> {
        Ok(self.0.borrow().rules.get(&place).cloned())
    }
    fn insert_rule(&self, place: u32, spec: &Spec) -> Result<()> {
        let mut card = self.0.borrow_mut();
        if card.refuse_rules {
            bail!("refused");
        }
        card.rules.insert(place, spec.clone());
        Ok(())
    }
    fn delete_rule(&self, place: u32) -> Result<()> {
        self.0.borrow_mut().rules.remove(&place);
        Ok(())
    }
}

fn card(rings: u32) -> Fake {
    Fake(Rc::new(RefCell::new(Card {
        queues: rings,
        rings,
        ntuple: true,
        reta: (0..128).map(|i| i % rings).collect(),
        ..Default::default()
    })))
}

struct Dir(std::path::PathBuf);

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn dir(name: &str) -> Dir {
    Dir(std::env::temp_dir().join(format!("nm_offload-steer-{name}-{}", std::process::id())))
}

fn dns(queue: u16) -> Vec<Spec> {
    vec![format!("udp4 dst-port 53 action {queue}")
        .parse()
        .expect("rule")]
}

fn steering(nic: &Fake, dir: &Dir, rules: Vec<Spec>) -> Steering<Fake> {
    let store = Store::new(&dir.0).expect("store");
    Steering::new(nic.clone(), store, "eth3", rules, false).expect("steering")
}

#[test]
fn coming_and_leaving_restores_everything() {
    let (nic, dir) = (card(10), dir("round"));
    let before = nic.reta().expect("reta");
    let mut s = steering(&nic, &dir, dns(4));
    s.exclude(&[4]).expect("exclude");
    assert!(!nic.reta().expect("reta").contains(&4));
    s.insert(&[4]).expect("insert");
    assert_eq!(
        nic.0.borrow().rules.keys().copied().collect::<Vec<_>>(),
        [2045]
    );
    s.withdraw(&[4]).expect("withdraw");
    assert!(nic.0.borrow().rules.is_empty());
    s.include(&[4]).expect("include");
    s.finish().expect("finish");
    assert_eq!(nic.reta().expect("reta"), before);
    assert_eq!(
        nic.0.borrow().resets,
        1,
        "the default is restored as default"
    );
    assert!(!dir
        .0
        .join(format!("eth3-{}.json", std::process::id()))
        .exists());
}

#[test]
fn a_table_of_the_user_comes_back_entry_by_entry() {
    let (nic, dir) = (card(10), dir("user"));
    let mine: Vec<u32> = (0..128).map(|i| [1, 1, 4, 2][i % 4]).collect();
    nic.set_reta(&mine).expect("set");
    let mut s = steering(&nic, &dir, dns(4));
    s.exclude(&[4]).expect("exclude");
    let out = nic.reta().expect("reta");
    assert!(
        out.iter().all(|q| [1, 2].contains(q)),
        "only queues that were in use"
    );
    s.finish().expect("finish");
    assert_eq!(nic.reta().expect("reta"), mine);
    assert_eq!(nic.0.borrow().resets, 0);
}

#[test]
fn being_killed_at_any_point_is_undone_at_the_next_start() {
    for steps in 0..4 {
        let (nic, dir) = (card(10), dir(&format!("killed{steps}")));
        let before = nic.reta().expect("reta");
        nic.0.borrow_mut().rules.insert(7, dns(1).remove(0));
        let mut s = steering(&nic, &dir, dns(4));
        if steps >= 1 {
            s.exclude(&[4]).expect("exclude");
        }
        if steps >= 2 {
            s.insert(&[4]).expect("insert");
        }
        if steps >= 3 {
            // Written down, but not done.
            nic.0.borrow_mut().rules.remove(&2045);
        }
        // Make the file that of a process that is gone.
        let mut dead = s.state.clone();
        dead.started += 1;
        s.store.remove(&s.state).expect("remove");
        s.store.save(&dead).expect("save");
        let said = recover(&s.store, |_| Ok(nic.clone())).expect("recover");
        assert_eq!(said.len(), 1, "{said:?}");
        assert_eq!(nic.reta().expect("reta"), before, "step {steps}");
        let left: Vec<u32> = nic.0.borrow().rules.keys().copied().collect();
        assert_eq!(left, [7], "rules of others stay");
        assert!(recover(&s.store, |_| Ok(nic.clone()))
            .expect("again")
            .is_empty());
    }
}

#[test]
fn what_others_changed_meanwhile_stays() {
    let (nic, dir) = (card(10), dir("others"));
    let mut s = steering(&nic, &dir, dns(4));
    s.exclude(&[4]).expect("exclude");
    s.insert(&[4]).expect("insert");
    // Somebody puts another rule in our place and rewrites an entry of ours.
    let theirs: Spec = "tcp4 dst-port 80 action 2".parse().expect("rule");
    nic.0.borrow_mut().rules.insert(2045, theirs.clone());
    nic.0.borrow_mut().reta[4] = 9;
    s.finish().expect("finish");
    assert_eq!(nic.rule(2045).expect("rule"), Some(theirs));
    let reta = nic.reta().expect("reta");
    assert_eq!((reta[4], reta[14]), (9, 4));
}

#[test]
fn queues_join_and_leave_at_run_time() {
    let (nic, dir) = (card(10), dir("join"));
    let before = nic.reta().expect("reta");
    let mut s = steering(&nic, &dir, dns(4));
    s.exclude(&[4]).expect("4 out");
    s.exclude(&[5]).expect("5 out");
    assert!(!nic.reta().expect("reta").iter().any(|q| [4, 5].contains(q)));
    s.include(&[5]).expect("5 back");
    assert!(nic.reta().expect("reta").contains(&5));
    assert!(!nic.reta().expect("reta").contains(&4));
    s.finish().expect("finish");
    assert_eq!(nic.reta().expect("reta"), before);
}

#[test]
fn rules_the_driver_has_forgotten_are_set_again() {
    let (nic, dir) = (card(10), dir("renew"));
    let mut s = steering(&nic, &dir, [dns(4), dns(5)].concat());
    s.insert(&[4, 5]).expect("insert");
    assert!(s.renew().expect("nothing to do").is_empty());
    // One is gone, the other's place has a rule of somebody else.
    let theirs: Spec = "tcp4 dst-port 80 action 2".parse().expect("rule");
    nic.0.borrow_mut().rules.remove(&2045);
    nic.0.borrow_mut().rules.insert(2044, theirs.clone());
    assert_eq!(s.renew().expect("renew"), [2045, 2043]);
    assert_eq!(nic.rule(2045).expect("rule"), dns(4).pop());
    assert_eq!(nic.rule(2043).expect("rule"), dns(5).pop());
    assert_eq!(nic.rule(2044).expect("rule"), Some(theirs));
    // The file knows where they are.
    let mut dead = s.state.clone();
    dead.started += 1;
    s.store.save(&dead).expect("save");
    recover(&s.store, |_| Ok(nic.clone())).expect("recover");
    let left: Vec<u32> = nic.0.borrow().rules.keys().copied().collect();
    assert_eq!(left, [2044]);
}

#[test]
fn the_hash_does_not_pick_a_stuck_queue_again() {
    let (nic, dir) = (card(10), dir("stuck"));
    let mut s = steering(&nic, &dir, dns(4));
    s.exclude(&[4, 5]).expect("exclude");
    nic.0.borrow_mut().stuck.push(5);
    s.include(&[5]).expect("include");
    assert_eq!(s.finish().expect("finish"), [5]);
    let reta = nic.reta().expect("reta");
    assert!(reta.contains(&4) && !reta.contains(&5), "{reta:?}");
}

#[test]
fn refusals_leave_nothing_behind() {
    let (nic, dir) = (card(10), dir("refused"));
    let before = nic.reta().expect("reta");
    nic.0.borrow_mut().refuse_rules = true;
    let mut s = steering(&nic, &dir, dns(4));
    s.exclude(&[4]).expect("exclude");
    assert!(s.insert(&[4]).is_err());
    s.finish().expect("finish");
    assert_eq!(nic.reta().expect("reta"), before);

    nic.0.borrow_mut().ntuple = false;
    let store = Store::new(&dir.0).expect("store");
    let e = Steering::new(nic.clone(), store.clone(), "eth3", dns(4), false).expect_err("off");
    assert!(e.to_string().contains("ethtool -K eth3 ntuple on"), "{e}");
    assert!(!nic.0.borrow().ntuple, "features are not changed silently");
    let e = Steering::new(nic.clone(), store, "eth3", dns(10), true).expect_err("no queue");
    assert!(e.to_string().contains("no queue 10"), "{e}");
}

#[test]
fn queues_beyond_rss_leave_the_table_alone() {
    let (nic, dir) = (card(10), dir("beyond"));
    nic.0.borrow_mut().queues = 20;
    let mut s = steering(&nic, &dir, dns(17));
    s.exclude(&[17]).expect("exclude");
    assert_eq!(s.state.reta, None);
    s.insert(&[17]).expect("insert");
    assert_eq!(nic.0.borrow().rules[&2045].action, Some(17));
    let store = Store::new(&dir.0).expect("store");
    let e = Steering::new(nic.clone(), store, "eth3", dns(20), false).expect_err("no queue");
    assert!(
        e.to_string().contains("20 RX queues, there is no queue 20"),
        "{e}"
    );
}

#[test]
fn rss_keeps_at_least_one_queue() {
    let e = table::without(&[4; 128], &[4]).expect_err("only queue");
    assert!(e.to_string().contains("at least one"));
    assert_eq!(table::free_place(&[2045, 2044], 2046), Some(2043));
    assert_eq!(table::free_place(&[0, 1], 2), None);
    assert!(!table::is_default(&[0, 1, 0, 2], 2));
}
