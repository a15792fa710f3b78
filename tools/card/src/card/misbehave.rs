// SPDX-License-Identifier: GPL-2.0
//! Misbehaviour that goes on by itself: what babbles, storms, or comes late. While there is any,
//! the data path calls [`Card::pulse`] every millisecond.

use std::time::Duration;

use super::Card;

/// Between two pulses.
const PULSE: u64 = 1_000_000;

impl Card {
    /// Faults were switched.
    pub fn faults_changed(&mut self, now: u64) {
        // One that answers again was switched off meanwhile.
        let was_gone = std::mem::replace(&mut self.was_gone, self.fault.gone);
        if was_gone && !self.fault.gone {
            self.reset(false);
        }
        self.rx.held = self.fault.stall;
        for q in 0..self.tx.queues.len() {
            self.tx.look(q);
        }
        self.pulse_due = Some(now);
    }

    /// Does what is due.
    pub fn pulse(&mut self, now: u64) {
        if self.pulse_due.is_none_or(|t| t > now) {
            return;
        }
        let rx = self.rx.tick(&self.dma, now);
        let tx = self.tx.tick(&self.dma, now);
        let irq = self.irq.storm(|v| self.msix.fire(v));
        self.pulse_due = (rx || tx || irq).then_some(now + PULSE);
    }

    /// How long a register access takes.
    pub fn slowness(&self) -> Duration {
        match self.fault.slow {
            true => Duration::from_micros(u64::from(self.fault.number)),
            false => Duration::ZERO,
        }
    }
}
