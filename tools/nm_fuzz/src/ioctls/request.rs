// SPDX-License-Identifier: GPL-2.0
//! Requests as bytes in the arena: mostly plausible, one or two things wrong with them.

use super::arena::Arena;
use super::call::Call;
use super::Env;
use crate::abi::*;
use crate::fd::nmreq;
use crate::rng::Rng;

/// Where what stands in the arena.
const HEADER: usize = 0;
pub const BODY: usize = 0x200;
const OPTIONS: usize = 0x400;

/// Memory a request may refer to.
pub struct Refs<'a> {
    pub arena: Arena,
    /// Memory ids that were seen.
    pub mem_ids: &'a [u16],
    /// A CSB's two arrays.
    pub csb: (u64, u64),
    /// Memory for a region of the program's own.
    pub own: (u64, usize),
    pub eventfds: &'a [i32],
}

/// A port's name, mostly one that exists.
fn name(env: &Env, x: u8, rng: &mut Rng) -> Vec<u8> {
    if env.guarded {
        return env.first.as_bytes().to_vec();
    }
    let own = &env.second;
    let k = rng.below(9);
    match x % 32 {
        0..=15 => own.clone(),
        16 => format!("{own}~{k}"),
        17 => format!("{own}-{k}"),
        18 => format!("{own}-{k}/R"),
        19 => format!("{own}-{k}/Tx"),
        20 => format!("{own}^"),
        21 => format!("{own}*"),
        22 => format!("{own}^{k}"),
        23 => format!("{own}{{{k}"),
        24 => format!("{own}/rtz"),
        25 => format!("vale{k}:{own}"),
        26 => "lo".into(),
        27 => String::new(),
        28 => format!("{own}@{k}"),
        29 => format!("{own}-{}", rng.next()),
        30 => return (0..64).map(|_| rng.next() as u8).collect(),
        _ => "x".repeat(rng.below(70)),
    }
    .into_bytes()
}

fn field<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut field = [0; N];
    let n = bytes.len().min(N);
    field[..n].copy_from_slice(&bytes[..n]);
    field
}

fn flags(rng: &mut Rng) -> u64 {
    const KNOWN: [u64; 10] = [
        RX_ONLY,
        TX_ONLY,
        PUTBACK,
        NO_RINGS,
        PRIVATE_MEM,
        EXCLUSIVE,
        NO_TX_POLL,
        MONITOR_RX,
        RX_ONLY | PUTBACK,
        EXCLUSIVE | PRIVATE_MEM,
    ];
    match rng.below(16) {
        0..=3 => 0,
        4..=8 => rng.pick(&[RX_ONLY, TX_ONLY, PRIVATE_MEM, EXCLUSIVE, RX_ONLY | PUTBACK]),
        9..=11 => rng.pick(&KNOWN),
        12..=14 => rng.pick(&KNOWN) | rng.pick(&KNOWN),
        _ => rng.next(),
    }
}

/// Mode and ring. On a port that must lose nothing only a few queues are touched.
fn binding(env: &Env, y: u8, rng: &mut Rng) -> (u32, u16) {
    if env.guarded {
        let mode = [ONE_NIC, ONE_NIC, ONE_NIC, ONE_NIC, ONE_SW, MODE_NULL][y as usize % 6];
        let ring = if mode == ONE_NIC {
            env.queue + rng.below(3) as u32
        } else {
            0
        };
        return (mode, ring as u16);
    }
    let mode = match y % 32 {
        0..=11 => ONE_NIC,
        12..=15 => ALL_NIC,
        16..=18 => NIC_SW,
        19 | 20 => SW,
        21 | 22 => ONE_SW,
        23..=25 => MODE_NULL,
        26 => PIPE_MASTER,
        27 => 0,
        other => u32::from(other),
    };
    let ring = match (mode, rng.below(8)) {
        (_, 0) => rng.nasty32(16) as u16,
        (ONE_NIC, _) => rng.below(4) as u16,
        _ => 0,
    };
    (mode, ring)
}

