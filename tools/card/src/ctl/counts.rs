// SPDX-License-Identifier: GPL-2.0
//! The answer to `counts`: the port on one line, then every queue that is or was in use.

use std::fmt::Write;

use crate::card::Card;
use crate::stats::{Counters, RxqCount, QUEUES};

/// Formats the counters since `base`. The port's `rx_packets` went to rings; `rx_arrived` were
/// taken in from the wire, to be delivered, dropped by a ring, or to wait in the packet buffer.
pub fn show(card: &Card, base: &Counters) -> String {
    let c = &card.counters;
    let mut s = String::from("port");
    macro_rules! port {
        ($($name:ident)*) => {
            $(let _ = write!(s, concat!(" ", stringify!($name), "={}"), c.$name - base.$name);)*
        };
    }
    let sum = |of: fn(&RxqCount) -> u64| -> u64 {
        let total = |c: &Counters| c.rxq.iter().map(of).sum::<u64>();
        total(c) - total(base)
    };
    let _ = write!(
        s,
        " rx_packets={} rx_bytes={} rx_arrived={}",
        sum(|q| q.packets),
        sum(|q| q.bytes),
        c.rx_packets - base.rx_packets
    );
    port!(rx_missed rx_filtered rx_off rx_oversize rx_crc);
    port!(tx_packets tx_bytes tx_bad link_changes resets);
    port!(fdir_match fdir_miss fdir_drop rx_stalls);
    s.push('\n');
    for q in (0..QUEUES).filter(|&q| card.queue_shown(q, false)) {
        let (n, b, r) = (&c.rxq[q], &base.rxq[q], &card.rx.rings[q]);
        let _ = writeln!(
            s,
            "rxq {q} enabled={} packets={} bytes={} drop_nodesc={} drop_disabled={} rdh={} \
             rdt={} srrctl={:#010x} rxdctl={:#010x}",
            u8::from(r.enabled()),
            n.packets - b.packets,
            n.bytes - b.bytes,
            n.drop_nodesc - b.drop_nodesc,
            n.drop_disabled - b.drop_disabled,
            r.head(),
            r.tail(),
            r.srrctl(),
            r.rxdctl(),
        );
    }
    for q in (0..QUEUES).filter(|&q| card.queue_shown(q, true)) {
        let (n, b, t) = (&c.txq[q], &base.txq[q], &card.tx.queues[q]);
        let _ = writeln!(
            s,
            "txq {q} enabled={} packets={} bytes={} tdh={} tdt={} txdctl={:#010x}",
            u8::from(t.enabled()),
            n.packets - b.packets,
            n.bytes - b.bytes,
            t.head(),
            t.tail(),
            t.txdctl(),
        );
    }
    s
}
