// SPDX-License-Identifier: GPL-2.0

//! The card: queues that read descriptors and write where these say.
//!
//! Whatever the module and its programs do, each descriptor the card is told of must point to memory
//! it may reach, and no two receive descriptors to the same bytes.

use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::sync::Mutex;

use kernel::ffi::{c_int, c_void};

use super::net::Dev;
use super::{locked, mem};
use crate::ffi::{nm_nic_client, nm_nic_ring};

const DD: u64 = 1;
const EOP: u64 = 2;
const TX_EOP: u64 = 1 << 24;
/// Longest packet and most pieces the card can send.
const TX_MAX: u64 = 15872;
const TX_PIECES: u32 = 38;

/// A loan: whom the driver calls.
#[derive(Clone, Copy)]
pub struct Lent {
    client: usize,
    private: usize,
    pub buf_len: u32,
}

impl Lent {
    pub fn new(client: *const nm_nic_client, private: *mut c_void, buf_len: u32) -> Self {
        Lent {
            client: client as usize,
            private: private as usize,
            buf_len,
        }
    }

    fn client(&self) -> &'static nm_nic_client {
        // SAFETY: The module's constant table.
        unsafe { &*(self.client as *const nm_nic_client) }
    }

    fn private(&self) -> *mut c_void {
        self.private as *mut c_void
    }
}

/// A descriptor.
#[repr(C, align(16))]
#[derive(Clone, Copy)]
struct Desc([u64; 2]);

/// A ring's descriptors, which the module sees too.
#[derive(Default)]
struct Descs(Vec<core::cell::UnsafeCell<core::mem::MaybeUninit<Desc>>>);

// SAFETY: Accesses are volatile, of words that both sides may write.
unsafe impl Send for Descs {}

impl Descs {
    fn new(n: u32) -> Self {
        let zero = || core::cell::UnsafeCell::new(core::mem::MaybeUninit::new(Desc([0; 2])));
        Descs((0..n).map(|_| zero()).collect())
    }

    fn count(&self) -> u32 {
        self.0.len() as u32
    }

    fn as_ptr(&self) -> *mut c_void {
        self.0.as_ptr().cast_mut().cast()
    }

    fn get(&self, i: u32) -> [u64; 2] {
        let at = self.0[i as usize].get().cast::<Desc>();
        // SAFETY: Initialised in `new`.
        unsafe { at.read_volatile() }.0
    }

    fn set(&self, i: u32, desc: [u64; 2]) {
        let at = self.0[i as usize].get().cast::<Desc>();
        // SAFETY: In the ring.
        unsafe { at.write_volatile(Desc(desc)) };
    }
}

/// What a queue does now.
#[derive(Default)]
struct State {
    lent: Option<Lent>,
    started: bool,
    /// Its vector may fire.
    enabled: bool,
    /// It did not stop when it should have.
    stuck: bool,
    /// The card has written what no card writes: its own descriptors say nothing of the module.
    dirty: bool,
    descs: Descs,
    /// The descriptor the card works on next.
    head: u32,
}

/// A queue of the card.
pub struct Queue {
    tx: bool,
    /// Held while the vector's call is under way, as NAPI's own state is.
    napi: kernel::sync::Mutex<()>,
    state: Mutex<State>,
    tail: AtomicU32,
    /// TX: where the card writes its head.
    head: AtomicU32,
}

/// The rings of all queues there are, for [`unmapped`].
static QUEUES: Mutex<Vec<usize>> = Mutex::new(Vec::new());

/// Forgets all queues.
pub fn reset() {
    locked(&QUEUES).clear();
}

/// A mapping ends: no descriptor that the card will look at may need it.
pub fn unmapped(bus: u64, len: usize) {
    for &queue in locked(&QUEUES).iter() {
        // SAFETY: Queues in the list are never freed.
        let queue = unsafe { &*(queue as *const Queue) };
        // One whose client is being called just now has its state locked by nobody.
        let state = locked(&queue.state);
        if !state.started && !state.stuck {
            continue;
        }
        for desc in queue.told(&state) {
            let at = desc[0];
            let inside = at >= bus && at < bus + len as u64;
            assert!(!inside, "unmapped what a descriptor points to");
        }
    }
}

impl Queue {
    pub fn new(tx: bool) -> Self {
        Queue {
            tx,
            napi: kernel::sync::Mutex::named((), "napi"),
            state: Mutex::new(State::default()),
            tail: AtomicU32::new(0),
            head: AtomicU32::new(0),
        }
    }

    /// The queue behind a cookie.
    ///
    /// # Safety
    ///
    /// It must be one this file gave.
    pub unsafe fn of<'a>(cookie: *mut c_void) -> &'a Queue {
        // SAFETY: By the caller's promise; queues are never freed.
        unsafe { &*cookie.cast() }
    }

    fn cookie(&self) -> *mut c_void {
        core::ptr::from_ref(self).cast_mut().cast()
    }

