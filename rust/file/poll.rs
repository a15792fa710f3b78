// SPDX-License-Identifier: GPL-2.0

//! poll(): syncs the fd's rings and says what is ready.

use kernel::bindings;
use kernel::fs;
use kernel::sync::poll::PollTable;

use super::File;
use crate::kring::Sync;

const IN: u32 = bindings::POLLIN | bindings::POLLRDNORM;
const OUT: u32 = bindings::POLLOUT | bindings::POLLWRNORM;
const ERR: u32 = bindings::POLLERR;

fn failed(outcome: Sync) -> u32 {
    match outcome {
        Sync::Done => 0,
        Sync::Reset | Sync::Starved | Sync::Parked | Sync::Gone => ERR,
    }
}

impl File {
    /// The events of an fd, of those in `wanted`. What the program has put into its TX rings is sent
    /// on every call, also when only POLLIN is asked for, unless it said NR_NO_TX_POLL.
    pub(super) fn poll_events(&self, file: &fs::File, table: &PollTable<'_>, wanted: u32) -> u32 {
        // Before looking, so that what arrives after the look wakes the caller; and whatever is
        // wanted now, because epoll may want more later without registering again.
        self.polled.wait(file, table);
        let mut state = self.state.lock();
        let Some(reg) = Option::as_mut(&mut state) else {
            return ERR;
        };
        let Some(port) = &reg.port else {
            // Memory alone: nothing ever happens.
            return ERR;
        };
        // The rings' pointers are elsewhere, and a loop looks after them.
        if reg.csb.is_some() {
            return ERR;
        }
        if reg.shares {
            let shared = &port.adapter.waiters;
            self.polled.wait_for_port(file, table, shared);
        }
        // RX rings say so themselves.
        if reg.rx.is_empty() && reg.gone() {
            return ERR;
        }
        let mut events = 0;
        let out = wanted & OUT != 0;
        let push = out || !reg.no_tx_poll;
        for ring in &reg.tx {
            if out || (push && ring.pending()) {
                events |= failed(ring.sync());
            } else if ring.disconnected() {
                events |= ERR;
            }
            if out && ring.writable() {
                events |= OUT;
            }
        }
        for ring in &reg.host_tx {
            if push && ring.pending() {
                events |= failed(port.with_dev(|dev| ring.sync(dev)));
            }
            if out && ring.writable() {
                events |= OUT;
            }
        }
        if wanted & IN != 0 {
            for ring in &reg.rx {
                reg.forward(ring);
                events |= failed(ring.sync());
                if ring.readable() {
                    events |= IN;
                }
            }
            for ring in &reg.host_rx {
                events |= failed(ring.sync());
                if ring.readable() {
                    events |= IN;
                }
            }
        } else if reg.rx.iter().any(|ring| ring.disconnected()) {
            // An error is told to those too who ask for nothing, or for room to send.
            events |= ERR;
        }
        events
    }
}
