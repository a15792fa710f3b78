// SPDX-License-Identifier: GPL-2.0

//! Requests of programs: such as may be granted, and any others.

use kernel::uaccess::{self, BASE};

use super::steps::view;
use super::{Bytes, Fd, World};
use crate::machine::{mem, tasks};
use crate::uapi::ctrl::reqtype;
use crate::uapi::opt::{self, opttype};
use crate::uapi::{
    ext, flag, mode, NIOCCONFIG, NIOCCTRL, NIOCGINFO, NIOCREGIF, NIOCRXSYNC, NIOCTXSYNC,
};

/// Where in user memory requests are made.
const HEADER: usize = BASE + 0x100;
const BODY: usize = BASE + 0x200;
const OPTIONS: usize = BASE + 0x400;
/// Both arrays of a CSB, one behind the other.
pub(super) const CSB: usize = BASE + 0x4000;
const KTOA: usize = CSB + 0x1000;

const NAMES: &[&str] = &[
    "eth3",
    "eth3~0",
    "eth3~1",
    "eth3~2",
    "eth3~",
    "eth4",
    "eth4~0",
    "lo",
    "eth5",
    "eth9",
    "",
    "eth3~9",
    "eth3{1",
    "vale0:1",
    "eth3~~1",
    "fifteencharacts",
];
const MODES: &[u32] = &[
    mode::ONE_NIC,
    mode::ALL_NIC,
    mode::NIC_SW,
    mode::SW,
    mode::ONE_SW,
    mode::NULL,
    mode::DEFAULT,
    mode::PIPE_MASTER,
    15,
];
const FLAGS: &[u64] = &[
    0,
    0,
    flag::RX_RINGS_ONLY,
    flag::TX_RINGS_ONLY,
    flag::EXCLUSIVE,
    flag::NO_TX_POLL,
    flag::PUTBACK,
    flag::NO_RINGS,
    flag::PRIVATE_MEM,
    flag::MONITOR_RX,
    flag::RX_RINGS_ONLY | flag::PUTBACK,
];

/// What a REGISTER asks.
struct Ask {
    name: [u8; 64],
    mode: u32,
    flags: u64,
    ringid: u16,
    mem_id: u16,
    extra: u32,
}

impl Ask {
    fn any(b: &mut Bytes<'_>) -> Self {
        let mut name = [0; 64];
        let chosen = b.one_of(NAMES).as_bytes();
        name[..chosen.len()].copy_from_slice(chosen);
        let flags = b.one_of(FLAGS) | b.one_of(FLAGS);
        let rare = b.u8();
        if rare == 0xff {
            let bytes = b.take(64);
            name[..bytes.len()].copy_from_slice(bytes);
        }
        Ask {
            name,
            mode: b.one_of(MODES),
            flags: if rare == 0xfe { b.u64() } else { flags },
            ringid: if rare == 0xfd { b.u16() } else { b.u16() & 3 },
            mem_id: if rare & 0xf0 == 0xe0 {
                u16::from(b.u8() & 7)
            } else {
                0
            },
            extra: if rare & 0x0c == 0x0c { b.odd_u32() } else { 0 },
        }
    }

    fn body(&self, b: &mut Bytes<'_>) -> Vec<u8> {
        let mut body = vec![0; 56];
        let hosts = b.u8();
        body[28..30].copy_from_slice(&u16::from(hosts & 3).to_le_bytes());
        body[30..32].copy_from_slice(&u16::from((hosts >> 2) & 3).to_le_bytes());
        body[32..34].copy_from_slice(&self.mem_id.to_le_bytes());
        body[34..36].copy_from_slice(&self.ringid.to_le_bytes());
        body[36..40].copy_from_slice(&self.mode.to_le_bytes());
        body[40..44].copy_from_slice(&self.extra.to_le_bytes());
        body[48..56].copy_from_slice(&self.flags.to_le_bytes());
        body
    }

    fn legacy(&self) -> [u8; 60] {
        let mut req = [0; 60];
        req[..15].copy_from_slice(&self.name[..15]);
        req[16..20].copy_from_slice(&14u32.to_le_bytes());
        req[40..42].copy_from_slice(&self.ringid.to_le_bytes());
        req[46..48].copy_from_slice(&self.mem_id.to_le_bytes());
        req[48..52].copy_from_slice(&self.extra.to_le_bytes());
        req[52..56].copy_from_slice(&((self.flags as u32 & !15) | (self.mode & 15)).to_le_bytes());
        req
    }
}

