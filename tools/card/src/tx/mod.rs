// SPDX-License-Identifier: GPL-2.0
//! The transmit path: walks descriptor rings, gathers packets, hands them to [`offload`] and
//! reports completion.

pub mod offload;
pub mod queue;

use crate::dma::Dma;
use crate::stats::{Counters, QUEUES};
use offload::{Context, Offload};
use queue::{Fetched, Queue};

/// The longest packet a driver can hand over (a segmentation job).
const MAX_PACKET: usize = 300 << 10;
/// Packets one queue may send before the next one's turn.
const TURN: usize = 32;

const CMD_STAMP: u32 = 1 << 19;
const CMD_EOP: u32 = 1 << 24;
const CMD_RS: u32 = 1 << 27;
const CMD_DEXT: u32 = 1 << 29;
const TYPE_CONTEXT: u32 = 2;

/// A packet being gathered.
#[derive(Default)]
struct Job {
    bytes: Vec<u8>,
    /// Command and option words of the first descriptor, which govern the packet.
    first: Option<(u32, u32)>,
    broken: bool,
}

/// The transmit half of the card.
pub struct Tx {
    pub queues: Vec<Queue>,
    contexts: Vec<Context>,
    jobs: Vec<Job>,
    /// Queues with descriptors to look at.
    pending: u128,
    /// Queues that finished packets whose driver wants to know.
    dirty: u128,
    /// A frame went whose time was asked for.
    stamp: bool,
    turn: usize,
    offload: Offload,
    on: bool,
}

impl Tx {
    pub fn new() -> Self {
        Self {
            queues: vec![Queue::default(); QUEUES],
            contexts: vec![Context::default(); QUEUES],
            jobs: (0..QUEUES).map(|_| Job::default()).collect(),
            pending: 0,
            dirty: 0,
            stamp: false,
            turn: 0,
            offload: Offload::default(),
            on: false,
        }
    }

    /// A reset of the MAC.
    pub fn reset(&mut self) {
        let mut queues = std::mem::take(&mut self.queues);
        queues.iter_mut().for_each(Queue::reset);
        *self = Self {
            queues,
            ..Self::new()
        };
    }

    /// DMATXCTL.TE.
    pub fn set_on(&mut self, on: bool) {
        self.on = on;
    }

    /// A queue's registers changed: is there work?
    pub fn look(&mut self, q: usize) {
        let bit = 1 << q;
        if self.queues[q].waiting() {
            self.pending |= bit;
        } else {
            self.pending &= !bit;
        }
        if !self.queues[q].enabled() {
            self.jobs[q] = Job::default();
        }
    }

    /// What was to change by now; false if no queue waits for that or babbles.
    pub fn tick(&mut self, dma: &Dma, now: u64) -> bool {
        let mut busy = false;
        for q in 0..self.queues.len() {
            let fault = self.queues[q].fault;
            if fault.late || fault.babble {
                busy = true;
                if self.queues[q].tick(now) {
                    self.look(q);
                }
                self.queues[q].babble(dma);
            }
        }
        busy
    }

    pub fn has_work(&self) -> bool {
        self.on && self.pending != 0
    }

    pub fn take_dirty(&mut self) -> u128 {
        std::mem::take(&mut self.dirty)
    }

    pub fn take_stamp(&mut self) -> bool {
        std::mem::take(&mut self.stamp)
    }

    /// Sends up to `budget` packets, giving every frame to `wire`.
    pub fn run(&mut self, dma: &Dma, budget: usize, c: &mut Counters, mut wire: impl FnMut(&[u8])) {
        let mut left = budget;
        while self.has_work() && left > 0 {
            let after = self.pending & !((1u128 << self.turn) - 1);
            let q = if after != 0 { after } else { self.pending }.trailing_zeros() as usize;
            self.turn = (q + 1) % QUEUES;
            left -= self
                .run_queue(q, dma, left.min(TURN), c, &mut wire)
                .max(1)
                .min(left);
        }
    }

