// SPDX-License-Identifier: GPL-2.0

//! NIOCCTRL: header, body, options.
//!
//! Each is copied in once. The header goes back in every case, with `nr_reserved` 0; the body on
//! success; each option's status in every case.

use kernel::error::Result;
use kernel::prelude::*;

use super::nif::HOST_RINGS;
use super::register::{name_errno, Want};
use super::File;
use crate::mem::layout::Layout;
use crate::mem::registry;
use crate::os::eopnotsupp;
use crate::os::nic::PortInfo as Info;
use crate::os::user::Addr;
use crate::os::Caller;
use crate::port;
use crate::port::name::PortName;
use crate::uapi::ctrl::{
    body_size, option_size, opttype, reqtype, Header, OptionHeader, PoolsInfo, PortInfo, Register,
};
use crate::uapi::{API, CTRL_MAXSIZE, MAX_API};

/// The options of a request, as far as the walk came.
struct Options {
    list: KVec<(Addr, OptionHeader)>,
}

impl Options {
    /// Walks the list.
    ///
    /// # Errors
    ///
    /// EFAULT: a bad pointer. EINVAL: type 0, or a type twice. EMSGSIZE: longer in all than a
    /// request may be, or circular.
    fn walk(&mut self, first: u64, body: usize) -> Result {
        let mut at = Addr(first as usize);
        let mut bytes = body;
        while !at.is_null() {
            let mut option: OptionHeader = at.read()?;
            let size = option_size(option.nro_reqtype, option.nro_size);
            bytes = bytes.saturating_add(size);
            if bytes > CTRL_MAXSIZE {
                return Err(EMSGSIZE);
            }
            option.nro_status = eopnotsupp().to_errno().unsigned_abs();
            let twice = (1..opttype::MAX)
                .contains(&option.nro_reqtype)
                .then(|| {
                    self.list
                        .iter_mut()
                        .find(|(_, o)| o.nro_reqtype == option.nro_reqtype)
                })
                .flatten();
            let invalid = EINVAL.to_errno().unsigned_abs();
            let bad = option.nro_reqtype == 0 || twice.is_some();
            if let Some((_, earlier)) = twice {
                earlier.nro_status = invalid;
            }
            if bad {
                option.nro_status = invalid;
            }
            self.list.push((at, option), GFP_KERNEL)?;
            if bad {
                return Err(EINVAL);
            }
            if option.nro_reqtype < opttype::MAX {
                at.probe(size)?;
            }
            at = Addr(option.nro_next as usize);
        }
        Ok(())
    }

    /// Copies every status out.
    fn write_back(&self) -> Result {
        for (at, option) in &self.list {
            at.write(*option)?;
        }
        Ok(())
    }
}

impl File {
    pub(super) fn ctrl(&self, arg: Addr) -> Result {
        if arg.is_null() {
            return Err(EINVAL);
        }
        let mut header: Header = arg.read()?;
        if !(API..=MAX_API).contains(&header.nr_version) {
            return Err(EINVAL);
        }
        let result = self.ctrl_request(&header);
        header.nr_reserved = 0;
        arg.write(header)?;
        result
    }

    fn ctrl_request(&self, header: &Header) -> Result {
        if header.nr_reserved != 0 {
            return Err(EINVAL);
        }
        let size = body_size(header.nr_reqtype).ok_or(EINVAL)?;
        let body = Addr(header.nr_body as usize);
        if body.is_null() != (size == 0) {
            return Err(EINVAL);
        }
        body.probe(size)?;
        let mut options = Options { list: KVec::new() };
        let walked = options.walk(header.nr_options, size);
        let result = walked.and_then(|()| self.dispatch(header, body, !options.list.is_empty()));
        let written = options.write_back();
        result.and(written)
    }

    fn dispatch(&self, header: &Header, body: Addr, options: bool) -> Result {
        match header.nr_reqtype {
            reqtype::REGISTER => {
                let mut req: Register = body.read()?;
                self.ctrl_register(header, &mut req, options)?;
                body.write(req)
            }
            reqtype::PORT_INFO_GET => {
                let mut req: PortInfo = body.read()?;
                port_info(header, &mut req)?;
                body.write(req)
            }
            reqtype::POOLS_INFO_GET => {
                let mut req: PoolsInfo = body.read()?;
                pools_info(header, &mut req)?;
                body.write(req)
            }
            // Headers, CSB and kernel loops need what does not exist here; so do switches.
            _ => Err(eopnotsupp()),
        }
    }

    fn ctrl_register(&self, header: &Header, req: &mut Register, options: bool) -> Result {
        let granted = self.register(&Want {
            name: &header.nr_name,
            mode: req.nr_mode,
            ringid: req.nr_ringid,
            flags: req.nr_flags,
            mem_id: req.nr_mem_id,
            extra: req.nr_extra_bufs,
            options,
        })?;
        let port = &granted.port;
        req.nr_offset = granted.offset as u64;
        req.nr_memsize = granted.memsize as u64;
        req.nr_tx_slots = port.tx_slots;
        req.nr_rx_slots = port.rx_slots;
        req.nr_tx_rings = port.num_tx as u16;
        req.nr_rx_rings = port.num_rx as u16;
        req.nr_host_tx_rings = HOST_RINGS as u16;
        req.nr_host_rx_rings = HOST_RINGS as u16;
        req.nr_mem_id = granted.mem_id;
        req.nr_extra_bufs = granted.extra;
        Ok(())
    }
}

fn find(header: &Header) -> Result<Info> {
    let name = PortName::parse(&header.nr_name).map_err(name_errno)?;
    let (dev, nic) = port::find(name.ifname)?;
    port::info(&dev, &nic)
}

/// Id and layout of the region a request is about: the one named, or the caller's default.
fn region(mem_id: u16) -> Result<(u16, Layout)> {
    registry::find(&Caller::current(), mem_id)
}

fn port_info(header: &Header, req: &mut PortInfo) -> Result {
    let (mem_id, layout) = region(req.nr_mem_id)?;
    let mut answer = PortInfo {
        nr_memsize: layout.memsize() as u64,
        nr_mem_id: mem_id,
        ..PortInfo::default()
    };
    if header.nr_name[0] != 0 {
        let info = find(header)?;
        answer.nr_tx_slots = info.tx_slots;
        answer.nr_rx_slots = info.rx_slots;
        answer.nr_tx_rings = info.num_tx as u16;
        answer.nr_rx_rings = info.num_rx as u16;
        answer.nr_host_tx_rings = HOST_RINGS as u16;
        answer.nr_host_rx_rings = HOST_RINGS as u16;
    }
    *req = answer;
    Ok(())
}

fn pools_info(header: &Header, req: &mut PoolsInfo) -> Result {
    find(header)?;
    let (mem_id, layout) = region(req.nr_mem_id)?;
    *req = layout.pools_info(mem_id);
    Ok(())
}
