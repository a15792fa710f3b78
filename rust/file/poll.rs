// SPDX-License-Identifier: GPL-2.0

//! poll(): syncs the fd's rings and says what is ready.

use kernel::bindings;

use super::File;
use crate::kring::Sync;

const IN: u32 = bindings::POLLIN | bindings::POLLRDNORM;
const OUT: u32 = bindings::POLLOUT | bindings::POLLWRNORM;
const ERR: u32 = bindings::POLLERR;

impl File {
    /// The events of an fd, of those in `wanted`. What the program has put into its host TX ring is
    /// sent on every call, also when only POLLIN is asked for, unless it said NR_NO_TX_POLL.
    pub(super) fn poll_events(&self, wanted: u32) -> u32 {
        let state = self.state.lock();
        let Some(reg) = state.as_ref() else {
            return ERR;
        };
        // Rings say so themselves.
        if reg.rx.is_empty() && reg.gone() {
            return ERR;
        }
        let mut events = 0;
        let failed = |outcome| match outcome {
            Sync::Done => 0,
            Sync::Reset | Sync::Parked | Sync::Gone => ERR,
        };
        let out = wanted & OUT != 0;
        if let Some(host) = reg.port.host_tx.lock().clone() {
            if host.pending() && (out || !reg.no_tx_poll) {
                events |= failed(reg.port.with_dev(|dev| host.sync(dev)));
            }
            if out && host.writable() {
                events |= OUT;
            }
        }
        if wanted & IN != 0 {
            for ring in &reg.rx {
                events |= failed(ring.sync(false));
                if ring.readable() {
                    events |= IN;
                }
            }
            if let Some(host) = &reg.host_rx {
                events |= failed(host.sync());
                if host.readable() {
                    events |= IN;
                }
            }
        }
        events
    }
}
