// SPDX-License-Identifier: GPL-2.0
//! NIOCCTRL: what is copied in and out, and the header's own errors
//! (netmap API 14: versions, device node, copy-in and copy-out contract).

use super::tests;
use crate::abi::*;
use crate::check::*;
use crate::fd::{header, one_rx, Fd};
use crate::port::{Port, Q};
use crate::steer::ifname;
use anyhow::Result;
use std::io::{Read, Write};

tests! { "abi":
    device_node_is_character_device_of_root_mode_0600,
    read_and_write_give_einval,
    unknown_ioctl_gives_eopnotsupp,
    ctrl_null_argument_gives_einval,
    ctrl_bad_pointer_gives_efault,
    header_versions_13_16_17_give_einval,
    header_versions_14_and_15_are_accepted,
    header_reserved_not_zero_gives_einval_and_comes_back_zero,
    header_reserved_is_zero_after_early_einval_and_retry_works,
    register_with_null_body_gives_einval,
    register_with_bad_body_pointer_gives_efault,
    request_types_0_and_99_give_einval_with_and_without_body,
    request_types_without_body_given_one_give_einval,
    header_is_copied_back_unchanged_on_error,
    body_is_not_copied_back_on_error,
}

/// A pointer into the first page: never mapped.
const BAD: u64 = 8;

/// misc device; the file's permission is the first gate.
fn device_node_is_character_device_of_root_mode_0600() -> Result<()> {
    use std::os::unix::fs::{FileTypeExt, MetadataExt};
    let meta = std::fs::metadata(crate::fd::DEVICE)?;
    want(
        "/dev/netmap is a character device",
        meta.file_type().is_char_device(),
    )?;
    want_eq("owner", meta.uid(), 0)?;
    want_eq("mode", meta.mode() & 0o777, 0o600)
}

/// read/write -> EINVAL (no handlers).
fn read_and_write_give_einval() -> Result<()> {
    let mut fd = want_ok("open", Fd::open())?;
    let read = fd
        .file
        .read(&mut [0; 64])
        .map_err(|e| Errno(e.raw_os_error().unwrap_or(0)));
    want_errno("read", read, libc::EINVAL)?;
    let write = fd
        .file
        .write(&[0; 64])
        .map_err(|e| Errno(e.raw_os_error().unwrap_or(0)));
    want_errno("write", write, libc::EINVAL)
}

/// unknown ioctl -> EOPNOTSUPP (not ENOTTY), registered or not.
fn unknown_ioctl_gives_eopnotsupp() -> Result<()> {
    let fd = Fd::open()?;
    let mut room = [0u64; 512];
    for nr in [0x6990, 0x699f, 0x0000_6998, 0xc010_69ff, 0x5401] {
        // SAFETY: a kilobyte of our own memory, more than any of these encode.
        let got = unsafe { fd.ioctl_raw(nr, room.as_mut_ptr() as usize) };
        want_errno(&format!("ioctl {nr:#x}"), got, libc::EOPNOTSUPP)?;
    }
    let port = Port::rx(Q)?;
    // SAFETY: as above.
    let got = unsafe { port.fd.ioctl_raw(0x6990, room.as_mut_ptr() as usize) };
    want_errno("ioctl 0x6990 when registered", got, libc::EOPNOTSUPP)
}

/// NULL argument -> EINVAL.
fn ctrl_null_argument_gives_einval() -> Result<()> {
    let fd = Fd::open()?;
    // SAFETY: no memory.
    let got = unsafe { fd.ioctl_raw(NIOCCTRL, 0) };
    want_errno("NIOCCTRL(NULL)", got, libc::EINVAL)
}

/// faulting argument -> EFAULT.
fn ctrl_bad_pointer_gives_efault() -> Result<()> {
    let fd = Fd::open()?;
    for nr in [NIOCCTRL, NIOCREGIF, NIOCGINFO, NIOCQNEXT] {
        // SAFETY: an address that is never mapped.
        let got = unsafe { fd.ioctl_raw(nr, BAD as usize) };
        want_errno(&format!("ioctl {nr:#x}(bad pointer)"), got, libc::EFAULT)?;
    }
    Ok(())
}

fn with_version(version: u16) -> Sys<()> {
    let fd = Fd::open()?;
    let mut info = PortInfo::default();
    let mut hdr = header(&ifname(), REQ_PORT_INFO_GET);
    hdr.version = version;
    hdr.body = &raw mut info as u64;
    fd.ctrl(&mut hdr)
}

/// 13, 16, 17 -> EINVAL.
fn header_versions_13_16_17_give_einval() -> Result<()> {
    for v in [0, 13, 16, 17, 0xffff] {
        want_errno(&format!("version {v}"), with_version(v), libc::EINVAL)?;
    }
    Ok(())
}

