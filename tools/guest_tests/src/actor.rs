// SPDX-License-Identifier: GPL-2.0
//! A process whose rights and namespaces a test chooses, and which then does what it is told,
//! a line at a time: each line is one call, its answer "ok", what was asked for, or an errno.
//!
//! The test's side is [`Actor`], the process's side [`play`].

use crate::abi::*;
use crate::check::{Errno, Sys};
use crate::fd::{header, nmreq, Fd};
use crate::frame::unhex;
use crate::helper::Helper;
use crate::mem::Mem;
use crate::parts::{say, set_caps};
use anyhow::{bail, Context, Result};
use std::collections::BTreeMap;
use std::ffi::CString;
use std::fs;
use std::os::fd::AsRawFd;
use std::time::Duration;

/// The test's side.
pub struct Actor(Helper);

/// Longer than any call may take; taking all queues of a port is the longest.
const SOON: Duration = Duration::from_secs(20);

impl Actor {
    /// Root in the test's own namespaces, for the time being.
    pub fn start() -> Result<Actor> {
        let actor = Actor(Helper::start(&["actor"])?);
        actor.0.ready()?;
        Ok(actor)
    }

    /// User `uid` with these capabilities (names, "none") in every set.
    pub fn user(uid: u32, caps: &str) -> Result<Actor> {
        let mut actor = Actor::start()?;
        actor.must(&format!("become {uid} {caps}"))?;
        Ok(actor)
    }

    /// One call; its answer.
    pub fn ask(&mut self, line: &str) -> Result<String> {
        self.0.tell(line)?;
        self.0.line(SOON).with_context(|| format!("'{line}'"))
    }

    /// One call that must succeed.
    pub fn must(&mut self, line: &str) -> Result<()> {
        match self.ask(line)?.as_str() {
            "ok" => Ok(()),
            other => bail!("'{line}': {other}"),
        }
    }

    /// One call that must answer this.
    #[track_caller]
    pub fn want(&mut self, line: &str, answer: &str) -> Result<()> {
        let got = self.ask(line)?;
        crate::check::want_eq(line, got.as_str(), answer)
    }

    /// The process as the test sees it.
    pub fn pid(&self) -> u32 {
        self.0.pid()
    }

    /// Its user ids and group ids 0 to 65535 are `first` and the following of the test's
    /// namespace; it has done "unshare user" before.
    pub fn map_ids(&self, first: u32) -> Result<()> {
        for file in ["uid_map", "gid_map"] {
            let path = format!("/proc/{}/{file}", self.pid());
            fs::write(&path, format!("0 {first} 65536")).with_context(|| path)?;
        }
        Ok(())
    }

    /// It ends, and all it had is given back.
    pub fn end(self) -> Result<()> {
        self.0.end()
    }

    /// SIGKILL.
    pub fn kill(self) -> Result<()> {
        self.0.kill()
    }
}

/// The process's side: what it has open, by the names it was told.
#[derive(Default)]
struct Has {
    fds: BTreeMap<String, Fd>,
    maps: BTreeMap<String, Mem>,
    csb: Option<crate::csb::Csb>,
    own: Vec<Vec<u8>>,
}

/// Does what comes by standard input until that ends.
pub fn play() -> Result<()> {
    let mut has = Has::default();
    say("ready")?;
    for line in std::io::stdin().lines() {
        let line = line?;
        let words: Vec<&str> = line.split_whitespace().collect();
        let answer = has.call(&words).with_context(|| line.clone())?;
        say(&answer.unwrap_or_else(|e| e.to_string()))?;
    }
    Ok(())
}

/// "ok" for what answers nothing.
fn ok(r: Sys<()>) -> Sys<String> {
    r.map(|()| "ok".to_string())
}

/// -1 is an errno.
fn sys(r: i64) -> Sys<()> {
    match r {
        -1 => Err(Errno::last()),
        _ => Ok(()),
    }
}

