// SPDX-License-Identifier: GPL-2.0
//! Flow Director: perfect-match filters that send a flow to a queue. The port has one set of
//! masks, so filters and packets are both reduced to a masked key, and matching is one look-up.
//! Signature filters (the driver's automatic ones) are accepted and never match.

use std::collections::HashMap;

use super::parse::{be16, Parsed, L3, L4};
use crate::regs::{at, Regs};

const CTRL_INIT_DONE: u32 = 1 << 3;
const CTRL_PERFECT: u32 = 1 << 4;

const CMD: u32 = 3;
const CMD_ADD: u32 = 1;
const CMD_REMOVE: u32 = 2;
const CMD_VALID: u32 = 1 << 2;
const CMD_DROP: u32 = 1 << 9;

/// How many filters fit.
const CAPACITY: usize = 8192;

/// The fields filters can look at; addresses as the registers hold them.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
struct Key {
    src: u32,
    dst: u32,
    sport: u16,
    dport: u16,
    vlan: u16,
    flex: u16,
    l4: u8,
}

/// The port's masks: 1 means "compare". Ports have one mask per transport.
#[derive(Clone, Copy)]
struct Masks {
    src: u32,
    dst: u32,
    ports: [(u16, u16); 4],
    vlan: u16,
    flex: u16,
    l4: u8,
}

impl Masks {
    fn of(regs: &Regs) -> Self {
        let m = regs.get(at::FDIRM);
        let unless = |bit: u32, v: u16| if m & bit != 0 { 0 } else { v };
        let ports = |reg: u32| {
            let v = regs.get(reg);
            // Each half is written bit-reversed, 1 meaning "ignore".
            (
                !(v as u16).reverse_bits(),
                !((v >> 16) as u16).reverse_bits(),
            )
        };
        Self {
            src: !regs.get(at::FDIRSIP4M),
            dst: !regs.get(at::FDIRDIP4M),
            ports: [
                (0, 0),
                ports(at::FDIRUDPM),
                ports(at::FDIRTCPM),
                ports(at::FDIRSCTPM),
            ],
            vlan: unless(1, 0x0fff) | unless(2, 0xe000),
            flex: unless(0x10, 0xffff),
            l4: unless(0x08, 3) as u8,
        }
    }

    fn apply(&self, k: Key) -> Key {
        let l4 = k.l4 & self.l4;
        // With the transport masked, ports can't be told apart from anything else.
        let (sport, dport) = self.ports[usize::from(l4)];
        Key {
            src: k.src & self.src,
            dst: k.dst & self.dst,
            sport: k.sport & sport,
            dport: k.dport & dport,
            vlan: k.vlan & self.vlan,
            flex: k.flex & self.flex,
            l4,
        }
    }
}

#[derive(Clone, Copy)]
struct Filter {
    key: Key,
    queue: u8,
    drop: bool,
}

/// What flow director says about a packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Hit {
    /// Perfect filters are not in use.
    Off,
    Miss,
    Queue {
        queue: u8,
        id: u16,
    },
    Drop,
}

/// The filter table.
pub struct Fdir {
    perfect: bool,
    flex_at: usize,
    masks: Masks,
    by_id: HashMap<u16, Filter>,
    by_key: HashMap<Key, u16>,
}

impl Fdir {
    pub fn new(regs: &Regs) -> Self {
        Self {
            perfect: false,
            flex_at: 0,
            masks: Masks::of(regs),
            by_id: HashMap::new(),
            by_key: HashMap::new(),
        }
    }

    pub fn free(&self) -> u32 {
        (CAPACITY - self.by_id.len()) as u32
    }

    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// FDIRCTRL: (re)initialises the table; returns what the register reads afterwards.
    pub fn set_ctrl(&mut self, v: u32) -> u32 {
        self.perfect = v & CTRL_PERFECT != 0;
        self.flex_at = ((v >> 16) & 0x1f) as usize * 2;
        self.by_id.clear();
        self.by_key.clear();
        v | CTRL_INIT_DONE
    }

