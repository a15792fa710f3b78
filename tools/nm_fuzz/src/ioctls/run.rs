// SPDX-License-Identifier: GPL-2.0
//! Runs a sequence, call by call.

use super::arena::poke;
use super::call::{Call, Op};
use super::odd;
use super::request::{self, BODY};
use super::world::{errno, File, Looping, Map, World, FILES, MAPS};
use crate::abi::*;
use crate::counts::Count;
use crate::rng::Rng;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;

/// Runs one call; what came of it, as a number that is the same for what is alike.
pub fn call(w: &mut World<'_>, c: &Call) -> u64 {
    let mut rng = Rng::new(c.seed);
    let at = c.fd as usize % FILES;
    let fd = w.files[at].map_or(-1, |f| f.fd);
    let counted = w.env.counts.get(Count::Ioctls);
    let (class, result) = match c.op {
        Op::Open => (0, open(w, at)),
        Op::Close => (0, w.close(at)),
        Op::Dup => (0, dup(w, at, c.x as usize % FILES)),
        Op::Register => register(w, at, c, &mut rng),
        Op::Regif => regif(w, at, c, &mut rng),
        Op::Ginfo => {
            let arg = request::legacy(w.env, c, &w.refs(), &mut rng);
            (c.x % 32, w.ioctl(fd, NIOCGINFO, arg))
        }
        Op::Ctrl => {
            for _ in 0..c.seed % 64 {
                ctrl(w, fd, c, &mut rng);
            }
            ctrl(w, fd, c, &mut rng)
        }
        Op::Rxsync => (kind(w, at), syncs(w, fd, NIOCRXSYNC, c, &mut rng)),
        Op::Txsync => (kind(w, at), syncs(w, fd, NIOCTXSYNC, c, &mut rng)),
        Op::Poll => poll(fd, c),
        Op::Qadd | Op::Qdel => queue(w, fd, c, &mut rng),
        Op::Qnext => qnext(w, fd, c, &mut rng),
        Op::Mmap => mmap(w, at, c),
        Op::Munmap => (0, munmap(w, c)),
        Op::Touch => {
            if let Some(map) = nth(w, c.x) {
                w.touch(&map, 64 + c.y as usize, &mut rng);
            }
            (0, w.maps.len() as i32)
        }
        Op::Peek => {
            if let Some(map) = nth(w, c.x) {
                w.peek(&map, &mut rng);
            }
            (0, w.maps.len() as i32)
        }
        Op::CsbEnable => {
            let options = 4 | (c.z & 0x83);
            let c = Call { z: options, ..*c };
            let arg = request::ctrl(w.env, &c, REQ_CSB_ENABLE, None::<u64>, &w.refs(), &mut rng);
            (kind(w, at), w.ioctl(fd, NIOCCTRL, arg))
        }
        Op::KloopStart => (kind(w, at), start_loop(w, fd, c, &mut rng)),
        Op::KloopStop => (kind(w, at), w.ioctl(fd, NIOCCTRL, w.stop_request())),
        Op::Fork => (c.x % 8, odd::fork(w, at, c)),
        Op::Kill => (0, kill(w, c)),
        Op::Raw => raw(w, fd, c, &mut rng),
        Op::Epoll => (0, odd::epoll(w, fd, c)),
        Op::Pass => (0, odd::pass(w, at, c)),
        Op::Odd => (c.x % 16, odd::other(w, fd, c, &mut rng)),
        Op::Kick => {
            let i = c.x as usize % w.events.len();
            w.events[i].signal();
            // what a program tells the kernel by its CSB
            for i in 0..16 {
                w.csb.tell(i, 4 * rng.below(4), rng.nasty32(512));
            }
            (0, 0)
        }
        Op::Sleep => {
            std::thread::sleep(std::time::Duration::from_micros(u64::from(c.x) * 20));
            (0, 0)
        }
        Op::Race => (0, race(w, c)),
    };
    if w.env.counts.get(Count::Ioctls) == counted {
        w.env.counts.add(Count::Others, 1);
    }
    ((c.op as u64) << 40) | (u64::from(class) << 32) | u64::from(result as u32)
}

fn nth(w: &World<'_>, n: u8) -> Option<Map> {
    w.maps.get(n as usize % w.maps.len().max(1)).copied()
}

