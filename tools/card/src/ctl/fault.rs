// SPDX-License-Identifier: GPL-2.0
//! The words of `fault`: what is to misbehave, and what does.

use crate::card::Card;
use crate::faults::{PortFault, QueueFault, RingFault};
use crate::irq::VECTORS;
use crate::stats::QUEUES;

/// `on`, `off` or a number, which is on.
fn state(word: &str) -> Result<(bool, Option<u32>), String> {
    match word {
        "on" => Ok((true, None)),
        "off" => Ok((false, None)),
        n => match n.parse() {
            Ok(n) => Ok((true, Some(n))),
            Err(_) => Err(format!("{n}: on, off or a number")),
        },
    }
}

/// The indices a word means: a number below `n`, or all.
fn which(word: &str, n: usize, what: &str) -> Result<std::ops::Range<usize>, String> {
    match word.parse() {
        Ok(i) if i < n => Ok(i..i + 1),
        _ if word == "all" => Ok(0..n),
        _ => Err(format!("{what} are 0 to {}", n - 1)),
    }
}

fn unknown(name: &str, names: &[&str]) -> String {
    format!("{name}: no such fault ({})", names.join(", "))
}

pub fn command(card: &mut Card, words: &[&str], now: u64) -> Result<String, String> {
    match *words {
        ["list"] => return Ok(list(card)),
        ["off"] => off(card),
        ["cause", hex] => {
            let bits = u32::from_str_radix(hex.trim_start_matches("0x"), 16);
            card.irq.raise_other(bits.map_err(|e| e.to_string())?);
            card.fire(now);
        }
        ["port", name, word] => {
            let (on, number) = state(word)?;
            card.fault.number = number.unwrap_or(card.fault.number);
            if !card.fault.set(name, on) {
                return Err(unknown(name, PortFault::NAMES));
            }
        }
        ["rxq", q, name, word] => {
            let (on, number) = state(word)?;
            for q in which(q, QUEUES, "queues")? {
                let fault = &mut card.rx.rings[q].fault;
                fault.number = number.unwrap_or(u32::from(u16::MAX));
                if !fault.set(name, on) {
                    return Err(unknown(name, RingFault::NAMES));
                }
            }
        }
        ["txq", q, name, word] => {
            let (on, number) = state(word)?;
            for q in which(q, QUEUES, "queues")? {
                let fault = &mut card.tx.queues[q].fault;
                fault.number = number.unwrap_or(fault.number);
                if !fault.set(name, on) {
                    return Err(unknown(name, QueueFault::NAMES));
                }
            }
        }
        ["irq", v, name @ ("lost" | "storm"), word] => {
            let (on, _) = state(word)?;
            let vectors = which(v, VECTORS, "vectors")?;
            let set = match name {
                "lost" => &mut card.irq.lost,
                _ => &mut card.irq.storm,
            };
            for v in vectors {
                *set = (*set & !(1 << v)) | (u64::from(on) << v);
            }
        }
        _ => {
            let line = words.join(" ");
            return Err(format!(
                "fault {line}: not understood; 'help' lists the commands"
            ));
        }
    }
    card.faults_changed(now);
    Ok(String::new())
}

fn off(card: &mut Card) {
    card.fault = PortFault::default();
    (card.irq.lost, card.irq.storm) = (0, 0);
    for ring in &mut card.rx.rings {
        ring.fault = RingFault::default();
    }
    for queue in &mut card.tx.queues {
        queue.fault = QueueFault::default();
    }
}

/// What is wrong now, a line each; then which faults there are.
fn list(card: &Card) -> String {
    let mut s = String::new();
    let mut show = |what: String, list: String, number: Option<u32>| {
        if !list.is_empty() {
            let number = number.map_or(String::new(), |n| format!(" number={n}"));
            s += &format!("on {what} {list}{number}\n");
        }
    };
    let f = card.fault;
    show("port".into(), f.list(), f.slow.then_some(f.number));
    for (q, r) in card.rx.rings.iter().enumerate() {
        let (f, numbered) = (r.fault, r.fault.length || r.fault.late);
        show(format!("rxq {q}"), f.list(), numbered.then_some(f.number));
    }
    for (q, t) in card.tx.queues.iter().enumerate() {
        let f = t.fault;
        show(format!("txq {q}"), f.list(), f.late.then_some(f.number));
    }
    if card.irq.lost | card.irq.storm != 0 {
        let (lost, storm) = (card.irq.lost, card.irq.storm);
        s += &format!("on irq lost={lost:#x} storm={storm:#x}\n");
    }
    for (kind, names) in [
        ("port", PortFault::NAMES),
        ("rxq", RingFault::NAMES),
        ("txq", QueueFault::NAMES),
        ("irq", &["lost", "storm"]),
    ] {
        s += &format!("names {kind} {}\n", names.join(" "));
    }
    s
}
