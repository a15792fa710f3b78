// SPDX-License-Identifier: GPL-2.0
//! Who owns a queue, and that it comes back whatever happens to the owner:
//! close, exit, SIGKILL, fork, a descriptor passed on; and who may ask at all.

use super::tests;
use crate::abi::*;
use crate::check::*;
use crate::fd::{Fd, DEVICE};
use crate::frame::udp_sized;
use crate::helper::Helper;
use crate::nic::Nic;
use crate::port::{rx_info, Lane, Port, DPORT, Q, Q2};
use crate::steer::{ifname, Rule};
use anyhow::{bail, Context, Result};
use std::net::UdpSocket;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

tests! { "queues":
    close_returns_the_queue_before_it_returns,
    exit_returns_the_queue,
    sigkill_returns_the_queue_and_the_kernel_receives_again,
    sigkill_while_sleeping_in_poll_returns_the_queue,
    sigkill_of_a_program_with_traffic_returns_the_queue,
    fd_inherited_by_fork_keeps_the_queue_until_the_last_close,
    fd_duplicate_keeps_the_queue_until_the_last_close,
    close_while_another_thread_sleeps_in_poll_is_safe,
    non_root_open_gives_eacces,
    without_cap_net_admin_register_and_qadd_give_eperm,
}

const SOON: Duration = Duration::from_secs(10);

fn state(queue: u32) -> Result<u32> {
    Ok(rx_info(&Fd::open()?, queue)?.state)
}

/// A datagram steered to queue `Q` reaches the kernel's socket, through that
/// very queue, as the card counts it.
fn kernel_receives(nic: &Nic, socket: &UdpSocket, seq: u32) -> Result<()> {
    let before = nic.counts()?.rxq(Q, "packets")?;
    nic.send(&udp_sized(DPORT, seq, 90))?;
    let got = crate::sock::recv(socket, SOON)?.context("the kernel's socket got nothing")?;
    want_eq("datagram", got, crate::frame::pattern(seq, 90 - 42))?;
    let after = nic.counts()?.rxq(Q, "packets")?;
    want_eq("delivered by the card to the queue", after - before, 1)
}

fn close_returns_the_queue_before_it_returns() -> Result<()> {
    for _ in 0..10 {
        let port = Port::rx(Q)?;
        want_eq("state", state(Q)?, Q_NETMAP)?;
        drop(port);
        want_eq("state right after close", state(Q)?, Q_KERNEL)?;
    }
    Ok(())
}

fn exit_returns_the_queue() -> Result<()> {
    let other = Helper::start(&["hold", &Q.to_string()])?;
    other.ready()?;
    let info = rx_info(&Fd::open()?, Q)?;
    want_eq(
        "state, owner",
        (info.state, info.pid),
        (Q_NETMAP, other.pid()),
    )?;
    other.end()?;
    want_eq("state after exit", state(Q)?, Q_KERNEL)
}

fn sigkill_returns_the_queue_and_the_kernel_receives_again() -> Result<()> {
    let nic = Nic::open()?;
    let socket = crate::sock::bind(DPORT)?;
    let _rule = Rule::udp(DPORT, Q)?;
    kernel_receives(&nic, &socket, 1)?;
    let other = Helper::start(&["hold", &Q.to_string()])?;
    other.ready()?;
    nic.send(&udp_sized(DPORT, 2, 90))?;
    want_eq(
        "datagram while it is out",
        crate::sock::recv(&socket, Duration::from_millis(300))?,
        None,
    )?;
    other.kill()?;
    want_eq("state", state(Q)?, Q_KERNEL)?;
    for seq in 3..600 {
        kernel_receives(&nic, &socket, seq)?;
    }
    Ok(())
}

fn sigkill_while_sleeping_in_poll_returns_the_queue() -> Result<()> {
    let other = Helper::start(&["recv", &Q.to_string(), &DPORT.to_string(), "1"])?;
    other.ready()?;
    std::thread::sleep(Duration::from_millis(200));
    other.kill()?;
    want_eq("state", state(Q)?, Q_KERNEL)?;
    let nic = Nic::open()?;
    let socket = crate::sock::bind(DPORT)?;
    let _rule = Rule::udp(DPORT, Q)?;
    kernel_receives(&nic, &socket, 1)
}

fn sigkill_of_a_program_with_traffic_returns_the_queue() -> Result<()> {
    let nic = Nic::open()?;
    let _rule = Rule::udp(DPORT, Q)?;
    for turn in 0..5 {
        let gen = nic.generate("g", &format!("profile=udp rate=2000 size=60 dport={DPORT}"))?;
        let other = Helper::start(&["recv", &Q.to_string(), &DPORT.to_string(), "1000000"])?;
        other.ready()?;
        std::thread::sleep(Duration::from_millis(200));
        other.kill()?;
        want_eq("state", state(Q)?, Q_KERNEL)?;
        gen.stop()?;
        let socket = crate::sock::bind(DPORT)?;
        std::thread::sleep(Duration::from_millis(100));
        while crate::sock::recv(&socket, Duration::ZERO)?.is_some() {}
        kernel_receives(&nic, &socket, turn)?;
    }
    Ok(())
}

