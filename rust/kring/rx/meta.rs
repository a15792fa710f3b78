// SPDX-License-Identifier: GPL-2.0

//! Metadata of received frames, for programs that asked for it.
//!
//! Written after the slots and before the tail, so whoever sees the tail sees it whole. The NIC
//! leaves VLAN tags in frames of a program's queue, and says nothing of them; so the kernel looks.

use kernel::sync::lock::{mutex::MutexBackend, Guard};

use super::{Kring, RxRing};
use crate::mem::region::Inner;
use crate::nic::rx82599::meta::{describe, Ask};
use crate::nic::rx82599::Armed;
use crate::os::nic::{Nic, NicRing};
use crate::ring;
use crate::shm::Slot;

/// Where the EtherType is in a frame, and the tag behind it.
const ETHERTYPE: usize = 12;
/// The EtherType of 802.1Q.
const VLAN: u16 = 0x8100;

/// What the descriptors do not say.
struct Frames<'a> {
    ring: &'a RxRing,
    armed: &'a [Armed],
    slots: &'a [Slot],
    mem: Guard<'a, Inner, MutexBackend>,
    nic: &'a Nic,
    hw: &'a NicRing,
}

impl Ask for Frames<'_> {
    fn vlan(&mut self, first: usize) -> Option<u16> {
        let buf = self.armed.get(first)?.buf()?;
        let at = match &self.ring.options.offsets {
            None => 0,
            Some(o) => o.of(self.slots.get(first)?.ptr.get())? as usize,
        };
        if self.mem.be16(buf, at + ETHERTYPE)? != VLAN {
            return None;
        }
        self.mem.be16(buf, at + ETHERTYPE + 2)
    }

    fn timestamp(&mut self) -> Option<u64> {
        self.nic.rx_stamp(self.hw)
    }
}

impl RxRing {
    /// Fills in the entries beside the `count` slots from `hwtail`, which hold complete frames.
    #[inline(never)]
    pub(super) fn describe(&self, nic: &NicRing, kring: &Kring, count: u32) {
        let n = self.shm.n as usize;
        let (descs, entries) = (nic.descs(), self.shm.rx_meta());
        let mut frames = Frames {
            ring: self,
            armed: &kring.armed,
            slots: self.shm.slots(),
            mem: self.region.lock(),
            nic: &self.nic,
            hw: nic,
        };
        let mut first = kring.hwtail as usize;
        ring::runs(
            kring.next_clean,
            kring.hwtail,
            self.shm.n,
            count,
            |d, s, len| {
                let (Some(descs), Some(entries)) = (descs.get(d..d + len), entries.get(s..s + len))
                else {
                    return 0;
                };
                first = describe(descs, entries, first % n, s, &mut frames);
                len
            },
        );
    }
}
