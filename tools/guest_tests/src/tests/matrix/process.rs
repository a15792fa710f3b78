// SPDX-License-Identifier: GPL-2.0
//! Rows: what happens to the processes that have the queues. They are others than the test's
//! ([`super::cast`]), and their traffic comes from the test's stage.

use super::program::programs_of;
use super::stage::{Stage, SOON};
use super::{rows, Case, Column, Outcome, Outcome::*};
use crate::abi::*;
use crate::check::*;
use crate::helper::Helper;
use crate::passing;
use crate::setup::eventually;
use anyhow::{bail, Context, Result};
use std::os::fd::RawFd;
use std::time::{Duration, Instant};

rows! {
    sigkill = "SIGKILL" by sigkill, Quick =>
        [NoCase, Returned, Returned, Returned, Returned];
    exit_in_mid_call = "the process exits while its threads are in poll(), ioctl() and mmap()" by exit_in_mid_call, Quick =>
        [NoCase, Returned, Returned, Returned, Returned];
    sigstop = "SIGSTOP, then SIGCONT" by sigstop, Thorough =>
        [NoCase, WorksOn, WorksOn, WorksOn, WorksOn],
        "What arrives meanwhile waits in the rings, and is dropped by the card when they are full, on these queues alone. A kernel loop ends with EINTR.";
    core_dump = "a crash with a core dump" by core_dump, Thorough =>
        [NoCase, Returned, Returned, Returned, Returned],
        "The mapping is not in the core.";
    oom_kill = "the kernel kills it for want of memory" by oom_kill, Thorough =>
        [NoCase, Returned, Returned, Returned, Returned];
    traced = "another process traces it and reads its mapping" by traced, Thorough =>
        [NoCase, WorksOn, WorksOn, WorksOn, WorksOn];
    fork = "fork(), both sync, the parent is killed, the child reads on" by fork, Quick =>
        [NoCase, WorksOn, WorksOn, WorksOn, WorksOn],
        "The queues stay out until the last of them has closed and unmapped.";
    exec_kept = "exec() with descriptors that stay open" by exec_kept, Thorough =>
        [NoCase, WorksOn, WorksOn, WorksOn, WorksOn],
        "The mapping ends with the old program; the new one maps again.";
    exec_closed = "exec() with descriptors that are closed (O_CLOEXEC)" by exec_closed, Thorough =>
        [NoCase, Returned, Returned, Returned, Returned];
    fd_passed = "descriptors sent to another process (SCM_RIGHTS), the sender ends" by fd_passed, Quick =>
        [NoCase, WorksOn, WorksOn, WorksOn, WorksOn],
        "On the way they keep the queues out.";
}

/// A second process that plays in `manner`.
fn cast(column: Column, manner: &str, more: &[String]) -> Result<Helper> {
    let column = format!("{column:?}");
    let mut words = vec!["cast", manner, &column];
    words.extend(more.iter().map(String::as_str));
    let helper = Helper::start(&words)?;
    helper.line_with("ready")?;
    Ok(helper)
}

/// Frames a process has got.
fn frames(holder: &mut Helper) -> Result<u64> {
    holder.tell("frames")?;
    let line = holder.line_with("frames ")?;
    Ok(line.trim_start_matches("frames ").parse()?)
}

/// Frames arrive at the process that has the queues, and at the kernel if it has any.
fn flows(stage: &Stage, holder: &mut Helper) -> Result<()> {
    let before = frames(holder)?;
    eventually("frames arrive at the process", SOON, || {
        Ok(frames(holder)? >= before + 40)
    })?;
    stage.flows()
}

impl Case {
    /// `manner`: how the process plays; `act`: what happens to it, and who has the queues then.
    fn play_process(
        self,
        manner: &str,
        more: &[String],
        reads: bool,
        act: impl FnOnce(&mut Stage, Helper) -> Result<Option<Helper>>,
    ) -> Result<()> {
        let mut stage = Stage::bare(self.column)?;
        let mut holder = cast(self.column, manner, more)?;
        stage.begin()?;
        match reads {
            true => flows(&stage, &mut holder)?,
            false => stage.flows()?,
        }
        let before = stage.snapshot()?;
        let after = act(&mut stage, holder)?;
        match (self.outcome, after) {
            (Outcome::WorksOn, Some(mut holder)) => {
                flows(&stage, &mut holder)?;
                stage.untouched(&before)?;
                holder.end()?;
            }
            (Outcome::Returned, None) => stage.returned()?,
            (outcome, _) => bail!("this act does not end so: {outcome}"),
        }
        stage.link_kept(&before)?;
        stage.hush_kernel()?;
        stage.end()
    }
}

