// SPDX-License-Identifier: GPL-2.0
//! The option list of a request: its four errors, the status of each option,
//! and that a refused REGISTER leaves nothing behind (API 14, contract steps
//! 5 to 8).

use super::tests;
use crate::abi::*;
use crate::check::*;
use crate::fd::{header, one_rx, Fd};
use crate::port::{Port, Q};
use crate::steer::ifname;
use anyhow::Result;

tests! { "abi":
    option_bad_pointer_gives_efault,
    option_second_bad_pointer_gives_efault,
    option_type_0_gives_einval_in_errno_and_status,
    option_unknown_type_makes_register_fail_eopnotsupp_with_status,
    option_unknown_type_rolls_the_registration_back,
    option_unknown_type_is_ignored_by_port_info_get,
    option_twice_gives_einval_in_both,
    option_cycle_gives_emsgsize,
    option_list_over_4096_bytes_gives_emsgsize,
    option_kloop_eventfds_and_mode_are_refused_by_register_and_rolled_back,
    option_honoured_beside_one_that_is_not_is_rolled_back,
    option_status_is_preset_before_dispatch,
    option_of_ours_twice_gives_einval_in_both,
    option_eventfd_list_counts_its_own_size,
    option_body_out_of_memory_gives_efault,
    option_in_read_only_memory_gives_efault_and_registers_nothing,
}

const BAD: u64 = 8;

/// An option with its body behind it, as the largest known one needs.
#[repr(C, align(64))]
struct Full {
    opt: Opt,
    body: [u64; 24],
}

impl Full {
    fn new(reqtype: u32) -> Full {
        Full {
            opt: Opt {
                reqtype,
                status: 0x5a5a,
                ..Default::default()
            },
            body: [0; 24],
        }
    }

    fn at(&mut self) -> u64 {
        self as *mut Full as u64
    }
}

/// REGISTER of queue `Q` with this option list, on a fresh fd.
fn register(first: u64) -> (Fd, Sys<()>) {
    let fd = Fd::open().unwrap_or_else(|e| panic!("open: {e}"));
    let mut reg = one_rx(Q);
    let mut hdr = header(&ifname(), REQ_REGISTER);
    hdr.body = &raw mut reg as u64;
    hdr.options = first;
    let got = fd.ctrl(&mut hdr);
    (fd, got)
}

/// bad pointer -> EFAULT.
fn option_bad_pointer_gives_efault() -> Result<()> {
    want_errno("options = bad pointer", register(BAD).1, libc::EFAULT)
}

/// the walk follows nro_next.
fn option_second_bad_pointer_gives_efault() -> Result<()> {
    let mut a = Full::new(77);
    a.opt.next = BAD;
    want_errno("nro_next = bad pointer", register(a.at()).1, libc::EFAULT)
}

/// type 0 -> EINVAL, that option's status EINVAL.
fn option_type_0_gives_einval_in_errno_and_status() -> Result<()> {
    let mut a = Full::new(0);
    want_errno("option type 0", register(a.at()).1, libc::EINVAL)?;
    want_eq("nro_status", a.opt.status, libc::EINVAL as u32)
}

/// an unconsumed option fails a REGISTER.
fn option_unknown_type_makes_register_fail_eopnotsupp_with_status() -> Result<()> {
    for reqtype in [6, 77, u32::MAX] {
        let mut a = Full::new(reqtype);
        want_errno(
            &format!("option type {reqtype}"),
            register(a.at()).1,
            libc::EOPNOTSUPP,
        )?;
        want_eq("nro_status", a.opt.status, libc::EOPNOTSUPP as u32)?;
    }
    Ok(())
}

/// the registration is rolled back: same fd and another fd can have the queue.
fn option_unknown_type_rolls_the_registration_back() -> Result<()> {
    let mut a = Full::new(77);
    let (fd, got) = register(a.at());
    want_errno("option type 77", got, libc::EOPNOTSUPP)?;
    want_errno("RXSYNC: not registered", fd.rxsync(), libc::ENXIO)?;
    drop(want_ok("another fd takes the queue", Port::rx(Q))?);
    want_ok(
        "REGISTER on the same fd",
        fd.register(&ifname(), &mut one_rx(Q)),
    )
}

