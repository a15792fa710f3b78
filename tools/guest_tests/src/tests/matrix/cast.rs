// SPDX-License-Identifier: GPL-2.0
//! The programs of a column in a process of their own, for events that happen to processes: the
//! part is played here, in that process, at the word of the test ([`super::process`]).

use super::program::{programs, Program};
use super::Column;
use crate::abi::Register;
use crate::fd::Fd;
use crate::parts::say;
use crate::passing::{receive, send};
use crate::port::Port;
use crate::steer::num_queues;
use anyhow::{bail, Context, Result};
use std::fs::File;
use std::mem::ManuallyDrop;
use std::os::fd::{AsRawFd, FromRawFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::Duration;

/// Plays: `cast MANNER COLUMN [ARGUMENT…]`.
pub fn play(words: &[String]) -> Result<()> {
    let manner = words.first().context("no manner")?;
    let column = column(words.get(1).context("no column")?)?;
    let rest = &words[2..];
    match manner.as_str() {
        "read" => obey(programs(column, num_queues("rx-")?)?),
        "fork" => fork(column),
        "exec" => exec(column, &rest[0]),
        "adopt" => {
            let ports = rest.iter().map(|r| adopted(r));
            reads(ports.collect::<Result<_>>()?)
        }
        "give" => give(column, rest[0].parse()?),
        "take" => take(rest[0].parse()?, rest[1].parse()?),
        other => bail!("no manner '{other}'"),
    }
}

fn column(word: &str) -> Result<Column> {
    let all = [
        Column::None,
        Column::One,
        Column::Several,
        Column::All,
        Column::AllNic,
    ];
    let found = all.into_iter().find(|c| format!("{c:?}") == word);
    found.with_context(|| format!("no column '{word}'"))
}

/// Does as it is told until there is nothing more to hear.
fn obey(programs: Vec<Program>) -> Result<()> {
    say("ready")?;
    for line in std::io::stdin().lines() {
        match line?.as_str() {
            "frames" => {
                let frames: u64 = programs.iter().map(Program::frames).sum();
                say(&format!("frames {frames}"))?;
            }
            "busy" => {
                programs.iter().for_each(busy);
                say("busy")?;
            }
            // all threads at once, wherever they are
            "exit" => std::process::exit(0),
            "crash" => std::process::abort(),
            "eat" => eat(),
            other => bail!("no word '{other}'"),
        }
    }
    for p in programs {
        p.end()?;
    }
    Ok(())
}

/// A descriptor the process keeps until it ends.
fn view(raw: RawFd) -> ManuallyDrop<Fd> {
    // SAFETY: open, and not closed by what is made here.
    let file = unsafe { File::from_raw_fd(raw) };
    ManuallyDrop::new(Fd { file })
}

/// Threads that do nothing but system calls on a program's fd and mapping.
fn busy(program: &Program) {
    let raw = program.port.fd.raw();
    let len = program.port.reg.memsize as usize;
    let call = |f: fn(RawFd, usize)| {
        std::thread::spawn(move || loop {
            f(raw, len);
        });
    };
    call(|raw, _| _ = view(raw).rxsync());
    call(|raw, _| _ = view(raw).txsync());
    call(|raw, _| drop(view(raw).queues(None)));
    call(|raw, _| {
        let both = libc::POLLIN | libc::POLLOUT;
        let _ = crate::fd::poll_fd(raw, both, Duration::from_millis(1));
    });
    call(|raw, len| {
        let fd = view(raw);
        if let Ok(mem) = fd.mmap(len, 0, libc::MAP_SHARED) {
            mem.get::<u32>(0);
        }
    });
}

/// Takes memory until there is none.
fn eat() {
    let mut eaten = Vec::new();
    loop {
        eaten.push(vec![1u8; 1 << 20]);
    }
}

/// Opens a column's fds without reading from them.
fn idle(column: Column) -> Result<Vec<(Port, Vec<u32>)>> {
    let all = programs(column, num_queues("rx-")?)?.into_iter();
    all.map(|p| {
        let queues = p.queues.clone();
        Ok((p.end()?, queues))
    })
    .collect()
}

/// Reads from ports that somebody else registered.
fn reads(ports: Vec<(Port, Vec<u32>)>) -> Result<()> {
    let all = ports.into_iter().map(|(port, q)| Program::reading(port, q));
    obey(all.collect::<Result<_>>()?)
}

/// A child inherits descriptors and mapping; both sync; when the parent is killed the child
/// reads on.
fn fork(column: Column) -> Result<()> {
    let ports = idle(column)?;
    let parent = std::process::id();
    // SAFETY: the readers have ended, so there is one thread.
    match unsafe { libc::fork() } {
        -1 => bail!("fork: {}", std::io::Error::last_os_error()),
        0 => {
            while std::os::unix::process::parent_id() == parent {
                for (port, _) in &ports {
                    port.fd.rxsync()?;
                }
                std::thread::sleep(Duration::from_millis(1));
            }
            reads(ports)
        }
        _ => {
            let all = ports.into_iter().map(|(port, q)| Program::reading(port, q));
            let _programs = all.collect::<Result<Vec<_>>>()?;
            say("ready")?;
            loop {
                std::thread::sleep(Duration::from_secs(1));
            }
        }
    }
}

/// A port in words, for who gets its descriptor.
fn described((port, queues): &(Port, Vec<u32>), fd: RawFd) -> String {
    let queues: Vec<_> = queues.iter().map(ToString::to_string).collect();
    let (size, offset) = (port.reg.memsize, port.reg.offset);
    format!("{fd}:{size}:{offset}:{}", queues.join(","))
}

/// The port of a description, by a descriptor this process has.
fn adopted(description: &str) -> Result<(Port, Vec<u32>)> {
    let mut words = description.split(':');
    let mut word = || words.next().context("a word is missing");
    let fd: RawFd = word()?.parse()?;
    let reg = Register {
        memsize: word()?.parse()?,
        offset: word()?.parse()?,
        ..Register::default()
    };
    let queues = word()?.split(',').map(|q| Ok(q.parse()?));
    let queues = queues.collect::<Result<Vec<u32>>>()?;
    // SAFETY: the description says that it is open and this process's.
    let file = unsafe { File::from_raw_fd(fd) };
    Ok((Port::mapped(Fd { file }, reg)?, queues))
}

/// Becomes another program, which gets the descriptors if they are to be kept.
fn exec(column: Column, keep: &str) -> Result<()> {
    let ports = idle(column)?;
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["--helper", "cast"]);
    if keep == "keep" {
        command.args(["adopt", &format!("{column:?}")]);
        for port in &ports {
            let fd = port.0.fd.raw();
            // SAFETY: an open descriptor of this process.
            unsafe { libc::fcntl(fd, libc::F_SETFD, 0) };
            command.arg(described(port, fd));
        }
    } else {
        command.args(["read", "None"]);
    }
    say("ready")?;
    std::io::stdin().lines().next();
    Err(command.exec().into())
}

/// Sends its descriptors through a socket, and lets go of them.
fn give(column: Column, socket: RawFd) -> Result<()> {
    let ports = idle(column)?;
    say("ready")?;
    std::io::stdin().lines().next();
    for port in ports {
        let fd = port.0.fd.file.as_raw_fd();
        send(socket, described(&port, -1).as_bytes(), &[fd])?;
    }
    say("given")?;
    Ok(())
}

/// Receives `count` descriptors from a socket, when it is told to.
fn take(socket: RawFd, count: usize) -> Result<()> {
    say("ready")?;
    std::io::stdin().lines().next();
    let mut ports = Vec::new();
    for _ in 0..count {
        let (text, fds) = receive(socket)?.context("nothing comes")?;
        let text = String::from_utf8(text)?;
        let fd = *fds.first().context("no descriptor came along")?;
        let (_, rest) = text.split_once(':').context("not a description")?;
        ports.push(adopted(&format!("{fd}:{rest}"))?);
    }
    reads(ports)
}