fn sigkill(case: Case) -> Result<()> {
    case.play_process("read", &[], true, |_, holder| {
        holder.kill()?;
        Ok(None)
    })
}

/// Each thread may be anywhere in the driver; some dozen times in a thorough run.
fn exit_in_mid_call(case: Case) -> Result<()> {
    case.play_process("read", &[], true, |stage, mut holder| {
        for last in (0..crate::deep::count(1, 12)).rev() {
            holder.tell("busy")?;
            holder.line_with("busy")?;
            std::thread::sleep(Duration::from_millis(100));
            let begin = Instant::now();
            holder.tell("exit")?;
            holder.gone(SOON)?;
            println!("gone after {:?}", begin.elapsed());
            stage.returned()?;
            if last == 0 {
                break;
            }
            holder = cast(stage.column, "read", &[])?;
        }
        Ok(None)
    })
}

fn sigstop(case: Case) -> Result<()> {
    case.play_process("read", &[], true, |_, holder| {
        holder.signal(libc::SIGSTOP);
        std::thread::sleep(Duration::from_millis(300));
        holder.signal(libc::SIGCONT);
        Ok(Some(holder))
    })
}

/// Where a crashed process leaves its core, while the guard lives.
struct Cores {
    before: String,
}

const CORE_PATTERN: &str = "/proc/sys/kernel/core_pattern";

impl Cores {
    fn kept() -> Result<Cores> {
        let before = std::fs::read_to_string(CORE_PATTERN)?;
        std::fs::write(CORE_PATTERN, "/tmp/nm_core.%p")?;
        let limit = libc::rlimit {
            rlim_cur: libc::RLIM_INFINITY,
            rlim_max: libc::RLIM_INFINITY,
        };
        // SAFETY: a structure that lives across the call.
        match unsafe { libc::setrlimit(libc::RLIMIT_CORE, &limit) } {
            0 => Ok(Cores { before }),
            _ => bail!("setrlimit: {}", Errno::last()),
        }
    }
}

impl Drop for Cores {
    fn drop(&mut self) {
        let _ = std::fs::write(CORE_PATTERN, &self.before);
    }
}

fn core_dump(case: Case) -> Result<()> {
    let cores = Cores::kept()?;
    case.play_process("read", &[], true, move |_, mut holder| {
        let path = format!("/tmp/nm_core.{}", holder.pid());
        holder.tell("crash")?;
        holder.gone(SOON)?;
        drop(cores);
        let core = std::fs::metadata(&path).context("no core was written")?;
        println!("{} bytes of core", core.len());
        let blocks = std::os::unix::fs::MetadataExt::blocks(&core);
        std::fs::remove_file(&path)?;
        // the frames of one ring would be a megabyte
        want(&format!("{blocks} blocks of 512 bytes"), blocks < 12_000)?;
        Ok(None)
    })
}

/// A memory cgroup; its processes must have ended when it is dropped.
struct Cgroup(String);

impl Cgroup {
    fn new(limit: &str) -> Result<Cgroup> {
        const ROOT: &str = "/tmp/nm_cgroup";
        std::fs::create_dir_all(ROOT)?;
        if !std::fs::exists(format!("{ROOT}/cgroup.procs"))? {
            crate::steer::run("mount", &["-t", "cgroup2", "none", ROOT])?;
        }
        std::fs::write(format!("{ROOT}/cgroup.subtree_control"), "+memory")?;
        let group = format!("{ROOT}/nm_{}", std::process::id());
        std::fs::create_dir_all(&group)?;
        std::fs::write(format!("{group}/memory.max"), limit)?;
        Ok(Cgroup(group))
    }

    fn enter(&self, pid: u32) -> Result<()> {
        Ok(std::fs::write(
            format!("{}/cgroup.procs", self.0),
            pid.to_string(),
        )?)
    }

    fn killed(&self) -> Result<bool> {
        let events = std::fs::read_to_string(format!("{}/memory.events", self.0))?;
        let kills = events.lines().find_map(|l| l.strip_prefix("oom_kill "));
        Ok(kills.context("no oom_kill in memory.events")? != "0")
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir(&self.0);
    }
}

