// SPDX-License-Identifier: GPL-2.0
//! What a scene registers, and where everything in it is.

use super::scene::{Part, Scene, With};
use crate::abi::*;
use crate::check::Errno;
use crate::csb::{csb_option, Csb};
use crate::fd::{header, Fd};
use crate::mem::{Mem, Nif, Ring};
use anyhow::{bail, Context, Result};
use std::sync::Arc;

/// The ports of a run.
pub struct Place<'a> {
    pub first: &'a str,
    pub second: &'a str,
    pub queue: u32,
}

/// A registered file with its rings.
pub struct Target {
    pub nif: Nif,
    pub mem: Arc<Mem>,
    pub rings: Vec<Ring>,
    pub csb: Option<Csb>,
    /// Bytes from an RX ring to its metadata; 0: none.
    pub meta: usize,
    /// Indices of buffers the program was given.
    pub bufs: Vec<u32>,
    pub reg: Register,
    // last: own memory is unmapped after it
    pub fd: Fd,
}

const OWN: usize = 24 << 20;

/// Registers all parts of a scene.
pub fn targets(scene: &Scene, place: &Place<'_>) -> Result<Vec<Target>> {
    let mut all = scene
        .parts
        .iter()
        .map(|p| target(p, place))
        .collect::<Result<Vec<_>>>()?;
    if scene.joins {
        // Where the rings of queues that join will be: the first objects are taken again.
        for q in place.queue..place.queue + 3 {
            all[0]
                .fd
                .qadd(q)
                .with_context(|| format!("add queue {q}"))?;
        }
        all[0].rings = rings(&all[0].nif);
        all[0].bufs = bufs(&all[0]);
    }
    Ok(all)
}

fn target(part: &Part, place: &Place<'_>) -> Result<Target> {
    let name = if part.second {
        place.second
    } else {
        place.first
    };
    let ringid = match part.mode {
        ONE_NIC => place.queue + part.ring,
        _ => part.ring,
    };
    let fd = Fd::open().context("open /dev/netmap")?;
    let mut reg = Register {
        mode: part.mode,
        ringid: ringid as u16,
        flags: part.flags,
        extra_bufs: part.extra,
        host_tx_rings: part.hosts,
        host_rx_rings: part.hosts,
        ..Register::default()
    };
    let csb = match part.options.contains(&With::Csb) {
        true => Some(Csb::new()?),
        false => None,
    };
    let own = match part
        .options
        .iter()
        .find(|w| matches!(w, With::OwnMemory(_)))
    {
        Some(_) => Some(anonymous(OWN)?),
        None => None,
    };
    let mut offsets = OffsetsOpt {
        max: 512,
        initial: 64,
        ..OffsetsOpt::default()
    };
    offsets.opt.reqtype = OPT_OFFSETS;
    let mut meta = OptRxMeta::default();
    (meta.opt.reqtype, meta.opt.size) = (OPT_RX_META, 40);
    let mut extmem = Extmem {
        reqtype: OPT_EXTMEM,
        usrptr: own.as_ref().map_or(0, |m| m.base() as u64),
        ..Extmem::default()
    };
    extmem.info.memsize = OWN as u64;
    let mut csb_opt = csb.as_ref().map_or(csb_option(0, 0), Csb::option);
    // Each option stands before those added so far.
    let mut first = 0;
    for with in part.options {
        first = match with {
            With::Offsets => {
                offsets.opt.next = first;
                &raw mut offsets as u64
            }
            With::Meta => {
                meta.opt.next = first;
                &raw mut meta as u64
            }
            With::Csb => {
                csb_opt.opt.next = first;
                &raw mut csb_opt as u64
            }
            With::OwnMemory(size) => {
                extmem.info.buf_size = *size;
                extmem.next = first;
                &raw mut extmem as u64
            }
        };
    }
    let mut hdr = header(name, REQ_REGISTER);
    hdr.options = first;
    hdr.body = &raw mut reg as u64;
    fd.ctrl(&mut hdr)
        .with_context(|| format!("register {name}, mode {}, ring {ringid}", part.mode))?;
    let mem = Arc::new(match own {
        Some(mem) => mem,
        None => fd
            .mmap(reg.memsize as usize, 0, libc::MAP_SHARED)
            .context("mmap")?,
    });
    let nif = Nif::new(mem.clone(), reg.offset as usize);
    let mut target = Target {
        rings: rings(&nif),
        meta: meta.ofs as usize,
        bufs: Vec::new(),
        nif,
        mem,
        csb,
        reg,
        fd,
    };
    target.bufs = bufs(&target);
    Ok(target)
}

/// All bound rings.
pub fn rings(nif: &Nif) -> Vec<Ring> {
    let mut all: Vec<Ring> = Vec::new();
    all.extend((0..nif.tx_rings()).filter_map(|k| nif.tx(k as u32)));
    all.extend((0..nif.host_tx()).filter_map(|k| nif.host_tx_at(k)));
    all.extend((0..nif.rx_rings()).filter_map(|k| nif.rx(k as u32)));
    all.extend((0..nif.host_rx()).filter_map(|k| nif.host_rx_at(k)));
    all
}

/// Buffers that slots name, and extra ones.
fn bufs(t: &Target) -> Vec<u32> {
    let mut all: Vec<u32> = Vec::new();
    for ring in &t.rings {
        all.extend((0..ring.n).map(|i| ring.slot(i).idx));
    }
    let mut next = t.nif.bufs_head();
    for _ in 0..t.reg.extra_bufs {
        all.push(next);
        if let Some(ring) = t.rings.first() {
            next = t.mem.get(ring.buf_off(next));
        }
    }
    all.retain(|i| *i != 0);
    all
}

/// Memory of this process that the kernel may use as a region.
pub fn anonymous(len: usize) -> Result<Mem> {
    let (prot, flags) = (
        libc::PROT_READ | libc::PROT_WRITE,
        libc::MAP_SHARED | libc::MAP_ANONYMOUS,
    );
    // SAFETY: new memory at an address the kernel picks.
    let p = unsafe { libc::mmap(std::ptr::null_mut(), len, prot, flags, -1, 0) };
    if p == libc::MAP_FAILED {
        bail!("mmap: {}", Errno::last());
    }
    // SAFETY: just mapped, given to nobody else.
    Ok(unsafe { Mem::new(p.cast(), len) })
}
