// SPDX-License-Identifier: GPL-2.0
//! The bench's doorbell: the guest asks for N copies of one frame at once, with one interrupt at
//! the end, so that the cost of a batch can be measured without the noise of arrival.

use crate::dma::Dma;
use crate::faults::PortFault;
use crate::rx::Rx;
use crate::stats::Counters;
use crate::wire::frame::{lay_out, set_ip_csum, set_udp_csum};

/// Template and last answer.
pub struct Bench {
    on: bool,
    pub template: Vec<u8>,
    done: u32,
}

impl Bench {
    pub fn new(on: bool, mac: [u8; 6]) -> Self {
        let peer = [0x02, 0, 0, 0, 0x03, 0x02];
        let mut f = lay_out(mac, peer, [10, 0, 3, 2], [10, 0, 3, 1], 4000, 4001, 18);
        set_ip_csum(&mut f);
        set_udp_csum(&mut f);
        Self {
            on,
            template: f,
            done: 0,
        }
    }

    pub fn done(&self) -> u32 {
        self.done
    }

    /// Writes up to `n` copies into the ring the filters choose, stopping when it is full.
    pub fn go(&mut self, n: u32, rx: &mut Rx, dma: &Dma, fault: &PortFault, c: &mut Counters) {
        self.done = 0;
        if !self.on {
            return;
        }
        for _ in 0..n.min(1 << 16) {
            let Some(v) = rx.judge(&self.template, fault, c) else {
                return;
            };
            if !rx.ready(self.template.len(), &v) {
                return;
            }
            rx.deliver(dma, &self.template, v, c);
            self.done += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::card::Card;
    use crate::regs::at;

    fn card(bench: bool) -> Card {
        let mut c = Card::new([0xa0, 0x36, 0x9f, 1, 2, 3], bench);
        c.dma = crate::dma::Dma::of_size(0x10_0000);
        for i in 0..8 {
            assert!(c.dma.write_desc(0x1000 + 16 * i, [0x10000 * (i + 1), 0]));
        }
        c.write(at::RXCTRL, 1, 0);
        c.write(0x1000, 0x1000, 0);
        c.write(0x1008, 128, 0);
        c.write(0x1028, 1 << 25, 0);
        c.write(0x1018, 7, 0);
        c
    }

    #[test]
    fn the_doorbell_fills_the_ring_and_says_how_many() {
        let mut c = card(true);
        c.write(at::BENCH_GO, 5, 0);
        assert_eq!(c.read(at::BENCH_DONE), 5);
        c.write(at::BENCH_GO, 5, 0);
        assert_eq!(c.read(at::BENCH_DONE), 2);
        assert_eq!(c.counters.rxq[0].packets, 7);
        assert_eq!(c.counters.rxq[0].drop_nodesc, 0);
    }

    #[test]
    fn it_is_dead_unless_asked_for() {
        let mut c = card(false);
        c.write(at::BENCH_GO, 5, 0);
        assert_eq!(c.read(at::BENCH_DONE), 0);
        assert_eq!(c.counters.rxq[0].packets, 0);
    }
}
