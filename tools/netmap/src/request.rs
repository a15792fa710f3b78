// SPDX-License-Identifier: MIT OR Apache-2.0
//! Requests with a header: a body, and options linked one behind the other. They
//! point at each other by address, so they are put together in one place only.

use crate::abi::{self, ext};
use crate::error::{Error, Op};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr;

/// The body of a request.
///
/// # Safety
/// The type is `repr(C)`, of the size and kind that belong to [`Body::TYPE`], and
/// has no addresses in it.
pub(crate) unsafe trait Body {
    /// `NETMAP_REQ_*`.
    const TYPE: u16;
}

macro_rules! body {
    ($($t:ident $n:ident)+) => {$(
        // SAFETY: the structure the interface defines for this type; its layout is
        // asserted in abi::layout.
        unsafe impl Body for abi::$t {
            const TYPE: u16 = abi::$n;
        }
    )+};
}

body! {
    nmreq_register NETMAP_REQ_REGISTER
    nmreq_port_info_get NETMAP_REQ_PORT_INFO_GET
    nmreq_pools_info NETMAP_REQ_POOLS_INFO_GET
    nmreq_port_hdr NETMAP_REQ_PORT_HDR_GET
    nmreq_sync_kloop_start NETMAP_REQ_SYNC_KLOOP_START
}

/// An option of a request.
///
/// # Safety
/// What `head` points to is the head of an option of this kind, complete with its
/// body, and stays in place while self is borrowed; addresses in it are those of
/// memory the kernel may use as that option says.
pub(crate) unsafe trait Opt {
    /// `NETMAP_REQ_OPT_*`.
    fn kind(&self) -> u32;
    /// Where it begins.
    fn head(&mut self) -> *mut abi::nmreq_option;
}

macro_rules! option {
    ($($t:path, $n:path;)+) => {$(
        // SAFETY: as the interface defines it, layout asserted in abi::layout. Those
        // with addresses are made in crate::extmem and crate::csb, which own
        // what they point at.
        unsafe impl Opt for $t {
            fn kind(&self) -> u32 {
                $n
            }
            fn head(&mut self) -> *mut abi::nmreq_option {
                ptr::from_mut(self).cast()
            }
        }
    )+};
}

option! {
    abi::nmreq_opt_extmem, abi::NETMAP_REQ_OPT_EXTMEM;
    abi::nmreq_opt_csb, abi::NETMAP_REQ_OPT_CSB;
    abi::nmreq_opt_offsets, abi::NETMAP_REQ_OPT_OFFSETS;
    abi::nmreq_opt_sync_kloop_mode, abi::NETMAP_REQ_OPT_SYNC_KLOOP_MODE;
    ext::nmreq_opt_rx_meta, ext::NETMAP_REQ_OPT_RX_META;
}

/// A refusal, and the option it was about if the kernel named one.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) source: io::Error,
    /// Type of the option.
    pub(crate) option: Option<u32>,
}

impl Refused {
    pub(crate) fn error(self, op: Op, object: &str) -> Error {
        let e = Error::system(op, object, self.source);
        let Some(option) = self.option else {
            return e;
        };
        let name = match option {
            abi::NETMAP_REQ_OPT_EXTMEM => "memory of its own (EXTMEM)",
            abi::NETMAP_REQ_OPT_CSB => "the communication block (CSB)",
            abi::NETMAP_REQ_OPT_OFFSETS => "offsets (OFFSETS)",
            abi::NETMAP_REQ_OPT_SYNC_KLOOP_EVENTFDS => "the loop's events",
            abi::NETMAP_REQ_OPT_SYNC_KLOOP_MODE => "the loop's mode",
            ext::NETMAP_REQ_OPT_RX_META => "metadata (RX_META)",
            _ => return e,
        };
        e.with_hint(format!("this port and {name} do not go together"))
    }
}

impl From<io::Error> for Refused {
    fn from(source: io::Error) -> Self {
        Self {
            source,
            option: None,
        }
    }
}

/// Links options; kept while the request runs.
#[derive(Default)]
pub(crate) struct Options<'a> {
    list: Vec<&'a mut dyn Opt>,
}

impl<'a> Options<'a> {
    pub(crate) fn push(&mut self, option: &'a mut dyn Opt) {
        self.list.push(option);
    }

    pub(crate) fn push_some<T: Opt>(&mut self, option: &'a mut Option<T>) {
        if let Some(option) = option {
            self.list.push(option);
        }
    }