fn mem_id(refs: &Refs<'_>, rng: &mut Rng) -> u16 {
    match rng.below(16) {
        0..=2 if !refs.mem_ids.is_empty() => rng.pick(refs.mem_ids),
        3 => rng.below(12) as u16,
        4 => rng.next() as u16,
        _ => 0,
    }
}

/// A body of REGISTER.
pub fn register(env: &Env, call: &Call, refs: &Refs<'_>, rng: &mut Rng) -> Register {
    let (mode, ringid) = binding(env, call.y, rng);
    let odd = rng.one_in(8);
    Register {
        mode,
        ringid,
        flags: flags(rng),
        mem_id: mem_id(refs, rng),
        extra_bufs: match rng.below(6) {
            0 => rng.nasty32(1000),
            1 => rng.below(100) as u32,
            _ => 0,
        },
        host_tx_rings: if odd {
            rng.nasty32(64) as u16
        } else {
            rng.below(3) as u16
        },
        host_rx_rings: if odd {
            rng.nasty32(64) as u16
        } else {
            rng.below(3) as u16
        },
        ..Register::default()
    }
}

/// A `struct nmreq`.
pub fn legacy(env: &Env, call: &Call, refs: &Refs<'_>, rng: &mut Rng) -> u64 {
    let (mode, ring) = binding(env, call.y, rng);
    let mut req = Nmreq {
        name: field(&name(env, call.x, rng)),
        ringid: ring,
        flags: mode | (flags(rng) as u32 & !0xf),
        arg2: mem_id(refs, rng),
        arg3: if rng.one_in(6) { rng.nasty32(64) } else { 0 },
        ..nmreq("")
    };
    if !env.guarded && rng.one_in(6) {
        req.cmd = rng.below(16) as u16;
        req.ringid |= rng.pick(&[0, 0x1000, 0x2000, 0x4000, 0x8000]);
        req.version = rng.pick(&[0, 13, 14, 15, 16, u32::MAX]);
    }
    match call.z {
        0xf0.. if !env.guarded => refs.arena.bad(60, rng),
        _ => refs.arena.put(HEADER, req),
    }
}

/// A header with `reqtype`, options and a body of the bytes given; its address.
pub fn ctrl<B: Copy>(
    env: &Env,
    call: &Call,
    reqtype: u16,
    body: Option<B>,
    refs: &Refs<'_>,
    rng: &mut Rng,
) -> u64 {
    let arena = refs.arena;
    let mut hdr = Header {
        version: if rng.one_in(40) {
            rng.next() as u16
        } else {
            14
        },
        reqtype,
        reserved: u32::from(rng.one_in(40)),
        name: field(&name(env, call.x, rng)),
        body: body.map_or(0, |b| arena.put(BODY, b)),
        options: if rng.one_in(2) {
            options(call.z, refs, rng)
        } else {
            0
        },
    };
    if !env.guarded && rng.one_in(30) {
        let size = std::mem::size_of::<B>();
        match rng.below(3) {
            0 => hdr.body = arena.bad(size, rng),
            1 => hdr.options = arena.bad(24, rng),
            _ => return arena.bad(88, rng),
        }
    }
    arena.put(HEADER, hdr)
}

