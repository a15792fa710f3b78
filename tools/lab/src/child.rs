// SPDX-License-Identifier: GPL-2.0
//! Processes the lab starts: each is ours alone and never outlives us.
//!
//! Two nets: a [`Child`] is killed when dropped, and the kernel kills it when the thread
//! that started it dies (`PR_SET_PDEATHSIG`), so that even SIGKILL of the lab leaves
//! nothing behind. Long-lived children must therefore be started by a thread that lives
//! as long as they do; the lab starts them all from its main thread.

use anyhow::{Context, Result};
use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// A running process that dies with its owner.
#[derive(Debug)]
pub struct Child {
    name: String,
    inner: std::process::Child,
}

/// What a finished command said.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Exit status; 128 + signal when killed by one.
    pub status: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Outcome {
    /// Standard output, or an error that shows what was run and what it complained about.
    ///
    /// # Errors
    /// When the status is not 0.
    pub fn ok(self, what: &str) -> Result<String> {
        if self.status == 0 {
            return Ok(self.stdout);
        }
        let said = if self.stderr.trim().is_empty() {
            &self.stdout
        } else {
            &self.stderr
        };
        anyhow::bail!("'{what}' failed (status {}): {}", self.status, said.trim())
    }
}

/// Make `command`'s process get SIGKILL when the calling thread ends.
pub fn die_with_parent(command: &mut Command) -> &mut Command {
    let parent = std::process::id();
    // SAFETY: the closure runs between fork and exec and only makes the async-signal-safe
    // calls prctl, sigprocmask, getppid and _exit; it captures a plain integer and allocates nothing.
    unsafe {
        command.pre_exec(move || {
            if libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) != 0 {
                return Err(std::io::Error::last_os_error());
            }
            // The lab blocks the signals it waits for; the mask would be inherited.
            let mut none: libc::sigset_t = std::mem::zeroed();
            libc::sigemptyset(&mut none);
            libc::sigprocmask(libc::SIG_SETMASK, &none, std::ptr::null_mut());
            // The parent may have died before the line above took effect.
            if libc::getppid() as u32 != parent {
                libc::_exit(1);
            }
            Ok(())
        })
    }
}

/// The status as a shell would give it.
pub fn shell_status(status: ExitStatus) -> i32 {
    use std::os::unix::process::ExitStatusExt;
    status
        .code()
        .unwrap_or_else(|| 128 + status.signal().unwrap_or(0))
}

impl Child {
    /// Start `command`, its output going to the file `log`.
    ///
    /// # Errors
    /// When the program can't be started or the log can't be written.
    pub fn spawn(name: &str, command: &mut Command, log: &Path) -> Result<Self> {
        let out = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
        let err = out.try_clone()?;
        command.stdin(Stdio::null()).stdout(out).stderr(err);
        Self::start(name, command)
    }

    /// Start `command` with the descriptors it already has.
    ///
    /// # Errors
    /// When the program can't be started.
    pub fn start(name: &str, command: &mut Command) -> Result<Self> {
        let started = die_with_parent(command).spawn();
        let inner = started.with_context(|| {
            format!(
                "cannot start {name} ({}); 'make root tools' makes what the lab needs",
                command.get_program().to_string_lossy()
            )
        })?;
        Ok(Self {
            name: name.to_string(),
            inner,
        })
    }

    /// What it is called in messages.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.inner.id()
    }

    /// Its standard output, when it was started with a pipe there.
    pub fn take_stdout(&mut self) -> Option<std::process::ChildStdout> {
        self.inner.stdout.take()
    }

    /// Its exit status when it has ended.
    ///
    /// # Errors
    /// When the system can't say.
    pub fn ended(&mut self) -> Result<Option<i32>> {
        Ok(self.inner.try_wait()?.map(shell_status))
    }

    /// Wait for its end.
    ///
    /// # Errors
    /// When the system can't say.
    pub fn wait(&mut self) -> Result<i32> {
        Ok(shell_status(self.inner.wait()?))
    }

    /// Send `signal` to it.
    pub fn signal(&self, signal: i32) {
        // SAFETY: kill() takes plain integers; the pid is ours and not yet reaped, since
        // only wait()/try_wait() on `inner` reap it, so it names no other process.
        unsafe {
            libc::kill(self.inner.id() as i32, signal);
        }
    }

    /// Ask it to end (SIGTERM), and make it end after `patience`.
    pub fn stop(&mut self, patience: Duration) {
        if matches!(self.inner.try_wait(), Ok(Some(_))) {
            return;
        }
        self.signal(libc::SIGTERM);
        let until = Instant::now() + patience;
        while Instant::now() < until {
            if matches!(self.inner.try_wait(), Ok(Some(_))) {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = self.inner.kill();
        let _ = self.inner.wait();
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.stop(Duration::from_secs(2));
    }
}

/// Run `command` to its end and collect what it says.
///
/// # Errors
/// When it can't be started.
pub fn output(command: &mut Command) -> Result<Outcome> {
    let out = die_with_parent(command.stdin(Stdio::null()))
        .output()
        .with_context(|| format!("cannot run {}", command.get_program().to_string_lossy()))?;
    Ok(Outcome {
        status: shell_status(out.status),
        stdout: String::from_utf8_lossy(&out.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&out.stderr).into_owned(),
    })
}

/// Put this process, and all it starts from now on, before other work on this machine.
/// Without the right to do so everything stays as it is.
pub fn before_other_work() {
    // SAFETY: setpriority() takes plain integers; 0 names this process.
    unsafe {
        libc::setpriority(libc::PRIO_PROCESS, 0, -10);
    }
}

/// On SIGINT, SIGTERM and SIGHUP: run `cleanup` and leave with 128 + signal. Call it first
/// thing in `main`, before any thread exists: the signals are blocked here and waited for
/// by one thread.
pub fn on_signals(cleanup: fn()) {
    // SAFETY: sigset_t is plain data that sigemptyset initialises before use.
    let set = unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&mut set);
        for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP] {
            libc::sigaddset(&mut set, signal);
        }
        libc::pthread_sigmask(libc::SIG_BLOCK, &set, std::ptr::null_mut());
        set
    };
    std::thread::spawn(move || {
        let mut signal = 0;
        // SAFETY: `set` is initialised and `signal` outlives the call.
        if unsafe { libc::sigwait(&set, &mut signal) } == 0 {
            cleanup();
            std::process::exit(128 + signal);
        }
    });
}