/// Runs `f` in a forked child and waits for it; its exit code.
fn in_child(f: impl FnOnce() -> i32) -> Result<libc::pid_t> {
    // SAFETY: this test has no other threads; the child ends with _exit.
    match unsafe { libc::fork() } {
        -1 => bail!("fork: {}", Errno::last()),
        // SAFETY: as above.
        0 => unsafe { libc::_exit(f()) },
        pid => Ok(pid),
    }
}

fn fd_inherited_by_fork_keeps_the_queue_until_the_last_close() -> Result<()> {
    let lane = Lane::open()?;
    let Port { nif, mem, fd, .. } = lane.port;
    let mut pipe = [0; 2];
    // SAFETY: room for two descriptors.
    want_eq("pipe", unsafe { libc::pipe(pipe.as_mut_ptr()) }, 0)?;
    let pid = in_child(|| {
        let mut byte = 0u8;
        // the child syncs with the inherited descriptor, then waits for the parent
        // SAFETY: closes and reads descriptors of this process.
        unsafe {
            libc::close(pipe[1]);
            libc::read(pipe[0], (&raw mut byte).cast(), 1);
        }
        i32::from(fd.rxsync().is_err())
    })?;
    let first = (nif, mem, fd);
    drop(first);
    want_eq("state: the child has it", state(Q)?, Q_NETMAP)?;
    want_errno(
        "the queue is taken",
        Fd::open()?.register(&format!("{}~{Q}", ifname()), &mut Register::default()),
        libc::EBUSY,
    )?;
    // SAFETY: closes descriptors of this process; waits for its own child.
    let code = unsafe {
        libc::close(pipe[1]);
        let mut status = 0;
        libc::waitpid(pid, &mut status, 0);
        libc::WEXITSTATUS(status)
    };
    want_eq("RXSYNC in the child", code, 0)?;
    want_eq("state after the child's exit", state(Q)?, Q_KERNEL)
}

fn fd_duplicate_keeps_the_queue_until_the_last_close() -> Result<()> {
    let port = Port::rx(Q)?;
    let copy = Fd {
        file: port.fd.file.try_clone()?,
    };
    drop(port);
    want_eq("state", state(Q)?, Q_NETMAP)?;
    want_ok("RXSYNC on the copy", copy.rxsync())?;
    drop(copy);
    want_eq("state after the last close", state(Q)?, Q_KERNEL)
}

fn close_while_another_thread_sleeps_in_poll_is_safe() -> Result<()> {
    let port = Port::rx(Q)?;
    port.fd.rxsync()?;
    let raw = port.fd.raw();
    let sleeper =
        std::thread::spawn(move || crate::fd::poll_fd(raw, libc::POLLIN, Duration::from_secs(1)));
    std::thread::sleep(Duration::from_millis(200));
    drop(port);
    match sleeper.join() {
        Ok(r) => println!("the sleeping poll gave {r:?}"),
        Err(_) => bail!("the polling thread died"),
    }
    want_eq("state", state(Q)?, Q_KERNEL)
}

fn non_root_open_gives_eacces() -> Result<()> {
    let other = Helper::start_as(&["open"], Some(65534))?;
    want_eq("open as nobody", other.line(SOON)?, "EACCES".to_string())?;
    // opened up by the administrator, the capability is still asked for
    let normal = std::fs::metadata(DEVICE)?.permissions();
    std::fs::set_permissions(DEVICE, std::fs::Permissions::from_mode(0o666))?;
    let second = Helper::start_as(&["open"], Some(65534)).and_then(|h| h.line(SOON));
    let taken =
        Helper::start_as(&["hold", &Q2.to_string()], Some(65534)).and_then(|h| h.line(SOON));
    std::fs::set_permissions(DEVICE, normal)?;
    want_eq(
        "open as nobody when the mode allows it",
        second?,
        "ok".to_string(),
    )?;
    want_eq("REGISTER as nobody", taken?, "EPERM".to_string())
}

fn without_cap_net_admin_register_and_qadd_give_eperm() -> Result<()> {
    let other = Helper::start(&["unprivileged", &Q.to_string()])?;
    want_eq("REGISTER", other.line(SOON)?, "EPERM".to_string())?;
    want_eq("NIOCQADD", other.line(SOON)?, "EPERM".to_string())?;
    want_eq("state", state(Q)?, Q_KERNEL)
}
