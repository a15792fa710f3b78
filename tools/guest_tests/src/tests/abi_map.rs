// SPDX-License-Identifier: GPL-2.0
//! mmap() and what is seen in the mapping right after a registration (API 14,
//! mmap and layouts).

use super::tests;
use crate::abi::*;
use crate::check::*;
use crate::fd::{one_rx, Fd};
use crate::port::{rx_info, Port, Q, Q2};
use crate::steer::{ifname, num_queues, Rss};
use anyhow::Result;
use std::collections::BTreeSet;

tests! { "abi":
    mmap_unregistered_gives_einval,
    mmap_of_memsize_works_and_beyond_gives_einval,
    mmap_at_offset_beyond_memsize_gives_einval,
    mmap_private_is_accepted,
    mmap_pins_the_registration_after_close,
    mmap_outlives_close_and_stays_readable,
    netmap_if_tells_name_rings_and_host_rings,
    ring_offsets_are_zero_where_not_bound,
    ring_header_holds_its_constants,
    ring_starts_empty_with_one_buffer_per_slot,
    ring_buffers_are_zeroed_before_they_are_seen,
    two_fds_of_one_user_share_the_region_by_default,
}

/// not registered -> EINVAL.
fn mmap_unregistered_gives_einval() -> Result<()> {
    want_errno(
        "mmap",
        Fd::open()?.mmap(4096, 0, libc::MAP_SHARED),
        libc::EINVAL,
    )
}

/// beyond memsize -> EINVAL.
fn mmap_of_memsize_works_and_beyond_gives_einval() -> Result<()> {
    let port = Port::rx(Q)?;
    let size = port.reg.memsize as usize;
    want_ok("all of it", port.fd.mmap(size, 0, libc::MAP_SHARED))?;
    want_ok("its beginning", port.fd.mmap(4096, 0, libc::MAP_SHARED))?;
    want_errno(
        "a page more",
        port.fd.mmap(size + 4096, 0, libc::MAP_SHARED),
        libc::EINVAL,
    )?;
    want_errno(
        "twice as much",
        port.fd.mmap(2 * size, 0, libc::MAP_SHARED),
        libc::EINVAL,
    )
}

/// the offset counts as well; also where offset + length wraps.
fn mmap_at_offset_beyond_memsize_gives_einval() -> Result<()> {
    let port = Port::rx(Q)?;
    let size = port.reg.memsize as i64;
    for off in [size, size + 4096, 1 << 40, i64::MAX & !0xfff] {
        want_some_errno(
            &format!("offset {off:#x}"),
            port.fd.mmap(4096, off, libc::MAP_SHARED),
        )?;
    }
    want_errno(
        "one page behind the end",
        port.fd.mmap(4096, size, libc::MAP_SHARED),
        libc::EINVAL,
    )
}

/// MAP_PRIVATE is accepted.
fn mmap_private_is_accepted() -> Result<()> {
    let port = Port::rx(Q)?;
    let mem = want_ok(
        "MAP_PRIVATE",
        port.fd
            .mmap(port.reg.memsize as usize, 0, libc::MAP_PRIVATE),
    )?;
    want_eq(
        "RX rings through it",
        mem.get::<u32>(port.nif.off + shm::IF_RX_RINGS),
        port.nif.rx_rings() as u32,
    )
}

/// registration ends with munmap or exit, not with close().
fn mmap_pins_the_registration_after_close() -> Result<()> {
    let port = Port::rx(Q)?;
    let mem = port.mem.clone();
    drop(port);
    want_eq(
        "state while mapped",
        rx_info(&Fd::open()?, Q)?.state,
        Q_NETMAP,
    )?;
    let alone = Register {
        flags: RX_ONLY | EXCLUSIVE,
        ..one_rx(Q)
    };
    want_errno("another fd", Port::open(&ifname(), alone), libc::EBUSY)?;
    drop(mem);
    want_eq(
        "state after munmap",
        rx_info(&Fd::open()?, Q)?.state,
        Q_KERNEL,
    )
}

/// The mapping outlives the descriptor: no fault, no foreign memory.
fn mmap_outlives_close_and_stays_readable() -> Result<()> {
    let Port { nif, mem, fd, .. } = Port::rx(Q)?;
    let ring = nif.rx(Q);
    drop(fd);
    let ring = ring.expect("bound");
    for i in 0..ring.n {
        let s = ring.slot(i);
        ring.mem.get::<u8>(ring.buf_off(s.idx));
    }
    want_eq(
        "slots",
        mem.get::<u32>(ring.off + shm::RING_NUM_SLOTS),
        ring.n,
    )
}

