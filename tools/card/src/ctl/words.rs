// SPDX-License-Identifier: GPL-2.0
//! The words of the control protocol: options and frames as they are written, states as they are
//! shown.

use std::fmt::Write as _;

use crate::card::Card;
use crate::rx::{MAX_FRAME, MIN_FRAME};
use crate::shared::Running;

pub fn list(gens: &[Running]) -> String {
    let mut s = String::new();
    for Running { gen: g, .. } in gens {
        let (name, on) = (&g.name, u8::from(g.running));
        let _ = writeln!(
            s,
            "gen {name} sent={} skipped={} running={on}",
            g.sent, g.skipped
        );
    }
    s
}

pub fn fault_port(card: &mut Card, name: &str, on: bool) -> Result<String, String> {
    match name {
        "gone" => card.fault.gone = on,
        "crc" => card.fault.crc = on,
        _ => return Err(format!("{name}: no such fault (gone, crc)")),
    }
    Ok(String::new())
}

pub fn fault_queue(
    card: &mut Card,
    tx: bool,
    q: usize,
    name: &str,
    on: bool,
) -> Result<String, String> {
    if tx && card.tx.queues[q].fault.set(name, on) {
        card.tx.look(q);
    } else if tx {
        return Err(format!("{name}: no such fault (stuck, dead, hang)"));
    } else if !card.rx.rings[q].fault.set(name, on) {
        return Err(format!("{name}: no such fault (stuck, dead, length)"));
    }
    Ok(String::new())
}

pub fn fault_list(card: &Card) -> String {
    let mut s = format!(
        "fault port gone={} crc={}\n",
        u8::from(card.fault.gone),
        u8::from(card.fault.crc)
    );
    for (q, r) in card.rx.rings.iter().enumerate() {
        let f = r.fault;
        if f != Default::default() {
            s += &format!(
                "fault rxq {q} stuck={} dead={} length={}\n",
                u8::from(f.stuck),
                u8::from(f.dead),
                u8::from(f.length)
            );
        }
    }
    for (q, t) in card.tx.queues.iter().enumerate() {
        let f = t.fault;
        if f != Default::default() {
            s += &format!(
                "fault txq {q} stuck={} dead={} hang={}\n",
                u8::from(f.stuck),
                u8::from(f.dead),
                u8::from(f.hang)
            );
        }
    }
    s
}

pub fn info(name: &str, card: &Card) -> String {
    let m = card.mac;
    format!(
        "card name={name} mac={:02x}:{:02x}:{:02x}:{:02x}:{:02x}:{:02x} link={} guest={} \
         rxen={} filters={} irqs={} dma_faults={} buffered={} blocked={}\n",
        m[0],
        m[1],
        m[2],
        m[3],
        m[4],
        m[5],
        if card.phy.link { "up" } else { "down" },
        if card.attached { "attached" } else { "none" },
        u8::from(card.rx.filter.on),
        card.rx.fdir.len(),
        card.irq.fired.iter().sum::<u64>(),
        card.dma.faults.get(),
        card.rx.waiting(),
        u8::from(card.rx.blocked()),
    )
}

pub fn pairs<'a>(options: &[&'a str]) -> Result<Vec<(&'a str, &'a str)>, String> {
    options
        .iter()
        .map(|o| o.split_once('=').ok_or(format!("{o}: KEY=VALUE is needed")))
        .collect()
}

/// A frame in hex; short ones are padded, as a wire carries no shorter.
pub fn frame(hex: &str) -> Result<Vec<u8>, String> {
    let byte = |c: &[u8]| {
        let s = std::str::from_utf8(c).ok()?;
        u8::from_str_radix(s, 16).ok().filter(|_| c.len() == 2)
    };
    let f: Option<Vec<u8>> = hex.as_bytes().chunks(2).map(byte).collect();
    let mut f = f.ok_or("the frame is not in hex")?;
    if f.len() < 14 || f.len() > MAX_FRAME {
        return Err(format!("a frame has 14 to {MAX_FRAME} bytes"));
    }
    f.resize(f.len().max(MIN_FRAME), 0);
    Ok(f)
}

pub fn hex(f: &[u8]) -> String {
    f.iter().fold(String::new(), |mut s, b| {
        let _ = write!(s, "{b:02x}");
        s
    })
}
