// SPDX-License-Identifier: GPL-2.0
//! Steps of a filter program, decoded.

/// One step as libpcap stores it.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Insn {
    /// Class, size, mode.
    pub code: u16,
    /// Steps to skip when true.
    pub jt: u8,
    /// Steps to skip when false.
    pub jf: u8,
    /// Operand.
    pub k: u32,
}

/// Second operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The constant.
    K(u32),
    /// X.
    X,
}

/// What a step does. Loads have their size in bytes; memory words are below 16.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// A = packet at k.
    Abs(u32, u32),
    /// A = packet at X + k.
    Ind(u32, u32),
    /// X = 4 * (low half of the byte at k): length of an IP header.
    Msh(u32),
    /// A = k.
    Imm(u32),
    /// A = length on the wire.
    Len,
    /// X = k.
    LdxImm(u32),
    /// X = length on the wire.
    LdxLen,
    /// A = memory.
    Mem(u8),
    /// X = memory.
    LdxMem(u8),
    /// Memory = A.
    St(u8),
    /// Memory = X.
    Stx(u8),
    /// A = A op source; the operation as in the code.
    Alu(u16, Source),
    /// A = -A.
    Neg,
    /// X = A.
    Tax,
    /// A = X.
    Txa,
    /// The answer is k.
    RetK(u32),
    /// The answer is A.
    RetA,
    /// Skip k steps.
    Ja(u32),
    /// Compare A with the source, as in the code, and skip.
    Jump(u16, Source, u8, u8),
}

impl Insn {
    /// Decode; None for what is not known.
    pub fn op(&self) -> Option<Op> {
        let k = self.k;
        let word = || u8::try_from(k).ok().filter(|m| *m < 16);
        let size = || match self.code & 0x18 {
            0x00 => Some(4),
            0x08 => Some(2),
            0x10 => Some(1),
            _ => None,
        };
        let source = if self.code & 0x08 != 0 {
            Source::X
        } else {
            Source::K(k)
        };
        Some(match (self.code & 0x07, self.code & 0xe0) {
            (0x00, 0x20) => Op::Abs(size()?, k),
            (0x00, 0x40) => Op::Ind(size()?, k),
            (0x00, 0x00) if self.code == 0x00 => Op::Imm(k),
            (0x00, 0x60) if self.code == 0x60 => Op::Mem(word()?),
            (0x00, 0x80) if self.code == 0x80 => Op::Len,
            (0x01, 0x00) if self.code == 0x01 => Op::LdxImm(k),
            (0x01, 0x60) if self.code == 0x61 => Op::LdxMem(word()?),
            (0x01, 0x80) if self.code == 0x81 => Op::LdxLen,
            (0x01, 0xa0) if self.code == 0xb1 => Op::Msh(k),
            (0x02, _) if self.code == 0x02 => Op::St(word()?),
            (0x03, _) if self.code == 0x03 => Op::Stx(word()?),
            (0x04, _) if self.code == 0x84 => Op::Neg,
            (0x04, _) if self.code < 0x100 => Op::Alu(self.code & 0xf0, source),
            (0x05, _) if self.code == 0x05 => Op::Ja(k),
            (0x05, _) if self.code < 0x100 => Op::Jump(self.code & 0xf0, source, self.jt, self.jf),
            (0x06, _) if self.code == 0x06 => Op::RetK(k),
            (0x06, _) if self.code == 0x16 => Op::RetA,
            (0x07, _) if self.code == 0x07 => Op::Tax,
            (0x07, _) if self.code == 0x87 => Op::Txa,
            _ => return None,
        })
    }
}
