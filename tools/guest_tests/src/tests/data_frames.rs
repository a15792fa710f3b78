// SPDX-License-Identifier: GPL-2.0
//! Frames from the wire to the ring: the right bytes, in order, at every size,
//! with the slot fields a program relies on.

use super::tests;
use crate::abi::*;
use crate::check::*;
use crate::frame::{tagged, udp, udp_sized};
use crate::nic::Nic;
use crate::port::{Lane, DPORT, DPORT2, Q};
use crate::setup::eventually;
use crate::steer::{Feature, Mtu};
use anyhow::Result;
use std::time::Duration;

tests! { "data":
    frames_of_60_bytes_arrive_in_order_with_the_right_bytes,
    frames_of_1514_bytes_arrive_in_order_with_the_right_bytes,
    frames_of_every_size_around_the_limits_arrive_whole,
    jumbo_frames_arrive_in_chained_slots_with_the_right_bytes | flaps,
    jumbo_slots_have_morefrag_on_all_but_the_last | flaps,
    vlan_tagged_frames_arrive_with_the_tag,
    steered_frames_do_not_reach_the_kernel_and_others_do,
    slot_fields_after_reception,
}

const SOON: Duration = Duration::from_secs(10);

fn arrive_in_order(size: usize, count: u32) -> Result<()> {
    let lane = Lane::open()?;
    let nic = Nic::open()?;
    for first in (0..count).step_by(50) {
        let last = count.min(first + 50);
        for seq in first..last {
            nic.send(&udp_sized(DPORT, seq, size))?;
        }
        let got = lane.recv((last - first) as usize, SOON)?;
        want_eq("frames received", got.len() as u32, last - first)?;
        for (seq, f) in (first..last).zip(&got) {
            want_eq(
                &format!("frame {seq} of {size} bytes"),
                f,
                &udp_sized(DPORT, seq, size),
            )?;
        }
    }
    Ok(())
}

fn frames_of_60_bytes_arrive_in_order_with_the_right_bytes() -> Result<()> {
    arrive_in_order(60, 500)
}

fn frames_of_1514_bytes_arrive_in_order_with_the_right_bytes() -> Result<()> {
    arrive_in_order(1514, 200)
}

fn frames_of_every_size_around_the_limits_arrive_whole() -> Result<()> {
    let lane = Lane::open()?;
    let nic = Nic::open()?;
    let sizes: Vec<usize> = (60..70)
        .chain(124..132)
        .chain(252..260)
        .chain(1500..=1514)
        .collect();
    for (seq, size) in sizes.into_iter().enumerate() {
        let frame = udp_sized(DPORT, seq as u32, size);
        nic.send(&frame)?;
        want_eq(
            &format!("frame of {size} bytes"),
            lane.recv(1, SOON)?,
            vec![frame],
        )?;
    }
    Ok(())
}

fn jumbo_frames_arrive_in_chained_slots_with_the_right_bytes() -> Result<()> {
    let _mtu = Mtu::set(9000)?;
    let lane = Lane::open()?;
    let nic = Nic::open()?;
    for (seq, size) in [1515, 2047, 2048, 2049, 4096, 6144, 8192, 9000, 9014, 60]
        .into_iter()
        .enumerate()
    {
        let frame = udp_sized(DPORT, seq as u32, size);
        nic.send(&frame)?;
        want_eq(
            &format!("frame of {size} bytes"),
            lane.recv(1, SOON)?,
            vec![frame],
        )?;
    }
    Ok(())
}