fn no_errno(e: &std::io::Error) -> Errno {
    Errno(e.raw_os_error().unwrap_or(libc::EIO))
}

/// `key=value` words of a registration.
fn registration(words: &[&str]) -> Result<Register> {
    let mut reg = Register::default();
    for word in words {
        let (key, value) = word.split_once('=').context("not key=value")?;
        match key {
            "mode" => reg.mode = value.parse()?,
            "ring" => reg.ringid = value.parse()?,
            "mem" => reg.mem_id = value.parse()?,
            "extra" => reg.extra_bufs = value.parse()?,
            "flags" => {
                for flag in value.split('+') {
                    reg.flags |= match flag {
                        "rx" => RX_ONLY,
                        "tx" => TX_ONLY,
                        "private" => PRIVATE_MEM,
                        "exclusive" => EXCLUSIVE,
                        "putback" => PUTBACK,
                        "no_rings" => NO_RINGS,
                        other => bail!("no flag {other}"),
                    }
                }
            }
            other => bail!("no key {other}"),
        }
    }
    Ok(reg)
}

impl Has {
    fn fd(&self, name: &str) -> Result<&Fd> {
        self.fds.get(name).with_context(|| format!("no fd {name}"))
    }

    fn call(&mut self, words: &[&str]) -> Result<Sys<String>> {
        let arg = |i: usize| words.get(i).copied().context("an argument is missing");
        Ok(match arg(0)? {
            // rights and namespaces
            "become" => {
                let group = words.get(3).map(|g| g.parse()).transpose()?;
                ok(become_user(arg(1)?.parse()?, arg(2)?, group)?)
            }
            "caps" => {
                ok(set_caps(|_| caps_of(arg(1).unwrap_or("none"))).map_err(|_| Errno::last()))
            }
            "unshare" => ok(unshare(arg(1)?)?),
            "enter-net" => ok(enter_net(arg(1)?)?),
            "new-pid-namespace" => ok(new_pid_namespace()?),
            // files
            "open" => Fd::open().map(|fd| {
                self.fds
                    .insert(words.get(1).unwrap_or(&"a").to_string(), fd);
                "ok".to_string()
            }),
            "close" => {
                self.maps.remove(arg(1)?);
                self.fds.remove(arg(1)?);
                Ok("ok".to_string())
            }
            "read" => fs::read(arg(1)?)
                .map(|_| "ok".to_string())
                .map_err(|e| no_errno(&e)),
            "run" => match crate::steer::run(arg(1)?, &words[2..]) {
                Ok(_) => Ok("ok".to_string()),
                Err(e) => Ok(format!("{e:#}").replace('\n', " ")),
            },
            // requests: FD NAME …
            "register" => {
                let mut reg = registration(words.get(3..).unwrap_or(&[]))?;
                let name = if arg(2)? == "-" { "" } else { arg(2)? };
                self.fd(arg(1)?)?
                    .register(name, &mut reg)
                    .map(|()| format!("mem_id {}", reg.mem_id))
            }
            "regif" => {
                let reg = registration(words.get(3..).unwrap_or(&[]))?;
                let mut req = nmreq(arg(2)?);
                (req.flags, req.ringid) = (reg.mode | reg.flags as u32, reg.ringid);
                ok(self.fd(arg(1)?)?.regif(&mut req))
            }
            "ginfo" => ok(self.fd(arg(1)?)?.ginfo(&mut nmreq(arg(2)?))),
            "extmem" => ok(self.extmem(arg(1)?, arg(2)?, registration(&words[3..])?)?),
            "port-info" => ok(self.fd(arg(1)?)?.port_info(arg(2)?).map(drop)),
            "pools-info" => ok(self.fd(arg(1)?)?.pools_info(arg(2)?).map(drop)),
            "mem-info" => {
                let mut info = PortInfo {
                    mem_id: arg(2)?.parse()?,
                    ..Default::default()
                };
                ok(self.fd(arg(1)?)?.request("", REQ_PORT_INFO_GET, &mut info))
            }
            "hdr-get" => ok(self
                .fd(arg(1)?)?
                .request(arg(2)?, REQ_PORT_HDR_GET, &mut 0u64)),
            "hdr-set" => ok(self
                .fd(arg(1)?)?
                .request(arg(2)?, REQ_PORT_HDR_SET, &mut 12u64)),
            "config" => ok(self.fd(arg(1)?)?.config(&mut NmIfreq::default())),
            // on a registered fd
            "qadd" => ok(self.fd(arg(1)?)?.qadd(arg(2)?.parse()?)),
            "qdel" => ok(self.fd(arg(1)?)?.qdel(arg(2)?.parse()?)),
            "rxsync" => ok(self.fd(arg(1)?)?.rxsync()),
            "txsync" => ok(self.fd(arg(1)?)?.txsync()),
            "poll" => self
                .fd(arg(1)?)?
                .poll(libc::POLLIN, Duration::from_millis(10))
                .map(|events| format!("{events:#x}")),
            "csb" => {
                let csb = crate::csb::Csb::new()?;
                let mut opt = csb.option();
                let got = crate::csb::enable(self.fd(arg(1)?)?, &raw mut opt as u64);
                self.csb = Some(csb);
                ok(got)
            }
            "kloop-stop" => ok(self.fd(arg(1)?)?.ctrl(&mut header("", REQ_SYNC_KLOOP_STOP))),
            "kloop-start" => ok(self
                .fd(arg(1)?)?
                .request("", REQ_SYNC_KLOOP_START, &mut 0u64)),
            "mmap" => {
                let len: usize = arg(2)?.parse()?;
                let got = self.fd(arg(1)?)?.mmap(len, 0, libc::MAP_SHARED);
                got.map(|mem| {
                    self.maps.insert(words[1].to_string(), mem);
                    "ok".to_string()
                })
            }
            "search" => {
                let what = unhex(arg(2)?).context("not hex")?;
                let (pages, hits) = self.maps.get(arg(1)?).context("no map")?.search(&what);
                Ok(format!("pages {pages} hits {hits}"))
            }
            // "IFNAME KIND QUEUE state N pid N uid N" of what is not the kernel's, and of ports
            "list" => {
                let all = self.fd(arg(1)?)?.queues(None);
                let interesting = |i: &&QueueInfo| i.kind == KIND_PORT || i.state != Q_KERNEL;
                all.map(|all| all.iter().filter(interesting).map(row).collect::<String>() + "end")
            }
            other => bail!("no call '{other}'"),
        })
    }

