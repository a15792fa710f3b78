// SPDX-License-Identifier: GPL-2.0
//! Interrupts: causes, masks, throttling, and which MSI-X vector a cause goes to.
//!
//! A queue's cause goes through IVAR to a vector, where it stays pending until the vector is
//! unmasked (EIMS) and its throttle (EITR) lets it through; firing clears it (auto clear) and
//! masks the vector if GPIE.EIAME says so (auto mask). The other causes (link, faults …) share one
//! vector, named by IVAR_MISC, and stay in EICR until the driver writes them back.
//! Time is passed in, so that tests own the clock.

/// Number of MSI-X vectors.
pub const VECTORS: usize = 64;

/// EICR: a new link state.
pub const CAUSE_LSC: u32 = 1 << 20;

const GPIE_EIAME: u32 = 1 << 30;
const OTHER: u32 = 0x7fff_0000;
const IVAR_VALID: u8 = 0x80;

/// The interrupt block.
pub struct Irq {
    /// Causes that wait, one bit per vector.
    pending: u64,
    /// Vectors that are unmasked.
    enabled: u64,
    other: u32,
    other_enabled: u32,
    /// The other causes have news that was not signalled yet.
    other_edge: bool,
    gpie: u32,
    eiam: u64,
    ivar: [u32; 64],
    ivar_misc: u32,
    eitr: [u32; VECTORS],
    next_ok: [u64; VECTORS],
    /// Interrupts fired per vector since the start.
    pub fired: [u64; VECTORS],
    /// Vectors whose causes vanish (misbehaviour).
    pub lost: u64,
    /// Vectors that fire all the time, whatever masks say (misbehaviour).
    pub storm: u64,
}

impl Irq {
    pub fn new() -> Self {
        Self {
            pending: 0,
            enabled: 0,
            other: 0,
            other_enabled: 0,
            other_edge: false,
            gpie: 0,
            eiam: 0,
            ivar: [0; 64],
            ivar_misc: 0,
            eitr: [0; VECTORS],
            next_ok: [0; VECTORS],
            fired: [0; VECTORS],
            lost: 0,
            storm: 0,
        }
    }

    /// What a reset of the MAC leaves.
    pub fn reset(&mut self) {
        *self = Self {
            fired: self.fired,
            lost: self.lost,
            storm: self.storm,
            ..Self::new()
        };
    }

    /// Receive or transmit queue `q` has something to say.
    pub fn raise_queue(&mut self, q: usize, tx: bool) {
        let byte = (q & 1) * 2 + usize::from(tx);
        let v = self.ivar[q >> 1].to_le_bytes()[byte];
        if v & IVAR_VALID != 0 {
            self.pending |= 1 << (v & 0x3f);
        }
    }

    /// A cause other than the queues' (bits 16 to 30 of EICR).
    pub fn raise_other(&mut self, bits: u32) {
        self.other |= bits & OTHER;
        self.other_edge = true;
    }

    fn misc_vector(&self) -> Option<usize> {
        let v = self.ivar_misc.to_le_bytes()[1];
        (v & IVAR_VALID != 0).then_some(usize::from(v & 0x3f))
    }

    /// Fires what may fire now; returns when to come back, if anything has to wait.
    pub fn run(&mut self, now: u64, mut fire: impl FnMut(usize)) -> Option<u64> {
        let mut ready = self.pending & self.enabled;
        let misc = match self.misc_vector() {
            Some(v) if self.other_edge && self.other & self.other_enabled != 0 => Some(v),
            _ => None,
        };
        if let Some(v) = misc {
            ready |= 1 << v;
        }
        let mut later: Option<u64> = None;
        while ready != 0 {
            let v = ready.trailing_zeros() as usize;
            ready &= ready - 1;
            if self.next_ok[v] > now {
                later = Some(later.map_or(self.next_ok[v], |t| t.min(self.next_ok[v])));
                continue;
            }
            self.pending &= !(1 << v);
            if misc == Some(v) {
                self.other_edge = false;
            }
            if self.lost & (1 << v) != 0 {
                continue;
            }
            if self.gpie & GPIE_EIAME != 0 {
                self.enabled &= !(self.eiam & (1 << v));
            }
            self.next_ok[v] = now + self.interval(v);
            self.fired[v] += 1;
            fire(v);
        }
        later
    }