/// A header with its name, options and body.
fn header(reqtype: u16, name: &[u8; 64], options: usize, body: usize) {
    uaccess::poke(HEADER, &14u16.to_le_bytes());
    uaccess::poke(HEADER + 2, &reqtype.to_le_bytes());
    uaccess::poke(HEADER + 4, &[0; 4]);
    uaccess::poke(HEADER + 8, name);
    uaccess::poke(HEADER + 72, &(options as u64).to_le_bytes());
    uaccess::poke(HEADER + 80, &(body as u64).to_le_bytes());
}

/// A list of options, and where in the program's memory it asks for a region.
fn options(b: &mut Bytes<'_>, rings: usize) -> (usize, Option<usize>) {
    let count = [0, 0, 0, 0, 1, 1, 2, 3][b.below(8)];
    let (mut at, mut own) = (OPTIONS, None);
    for i in 0..count {
        let kind = b.one_of(&[
            opttype::CSB,
            opttype::OFFSETS,
            opttype::RX_META,
            opttype::EXTMEM,
            opttype::SYNC_KLOOP_EVENTFDS,
            opttype::SYNC_KLOOP_MODE,
            0,
            6,
            77,
        ]);
        let mut body = match kind {
            opttype::CSB => [CSB as u64, KTOA as u64].map(u64::to_le_bytes).concat(),
            opttype::OFFSETS => {
                let (max, initial) = (u64::from(b.u16()), u64::from(b.u16()));
                let bits = u64::from(b.u8());
                [max, initial, bits, 0].map(u64::to_le_bytes).concat()
            }
            opttype::EXTMEM => {
                let page = b.below(16);
                own = Some(page * mem::PAGE);
                let size = (b.below(256) + 64) * 4 * mem::PAGE;
                let mut body = vec![0; 72];
                let usr = mem::EXT_BASE + (page * mem::PAGE) as u64;
                body[..8].copy_from_slice(&usr.to_le_bytes());
                body[8..16].copy_from_slice(&(size as u64).to_le_bytes());
                for field in [32, 36, 48, 52, 64, 68] {
                    if b.u8() & 3 == 3 {
                        body[field..field + 4].copy_from_slice(&b.odd_u32().to_le_bytes());
                    }
                }
                body
            }
            opttype::SYNC_KLOOP_EVENTFDS => (0..2 * rings)
                .flat_map(|_| (99 + i32::from(b.u8() & 3)).to_le_bytes())
                .collect(),
            opttype::SYNC_KLOOP_MODE => [b.u8() & 3, 0, 0, 0, 0, 0, 0, 0].to_vec(),
            _ => vec![0; 16],
        };
        if b.u8() == 0xff && !body.is_empty() {
            let at = b.below(body.len());
            body[at] = b.u8();
        }
        let next = (at + 24 + body.len() + 7) & !7;
        let more = i + 1 < count;
        uaccess::poke(at, &(if more { next as u64 } else { 0 }).to_le_bytes());
        uaccess::poke(at + 8, &kind.to_le_bytes());
        uaccess::poke(at + 12, &[0; 4]);
        uaccess::poke(at + 16, &((24 + body.len()) as u64).to_le_bytes());
        uaccess::poke(at + 24, &body);
        at = next;
    }
    (if count == 0 { 0 } else { OPTIONS }, own)
}

impl Fd {
    /// The file is registered: where things are, as the answer says.
    fn registered(&mut self, nif: usize, own: Option<usize>) {
        self.nif = nif;
        self.view = view(&mut self.file, own);
        self.look();
    }
}

impl World {
    /// REGISTER, in either family.
    pub(super) fn register(&mut self, b: &mut Bytes<'_>) {
        let ask = Ask::any(b);
        let legacy = b.u8() & 3 == 0;
        let body = ask.body(b);
        let Some(fd) = self.fd(b) else {
            return;
        };
        if legacy {
            uaccess::poke(BODY, &ask.legacy());
            if fd.file.ioctl(NIOCREGIF, BODY) == 0 {
                let nif = uaccess::peek(BODY + 20, 4);
                fd.registered(u32::from_le_bytes(nif.try_into().unwrap()) as usize, None);
            }
            return;
        }
        let (at, own) = options(b, 2);
        header(reqtype::REGISTER, &ask.name, at, BODY);
        uaccess::poke(BODY, &body);
        if fd.file.ioctl(NIOCCTRL, HEADER) == 0 {
            let nif = uaccess::peek(BODY, 8);
            fd.registered(u64::from_le_bytes(nif.try_into().unwrap()) as usize, own);
        }
    }