/// A list of options, one for each bit of `which`; its address.
pub fn options(which: u8, refs: &Refs<'_>, rng: &mut Rng) -> u64 {
    let arena = refs.arena;
    let place = |bit: usize| OPTIONS + bit * 0x80;
    let mut next = 0;
    for bit in (0..8).filter(|b| which & (1 << b) != 0) {
        let at = place(bit);
        let opt = |reqtype, size| Opt {
            next,
            reqtype,
            status: 77,
            size,
        };
        next = match bit {
            0 => arena.put(
                at,
                OffsetsOpt {
                    opt: opt(OPT_OFFSETS, 56),
                    max: if rng.one_in(4) { rng.nasty64() } else { 256 },
                    initial: if rng.one_in(4) { rng.nasty64() } else { 64 },
                    bits: rng.pick(&[0, 0, 16, 64, 65, 8]),
                    tx_align: rng.pick(&[0, 0, 64, 3]),
                    min_gap: u64::from(rng.one_in(8)),
                },
            ),
            1 => arena.put(
                at,
                OptRxMeta {
                    opt: opt(OPT_RX_META, 40),
                    spare: u64::from(rng.one_in(8)),
                    ..OptRxMeta::default()
                },
            ),
            2 => arena.put(at, csb(opt(OPT_CSB, 40), refs, rng)),
            3 => arena.put(at, extmem(next, refs, rng)),
            4 => arena.put(
                at,
                [
                    opt_words(opt(OPT_KLOOP_MODE, 32)),
                    [rng.nasty64() % 5, 0, 0],
                ],
            ),
            5 => eventfds(at, next, refs, rng),
            6 => arena.put(at, opt(rng.nasty32(8), rng.nasty64())),
            // a circle, or an option that is not there
            _ => match rng.below(3) {
                0 => arena.put(
                    at,
                    Opt {
                        next: arena.at(at),
                        ..opt(OPT_OFFSETS, 24)
                    },
                ),
                1 => arena.bad(24, rng),
                _ => arena.put(at, opt(OPT_RX_META, 40)),
            },
        };
    }
    next
}

fn opt_words(o: Opt) -> [u64; 3] {
    [
        o.next,
        u64::from(o.reqtype) | (u64::from(o.status) << 32),
        o.size,
    ]
}

fn csb(opt: Opt, refs: &Refs<'_>, rng: &mut Rng) -> CsbOpt {
    let (mut atok, mut ktoa) = refs.csb;
    match rng.below(8) {
        0 => atok = refs.arena.bad(64, rng) & !63,
        1 => ktoa = refs.arena.bad(64, rng) & !63,
        2 => ktoa = atok,
        3 => atok += rng.below(65) as u64,
        _ => {}
    }
    CsbOpt { opt, atok, ktoa }
}

fn extmem(next: u64, refs: &Refs<'_>, rng: &mut Rng) -> Extmem {
    let mut ext = Extmem {
        next,
        reqtype: OPT_EXTMEM,
        usrptr: refs.own.0,
        ..Extmem::default()
    };
    ext.info.memsize = refs.own.1 as u64;
    match rng.below(8) {
        0 => ext.usrptr = refs.arena.bad(4096, rng),
        1 => ext.usrptr += rng.nasty64() % 0x10000,
        2 => ext.info.memsize = rng.nasty64(),
        3 => {
            ext.info.if_total = rng.nasty32(16);
            ext.info.if_size = rng.nasty32(4096);
            ext.info.ring_total = rng.nasty32(64);
        }
        4 => {
            ext.info.ring_size = rng.nasty32(65536);
            ext.info.buf_total = rng.nasty32(4096);
            ext.info.buf_size = rng.pick(&[0, 2048, 4096, 8192, 16384, 1, u32::MAX]);
        }
        _ => ext.info.buf_size = 2048,
    }
    ext
}

fn eventfds(at: usize, next: u64, refs: &Refs<'_>, rng: &mut Rng) -> u64 {
    let n = rng.below(9);
    let mut words = [0u64; 12];
    words[..3].copy_from_slice(&opt_words(Opt {
        next,
        reqtype: OPT_KLOOP_EVENTFDS,
        status: 0,
        size: match rng.below(10) {
            0 => rng.nasty64(),
            _ => 24 + 8 * n as u64,
        },
    }));
    for word in &mut words[3..] {
        let mut fd = || match rng.below(8) {
            0 => rng.nasty32(64),
            1 => u32::MAX,
            _ => rng.pick(refs.eventfds) as u32,
        };
        *word = u64::from(fd()) | (u64::from(fd()) << 32);
    }
    refs.arena.put(at, words)
}
