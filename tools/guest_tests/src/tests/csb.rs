// SPDX-License-Identifier: GPL-2.0
//! The option CSB and the request CSB_ENABLE (API 14: 1.7 last row, 1.8), and
//! what an fd with a CSB answers (1.10, 1.12).

use super::tests;
use crate::abi::*;
use crate::check::*;
use crate::csb::*;
use crate::fd::{header, one_rx, Fd};
use crate::port::{rx_info, Port, Q, Q2};
use crate::steer::ifname;
use anyhow::Result;
use std::time::Duration;

tests! { "abi":
    csb_without_exclusive_gives_einval_and_takes_nothing,
    csb_not_aligned_gives_einval_and_takes_nothing,
    csb_bad_pointer_gives_efault_and_takes_nothing,
    csb_in_read_only_memory_gives_efault,
    csb_tells_the_rings_indices_tx_first,
    csb_of_an_fd_without_rings_passes,
    csb_makes_syncs_ebusy_and_poll_pollerr,
    csb_makes_queues_stay,
    csb_enable_on_a_registered_fd,
    csb_enable_errors,
}

pub fn exclusive(queue: u32) -> Register {
    Register {
        flags: RX_ONLY | EXCLUSIVE,
        ..one_rx(queue)
    }
}

/// REGISTER with a CSB; the option's status comes back too.
fn register(mut reg: Register, opt: &mut CsbOpt) -> (Fd, Sys<()>, u32) {
    let fd = Fd::open().unwrap_or_else(|e| panic!("open: {e}"));
    let mut hdr = header(&ifname(), REQ_REGISTER);
    hdr.body = &raw mut reg as u64;
    hdr.options = &raw mut *opt as u64;
    let got = fd.ctrl(&mut hdr);
    (fd, got, opt.opt.status)
}

fn refused(what: &str, reg: Register, opt: &mut CsbOpt, errno: i32) -> Result<()> {
    let (fd, got, status) = register(reg, opt);
    want_errno(what, got, errno)?;
    want_eq(&format!("{what}: nro_status"), status, errno as u32)?;
    want_errno("RXSYNC: not registered", fd.rxsync(), libc::ENXIO)?;
    want_eq("state of the queue", rx_info(&fd, Q)?.state, Q_KERNEL)
}

/// 1.7: CSB without NR_EXCLUSIVE -> EINVAL.
fn csb_without_exclusive_gives_einval_and_takes_nothing() -> Result<()> {
    let csb = Csb::new()?;
    refused("shared", one_rx(Q), &mut csb.option(), libc::EINVAL)
}

/// 1.7: CSB misaligned -> EINVAL, either array.
fn csb_not_aligned_gives_einval_and_takes_nothing() -> Result<()> {
    let csb = Csb::new()?;
    for by in [4, 8, 32] {
        let mut a = csb_option(csb.atok() + by, csb.ktoa());
        refused(&format!("atok + {by}"), exclusive(Q), &mut a, libc::EINVAL)?;
        let mut k = csb_option(csb.atok(), csb.ktoa() + by);
        refused(&format!("ktoa + {by}"), exclusive(Q), &mut k, libc::EINVAL)?;
    }
    Ok(())
}

/// 1.7: CSB bad pointer -> EFAULT, either array.
fn csb_bad_pointer_gives_efault_and_takes_nothing() -> Result<()> {
    let csb = Csb::new()?;
    for bad in [0, 64, 1 << 47, u64::MAX - 63] {
        let mut a = csb_option(bad, csb.ktoa());
        refused(
            &format!("atok {bad:#x}"),
            exclusive(Q),
            &mut a,
            libc::EFAULT,
        )?;
        let mut k = csb_option(csb.atok(), bad);
        refused(
            &format!("ktoa {bad:#x}"),
            exclusive(Q),
            &mut k,
            libc::EFAULT,
        )?;
    }
    Ok(())
}

/// Both arrays are readable and writable, to the last entry.
fn csb_in_read_only_memory_gives_efault() -> Result<()> {
    let csb = Csb::new()?;
    // SAFETY: the second page of the two, which only the kernel is to write.
    unsafe { libc::mprotect(csb.ktoa() as *mut _, 4096, libc::PROT_READ) };
    refused("ktoa", exclusive(Q), &mut csb.option(), libc::EFAULT)?;
    let mut reg = exclusive(Q);
    reg.flags |= PUTBACK;
    // the entry of the second ring is in the page that cannot be written
    let mut late = csb_option(csb.ktoa() - 64, csb.atok());
    refused("atok's second entry", reg, &mut late, libc::EFAULT)
}

