// SPDX-License-Identifier: GPL-2.0

//! Frames that the kernel sends, on their way to a program.

use core::ptr::NonNull;

use super::chunk::RawBytes;
use crate::ffi::{self, sk_buff};

/// One frame as it would go over the wire; dropping it counts as a lost packet.
///
/// # Invariants
///
/// The pointer is an skb of [`ffi::nm_skb_plain`] that is this object's, in no list.
pub(crate) struct Frame(NonNull<sk_buff>);

// SAFETY: An skb without socket and interface belongs to no thread.
unsafe impl Send for Frame {}

impl Frame {
    /// Bytes in it.
    pub(crate) fn len(&self) -> u32 {
        // SAFETY: Valid by the type invariant.
        unsafe { ffi::nm_skb_len(self.0.as_ptr()) }
    }

    /// Copies the bytes from `offset` on to `to`, as many as there is room for; returns how many.
    ///
    /// The chunk `to` is in must still be there.
    pub(crate) fn copy(&self, offset: u32, to: RawBytes) -> u32 {
        let len = self.len().saturating_sub(offset).min(to.len as u32);
        // SAFETY: `to` is in a chunk, which programs may write to as well; the range is within
        // both.
        let result =
            unsafe { ffi::nm_skb_copy(self.0.as_ptr(), offset, to.ptr.cast_mut().cast(), len) };
        if result == 0 {
            len
        } else {
            0
        }
    }

    /// It has arrived.
    pub(crate) fn consume(self) {
        let frame = core::mem::ManuallyDrop::new(self);
        // SAFETY: Valid and owned by the type invariant; not used again.
        unsafe { ffi::nm_skb_free(frame.0.as_ptr(), false) };
    }
}

impl Drop for Frame {
    fn drop(&mut self) {
        // SAFETY: Valid and owned by the type invariant.
        unsafe { ffi::nm_skb_free(self.0.as_ptr(), true) };
    }
}

/// Frames in order. Nothing here allocates or sleeps; dropping it drops them.
///
/// # Invariants
///
/// `first` is null, or a list of skbs that are this object's, linked by their `next`, of which
/// `last` is the last.
pub(crate) struct Frames {
    first: *mut sk_buff,
    last: *mut sk_buff,
}

// SAFETY: As for `Frame`.
unsafe impl Send for Frames {}

impl Frames {
    /// None.
    pub(crate) const fn new() -> Self {
        // INVARIANT: Empty.
        Frames {
            first: core::ptr::null_mut(),
            last: core::ptr::null_mut(),
        }
    }

    /// What the stack hands to a driver, as it would go over the wire; and how many frames of it
    /// could not be made.
    ///
    /// # Safety
    ///
    /// `skb` must be valid and the caller's, who gives it up.
    pub(super) unsafe fn of(skb: *mut sk_buff) -> (Self, u32) {
        let mut lost = 0;
        // SAFETY: As the caller promises.
        let first = unsafe { ffi::nm_skb_plain(skb, &mut lost) };
        let mut last = first;
        // INVARIANT: The list is what the function made; its end is looked for here.
        while !last.is_null() {
            // SAFETY: In the list.
            let next = unsafe { ffi::nm_skb_next(last) };
            if next.is_null() {
                break;
            }
            last = next;
        }
        (Frames { first, last }, lost)
    }

    /// Is there none?
    pub(crate) fn is_empty(&self) -> bool {
        self.first.is_null()
    }

    /// Length of the first.
    pub(crate) fn first_len(&self) -> Option<u32> {
        // SAFETY: In the list.
        (!self.is_empty()).then(|| unsafe { ffi::nm_skb_len(self.first) })
    }

    /// Takes the first.
    pub(crate) fn pop(&mut self) -> Option<Frame> {
        let skb = NonNull::new(self.first)?;
        // SAFETY: In the list, from which it is taken.
        self.first = unsafe { ffi::nm_skb_next(skb.as_ptr()) };
        // SAFETY: Valid, and this object's.
        unsafe { ffi::nm_skb_set_next(skb.as_ptr(), core::ptr::null_mut()) };
        // INVARIANT: Now in no list.
        Some(Frame(skb))
    }

    /// Adds one at the end.
    pub(crate) fn push(&mut self, frame: Frame) {
        let skb = core::mem::ManuallyDrop::new(frame).0.as_ptr();
        if self.is_empty() {
            self.first = skb;
        } else {
            // SAFETY: The last of the list, and `skb` is in none.
            unsafe { ffi::nm_skb_set_next(self.last, skb) };
        }
        self.last = skb;
    }
}

impl Drop for Frames {
    fn drop(&mut self) {
        while self.pop().is_some() {}
    }
}
