// SPDX-License-Identifier: GPL-2.0
//! What a sequence has at hand while it runs: files, mappings, loops, children; and how all of
//! it goes away again, so that each sequence begins with nothing.

use super::arena::{look, poke, Arena};
use super::request::Refs;
use super::Env;
use crate::abi::*;
use crate::counts::Count;
use crate::csb::{Csb, EventFd};
use crate::mem::Mem;
use crate::rng::Rng;
use crate::scribble::anonymous;
use anyhow::{Context, Result};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// An open file, and what is known of it.
#[derive(Clone, Copy, Default)]
pub struct File {
    pub fd: i32,
    /// Of a registered file: size of its mapping, place of its `netmap_if`.
    pub memsize: usize,
    pub offset: usize,
    /// Its memory is the program's own.
    pub own: bool,
}

/// A mapping.
#[derive(Clone, Copy)]
pub struct Map {
    pub base: usize,
    pub len: usize,
    pub offset: usize,
}

/// A thread in a kernel loop.
pub struct Looping {
    pub fd: i32,
    pub thread: JoinHandle<()>,
    pub id: libc::pthread_t,
}

pub const FILES: usize = 4;
pub const MAPS: usize = 6;
/// Bytes of a region in the program's memory.
const OWN: usize = 6 << 20;

pub struct World<'a> {
    pub env: &'a Env,
    pub files: [Option<File>; FILES],
    pub maps: Vec<Map>,
    pub loops: Vec<Looping>,
    pub children: Vec<i32>,
    pub arena: Arena,
    pub mem_ids: Vec<u16>,
    pub csb: Csb,
    pub own: Mem,
    pub events: Vec<EventFd>,
    pub raw_events: Vec<i32>,
    pub epoll: i32,
    /// Files opened before rights were given up; used one by one.
    pub stash: Vec<i32>,
    pub racer: Option<(Arc<AtomicBool>, JoinHandle<()>)>,
    /// What bytes this user leaves in buffers.
    pub uid: u32,
    pub process: usize,
}

/// The bytes a user leaves behind in its buffers. Another user must never find them.
pub fn trace_of(uid: u32) -> [u8; 16] {
    let mut bytes = *b"nm_fuzz!....user";
    bytes[8..12].copy_from_slice(&uid.to_le_bytes());
    bytes
}

impl<'a> World<'a> {
    pub fn new(env: &'a Env, uid: u32, process: usize, stash: Vec<i32>) -> Result<World<'a>> {
        let events: Vec<EventFd> = (0..4).map(|_| EventFd::new()).collect::<Result<_>>()?;
        // SAFETY: makes a descriptor.
        let epoll = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
        Ok(World {
            env,
            files: [None; FILES],
            maps: Vec::new(),
            loops: Vec::new(),
            children: Vec::new(),
            arena: Arena::new()?,
            mem_ids: Vec::new(),
            csb: Csb::new()?,
            own: anonymous(OWN).context("own memory")?,
            raw_events: events.iter().map(EventFd::raw).collect(),
            events,
            epoll,
            stash,
            racer: None,
            uid,
            process,
        })
    }

    pub fn refs(&self) -> Refs<'_> {
        Refs {
            arena: self.arena,
            mem_ids: &self.mem_ids,
            csb: (self.csb.atok(), self.csb.ktoa()),
            own: (self.own.base() as u64, OWN),
            eventfds: &self.raw_events,
        }
    }

    /// One ioctl on /dev/netmap; its errno, or 0.
    pub fn ioctl(&self, fd: i32, nr: u64, arg: u64) -> i32 {
        self.env.counts.add(Count::Ioctls, 1);
        // SAFETY: `arg` is 0, or lies in the arena, or is an address on which the kernel is to
        // fail; nothing of Rust's is there.
        match unsafe { libc::ioctl(fd, nr as libc::Ioctl, arg) } {
            -1 => errno(),
            _ => 0,
        }
    }

    /// A file after REGISTER has succeeded.
    pub fn registered(&mut self, at: usize, memsize: u64, offset: u64, mem_id: u16, own: bool) {
        self.env.counts.add(Count::Registered, 1);
        if let Some(file) = &mut self.files[at] {
            file.memsize = memsize as usize;
            file.offset = offset as usize;
            file.own = own;
        }
        self.mem_ids.push(mem_id);
        if self.mem_ids.len() > 8 {
            self.mem_ids.remove(0);
        }
        if own && self.maps.len() < MAPS {
            self.maps.push(Map {
                base: self.own.base() as usize,
                len: OWN,
                offset: offset as usize,
            });
        }
    }

    /// Where a mapping's rings are, as far as its `netmap_if` can be read and believed.
    fn rings(&self, map: &Map) -> Vec<usize> {
        let mut nif = [0u8; 512];
        let at = map.base.wrapping_add(map.offset);
        if map.len == 0 || !look(at, &mut nif) {
            return Vec::new();
        }
        let ofs = nif[shm::IF_RING_OFS..].chunks_exact(8);
        ofs.filter_map(|b| Some(i64::from_le_bytes(b.try_into().ok()?)))
            .filter(|o| *o > 0 && (*o as usize) < map.len)
            .map(|o| at + o as usize)
            .collect()
    }

