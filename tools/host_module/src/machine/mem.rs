// SPDX-License-Identifier: GPL-2.0

//! Pages, their DMA mappings, and pages of a program that are pinned.
//!
//! A bus address is a number that belongs to one mapping of one run of pages for one device. Whoever
//! translates one that belongs to none, or frees pages that have one, has found a bug.

use std::alloc::{alloc_zeroed, dealloc, Layout};
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Mutex;

use kernel::bindings::device;
use kernel::ffi::{c_int, c_void};

use super::{locked, no_memory};
use crate::ffi::nm_pin;

pub const PAGE: usize = 4096;

/// A run of pages that a device can reach.
#[derive(Clone, Copy, Debug)]
struct Mapping {
    at: usize,
    len: usize,
    dev: usize,
}

#[derive(Default)]
struct Memory {
    /// Pages of each run, by address.
    chunks: BTreeMap<usize, usize>,
    /// Bus addresses.
    maps: BTreeMap<u64, Mapping>,
    next_bus: u64,
    pins: usize,
    /// The card needs its buffers synced by hand.
    bounces: bool,
    /// Devices are referenced so often.
    device_refs: i64,
}

static MEMORY: Mutex<Memory> = Mutex::new(Memory {
    chunks: BTreeMap::new(),
    maps: BTreeMap::new(),
    next_bus: 0,
    pins: 0,
    bounces: false,
    device_refs: 0,
});

fn pages_layout(pages: usize) -> Layout {
    Layout::from_size_align(pages * PAGE, PAGE).expect("a size")
}

/// From now on buffers are to be synced by hand, or not.
pub fn set_bounces(on: bool) {
    locked(&MEMORY).bounces = on;
}

/// Runs of pages, mappings, pins and device references there are.
pub fn counts() -> (usize, usize, usize, i64) {
    let mem = locked(&MEMORY);
    (mem.chunks.len(), mem.maps.len(), mem.pins, mem.device_refs)
}

/// Forgets what cannot be undone: memory of a queue that did not stop.
pub fn forget() {
    let mut mem = locked(&MEMORY);
    mem.chunks.clear();
    mem.maps.clear();
    mem.pins = 0;
    mem.device_refs = 0;
}

/// Where the card reaches `len` bytes at bus address `bus`; `None`: nowhere.
pub fn reach(bus: u64, len: usize) -> Option<*mut u8> {
    let mem = locked(&MEMORY);
    let (&base, map) = mem.maps.range(..=bus).next_back()?;
    let offset = usize::try_from(bus - base).ok()?;
    (offset.checked_add(len)? <= map.len).then(|| (map.at + offset) as *mut u8)
}

#[no_mangle]
extern "C" fn nm_chunk_alloc(pages: u32) -> *mut c_void {
    if pages == 0 || no_memory().is_some() {
        return core::ptr::null_mut();
    }
    // SAFETY: Not empty.
    let at = unsafe { alloc_zeroed(pages_layout(pages as usize)) };
    assert!(!at.is_null(), "the host is out of memory");
    locked(&MEMORY).chunks.insert(at as usize, pages as usize);
    at.cast()
}

#[no_mangle]
extern "C" fn nm_chunk_free(chunk: *mut c_void) {
    let mut mem = locked(&MEMORY);
    let at = chunk as usize;
    let pages = mem.chunks.remove(&at).expect("pages freed that are none");
    let end = at + pages * PAGE;
    let mapped = mem.maps.values().find(|m| m.at < end && m.at + m.len > at);
    assert!(mapped.is_none(), "pages freed that a card can reach");
    // SAFETY: Allocated with this layout, and now in no table.
    unsafe { dealloc(chunk.cast(), pages_layout(pages)) };
}

#[no_mangle]
extern "C" fn nm_chunk_contiguous(_chunk: *mut c_void, _units: u32, _order: u32) -> bool {
    true
}

#[no_mangle]
extern "C" fn nm_device_get(dev: *mut device) -> *mut device {
    locked(&MEMORY).device_refs += 1;
    dev
}

#[no_mangle]
extern "C" fn nm_device_put(_dev: *mut device) {
    let mut mem = locked(&MEMORY);
    mem.device_refs -= 1;
    assert!(mem.device_refs >= 0, "a device is put more often than got");
}

/// # Safety
///
/// `addr` must have `units` places.
#[no_mangle]
unsafe extern "C" fn nm_dma_map(
    dev: *mut device,
    chunk: *mut c_void,
    units: u32,
    order: u32,
    addr: *mut u64,
) -> c_int {
    if no_memory().is_some() {
        return -12;
    }
    let mut mem = locked(&MEMORY);
    for i in 0..units as usize {
        let len = PAGE << order;
        // A page between two of them belongs to nobody.
        mem.next_bus += (len + PAGE) as u64;
        let bus = mem.next_bus;
        let at = chunk as usize + i * len;
        mem.maps.insert(
            bus,
            Mapping {
                at,
                len,
                dev: dev as usize,
            },
        );
        // SAFETY: By the caller's promise.
        unsafe { addr.add(i).write(bus) };
    }
    0
}

