// SPDX-License-Identifier: GPL-2.0
//! Processes that may hang or die, and what is said of them.
//!
//! Whatever is hostile runs in a child. Nobody may hang: a child that makes no progress is
//! shown with its kernel stacks, and one that cannot even be killed is the worst of findings.

use anyhow::{bail, Result};
use std::fs;
use std::time::{Duration, Instant};

/// The longest a process may take to die: as long as the kernel waits until it says that a task
/// hangs. On a busy machine with all of the kernel's checks, one RCU grace period takes seconds.
const DEAD: Duration = Duration::from_secs(120);

/// A child of fork().
pub struct Child {
    pub pid: i32,
    reaped: bool,
}

/// How a child ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Code(i32),
    Signal(i32),
}

impl Child {
    /// Runs `work` in a child; its value is the exit code.
    pub fn fork(work: impl FnOnce() -> i32) -> Result<Child> {
        // SAFETY: the callers are single-threaded, so the child may go on as usual.
        match unsafe { libc::fork() } {
            -1 => bail!("fork: {}", std::io::Error::last_os_error()),
            0 => {
                // SAFETY: the child of a fuzzer does not outlive it.
                unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
                let code = work();
                // SAFETY: ends this process.
                unsafe { libc::_exit(code) }
            }
            pid => Ok(Child { pid, reaped: false }),
        }
    }

    /// Its end, if it has ended.
    pub fn ended(&mut self) -> Option<End> {
        let mut status = 0;
        // SAFETY: a child of ours that was not waited for.
        if self.reaped || unsafe { libc::waitpid(self.pid, &mut status, libc::WNOHANG) } <= 0 {
            return None;
        }
        self.reaped = true;
        Some(if libc::WIFSIGNALED(status) {
            End::Signal(libc::WTERMSIG(status))
        } else {
            End::Code(libc::WEXITSTATUS(status))
        })
    }

    /// Its end, within a time.
    pub fn wait(&mut self, limit: Duration) -> Option<End> {
        let end = Instant::now() + limit;
        loop {
            if let Some(e) = self.ended() {
                return Some(e);
            }
            if Instant::now() > end {
                return None;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    pub fn kill(&self) {
        if !self.reaped {
            // SAFETY: a child of ours that was not waited for.
            unsafe { libc::kill(self.pid, libc::SIGKILL) };
        }
    }

    /// Kills it.
    ///
    /// # Errors
    ///
    /// It does not die: it sleeps in the kernel for good.
    pub fn killed(mut self) -> Result<()> {
        if self.reaped {
            return Ok(());
        }
        self.kill();
        if self.wait(DEAD).is_none() {
            bail!(
                "process {} is not gone {DEAD:?} after SIGKILL:\n{}",
                self.pid,
                stacks(self.pid)
            );
        }
        Ok(())
    }
}

/// Where in the kernel each thread of a process is.
pub fn stacks(pid: i32) -> String {
    let mut text = String::new();
    let tasks = fs::read_dir(format!("/proc/{pid}/task"));
    for task in tasks.into_iter().flatten().flatten() {
        let stack = fs::read_to_string(task.path().join("stack")).unwrap_or_default();
        text += &format!("thread {}:\n{stack}\n", task.file_name().to_string_lossy());
    }
    text
}