    /// Hostile words into a mapping: into what the kernel reads, if it can be found.
    pub fn touch(&self, map: &Map, n: usize, rng: &mut Rng) {
        let rings = self.rings(map);
        let mut writes = 0;
        for _ in 0..n {
            let word = match rng.below(3) {
                0 => (rng.below(4096) as u32).to_le_bytes(),
                _ => rng.nasty32(1024).to_le_bytes(),
            };
            let at = match rng.below(8) {
                0 => (map.base + rng.next() as usize % map.len.max(4)) & !3,
                1 => map.base.wrapping_add(map.offset) + 4 * rng.below(64),
                _ if rings.is_empty() => continue,
                2 => rng.pick(&rings) + 4 * rng.below(64),
                3 | 4 => {
                    let head = rng.below(128) as u32;
                    let bytes = [head.to_le_bytes(), head.to_le_bytes()].concat();
                    poke(rng.pick(&rings) + shm::RING_HEAD, &bytes);
                    continue;
                }
                _ => rng.pick(&rings) + shm::RING_SLOTS + 4 * rng.below(4 * 512),
            };
            writes += u64::from(poke(at, &word));
        }
        self.env.counts.add(Count::Writes, writes);
        self.leave_trace(&rings, rng);
    }

    /// The buffer some slot of a ring names, as far as ring and slot can be believed.
    fn buffer(&self, ring: usize, rng: &mut Rng) -> Option<usize> {
        let mut head = [0u8; 32];
        let mut idx = [0u8; 4];
        let slot = ring + shm::RING_SLOTS + shm::SLOT_SIZE * rng.below(256);
        if !look(ring, &mut head) || !look(slot, &mut idx) {
            return None;
        }
        let ofs = i64::from_le_bytes(head[..8].try_into().unwrap_or_default());
        let buf = i64::from(u32::from_le_bytes(idx)).wrapping_mul(2048);
        let at = (ring as i64).wrapping_add(ofs).wrapping_add(buf) as usize;
        let inside = |m: &Map| at >= m.base && at.wrapping_add(2048) <= m.base + m.len;
        self.maps.iter().any(inside).then_some(at)
    }

    /// This user's bytes at the end of a few buffers, where no frame that comes back reaches.
    fn leave_trace(&self, rings: &[usize], rng: &mut Rng) {
        for ring in rings.iter().take(4) {
            if let Some(at) = self.buffer(*ring, rng) {
                poke(at + 2032, &trace_of(self.uid));
            }
        }
    }

    /// Looks for other users' bytes in a few pages of a mapping.
    pub fn peek(&self, map: &Map, rng: &mut Rng) {
        let mut page = vec![0u8; 4096];
        let pages = (map.len / 4096).max(1);
        let rings = self.rings(map);
        for _ in 0..32 {
            // mostly what is in use, and what lies around it
            let named = match rng.below(4) {
                0 => None,
                _ if rings.is_empty() => None,
                _ => self.buffer(rng.pick(&rings), rng),
            };
            let near = 4096 * rng.below(64);
            let at = match named {
                Some(at) if rng.one_in(2) => at & !4095,
                Some(at) => (at & !4095).wrapping_add(near),
                None => map.base + 4096 * rng.below(pages),
            };
            if at < map.base || at >= map.base + map.len || !look(at, &mut page) {
                continue;
            }
            self.env.counts.add(Count::Pages, 1);
            for half in page.chunks_exact(2048) {
                let end = &half[2032..];
                let mine = trace_of(self.uid);
                if end[..8] == mine[..8] && end[12..] == mine[12..] && end != mine {
                    self.env.counts.add(Count::Leaks, 1);
                }
            }
        }
    }

    /// Closes a file.
    pub fn close(&mut self, at: usize) -> i32 {
        match self.files[at].take() {
            // SAFETY: a descriptor of this sequence's, used nowhere else any more.
            Some(file) => unsafe { libc::close(file.fd) },
            None => 0,
        }
    }

    /// Everything away, as if the sequence had never been.
    pub fn reset(&mut self) {
        if let Some((stop, thread)) = self.racer.take() {
            stop.store(true, Ordering::Relaxed);
            let _ = thread.join();
        }
        for l in std::mem::take(&mut self.loops) {
            self.end_loop(l);
        }
        for pid in self.children.drain(..) {
            // SAFETY: children of ours that were not waited for.
            unsafe {
                libc::kill(pid, libc::SIGKILL);
                libc::waitpid(pid, std::ptr::null_mut(), 0);
            }
        }
        for map in std::mem::take(&mut self.maps) {
            self.unmap(&map);
        }
        for at in 0..FILES {
            self.close(at);
        }
        self.mem_ids.clear();
    }

    pub fn unmap(&self, map: &Map) {
        if map.base != self.own.base() as usize {
            // SAFETY: a mapping of this sequence's, into which nothing of Rust's refers.
            unsafe { libc::munmap(map.base as *mut libc::c_void, map.len) };
        }
    }

    /// Ends a loop: by asking, then, as its file may be closed, by a signal.
    fn end_loop(&self, l: Looping) {
        let end = Instant::now() + Duration::from_secs(1);
        while !l.thread.is_finished() {
            self.ioctl(l.fd, NIOCCTRL, self.stop_request());
            // SAFETY: not joined yet, so the id is good; the signal has a handler.
            unsafe { libc::pthread_kill(l.id, libc::SIGUSR1) };
            if Instant::now() > end {
                std::thread::sleep(Duration::from_millis(10));
            }
        }
        let _ = l.thread.join();
    }

    /// A request of SYNC_KLOOP_STOP, apart from what sequences write.
    pub fn stop_request(&self) -> u64 {
        self.arena.put(
            0x3000,
            Header {
                version: 14,
                reqtype: REQ_SYNC_KLOOP_STOP,
                ..Header::default()
            },
        )
    }
}

pub fn errno() -> i32 {
    std::io::Error::last_os_error().raw_os_error().unwrap_or(0)
}
