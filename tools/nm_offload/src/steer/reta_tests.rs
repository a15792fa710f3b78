// SPDX-License-Identifier: GPL-2.0
//! The RSS table when others change it too: a reset of the port, a user, a second
//! program.

use super::*;

/// As a reset does: the queues that are not out, in turn.
fn reset(nic: &Fake, out: &[u32]) {
    let mut card = nic.0.borrow_mut();
    let rest: Vec<u32> = (0..card.rings).filter(|q| !out.contains(q)).collect();
    card.reta = (0..128).map(|i| rest[i % rest.len()]).collect();
}

#[test]
fn a_reset_in_mid_run_leaves_no_trace() {
    for (rings, kept, joins) in [(4, 3, 2), (10, 4, 5), (10, 4, 0), (3, 2, 0)] {
        for leaves in [false, true] {
            let (nic, dir) = (card(rings), dir(&format!("reset{rings}{joins}{leaves}")));
            let before = nic.reta().expect("reta");
            let mut s = steering(&nic, &dir, dns(kept));
            s.exclude(&[kept]).expect("exclude");
            reset(&nic, &[kept.into()]);
            s.exclude(&[joins]).expect("another");
            let now = nic.reta().expect("reta");
            assert!(![kept, joins].iter().any(|q| now.contains(&(*q).into())));
            if leaves {
                s.include(&[joins]).expect("include");
                let now = nic.reta().expect("reta");
                assert!(now.contains(&joins.into()) && !now.contains(&kept.into()));
            }
            s.finish().expect("finish");
            assert_eq!(nic.reta().expect("reta"), before, "{rings} queues");
            assert_eq!(nic.0.borrow().resets, 1, "as default");
        }
    }
}

#[test]
fn a_reset_between_joining_and_leaving_leaves_no_trace() {
    let (nic, dir) = (card(10), dir("reset-between"));
    let before = nic.reta().expect("reta");
    let mut s = steering(&nic, &dir, dns(4));
    s.exclude(&[4]).expect("exclude");
    s.exclude(&[5]).expect("another");
    // The driver itself lets the hash pick 5 once it is back.
    reset(&nic, &[4]);
    s.include(&[5]).expect("include");
    assert!(!nic.reta().expect("reta").contains(&4));
    s.finish().expect("finish");
    assert_eq!(nic.reta().expect("reta"), before);
}

#[test]
fn a_table_set_by_hand_in_mid_run_stays() {
    let (nic, dir) = (card(10), dir("by-hand"));
    let mut s = steering(&nic, &dir, dns(4));
    s.exclude(&[4]).expect("exclude");
    // ethtool -X eth3 weight: equal shares, but not in turn.
    let theirs: Vec<u32> = (0..128).map(|i| 5 + i / 32).collect();
    nic.set_reta(&theirs).expect("set");
    s.finish().expect("finish");
    let now = nic.reta().expect("reta");
    let kept = now.iter().zip(&theirs).filter(|(a, b)| a == b).count();
    assert!(kept >= 120, "{now:?}");
}

/// Two programs on a port. The second is that of a process that runs, but not ours.
fn two(nic: &Fake, dir: &Dir, child: &std::process::Child) -> [Steering<Fake>; 2] {
    let a = steering(nic, dir, dns(3));
    let mut b = steering(nic, dir, dns(2));
    b.state.pid = child.id();
    b.state.started = state::start_time(child.id()).expect("start time");
    [a, b]
}

fn child() -> std::process::Child {
    let pipe = std::process::Stdio::piped;
    let mut cat = std::process::Command::new("cat");
    cat.stdin(pipe()).stdout(pipe()).spawn().expect("cat")
}

#[test]
fn two_programs_leave_in_any_order() {
    let mut cat = child();
    for (rings, first) in [(4, 0), (4, 1), (10, 0), (10, 1)] {
        let (nic, dir) = (card(rings), dir(&format!("two{rings}{first}")));
        let before = nic.reta().expect("reta");
        let mut both = two(&nic, &dir, &cat);
        both[0].exclude(&[3]).expect("a takes 3");
        both[1].exclude(&[2]).expect("b takes 2");
        let (leaves, stays) = [(3, 2), (2, 3)][first];
        both[first].finish().expect("the first ends");
        let now = nic.reta().expect("reta");
        assert!(!now.contains(&stays), "{stays} is still out");
        assert!(now.contains(&leaves), "{leaves} is back");
        both[1 - first].finish().expect("the other ends");
        assert_eq!(nic.reta().expect("reta"), before, "{rings} {first}");
    }
    drop(cat.stdin.take());
    cat.wait().expect("wait");
}

#[test]
fn two_programs_killed_are_undone_together() {
    let mut cat = child();
    let (nic, dir) = (card(4), dir("two-killed"));
    let before = nic.reta().expect("reta");
    let mut both = two(&nic, &dir, &cat);
    both[0].exclude(&[3]).expect("a takes 3");
    both[1].exclude(&[2]).expect("b takes 2");
    for s in &both {
        let mut dead = s.state.clone();
        dead.started += 1;
        s.store.save(&dead).expect("save");
    }
    let said = recover(&both[0].store, |_| Ok(nic.clone())).expect("recover");
    assert_eq!(said.len(), 2, "{said:?}");
    assert_eq!(nic.reta().expect("reta"), before);
    drop(cat.stdin.take());
    cat.wait().expect("wait");
}