fn jumbo_slots_have_morefrag_on_all_but_the_last() -> Result<()> {
    let _mtu = Mtu::set(9000)?;
    let lane = Lane::open()?;
    let nic = Nic::open()?;
    let ring = lane.ring()?;
    let size = 9014;
    nic.send(&udp_sized(DPORT, 0, size))?;
    let slots = (size as u32).div_ceil(ring.buf_size);
    eventually("the frame is in the ring", SOON, || {
        lane.port.fd.rxsync()?;
        Ok(ring.space() > 0)
    })?;
    want_eq("published whole: slots", ring.space(), slots)?;
    let mut i = ring.head();
    for part in 1..=slots {
        let s = ring.slot(i);
        let last = part == slots;
        want_eq(
            &format!("NS_MOREFRAG on slot {part} of {slots}"),
            s.flags & NS_MOREFRAG != 0,
            !last,
        )?;
        let len = if last {
            size as u32 - (slots - 1) * ring.buf_size
        } else {
            ring.buf_size
        };
        want_eq(&format!("length of slot {part}"), u32::from(s.len), len)?;
        i = ring.next(i);
    }
    let fragments = lane.port.info(Q)?.counter[counter::FRAGMENTS];
    want_eq(
        "slots with NS_MOREFRAG counted",
        fragments,
        u64::from(slots) - 1,
    )?;
    want_eq(
        "packets counted",
        lane.port.info(Q)?.counter[counter::PACKETS],
        1,
    )
}

/// The kernel strips tags on its queues; a netmap queue shows the wire.
fn vlan_tagged_frames_arrive_with_the_tag() -> Result<()> {
    let _unfiltered = Feature::off("rx-vlan-filter")?;
    let lane = Lane::open()?;
    let nic = Nic::open()?;
    let ring = lane.ring()?;
    for (seq, tci) in [0x0000u16, 0x2005, 0xefff].into_iter().enumerate() {
        let frame = tagged(&udp_sized(DPORT, seq as u32, 200), tci);
        nic.send(&frame)?;
        eventually(
            &format!("the frame with TCI {tci:#x} is in the ring"),
            SOON,
            || {
                lane.port.fd.rxsync()?;
                Ok(ring.space() > 0)
            },
        )?;
        want_eq(
            &format!("frame with TCI {tci:#x}"),
            ring.take(),
            vec![frame],
        )?;
    }
    Ok(())
}

fn steered_frames_do_not_reach_the_kernel_and_others_do() -> Result<()> {
    let lane = Lane::open()?;
    let nic = Nic::open()?;
    let steered = crate::sock::bind(DPORT)?;
    let other = crate::sock::bind(DPORT2)?;
    nic.send(&udp(40000, DPORT, b"for the ring"))?;
    nic.send(&udp(40000, DPORT2, b"for the kernel"))?;
    let got = crate::sock::recv(&other, SOON)?;
    want_eq(
        "the kernel's datagram",
        got.as_deref(),
        Some(&b"for the kernel"[..]),
    )?;
    want_eq(
        "frames in the ring",
        lane.recv(1, SOON)?,
        vec![udp(40000, DPORT, b"for the ring")],
    )?;
    want_eq(
        "steered datagrams at the kernel",
        crate::sock::recv(&steered, Duration::from_millis(200))?,
        None,
    )
}

fn slot_fields_after_reception() -> Result<()> {
    let lane = Lane::open()?;
    let nic = Nic::open()?;
    let ring = lane.ring()?;
    let idx: Vec<u32> = (0..3).map(|i| ring.slot(i).idx).collect();
    for (seq, size) in [60, 1514, 99].into_iter().enumerate() {
        nic.send(&udp_sized(DPORT, seq as u32, size))?;
    }
    eventually("three slots", SOON, || {
        lane.port.fd.rxsync()?;
        Ok(ring.space() == 3)
    })?;
    for (i, size) in [60u16, 1514, 99].into_iter().enumerate() {
        let s = ring.slot(i as u32);
        want_eq(&format!("slot {i}: len"), s.len, size)?;
        want_eq(&format!("slot {i}: flags"), s.flags, 0)?;
        want_eq(
            &format!("slot {i}: buf_idx is the one it had"),
            s.idx,
            idx[i],
        )?;
    }
    Ok(())
}
