// SPDX-License-Identifier: GPL-2.0
//! Runs tests one by one, each in a process of its own with a time limit, and
//! prints KTAP.
//!
//! A test has failed if its process says so, dies or hangs; if the kernel log
//! shows damage; or if the port is not as the test found it.

use crate::deep::{self, patience};
use crate::kmsg::{damage, Kmsg};
use crate::setup;
use crate::state::State;
use crate::steer::carrier_changes;
use crate::tests::Test;
use anyhow::{Context, Result};
use std::fs::{self, File};
use std::io::{Read, Seek, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// Exit code of a test that cannot run here.
pub const SKIPPED: i32 = 4;
/// Marks the line of a test's output that gives the reason.
pub const REASON: &str = "reason: ";

/// What came of a test.
enum Verdict {
    Ok,
    Failed(String),
    Skipped(String),
    /// It failed and its process cannot even be killed.
    Stuck(String),
}

/// Runs the tests in order; true if none failed.
pub fn run(tests: &[&Test]) -> Result<bool> {
    println!("KTAP version 1\n1..{}", tests.len());
    setup::ensure().context("set-up")?;
    let mut kmsg = Kmsg::from_now();
    let mut before = State::read();
    let mut changes = carrier_changes()?;
    let (mut passed, mut failed, mut skipped) = (0, 0, 0);
    for (i, test) in tests.iter().enumerate() {
        let started = Instant::now();
        let mut verdict = one(test)?;
        let log = kmsg.new_lines();
        if let Some(line) = damage(&log, test.logs) {
            verdict = worse(verdict, format!("kernel log: {line}"));
        }
        let after = State::read();
        for difference in before.differences(&after) {
            verdict = worse(verdict, format!("left behind: {difference}"));
        }
        let now = carrier_changes().unwrap_or(0);
        if now != changes && !test.flaps {
            verdict = worse(
                verdict,
                format!("the link flapped: carrier_changes {changes} -> {now}"),
            );
        }
        changes = now;
        let took = started.elapsed().as_secs_f32();
        let (n, name) = (i + 1, test.full_name());
        match &verdict {
            Verdict::Ok => {
                passed += 1;
                println!("ok {n} {name}");
            }
            Verdict::Skipped(why) => {
                skipped += 1;
                println!("ok {n} {name} # SKIP {why}");
            }
            Verdict::Failed(why) | Verdict::Stuck(why) => {
                failed += 1;
                for line in &log {
                    println!("# kernel: {line}");
                }
                println!("not ok {n} {name} # {why}");
            }
        }
        println!("# {name} took {took:.1} s");
        let _ = std::io::stdout().flush();
        match verdict {
            Verdict::Stuck(_) => {
                println!("Bail out! {name} cannot be killed; reboot the guest");
                return Ok(false);
            }
            Verdict::Failed(_) => {
                if let Err(e) = setup::repair() {
                    println!("# repair: {e:#}");
                }
                changes = carrier_changes().unwrap_or(0);
                // what repair cannot undo is not the next test's fault
                before = State::read();
            }
            _ => {}
        }
    }
    println!("# passed {passed}, failed {failed}, skipped {skipped}");
    Ok(failed == 0)
}

/// Adds a reason to a verdict, which thereby is a failure.
fn worse(verdict: Verdict, why: String) -> Verdict {
    match verdict {
        Verdict::Ok | Verdict::Skipped(_) => Verdict::Failed(why),
        Verdict::Failed(first) => Verdict::Failed(format!("{first}; {why}")),
        Verdict::Stuck(first) => Verdict::Stuck(format!("{first}; {why}")),
    }
}

/// Runs one test in a child; its output is printed as diagnostics.
fn one(test: &Test) -> Result<Verdict> {
    let mut output = unnamed_file()?;
    let mut child = Command::new(std::env::current_exe()?)
        .args(["--child", &test.full_name()])
        .stdin(Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(output.try_clone()?)
        .process_group(0)
        .spawn()
        .context("start the test's process")?;
    let limit = deep::limit(test.limit);
    let status = wait(&mut child, limit)?;
    let where_it_hangs = if status.is_none() {
        stacks(child.id())
    } else {
        String::new()
    };
    // helpers the test started are in its group
    // SAFETY: signals a process group this process created.
    unsafe { libc::kill(-(child.id() as i32), libc::SIGKILL) };
    let dead = wait(&mut child, patience(Duration::from_secs(10)))?;
    let mut text = String::new();
    output.rewind()?;
    let mut bytes = Vec::new();
    output.read_to_end(&mut bytes)?;
    text.push_str(&String::from_utf8_lossy(&bytes));
    for line in text.lines().chain(where_it_hangs.lines()) {
        println!("# {line}");
    }
    let reason = text
        .lines()
        .find_map(|l| l.strip_prefix(REASON))
        .unwrap_or("no reason given")
        .replace('#', "");
    Ok(match (status, dead) {
        (_, None) => Verdict::Stuck(format!(
            "not gone in time after SIGKILL (limit {} s)",
            limit.as_secs()
        )),
        (None, _) => Verdict::Failed(format!("no end after {} s", limit.as_secs())),
        (Some(s), _) if s.success() => Verdict::Ok,
        (Some(s), _) if s.code() == Some(SKIPPED) => Verdict::Skipped(reason),
        (Some(s), _) => match s.signal() {
            Some(sig) => Verdict::Failed(format!("died of signal {sig}")),
            None => Verdict::Failed(reason),
        },
    })
}

/// Waits for a child with a limit.
fn wait(child: &mut Child, limit: Duration) -> Result<Option<ExitStatus>> {
    let end = Instant::now() + limit;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() > end {
            return Ok(None);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Where in the kernel each thread of a hanging test is.
fn stacks(pid: u32) -> String {
    let mut text = String::new();
    for task in fs::read_dir(format!("/proc/{pid}/task"))
        .into_iter()
        .flatten()
        .flatten()
    {
        let stack = fs::read_to_string(task.path().join("stack")).unwrap_or_default();
        text += &format!(
            "hangs in thread {}:\n{stack}\n",
            task.file_name().to_string_lossy()
        );
    }
    text
}

/// A file without a name, for a child's output.
fn unnamed_file() -> Result<File> {
    // SAFETY: a NUL-terminated name; the descriptor that comes back is ours.
    let fd = unsafe { libc::memfd_create(c"nm_test".as_ptr(), libc::MFD_CLOEXEC) };
    if fd < 0 {
        return Err(std::io::Error::last_os_error()).context("memfd_create");
    }
    // SAFETY: just created, owned by nobody else.
    Ok(unsafe { std::os::fd::FromRawFd::from_raw_fd(fd) })
}