/// 1.8: the fd's TX rings first, then its RX rings; what was there before does not matter.
fn csb_tells_the_rings_indices_tx_first() -> Result<()> {
    let csb = Csb::new()?;
    let mut reg = exclusive(Q);
    reg.flags |= PUTBACK;
    let mut opt = csb.option();
    let (fd, got, status) = register(reg, &mut opt);
    want_ok("REGISTER", got)?;
    want_eq("nro_status", status, 0)?;
    let slots = fd.port_info(&ifname())?.rx_slots;
    want_eq("host TX: hwcur, hwtail", csb.indices(0), (0, slots - 1))?;
    want_eq("RX: hwcur, hwtail", csb.indices(1), (0, 0))?;
    for i in 0..2 {
        want_eq("head", csb.told(i, HEAD), 0)?;
        want_eq("cur", csb.told(i, CUR), 0)?;
        want_eq("appl_need_kick", csb.told(i, APPL_NEED_KICK), 1)?;
        want_eq("kern_need_kick", csb.says(i, KERN_NEED_KICK), 1)?;
    }
    want_eq("there is no third entry", csb.says(2, HWCUR), 0xa5a5_a5a5)
}

/// 1.8: a fd with no bound ring passes trivially.
fn csb_of_an_fd_without_rings_passes() -> Result<()> {
    let mut opt = csb_option(8, 8);
    let reg = Register {
        flags: RX_ONLY | NO_RINGS,
        ..one_rx(0)
    };
    let (fd, got, status) = register(reg, &mut opt);
    want_ok("REGISTER", got)?;
    want_eq("nro_status", status, 0)?;
    want_ok("RXSYNC: there is no CSB", fd.rxsync())
}

/// 1.10: EBUSY if CSB is on. 1.12: POLLERR if CSB is on.
fn csb_makes_syncs_ebusy_and_poll_pollerr() -> Result<()> {
    let csb = Csb::new()?;
    let (fd, got, _) = register(exclusive(Q), &mut csb.option());
    want_ok("REGISTER", got)?;
    want_errno("RXSYNC", fd.rxsync(), libc::EBUSY)?;
    want_errno("TXSYNC", fd.txsync(), libc::EBUSY)?;
    for events in [libc::POLLIN, libc::POLLOUT] {
        let got = fd.poll(events, Duration::from_secs(1))?;
        want_eq("poll", got, libc::POLLERR)?;
    }
    Ok(())
}

/// The entries are as many as the rings were.
fn csb_makes_queues_stay() -> Result<()> {
    let csb = Csb::new()?;
    let (fd, got, _) = register(exclusive(Q), &mut csb.option());
    want_ok("REGISTER", got)?;
    want_errno("NIOCQADD", fd.qadd(Q2), libc::EBUSY)?;
    want_errno("NIOCQDEL", fd.qdel(Q), libc::EBUSY)?;
    want_eq("state of the queue", rx_info(&fd, Q)?.state, Q_NETMAP)?;
    want_eq("state of the other", rx_info(&fd, Q2)?.state, Q_KERNEL)
}

/// 1.8: CSB_ENABLE enables CSB on an already registered fd.
fn csb_enable_on_a_registered_fd() -> Result<()> {
    let csb = Csb::new()?;
    let port = Port::open(&ifname(), exclusive(Q))?;
    let mut opt = csb.option();
    want_ok("CSB_ENABLE", enable(&port.fd, &raw mut opt as u64))?;
    want_eq("nro_status", opt.opt.status, 0)?;
    want_eq("RX: hwcur, hwtail", csb.indices(0), (0, 0))?;
    want_errno("RXSYNC", port.fd.rxsync(), libc::EBUSY)?;
    let again = enable(&port.fd, &raw mut opt as u64);
    want_errno("CSB_ENABLE again", again, libc::EBUSY)?;
    want_ok("another queue's fd goes on", Port::rx(Q2)?.fd.rxsync())
}

/// 1.8: the CSB option is mandatory (EINVAL); the checks are those of REGISTER.
fn csb_enable_errors() -> Result<()> {
    let csb = Csb::new()?;
    let mut opt = csb.option();
    let at = &raw mut opt as u64;
    want_errno("fresh fd", enable(&Fd::open()?, at), libc::ENXIO)?;
    let shared = Port::rx(Q2)?;
    want_errno("shared fd", enable(&shared.fd, at), libc::EINVAL)?;
    let port = Port::open(&ifname(), exclusive(Q))?;
    want_errno("no option", enable(&port.fd, 0), libc::EINVAL)?;
    let mut other = Opt {
        reqtype: 77,
        ..Default::default()
    };
    let got = enable(&port.fd, &raw mut other as u64);
    want_errno("another option", got, libc::EINVAL)?;
    let mut bad = csb_option(csb.atok() + 8, csb.ktoa());
    let got = enable(&port.fd, &raw mut bad as u64);
    want_errno("not aligned", got, libc::EINVAL)?;
    want_eq("nro_status", bad.opt.status, libc::EINVAL as u32)?;
    want_ok("RXSYNC: there is no CSB", port.fd.rxsync())?;
    opt.opt.next = &raw mut other as u64;
    want_ok("what it does not know it ignores", enable(&port.fd, at))
}
