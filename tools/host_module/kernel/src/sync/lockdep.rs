// SPDX-License-Identifier: GPL-2.0

//! Which locks are taken under which others, and where that cannot be.
//!
//! As the kernel's lockdep: classes by name, an edge for each pair that was ever held together, a
//! panic where edges close a circle, where a thread takes a lock it has, or one that sleeps with a
//! spinlock held. One run sees an order that deadlocks, although nothing has deadlocked.

use std::cell::RefCell;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::Mutex;

const CLASSES: usize = 64;

static NAMES: Mutex<Vec<&'static str>> = Mutex::new(Vec::new());
/// Bit j of word i: j was taken with i held.
static UNDER: [AtomicU64; CLASSES] = [const { AtomicU64::new(0) }; CLASSES];

thread_local! {
    static HELD: RefCell<Vec<(usize, Class)>> = const { RefCell::new(Vec::new()) };
}

/// Locks of one name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Class {
    id: u8,
    spins: bool,
}

impl Class {
    /// Of this name.
    pub fn of(name: &'static str) -> Self {
        Self::new(name, false)
    }

    /// Of spinlocks.
    pub fn spinning(name: &'static str) -> Self {
        Self::new(name, true)
    }

    fn new(name: &'static str, spins: bool) -> Self {
        let mut names = NAMES.lock().unwrap_or_else(|e| e.into_inner());
        let id = names.iter().position(|n| *n == name).unwrap_or_else(|| {
            names.push(name);
            names.len() - 1
        });
        assert!(id < CLASSES, "too many lock classes");
        Class {
            id: id as u8,
            spins,
        }
    }

    fn name(self) -> &'static str {
        NAMES.lock().unwrap_or_else(|e| e.into_inner())[usize::from(self.id)]
    }
}

fn reaches(from: u8, to: u8) -> bool {
    let (mut seen, mut open) = (0u64, 1u64 << from);
    while open != 0 {
        let next = open.trailing_zeros();
        open &= open - 1;
        seen |= 1 << next;
        open |= UNDER[next as usize].load(Relaxed) & !seen;
    }
    seen & (1 << to) != 0
}

/// The thread is about to wait for a lock.
pub fn before(lock: usize, class: Class) {
    HELD.with_borrow(|held| {
        for &(other, under) in held {
            assert!(other != lock, "deadlock: {} is held", class.name());
            let (one, two) = (under.name(), class.name());
            assert!(class.spins || !under.spins, "{two} sleeps under {one}");
            if UNDER[usize::from(under.id)].load(Relaxed) & (1 << class.id) == 0 {
                assert!(!reaches(class.id, under.id), "circle: {two} under {one}");
                UNDER[usize::from(under.id)].fetch_or(1 << class.id, Relaxed);
            }
        }
    });
}

/// The thread has it.
pub fn taken(lock: usize, class: Class) {
    HELD.with_borrow_mut(|held| held.push((lock, class)));
}

/// It has it no more.
pub fn released(lock: usize) {
    HELD.with_borrow_mut(|held| {
        let at = held.iter().rposition(|h| h.0 == lock);
        held.remove(at.expect("a lock that is held"));
    });
}

/// The thread may sleep here.
pub fn may_sleep() {
    HELD.with_borrow(|held| {
        let spinning = held.iter().find(|h| h.1.spins);
        assert!(
            spinning.is_none(),
            "sleeps under {}",
            spinning.map_or("", |h| h.1.name())
        );
    });
}

/// The thread touches user memory, for which it may have to wait as long as a program likes: under
/// no lock but a file's own, the one of this name.
pub fn may_fault(file: &str) {
    HELD.with_borrow(|held| {
        let other = held.iter().map(|h| h.1.name()).find(|name| *name != file);
        assert!(other.is_none(), "user memory under {}", other.unwrap_or(""));
    });
}

/// Has the thread this lock?
pub fn holds(lock: usize) -> bool {
    HELD.with_borrow(|held| held.iter().any(|h| h.0 == lock))
}

/// Locks the thread has: none, between two system calls.
pub fn held() -> usize {
    HELD.with_borrow(Vec::len)
}
