// SPDX-License-Identifier: GPL-2.0
//! Machine code against libpcap's interpreter: expressions on made-up packets, and
//! made-up programs on random bytes.

use super::bpf::Insn;
use super::{bpf_filter, jit, Filter};
use crate::testing::udp_frame;

struct Random(u64);

impl Random {
    fn next(&mut self) -> u32 {
        // xorshift64*
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32) as u32
    }

    fn below(&mut self, n: u32) -> u32 {
        self.next() % n
    }
}

fn interpret(program: &[Insn], head: &[u8], wire: u32) -> u32 {
    // SAFETY: programs of these tests jump forward, inside themselves, and end.
    unsafe { bpf_filter(program.as_ptr(), head.as_ptr(), wire, head.len() as u32) }
}

#[test]
fn expressions_agree_with_the_interpreter_on_damaged_packets() {
    let mut random = Random(1);
    let frames = [
        udp_frame([10, 0, 3, 2], 5353, 53, &[16; 40]),
        udp_frame([192, 0, 2, 9], 123, 9000, &[7; 20]),
    ];
    for text in [
        "udp dst port 53 and (not src net 10.0.0.0/8 or udp[20] = 16)",
        "udp dst port 9000",
        "tcp[tcpflags] & (tcp-syn|tcp-ack) == tcp-syn",
        "ip6 or arp or (vlan 7 and udp)",
        "greater 100 and less 200",
        "ether host a0:36:9f:82:59:90 and ip[8] < 65",
        "udp[10:2] & 0x8000 != 0 or udp[8:4] > udp[12:4]",
        "portrange 5000-6000 or icmp",
        "len - 14 == ip[2:2]",
        "ip proto 17 and (ip[6:2] & 0x3fff) = 0",
        "ether broadcast or ip multicast",
        "not ip",
        "ip[0] & 15 << 2 = 20",
    ] {
        let f = Filter::compile(text).expect(text);
        let code = f
            .code
            .as_ref()
            .unwrap_or_else(|| panic!("not compiled: {text}"));
        for round in 0..4000 {
            let mut frame = frames[round % 2].clone();
            for _ in 0..random.below(3) {
                let at = random.below(frame.len() as u32) as usize;
                frame[at] = random.next() as u8;
            }
            let cut = match round % 3 {
                0 => random.below(frame.len() as u32 + 1) as usize,
                _ => frame.len(),
            };
            let wire = frame.len() as u32 + random.below(2) * random.below(9000);
            let head = &frame[..cut];
            let want = f.program.interpret(head, wire);
            assert_eq!(
                code.run(head, wire),
                want,
                "{text} on {head:02x?} of {wire}"
            );
        }
    }
}

/// A program of `n` random steps that ends in a return.
fn made_up(random: &mut Random, n: u32) -> Vec<Insn> {
    const CODES: [u16; 44] = [
        0x20, 0x28, 0x30, 0x40, 0x48, 0x50, 0xb1, 0x00, 0x80, 0x01, 0x81, 0x60, 0x61, 0x02, 0x03,
        0x04, 0x14, 0x24, 0x44, 0x54, 0x64, 0x74, 0xa4, 0x0c, 0x1c, 0x2c, 0x4c, 0x5c, 0xac, 0x84,
        0x07, 0x87, 0x05, 0x15, 0x25, 0x35, 0x45, 0x1d, 0x2d, 0x3d, 0x4d, 0x15, 0x45, 0x28,
    ];
    let mut program: Vec<Insn> = (0..n)
        .map(|i| {
            let code = CODES[random.below(CODES.len() as u32) as usize];
            let left = n - i;
            let skip = |r: &mut Random| r.below(left.min(6));
            let k = match code {
                0x60 | 0x61 | 0x02 | 0x03 => random.below(16),
                0x05 => skip(random),
                0x64 | 0x74 => random.below(32),
                _ => match random.below(8) {
                    0 => random.next(),
                    1 => u32::MAX - random.below(8),
                    _ => random.below(70),
                },
            };
            Insn {
                code,
                jt: skip(random) as u8,
                jf: skip(random) as u8,
                k,
            }
        })
        .collect();
    let code = if random.below(2) == 0 { 0x06 } else { 0x16 };
    program.push(Insn {
        code,
        jt: 0,
        jf: 0,
        k: random.next(),
    });
    program
}

/// The interpreter does not clear its memory words: start by storing zeroes.
fn with_clean_memory(program: Vec<Insn>) -> Vec<Insn> {
    let clear = (0..16).map(|k| Insn {
        code: 0x02,
        jt: 0,
        jf: 0,
        k,
    });
    clear.chain(program).collect()
}

#[test]
fn made_up_programs_agree_with_the_interpreter() {
    let mut random = Random(7);
    let mut packet = [0u8; 64];
    for round in 0..20_000 {
        let n = 1 + random.below(24);
        let program = with_clean_memory(made_up(&mut random, n));
        let code = jit::Code::new(&program).expect("all steps are known");
        for _ in 0..4 {
            packet.iter_mut().for_each(|b| *b = random.next() as u8);
            let head = &packet[..random.below(65) as usize];
            let wire = random.below(9000);
            let want = interpret(&program, head, wire);
            assert_eq!(code.run(head, wire), want, "round {round}: {program:?}");
        }
    }
}

#[test]
fn what_is_not_known_is_left_to_the_interpreter() {
    let ret = Insn {
        code: 0x06,
        jt: 0,
        jf: 0,
        k: 1,
    };
    let one = |code, k| {
        [
            Insn {
                code,
                jt: 0,
                jf: 0,
                k,
            },
            ret,
        ]
    };
    // Division, shift by X, memory word 16, jump out of the program.
    for (code, k) in [(0x34, 2), (0x6c, 0), (0x60, 16), (0x05, 7), (0x98, 0)] {
        assert!(jit::Code::new(&one(code, k)).is_none(), "{code:#x}");
    }
    assert!(jit::Code::new(&[]).is_none());
    // Without a return the code would run off its end.
    assert!(jit::Code::new(&one(0x00, 1)[..1]).is_none());
    assert_eq!(jit::Code::new(&[ret]).expect("a return").run(&[], 0), 1);
}
