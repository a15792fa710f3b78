// SPDX-License-Identifier: GPL-2.0
//! Misbehaviour on command, to try what a driver does with broken hardware.

/// What is wrong with a receive ring.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct RingFault {
    /// RXDCTL.ENABLE does not go off.
    pub stuck: bool,
    /// RXDCTL.ENABLE does not go on.
    pub dead: bool,
    /// Descriptors report 65535 bytes.
    pub length: bool,
}

impl RingFault {
    /// The length a descriptor reports.
    pub fn length(&self, real: u16) -> u16 {
        if self.length {
            u16::MAX
        } else {
            real
        }
    }

    /// Sets a fault by its name; false if there is no such fault.
    pub fn set(&mut self, name: &str, on: bool) -> bool {
        match name {
            "stuck" => self.stuck = on,
            "dead" => self.dead = on,
            "length" => self.length = on,
            _ => return false,
        }
        true
    }
}

/// What is wrong with a transmit queue.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct QueueFault {
    /// TXDCTL.ENABLE does not go off.
    pub stuck: bool,
    /// TXDCTL.ENABLE does not go on.
    pub dead: bool,
    /// Descriptors are not fetched: nothing is sent, nothing is reported.
    pub hang: bool,
}

impl QueueFault {
    /// What TXDCTL holds when `new` is written over `old`.
    pub fn enable(&self, old: u32, new: u32) -> u32 {
        const ENABLE: u32 = 1 << 25;
        let mut v = new;
        if self.stuck {
            v |= old & ENABLE;
        }
        if self.dead {
            v &= !ENABLE;
        }
        v
    }

    /// Sets a fault by its name; false if there is no such fault.
    pub fn set(&mut self, name: &str, on: bool) -> bool {
        match name {
            "stuck" => self.stuck = on,
            "dead" => self.dead = on,
            "hang" => self.hang = on,
            _ => return false,
        }
        true
    }
}

/// What is wrong with the port.
#[derive(Clone, Copy, Default)]
pub struct PortFault {
    /// Every read returns all ones, as after surprise removal.
    pub gone: bool,
    /// Every frame from the wire is damaged (FCS error).
    pub crc: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_have_names() {
        let mut f = RingFault::default();
        assert_eq!(f.length(5), 5);
        assert!(f.set("length", true) && f.set("stuck", true) && f.set("dead", true));
        assert_eq!(f.length(5), 65535);
        assert!(!f.set("other", true));
        let mut f = QueueFault::default();
        assert!(f.set("hang", true) && !f.set("length", true));
    }

    #[test]
    fn a_transmit_queue_does_not_stop_or_start_if_told_so() {
        let (on, off) = ((1 << 25) | 32, 32);
        let mut f = QueueFault::default();
        assert_eq!((f.enable(off, on), f.enable(on, off)), (on, off));
        f.stuck = true;
        assert_eq!((f.enable(off, off), f.enable(on, off)), (off, on));
        f = QueueFault {
            dead: true,
            ..QueueFault::default()
        };
        assert_eq!(f.enable(off, on), off);
    }
}
