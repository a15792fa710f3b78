// SPDX-License-Identifier: GPL-2.0

//! A program with a file, for tests.

use kernel::uaccess::{self, BASE};

use crate::machine::accounts::Machine;
use crate::machine::driver::Port;
use crate::machine::files::File;
use crate::machine::net::Dev;
use crate::uapi::ctrl::reqtype;
use crate::uapi::{NIOCCTRL, NIOCRXSYNC, NIOCTXSYNC};

pub(super) const SLOTS: u32 = 16;
pub(super) const BODY: usize = BASE + 0x200;

/// A machine with one port, eth3, of four RX and two TX queues.
pub(super) fn machine() -> (Machine, &'static Dev, &'static Port) {
    let machine = Machine::new(1 << 16);
    let dev = Dev::add("eth3", 1, Some(Port::new(4, 2, SLOTS)));
    (machine, dev, dev.port.as_ref().unwrap())
}

/// REGISTER by NIOCCTRL: 0 or the errno. `options`: where the list of options is.
pub(super) fn register(file: &File, name: &str, mode: u32, flags: u64, options: usize) -> i32 {
    let mut header = [0; 88];
    header[..2].copy_from_slice(&14u16.to_le_bytes());
    header[2..4].copy_from_slice(&reqtype::REGISTER.to_le_bytes());
    header[8..8 + name.len()].copy_from_slice(name.as_bytes());
    header[72..80].copy_from_slice(&(options as u64).to_le_bytes());
    header[80..].copy_from_slice(&(BODY as u64).to_le_bytes());
    let mut body = [0; 56];
    body[36..40].copy_from_slice(&mode.to_le_bytes());
    body[40..44].copy_from_slice(&3u32.to_le_bytes());
    body[48..].copy_from_slice(&flags.to_le_bytes());
    uaccess::poke(BASE, &header);
    uaccess::poke(BODY, &body);
    file.ioctl(NIOCCTRL, BASE)
}

/// A registered and mapped file.
pub(super) fn open(name: &str, mode: u32, flags: u64) -> File {
    let mut file = File::open().unwrap();
    assert_eq!(register(&file, name, mode, flags, 0), 0);
    file.mmap().unwrap();
    file
}

/// A ring of a mapping, as programs see it.
pub(super) struct Ring<'a> {
    file: &'a File,
    pub at: usize,
}

impl<'a> Ring<'a> {
    /// Number `index` of the rings in the `netmap_if` of the last REGISTER.
    pub(super) fn of(file: &'a File, index: usize) -> Self {
        let nif = u64::from_le_bytes(uaccess::peek(BODY, 8).try_into().unwrap()) as usize;
        let map = file.map.expect("a mapping");
        let ofs = map.read(nif + 56 + 8 * index);
        assert_ne!(ofs, 0, "ring {index} is not bound");
        Ring {
            file,
            at: nif + ofs as usize,
        }
    }

    pub(super) fn word(&self, at: usize) -> u32 {
        self.file.map.unwrap().read(self.at + at)
    }

    pub(super) fn set(&self, at: usize, value: u32) {
        self.file.map.unwrap().write(self.at + at, value);
    }

    pub(super) fn tail(&self) -> u32 {
        self.word(28)
    }

    /// Releases everything before `head`.
    pub(super) fn release(&self, head: u32) {
        self.set(20, head);
        self.set(24, head);
    }

    pub(super) fn rxsync(&self) -> i32 {
        self.file.ioctl(NIOCRXSYNC, 0)
    }

    pub(super) fn txsync(&self) -> i32 {
        self.file.ioctl(NIOCTXSYNC, 0)
    }

    /// Buffer index of a slot.
    pub(super) fn buf(&self, slot: u32) -> u32 {
        self.word(256 + 16 * slot as usize)
    }

    pub(super) fn set_buf(&self, slot: u32, buf: u32) {
        self.set(256 + 16 * slot as usize, buf);
    }

    /// Length and flags of a slot.
    pub(super) fn len_flags(&self, slot: u32) -> u32 {
        self.word(260 + 16 * slot as usize)
    }

    pub(super) fn set_len(&self, slot: u32, len: u32) {
        self.set(260 + 16 * slot as usize, len);
    }
}
