// SPDX-License-Identifier: GPL-2.0
//! Misbehaviour on command, to try what a driver does with broken hardware: which faults there
//! are, by name. What each does is where the working thing is done.

/// A set of faults that are on or off, by name.
macro_rules! faults {
    ($(#[$doc:meta])* $set:ident { $($(#[$what:meta])* $name:ident,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
        pub struct $set {
            $($(#[$what])* pub $name: bool,)*
            /// A number, for those that take one: the last one given.
            pub number: u32,
        }

        impl $set {
            /// Their names.
            pub const NAMES: &[&str] = &[$(stringify!($name),)*];

            /// Switches a fault by its name; false if there is no such fault.
            pub fn set(&mut self, name: &str, on: bool) -> bool {
                match name {
                    $(stringify!($name) => self.$name = on,)*
                    _ => return false,
                }
                true
            }

            /// Those that are on.
            pub fn list(&self) -> String {
                let all = [$((stringify!($name), self.$name),)*];
                let on = all.iter().filter(|f| f.1).map(|f| f.0);
                on.collect::<Vec<_>>().join(" ")
            }
        }
    };
}

faults! {
    /// What is wrong with a receive ring.
    RingFault {
        /// RXDCTL.ENABLE does not go off.
        stuck,
        /// RXDCTL.ENABLE does not go on.
        dead,
        /// RXDCTL.ENABLE changes so many milliseconds late.
        late,
        /// Descriptors report 65535 bytes, or the number given.
        length,
        /// No descriptor says end-of-packet.
        noeop,
        /// Nothing is written back: data is there, descriptors say nothing.
        nodd,
        /// Two descriptors at a time are written back in the wrong order, the first one with the
        /// next frame.
        order,
        /// With each frame eight descriptors beyond the tail, which are not the card's, are
        /// written back too.
        ghost,
        /// With each frame eight of the card's own descriptors are written back too early.
        early,
        /// Writes a pattern for ever into every buffer of the descriptors it was given last.
        babble,
    }
}

faults! {
    /// What is wrong with a transmit queue.
    QueueFault {
        /// TXDCTL.ENABLE does not go off.
        stuck,
        /// TXDCTL.ENABLE does not go on.
        dead,
        /// TXDCTL.ENABLE changes so many milliseconds late.
        late,
        /// Descriptors are not fetched: nothing is sent, nothing is reported.
        hang,
        /// Frames are sent, nothing is reported.
        mute,
        /// The head that is reported is no index of the ring.
        wild,
        /// The head that is reported is eight back.
        back,
        /// The head that is reported is beyond the tail.
        ahead,
        /// Writes a wrong head for ever to where it was last told to.
        babble,
    }
}

faults! {
    /// What is wrong with the port.
    PortFault {
        /// Every read returns all ones, as after surprise removal.
        gone,
        /// Every frame from the wire is damaged (FCS error).
        crc,
        /// CTRL.RST and LNK_RST have no effect.
        noreset,
        /// Master requests stay pending for ever (STATUS.GIO).
        pending,
        /// Each register access takes so many microseconds.
        slow,
        /// Nothing leaves the packet buffer.
        stall,
    }
}

/// RXDCTL.ENABLE and TXDCTL.ENABLE.
const ENABLE: u32 = 1 << 25;

/// What a queue's control register holds when `new` is written over `old`.
fn enable(stuck: bool, dead: bool, old: u32, new: u32) -> u32 {
    let mut v = new;
    if stuck {
        v |= old & ENABLE;
    }
    if dead {
        v &= !ENABLE;
    }
    v
}

impl RingFault {
    /// The length a descriptor reports.
    pub fn length(&self, real: u16) -> u16 {
        if self.length {
            self.number as u16
        } else {
            real
        }
    }

    /// What RXDCTL holds when `new` is written over `old`.
    pub fn enable(&self, old: u32, new: u32) -> u32 {
        enable(self.stuck, self.dead, old, new)
    }
}

impl QueueFault {
    /// What TXDCTL holds when `new` is written over `old`.
    pub fn enable(&self, old: u32, new: u32) -> u32 {
        enable(self.stuck, self.dead, old, new)
    }

    /// The head that is reported instead of the true one; None: none is.
    pub fn head(&self, head: u32, tail: u32, n: u32) -> Option<u32> {
        if self.mute {
            None
        } else if self.wild {
            Some(0xdead_beef)
        } else if self.back {
            Some((head + n - 8 % n) % n)
        } else if self.ahead {
            Some((tail + 5) % n)
        } else {
            Some(head)
        }
    }
}

/// A control register whose ENABLE changes late.
#[derive(Clone, Copy, Default)]
pub struct Late {
    /// What it will hold, and when.
    to: Option<(u32, u64)>,
}

impl Late {
    /// `new` is to replace `old`, of which ENABLE differs, `ms` from `now` on; what it holds now.
    pub fn write(&mut self, old: u32, new: u32, ms: u32, now: u64) -> u32 {
        if (old ^ new) & ENABLE == 0 {
            return new;
        }
        self.to = Some((new, now + u64::from(ms) * 1_000_000));
        (new & !ENABLE) | (old & ENABLE)
    }

    /// What it holds from now on, if its time has come.
    pub fn due(&mut self, now: u64) -> Option<u32> {
        let (v, at) = self.to?;
        if now < at {
            return None;
        }
        self.to = None;
        Some(v)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_have_names() {
        let mut f = RingFault::default();
        assert_eq!(f.length(5), 5);
        assert!(f.set("length", true) && f.set("stuck", true) && f.set("dead", true));
        f.number = 65535;
        assert_eq!(f.length(5), 65535);
        assert_eq!(f.list(), "stuck dead length");
        assert!(!f.set("other", true));
        let mut f = QueueFault::default();
        assert!(f.set("hang", true) && !f.set("length", true));
        assert!(PortFault::NAMES.contains(&"gone"));
    }

    #[test]
    fn a_queue_does_not_stop_or_start_if_told_so() {
        let (on, off) = (ENABLE | 32, 32);
        let mut f = QueueFault::default();
        assert_eq!((f.enable(off, on), f.enable(on, off)), (on, off));
        f.stuck = true;
        assert_eq!((f.enable(off, off), f.enable(on, off)), (off, on));
        let f = RingFault {
            dead: true,
            ..RingFault::default()
        };
        assert_eq!(f.enable(off, on), off);
    }

    #[test]
    fn heads_are_reported_wrong() {
        let f = |name| {
            let mut f = QueueFault::default();
            assert!(f.set(name, true));
            f.head(3, 6, 64)
        };
        assert_eq!(QueueFault::default().head(3, 6, 64), Some(3));
        assert_eq!(f("mute"), None);
        assert_eq!(f("back"), Some(59));
        assert_eq!(f("ahead"), Some(11));
        assert!(f("wild").is_some_and(|h| h > 0xffff));
    }

    #[test]
    fn a_change_comes_late() {
        let mut l = Late::default();
        assert_eq!(l.write(ENABLE, 7, 2, 1000), ENABLE | 7);
        assert_eq!(l.due(2_000_999), None);
        assert_eq!(l.due(2_001_000), Some(7));
        assert_eq!(l.due(9_000_000), None);
        assert_eq!(l.write(7, 9, 2, 0), 9, "ENABLE does not change");
    }
}
