// SPDX-License-Identifier: GPL-2.0

//! What is bound to whom, in words, for those who look for a fault: a line per ring and per region,
//! a name before each number. Programs use NIOCQNEXT instead.

use kernel::error::Result;
use kernel::fmt;
use kernel::seq_file::SeqFile;
use kernel::seq_print;

use crate::adapter;
use crate::mem::registry;
use crate::uapi::ext::{counter, state};

/// A name of the kernel's or a program's, NUL-padded; what is no plain letter is shown as `?`.
struct Name([u8; 16]);

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .iter()
            .take_while(|&&b| b != 0)
            .map(|&b| if b.is_ascii_graphic() { b } else { b'?' })
            .try_for_each(|b| fmt::Write::write_char(f, b.into()))
    }
}

/// All bound rings, those that did not stop included.
///
/// # Errors
///
/// ENOMEM: an empty list would be a lie.
pub(crate) fn rings(out: &SeqFile) -> Result {
    for adapter in adapter::all()? {
        let name =
            Name(adapter.with_dev(|dev| dev.map_or(*b"(gone)\0\0\0\0\0\0\0\0\0\0", |d| d.name())));
        adapter.each(|row| {
            let (kind, number) = row.which.words();
            let status = &row.status;
            seq_print!(out, "{name} {kind} {number}: {}", state::name(status.state));
            seq_print!(out, " slots={} reg_idx={}", status.slots, status.reg_idx);
            if let Some(owner) = row.owner {
                let ((pid, uid), comm) = (owner.seen(), owner.caller.comm);
                seq_print!(out, " comm={} pid={pid} uid={uid}", Name(comm));
                seq_print!(out, " mem_id={} fds={}", owner.mem_id, row.fds);
            }
            for (name, value) in counter::NAMES.iter().zip(status.counters) {
                seq_print!(out, " {name}={value}");
            }
            seq_print!(out, "\n");
        });
    }
    Ok(())
}

/// All regions.
///
/// # Errors
///
/// As [`rings`].
pub(crate) fn regions(out: &SeqFile) -> Result {
    for (region, fds) in registry::all()? {
        let (id, layout, usage) = (region.id, region.layout(), region.usage());
        let size = layout.memsize();
        seq_print!(out, "mem_id={id} kind={} uid={}", usage.kind, usage.uid);
        seq_print!(out, " netns={} fds={fds} memsize={size}", usage.netns);
        seq_print!(out, " ifs={}/{}", usage.ifs, layout.if_count());
        seq_print!(out, " rings={}/{}", usage.rings, layout.ring_count());
        seq_print!(out, " bufs={}/{}", usage.bufs, layout.buf_count());
        seq_print!(out, " free={} buf_size={}", usage.free, layout.buf_size());
        seq_print!(out, " devices={}\n", usage.devices);
    }
    Ok(())
}