/// the netmap_if.
fn netmap_if_tells_name_rings_and_host_rings() -> Result<()> {
    let port = Port::rx(Q)?;
    let mut name = [0; 16];
    port.mem.copy_out(port.nif.off, &mut name);
    want_eq("ni_name", field_name(&name), ifname())?;
    want_eq("RX rings", port.nif.rx_rings(), port.reg.rx_rings.into())?;
    want_eq("TX rings", port.nif.tx_rings(), port.reg.tx_rings.into())?;
    want_eq(
        "host rings, bound or not",
        (port.nif.host_tx(), port.nif.host_rx()),
        (1, 1),
    )?;
    want_eq("no extra buffers", port.nif.bufs_head(), 0)
}

/// ring_ofs = 0 for rings not bound to this fd.
fn ring_offsets_are_zero_where_not_bound() -> Result<()> {
    let n = num_queues("rx-")? as usize;
    let _other = Port::rx(Q2)?;
    let port = Port::rx_putback(Q)?;
    let host_tx = port.nif.tx_rings();
    let bound = [host_tx, port.nif.rx_place(Q)];
    for k in 0..host_tx + 1 + n + 1 {
        let is_bound = port.nif.ring_ofs(k) != 0;
        want_eq(
            &format!("ring_ofs[{k}] is not 0"),
            is_bound,
            bound.contains(&k),
        )?;
    }
    Ok(())
}

/// num_slots, nr_buf_size, ringid, dir, buf_ofs.
fn ring_header_holds_its_constants() -> Result<()> {
    let port = Port::rx_putback(Q)?;
    let (rx, host) = (port.ring(Q)?, port.host()?);
    want_eq("slots", rx.n, port.reg.rx_slots)?;
    want_eq(
        "ringid of the RX ring",
        u32::from(port.mem.get::<u16>(rx.off + shm::RING_ID)),
        Q,
    )?;
    want_eq(
        "dir of an RX ring",
        port.mem.get::<u16>(rx.off + shm::RING_DIR),
        0,
    )?;
    want_eq(
        "dir of a TX ring",
        port.mem.get::<u16>(host.off + shm::RING_DIR),
        1,
    )?;
    want_eq("alignment of the ring", rx.off % 128, 0)?;
    want("buffers behind the rings", rx.buf_ofs > 0)?;
    want("a buffer holds a full frame", rx.buf_size >= 1518)?;
    want_eq(
        "both rings see the same buffers",
        rx.buf_off(2),
        host.buf_off(2),
    )
}

/// RX head=cur=tail=0; one valid buffer per slot, none twice.
fn ring_starts_empty_with_one_buffer_per_slot() -> Result<()> {
    let _quiet = Rss::without(&[Q])?;
    let port = Port::rx_putback(Q)?;
    let (rx, host) = (port.ring(Q)?, port.host()?);
    want_eq("RX head, cur, tail", rx.pointers(), (0, 0, 0))?;
    want_eq(
        "host TX head, cur, tail",
        host.pointers(),
        (0, 0, host.n - 1),
    )?;
    let mut seen = BTreeSet::new();
    for r in [&rx, &host] {
        for i in 0..r.n {
            let s = r.slot(i);
            want("index is neither 0 nor 1", s.idx >= 2)?;
            want(
                &format!("buffer {} is in one slot only", s.idx),
                seen.insert(s.idx),
            )?;
            want_eq("slot flags", s.flags, 0)?;
        }
    }
    Ok(())
}

/// Nothing of the kernel or of a former owner is in the buffers.
fn ring_buffers_are_zeroed_before_they_are_seen() -> Result<()> {
    let _quiet = Rss::without(&[Q])?;
    let port = Port::rx(Q)?;
    let ring = port.ring(Q)?;
    let mut buf = vec![0; ring.buf_size as usize];
    for i in 0..ring.n {
        port.mem.copy_out(ring.buf_off(ring.slot(i).idx), &mut buf);
        want(
            &format!("buffer of slot {i} is all zero"),
            buf.iter().all(|b| *b == 0),
        )?;
    }
    Ok(())
}

/// two ports of the same user share one region (zero copy by swapping).
fn two_fds_of_one_user_share_the_region_by_default() -> Result<()> {
    let a = Port::rx(Q)?;
    let b = Port::open(&ifname(), one_rx(Q2))?;
    want_eq("mem_id", a.reg.mem_id, b.reg.mem_id)?;
    want_eq("memsize", a.reg.memsize, b.reg.memsize)?;
    let (ra, rb) = (a.ring(Q)?, b.ring(Q2)?);
    let off = ra.buf_off(ra.slot(0).idx);
    a.mem.set(off, 0xa5u8);
    want_eq(
        "a byte written through one mapping, read through the other",
        b.mem.get::<u8>(off),
        0xa5,
    )?;
    let mine: BTreeSet<u32> = (0..ra.n).map(|i| ra.slot(i).idx).collect();
    want(
        "no buffer is in both rings",
        (0..rb.n).all(|i| !mine.contains(&rb.slot(i).idx)),
    )
}
