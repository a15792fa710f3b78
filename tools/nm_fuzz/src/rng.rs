// SPDX-License-Identifier: GPL-2.0
//! Random numbers that a seed determines, and values that are worth trying.

/// xorshift64*: small, fast, good enough to choose with.
#[derive(Clone, Debug)]
pub struct Rng(u64);

/// Spreads a seed (splitmix64), so that neighbouring seeds have nothing in common.
pub fn spread(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl Rng {
    pub fn new(seed: u64) -> Rng {
        Rng(spread(seed) | 1)
    }

    /// A generator for a part of the run: the same for the same seed and part.
    pub fn part(seed: u64, part: u64) -> Rng {
        Rng::new(spread(seed) ^ spread(part.wrapping_mul(0x0123_4567_89ab_cdef)))
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// Less than `n`, which is not 0.
    pub fn below(&mut self, n: usize) -> usize {
        ((self.next() >> 33) as usize) % n
    }

    /// True once in `n`.
    pub fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    pub fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }

    /// Where code goes wrong: borders of the integer types, of pages, of a ring of `n`.
    pub fn nasty32(&mut self, n: u32) -> u32 {
        let r = (self.next() >> 32) as u32;
        match self.below(12) {
            0 => 0,
            1 => n,
            2 => n.wrapping_sub(1),
            3 => n.wrapping_add(r % 16),
            4 => u32::MAX - r % 4,
            5 => 0x8000_0000u32.wrapping_sub(r % 2),
            6 => 1 << (r % 32),
            7 => (1u32 << (r % 32)).wrapping_sub(1),
            8 | 9 => r % n.max(1),
            10 => r & 0xffff,
            _ => r,
        }
    }

    /// The same for 64 bits.
    pub fn nasty64(&mut self) -> u64 {
        let r = self.next();
        match self.below(8) {
            0 => 0,
            1 => u64::MAX - r % 4,
            2 => 1 << (r % 64),
            3 => (1u64 << (r % 64)).wrapping_sub(1),
            4 => 0xffff_8000_0000_0000 | (r >> 20),
            5 => r % 4096,
            6 => u64::from(self.nasty32(1024)),
            _ => r,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Rng;

    #[test]
    fn same_seed_and_part_give_the_same_numbers_and_others_do_not() {
        let draw = |seed, part| {
            let mut r = Rng::part(seed, part);
            [r.next(), r.next(), r.nasty64()]
        };
        assert_eq!(draw(7, 1), draw(7, 1));
        assert_ne!(draw(7, 1), draw(7, 2));
        assert_ne!(draw(7, 1), draw(8, 1));
    }

    #[test]
    fn nasty_values_reach_the_borders() {
        let mut r = Rng::new(1);
        let all: Vec<u32> = (0..2000).map(|_| r.nasty32(512)).collect();
        for v in [0, 511, 512, u32::MAX, 0x8000_0000] {
            assert!(all.contains(&v), "{v:#x}");
        }
    }
}
