// SPDX-License-Identifier: GPL-2.0
//! Second programs: parts this binary plays in another process, because a
//! test needs two programs, one that is killed, or one without rights.
//!
//! A part prints lines; the test reads them.  It ends when its standard input
//! is closed, which also happens when the test dies.

use crate::abi::{Register, NO_RINGS};
use crate::check::{Errno, Sys};
use crate::fd::{one_rx, Fd};
use crate::frame::{mark, parse_udp};
use crate::port::Port;
use crate::sock::Flow;
use crate::steer::ifname;
use crate::tests::extmem;
use anyhow::{bail, Context, Result};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{channel, Receiver};
use std::time::Duration;

/// A part being played in another process.
pub struct Helper {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
}

impl Helper {
    pub fn start(part: &[&str]) -> Result<Helper> {
        Helper::start_as(part, None)
    }

    /// As another user, with no supplementary groups.
    pub fn start_as(part: &[&str], uid: Option<u32>) -> Result<Helper> {
        let mut cmd = Command::new(std::env::current_exe()?);
        cmd.arg("--helper").args(part);
        if let Some(uid) = uid {
            cmd.uid(uid).gid(uid);
        }
        Helper::spawn(cmd)
    }

    /// Another program of this repository.
    pub fn program(name: &str, args: &[&str]) -> Result<Helper> {
        let mut cmd = Command::new(name);
        cmd.args(args);
        Helper::spawn(cmd)
    }

    fn spawn(mut cmd: Command) -> Result<Helper> {
        cmd.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = cmd.spawn().with_context(|| format!("start {cmd:?}"))?;
        let out = child.stdout.take().context("no standard output")?;
        let (tx, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                if tx.send(line).is_err() {
                    return;
                }
            }
        });
        let stdin = child.stdin.take();
        Ok(Helper {
            child,
            stdin,
            lines,
        })
    }

    /// The next line the part prints.
    pub fn line(&self, limit: Duration) -> Result<String> {
        match self.lines.recv_timeout(limit) {
            Ok(line) => Ok(line),
            Err(_) => bail!("helper said nothing within {limit:?}"),
        }
    }

    /// Waits for a line that contains `text`.
    pub fn line_with(&self, text: &str) -> Result<String> {
        let mut seen = Vec::new();
        loop {
            let line = self.line(Duration::from_secs(15));
            match line.with_context(|| format!("no line with '{text}', only {seen:?}"))? {
                line if line.contains(text) => return Ok(line),
                other => seen.push(other),
            }
        }
    }

    /// Sends a signal; the exit code once it has ended.
    pub fn ended_by(mut self, signal: i32) -> Result<Option<i32>> {
        // SAFETY: a child that was not waited for yet.
        unsafe { libc::kill(self.child.id() as i32, signal) };
        Ok(self.child.wait()?.code())
    }

    /// Waits for the line "ready".
    pub fn ready(&self) -> Result<()> {
        match self.line(Duration::from_secs(10))?.as_str() {
            "ready" => Ok(()),
            other => bail!("helper: {other}"),
        }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// SIGKILL, and wait until it is gone.
    pub fn kill(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Lets it end by itself, and waits for that.
    pub fn end(mut self) -> Result<()> {
        drop(self.stdin.take());
        let status = self.child.wait()?;
        if !status.success() {
            bail!("helper: {status}");
        }
        Ok(())
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Plays a part in this process.
pub fn play(part: &[String]) -> Result<()> {
    let num = |i: usize| -> Result<u32> { Ok(part.get(i).context("argument missing")?.parse()?) };
    match part[0].as_str() {
        "hold" => hold(num(1)?),
        "recv" => recv(num(1)?, num(2)? as u16, num(3)? as usize),
        "open" => say(&result(Fd::open().map(drop))),
        "unprivileged" => unprivileged(num(1)?),
        "kloop" => kloop(num(1)?),
        "extmem" => {
            let _port = extmem::hold(num(1)?)?;
            say("ready")?;
            until_told()
        }
        "memlock" => memlock(num(1)?),
        "idle" => {
            say("ready")?;
            until_told()
        }
        other => bail!("no part '{other}'"),
    }
}

fn say(line: &str) -> Result<()> {
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
    drop_capability(CAP_NET_ADMIN)?;
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
    drop_capability(CAP_IPC_LOCK)?;
    for len in [8 << 20, 2 << 20, 2 << 20] {
        say(&result(extmem::under_limit(queue, len)?))?;
    }
    Ok(())
}

const CAP_NET_ADMIN: u32 = 12;
const CAP_IPC_LOCK: u32 = 14;

fn drop_capability(which: u32) -> Result<()> {
    const VERSION_3: u32 = 0x2008_0522;
    let mut header = [VERSION_3, 0];
    // effective, permitted, inheritable; low words, then high words
    let mut data = [0u32; 6];
    // SAFETY: both arrays have the sizes version 3 asks for.
    let got = unsafe { libc::syscall(libc::SYS_capget, header.as_mut_ptr(), data.as_mut_ptr()) };
    for word in &mut data[..3] {
        *word &= !(1 << which);
    }
    // SAFETY: as above.
    let set = unsafe { libc::syscall(libc::SYS_capset, header.as_mut_ptr(), data.as_ptr()) };
    if got != 0 || set != 0 {
        bail!("capget/capset: {}", std::io::Error::last_os_error());
    }
    Ok(())
}