    /// A registration in `bytes` of fresh memory of its own.
    fn extmem(&mut self, fd: &str, bytes: &str, mut reg: Register) -> Result<Sys<()>> {
        let len: usize = bytes.parse()?;
        let mut memory = vec![0u8; len + 4096];
        let at = memory.as_mut_ptr() as u64;
        let mut opt = Extmem {
            reqtype: OPT_EXTMEM,
            usrptr: at.next_multiple_of(4096),
            ..Default::default()
        };
        opt.info.memsize = len as u64;
        let mut hdr = header(&crate::steer::ifname(), REQ_REGISTER);
        hdr.body = &raw mut reg as u64;
        hdr.options = &raw mut opt as u64;
        let got = self.fd(fd)?.ctrl(&mut hdr);
        self.own.push(memory);
        Ok(got)
    }
}

/// A line of "list", all in one.
fn row(i: &QueueInfo) -> String {
    format!(
        "{} {} {} state {} pid {} uid {};",
        field_name(&i.name),
        i.kind,
        i.queue,
        i.state,
        i.pid,
        i.uid
    )
}

/// Capabilities by name, as bits of the low word.
fn caps_of(names: &str) -> u32 {
    names.split(',').fold(0, |set, name| {
        set | match name {
            "none" => 0,
            "all" => u32::MAX,
            "dac_override" => 1 << 1,
            "net_admin" => 1 << 12,
            "net_raw" => 1 << 13,
            "ipc_lock" => 1 << 14,
            "sys_admin" => 1 << 21,
            other => panic!("no capability {other}"),
        }
    })
}

