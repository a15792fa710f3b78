// SPDX-License-Identifier: GPL-2.0
//! A look at the ring of another program of the same user.
//!
//! Programs of one user share a region of memory, so a file that binds no ring can
//! map the rings of the others.  The bench sees there, without a system call, how far
//! nm_offload has come: its `head` moves when it has done with a batch.

use crate::nic::Nic;
use crate::sys::{check, Mapping};
use anyhow::{bail, Context, Result};
use netmap::abi;
use netmap::Port;
use std::mem::offset_of;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;

/// Objects looked at; rings are allocated from the first on.
const OBJECTS: usize = 16;

/// The region with the ring, which stays as long as this value.
pub struct Peek {
    map: Mapping,
    ring: usize,
    slots: u32,
    _port: Port,
}

// SAFETY: the port is only kept open, never used; the mapping may be used anywhere.
unsafe impl Sync for Peek {}

impl Peek {
    /// Find the one RX ring of queue 0 in our user's region.
    pub fn new(nic: &Nic) -> Result<Self> {
        let port = Port::open(&format!("netmap:{}~", nic.name))?;
        let pools = pools(&port, &nic.name)?;
        let map = Mapping::lazy(&port, pools.nr_memsize as usize).context("map the region")?;
        let mut found = Vec::new();
        for object in 0..OBJECTS {
            let at =
                pools.nr_ring_pool_offset as usize + object * pools.nr_ring_pool_objsize as usize;
            if let Some([slots, ring_and_dir]) = header(&map, at)? {
                if ring_and_dir == 0 && slots > 0 {
                    found.push((at, slots));
                }
            }
        }
        match found[..] {
            [(ring, slots)] => Ok(Peek {
                map,
                ring,
                slots,
                _port: port,
            }),
            _ => bail!("{} RX rings in the region, 1 expected", found.len()),
        }
    }

    /// Where the ring's `head` is.
    pub fn head(&self) -> *const u32 {
        let at = self.ring + offset_of!(abi::netmap_ring, head);
        self.map.at(at, 4).cast_const().cast()
    }

    /// The value of `head` now.
    pub fn position(&self) -> u32 {
        // SAFETY: an aligned word of a ring that was found readable.
        unsafe { self.head().read_volatile() }
    }

    /// The slot `count` after `from`.
    pub fn advance(&self, from: u32, count: u32) -> u32 {
        (from + count) % self.slots
    }
}

/// Number of slots, and ring number and direction in one word, of the ring at `at`;
/// `None` when there is no memory.
fn header(map: &Mapping, at: usize) -> Result<Option<[u32; 2]>> {
    const LEN: usize = 32;
    let address = map.at(at, LEN);
    // The kernel tries first, by copying it into a pipe: a load of ours would be fatal.
    let (_reader, writer) = UnixStream::pair().context("socket pair")?;
    // SAFETY: the kernel answers EFAULT when the memory is not there.
    let count = unsafe { libc::write(writer.as_raw_fd(), address.cast(), LEN) };
    if count < 0 {
        return Ok(None);
    }
    let word = |offset: usize| {
        // SAFETY: aligned, and inside a page that has just been read.
        unsafe { address.add(offset).cast::<u32>().read_volatile() }
    };
    Ok(Some([
        word(offset_of!(abi::netmap_ring, num_slots)),
        word(offset_of!(abi::netmap_ring, ringid)),
    ]))
}

/// Where the pools of the region are.
fn pools(port: &Port, name: &str) -> Result<abi::nmreq_pools_info> {
    let mut body = abi::nmreq_pools_info::default();
    let mut header = abi::nmreq_header {
        nr_version: abi::NETMAP_API,
        nr_reqtype: abi::NETMAP_REQ_POOLS_INFO_GET,
        nr_reserved: 0,
        nr_name: [0; abi::NETMAP_REQ_IFNAMSIZ],
        nr_options: 0,
        nr_body: std::ptr::from_mut(&mut body).expose_provenance() as u64,
    };
    for (to, from) in header.nr_name.iter_mut().zip(name.bytes()) {
        *to = from;
    }
    // SAFETY: the header NIOCCTRL takes, with the body of its request type.
    let result = unsafe { libc::ioctl(port.as_raw_fd(), abi::NIOCCTRL.into(), &mut header) };
    check("NETMAP_REQ_POOLS_INFO_GET", result.into())?;
    Ok(body)
}
