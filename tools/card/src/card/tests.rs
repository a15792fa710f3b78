// SPDX-License-Identifier: GPL-2.0
//! Registers that act, and the link, on a card without a guest.

use super::access::*;
use super::*;
use crate::wire::frame::udp4;

const MAC: [u8; 6] = [0xa0, 0x36, 0x9f, 0x82, 0x59, 0x90];

#[test]
fn reset_self_clears_and_reloads_the_address() {
    let mut c = Card::new(MAC, false);
    c.write(0x5400, 0, 0);
    c.write(0x0000, CTRL_RST | CTRL_GIO_DIS, 0);
    assert_eq!(c.read(0), CTRL_GIO_DIS);
    assert_eq!(c.read(8), 0);
    assert_eq!(c.read(0x5400), 0x829f_36a0);
    assert_eq!(c.read(0x5404), 0x8000_9059);
    c.write(0, 0, 0);
    assert_eq!(c.read(8), STATUS_GIO);
    assert_eq!(c.counters.resets, 1);
}

#[test]
fn the_software_semaphore_is_taken_by_reading() {
    let mut c = Card::new(MAC, false);
    assert_eq!(c.read(0x10140), 0);
    assert_eq!(c.read(0x10140), 1);
    c.write(0x10140, 0, 0);
    assert_eq!(c.read(0x10140) & 1, 0);
}

#[test]
fn the_receive_security_block_stops_on_request() {
    let mut c = Card::new(MAC, false);
    assert_eq!(c.read(0x8d04) & SECRX_RDY, 0);
    c.write(at::SECRXCTRL, SECRX_DIS, 0);
    assert_eq!(c.read(0x8d04) & SECRX_RDY, SECRX_RDY);
}

#[test]
fn both_places_of_a_queue_register_are_one() {
    let mut c = Card::new(MAC, false);
    c.write(0x2100 + 4 * 3, 0x1234, 0);
    assert_eq!(c.read(0x1014 + 0x40 * 3), 0x1234);
    c.write(0xd018 + 0x40 * 6, 17, 0);
    assert_eq!(c.rx.rings[70].tail(), 17);
    c.write(0x1008, 0xffff_ffff, 0);
    assert_eq!(c.read(0x1008), 0xf_ff80);
}

#[test]
fn all_registers_can_be_read_and_written() {
    let mut c = Card::new(MAC, true);
    for pass in [0u32, !0, 0x5a5a_a5a5] {
        for at in (0..0x80000).step_by(4) {
            c.write(at, pass, 0);
            c.read(at);
        }
        c.receive(&udp4([1, 1, 1, 1], [2, 2, 2, 2], 1, 2, &[0; 64]));
        c.transmit(16, &mut Outbox::default(), 0);
    }
}

#[test]
fn a_removed_card_reads_all_ones() {
    let mut c = Card::new(MAC, false);
    c.fault.gone = true;
    assert_eq!(c.read(8), !0);
}

#[test]
fn a_card_that_answers_again_has_no_queue_on() {
    const ENABLE: u32 = 1 << 25;
    let rxdctl = 0x01028;
    let mut c = Card::new(MAC, false);
    c.write(rxdctl, ENABLE, 0);
    assert_eq!(c.read(rxdctl) & ENABLE, ENABLE);
    for gone in [true, false] {
        c.fault.gone = gone;
        c.faults_changed(0);
    }
    assert_eq!(c.read(rxdctl) & ENABLE, 0);
}

#[test]
fn the_link_stops_reception_and_transmission() {
    let mut c = Card::new(MAC, false);
    c.write(at::DMATXCTL, 1, 0);
    c.set_link(false, 0);
    assert_eq!(c.read(0x42a4), 0);
    c.receive(&[0; 60]);
    assert_eq!(c.counters.rx_off, 1);
    assert_eq!(c.irq.eicr(), CAUSE_LSC);
    c.set_link(true, 0);
    assert_eq!(c.read(0x42a4), 0x7000_0000);
    assert_eq!(c.counters.link_changes, 2);
}