    pub fn out(&self) -> bool {
        locked(&self.state).lent.is_some()
    }

    pub fn started(&self) -> bool {
        locked(&self.state).started
    }

    pub fn assert_started(&self) {
        assert!(self.started(), "a call for a ring that is not started");
    }

    pub fn take(&self, dev: &Dev, slots: u32, lent: Lent) -> c_int {
        {
            let mut state = locked(&self.state);
            if state.lent.is_some() || state.stuck {
                return -16;
            }
            state.lent = Some(lent);
        }
        let at = core::ptr::from_ref(self) as usize;
        let mut queues = locked(&QUEUES);
        if !queues.contains(&at) {
            queues.push(at);
        }
        drop(queues);
        let ret = self.start(dev, slots);
        if ret != 0 {
            locked(&self.state).lent = None;
        }
        ret
    }

    /// Enables the ring, empty, and hands it to its client.
    pub fn start(&self, dev: &Dev, slots: u32) -> c_int {
        let mut state = locked(&self.state);
        let Some(lent) = state.lent.filter(|_| !state.started) else {
            return 0;
        };
        state.descs = Descs::new(slots);
        state.dirty = false;
        state.head = 0;
        self.tail.store(0, SeqCst);
        self.head.store(0, SeqCst);
        let ring = nm_nic_ring {
            desc: state.descs.as_ptr(),
            tail: (&raw const self.tail).cast_mut().cast(),
            head: if self.tx {
                (&raw const self.head).cast()
            } else {
                core::ptr::null()
            },
            count: slots,
            reg_idx: 0,
            dev: dev.as_ptr(),
            cookie: self.cookie(),
        };
        state.started = true;
        drop(state);
        // SAFETY: As `netmap_nic.h` says: rtnl is held, the ring is enabled and empty.
        let ret = unsafe { lent.client().start.expect("a function")(lent.private(), &ring) };
        {
            // As the driver's bit that lets the vector in: a call of it sees what start() has written.
            let _napi = self.napi.lock();
            let mut state = locked(&self.state);
            state.started = ret == 0;
            state.enabled = ret == 0;
        }
        self.check();
        ret
    }

    pub fn stop(&self) {
        let lent = {
            let state = locked(&self.state);
            match state.lent {
                Some(lent) if state.started => lent,
                _ => return,
            }
        };
        self.disable();
        // SAFETY: Started before.
        unsafe { lent.client().stop.expect("a function")(lent.private()) };
        let mut state = locked(&self.state);
        state.started = false;
        state.descs = Descs::default();
    }

    pub fn give(&self, sticks: bool) -> c_int {
        assert!(self.out(), "a queue is given back that is not out");
        if sticks {
            let lent = locked(&self.state).lent;
            let lent = lent.filter(|_| self.started());
            self.disable();
            if let Some(lent) = lent {
                // SAFETY: Started before.
                unsafe { lent.client().stop.expect("a function")(lent.private()) };
            }
            // The card goes on with the descriptors it has.
            let mut state = locked(&self.state);
            state.started = false;
            state.stuck = true;
            return -5;
        }
        self.stop();
        // No call of the vector is under way when the loan ends.
        let _napi = self.napi.lock();
        locked(&self.state).lent = None;
        0
    }

    /// The vector fires no more, and its last call has ended.
    fn disable(&self) {
        let _napi = self.napi.lock();
        locked(&self.state).enabled = false;
    }

    /// A reset has stopped a queue that did not stop when it was given back.
    pub fn release(&self) {
        let lent = {
            let mut state = locked(&self.state);
            if !core::mem::take(&mut state.stuck) {
                return;
            }
            state.descs = Descs::default();
            state.lent.take()
        };
        let lent = lent.expect("a client");
        // SAFETY: Stopped before; forgotten now.
        unsafe { lent.client().released.expect("a function")(lent.private()) };
    }

    pub fn gone(&self) {
        if locked(&self.state).stuck {
            // Its client has heard EIO.
            return;
        }
        self.stop();
        let lent = {
            let _napi = self.napi.lock();
            locked(&self.state).lent.take()
        };
        if let Some(lent) = lent {
            // SAFETY: Stopped before; forgotten now.
            unsafe { lent.client().gone.expect("a function")(lent.private()) };
        }
    }

    /// The vector fires.
    pub fn irq(&self) {
        let _napi = self.napi.lock();
        let (lent, enabled) = {
            let state = locked(&self.state);
            (state.lent, state.enabled)
        };
        if let Some(lent) = lent.filter(|_| enabled || self.tx) {
            // SAFETY: RX: started; TX: out.
            unsafe { lent.client().irq.expect("a function")(lent.private()) };
        }
    }

