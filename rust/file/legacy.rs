// SPDX-License-Identifier: GPL-2.0

//! NIOCREGIF and NIOCGINFO.

use kernel::error::Result;
use kernel::prelude::*;

use super::nif::HOST_RINGS;
use super::register::{name_errno, Want};
use super::File;
use crate::mem::registry;
use crate::os::eopnotsupp;
use crate::os::nic::PortInfo;
use crate::os::user::Addr;
use crate::os::Caller;
use crate::port;
use crate::port::name::PortName;
use crate::uapi::legacy::{ringid, NmReq};
use crate::uapi::API;

const _: () = assert!(HOST_RINGS == 1, "legacy requests have no field for more");

/// What is left of the old VALE and ptnetmap commands.
fn refuse_command(cmd: u16) -> Result {
    match cmd {
        0 => Ok(()),
        // VALE attach, detach, header, interfaces, polling: there is no switch here.
        1 | 2 | 4..=7 | 10..=12 => Err(eopnotsupp()),
        // ptnetmap, removed from netmap with this errno.
        8 | 9 => Err(ENOMEM),
        _ => Err(EINVAL),
    }
}

fn put_port(req: &mut NmReq, info: &PortInfo, memsize: usize) {
    req.nr_memsize = memsize as u32;
    req.nr_tx_slots = info.tx_slots;
    req.nr_rx_slots = info.rx_slots;
    req.nr_tx_rings = info.num_tx as u16;
    req.nr_rx_rings = info.num_rx as u16;
}

fn read(arg: Addr) -> Result<NmReq> {
    if arg.is_null() {
        return Err(EINVAL);
    }
    let req: NmReq = arg.read()?;
    if req.nr_version < u32::from(API) {
        return Err(EINVAL);
    }
    Ok(req)
}

impl File {
    pub(super) fn legacy_register(&self, arg: Addr) -> Result {
        let mut req = read(arg)?;
        refuse_command(req.nr_cmd)?;
        let granted = self.register(&Want {
            name: &req.nr_name,
            mode: req.mode(),
            ringid: req.nr_ringid & ringid::MASK,
            flags: req.flags(),
            mem_id: req.nr_arg2,
            extra: req.nr_arg3,
            options: false,
        })?;
        put_port(&mut req, &granted.port, granted.memsize);
        req.nr_offset = granted.offset as u32;
        req.nr_arg2 = granted.mem_id;
        req.nr_arg3 = granted.extra;
        arg.write(req)
    }

    pub(super) fn legacy_info(&self, arg: Addr) -> Result {
        let mut req = read(arg)?;
        if req.nr_cmd == 4 {
            // Listing of VALE ports.
            return Err(eopnotsupp());
        }
        let (_, layout) = registry::find(&Caller::current(), 0)?;
        if req.nr_name[0] == 0 {
            req.nr_memsize = layout.memsize() as u32;
        } else {
            let name = PortName::parse(&req.nr_name).map_err(name_errno)?;
            let (dev, nic) = port::find(name.ifname)?;
            put_port(&mut req, &port::info(&dev, &nic)?, layout.memsize());
        }
        arg.write(req)
    }
}
