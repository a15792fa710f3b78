// SPDX-License-Identifier: GPL-2.0
//! The smallest XDP program that gives a queue's packets to an AF_XDP socket.
//!
//! Made by plain bpf() calls: six instructions, a map of sockets, and a link in
//! driver mode.  No loader library, no dispatcher: the least that AF_XDP can cost.

use crate::sys::check;
use anyhow::Result;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

const MAP_CREATE: i64 = 0;
const MAP_UPDATE_ELEM: i64 = 2;
const PROG_LOAD: i64 = 5;
const LINK_CREATE: i64 = 28;

const MAP_TYPE_XSKMAP: u32 = 17;
const PROG_TYPE_XDP: u32 = 6;
const ATTACH_TYPE_XDP: u32 = 37;
const FLAGS_DRV_MODE: u32 = 1 << 2;

/// `union bpf_attr` as words: every call here uses fewer than 16 of them.
type Attr = [u64; 16];

/// One call of bpf(); `attr` is the start of `union bpf_attr`.
fn bpf(what: &str, command: i64, attr: &Attr) -> Result<i64> {
    // SAFETY: `attr` is readable for the size given, and the addresses in it are the
    // callers' arrays, which live over the call.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, attr.as_ptr(), size_of::<Attr>()) };
    check(&format!("bpf({what})"), result)
}

fn bpf_fd(what: &str, command: i64, attr: &Attr) -> Result<OwnedFd> {
    let fd = bpf(what, command, attr)?;
    // SAFETY: a descriptor that was just made and belongs to nobody else.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

/// Two 32-bit fields of the attribute, in memory order.
fn pair(low: u32, high: u32) -> u64 {
    u64::from(low) | (u64::from(high) << 32)
}

/// One instruction: opcode, destination and source register, offset, immediate.
fn insn(op: u8, dst: u8, src: u8, off: i16, imm: u32) -> u64 {
    u64::from(op)
        | (u64::from(dst | (src << 4)) << 8)
        | (u64::from(off as u16) << 16)
        | (u64::from(imm) << 32)
}

/// The program on its interface, with its map; both go away with this value.
pub struct Redirect {
    map: OwnedFd,
    _link: OwnedFd,
}

impl Redirect {
    /// Load the program and attach it to interface `ifindex` in driver mode.
    pub fn attach(ifindex: u32) -> Result<Self> {
        let mut attr = Attr::default();
        attr[0] = pair(MAP_TYPE_XSKMAP, 4);
        attr[1] = pair(4, 64);
        let map = bpf_fd("map of sockets", MAP_CREATE, &attr)?;

        let program = [
            insn(0x61, 2, 1, 16, 0),                     // r2 = context->rx_queue_index
            insn(0x18, 1, 1, 0, map.as_raw_fd() as u32), // r1 = map
            0,                                           // second half of the above
            insn(0xb7, 3, 0, 0, 2), // r3 = XDP_PASS, for a queue without socket
            insn(0x85, 0, 0, 0, 51), // r0 = bpf_redirect_map(r1, r2, r3)
            insn(0x95, 0, 0, 0, 0), // exit
        ];
        let mut attr = Attr::default();
        attr[0] = pair(PROG_TYPE_XDP, program.len() as u32);
        attr[1] = program.as_ptr().expose_provenance() as u64;
        attr[2] = c"GPL".as_ptr().expose_provenance() as u64;
        let loaded = bpf_fd("load the XDP program", PROG_LOAD, &attr)?;

        let mut attr = Attr::default();
        attr[0] = pair(loaded.as_raw_fd() as u32, ifindex);
        attr[1] = pair(ATTACH_TYPE_XDP, FLAGS_DRV_MODE);
        let link = bpf_fd("attach in driver mode", LINK_CREATE, &attr)?;
        Ok(Redirect { map, _link: link })
    }

    /// Packets of `queue` go to `socket`.
    pub fn set(&self, queue: u32, socket: &impl AsRawFd) -> Result<()> {
        let value = socket.as_raw_fd();
        let mut attr = Attr::default();
        attr[0] = pair(self.map.as_raw_fd() as u32, 0);
        attr[1] = std::ptr::from_ref(&queue).expose_provenance() as u64;
        attr[2] = std::ptr::from_ref(&value).expose_provenance() as u64;
        bpf("put the socket into the map", MAP_UPDATE_ELEM, &attr)?;
        Ok(())
    }
}