/// Another user, of group `uid` and at most one other, with these capabilities and no more.
fn become_user(uid: u32, caps: &str, group: Option<u32>) -> Result<Sys<()>> {
    let groups: Vec<u32> = group.into_iter().collect();
    // SAFETY: plain system calls about this process's credentials; it has one thread.
    let failed = unsafe {
        libc::prctl(libc::PR_SET_KEEPCAPS, 1) != 0
            || libc::setgroups(groups.len(), groups.as_ptr()) != 0
            || libc::setresgid(uid, uid, uid) != 0
            || libc::setresuid(uid, uid, uid) != 0
    };
    if failed {
        return Ok(Err(Errno::last()));
    }
    set_caps(|_| caps_of(caps))?;
    Ok(Ok(()))
}

fn unshare(what: &str) -> Result<Sys<()>> {
    let flags = what.split(',').try_fold(0, |set, name| {
        Ok::<_, anyhow::Error>(
            set | match name {
                "user" => libc::CLONE_NEWUSER,
                "net" => libc::CLONE_NEWNET,
                "mount" => libc::CLONE_NEWNS,
                "ipc" => libc::CLONE_NEWIPC,
                other => bail!("no namespace {other}"),
            },
        )
    })?;
    // SAFETY: moves this process, which has one thread, to namespaces of its own.
    Ok(sys(unsafe { libc::unshare(flags) }.into()))
}

/// Moves to the network namespace of a process.
fn enter_net(pid: &str) -> Result<Sys<()>> {
    let file = fs::File::open(format!("/proc/{pid}/ns/net"))?;
    // SAFETY: an open file; moves this process, which has one thread.
    Ok(sys(unsafe {
        libc::setns(file.as_raw_fd(), libc::CLONE_NEWNET)
    }
    .into()))
}

/// Goes on in a child that is process 1 of a new pid namespace; the parent only waits for it.
fn new_pid_namespace() -> Result<Sys<()>> {
    // SAFETY: the process has one thread; the parent ends with `_exit`.
    unsafe {
        if libc::unshare(libc::CLONE_NEWPID) != 0 {
            return Ok(Err(Errno::last()));
        }
        match libc::fork() {
            -1 => Ok(Err(Errno::last())),
            0 => {
                libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
                Ok(Ok(()))
            }
            pid => {
                let mut status = 0;
                // the child has standard input now
                libc::close(std::io::stdin().as_raw_fd());
                libc::close(std::io::stdout().as_raw_fd());
                libc::waitpid(pid, &mut status, 0);
                libc::_exit(0)
            }
        }
    }
}

/// The owner and mode of a file, until dropped.
pub struct Mode {
    path: CString,
    was: (u32, u32, u32),
}

impl Mode {
    /// Gives `path` to a group, with this mode.
    pub fn set(path: &str, gid: u32, mode: u32) -> Result<Mode> {
        use std::os::unix::fs::MetadataExt;
        let now = fs::metadata(path)?;
        let made = Mode {
            path: CString::new(path)?,
            was: (now.uid(), now.gid(), now.mode()),
        };
        made.change(now.uid(), gid, mode)?;
        Ok(made)
    }

    fn change(&self, uid: u32, gid: u32, mode: u32) -> Result<()> {
        // SAFETY: a NUL-terminated path.
        let failed = unsafe {
            libc::chown(self.path.as_ptr(), uid, gid) != 0
                || libc::chmod(self.path.as_ptr(), mode & 0o7777) != 0
        };
        if failed {
            bail!("{:?}: {}", self.path, Errno::last());
        }
        Ok(())
    }
}

impl Drop for Mode {
    fn drop(&mut self) {
        let (uid, gid, mode) = self.was;
        if let Err(e) = self.change(uid, gid, mode) {
            eprintln!("{e:#}");
        }
    }
}