/// Syncs, between which slots and pointers become something else.
fn syncs(w: &World<'_>, fd: i32, nr: u64, c: &Call, rng: &mut Rng) -> i32 {
    let map = nth(w, c.y);
    let mut result = 0;
    for _ in 0..=c.x {
        result = w.ioctl(fd, nr, c.seed);
        if result != 0 {
            break;
        }
        if let Some(map) = &map {
            w.touch(map, 8, rng);
        }
    }
    result
}

/// What kind of file it is: nothing, fresh, with the kernel's memory, with its own.
fn kind(w: &World<'_>, at: usize) -> u8 {
    match w.files[at] {
        None => 0,
        Some(f) if f.memsize == 0 => 1,
        Some(f) => 2 + u8::from(f.own),
    }
}

fn open(w: &mut World<'_>, at: usize) -> i32 {
    w.close(at);
    let fd = match w.stash.pop() {
        Some(fd) => fd,
        // SAFETY: a NUL-terminated name; makes a descriptor.
        None => unsafe { libc::open(c"/dev/netmap".as_ptr(), libc::O_RDWR | libc::O_CLOEXEC) },
    };
    if fd < 0 {
        return errno();
    }
    w.files[at] = Some(File {
        fd,
        ..File::default()
    });
    0
}

fn dup(w: &mut World<'_>, from: usize, to: usize) -> i32 {
    let Some(file) = w.files[from].filter(|_| from != to) else {
        return -1;
    };
    w.close(to);
    // SAFETY: makes a descriptor.
    match unsafe { libc::fcntl(file.fd, libc::F_DUPFD_CLOEXEC, 3) } {
        -1 => errno(),
        fd => {
            w.files[to] = Some(File { fd, ..file });
            0
        }
    }
}

fn register(w: &mut World<'_>, at: usize, c: &Call, rng: &mut Rng) -> (u8, i32) {
    let fd = w.files[at].map_or(-1, |f| f.fd);
    let refs = w.refs();
    let body = request::register(w.env, c, &refs, rng);
    let arg = request::ctrl(w.env, c, REQ_REGISTER, Some(body), &refs, rng);
    let result = w.ioctl(fd, NIOCCTRL, arg);
    if result == 0 {
        let got: Register = w.arena.get(BODY);
        w.registered(
            at,
            got.memsize,
            got.offset,
            got.mem_id,
            c.z & 8 != 0 && is_own(w, &got),
        );
    }
    (c.y % 32, result)
}

/// The region is the program's own memory if mmap() has no other.
fn is_own(w: &World<'_>, got: &Register) -> bool {
    got.memsize <= 6 << 20 && w.own.base() as usize != 0
}

fn regif(w: &mut World<'_>, at: usize, c: &Call, rng: &mut Rng) -> (u8, i32) {
    let fd = w.files[at].map_or(-1, |f| f.fd);
    let arg = request::legacy(w.env, c, &w.refs(), rng);
    let result = w.ioctl(fd, NIOCREGIF, arg);
    if result == 0 && w.files[at].is_some_and(|f| f.memsize == 0) {
        let got: Nmreq = w.arena.get(0);
        w.registered(
            at,
            u64::from(got.memsize),
            u64::from(got.offset),
            got.arg2,
            false,
        );
    }
    (c.y % 32, result)
}

fn ctrl(w: &World<'_>, fd: i32, c: &Call, rng: &mut Rng) -> (u8, i32) {
    let kind = c.y % 18;
    let refs = w.refs();
    let body: [u64; 8] = std::array::from_fn(|_| match rng.below(3) {
        0 => rng.nasty64(),
        _ => 0,
    });
    let reqtype = match kind {
        // registrations are made elsewhere, plausibly
        1 => REQ_PORT_INFO_GET,
        16 => rng.next() as u16 | 0x100,
        k => u16::from(k),
    };
    let arg = match reqtype {
        REQ_VALE_DELIF | REQ_CSB_ENABLE | REQ_SYNC_KLOOP_STOP if !rng.one_in(4) => {
            request::ctrl(w.env, c, reqtype, None::<u64>, &refs, rng)
        }
        // a loop would keep this thread
        REQ_SYNC_KLOOP_START => {
            let busy = [2_000_000u32, 0];
            request::ctrl(w.env, c, reqtype, Some(busy), &refs, rng)
        }
        _ => request::ctrl(w.env, c, reqtype, Some(body), &refs, rng),
    };
    (kind, w.ioctl(fd, NIOCCTRL, arg))
}