/// other request types ignore unconsumed options.
fn option_unknown_type_is_ignored_by_port_info_get() -> Result<()> {
    let fd = Fd::open()?;
    let mut a = Full::new(77);
    let mut info = PortInfo::default();
    let mut hdr = header(&ifname(), REQ_PORT_INFO_GET);
    hdr.body = &raw mut info as u64;
    hdr.options = a.at();
    want_ok("PORT_INFO_GET with option 77", fd.ctrl(&mut hdr))?;
    want("the body was filled in", info.rx_rings > 0)?;
    want_eq("nro_status", a.opt.status, libc::EOPNOTSUPP as u32)
}

/// two options of the same valid type -> EINVAL and both statuses 22.
fn option_twice_gives_einval_in_both() -> Result<()> {
    let mut b = Full::new(OPT_OFFSETS);
    let mut a = Full::new(OPT_OFFSETS);
    a.opt.next = b.at();
    want_errno("OFFSETS twice", register(a.at()).1, libc::EINVAL)?;
    want_eq("status of the first", a.opt.status, libc::EINVAL as u32)?;
    want_eq("status of the second", b.opt.status, libc::EINVAL as u32)
}

/// a cycle -> EMSGSIZE.
fn option_cycle_gives_emsgsize() -> Result<()> {
    let mut a = Full::new(77);
    a.opt.next = a.at();
    want_errno(
        "option that follows itself",
        register(a.at()).1,
        libc::EMSGSIZE,
    )?;
    let mut b = Full::new(78);
    b.opt.next = a.at();
    a.opt.next = b.at();
    want_errno(
        "two options in a circle",
        register(a.at()).1,
        libc::EMSGSIZE,
    )
}

/// sum of all copied bytes > 4096 -> EMSGSIZE; a list below it is walked.
fn option_list_over_4096_bytes_gives_emsgsize() -> Result<()> {
    let mut all: Vec<Full> = (0..200).map(|i| Full::new(100 + i)).collect();
    for i in 0..all.len() - 1 {
        all[i].opt.next = all[i + 1].at();
    }
    want_errno("200 options", register(all[0].at()).1, libc::EMSGSIZE)?;
    all[99].opt.next = 0;
    want_errno(
        "100 options: walked, none honoured",
        register(all[0].at()).1,
        libc::EOPNOTSUPP,
    )?;
    want_eq(
        "status of the hundredth",
        all[99].opt.status,
        libc::EOPNOTSUPP as u32,
    )
}

/// options that are about another request fail REGISTER and undo it.
fn option_kloop_eventfds_and_mode_are_refused_by_register_and_rolled_back() -> Result<()> {
    for reqtype in [OPT_KLOOP_EVENTFDS, OPT_KLOOP_MODE] {
        let mut a = Full::new(reqtype);
        let (fd, got) = register(a.at());
        want_errno(&format!("option type {reqtype}"), got, libc::EOPNOTSUPP)?;
        want_eq("nro_status", a.opt.status, libc::EOPNOTSUPP as u32)?;
        want_errno("RXSYNC: not registered", fd.rxsync(), libc::ENXIO)?;
        drop(want_ok("the queue can be taken", Port::rx(Q))?);
    }
    Ok(())
}

/// an option that is honoured is undone with one that is not, and its body does not come back.
fn option_honoured_beside_one_that_is_not_is_rolled_back() -> Result<()> {
    let mut other = Full::new(77);
    let mut offsets = OffsetsOpt {
        opt: Opt {
            reqtype: OPT_OFFSETS,
            next: other.at(),
            ..Default::default()
        },
        ..Default::default()
    };
    let (fd, got) = register(&raw mut offsets as u64);
    want_errno("OFFSETS and type 77", got, libc::EOPNOTSUPP)?;
    want_eq("status of OFFSETS", offsets.opt.status, 0)?;
    want_eq("bits were not written", offsets.bits, 0)?;
    want_errno("RXSYNC: not registered", fd.rxsync(), libc::ENXIO)?;
    drop(want_ok("the queue can be taken", Port::rx(Q))?);
    Ok(())
}

/// every status is preset, whatever the user wrote there.
fn option_status_is_preset_before_dispatch() -> Result<()> {
    let mut b = Full::new(79);
    let mut a = Full::new(78);
    a.opt.next = b.at();
    b.opt.status = 0;
    want_errno("two unknown options", register(a.at()).1, libc::EOPNOTSUPP)?;
    want_eq(
        "statuses",
        (a.opt.status, b.opt.status),
        (libc::EOPNOTSUPP as u32, libc::EOPNOTSUPP as u32),
    )?;
    want_eq("nro_next of the first is kept", a.opt.next, b.at())
}