    /// The same, one by one.
    fn told<'a>(&self, state: &'a State) -> impl Iterator<Item = [u64; 2]> + 'a {
        let n = state.descs.count();
        let (head, tail) = (state.head, self.tail.load(SeqCst));
        let count = if n == 0 { 0 } else { (tail + n - head) % n };
        (0..count).map(move |i| state.descs.get((head + i) % n))
    }

    /// Descriptors the card has been told of and not yet done.
    pub fn waiting(&self) -> usize {
        self.told(&locked(&self.state)).count()
    }

    /// Whatever the card may do next is harmless. Returns where it may write.
    pub fn check(&self) -> Vec<(usize, usize)> {
        let state = locked(&self.state);
        if !state.started || state.dirty {
            return Vec::new();
        }
        let Some(lent) = state.lent else {
            return Vec::new();
        };
        let (mut places, mut bytes, mut pieces) = (Vec::new(), 0, 0);
        let mut paylen = 0;
        for [lo, hi] in self.told(&state) {
            if !self.tx {
                assert_eq!(
                    hi, 0,
                    "a descriptor that is done before it is received into"
                );
                let at = mem::reach(lo, lent.buf_len as usize);
                let at = at.expect("the card would write where it may not") as usize;
                places.push((at, at + lent.buf_len as usize));
                continue;
            }
            let len = hi & 0xffff;
            if pieces == 0 {
                paylen = hi >> 46;
            }
            assert!(
                mem::reach(lo, len as usize).is_some(),
                "the card would read elsewhere"
            );
            assert!(len != 0, "an empty piece");
            (bytes, pieces) = (bytes + len, pieces + 1);
            assert!(
                bytes <= TX_MAX && pieces <= TX_PIECES,
                "more than the card can send"
            );
            if hi & TX_EOP != 0 {
                assert!(bytes == paylen && bytes >= 17, "a packet of a wrong length");
                (bytes, pieces) = (0, 0);
            }
        }
        assert_eq!(pieces, 0, "a packet without an end");
        places
    }

    /// RX: the card receives a frame in pieces of these lengths, as far as it has descriptors.
    /// `extra` is what else it says in the status.
    pub fn receive(&self, pieces: &[u16], extra: u64) {
        kernel::sync::point();
        let mut state = locked(&self.state);
        let (Some(lent), true, false) = (state.lent, state.started, self.tx) else {
            return;
        };
        let n = state.descs.count();
        for (i, &len) in pieces.iter().enumerate() {
            if state.head == self.tail.load(SeqCst) {
                break;
            }
            let [lo, _] = state.descs.get(state.head);
            let room = len.min(lent.buf_len as u16) as usize;
            let to = mem::reach(lo, lent.buf_len as usize);
            assert!(
                to.is_some() || state.dirty,
                "the card writes where it may not"
            );
            if let Some(to) = to {
                // SAFETY: In a mapping.
                unsafe { to.write_bytes(0x5a, room) };
            }
            let eop = if i + 1 == pieces.len() { EOP } else { 0 };
            let hi = DD | eop | (u64::from(len) << 32) | extra;
            state.descs.set(state.head, [0x1234_5678_0000_0011, hi]);
            state.head = (state.head + 1) % n;
        }
    }

    /// RX: the card writes nonsense into a descriptor of its own, which is not its business to leave.
    pub fn scribble(&self, offset: u32, word: u64) {
        let mut state = locked(&self.state);
        let own = state.head;
        state.dirty |= self.scrawl(&state, own, offset, word);
    }

    /// RX: the same with one that is not the card's: at its tail, or beyond. That changes nothing of
    /// what it is given later.
    pub fn trespass(&self, offset: u32, word: u64) {
        let state = locked(&self.state);
        let own = self.told(&state).count() as u32;
        let others = state.descs.count().saturating_sub(own).max(1);
        self.scrawl(&state, self.tail.load(SeqCst), offset % others, word);
    }

    /// Writes into the descriptor `offset` after `from`. False: there is none.
    fn scrawl(&self, state: &State, from: u32, offset: u32, word: u64) -> bool {
        let n = state.descs.count();
        if self.tx || !state.started || n == 0 {
            return false;
        }
        let at = (from + offset % n) % n;
        state.descs.set(at, [word, word.rotate_left(32)]);
        true
    }

    /// TX: the card sends up to `count` descriptors and writes its head back.
    pub fn send(&self, count: u32) {
        kernel::sync::point();
        let mut state = locked(&self.state);
        if !self.tx || !state.started {
            return;
        }
        let n = state.descs.count();
        for _ in 0..count {
            if state.head == self.tail.load(SeqCst) {
                break;
            }
            state.head = (state.head + 1) % n;
        }
        self.head.store(state.head, SeqCst);
    }

    /// TX: a head the card never reached.
    pub fn lie(&self, head: u32) {
        self.head.store(head, SeqCst);
    }
}

/// # Safety
///
/// `tail` must be a ring's.
#[no_mangle]
unsafe extern "C" fn nm_nic_write_tail(tail: *mut c_void, value: u32) {
    // SAFETY: By the caller's promise.
    unsafe { &*tail.cast::<AtomicU32>() }.store(value, SeqCst);
}
