// SPDX-License-Identifier: GPL-2.0

//! `/dev/netmap`: a misc device with poll, which the kernel crate's `MiscDevice` lacks.
//!
//! One trampoline per operation; what they call is safe.

use core::marker::PhantomData;

use kernel::bindings;
use kernel::error::{to_result, Result};
use kernel::ffi::{c_int, c_long, c_uint, c_ulong};
use kernel::fs::File;
use kernel::prelude::*;
use kernel::sync::poll::PollTable;
use kernel::sync::{Arc, ArcBorrow};
use kernel::types::{ForeignOwnable, Opaque};

use crate::ffi;
use crate::os::eopnotsupp;

/// What an open file does.
pub(crate) trait CharDevice: Send + Sync + Sized + 'static {
    /// A file is opened.
    fn open() -> Result<Arc<Self>>;
    /// The last reference to the file has gone, its mappings included.
    fn release(this: Arc<Self>);
    /// An ioctl; its argument is a user address or a number.
    fn ioctl(this: ArcBorrow<'_, Self>, file: &File, cmd: u32, arg: usize) -> Result<isize>;
    /// Poll: waits are registered with `table`; `wanted` and the answer are sets of POLL bits.
    fn poll(this: ArcBorrow<'_, Self>, file: &File, table: &PollTable<'_>, wanted: u32) -> u32;
    /// The region to map; see [`Mapped`].
    fn mmap(this: ArcBorrow<'_, Self>) -> Result<Mapped>;
}

/// What a mapping shows: a region that its file keeps until release.
pub(crate) struct Mapped {
    /// Passed to the fault handler.
    pub(crate) region: *const crate::mem::region::Region,
    /// Its size.
    pub(crate) pages: u64,
}

/// The registered device; gone on drop.
#[pin_data(PinnedDrop)]
pub(crate) struct Registration<T: CharDevice> {
    #[pin]
    misc: Opaque<bindings::miscdevice>,
    _t: PhantomData<T>,
}

// SAFETY: A misc device may be deregistered by any thread.
unsafe impl<T: CharDevice> Send for Registration<T> {}
// SAFETY: There are no `&self` methods.
unsafe impl<T: CharDevice> Sync for Registration<T> {}

impl<T: CharDevice> Registration<T> {
    /// Registers `/dev/NAME` with a dynamic minor, mode 0600.
    pub(crate) fn new(name: &'static CStr) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            misc <- Opaque::try_ffi_init(move |slot: *mut bindings::miscdevice| {
                let mut misc: bindings::miscdevice = pin_init::zeroed();
                misc.minor = bindings::MISC_DYNAMIC_MINOR as c_int;
                misc.name = name.as_char_ptr();
                misc.fops = &Operations::<T>::TABLE;
                misc.mode = 0o600;
                // SAFETY: The slot is ours to write; it is pinned, and deregistered before it goes.
                unsafe {
                    slot.write(misc);
                    to_result(bindings::misc_register(slot))
                }
            }),
            _t: PhantomData,
        })
    }
}

#[pinned_drop]
impl<T: CharDevice> PinnedDrop for Registration<T> {
    fn drop(self: Pin<&mut Self>) {
        // SAFETY: Registered in `new`.
        unsafe { bindings::misc_deregister(self.misc.get()) };
    }
}

struct Operations<T>(PhantomData<T>);

impl<T: CharDevice> Operations<T> {
    const TABLE: bindings::file_operations = bindings::file_operations {
        owner: (&raw const ffi::__this_module).cast_mut(),
        open: Some(Self::open),
        release: Some(Self::release),
        unlocked_ioctl: Some(Self::ioctl),
        compat_ioctl: Some(Self::compat_ioctl),
        poll: Some(Self::poll),
        mmap: Some(Self::mmap),
        ..pin_init::zeroed()
    };

    /// # Safety
    ///
    /// `file` must be open on this device.
    unsafe fn private<'a>(file: *mut bindings::file) -> ArcBorrow<'a, T> {
        // SAFETY: `open` put an Arc there, and `release` has not yet been called.
        unsafe { <Arc<T> as ForeignOwnable>::borrow((*file).private_data) }
    }

    /// # Safety
    ///
    /// Called by the VFS.
    unsafe extern "C" fn open(inode: *mut bindings::inode, file: *mut bindings::file) -> c_int {
        // SAFETY: Valid for the call.
        let ret = unsafe { bindings::nonseekable_open(inode, file) };
        if ret != 0 {
            return ret;
        }
        match T::open() {
            Ok(fd) => {
                // SAFETY: The file is being opened: its private data is ours.
                unsafe { (*file).private_data = fd.into_foreign() };
                0
            }
            Err(e) => e.to_errno(),
        }
    }

    /// # Safety
    ///
    /// Called by the VFS.
    unsafe extern "C" fn release(_inode: *mut bindings::inode, file: *mut bindings::file) -> c_int {
        // SAFETY: Put there by `open`; nobody else uses the file any more.
        T::release(unsafe { <Arc<T> as ForeignOwnable>::from_foreign((*file).private_data) });
        0
    }

    /// # Safety
    ///
    /// Called by the VFS.
    unsafe extern "C" fn ioctl(file: *mut bindings::file, cmd: c_uint, arg: c_ulong) -> c_long {
        // SAFETY: Open by contract, and valid for the call.
        let (private, f) = unsafe { (Self::private(file), File::from_raw_file(file)) };
        match T::ioctl(private, f, cmd, arg) {
            Ok(n) => n as c_long,
            Err(e) => e.to_errno() as c_long,
        }
    }

    /// Structures hold pointers and times as 64-bit programs have them: a 32-bit program is told
    /// so at once, because it would misread half of what it gets.
    ///
    /// # Safety
    ///
    /// Called by the VFS.
    unsafe extern "C" fn compat_ioctl(
        _file: *mut bindings::file,
        _cmd: c_uint,
        _arg: c_ulong,
    ) -> c_long {
        // SAFETY: Process context.
        unsafe { ffi::nm_warn_compat() };
        eopnotsupp().to_errno() as c_long
    }

    /// # Safety
    ///
    /// Called by the VFS.
    unsafe extern "C" fn poll(
        file: *mut bindings::file,
        table: *mut bindings::poll_table_struct,
    ) -> bindings::__poll_t {
        // SAFETY: The table is null or valid for the call.
        let wanted = unsafe { table.as_ref() }.map_or(u32::MAX, |t| t._key);
        // SAFETY: Both are valid for the call.
        let (table, f) = unsafe { (PollTable::from_raw(table), File::from_raw_file(file)) };
        // SAFETY: Open by contract.
        T::poll(unsafe { Self::private(file) }, f, &table, wanted)
    }

    /// # Safety
    ///
    /// Called by the VFS.
    unsafe extern "C" fn mmap(
        file: *mut bindings::file,
        vma: *mut bindings::vm_area_struct,
    ) -> c_int {
        // SAFETY: Process context.
        if unsafe { ffi::nm_in_compat() } {
            return eopnotsupp().to_errno();
        }
        // SAFETY: Open by contract.
        match T::mmap(unsafe { Self::private(file) }) {
            // SAFETY: The VMA is being set up. The file keeps the region until `release`, and the
            // mapping keeps the file.
            Ok(map) => unsafe { ffi::nm_vma_init(vma, map.region.cast(), map.pages) },
            Err(e) => e.to_errno(),
        }
    }
}