/// Our own types obey the rules of netmap's; types that do not exist may come twice.
fn option_of_ours_twice_gives_einval_in_both() -> Result<()> {
    let mut b = Full::new(OPT_RX_META);
    let mut a = Full::new(OPT_RX_META);
    a.opt.next = b.at();
    want_errno("RX_META twice", register(a.at()).1, libc::EINVAL)?;
    let einval = libc::EINVAL as u32;
    want_eq("statuses", (a.opt.status, b.opt.status), (einval, einval))?;
    (a.opt.reqtype, b.opt.reqtype) = (OPT_RX_META + 1, OPT_RX_META + 1);
    want_errno(
        "a type that does not exist twice",
        register(a.at()).1,
        libc::EOPNOTSUPP,
    )
}

/// The sum rule takes the size an eventfd list says of itself, header included.
fn option_eventfd_list_counts_its_own_size() -> Result<()> {
    let mut room = vec![0u64; 1024];
    let at = room.as_mut_ptr() as u64;
    for (size, errno) in [
        (24, libc::EOPNOTSUPP),
        (0, libc::EOPNOTSUPP),
        (4096 - 56, libc::EOPNOTSUPP),
        (4096 - 55, libc::EMSGSIZE),
        (u64::MAX, libc::EMSGSIZE),
    ] {
        (room[0], room[1], room[2]) = (0, u64::from(OPT_KLOOP_EVENTFDS), size);
        want_errno(&format!("nro_size {size}"), register(at).1, errno)?;
    }
    Ok(())
}

/// A page to write, and one behind it that is not there.
fn page_before_a_hole() -> Result<crate::mem::Mem> {
    // SAFETY: new memory at an address the kernel picks.
    let p = unsafe {
        libc::mmap(
            std::ptr::null_mut(),
            8192,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
            -1,
            0,
        )
    };
    want("mmap", p != libc::MAP_FAILED)?;
    // SAFETY: the second of the two pages just mapped, which nothing uses.
    unsafe { libc::munmap(p.cast::<u8>().add(4096).cast(), 4096) };
    // SAFETY: the first one, given to nobody else.
    Ok(unsafe { crate::mem::Mem::new(p.cast(), 4096) })
}

/// bad pointer -> EFAULT, also where only the body is beyond the end.
fn option_body_out_of_memory_gives_efault() -> Result<()> {
    let page = page_before_a_hole()?;
    let end = page.base() as u64 + 4096;
    for (reqtype, body) in [
        (OPT_EXTMEM, 72),
        (OPT_CSB, 16),
        (OPT_KLOOP_MODE, 8),
        (OPT_OFFSETS, 32),
        (OPT_RX_META, 16),
    ] {
        for at in [end - 24, end - 24 - body + 8] {
            let opt = Opt {
                reqtype,
                ..Default::default()
            };
            // SAFETY: 24 bytes at most at the end of a page of ours.
            unsafe { (at as *mut Opt).write_unaligned(opt) };
            let got = register(at).1;
            want_errno(
                &format!("type {reqtype}, {} bytes", end - at),
                got,
                libc::EFAULT,
            )?;
        }
    }
    Ok(())
}

/// What could not be answered is not done.
fn option_in_read_only_memory_gives_efault_and_registers_nothing() -> Result<()> {
    let page = page_before_a_hole()?;
    let at = page.base();
    let opt = Opt {
        reqtype: 77,
        ..Default::default()
    };
    // SAFETY: the beginning of a page of ours; then nobody may write it.
    unsafe {
        at.cast::<Opt>().write(opt);
        libc::mprotect(at.cast(), 4096, libc::PROT_READ);
    }
    let (fd, got) = register(at as u64);
    want_errno("option in read-only memory", got, libc::EFAULT)?;
    want_errno("RXSYNC: not registered", fd.rxsync(), libc::ENXIO)?;

    let reg = one_rx(Q);
    // SAFETY: as above, for a moment writable.
    unsafe {
        libc::mprotect(at.cast(), 4096, libc::PROT_READ | libc::PROT_WRITE);
        at.cast::<Register>().write(reg);
        libc::mprotect(at.cast(), 4096, libc::PROT_READ);
    }
    let mut hdr = header(&ifname(), REQ_REGISTER);
    hdr.body = at as u64;
    want_errno("body in read-only memory", fd.ctrl(&mut hdr), libc::EFAULT)?;
    want_errno("RXSYNC: not registered", fd.rxsync(), libc::ENXIO)
}
