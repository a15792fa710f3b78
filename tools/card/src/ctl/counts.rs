// SPDX-License-Identifier: GPL-2.0
//! The answer to `counts`: the port on one line, then every queue that is or was in use.

use std::fmt::Write;

use crate::card::Card;
use crate::stats::{Counters, QUEUES};

/// Formats the counters since `base`.
pub fn show(card: &Card, base: &Counters) -> String {
    let c = &card.counters;
    let mut s = String::from("port");
    macro_rules! port {
        ($($name:ident)*) => {
            $(let _ = write!(s, concat!(" ", stringify!($name), "={}"), c.$name - base.$name);)*
        };
    }
    port!(rx_packets rx_bytes rx_missed rx_filtered rx_off rx_oversize rx_crc);
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
        let (n, b) = (&c.txq[q], &base.txq[q]);
        let (packets, bytes) = (n.packets - b.packets, n.bytes - b.bytes);
        let _ = writeln!(s, "txq {q} packets={packets} bytes={bytes}");
    }
    s
}
