// SPDX-License-Identifier: GPL-2.0

//! NIOCREGIF and NIOCGINFO.

use kernel::error::Result;
use kernel::prelude::*;

use super::ctrl::port_hdr_set;
use super::options::Options;
use super::register::{name_errno, Want};
use super::File;
use crate::mem::registry;
use crate::os::eopnotsupp;
use crate::os::user::Addr;
use crate::os::Caller;
use crate::port::name::PortName;
use crate::port::Numbers;
use crate::uapi::legacy::{ringid, NmReq};
use crate::uapi::{mode, API};

/// What a request with a command (`nr_cmd`) is about. Commands grew into the requests of NIOCCTRL.
enum Command {
    /// 0: registration.
    Register,
    /// 5: length of the virtio-net header, in `nr_arg1`.
    SetHeader,
    /// 12: the same, to read.
    GetHeader,
}

impl Command {
    fn of(cmd: u16) -> Result<Self> {
        match cmd {
            0 => Ok(Command::Register),
            5 => Ok(Command::SetHeader),
            12 => Ok(Command::GetHeader),
            // VALE attach, detach, list, interfaces, polling: there is no switch here.
            1 | 2 | 4 | 6 | 7 | 10 | 11 => Err(eopnotsupp()),
            // ptnetmap, removed from netmap with this errno.
            8 | 9 => Err(ENOMEM),
            _ => Err(EINVAL),
        }
    }
}

fn put_port(req: &mut NmReq, numbers: &Numbers, memsize: usize) {
    req.nr_memsize = memsize as u32;
    req.nr_tx_slots = numbers.tx_slots;
    req.nr_rx_slots = numbers.rx_slots;
    req.nr_tx_rings = numbers.has.tx as u16;
    req.nr_rx_rings = numbers.has.rx as u16;
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

fn numbers(req: &NmReq) -> Result<Numbers> {
    let name = PortName::parse(&req.nr_name).map_err(name_errno)?;
    Numbers::now(name.ifname)
}

impl File {
    pub(super) fn legacy_register(&self, arg: Addr) -> Result {
        let mut req = read(arg)?;
        match Command::of(req.nr_cmd)? {
            Command::Register => {}
            Command::SetHeader => return port_hdr_set(req.nr_arg1.into()),
            Command::GetHeader => {
                let _ = numbers(&req)?;
                req.nr_arg1 = 0;
                return arg.write(req);
            }
        }
        if matches!(req.mode(), mode::PIPE_MASTER | mode::PIPE_SLAVE) {
            // Here they are a suffix of the name, which NIOCCTRL would refuse so.
            return Err(eopnotsupp());
        }
        let want = Want {
            name: &req.nr_name,
            mode: req.mode(),
            ringid: req.nr_ringid & ringid::MASK,
            flags: req.flags(),
            mem_id: req.nr_arg2,
            extra: req.nr_arg3,
            // There is no field for more.
            hosts: (1, 1),
        };
        // What cannot be answered is not done.
        arg.write(req)?;
        let granted = self.register(&want, &mut Options::none())?;
        put_port(&mut req, &granted.numbers, granted.memsize);
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
            let numbers = numbers(&req)?;
            put_port(&mut req, &numbers, layout.memsize());
        }
        arg.write(req)
    }
}