/// # Safety
///
/// `addr` must have `units` places.
#[no_mangle]
unsafe extern "C" fn nm_dma_unmap(dev: *mut device, addr: *const u64, units: u32, _order: u32) {
    let mut mem = locked(&MEMORY);
    for i in 0..units as usize {
        // SAFETY: By the caller's promise.
        let bus = unsafe { addr.add(i).read() };
        let map = mem.maps.remove(&bus).expect("unmapped what is not mapped");
        assert_eq!(map.dev, dev as usize, "unmapped for another device");
        drop(mem);
        super::card::unmapped(bus, map.len);
        mem = locked(&MEMORY);
    }
}

/// # Safety
///
/// As above.
#[no_mangle]
unsafe extern "C" fn nm_dma_needs_sync(_dev: *mut device, _addr: *const u64, _units: u32) -> bool {
    locked(&MEMORY).bounces
}

fn synced(dev: *mut device, bus: u64, len: u32) {
    let mem = locked(&MEMORY);
    let below = mem.maps.range((Bound::Unbounded, Bound::Included(bus)));
    let (&base, map) = below.last().expect("a sync of no mapping");
    let inside = bus - base + u64::from(len) <= map.len as u64 && map.dev == dev as usize;
    assert!(inside, "a sync beyond its mapping");
}

#[no_mangle]
extern "C" fn nm_dma_sync_for_cpu(dev: *mut device, addr: u64, len: u32) {
    synced(dev, addr, len);
}

#[no_mangle]
extern "C" fn nm_dma_sync_for_device(dev: *mut device, addr: u64, len: u32) {
    synced(dev, addr, len);
}

/// Where programs may have memory of their own, and how many pages.
pub const EXT_BASE: u64 = 0x4000_0000;
pub const EXT_PAGES: usize = 1024;

/// Pages of a program, as the kernel sees them.
struct Pin {
    at: *mut u8,
    user: u64,
    pages: usize,
}

/// The program's own memory is there for ever, as the host's.
pub fn ext_memory() -> *mut u8 {
    static AT: Mutex<usize> = Mutex::new(0);
    let mut at = locked(&AT);
    if *at == 0 {
        // SAFETY: Not empty.
        *at = unsafe { alloc_zeroed(pages_layout(EXT_PAGES)) } as usize;
    }
    *at as *mut u8
}

/// # Safety
///
/// `out` must be valid for writing.
#[no_mangle]
unsafe extern "C" fn nm_pin_new(user: u64, pages: u32, out: *mut *mut nm_pin) -> c_int {
    kernel::uaccess::touched();
    if let Some(errno) = no_memory() {
        return errno;
    }
    let end = user.checked_add(u64::from(pages) * PAGE as u64);
    let limit = EXT_BASE + (EXT_PAGES * PAGE) as u64;
    if user < EXT_BASE || end.is_none_or(|end| end > limit) {
        return -14;
    }
    let pin = Box::new(Pin {
        at: ext_memory().wrapping_add((user - EXT_BASE) as usize),
        user,
        pages: pages as usize,
    });
    locked(&MEMORY).pins += 1;
    // SAFETY: By the caller's promise.
    unsafe { out.write(Box::into_raw(pin).cast()) };
    0
}

/// # Safety
///
/// `pin` must be of `nm_pin_new`, and is used up.
#[no_mangle]
unsafe extern "C" fn nm_pin_free(pin: *mut nm_pin) {
    // SAFETY: By the caller's promise.
    let pin = unsafe { Box::from_raw(pin.cast::<Pin>()) };
    let mut mem = locked(&MEMORY);
    mem.pins -= 1;
    let (from, to) = (pin.at as usize, pin.at as usize + pin.pages * PAGE);
    let reached = |m: &&Mapping| m.at < to && m.at + m.len > from;
    let others = mem.pins != 0;
    assert!(
        others || !mem.maps.values().any(|m| reached(&m)),
        "unpinned while a card can reach it"
    );
}

/// # Safety
///
/// `pin` must be of `nm_pin_new`.
#[no_mangle]
unsafe extern "C" fn nm_pin_addr(pin: *const nm_pin) -> *mut c_void {
    // SAFETY: By the caller's promise.
    unsafe { &*pin.cast::<Pin>() }.at.cast()
}

/// # Safety
///
/// Both must be of `nm_pin_new`.
#[no_mangle]
unsafe extern "C" fn nm_pin_same(a: *const nm_pin, b: *const nm_pin) -> bool {
    // SAFETY: By the caller's promise.
    let (a, b) = unsafe { (&*a.cast::<Pin>(), &*b.cast::<Pin>()) };
    a.user == b.user && a.pages == b.pages
}