    /// Any other request of NIOCCTRL, but a loop, which is a step of its own.
    pub(super) fn control(&mut self, b: &mut Bytes<'_>) {
        let mut kind = u16::from(b.u8() & 15);
        if kind == reqtype::SYNC_KLOOP_START || kind == reqtype::REGISTER {
            kind = reqtype::CSB_ENABLE;
        }
        let ask = Ask::any(b);
        let size = crate::uapi::ctrl::body_size(kind).unwrap_or(8);
        let Some(fd) = self.fd(b) else {
            return;
        };
        let (at, _) = options(b, 1);
        let bytes = b.take(size).to_vec();
        header(kind, &ask.name, at, if size == 0 { 0 } else { BODY });
        uaccess::poke(BODY, &bytes);
        if b.u8() == 0xff {
            let odd = b.odd_u64();
            uaccess::poke(HEADER + 72 + 8 * b.below(2), &odd.to_le_bytes());
        }
        fd.file.ioctl(NIOCCTRL, HEADER);
    }

    /// A kernel loop, which a signal ends.
    pub(super) fn kernel_loop(&mut self, b: &mut Bytes<'_>) {
        let rounds = 1 + b.below(6) as i64;
        let sleep = b.odd_u32();
        let rings = b.below(4);
        let Some(fd) = self.fd(b) else {
            return;
        };
        let (at, _) = options(b, rings);
        header(reqtype::SYNC_KLOOP_START, &[0; 64], at, BODY);
        uaccess::poke(BODY, &u64::from(sleep).to_le_bytes());
        tasks::signal_after(rounds);
        let ret = fd.file.ioctl(NIOCCTRL, HEADER);
        tasks::signal_after(-1);
        assert!(ret != 0, "a loop that nobody stopped has ended");
    }

    /// Any ioctl with anything.
    pub(super) fn any_ioctl(&mut self, b: &mut Bytes<'_>) {
        let cmd = match b.below(12) {
            0 => b.u32(),
            1 => NIOCCONFIG,
            2 | 3 => NIOCGINFO,
            4 | 5 => NIOCREGIF,
            6 => NIOCRXSYNC,
            7 => NIOCTXSYNC,
            8 => ext::NIOCQNEXT,
            _ => NIOCCTRL,
        };
        let arg = match b.u8() & 7 {
            0 => b.u64() as usize,
            1 => BASE + (1 << 16) - b.below(64),
            _ => HEADER,
        };
        let len = b.below(128);
        let bytes = b.take(len).to_vec();
        let Some(fd) = self.fd(b) else {
            return;
        };
        uaccess::poke(HEADER, &bytes);
        // Should it be a loop after all.
        tasks::signal_after(2);
        fd.file.ioctl(cmd, arg);
        tasks::signal_after(-1);
    }

    /// A queue more, or less.
    pub(super) fn queue(&mut self, b: &mut Bytes<'_>) {
        let cmd = if b.flip() {
            ext::NIOCQADD
        } else {
            ext::NIOCQDEL
        };
        let queue = if b.u8() == 0xff {
            b.u32()
        } else {
            u32::from(b.u8() & 3)
        };
        let Some(fd) = self.fd(b) else {
            return;
        };
        let mut req = [0; size_of::<ext::QueueReq>()];
        req[..4].copy_from_slice(&ext::EXT_VERSION.to_le_bytes());
        req[4..8].copy_from_slice(&queue.to_le_bytes());
        uaccess::poke(BODY, &req);
        if fd.file.ioctl(cmd, BODY) == 0 {
            fd.look();
        }
    }

    /// What debugfs shows.
    fn show(&self) {
        let mut out = kernel::bindings::seq_file::default();
        // SAFETY: Valid, and used by nobody else.
        let ret = unsafe {
            (
                crate::ffi::nm_rs_show_rings(&mut out),
                crate::ffi::nm_rs_show_regions(&mut out),
            )
        };
        assert!([0, -12].contains(&ret.0) && [0, -12].contains(&ret.1));
    }

    /// The listing, to its end.
    pub(super) fn list(&mut self, b: &mut Bytes<'_>) {
        self.show();
        let seen = b.odd_u32();
        let Some(fd) = self.fd(b) else {
            return;
        };
        let mut req = vec![0; size_of::<ext::QueueInfo>()];
        req[..4].copy_from_slice(&ext::EXT_VERSION.to_le_bytes());
        req[4..8].copy_from_slice(&(seen & 7).to_le_bytes());
        req[8..12].copy_from_slice(&((seen >> 3) & 15).to_le_bytes());
        req[12..16].copy_from_slice(&(seen >> 7).to_le_bytes());
        uaccess::poke(BODY, &req);
        let mut left = 10_000;
        while fd.file.ioctl(ext::NIOCQNEXT, BODY) == 0 {
            left -= 1;
            assert!(left > 0, "a listing without end");
        }
    }
}
const _: () = assert!(opt::HEADER_SIZE == 24);