    /// A mask register changed.
    pub fn set_masks(&mut self, regs: &Regs) {
        self.masks = Masks::of(regs);
        self.by_key = self
            .by_id
            .iter()
            .map(|(&id, f)| (self.masks.apply(f.key), id))
            .collect();
    }

    /// FDIRCMD: does what it says at once; returns what the register reads afterwards.
    pub fn command(&mut self, cmd: u32, regs: &Regs) -> u32 {
        let id = (regs.get(at::FDIRHASH) >> 16) as u16;
        let mut valid = false;
        match cmd & CMD {
            CMD_ADD if self.perfect => self.add(id, cmd, regs),
            CMD_REMOVE if self.perfect => self.remove(id),
            CMD => valid = self.by_id.contains_key(&id),
            _ => {}
        }
        (cmd & !(CMD | CMD_VALID)) | if valid { CMD_VALID } else { 0 }
    }

    fn add(&mut self, id: u16, cmd: u32, regs: &Regs) {
        let (port, vlan) = (regs.get(at::FDIRPORT), regs.get(at::FDIRVLAN));
        let key = Key {
            src: regs.get(at::FDIRIPSA),
            dst: regs.get(at::FDIRIPDA),
            sport: port as u16,
            dport: (port >> 16) as u16,
            vlan: vlan as u16,
            flex: ((vlan >> 16) as u16).swap_bytes(),
            l4: ((cmd >> 5) & 3) as u8,
        };
        self.remove(id);
        if self.by_id.len() >= CAPACITY {
            return;
        }
        let filter = Filter {
            key,
            queue: ((cmd >> 16) & 0x7f) as u8,
            drop: cmd & CMD_DROP != 0,
        };
        self.by_id.insert(id, filter);
        self.by_key.insert(self.masks.apply(key), id);
    }

    fn remove(&mut self, id: u16) {
        if let Some(f) = self.by_id.remove(&id) {
            let key = self.masks.apply(f.key);
            if self.by_key.get(&key) == Some(&id) {
                self.by_key.remove(&key);
            }
        }
    }

