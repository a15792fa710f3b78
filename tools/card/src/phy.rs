// SPDX-License-Identifier: GPL-2.0
//! The physical side: an SFP+ cage with a 10GBASE-SR module behind a bit-banged two-wire bus, the
//! empty MDIO bus, and the state of the link.

/// LINKS: up, 10 Gb/s.
const LINKS_UP_10G: u32 = 0x7000_0000;
/// ANLP1: the auto-negotiation state machine is not idle.
pub const ANLP1_ACTIVE: u32 = 0x0001_0000;
/// ESDP: SDP2, the cage is occupied.
const ESDP_SDP2: u32 = 1 << 2;

const CLK_IN: u32 = 1;
const CLK_OUT: u32 = 1 << 1;
const DATA_IN: u32 = 1 << 2;
const DATA_OUT: u32 = 1 << 3;

/// What the slave on the bus is doing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    Idle,
    /// Receiving the device address.
    Address,
    /// Receiving the byte offset.
    Offset,
    /// Receiving data (ignored: the module is write-protected).
    Data,
    /// Sending bytes from the current offset.
    Send,
}

/// Module, bus and link.
pub struct Phy {
    /// The cable: set from outside.
    pub link: bool,
    clk: bool,
    data: bool,
    /// The slave pulls the data line low.
    pull: bool,
    phase: Phase,
    /// The phase after the acknowledge bit.
    next: Phase,
    bits: u8,
    shift: u8,
    acked: bool,
    page: usize,
    offset: u8,
    rom: [[u8; 256]; 2],
}

impl Phy {
    pub fn new() -> Self {
        Self {
            link: true,
            clk: true,
            data: true,
            pull: false,
            phase: Phase::Idle,
            next: Phase::Idle,
            bits: 0,
            shift: 0,
            acked: false,
            page: 0,
            offset: 0,
            rom: [module_id(), module_diag()],
        }
    }

    pub fn links(&self) -> u32 {
        if self.link {
            LINKS_UP_10G
        } else {
            0
        }
    }

    /// ESDP as read: what was written, and the module-present input.
    pub fn esdp(stored: u32) -> u32 {
        stored | ESDP_SDP2
    }

    pub fn read_i2cctl(&self) -> u32 {
        let line = |on: bool, bits: u32| if on { bits } else { 0 };
        line(self.clk, CLK_IN)
            | line(self.clk, CLK_OUT)
            | line(self.data && !self.pull, DATA_IN)
            | line(self.data, DATA_OUT)
    }

    pub fn write_i2cctl(&mut self, v: u32) {
        let (clk, data) = (v & CLK_OUT != 0, v & DATA_OUT != 0);
        let (was_clk, was_data) = (self.clk, self.data);
        self.clk = clk;
        self.data = data;
        if was_clk && clk && was_data != data {
            if data {
                self.stop();
            } else {
                self.start();
            }
        } else if !was_clk && clk {
            self.rise(data);
        } else if was_clk && !clk {
            self.fall();
        }
    }

    fn start(&mut self) {
        self.phase = Phase::Address;
        self.bits = 0;
        self.pull = false;
    }

    fn stop(&mut self) {
        self.phase = Phase::Idle;
        self.pull = false;
    }

    /// The clock rises: whoever receives samples the line.
    fn rise(&mut self, data: bool) {
        match self.phase {
            Phase::Idle => {}
            Phase::Send => {
                if self.bits == 8 {
                    self.acked = !data;
                }
                self.bits += 1;
            }
            _ => {
                if self.bits < 8 {
                    self.shift = (self.shift << 1) | u8::from(data);
                }
                self.bits += 1;
            }
        }
    }

    /// The clock falls: whoever sends sets the line.
    fn fall(&mut self) {
        match (self.phase, self.bits) {
            (Phase::Idle, _) => {}
            (Phase::Send, 9..) => {
                if self.acked {
                    self.offset = self.offset.wrapping_add(1);
                    self.bits = 0;
                    self.drive();
                } else {
                    self.stop();
                }
            }
            (Phase::Send, 8) => self.pull = false,
            (Phase::Send, _) => self.drive(),
            (_, 8) => {
                self.pull = true;
                self.take_byte();
            }
            (_, 9..) => {
                self.pull = false;
                self.bits = 0;
                self.phase = self.next;
                if self.phase == Phase::Send {
                    self.drive();
                }
            }
            _ => {}
        }
    }

    fn drive(&mut self) {
        let byte = self.rom[self.page][usize::from(self.offset)];
        self.pull = byte & (0x80 >> self.bits) == 0;
    }

    fn take_byte(&mut self) {
        match self.phase {
            Phase::Address => match self.shift & 0xfe {
                0xa0 | 0xa2 => {
                    self.page = usize::from(self.shift & 2) / 2;
                    self.next = if self.shift & 1 != 0 {
                        Phase::Send
                    } else {
                        Phase::Offset
                    };
                }
                _ => self.stop(),
            },
            Phase::Offset => {
                self.offset = self.shift;
                self.next = Phase::Data;
            }
            _ => self.next = Phase::Data,
        }
    }