    /// Fires the vectors that storm; false if none does.
    pub fn storm(&mut self, mut fire: impl FnMut(usize)) -> bool {
        for v in (0..VECTORS).filter(|v| self.storm & (1 << v) != 0) {
            self.fired[v] += 1;
            fire(v);
        }
        self.storm != 0
    }

    /// The least time between two interrupts of a vector, in nanoseconds (units of 2 us).
    fn interval(&self, v: usize) -> u64 {
        u64::from((self.eitr[v] >> 3) & 0x1ff) * 2000
    }

    pub fn eicr(&self) -> u32 {
        self.other | (self.pending & 0xffff) as u32
    }

    /// A read of EICR takes what it returns.
    pub fn take_eicr(&mut self) -> u32 {
        let v = self.eicr();
        self.other = 0;
        self.other_edge = false;
        self.pending &= !0xffff;
        v
    }

    pub fn clear_eicr(&mut self, v: u32) {
        self.other &= !v;
        self.pending &= !u64::from(v & 0xffff);
        if self.other & self.other_enabled == 0 {
            self.other_edge = false;
        }
    }

    /// EICS: software raises causes.
    pub fn set(&mut self, v: u32) {
        self.pending |= u64::from(v & 0xffff);
        if v & OTHER != 0 {
            self.raise_other(v);
        }
    }

    pub fn eims(&self) -> u32 {
        self.other_enabled | (self.enabled & 0xffff) as u32
    }

    pub fn unmask(&mut self, v: u32) {
        let new = v & OTHER & !self.other_enabled;
        self.other_enabled |= v & OTHER;
        if self.other & new != 0 {
            self.other_edge = true;
        }
        self.enabled |= u64::from(v & 0xffff);
    }

    pub fn mask(&mut self, v: u32) {
        self.other_enabled &= !v;
        self.enabled &= !u64::from(v & 0xffff);
    }

    pub fn set_ex(&mut self, half: usize, v: u32) {
        self.pending |= u64::from(v) << (32 * half);
    }

    pub fn eims_ex(&self, half: usize) -> u32 {
        (self.enabled >> (32 * half)) as u32
    }

    pub fn unmask_ex(&mut self, half: usize, v: u32) {
        self.enabled |= u64::from(v) << (32 * half);
    }

    pub fn mask_ex(&mut self, half: usize, v: u32) {
        self.enabled &= !(u64::from(v) << (32 * half));
    }

    pub fn set_eiam_ex(&mut self, half: usize, v: u32) {
        self.eiam &= !(0xffff_ffff << (32 * half));
        self.eiam |= u64::from(v) << (32 * half);
    }

    pub fn set_gpie(&mut self, v: u32) {
        self.gpie = v;
    }

    pub fn set_ivar(&mut self, i: usize, v: u32) {
        self.ivar[i] = v;
    }

    pub fn set_ivar_misc(&mut self, v: u32) {
        self.ivar_misc = v;
    }

