// SPDX-License-Identifier: GPL-2.0

//! netmap's transparent mode: a program that sets NR_FORWARD in a ring lets the stack have the
//! received frames that it marks with NS_FORWARD, without a host ring.

use super::RxRing;
use crate::kring::host::gather::Source;
use crate::os::netdev::NetDev;
use crate::os::skb::Batch;
use crate::ring::{self, advance};
use crate::uapi::ext::counter;
use crate::uapi::{MAX_FRAGS, NR_FORWARD, NS_FORWARD, NS_MOREFRAG};

/// Released slots, of which those before `at` were looked at.
#[derive(Clone, Copy)]
struct Span {
    /// The ring's hwcur, where they begin.
    hwcur: u32,
    at: u32,
    /// Where they end.
    head: u32,
}

impl RxRing {
    /// Is the ring in transparent mode now?
    #[inline(always)]
    pub(crate) fn forwards(&self) -> bool {
        self.shm.header().flags.get() & NR_FORWARD != 0
    }

    /// Hands the stack copies of the marked frames in slots that the program has released and the
    /// next sync takes back; that sync must follow. `dev`: the port's interface, unless it has gone.
    #[cold]
    pub(crate) fn forward(&self, dev: Option<&NetDev>) {
        let Some(dev) = dev.filter(|dev| dev.running()) else {
            return;
        };
        let mut batch = self.batch.lock();
        batch.truncate(0);
        let mut from = None;
        while let Some((at, frames)) = self.gather_marked(from, &mut batch) {
            from = Some(at);
            // Not under the ring's lock.
            let taken = batch.receive(dev, self.queue);
            let refused = u64::from(frames.saturating_sub(taken));
            let counters = &mut self.hw.lock().kring.counters;
            counters[counter::DROPS] += refused;
            counters[counter::DROP_STACK] += refused;
        }
    }

    /// Adds marked frames to the batch, from where the last call ended. Returns where this one did,
    /// and how many; `None`: there are no more.
    fn gather_marked(&self, from: Option<Span>, batch: &mut Batch) -> Option<(Span, u32)> {
        let n = self.shm.n;
        let slots = self.shm.slots();
        let mut hw = self.hw.lock();
        let kring = &mut hw.kring;
        let span = match from {
            // Read once: a program that goes on writing it cannot hold the kernel up.
            Some(span) => span,
            None => Span {
                hwcur: kring.hwcur,
                at: kring.hwcur,
                head: ring::check(self.shm.pointers(), kring.hwcur, kring.hwtail, n)
                    .ok()?
                    .head,
            },
        };
        let Span {
            hwcur,
            mut at,
            head,
        } = span;
        // Another thread's sync has taken them back, and forwarded them before.
        if hwcur != kring.hwcur {
            return None;
        }
        let mem = self.region.lock();
        let source = Source {
            shm: &self.shm,
            mem: &mem,
            offsets: self.options.offsets.as_ref(),
            clear: NS_FORWARD,
            end: head,
        };
        let (mut frames, start) = (0, at);
        while at != head && batch.room() >= MAX_FRAGS {
            let flags = slots.get(at as usize)?.len_and_flags().1;
            if flags & NS_FORWARD != 0 {
                let frame = source.frame(batch, at);
                at = frame.next;
                if frame.good {
                    frames += 1;
                } else {
                    kring.counters[counter::BAD_SLOTS] += 1;
                }
                continue;
            }
            // Past the frame, all of whose slots the first speaks for.
            while at != head {
                let more = slots.get(at as usize)?.len_and_flags().1 & NS_MOREFRAG != 0;
                at = advance(at, 1, n);
                if !more {
                    break;
                }
            }
        }
        (at != start).then_some((Span { hwcur, at, head }, frames))
    }
}
