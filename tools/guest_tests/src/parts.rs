// SPDX-License-Identifier: GPL-2.0
//! The parts this binary plays in other processes (see [`crate::helper`]).

use crate::abi::{Register, NIC_SW, NO_RINGS};
use crate::actor;
use crate::blackout;
use crate::check::{Errno, Sys};
use crate::churn;
use crate::fd::{one_rx, Fd};
use crate::frame::{mark, outgoing, parse_udp, unhex};
use crate::port::Port;
use crate::sock::Flow;
use crate::steer::{ifname, run};
use crate::tests::extmem;
use crate::tests::putback::put_copy;
use anyhow::{bail, Context, Result};
use std::io::{Read, Write};
use std::time::Duration;

/// Plays a part in this process.
pub fn play(part: &[String]) -> Result<()> {
    let num = |i: usize| -> Result<u32> { Ok(part.get(i).context("argument missing")?.parse()?) };
    match part[0].as_str() {
        "actor" => actor::play(),
        "hold" => hold(num(1)?),
        "cast" => crate::tests::matrix::cast(&part[1..]),
        "hold-as" => {
            become_user(num(1)?)?;
            hold(num(2)?)
        }
        "send" => send(num(1)?),
        "search-as" => search(num(1)?, num(2)?),
        "join-as" => {
            become_user(num(1)?)?;
            let mut reg = one_rx(num(2)?);
            reg.mem_id = num(3)? as u16;
            say(&result(Port::open(&ifname(), reg).map(drop)))
        }
        "in-namespace" => in_namespace(&part[1]),
        "nic-sw" => {
            let all = Register {
                mode: NIC_SW,
                ..Register::default()
            };
            let _port = Port::open(&ifname(), all)?;
            say("ready")?;
            until_told()
        }
        "recv" => recv(num(1)?, num(2)? as u16, num(3)? as usize),
        "open" => say(&result(Fd::open().map(drop))),
        "unprivileged" => unprivileged(num(1)?),
        "kloop" => kloop(num(1)?),
        "extmem" => {
            let _port = extmem::hold(num(1)?)?;
            say("ready")?;
            until_told()
        }
        "blackout" => blackout::print(num(1)?, num(2)?, num(3)?, num(4)?),
        "churn" => churn::forever(num(1)?.into(), num(2)?, num(3)?),
        "memlock" => memlock(num(1)?),
        "idle" => {
            say("ready")?;
            until_told()
        }
        other => bail!("no part '{other}'"),
    }
}

/// A line for the test.
pub fn say(line: &str) -> Result<()> {
    println!("{line}");
    std::io::stdout().flush()?;
    Ok(())
}

/// What a call gave, as one word.
fn result(r: Sys<()>) -> String {
    r.map_or_else(|e: Errno| e.to_string(), |()| "ok".to_string())
}

fn until_told() -> Result<()> {
    let mut rest = Vec::new();
    std::io::stdin().read_to_end(&mut rest)?;
    Ok(())
}

/// Takes a queue and keeps it without ever syncing.
fn hold(queue: u32) -> Result<()> {
    let port = Port::rx(queue);
    match &port {
        Ok(_) => say("ready")?,
        Err(e) => say(&e.to_string())?,
    }
    until_told()
}

/// As another user (0: none other): takes a queue, then looks for what it is told in all of its
/// mapping.
fn search(uid: u32, queue: u32) -> Result<()> {
    if uid != 0 {
        become_user(uid)?;
    }
    let port = Port::rx(queue)?;
    say(&format!("mem_id {}", port.reg.mem_id))?;
    for line in std::io::stdin().lines() {
        let what = unhex(&line?).context("not hex")?;
        let (pages, hits) = port.mem.search(&what);
        say(&format!("pages {pages} hits {hits}"))?;
    }
    Ok(())
}

/// In a network namespace of its own: waits until the interface has come, registers it.
fn in_namespace(name: &str) -> Result<()> {
    // SAFETY: this process alone moves to a new, empty network namespace.
    if unsafe { libc::unshare(libc::CLONE_NEWNET) } != 0 {
        bail!("unshare: {}", Errno::last());
    }
    say("ready")?;
    std::io::stdin().lines().next();
    run("ip", &["link", "set", "dev", name, "up"])?;
    let id = Port::open(name, one_rx(0)).map(|p| p.reg.mem_id);
    say(&id.map_or_else(|e| e.to_string(), |id| format!("mem_id {id}")))?;
    until_told()
}

