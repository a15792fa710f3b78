// SPDX-License-Identifier: GPL-2.0

//! NIOCQNEXT: who has which queue, entry by entry.
//!
//! Entries are ordered by (interface index, kind, queue); the caller passes the last one it saw and
//! gets the next. Nothing is kept between calls, so the listing of a changing system is no
//! snapshot, but it ends.

use kernel::error::Result;
use kernel::prelude::*;
use kernel::sync::Arc;

use crate::os::netdev::NetDev;
use crate::os::nic::{Nic, PortInfo};
use crate::os::user::Addr;
use crate::port::{self, Port};
use crate::uapi::ext::{counter, kind, state, QueueInfo, EXT_VERSION};

/// Answers the request at `arg`.
///
/// # Errors
///
/// EINVAL: another version. ENOENT: the listing ends here.
pub(crate) fn next(arg: Addr) -> Result {
    let asked: QueueInfo = arg.read()?;
    if asked.nq_version != EXT_VERSION {
        return Err(EINVAL);
    }
    // First the interface of the cursor, behind the cursor; then the following ones.
    if let Some(dev) = asked.nq_ifindex.checked_sub(1).and_then(NetDev::next_after) {
        if dev.ifindex() == asked.nq_ifindex {
            if let Some(entry) = entry_after(&dev, &asked, Some((asked.nq_kind, asked.nq_queue)))? {
                return arg.write(entry);
            }
        }
    }
    let mut ifindex = asked.nq_ifindex;
    while let Some(dev) = NetDev::next_after(ifindex) {
        ifindex = dev.ifindex();
        if let Some(entry) = entry_after(&dev, &asked, None)? {
            return arg.write(entry);
        }
    }
    Err(ENOENT)
}

/// The first entry of an interface behind `(kind, queue)`, or its first at all.
fn entry_after(
    dev: &NetDev,
    asked: &QueueInfo,
    after: Option<(u32, u32)>,
) -> Result<Option<QueueInfo>> {
    let name = dev.name();
    if asked.nq_name[0] != 0 && asked.nq_name != name {
        return Ok(None);
    }
    let Some(nic) = Nic::of(dev) else {
        return Ok(None);
    };
    let Ok(info) = port::info(dev, &nic) else {
        return Ok(None);
    };
    let mut entry = QueueInfo {
        nq_version: EXT_VERSION,
        nq_ifindex: dev.ifindex(),
        nq_kind: kind::PORT,
        nq_queue: 0,
        nq_name: name,
        nq_state: state::KERNEL,
        nq_slots: info.rx_slots,
        nq_num_queues: info.num_rx,
        nq_pid: 0,
        nq_uid: 0,
        nq_mem_id: 0,
        nq_comm: [0; 16],
        nq_reg_idx: 0,
        nq_spare0: 0,
        nq_counter: [0; counter::MAX],
        nq_spare: [0; 6],
    };
    let ports = port::all()?;
    // By the interface itself: indices repeat in other namespaces, and outlive what they meant.
    let of_dev = || {
        ports
            .iter()
            .filter(|p| p.with_dev(|d| d.is_some_and(|d| d.same(dev))))
    };
    Ok(match after {
        None => Some(entry),
        Some((kind::PORT, _)) if info.num_rx > 0 => {
            rx(&mut entry, 0, of_dev());
            Some(entry)
        }
        Some((kind::RX, queue)) if next_queue(queue, &info).is_some() => {
            rx(&mut entry, queue + 1, of_dev());
            Some(entry)
        }
        Some((kind::RX, _)) => host(&mut entry, 0, of_dev()).then_some(entry),
        Some((kind::HOST_TX, at)) => {
            host(&mut entry, at.saturating_add(1), of_dev()).then_some(entry)
        }
        Some(_) => None,
    })
}

fn next_queue(queue: u32, info: &PortInfo) -> Option<u32> {
    queue.checked_add(1).filter(|&q| q < info.num_rx)
}

fn owned_by(entry: &mut QueueInfo, port: &Port) {
    entry.nq_pid = port.owner.pid;
    entry.nq_uid = port.owner.uid;
    entry.nq_comm = port.owner.comm;
    entry.nq_mem_id = u32::from(port.mem_id);
}

/// Fills in RX queue `queue`.
fn rx<'a>(entry: &mut QueueInfo, queue: u32, mut ports: impl Iterator<Item = &'a Arc<Port>>) {
    entry.nq_kind = kind::RX;
    entry.nq_queue = queue;
    if let Some((port, ring)) = ports.find_map(|p| Some((p, p.ring(queue)?))) {
        let status = ring.status();
        owned_by(entry, port);
        entry.nq_state = status.state;
        entry.nq_slots = status.slots;
        entry.nq_reg_idx = status.reg_idx;
        entry.nq_counter = status.counters;
    }
}

/// Fills in the host TX ring number `at` of the interface, counted over its ports.
fn host<'a>(entry: &mut QueueInfo, at: u32, ports: impl Iterator<Item = &'a Arc<Port>>) -> bool {
    let mut left = at;
    for port in ports {
        let Some(ring) = port.host_tx.lock().clone() else {
            continue;
        };
        if left > 0 {
            left -= 1;
            continue;
        }
        entry.nq_kind = kind::HOST_TX;
        entry.nq_queue = at;
        let status = ring.status();
        entry.nq_state = status.state;
        entry.nq_slots = status.slots;
        entry.nq_counter = status.counters;
        owned_by(entry, port);
        return true;
    }
    false
}