fn poll(fd: i32, c: &Call) -> (u8, i32) {
    let events = [libc::POLLIN, libc::POLLOUT, libc::POLLIN | libc::POLLOUT, 0][c.x as usize % 4];
    let mut p = libc::pollfd {
        fd,
        events,
        revents: 0,
    };
    // SAFETY: one pollfd of ours.
    unsafe { libc::poll(&mut p, 1, i32::from(c.y % 4)) };
    (c.x % 4, i32::from(p.revents))
}

fn queue(w: &World<'_>, fd: i32, c: &Call, rng: &mut Rng) -> (u8, i32) {
    let guarded = w.env.guarded;
    let queue = match rng.below(8) {
        _ if guarded => w.env.queue + rng.below(3) as u32,
        0 => rng.nasty32(8),
        _ => rng.below(8) as u32,
    };
    let odd = |rng: &mut Rng| if rng.one_in(20) { rng.nasty32(3) } else { 0 };
    let req = QueueReq {
        version: if rng.one_in(20) { rng.nasty32(3) } else { 1 },
        queue,
        flags: odd(rng),
        spare: odd(rng),
    };
    let arg = match rng.below(20) {
        0 if !guarded => w.arena.bad(16, rng),
        _ => w.arena.put(0x100, req),
    };
    let nr = if c.op == Op::Qadd { NIOCQADD } else { NIOCQDEL };
    (0, w.ioctl(fd, nr, arg))
}

fn qnext(w: &World<'_>, fd: i32, c: &Call, rng: &mut Rng) -> (u8, i32) {
    let mut info = QueueInfo {
        version: if rng.one_in(20) { rng.nasty32(3) } else { 1 },
        ..QueueInfo::default()
    };
    let mut result = 0;
    for _ in 0..1 + c.x % 64 {
        if rng.one_in(4) {
            info.ifindex = rng.nasty32(8);
            info.kind = rng.nasty32(5);
            info.queue = rng.nasty32(16);
        }
        info.name = [0; 16];
        match rng.below(4) {
            0 => info.name.fill_with(|| rng.next() as u8),
            1 => info.name[..4].copy_from_slice(b"eth4"),
            _ => {}
        }
        let arg = match rng.below(40) {
            0 => w.arena.bad(256, rng),
            _ => w.arena.put(0x1000, info),
        };
        result = w.ioctl(fd, NIOCQNEXT, arg);
        info = w.arena.get(0x1000);
    }
    (0, result)
}

fn mmap(w: &mut World<'_>, at: usize, c: &Call) -> (u8, i32) {
    let Some(file) = w.files[at].filter(|_| w.maps.len() < MAPS) else {
        return (0, -1);
    };
    let all = file.memsize;
    let len = match c.x % 16 {
        0 => all / 2,
        1 => all + 4096,
        2 => 4096,
        3 => usize::MAX / 2,
        4 => all.wrapping_sub(4096),
        _ => all,
    };
    let offset = if c.y % 16 == 0 {
        4096 * i64::from(c.z)
    } else {
        0
    };
    let prot = match c.y >> 4 {
        0 => libc::PROT_READ,
        1 => libc::PROT_NONE,
        2 => libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC,
        _ => libc::PROT_READ | libc::PROT_WRITE,
    };
    let flags = if c.z & 1 == 0 {
        libc::MAP_SHARED
    } else {
        libc::MAP_PRIVATE
    };
    // SAFETY: a new mapping at an address the kernel picks.
    let p = unsafe { libc::mmap(null_mut(), len, prot, flags, file.fd, offset) };
    if p == libc::MAP_FAILED {
        return (c.x % 16, errno());
    }
    w.maps.push(Map {
        base: p as usize,
        len,
        offset: file.offset,
    });
    (c.x % 16, 0)
}

fn munmap(w: &mut World<'_>, c: &Call) -> i32 {
    if w.maps.is_empty() {
        return -1;
    }
    let i = c.x as usize % w.maps.len();
    if c.y % 2 == 0 {
        let map = w.maps.remove(i);
        w.unmap(&map);
        return 0;
    }
    // a piece out of the middle; the rest goes later
    let Map { base, len, .. } = w.maps[i];
    let piece = (len / 2) & !4095;
    if piece == 0 || base == w.own.base() as usize {
        return -1;
    }
    // SAFETY: part of a mapping of this sequence's, into which nothing of Rust's refers.
    unsafe { libc::munmap((base + piece) as *mut libc::c_void, 4096) }
}

