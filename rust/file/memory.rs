// SPDX-License-Identifier: GPL-2.0

//! Which memory region a registration uses.

use kernel::error::Result;
use kernel::prelude::*;

use super::options::Options;
use super::register::Want;
use crate::mem::registry::Lease;
use crate::os::Caller;
use crate::uapi::{flag, opt};

/// The region a request asks for: in the program's own memory (EXTMEM), of an id, or private.
/// `None`: the caller's default, which is made only when all else is right.
///
/// # Errors
///
/// EINVAL: no region of the caller has the id, or it is not the one in the memory. Those of
/// [`Lease::extmem`]; ENOMEM.
pub(super) fn choose(
    caller: &Caller,
    want: &Want<'_>,
    options: &mut Options,
) -> Result<Option<Lease>> {
    let external = options.honour(|ext: &mut opt::Extmem| {
        let (lease, info) = Lease::extmem(caller, ext.nro_usrptr, &ext.nro_info)?;
        ext.nro_info = info;
        Ok(lease)
    })?;
    let named = match want.mem_id {
        0 => None,
        id => Some(Lease::get(caller, id)?),
    };
    match (external, named) {
        (Some(external), Some(named)) if external.id != named.id => Err(EINVAL),
        (Some(lease), _) | (None, Some(lease)) => Ok(Some(lease)),
        (None, None) if want.flags & flag::PRIVATE_MEM != 0 => Lease::private(caller).map(Some),
        (None, None) => Ok(None),
    }
}