    /// A new throttle. A shorter interval counts at once.
    pub fn set_eitr(&mut self, v: usize, value: u32) {
        let old = self.interval(v);
        self.eitr[v] = value;
        let new = self.interval(v);
        if new < old {
            self.next_ok[v] = self.next_ok[v].saturating_sub(old - new);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit() -> Irq {
        let mut irq = Irq::new();
        irq.set_gpie(0xC000_0036);
        irq.set_eiam_ex(0, !0);
        irq.set_eiam_ex(1, !0);
        // queue 0: rx vector 0, tx vector 1; queue 1: rx vector 33
        irq.set_ivar(0, u32::from_le_bytes([0x80, 0x81, 0xa1, 0]));
        irq.set_ivar_misc(0x8500);
        irq
    }

    fn fire(irq: &mut Irq, now: u64) -> (Vec<usize>, Option<u64>) {
        let mut v = Vec::new();
        let later = irq.run(now, |n| v.push(n));
        (v, later)
    }

    #[test]
    fn a_cause_waits_for_unmask_and_is_masked_after_firing() {
        let mut irq = unit();
        irq.raise_queue(0, false);
        assert!(fire(&mut irq, 0).0.is_empty());
        irq.unmask_ex(0, 1);
        assert_eq!(fire(&mut irq, 0).0, [0]);
        irq.raise_queue(0, false);
        assert!(fire(&mut irq, 1).0.is_empty());
        irq.unmask_ex(0, 1);
        assert_eq!(fire(&mut irq, 2).0, [0]);
        assert!(fire(&mut irq, 3).0.is_empty());
    }

    #[test]
    fn queues_go_where_ivar_says() {
        let mut irq = unit();
        irq.unmask_ex(0, !0);
        irq.unmask_ex(1, !0);
        irq.raise_queue(0, true);
        irq.raise_queue(1, false);
        irq.raise_queue(1, true); // no valid bit: nowhere
        assert_eq!(fire(&mut irq, 0).0, [1, 33]);
    }

    #[test]
    fn the_throttle_holds_back_and_says_until_when() {
        let mut irq = unit();
        irq.set_eitr(0, 0x8000_0000 | (10 << 3)); // 20 us
        irq.unmask_ex(0, 1);
        irq.raise_queue(0, false);
        assert_eq!(fire(&mut irq, 1000).0, [0]);
        irq.unmask_ex(0, 1);
        irq.raise_queue(0, false);
        assert_eq!(fire(&mut irq, 2000), (Vec::new(), Some(21_000)));
        assert_eq!(fire(&mut irq, 21_000), (vec![0], None));
    }

    #[test]
    fn the_misc_vector_fires_once_per_news() {
        let mut irq = unit();
        irq.raise_other(CAUSE_LSC);
        assert!(fire(&mut irq, 0).0.is_empty());
        irq.unmask(CAUSE_LSC);
        assert_eq!(fire(&mut irq, 0).0, [5]);
        assert!(fire(&mut irq, 1).0.is_empty());
        assert_eq!(irq.eicr(), CAUSE_LSC);
        irq.clear_eicr(CAUSE_LSC);
        irq.raise_other(CAUSE_LSC);
        assert_eq!(fire(&mut irq, 2).0, [5]);
    }

    #[test]
    fn reading_eicr_clears_it() {
        let mut irq = unit();
        irq.set(CAUSE_LSC | 3);
        assert_eq!(irq.take_eicr(), CAUSE_LSC | 3);
        assert_eq!(irq.take_eicr(), 0);
    }

    #[test]
    fn reset_masks_everything() {
        let mut irq = unit();
        irq.unmask_ex(0, !0);
        irq.raise_queue(0, false);
        irq.reset();
        assert_eq!(irq.eims_ex(0), 0);
        irq.raise_queue(0, false);
        irq.unmask_ex(0, !0);
        assert!(fire(&mut irq, 0).0.is_empty());
    }

    #[test]
    fn interrupts_get_lost_and_come_without_a_cause() {
        let mut irq = unit();
        (irq.lost, irq.storm) = (1, 1 << 33);
        irq.unmask_ex(0, 1);
        irq.raise_queue(0, false);
        assert!(fire(&mut irq, 0).0.is_empty());
        assert_eq!(irq.eims_ex(0), 1, "nothing has fired that could mask it");
        let mut v = Vec::new();
        assert!(irq.storm(|n| v.push(n)));
        assert_eq!(v, [33]);
        irq.reset();
        assert_eq!(
            (irq.lost, irq.storm),
            (1, 1 << 33),
            "a fault stays over a reset"
        );
    }
}
