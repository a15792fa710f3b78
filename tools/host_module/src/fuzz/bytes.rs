// SPDX-License-Identifier: GPL-2.0

//! Choices, taken from a fuzzer's bytes; 0 when they are used up.

pub struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    pub fn new(data: &'a [u8]) -> Self {
        Bytes(data)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn take(&mut self, n: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(n.min(self.0.len()));
        self.0 = rest;
        taken
    }

    fn array<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        let taken = self.take(N);
        bytes[..taken.len()].copy_from_slice(taken);
        bytes
    }

    pub fn u8(&mut self) -> u8 {
        self.array::<1>()[0]
    }

    pub fn u16(&mut self) -> u16 {
        u16::from_le_bytes(self.array())
    }

    pub fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.array())
    }

    pub fn u64(&mut self) -> u64 {
        u64::from_le_bytes(self.array())
    }

    /// A number below `n`, which is at most 256; 0 for none.
    pub fn below(&mut self, n: usize) -> usize {
        usize::from(self.u8()) % n.max(1)
    }

    pub fn flip(&mut self) -> bool {
        self.u8() & 1 != 0
    }

    pub fn one_of<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }

    /// Mostly a small number or one near a power of two, sometimes any.
    pub fn odd_u32(&mut self) -> u32 {
        let kind = self.u8();
        match kind & 3 {
            0 => u32::from(kind >> 2),
            1 => u32::from(self.u8()),
            2 => (1u32 << (kind >> 3))
                .wrapping_add(u32::from(self.u8() & 3))
                .wrapping_sub(2),
            _ => self.u32(),
        }
    }

    pub fn odd_u64(&mut self) -> u64 {
        match self.u8() & 3 {
            0 => u64::from(self.odd_u32()),
            1 => u64::from(self.odd_u32()).wrapping_neg(),
            2 => u64::from(self.odd_u32()) << 32,
            _ => self.u64(),
        }
    }
}
