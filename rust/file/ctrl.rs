// SPDX-License-Identifier: GPL-2.0

//! NIOCCTRL: header, body, options.
//!
//! Each is copied in once. The header goes back in every case, with `nr_reserved` 0; the body on
//! success; each option's status in every case. All three are also written before the request does
//! anything, unchanged, so that one that cannot be answered does nothing.

use kernel::error::Result;
use kernel::fs;
use kernel::prelude::*;

use super::options::Options;
use super::register::{name_errno, Want};
use super::File;
use crate::mem::layout::Layout;
use crate::mem::registry;
use crate::os::eopnotsupp;
use crate::os::user::Addr;
use crate::os::Caller;
use crate::port::name::PortName;
use crate::port::Numbers;
use crate::uapi::ctrl::{
    body_size, reqtype, Header, KloopStart, PoolsInfo, PortHdr, PortInfo, Register,
};
use crate::uapi::{opt, API, MAX_API};

/// A request's body.
enum Body {
    Register(Register),
    PortInfo(PortInfo),
    PoolsInfo(PoolsInfo),
    PortHdr(PortHdr),
    KloopStart(KloopStart),
    /// Of a request that is refused whatever it says, or has none.
    Unread,
}

impl Body {
    fn read(at: Addr, reqtype: u16, size: usize) -> Result<Self> {
        Ok(match reqtype {
            reqtype::REGISTER => Body::Register(at.read()?),
            reqtype::PORT_INFO_GET => Body::PortInfo(at.read()?),
            reqtype::POOLS_INFO_GET => Body::PoolsInfo(at.read()?),
            reqtype::PORT_HDR_SET | reqtype::PORT_HDR_GET => Body::PortHdr(at.read()?),
            reqtype::SYNC_KLOOP_START => Body::KloopStart(at.read()?),
            _ => {
                at.probe(size)?;
                Body::Unread
            }
        })
    }

    fn write(&self, at: Addr) -> Result {
        match self {
            Body::Register(body) => at.write(*body),
            Body::PortInfo(body) => at.write(*body),
            Body::PoolsInfo(body) => at.write(*body),
            Body::PortHdr(body) => at.write(*body),
            Body::KloopStart(body) => at.write(*body),
            Body::Unread => Ok(()),
        }
    }
}

/// The errno of requests that have nothing here to be about; `None`: the request may be answered.
fn refusal(reqtype: u16) -> Option<Error> {
    match reqtype {
        // There are no switches, so no ports to attach to them, to list or to make.
        reqtype::VALE_ATTACH
        | reqtype::VALE_DETACH
        | reqtype::VALE_LIST
        | reqtype::VALE_NEWIF
        | reqtype::VALE_DELIF
        | reqtype::VALE_POLLING_ENABLE
        | reqtype::VALE_POLLING_DISABLE => Some(eopnotsupp()),
        _ => None,
    }
}

impl File {
    pub(super) fn ctrl(&self, file: &fs::File, arg: Addr) -> Result {
        if arg.is_null() {
            return Err(EINVAL);
        }
        let mut header: Header = arg.read()?;
        if !(API..=MAX_API).contains(&header.nr_version) {
            return Err(EINVAL);
        }
        let reserved = core::mem::replace(&mut header.nr_reserved, 0);
        arg.write(header)?;
        if reserved != 0 {
            return Err(EINVAL);
        }
        let size = body_size(header.nr_reqtype).ok_or(EINVAL)?;
        let at = Addr(header.nr_body as usize);
        if at.is_null() != (size == 0) {
            return Err(EINVAL);
        }
        let mut body = Body::read(at, header.nr_reqtype, size)?;
        let mut options = Options::none();
        let result = options
            .walk(header.nr_options, size)
            .and_then(|()| body.write(at))
            .and_then(|()| options.write_back(false))
            .and_then(|()| self.dispatch(file, &header, &mut body, &mut options))
            .and_then(|()| body.write(at));
        let written = options.write_back(result.is_ok());
        result.and(written)
    }

    fn dispatch(
        &self,
        file: &fs::File,
        header: &Header,
        body: &mut Body,
        options: &mut Options,
    ) -> Result {
        if let Some(errno) = refusal(header.nr_reqtype) {
            return Err(errno);
        }
        match body {
            Body::Register(req) => self.ctrl_register(header, req, options),
            Body::PortInfo(req) => port_info(header, req),
            Body::PoolsInfo(req) => pools_info(header, req),
            Body::PortHdr(req) if header.nr_reqtype == reqtype::PORT_HDR_GET => {
                port_hdr_get(header, req)
            }
            Body::PortHdr(req) => port_hdr_set(req.nr_hdr_len),
            Body::KloopStart(req) => self.kloop_start(file, req, options),
            Body::Unread if header.nr_reqtype == reqtype::SYNC_KLOOP_STOP => self.kloop_stop(),
            Body::Unread => self.csb_enable(options),
        }
    }

    /// CSB_ENABLE: for an fd that was registered without one.
    fn csb_enable(&self, options: &mut Options) -> Result {
        if !options.has::<opt::Csb>() {
            return Err(EINVAL);
        }
        let mut state = self.state.lock();
        let reg = Option::as_mut(&mut state).ok_or(ENXIO)?;
        if reg.csb.is_some() || self.kloop.is_running() {
            return Err(EBUSY);
        }
        reg.enable_csb(options)
    }

    fn ctrl_register(&self, header: &Header, req: &mut Register, options: &mut Options) -> Result {
        let want = Want {
            name: &header.nr_name,
            mode: req.nr_mode,
            ringid: req.nr_ringid,
            flags: req.nr_flags,
            mem_id: req.nr_mem_id,
            extra: req.nr_extra_bufs,
            hosts: (req.nr_host_tx_rings, req.nr_host_rx_rings),
        };
        let granted = self.register(&want, options)?;
        let Numbers {
            has,
            tx_slots,
            rx_slots,
        } = granted.numbers;
        req.nr_offset = granted.offset as u64;
        req.nr_memsize = granted.memsize as u64;
        req.nr_tx_slots = tx_slots;
        req.nr_rx_slots = rx_slots;
        req.nr_tx_rings = has.tx as u16;
        req.nr_rx_rings = has.rx as u16;
        req.nr_host_tx_rings = has.host_tx as u16;
        req.nr_host_rx_rings = has.host_rx as u16;
        req.nr_mem_id = granted.mem_id;
        req.nr_extra_bufs = granted.extra;
        Ok(())
    }
}

/// The virtio-net header is a thing of VALE ports; those of a NIC have none.
pub(super) fn port_hdr_set(len: u32) -> Result {
    match len {
        0 | 10 | 12 => Err(ENXIO),
        _ => Err(EINVAL),
    }
}

fn port_hdr_get(header: &Header, req: &mut PortHdr) -> Result {
    find(header)?;
    req.nr_hdr_len = 0;
    Ok(())
}

fn find(header: &Header) -> Result<Numbers> {
    let name = PortName::parse(&header.nr_name).map_err(name_errno)?;
    Numbers::now(name.ifname)
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
        let Numbers {
            has,
            tx_slots,
            rx_slots,
        } = find(header)?;
        answer.nr_tx_slots = tx_slots;
        answer.nr_rx_slots = rx_slots;
        answer.nr_tx_rings = has.tx as u16;
        answer.nr_rx_rings = has.rx as u16;
        answer.nr_host_tx_rings = has.host_tx as u16;
        answer.nr_host_rx_rings = has.host_rx as u16;
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
