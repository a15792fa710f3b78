// SPDX-License-Identifier: GPL-2.0

//! Packets of the stack, counted.

use std::sync::atomic::{AtomicI64, Ordering::SeqCst};

use kernel::bindings::net_device;
use kernel::ffi::{c_int, c_void};

use super::net::Dev;
use super::no_memory;
use crate::ffi::{nm_frag, sk_buff};

struct Skb {
    next: *mut sk_buff,
    dev: *mut net_device,
    data: Vec<u8>,
    /// Packets it is to be made into on its way out.
    segments: usize,
}

static ALIVE: AtomicI64 = AtomicI64::new(0);

/// Packets there are.
pub fn alive() -> i64 {
    ALIVE.load(SeqCst)
}

fn new(dev: *mut net_device, len: usize, segments: usize) -> *mut sk_buff {
    ALIVE.fetch_add(1, SeqCst);
    let skb = Skb {
        next: core::ptr::null_mut(),
        dev,
        data: vec![0xa5; len],
        segments,
    };
    Box::into_raw(Box::new(skb)).cast()
}

/// A packet that the stack sends through `dev`, `len` bytes, to be made into `segments`.
pub fn make(dev: &Dev, len: usize, segments: usize) -> *mut sk_buff {
    new(dev.as_ptr(), len, segments)
}

/// Throws it away.
pub(crate) fn free(skb: *mut sk_buff) {
    // SAFETY: Made by `make`.
    unsafe { nm_skb_free(skb, true) };
}

/// # Safety
///
/// `skb` must be alive.
unsafe fn of<'a>(skb: *const sk_buff) -> &'a mut Skb {
    // SAFETY: By the caller's promise; one thread has it.
    unsafe { &mut *skb.cast_mut().cast::<Skb>() }
}

/// # Safety
///
/// `frag` must have `n` entries whose bytes are there.
#[no_mangle]
unsafe extern "C" fn nm_skb_receive(
    dev: *mut net_device,
    _queue: u32,
    frag: *const nm_frag,
    n: u32,
) -> u32 {
    // SAFETY: By the caller's promise.
    let (dev, frags) = unsafe { (Dev::of(dev), core::slice::from_raw_parts(frag, n as usize)) };
    let (mut frames, mut sum) = (0, 0u64);
    for frag in frags {
        // SAFETY: By the caller's promise; a program may be writing there.
        let at = |i| unsafe { frag.data.cast::<u8>().add(i).read_volatile() };
        sum += (0..frag.len as usize)
            .map(|i| u64::from(at(i)))
            .sum::<u64>();
        if frag.more == 0 {
            // The stack may have no memory for one.
            frames += u32::from(no_memory().is_none());
        }
    }
    core::hint::black_box(sum);
    dev.received.fetch_add(frames, SeqCst);
    frames
}

macro_rules! of_skb {
    ($($name:ident($skb:ident: $p:ty $(, $arg:ident: $t:ty)*) $(-> $ret:ty)? $body:block)+) => {$(
        /// # Safety
        ///
        /// The packet must be alive, other pointers valid for what is done with them.
        #[no_mangle]
        unsafe extern "C" fn $name($skb: $p $(, $arg: $t)*) $(-> $ret)? $body
    )+};
}
of_skb! {
    nm_skb_dev(skb: *const sk_buff) -> *mut net_device {
        // SAFETY: By the caller's promise.
        unsafe { of(skb) }.dev
    }
    nm_skb_next(skb: *const sk_buff) -> *mut sk_buff {
        // SAFETY: As above.
        unsafe { of(skb) }.next
    }
    nm_skb_set_next(skb: *mut sk_buff, next: *mut sk_buff) {
        // SAFETY: As above.
        unsafe { of(skb) }.next = next;
    }
    nm_skb_len(skb: *const sk_buff) -> u32 {
        // SAFETY: As above.
        unsafe { of(skb) }.data.len() as u32
    }
    nm_skb_free(skb: *mut sk_buff, _dropped: bool) {
        // SAFETY: As above, and used up.
        let skb = unsafe { Box::from_raw(skb.cast::<Skb>()) };
        assert!(skb.next.is_null(), "a packet freed that is in a list");
        ALIVE.fetch_sub(1, SeqCst);
    }
    nm_skb_copy(skb: *const sk_buff, offset: u32, to: *mut c_void, len: u32) -> c_int {
        // SAFETY: As above.
        let data = &unsafe { of(skb) }.data[offset as usize..][..len as usize];
        // SAFETY: Valid for writing.
        unsafe { to.cast::<u8>().copy_from(data.as_ptr(), data.len()) };
        0
    }
    nm_skb_plain(skb: *mut sk_buff, lost: *mut u32) -> *mut sk_buff {
        // SAFETY: As above.
        let (dev, len, segments) = unsafe {
            let skb = of(skb);
            (skb.dev, skb.data.len(), skb.segments)
        };
        if segments == 1 {
            return skb;
        }
        free(skb);
        let (mut first, mut made) = (core::ptr::null_mut(), 0);
        for _ in 0..segments {
            if no_memory().is_some() {
                continue;
            }
            let one = new(dev, len / segments.max(1), 1);
            // SAFETY: Just made.
            unsafe { of(one) }.next = first;
            first = one;
            made += 1;
        }
        // SAFETY: Valid for writing.
        unsafe { *lost += segments as u32 - made };
        first
    }
}