    /// Looks a packet up. Filters here are for IPv4 only, as in the driver.
    pub fn choose(&self, f: &[u8], p: &Parsed) -> Hit {
        if !self.perfect {
            return Hit::Off;
        }
        if self.by_key.is_empty() || p.l3 != L3::V4 {
            return Hit::Miss;
        }
        let word = |at: usize| u32::from_le_bytes([f[at], f[at + 1], f[at + 2], f[at + 3]]);
        let (sport, dport) = p.ports(f);
        // The flexible bytes are counted in the frame without its tag.
        let flex = self.flex_at
            + if p.vlan.is_some() && self.flex_at >= 12 {
                4
            } else {
                0
            };
        let key = self.masks.apply(Key {
            src: word(p.l3_at + 12),
            dst: word(p.l3_at + 16),
            sport,
            dport,
            vlan: p.vlan.unwrap_or(0),
            flex: if flex + 2 <= f.len() {
                be16(f, flex)
            } else {
                0
            },
            l4: match p.l4 {
                L4::Other => 0,
                l4 => l4 as u8,
            },
        });
        match self
            .by_key
            .get(&key)
            .and_then(|id| Some((id, self.by_id.get(id)?)))
        {
            None => Hit::Miss,
            Some((_, f)) if f.drop => Hit::Drop,
            Some((&id, f)) => Hit::Queue { queue: f.queue, id },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::frame::udp4;

    /// Registers as the driver writes them for "udp4 dst-port 53 action 3" (id 2045).
    fn driver() -> (Regs, Fdir) {
        let mut regs = Regs::new();
        let mut fdir = Fdir::new(&regs);
        assert_ne!(fdir.set_ctrl(0x4a06_7f11) & CTRL_INIT_DONE, 0);
        regs.set(at::FDIRM, 0x37);
        regs.set(at::FDIRTCPM, 0xffff);
        regs.set(at::FDIRUDPM, 0xffff);
        regs.set(at::FDIRSIP4M, !0);
        regs.set(at::FDIRDIP4M, !0);
        fdir.set_masks(&regs);
        regs.set(at::FDIRPORT, 53 << 16);
        regs.set(at::FDIRHASH, 0x07fd_1d06);
        assert_eq!(fdir.command(0x0003_8829, &regs) & CMD, 0);
        (regs, fdir)
    }

    fn look(fdir: &Fdir, dport: u16) -> Hit {
        let f = udp4([1, 2, 3, 4], [10, 0, 3, 1], 999, dport, &[0; 20]);
        fdir.choose(&f, &Parsed::of(&f, 0x8100))
    }

    #[test]
    fn a_port_rule_matches_that_port_only() {
        let (_, fdir) = driver();
        assert_eq!(look(&fdir, 53), Hit::Queue { queue: 3, id: 2045 });
        assert_eq!(look(&fdir, 54), Hit::Miss);
        let mut f = udp4([1, 2, 3, 4], [10, 0, 3, 1], 999, 53, &[0; 20]);
        f[23] = 6; // the same as TCP
        assert_eq!(fdir.choose(&f, &Parsed::of(&f, 0x8100)), Hit::Miss);
    }

    #[test]
    fn query_and_remove() {
        let (regs, mut fdir) = driver();
        assert_ne!(fdir.command(3, &regs) & CMD_VALID, 0);
        assert_eq!(fdir.free() as usize, CAPACITY - 1);
        fdir.command(CMD_REMOVE, &regs);
        assert_eq!(fdir.command(3, &regs) & CMD_VALID, 0);
        assert_eq!(look(&fdir, 53), Hit::Miss);
    }

    #[test]
    fn a_drop_rule_drops() {
        let (regs, mut fdir) = driver();
        fdir.command(0x007f_8829 | CMD_DROP, &regs);
        assert_eq!(look(&fdir, 53), Hit::Drop);
    }

    #[test]
    fn address_masks_are_prefixes_in_network_order() {
        let (mut regs, mut fdir) = driver();
        // src 10.0.1.0/24, any port
        regs.set(at::FDIRSIP4M, u32::from_le_bytes([0, 0, 0, 255]));
        regs.set(at::FDIRUDPM, !0);
        fdir.set_masks(&regs);
        regs.set(at::FDIRIPSA, u32::from_le_bytes([10, 0, 1, 0]));
        regs.set(at::FDIRPORT, 0);
        regs.set(at::FDIRHASH, 7 << 16);
        fdir.command(0x0005_8829, &regs);
        let f = |src| udp4(src, [1, 1, 1, 1], 5, 6, &[0; 20]);
        let look = |f: Vec<u8>| fdir.choose(&f, &Parsed::of(&f, 0x8100));
        assert_eq!(look(f([10, 0, 1, 77])), Hit::Queue { queue: 5, id: 7 });
        assert_eq!(look(f([10, 0, 2, 77])), Hit::Miss);
    }

    #[test]
    fn partial_port_masks_are_bit_reversed() {
        let (mut regs, mut fdir) = driver();
        // compare dst-port under 0xfff0: ignore the low nibble
        regs.set(
            at::FDIRUDPM,
            (u32::from(0x000fu16.reverse_bits()) << 16) | 0xffff,
        );
        fdir.set_masks(&regs);
        assert_eq!(look(&fdir, 0x30), Hit::Queue { queue: 3, id: 2045 });
        assert_eq!(look(&fdir, 0x3f), Hit::Queue { queue: 3, id: 2045 });
        assert_eq!(look(&fdir, 0x40), Hit::Miss);
    }

    #[test]
    fn signature_mode_accepts_and_ignores() {
        let (regs, mut fdir) = driver();
        fdir.set_ctrl(0x4a06_0001);
        assert_eq!(fdir.command(0x0003_8829, &regs) & CMD, 0);
        assert_eq!(look(&fdir, 53), Hit::Off);
    }
}
