// SPDX-License-Identifier: GPL-2.0
//! One counter for each guest instruction address, increased by generated code.
//!
//! A counter is an element of a scoreboard, so that counting is one inline add and
//! no call.  QEMU fixes a scoreboard's element size when it is made, hence the
//! counters come in chunks, and a chunk is added when an address is first seen.

use crate::api;
use std::collections::HashMap;

/// Counters in one scoreboard.  QEMU clears 16 elements in advance, so a chunk
/// costs 16 * 8 * CHUNK bytes.
const CHUNK: usize = 8192;

/// All counters, in the order in which their addresses were first translated.
#[derive(Default)]
pub struct Counters {
    chunks: Vec<*mut api::Scoreboard>,
    slot_of: HashMap<u64, usize>,
    address: Vec<u64>,
}

// SAFETY: the scoreboards belong to QEMU, which lets any thread use them; nothing
// here depends on the thread that made them.
unsafe impl Send for Counters {}

impl Counters {
    /// The counter of the instruction at `address`; makes it when there is none.
    pub fn entry(&mut self, address: u64) -> api::U64 {
        let next = self.address.len();
        let slot = *self.slot_of.entry(address).or_insert(next);
        if slot == next {
            self.address.push(address);
            if slot / CHUNK == self.chunks.len() {
                // SAFETY: no precondition; QEMU aborts when memory is short.
                let new = unsafe { api::qemu_plugin_scoreboard_new(CHUNK * 8) };
                self.chunks.push(new);
            }
        }
        api::U64 {
            score: self.chunks[slot / CHUNK],
            offset: slot % CHUNK * 8,
        }
    }

    /// Address of counter `slot`.
    pub fn address(&self, slot: usize) -> u64 {
        self.address[slot]
    }

    /// The value of every counter now, summed over the vCPUs.
    pub fn values(&self) -> Vec<u64> {
        let mut values = vec![0; self.address.len()];
        // SAFETY: no precondition.
        let vcpus = unsafe { api::qemu_plugin_num_vcpus() }.max(1) as u32;
        for (chunk, sums) in self.chunks.iter().zip(values.chunks_mut(CHUNK)) {
            for vcpu in 0..vcpus {
                // SAFETY: the scoreboard exists, and vCPU numbers below num_vcpus are valid.
                let counts = unsafe { api::qemu_plugin_scoreboard_find(*chunk, vcpu) };
                for (i, sum) in sums.iter_mut().enumerate() {
                    // SAFETY: the element has CHUNK u64, and i < CHUNK.  Another vCPU may
                    // be adding to it, hence volatile; x86 reads aligned u64 in one piece.
                    *sum += unsafe { counts.cast::<u64>().add(i).read_volatile() };
                }
            }
        }
        values
    }

    /// The sum of all counters now.
    pub fn total(&self) -> u64 {
        self.values().iter().sum()
    }
}