fn oom_kill(case: Case) -> Result<()> {
    case.play_process("read", &[], true, |_, mut holder| {
        let group = Cgroup::new("64M")?;
        group.enter(holder.pid())?;
        holder.tell("eat")?;
        holder.gone(SOON)?;
        want("it was killed for want of memory", group.killed()?)?;
        Ok(None)
    })
}

/// A page.
const PAGE: u64 = 4096;
/// One page of so many is read; a prime, so that rings and buffers of any size are met.
const EACH: usize = 31;

/// Reads the process's mappings of the device, as a debugger would.
fn traced(case: Case) -> Result<()> {
    case.play_process("read", &[], true, |_, holder| {
        let pid = holder.pid() as libc::pid_t;
        // SAFETY: no memory involved.
        let attached = unsafe { libc::ptrace(libc::PTRACE_ATTACH, pid, 0, 0) };
        want_eq("PTRACE_ATTACH", attached, 0)?;
        // SAFETY: waits for the thread just attached to; no status is asked for.
        unsafe { libc::waitpid(pid, std::ptr::null_mut(), libc::__WALL) };
        let read = peek(pid);
        // SAFETY: no memory involved.
        unsafe { libc::ptrace(libc::PTRACE_DETACH, pid, 0, 0) };
        let (read, size) = read?;
        println!("{read} bytes of each {EACH}th page of {size} bytes");
        // the rest has no pages: nothing was allocated there
        want("rings and buffers can be read", read > 10 * PAGE)?;
        Ok(Some(holder))
    })
}

/// Bytes of /dev/netmap in a process that /proc/PID/mem gives, and the size of the mappings.
fn peek(pid: libc::pid_t) -> Result<(u64, u64)> {
    use std::os::unix::fs::FileExt;
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps"))?;
    let mem = std::fs::File::open(format!("/proc/{pid}/mem"))?;
    let (mut read, mut size) = (0, 0);
    for line in maps.lines().filter(|l| l.ends_with("/dev/netmap")) {
        let range = line.split(' ').next().and_then(|r| r.split_once('-'));
        let (from, to) = range.with_context(|| format!("no range in '{line}'"))?;
        let from = u64::from_str_radix(from, 16)?;
        let to = u64::from_str_radix(to, 16)?;
        size += to - from;
        let mut page = [0; PAGE as usize];
        for at in (from..to).step_by(page.len() * EACH) {
            read += mem.read_at(&mut page, at).unwrap_or(0) as u64;
        }
    }
    Ok((read, size))
}

fn fork(case: Case) -> Result<()> {
    case.play_process("fork", &[], false, |stage, mut holder| {
        std::thread::sleep(Duration::from_millis(100));
        holder.signal(libc::SIGKILL);
        // the child has the same standard input and output
        holder.line_with("ready")?;
        stage.states(Q_NETMAP)?;
        holder.forked();
        Ok(Some(holder))
    })
}

fn exec_kept(case: Case) -> Result<()> {
    case.play_process("exec", &["keep".into()], false, |_, mut holder| {
        holder.tell("exec")?;
        holder.line_with("ready")?;
        Ok(Some(holder))
    })
}

fn exec_closed(case: Case) -> Result<()> {
    case.play_process("exec", &["close".into()], false, |stage, mut holder| {
        stage.states(Q_NETMAP)?;
        holder.tell("exec")?;
        holder.line_with("ready")?;
        stage.returned()?;
        holder.end()?;
        Ok(None)
    })
}

/// Both ends of a socket, which the processes started meanwhile inherit.
struct Ends([RawFd; 2]);

impl Drop for Ends {
    fn drop(&mut self) {
        passing::close(&self.0);
    }
}

fn fd_passed(case: Case) -> Result<()> {
    let ends = Ends(passing::pair()?);
    let [from, to] = ends.0.map(|fd| fd.to_string());
    let count = programs_of(case.column).to_string();
    case.play_process("give", &[from], false, move |stage, mut giver| {
        let mut taker = cast(Column::None, "take", &[to, count])?;
        giver.tell("give")?;
        giver.line_with("given")?;
        giver.end()?;
        // on their way: nobody has them
        stage.states(Q_NETMAP)?;
        drop(ends);
        taker.tell("take")?;
        taker.line_with("ready")?;
        Ok(Some(taker))
    })
}
