// SPDX-License-Identifier: GPL-2.0
//! A call of a sequence, its text form, and how sequences are made and changed.
//!
//! Every call of every value can be run: what does not fit is folded into range when it is. So
//! mutation needs no knowledge of what it changes.

use crate::rng::Rng;

/// Defines the operations with their names in the corpus and how often they are chosen.
macro_rules! operations {
    ($($(#[$m:meta])* $op:ident $name:literal $weight:literal,)*) => {
        /// What is called.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Op { $($(#[$m])* $op,)* }
        impl Op {
            pub const ALL: &[(Op, &'static str, usize)] = &[$((Op::$op, $name, $weight),)*];
        }
    };
}

operations! {
    Open "open" 4,
    Close "close" 4,
    Dup "dup" 2,
    /// REGISTER by NIOCCTRL: x name, y mode, z options, seed the rest.
    Register "register" 12,
    /// NIOCREGIF: x name, y mode.
    Regif "regif" 4,
    /// NIOCGINFO: x name.
    Ginfo "ginfo" 2,
    /// Another request of NIOCCTRL: x name, y type, z options.
    Ctrl "ctrl" 6,
    Rxsync "rxsync" 5,
    Txsync "txsync" 5,
    Poll "poll" 4,
    Qadd "qadd" 4,
    Qdel "qdel" 3,
    Qnext "qnext" 3,
    Mmap "mmap" 4,
    Munmap "munmap" 2,
    /// Hostile words into the mapping.
    Touch "touch" 8,
    /// Looks into the mapping for another user's bytes.
    Peek "peek" 2,
    CsbEnable "csb" 2,
    KloopStart "loop" 3,
    KloopStop "stop" 2,
    /// A child with all files and mappings: x what it does.
    Fork "fork" 2,
    /// Kills a forked child.
    Kill "kill" 1,
    /// ioctl() with any number and any pointer.
    Raw "raw" 3,
    Epoll "epoll" 1,
    /// The file goes through a socket and back, or stays in it.
    Pass "pass" 1,
    /// Other system calls on file and mapping.
    Odd "odd" 3,
    /// Signals eventfds.
    Kick "kick" 1,
    Sleep "sleep" 1,
    /// Another thread writes over requests while they are read.
    Race "race" 1,
}

impl Op {
    pub fn name(self) -> &'static str {
        let of = Op::ALL.iter().find(|(op, ..)| *op == self);
        of.map_or("?", |(_, name, _)| name)
    }

    fn any(rng: &mut Rng) -> Op {
        let sum: usize = Op::ALL.iter().map(|(.., w)| w).sum();
        let mut at = rng.below(sum);
        for (op, _, weight) in Op::ALL {
            if at < *weight {
                return *op;
            }
            at -= weight;
        }
        Op::Open
    }
}

/// A call. What x, y and z choose depends on the operation; `seed` determines the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call {
    pub op: Op,
    /// Which file.
    pub fd: u8,
    pub x: u8,
    pub y: u8,
    pub z: u8,
    pub seed: u64,
}

pub type Program = Vec<Call>;

/// Longest fresh sequence.
const LONGEST: usize = 24;

impl Call {
    pub fn any(rng: &mut Rng) -> Call {
        Call {
            op: Op::any(rng),
            fd: rng.below(4) as u8,
            x: rng.next() as u8,
            y: rng.next() as u8,
            z: rng.next() as u8 & rng.next() as u8,
            seed: rng.next() >> 32,
        }
    }

    /// One line.
    pub fn text(&self) -> String {
        let (fd, x, y, z) = (self.fd, self.x, self.y, self.z);
        format!("{} {fd} {x} {y} {z} {:#x}", self.op.name(), self.seed)
    }

    pub fn parse(line: &str) -> Option<Call> {
        let mut words = line.split_whitespace();
        let name = words.next()?;
        let op = Op::ALL.iter().find(|(_, n, _)| *n == name)?.0;
        let mut byte = || words.next()?.parse().ok();
        let (fd, x, y, z) = (byte()?, byte()?, byte()?, byte()?);
        let seed = u64::from_str_radix(words.next()?.strip_prefix("0x")?, 16).ok()?;
        Some(Call {
            op,
            fd,
            x,
            y,
            z,
            seed,
        })
    }
}

/// A fresh sequence: mostly of files that are registered first, else little is reached.
pub fn generate(rng: &mut Rng) -> Program {
    let mut program = Vec::new();
    for fd in 0..1 + rng.below(3) as u8 {
        for op in [Op::Open, Op::Register, Op::Mmap] {
            if !rng.one_in(6) {
                program.push(Call {
                    op,
                    fd,
                    ..Call::any(rng)
                });
            }
        }
    }
    for _ in 0..1 + rng.below(LONGEST - program.len()) {
        program.push(Call::any(rng));
    }
    program
}

/// One that differs in a few places from `from`, and has something of `other`.
pub fn mutate(from: &Program, other: &Program, rng: &mut Rng) -> Program {
    let mut p = from.clone();
    for _ in 0..1 + rng.below(3) {
        let at = rng.below(p.len() + 1);
        let here = at.min(p.len().saturating_sub(1));
        match rng.below(9) {
            0 => p.insert(at, Call::any(rng)),
            1 if p.len() > 1 => drop(p.remove(here)),
            2 if !p.is_empty() => {
                let again = p[here];
                p.insert(at, again);
            }
            3 if !other.is_empty() => {
                let cut = rng.below(other.len());
                p.truncate(at);
                p.extend(&other[cut..]);
            }
            4 if p.len() > 1 => {
                let there = rng.below(p.len());
                p.swap(here, there);
            }
            _ if p.is_empty() => p.push(Call::any(rng)),
            5 => p[here].seed = rng.next() >> 32,
            6 => p[here].fd = rng.below(4) as u8,
            _ => {
                let call = &mut p[here];
                let field = match rng.below(3) {
                    0 => &mut call.x,
                    1 => &mut call.y,
                    _ => &mut call.z,
                };
                *field = match rng.below(3) {
                    0 => field.wrapping_add(1),
                    1 => *field ^ (1 << rng.below(8)),
                    _ => rng.next() as u8,
                };
            }
        }
    }
    p.truncate(2 * LONGEST);
    p
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_has_a_line_and_a_weight() {
        let mut rng = Rng::new(3);
        for (op, name, weight) in Op::ALL {
            assert!(*weight > 0, "{name}");
            let call = Call {
                op: *op,
                ..Call::any(&mut rng)
            };
            assert_eq!(Call::parse(&call.text()), Some(call));
        }
    }

    #[test]
    fn same_seed_gives_the_same_sequences_and_mutants() {
        let make = |seed| {
            let mut rng = Rng::new(seed);
            let (a, b) = (generate(&mut rng), generate(&mut rng));
            let c = mutate(&a, &b, &mut rng);
            (a, b, c)
        };
        assert_eq!(make(5), make(5));
        assert_ne!(make(5), make(6));
    }

    #[test]
    fn mutants_differ_and_stay_short() {
        let mut rng = Rng::new(9);
        let mut p = generate(&mut rng);
        let other = generate(&mut rng);
        let mut changed = 0;
        for _ in 0..1000 {
            let q = mutate(&p, &other, &mut rng);
            changed += u32::from(q != p);
            assert!(q.len() <= 2 * LONGEST);
            p = q;
        }
        assert!(changed > 800);
    }
}
