// SPDX-License-Identifier: GPL-2.0

//! What processors with weaker memory may do, in small: each step mirrors one of the module's, with the
//! barrier that stands there. Without the barrier the model fails, which is tested too.

use loom::sync::atomic::{fence, AtomicU32, Ordering::*};
use loom::sync::Arc;
use loom::thread;

/// Two words in memory that two threads see.
#[derive(Default)]
struct Two(AtomicU32, AtomicU32);

/// Runs `one` and `two` in any order, then `end` with what they said.
fn race<A: 'static, B: 'static>(
    one: impl Fn(&Two) -> A + Send + Sync + Copy + 'static,
    two: impl Fn(&Two) -> B + Send + Sync + Copy + 'static,
    end: impl Fn(A, B) + Send + Sync + Copy + 'static,
) where
    A: Send,
{
    loom::model(move || {
        let words = Arc::new(Two::default());
        let theirs = words.clone();
        let thread = thread::spawn(move || one(&theirs));
        let b = two(&words);
        end(thread.join().unwrap(), b);
    });
}

/// `RxRing::sync`: slots and bytes, write_barrier, tail. The program: tail, then slots.
fn publish(barrier: bool) {
    race(
        move |Two(slot, tail)| {
            slot.store(1, Relaxed);
            if barrier {
                fence(Release);
            }
            tail.store(1, Relaxed);
        },
        |Two(slot, tail)| {
            let seen = tail.load(Relaxed);
            fence(Acquire);
            (seen, slot.load(Relaxed))
        },
        |(), seen| assert_ne!(seen, (1, 0), "a slot that is not there yet"),
    );
}

#[test]
fn a_program_that_sees_the_tail_sees_the_slots() {
    publish(true);
}

#[test]
#[should_panic(expected = "a slot that is not there yet")]
fn without_the_barrier_before_the_tail_it_may_not() {
    publish(false);
}

/// A kick's two sides: `wait_for_kick` asks (`ask_for_kicks`), full_barrier, and looks (`waits`); the
/// program moves `head`, a barrier, and looks whether to kick.
fn kick(barrier: bool) {
    let step = move |mine: &AtomicU32, theirs: &AtomicU32| {
        mine.store(1, Relaxed);
        if barrier {
            fence(SeqCst);
        }
        theirs.load(Relaxed)
    };
    race(
        move |Two(asks, head)| step(asks, head),
        move |Two(asks, head)| step(head, asks),
        |moved, asked| assert!(moved == 1 || asked == 1, "nobody sees the other"),
    );
}

#[test]
fn the_kernel_sees_the_move_or_the_program_sees_the_wish() {
    kick(true);
}

#[test]
#[should_panic(expected = "nobody sees the other")]
fn without_a_full_barrier_both_may_sleep() {
    kick(false);
}

/// `Entry::pointers`: head, read_barrier, cur; the program writes `cur`, then `head`. So `cur` is never
/// behind `head`, which `ring::check` would take for an impossible pair.
fn pointers(right: bool) {
    race(
        |Two(head, cur)| {
            cur.store(1, Relaxed);
            fence(Release);
            head.store(1, Relaxed);
        },
        move |Two(head, cur)| {
            let (a, b) = if right { (head, cur) } else { (cur, head) };
            let first = a.load(Relaxed);
            fence(Acquire);
            let second = b.load(Relaxed);
            if right {
                (first, second)
            } else {
                (second, first)
            }
        },
        |(), (head, cur)| assert!(head <= cur, "cur is behind head"),
    );
}

#[test]
fn pointers_are_read_in_the_order_that_cannot_be_impossible() {
    pointers(true);
}

#[test]
#[should_panic(expected = "cur is behind head")]
fn in_the_other_order_they_may_be() {
    pointers(false);
}

/// `NextCell`: what `set` publishes (Release) `status` sees whole (Acquire): the descriptor it looks at is
/// one whose old status was cleared before.
fn next_cell(ordered: bool) {
    race(
        move |Two(desc, next)| {
            desc.store(1, Relaxed);
            next.store(1, if ordered { Release } else { Relaxed });
        },
        |Two(desc, next)| {
            let at = next.load(Acquire);
            (at, desc.load(Relaxed))
        },
        |(), seen| assert_ne!(seen, (1, 0), "an old descriptor"),
    );
}

#[test]
fn an_interrupt_sees_the_descriptor_behind_the_index() {
    next_cell(true);
}

#[test]
#[should_panic(expected = "an old descriptor")]
fn with_a_relaxed_index_it_may_see_an_old_one() {
    next_cell(false);
}
