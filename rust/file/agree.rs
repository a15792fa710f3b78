// SPDX-License-Identifier: GPL-2.0

//! What a registration agrees with the program about its rings: the options OFFSETS and RX_META.

use kernel::error::Result;
use kernel::prelude::*;

use super::options::Options;
use crate::kring::{Offsets, RingOptions};
use crate::mem::layout::{meta_offset, Layout, META_SIZE};
use crate::os::eopnotsupp;
use crate::uapi::opt;

/// A NIC writes frames in pieces of at least this many bytes.
const MIN_PIECE: usize = 1024;

/// Honours both options, for rings of `slots` slots with buffers as in `layout`.
///
/// # Errors
///
/// EINVAL: offsets that do not fit the bits or the buffers; an alignment that is no power of two.
/// EOPNOTSUPP: a gap, which is about several packets in one buffer.
pub(super) fn ring_options(
    options: &mut Options,
    layout: &Layout,
    slots: u32,
) -> Result<RingOptions> {
    let offsets = options.honour(|asked: &mut opt::Offsets| offsets(asked, layout))?;
    let rx_meta = options.honour(|asked: &mut opt::RxMeta| {
        asked.nro_meta_ofs = meta_offset(slots) as u32;
        asked.nro_meta_size = META_SIZE as u32;
        match asked.nro_spare {
            0 => Ok(()),
            _ => Err(EINVAL),
        }
    })?;
    Ok(RingOptions {
        offsets,
        rx_meta: rx_meta.is_some(),
    })
}

fn offsets(asked: &mut opt::Offsets, layout: &Layout) -> Result<Offsets> {
    // The card sends from any address: what the program can promise is more than is needed.
    if asked.nro_tx_align != 0 && !asked.nro_tx_align.is_power_of_two() {
        return Err(EINVAL);
    }
    if asked.nro_min_gap != 0 {
        return Err(eopnotsupp());
    }
    let room = layout.buf_size().saturating_sub(MIN_PIECE) as u32;
    let agreed = Offsets::agree(
        asked.nro_offset_bits,
        asked.nro_max_offset,
        asked.nro_initial_offset,
        room,
    )
    .ok_or(EINVAL)?;
    asked.nro_offset_bits = agreed.mask.count_ones();
    Ok(agreed)
}
