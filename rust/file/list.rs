// SPDX-License-Identifier: GPL-2.0

//! NIOCQNEXT: who has which queue, entry by entry.
//!
//! Entries are ordered by (interface index, kind, queue); the caller passes the last one it saw and
//! gets the next. Nothing is kept between calls, so the listing of a changing system is no
//! snapshot, but it ends.

use kernel::error::Result;
use kernel::prelude::*;
use kernel::sync::Arc;

use crate::adapter::{self, Adapter, Owner, Which};
use crate::kring::Status;
use crate::mem::layout::MAX_RING_OFS;
use crate::os::netdev::NetDev;
use crate::os::nic::{Nic, PortInfo};
use crate::os::user::Addr;
use crate::port;
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
    // Written when no interface is held any more: a page of the program's may be long in coming, and
    // an interface that goes waits for all who hold it.
    arg.write(find(&asked)?.ok_or(ENOENT)?)
}

/// The entry behind the cursor; `None`: there is none.
fn find(asked: &QueueInfo) -> Result<Option<QueueInfo>> {
    // First the interface of the cursor, behind the cursor; then the following ones.
    if let Some(dev) = asked.nq_ifindex.checked_sub(1).and_then(NetDev::next_after) {
        if dev.ifindex() == asked.nq_ifindex {
            let entry = entry_after(&dev, asked, Some((asked.nq_kind, asked.nq_queue)))?;
            if entry.is_some() {
                return Ok(entry);
            }
        }
    }
    let mut ifindex = asked.nq_ifindex;
    while let Some(dev) = NetDev::next_after(ifindex) {
        ifindex = dev.ifindex();
        let entry = entry_after(&dev, asked, None)?;
        if entry.is_some() {
            return Ok(entry);
        }
    }
    Ok(None)
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
    let adapter = adapter::of(dev);
    let adapter = adapter.as_deref();
    Ok(match after {
        None => Some(entry),
        Some((kind::PORT, _)) if info.num_rx > 0 => {
            rx(&mut entry, 0, adapter);
            Some(entry)
        }
        Some((kind::RX, queue)) if next_queue(queue, &info).is_some() => {
            rx(&mut entry, queue + 1, adapter);
            Some(entry)
        }
        Some((kind, at)) => {
            let from = match kind {
                kind::PORT | kind::RX => (kind::HOST_TX, 0),
                kind => (kind, at.saturating_add(1)),
            };
            let found = adapter.and_then(|a| bound_from(a, from));
            found.map(|(kind, queue, status, owner)| {
                entry.nq_kind = kind;
                entry.nq_queue = queue;
                show(&mut entry, status, owner);
                entry
            })
        }
    })
}

fn next_queue(queue: u32, info: &PortInfo) -> Option<u32> {
    queue.checked_add(1).filter(|&q| q < info.num_rx)
}

fn show(entry: &mut QueueInfo, status: Status, owner: Option<Arc<Owner>>) {
    entry.nq_state = status.state;
    entry.nq_slots = status.slots;
    entry.nq_reg_idx = status.reg_idx;
    entry.nq_counter = status.counters;
    if let Some(owner) = owner {
        (entry.nq_pid, entry.nq_uid) = owner.seen();
        entry.nq_comm = owner.caller.comm;
        entry.nq_mem_id = u32::from(owner.mem_id);
    }
}

/// Fills in RX queue `queue`.
fn rx(entry: &mut QueueInfo, queue: u32, adapter: Option<&Adapter>) {
    entry.nq_kind = kind::RX;
    entry.nq_queue = queue;
    if let Some((status, owner)) = adapter.and_then(|a| a.show(Which::Rx(queue))) {
        show(entry, status, owner);
    }
}

/// The first bound ring of another kind from a place on: kind, number, what to show.
fn bound_from(
    adapter: &Adapter,
    from: (u32, u32),
) -> Option<(u32, u32, Status, Option<Arc<Owner>>)> {
    let most = MAX_RING_OFS as u32;
    (kind::HOST_TX..=kind::HOST_RX)
        .filter(|&kind| kind >= from.0)
        .flat_map(|kind| {
            let first = if kind == from.0 { from.1 } else { 0 };
            (first..most).map(move |at| (kind, at))
        })
        .find_map(|(kind, at)| {
            let which = match kind {
                kind::TX => Which::Tx(at),
                kind::HOST_RX => Which::HostRx(at),
                _ => Which::HostTx(at),
            };
            let (status, owner) = adapter.show(which)?;
            Some((kind, at, status, owner))
        })
}