/// header versions 14..15 are accepted.
fn header_versions_14_and_15_are_accepted() -> Result<()> {
    want_ok("version 14", with_version(14))?;
    want_ok("version 15", with_version(15))
}

/// nr_reserved != 0 -> EINVAL; it comes back 0.
fn header_reserved_not_zero_gives_einval_and_comes_back_zero() -> Result<()> {
    let fd = Fd::open()?;
    let mut info = PortInfo::default();
    let mut hdr = header(&ifname(), REQ_PORT_INFO_GET);
    hdr.body = &raw mut info as u64;
    hdr.reserved = 1;
    want_errno("nr_reserved 1", fd.ctrl(&mut hdr), libc::EINVAL)?;
    want_eq("nr_reserved afterwards", hdr.reserved, 0)?;
    want_ok("retry with the same header", fd.ctrl(&mut hdr))
}

/// a failed request must not poison the user's header.
fn header_reserved_is_zero_after_early_einval_and_retry_works() -> Result<()> {
    let fd = Fd::open()?;
    let mut info = PortInfo::default();
    let mut hdr = header(&ifname(), REQ_PORT_INFO_GET);
    want_errno("no body", fd.ctrl(&mut hdr), libc::EINVAL)?;
    want_eq("nr_reserved after EINVAL", hdr.reserved, 0)?;
    hdr.body = BAD;
    want_errno("bad body", fd.ctrl(&mut hdr), libc::EFAULT)?;
    want_eq("nr_reserved after EFAULT", hdr.reserved, 0)?;
    hdr.body = &raw mut info as u64;
    want_ok("the same header with a body", fd.ctrl(&mut hdr))
}

/// REGISTER with NULL body -> EINVAL.
fn register_with_null_body_gives_einval() -> Result<()> {
    let fd = Fd::open()?;
    want_errno(
        "REGISTER",
        fd.ctrl(&mut header(&ifname(), REQ_REGISTER)),
        libc::EINVAL,
    )
}

/// body fault -> EFAULT.
fn register_with_bad_body_pointer_gives_efault() -> Result<()> {
    let fd = Fd::open()?;
    for reqtype in [REQ_REGISTER, REQ_PORT_INFO_GET, REQ_POOLS_INFO_GET] {
        let mut hdr = header(&ifname(), reqtype);
        hdr.body = BAD;
        want_errno(
            &format!("request {reqtype}"),
            fd.ctrl(&mut hdr),
            libc::EFAULT,
        )?;
    }
    Ok(())
}

/// type 99 with or without body; type 0 -> EINVAL.
fn request_types_0_and_99_give_einval_with_and_without_body() -> Result<()> {
    let fd = Fd::open()?;
    let mut body = [0u64; 64];
    for reqtype in [0, 16, 99, 0xffff] {
        let mut hdr = header(&ifname(), reqtype);
        want_errno(
            &format!("type {reqtype}, no body"),
            fd.ctrl(&mut hdr),
            libc::EINVAL,
        )?;
        hdr.body = body.as_mut_ptr() as u64;
        want_errno(
            &format!("type {reqtype}, body"),
            fd.ctrl(&mut hdr),
            libc::EINVAL,
        )?;
    }
    Ok(())
}

/// a body where none is expected -> EINVAL.
fn request_types_without_body_given_one_give_einval() -> Result<()> {
    let fd = Fd::open()?;
    let mut body = [0u64; 64];
    for reqtype in [REQ_VALE_DELIF, REQ_SYNC_KLOOP_STOP, REQ_CSB_ENABLE] {
        let mut hdr = header(&ifname(), reqtype);
        hdr.body = body.as_mut_ptr() as u64;
        want_errno(&format!("type {reqtype}"), fd.ctrl(&mut hdr), libc::EINVAL)?;
    }
    Ok(())
}

/// the header is copied back even on error; nothing in it moved.
fn header_is_copied_back_unchanged_on_error() -> Result<()> {
    let fd = Fd::open()?;
    let mut reg = one_rx(Q);
    let mut hdr = header("nosuchif0", REQ_REGISTER);
    hdr.body = &raw mut reg as u64;
    let sent = hdr;
    want_errno("REGISTER nosuchif0", fd.ctrl(&mut hdr), libc::ENXIO)?;
    want_eq("header", hdr, sent)
}

/// on success the body is copied back; on error it is not.
fn body_is_not_copied_back_on_error() -> Result<()> {
    let fd = Fd::open()?;
    let mut reg = Register {
        memsize: 0x1234_5678,
        rx_slots: 77,
        ..one_rx(Q)
    };
    let sent = reg;
    want_errno(
        "REGISTER nosuchif0",
        fd.register("nosuchif0", &mut reg),
        libc::ENXIO,
    )?;
    want_eq("body", reg, sent)
}