/// A loop in a thread of its own.
fn start_loop(w: &mut World<'_>, fd: i32, c: &Call, rng: &mut Rng) -> i32 {
    if fd < 0 || w.loops.len() >= 2 {
        return -1;
    }
    w.env.counts.add(Count::Ioctls, 1);
    // Its request stays until it ends, apart from those of this thread.
    let place = 0x2000 + 0x400 * w.loops.len();
    let sleep_us = match c.x % 4 {
        0 => 0,
        1 => rng.nasty32(1_000_000),
        _ => u32::from(c.y),
    };
    let options = match c.z & 0x30 {
        0 => 0,
        which => request::options(which, &w.refs(), rng),
    };
    let hdr = Header {
        version: 14,
        reqtype: REQ_SYNC_KLOOP_START,
        body: w.arena.put(place + 0x100, [sleep_us, 0]),
        options,
        ..Header::default()
    };
    let arg = w.arena.put(place, hdr);
    let (said, id) = std::sync::mpsc::channel();
    let thread = std::thread::spawn(move || {
        // SAFETY: the calling thread's own id; then a request in the arena, which stays.
        unsafe {
            let _ = said.send(libc::pthread_self());
            libc::ioctl(fd, NIOCCTRL as libc::Ioctl, arg);
        }
    });
    if let Ok(id) = id.recv() {
        w.loops.push(Looping { fd, thread, id });
    }
    0
}

fn kill(w: &mut World<'_>, c: &Call) -> i32 {
    if w.children.is_empty() {
        return -1;
    }
    let pid = w.children.remove(c.x as usize % w.children.len());
    // SAFETY: a child of ours that was not waited for.
    unsafe {
        libc::kill(pid, libc::SIGKILL);
        libc::waitpid(pid, null_mut(), 0);
    }
    0
}

/// Any number, any pointer.
fn raw(w: &World<'_>, fd: i32, c: &Call, rng: &mut Rng) -> (u8, i32) {
    const KNOWN: [u64; 9] = [
        NIOCGINFO, NIOCREGIF, NIOCTXSYNC, NIOCRXSYNC, NIOCCONFIG, NIOCCTRL, NIOCQADD, NIOCQDEL,
        NIOCQNEXT,
    ];
    let nr = match c.x % 4 {
        0 => rng.next() & 0xffff_ffff,
        1 => 0xc000_6900 | (rng.next() & 0x3fff_00ff),
        2 => rng.pick(&KNOWN) ^ (1 << rng.below(32)),
        _ => rng.pick(&KNOWN),
    };
    let arg = match c.y % 3 {
        // on a port that must lose nothing, no request that may happen to make sense
        0 if !w.env.guarded => w.arena.at(rng.below(0x1000)),
        1 if !w.env.guarded => {
            let words: [u64; 16] = std::array::from_fn(|_| rng.nasty64());
            poke(
                w.arena.at(0x1800) as usize,
                &words.map(u64::to_le_bytes).concat(),
            );
            w.arena.at(0x1800)
        }
        _ => w.arena.bad(64, rng),
    };
    let known = KNOWN.iter().position(|k| *k == nr);
    // a loop would keep this thread
    if nr == NIOCCTRL {
        let hdr: Header = w.arena.get(arg.wrapping_sub(w.arena.at(0)) as usize);
        if hdr.reqtype == REQ_SYNC_KLOOP_START {
            return (0, -1);
        }
    }
    (known.map_or(99, |k| k as u8), w.ioctl(fd, nr, arg))
}

/// A thread that changes requests under the kernel's eyes.
fn race(w: &mut World<'_>, c: &Call) -> i32 {
    if w.env.guarded || w.racer.is_some() {
        return -1;
    }
    let stop = Arc::new(AtomicBool::new(false));
    let (told, arena, mut rng) = (stop.clone(), w.arena, Rng::new(c.seed));
    let pause = c.x;
    let thread = std::thread::spawn(move || {
        while !told.load(Ordering::Relaxed) {
            for _ in 0..16 {
                arena.flip(&mut rng);
            }
            for _ in 0..pause {
                std::hint::spin_loop();
            }
        }
    });
    w.racer = Some((stop, thread));
    0
}