    /// MDIO: a command completes at once, and nobody answers.
    pub fn msca(v: u32) -> u32 {
        v & !(1 << 30)
    }
}

/// Page A0: what the module is (SFF-8472).
fn module_id() -> [u8; 256] {
    let mut m = [0u8; 256];
    m[0x00] = 0x03; // SFP
    m[0x01] = 0x04;
    m[0x02] = 0x07; // LC
    m[0x03] = 0x10; // 10GBASE-SR
    m[0x0b] = 0x06; // 64B/66B
    m[0x0c] = 103; // 10.3 Gb/s
    m[0x10] = 8; // 80 m OM2
    m[0x11] = 3; // 30 m OM1
    m[0x13] = 30; // 300 m OM3
    m[0x14..0x24].copy_from_slice(b"Intel Corp      ");
    m[0x25..0x28].copy_from_slice(&[0x00, 0x1b, 0x21]);
    m[0x28..0x38].copy_from_slice(b"FTLX8571D3BCV-IT");
    m[0x38..0x3c].copy_from_slice(b"A   ");
    m[0x3c..0x3e].copy_from_slice(&850u16.to_be_bytes());
    m[0x3f] = m[..0x3f].iter().fold(0, |s, &b| s.wrapping_add(b));
    m[0x44..0x54].copy_from_slice(b"EMULATED00000001");
    m[0x54..0x5c].copy_from_slice(b"240101  ");
    m[0x5c] = 0x68; // diagnostics, internally calibrated
    m[0x5e] = 0x05;
    m[0x5f] = m[0x40..0x5f].iter().fold(0, |s, &b| s.wrapping_add(b));
    m
}

/// Page A2: live diagnostics, standing still at healthy values.
fn module_diag() -> [u8; 256] {
    let mut m = [0u8; 256];
    m[0x60..0x62].copy_from_slice(&(35u16 << 8).to_be_bytes()); // 35 degrees
    m[0x62..0x64].copy_from_slice(&33_000u16.to_be_bytes()); // 3.3 V
    m[0x64..0x66].copy_from_slice(&3_000u16.to_be_bytes()); // 6 mA
    m[0x66..0x68].copy_from_slice(&6_000u16.to_be_bytes()); // 0.6 mW
    m[0x68..0x6a].copy_from_slice(&5_000u16.to_be_bytes()); // 0.5 mW
    m
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A bus master that wiggles the lines as a driver does.
    struct Master(Phy);

    impl Master {
        fn set(&mut self, clk: bool, data: bool) {
            let v = if clk { CLK_OUT } else { 0 } | if data { DATA_OUT } else { 0 };
            self.0.write_i2cctl(v);
        }
        fn start(&mut self) {
            self.set(false, true);
            self.set(true, true);
            self.set(true, false);
            self.set(false, false);
        }
        fn stop(&mut self) {
            self.set(false, false);
            self.set(true, false);
            self.set(true, true);
        }
        fn bit_out(&mut self, b: bool) {
            self.set(false, b);
            self.set(true, b);
            self.set(false, b);
        }
        fn bit_in(&mut self) -> bool {
            self.set(false, true);
            self.set(true, true);
            let b = self.0.read_i2cctl() & DATA_IN != 0;
            self.set(false, true);
            b
        }
        fn byte_out(&mut self, b: u8) -> bool {
            for i in (0..8).rev() {
                self.bit_out((b >> i) & 1 != 0);
            }
            !self.bit_in()
        }
        fn byte_in(&mut self, ack: bool) -> u8 {
            let b = (0..8).fold(0, |v, _| (v << 1) | u8::from(self.bit_in()));
            self.bit_out(!ack);
            b
        }
        fn read(&mut self, dev: u8, at: u8, n: usize) -> Vec<u8> {
            self.start();
            assert!(self.byte_out(dev));
            assert!(self.byte_out(at));
            self.start();
            assert!(self.byte_out(dev | 1));
            let v = (0..n).map(|i| self.byte_in(i + 1 < n)).collect();
            self.stop();
            v
        }
    }

    #[test]
    fn the_module_is_an_intel_sr() {
        let mut m = Master(Phy::new());
        assert_eq!(m.read(0xa0, 0, 1), [3]);
        assert_eq!(m.read(0xa0, 3, 1), [0x10]);
        assert_eq!(m.read(0xa0, 0x25, 3), [0x00, 0x1b, 0x21]);
        assert_eq!(m.read(0xa2, 0x60, 2), [35, 0]);
    }

    #[test]
    fn nobody_else_answers() {
        let mut m = Master(Phy::new());
        m.start();
        assert!(!m.byte_out(0x50));
        m.stop();
        assert_eq!(m.read(0xa0, 0, 1), [3]);
    }

    #[test]
    fn the_cable_decides_links() {
        let mut p = Phy::new();
        assert_eq!(p.links(), LINKS_UP_10G);
        p.link = false;
        assert_eq!(p.links(), 0);
        assert_eq!(Phy::msca(0x4001_0008), 0x0001_0008);
    }
}