/// Takes a TX ring and sends as fast as it goes, until it is killed.
fn send(queue: u32) -> Result<()> {
    let port = Port::tx(queue)?;
    let ring = port.tx_ring(queue)?;
    say("ready")?;
    for seq in 0.. {
        while ring.space() == 0 {
            port.fd.poll(libc::POLLOUT, Duration::from_secs(1))?;
        }
        put_copy(&ring, &outgoing(seq, 300))?;
    }
    Ok(())
}

/// Takes a queue, receives `n` generated frames to `dport`, reports.
fn recv(queue: u32, dport: u16, n: usize) -> Result<()> {
    let port = Port::rx(queue)?;
    say("ready")?;
    let frames = port.recv(queue, dport, n, Duration::from_secs(20))?;
    let mut flow = Flow::default();
    for f in &frames {
        let seq = parse_udp(f)
            .and_then(|u| mark(u.payload))
            .context("a frame without the generator's mark")?
            .seq;
        flow.see(seq);
    }
    say(&format!(
        "got {} skipped {} late {}",
        flow.count, flow.skipped, flow.late
    ))?;
    until_told()
}

/// Takes a queue and stays in a kernel loop.
fn kloop(queue: u32) -> Result<()> {
    let mut reg = one_rx(queue);
    reg.flags |= crate::abi::EXCLUSIVE;
    let port = Port::open(&ifname(), reg)?;
    let csb = crate::csb::Csb::new()?;
    let mut opt = csb.option();
    crate::csb::enable(&port.fd, &raw mut opt as u64)?;
    let _loop = crate::csb::Loop::start(&port.fd, 0, 0)?;
    std::thread::sleep(Duration::from_millis(100));
    say("ready")?;
    until_told()
}

/// Gives up CAP_NET_ADMIN, then asks for what needs it.
fn unprivileged(queue: u32) -> Result<()> {
    let early = Fd::open()?;
    let mut none = Register {
        flags: one_rx(0).flags | NO_RINGS,
        ..one_rx(0)
    };
    early
        .register(&ifname(), &mut none)
        .context("register without rings, as root")?;
    drop_net_admin()?;
    say(&result(
        Fd::open().and_then(|fd| fd.register(&ifname(), &mut one_rx(queue))),
    ))?;
    say(&result(early.qadd(queue)))
}

/// May lock 4 MiB and no more; asks for regions in own memory.
fn memlock(queue: u32) -> Result<()> {
    let limit = libc::rlimit {
        rlim_cur: 4 << 20,
        rlim_max: 4 << 20,
    };
    // SAFETY: a structure that lives across the call.
    if unsafe { libc::setrlimit(libc::RLIMIT_MEMLOCK, &limit) } != 0 {
        bail!("setrlimit: {}", std::io::Error::last_os_error());
    }
    set_caps(|word| word & !(1 << CAP_IPC_LOCK))?;
    for len in [8 << 20, 2 << 20, 2 << 20] {
        say(&result(extmem::under_limit(queue, len)?))?;
    }
    Ok(())
}

/// Becomes another user, who keeps of root's rights those to administer networks and to
/// open /dev/netmap.
pub fn become_user(uid: u32) -> Result<()> {
    // SAFETY: plain system calls about this process's credentials; no other threads yet.
    let failed = unsafe {
        libc::prctl(libc::PR_SET_KEEPCAPS, 1) != 0
            || libc::setgroups(0, std::ptr::null()) != 0
            || libc::setgid(uid) != 0
            || libc::setuid(uid) != 0
    };
    if failed {
        bail!("become user {uid}: {}", std::io::Error::last_os_error());
    }
    set_caps(|_| (1 << CAP_NET_ADMIN) | (1 << CAP_DAC_OVERRIDE))
}

const CAP_DAC_OVERRIDE: u32 = 1;
const CAP_NET_ADMIN: u32 = 12;
const CAP_IPC_LOCK: u32 = 14;

fn drop_net_admin() -> Result<()> {
    set_caps(|word| word & !(1 << CAP_NET_ADMIN))
}

/// Changes the low word of each of the three sets.
pub fn set_caps(change: impl Fn(u32) -> u32) -> Result<()> {
    const VERSION_3: u32 = 0x2008_0522;
    let mut header = [VERSION_3, 0];
    // effective, permitted, inheritable; low words, then high words
    let mut data = [0u32; 6];
    // SAFETY: both arrays have the sizes version 3 asks for.
    let got = unsafe { libc::syscall(libc::SYS_capget, header.as_mut_ptr(), data.as_mut_ptr()) };
    for word in &mut data[..3] {
        *word = change(*word);
    }
    // SAFETY: as above.
    let set = unsafe { libc::syscall(libc::SYS_capset, header.as_mut_ptr(), data.as_ptr()) };
    if got != 0 || set != 0 {
        bail!("capget/capset: {}", std::io::Error::last_os_error());
    }
    Ok(())
}