#[test]
fn a_ptp_message_is_stamped_and_says_so() {
    let mut c = Card::new(MAC, false);
    c.dma = crate::dma::Dma::of_size(0x10_0000);
    for i in 0..8 {
        assert!(c.dma.write_desc(0x1000 + 16 * i, [0x10000 * (i + 1), 0]));
    }
    for (at, v) in [
        (at::RXCTRL, 1),
        (at::FCTRL, 0x700),
        (0x1000, 0x1000),
        (0x1008, 128),
        (0x1028, 1 << 25),
        (0x1018, 7),
        (0x5188, 0x1a),        // TSYNCRXCTL: on, event messages of version 2
        (0x5120, 319 << 16),   // RXMTRL
        (0x8c14, 0x0100_0020), // TIMINCA: 32 units per 6.4 ns
    ] {
        c.write(at, v, 0);
    }
    c.tick(1000);
    for first in [0, 8, 1] {
        let mut body = [0; 44];
        (body[0], body[1]) = (first, 2);
        c.receive(&udp4([10, 0, 3, 2], [10, 0, 3, 1], 319, 319, &body));
    }
    let status = |i: u64| c.dma.read_desc(0x1000 + 16 * i).unwrap()[1] as u32;
    let stamped = [0, 1, 2].map(|i| status(i) & (1 << 16) != 0);
    assert_eq!(stamped, [true, false, false], "one latch, which is taken");
    assert_eq!(c.read(0x51e8), 156 * 32);
    assert_eq!(
        (c.read(0x5188), c.read(0x51a4), c.read(0x5188)),
        (0x1b, 0, 0x1a)
    );
}

#[test]
fn a_sent_frame_is_stamped_on_request() {
    let mut c = Card::new(MAC, false);
    c.dma = crate::dma::Dma::of_size(0x10_0000);
    let cmd = 60 | (3 << 20) | (1 << 24) | (1 << 29);
    assert!(c.dma.write_desc(0x1000, [0x10000, cmd]));
    assert!(c.dma.write_desc(0x1010, [0x10000, cmd | (1 << 19)]));
    for (at, v) in [
        (at::DMATXCTL, 1),
        (0x6000, 0x1000),
        (0x6008, 128),
        (0x6028, 1 << 25),
        (0x8c00, 0x10), // TSYNCTXCTL
        (0x6018, 1),
    ] {
        c.write(at, v, 0);
    }
    c.transmit(16, &mut Outbox::default(), 0);
    assert_eq!(c.read(0x8c00), 0x10);
    c.write(0x6018, 2, 0);
    c.transmit(16, &mut Outbox::default(), 0);
    assert_eq!((c.counters.tx_packets, c.read(0x8c00)), (2, 0x11));
}

#[test]
fn a_reset_that_has_no_effect_leaves_queues_on() {
    let mut c = Card::new(MAC, false);
    c.write(0x1028, 1 << 25, 0);
    c.fault.noreset = true;
    c.write(0, CTRL_RST, 0);
    assert_eq!((c.read(0), c.counters.resets), (0, 0));
    assert_eq!(c.read(0x1028), 1 << 25);
    c.fault.noreset = false;
    c.write(0, CTRL_RST, 0);
    assert_eq!(c.read(0x1028), 0);
}

#[test]
fn requests_stay_pending() {
    let mut c = Card::new(MAC, false);
    c.write(0, CTRL_GIO_DIS, 0);
    assert_eq!(c.read(8), 0);
    c.fault.pending = true;
    assert_eq!(c.read(8), STATUS_GIO);
}

#[test]
fn what_misbehaves_by_itself_is_done_every_millisecond() {
    let mut c = Card::new(MAC, false);
    c.faults_changed(5);
    c.pulse(5);
    assert_eq!(c.pulse_due, None, "nothing misbehaves");
    c.rx.rings[0].fault.late = true;
    c.rx.rings[0].fault.number = 2;
    c.faults_changed(5);
    c.write(0x1028, 1 << 25, 5);
    c.pulse(5);
    assert_eq!(c.pulse_due, Some(1_000_005));
    c.pulse(1_000_005);
    assert_eq!(c.read(0x1028), 0);
    c.pulse(2_000_005);
    assert_eq!(c.read(0x1028), 1 << 25);
}
