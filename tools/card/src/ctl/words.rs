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

pub fn info(name: &str, card: &Card) -> String {
    let m = card.mac;
    format!(
        "card name={name} mac={:02x}:{:02x}:{:02x}:{:02x}:{:02x}:{:02x} link={} guest={} \
         rxen={} filters={} irqs={} dma_faults={} dma_off={} buffered={} blocked={}\n",
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
        card.dma.faults.get() - card.dma.refused.get(),
        card.dma.refused.get(),
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