    fn run_queue(
        &mut self,
        q: usize,
        dma: &Dma,
        budget: usize,
        c: &mut Counters,
        wire: &mut impl FnMut(&[u8]),
    ) -> usize {
        let mut sent = 0;
        while sent < budget {
            let Some(d) = self.queues[q].fetch(dma) else {
                self.pending &= !(1 << q);
                break;
            };
            if self.descriptor(q, dma, &d) {
                sent += 1;
                let job = std::mem::take(&mut self.jobs[q]);
                let ok = !job.broken
                    && job.first.is_some_and(|(cmd, opt)| {
                        let ctx = &self.contexts[q];
                        self.offload.send(&job.bytes, cmd, opt, ctx, |f| {
                            c.count_tx(q, f);
                            wire(f);
                        })
                    });
                if !ok {
                    c.tx_bad += 1;
                }
                self.stamp |= ok && job.first.is_some_and(|(cmd, _)| cmd & CMD_STAMP != 0);
                // Keep the allocation for the next packet.
                self.jobs[q].bytes = job.bytes;
                self.jobs[q].bytes.clear();
            }
            if d.cmd & CMD_RS != 0 {
                self.queues[q].complete(dma, &d);
                self.dirty |= 1 << q;
            }
        }
        sent
    }

    /// Takes in one descriptor; true if a packet is complete.
    fn descriptor(&mut self, q: usize, dma: &Dma, d: &Fetched) -> bool {
        if d.cmd & CMD_DEXT != 0 && (d.cmd >> 20) & 0xf == TYPE_CONTEXT {
            self.contexts[q] = Context::of(d.addr, d.cmd, d.opt);
            return false;
        }
        let job = &mut self.jobs[q];
        job.first.get_or_insert((d.cmd, d.opt));
        let len = (d.cmd & 0xffff) as usize;
        let old = job.bytes.len();
        if old + len > MAX_PACKET {
            job.broken = true;
        } else {
            job.bytes.resize(old + len, 0);
            job.broken |= !dma.read(d.addr, &mut job.bytes[old..]);
        }
        d.cmd & CMD_EOP != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::frame::udp4;

    const RING: u64 = 0x1000;
    const DATA: u32 = CMD_DEXT | (3 << 20);

    fn unit() -> (Dma, Tx) {
        let mut tx = Tx::new();
        tx.set_on(true);
        let q = &mut tx.queues[3];
        q.set_base_low(RING as u32);
        q.set_len(8 * 16);
        q.set_txdctl(1 << 25, 0);
        (Dma::of_size(0x10_0000), tx)
    }

    fn put(dma: &Dma, i: u64, addr: u64, cmd: u32, opt: u32) {
        let v = [addr, u64::from(cmd) | (u64::from(opt) << 32)];
        assert!(dma.write_desc(RING + 16 * i, v));
    }

    fn run(tx: &mut Tx, dma: &Dma, c: &mut Counters) -> Vec<Vec<u8>> {
        let mut out = Vec::new();
        tx.run(dma, 100, c, |f| out.push(f.to_vec()));
        out
    }

    #[test]
    fn a_packet_of_two_pieces_is_sent_and_reported() {
        let (dma, mut tx) = unit();
        let mut c = Counters::default();
        let f = udp4([10, 0, 3, 1], [10, 0, 3, 2], 1, 2, &[5; 50]);
        assert!(dma.write(0x10000, &f[..20]) && dma.write(0x20000, &f[20..]));
        put(&dma, 0, 0x10000, DATA | 20, 0);
        put(
            &dma,
            1,
            0x20000,
            DATA | CMD_EOP | CMD_RS | (f.len() as u32 - 20),
            0,
        );
        tx.queues[3].set_tail(1);
        tx.look(3);
        assert!(run(&mut tx, &dma, &mut c).is_empty());
        tx.queues[3].set_tail(2);
        tx.look(3);
        assert_eq!(run(&mut tx, &dma, &mut c), [f]);
        assert_eq!(dma.read_desc(RING + 16).unwrap()[1] >> 32, 1, "DD");
        assert_eq!(tx.take_dirty(), 1 << 3);
        assert!(!tx.has_work());
        assert_eq!(c.txq[3].packets, 1);
    }

    #[test]
    fn short_frames_are_padded() {
        let (dma, mut tx) = unit();
        put(&dma, 0, 0x10000, DATA | CMD_EOP | CMD_RS | 42, 0);
        tx.queues[3].set_tail(1);
        tx.look(3);
        let out = run(&mut tx, &dma, &mut Counters::default());
        assert_eq!(out[0].len(), 60);
    }

    #[test]
    fn head_write_back_replaces_the_report_in_the_descriptor() {
        let (dma, mut tx) = unit();
        let q = &mut tx.queues[3];
        q.set_write_back_low(0x8000 | 1);
        for i in 0..3 {
            put(&dma, i, 0x10000, DATA | CMD_EOP | 60, 0);
        }
        put(&dma, 1, 0x10000, DATA | CMD_EOP | CMD_RS | 60, 0);
        tx.queues[3].set_tail(3);
        tx.look(3);
        assert_eq!(run(&mut tx, &dma, &mut Counters::default()).len(), 3);
        let mut head = [0; 4];
        assert!(dma.read(0x8000, &mut head));
        assert_eq!(
            u32::from_le_bytes(head),
            2,
            "the descriptor after the one with RS"
        );
        assert_eq!(dma.read_desc(RING + 16).unwrap()[1] >> 32, 0, "no DD");
        assert_eq!(tx.take_dirty(), 1 << 3);
    }

    #[test]
    fn head_write_back_needs_wthresh_0() {
        let (dma, mut tx) = unit();
        let q = &mut tx.queues[3];
        q.set_write_back_low(0x8000 | 1);
        q.set_txdctl((1 << 25) | (1 << 16), 0);
        put(&dma, 0, 0x10000, DATA | CMD_EOP | CMD_RS | 60, 0);
        tx.queues[3].set_tail(1);
        tx.look(3);
        assert_eq!(run(&mut tx, &dma, &mut Counters::default()).len(), 1);
        let mut head = [0; 4];
        assert!(dma.read(0x8000, &mut head));
        assert_eq!(head, [0; 4]);
    }

    #[test]
    fn a_hanging_queue_sends_nothing_until_it_is_let_go() {
        let (dma, mut tx) = unit();
        put(&dma, 0, 0x10000, DATA | CMD_EOP | CMD_RS | 60, 0);
        tx.queues[3].fault.hang = true;
        tx.queues[3].set_tail(1);
        tx.look(3);
        assert!(!tx.has_work());
        tx.queues[3].fault.hang = false;
        tx.look(3);
        assert_eq!(run(&mut tx, &dma, &mut Counters::default()).len(), 1);
    }

    #[test]
    fn a_fault_stays_over_a_reset() {
        let (_, mut tx) = unit();
        tx.queues[3].fault.stuck = true;
        tx.reset();
        assert!(tx.queues[3].fault.stuck);
        assert!(!tx.queues[3].enabled());
    }

    #[test]
    fn unreachable_memory_is_a_bad_packet_but_completes() {
        let (dma, mut tx) = unit();
        let mut c = Counters::default();
        put(&dma, 0, 0xffff_0000, DATA | CMD_EOP | CMD_RS | 60, 0);
        tx.queues[3].set_tail(1);
        tx.look(3);
        assert!(run(&mut tx, &dma, &mut c).is_empty());
        assert_eq!((c.tx_bad, c.tx_packets), (1, 0));
        assert_eq!(tx.take_dirty(), 1 << 3);
    }

    #[test]
    fn a_disabled_queue_sends_nothing() {
        let (dma, mut tx) = unit();
        put(&dma, 0, 0x10000, DATA | CMD_EOP | CMD_RS | 60, 0);
        tx.queues[3].set_tail(1);
        tx.queues[3].set_txdctl(0, 0);
        tx.look(3);
        assert!(!tx.has_work());
        assert!(run(&mut tx, &dma, &mut Counters::default()).is_empty());
    }

    #[test]
    fn a_babbling_queue_writes_a_head_until_it_has_stopped() {
        let (dma, mut tx) = unit();
        let q = &mut tx.queues[3];
        (q.fault.babble, q.fault.stuck) = (true, true);
        q.set_write_back_low(0x8000 | 1);
        assert!(tx.tick(&dma, 0));
        tx.queues[3].set_write_back_low(0);
        tx.queues[3].set_txdctl(0, 0);
        assert!(dma.write(0x8000, &[0; 4]));
        assert!(tx.tick(&dma, 1));
        let mut head = [0; 4];
        assert!(dma.read(0x8000, &mut head));
        assert_eq!(u32::from_le_bytes(head), 0xbab_b1e5);
        tx.reset();
        assert!(dma.write(0x8000, &[0; 4]));
        tx.tick(&dma, 2);
        assert!(dma.read(0x8000, &mut head));
        assert_eq!(head, [0; 4]);
    }

    #[test]
    fn a_mute_queue_sends_and_says_nothing() {
        let (dma, mut tx) = unit();
        put(&dma, 0, 0x10000, DATA | CMD_EOP | CMD_RS | 60, 0);
        tx.queues[3].fault.mute = true;
        tx.queues[3].set_tail(1);
        tx.look(3);
        assert_eq!(run(&mut tx, &dma, &mut Counters::default()).len(), 1);
        assert_eq!(dma.read_desc(RING).unwrap()[1] >> 32, 0);
    }
}