    /// Chain them; the address of the first.
    fn link(&mut self) -> u64 {
        let mut next = 0;
        for option in self.list.iter_mut().rev() {
            let kind = option.kind();
            let head = option.head();
            // SAFETY: the head of a live option (Opt).
            unsafe {
                (*head).nro_next = next;
                (*head).nro_reqtype = kind;
                (*head).nro_status = 0;
            }
            next = head as u64;
        }
        next
    }

    /// The first that was refused with this error; other errors leave marks as well.
    fn refused(&mut self, errno: Option<i32>) -> Option<u32> {
        self.list.iter_mut().find_map(|option| {
            // SAFETY: as in link().
            let h = unsafe { ptr::read(option.head()) };
            (h.nro_status != 0 && Some(h.nro_status as i32) == errno).then_some(h.nro_reqtype)
        })
    }
}

/// `NIOCCTRL` about the port called `name` (may be empty).
pub(crate) fn ctrl<B: Body>(
    fd: BorrowedFd<'_>,
    name: &str,
    body: &mut B,
    options: Options<'_>,
) -> Result<(), Refused> {
    request(fd, B::TYPE, name, ptr::from_mut(body) as u64, options)
}

/// The same for a type that has no body.
pub(crate) fn ctrl_empty(
    fd: BorrowedFd<'_>,
    reqtype: u16,
    name: &str,
    options: Options<'_>,
) -> Result<(), Refused> {
    request(fd, reqtype, name, 0, options)
}

fn request(
    fd: BorrowedFd<'_>,
    reqtype: u16,
    name: &str,
    body: u64,
    mut options: Options<'_>,
) -> Result<(), Refused> {
    let mut header = abi::nmreq_header {
        nr_version: abi::NETMAP_API,
        nr_reqtype: reqtype,
        nr_reserved: 0,
        nr_name: [0; abi::NETMAP_REQ_IFNAMSIZ],
        nr_options: options.link(),
        nr_body: body,
    };
    let bytes = name.as_bytes();
    if bytes.len() >= header.nr_name.len() || bytes.contains(&0) {
        return Err(io::Error::from_raw_os_error(libc::EINVAL).into());
    }
    header.nr_name[..bytes.len()].copy_from_slice(bytes);
    // SAFETY: `header` is the structure NIOCCTRL takes; nr_body is 0 or the live
    // body of its type (Body), nr_options the first of a chain of live options (Opt),
    // all exclusively borrowed until this returns.
    let ret = unsafe { libc::ioctl(fd.as_raw_fd(), abi::NIOCCTRL as _, &mut header) };
    if ret < 0 {
        let source = io::Error::last_os_error();
        let option = options.refused(source.raw_os_error());
        return Err(Refused { source, option });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_chained_in_their_order_with_types_filled_in() {
        let mut a = abi::nmreq_opt_offsets::default();
        let mut b = Some(ext::nmreq_opt_rx_meta::default());
        let (at_a, at_b) = (
            &raw const a as u64,
            b.as_ref().map(ptr::from_ref).unwrap() as u64,
        );
        let mut none: Option<abi::nmreq_opt_csb> = None;
        let mut options = Options::default();
        options.push(&mut a);
        options.push_some(&mut b);
        options.push_some(&mut none);
        assert_eq!(options.link(), at_a);
        assert_eq!(options.refused(Some(0)), None);
        drop(options);
        assert_eq!((a.nro_opt.nro_next, a.nro_opt.nro_reqtype), (at_b, 5));
        let b = b.unwrap().nro_opt;
        assert_eq!(
            (b.nro_next, b.nro_reqtype),
            (0, ext::NETMAP_REQ_OPT_RX_META)
        );
    }

    #[test]
    fn the_option_that_was_refused_is_found() {
        let mut a = abi::nmreq_opt_offsets::default();
        let mut b = ext::nmreq_opt_rx_meta::default();
        let mut options = Options::default();
        options.push(&mut a);
        options.push(&mut b);
        options.link();
        // What the kernel does.
        // SAFETY: an option's head.
        unsafe { (*options.list[1].head()).nro_status = libc::EOPNOTSUPP as u32 };
        let want = Some(ext::NETMAP_REQ_OPT_RX_META);
        assert_eq!(options.refused(Some(libc::EOPNOTSUPP)), want);
        assert_eq!(options.refused(Some(libc::EBUSY)), None);
    }
}
