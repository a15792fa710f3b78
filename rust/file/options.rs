// SPDX-License-Identifier: GPL-2.0

//! The options of a NIOCCTRL request.
//!
//! One walk copies each option in, once, header and body. Whoever honours an option asks for its
//! body by type ([`Options::honour`]), which sets its status; what nobody has asked for keeps the
//! status EOPNOTSUPP. Statuses go back to the program in every case, bodies with a status of 0 when
//! the request has succeeded.

use kernel::error::Result;
use kernel::prelude::*;

use crate::os::eopnotsupp;
use crate::os::user::Addr;
use crate::uapi::opt::{self, opttype};
use crate::uapi::CTRL_MAXSIZE;

/// A positive errno, as a status is.
fn status(e: Error) -> u32 {
    e.to_errno().unsigned_abs()
}

/// An option's body.
pub(super) enum Body {
    /// Of a type that does not exist: skipped.
    None,
    /// A region in the program's memory.
    Extmem(opt::Extmem),
    /// A kernel loop's eventfds, one entry per ring.
    EventFds(KVec<opt::EventFds>),
    /// Pointers in the program's memory.
    Csb(opt::Csb),
    /// How a kernel loop works.
    KloopMode(opt::KloopMode),
    /// Packets at offsets in their buffers.
    Offsets(opt::Offsets),
    /// RX rings with metadata.
    RxMeta(opt::RxMeta),
}

impl Body {
    fn read(at: Addr, opttype: u32, size: usize) -> Result<Self> {
        Ok(match opttype {
            opttype::EXTMEM => Body::Extmem(at.read()?),
            opttype::SYNC_KLOOP_EVENTFDS => {
                const ENTRY: usize = core::mem::size_of::<opt::EventFds>();
                let n = (size - opt::HEADER_SIZE) / ENTRY;
                let mut list = KVec::with_capacity(n, GFP_KERNEL)?;
                for i in 0..n {
                    list.push(at.offset(i * ENTRY)?.read()?, GFP_KERNEL)?;
                }
                Body::EventFds(list)
            }
            opttype::CSB => Body::Csb(at.read()?),
            opttype::SYNC_KLOOP_MODE => Body::KloopMode(at.read()?),
            opttype::OFFSETS => Body::Offsets(at.read()?),
            opttype::RX_META => Body::RxMeta(at.read()?),
            _ => Body::None,
        })
    }

    /// Copies out what may have changed.
    fn write(&self, at: Addr) -> Result {
        match self {
            Body::Extmem(body) => at.write(*body),
            Body::Offsets(body) => at.write(*body),
            Body::RxMeta(body) => at.write(*body),
            // The kernel has nothing to say in the others.
            Body::None | Body::EventFds(_) | Body::Csb(_) | Body::KloopMode(_) => Ok(()),
        }
    }
}

/// A body with its type's number.
pub(super) trait Typed: Sized {
    /// One of [`opttype`].
    const TYPE: u32;
    /// The body, if it is of this type.
    fn of(body: &mut Body) -> Option<&mut Self>;
}

macro_rules! typed {
    ($($t:ty: $variant:ident, $number:ident;)+) => {$(
        impl Typed for $t {
            const TYPE: u32 = opttype::$number;
            fn of(body: &mut Body) -> Option<&mut Self> {
                match body {
                    Body::$variant(body) => Some(body),
                    _ => None,
                }
            }
        }
    )+};
}
typed! {
    opt::Extmem: Extmem, EXTMEM;
    KVec<opt::EventFds>: EventFds, SYNC_KLOOP_EVENTFDS;
    opt::Csb: Csb, CSB;
    opt::KloopMode: KloopMode, SYNC_KLOOP_MODE;
    opt::Offsets: Offsets, OFFSETS;
    opt::RxMeta: RxMeta, RX_META;
}

struct Opt {
    at: Addr,
    header: opt::Header,
    body: Body,
}

/// The options of a request, as far as the walk came.
pub(super) struct Options {
    list: KVec<Opt>,
}

impl Options {
    /// No options, as legacy requests have.
    pub(super) fn none() -> Self {
        Options { list: KVec::new() }
    }

    /// Walks the list that begins at user address `first`; `bytes` of the request were copied
    /// before.
    ///
    /// # Errors
    ///
    /// EFAULT: a bad pointer. EINVAL: type 0, or a type twice. EMSGSIZE: longer in all than a
    /// request may be, or circular. ENOMEM.
    pub(super) fn walk(&mut self, first: u64, mut bytes: usize) -> Result {
        let mut at = Addr(first as usize);
        while !at.is_null() {
            let mut header: opt::Header = at.read()?;
            let size = opt::size(header.nro_reqtype, header.nro_size);
            bytes = bytes.saturating_add(size);
            if bytes > CTRL_MAXSIZE {
                return Err(EMSGSIZE);
            }
            header.nro_status = status(eopnotsupp());
            let earlier = match header.nro_reqtype {
                known if opt::known(known) => self.find(known),
                _ => None,
            };
            let twice = earlier.map(|o| o.header.nro_status = status(EINVAL));
            let invalid = header.nro_reqtype == 0 || twice.is_some();
            if invalid {
                header.nro_status = status(EINVAL);
            }
            let body = Body::None;
            self.list.push(Opt { at, header, body }, GFP_KERNEL)?;
            if invalid {
                return Err(EINVAL);
            }
            if opt::known(header.nro_reqtype) {
                let body = Body::read(at.offset(opt::HEADER_SIZE)?, header.nro_reqtype, size)?;
                if let Some(last) = self.list.last_mut() {
                    last.body = body;
                }
            }
            at = Addr(header.nro_next as usize);
        }
        Ok(())
    }

    fn find(&mut self, opttype: u32) -> Option<&mut Opt> {
        self.list
            .iter_mut()
            .find(|o| o.header.nro_reqtype == opttype)
    }

    /// Is there such an option?
    pub(super) fn has<T: Typed>(&self) -> bool {
        let mut types = self.list.iter().map(|o| o.header.nro_reqtype);
        types.any(|t| t == T::TYPE)
    }

    /// Calls `f` with the body of type `T`, if the request has one. The option's status becomes 0,
    /// or the errno of `f`, which is returned as well.
    pub(super) fn honour<T: Typed, R>(
        &mut self,
        f: impl FnOnce(&mut T) -> Result<R>,
    ) -> Result<Option<R>> {
        let Some(opt) = self.find(T::TYPE) else {
            return Ok(None);
        };
        let Some(body) = T::of(&mut opt.body) else {
            return Ok(None);
        };
        let result = f(body);
        opt.header.nro_status = result.as_ref().err().map_or(0, |e| status(*e));
        result.map(Some)
    }

    /// As [`Options::honour`], but a status of 0 is left to those who do.
    pub(super) fn check<T: Typed>(&mut self, f: impl FnOnce(&mut T) -> Result) -> Result {
        let checked = self.honour(f)?;
        if let (Some(()), Some(opt)) = (checked, self.find(T::TYPE)) {
            opt.header.nro_status = status(eopnotsupp());
        }
        Ok(())
    }

    /// What a REGISTER asks before it touches hardware; `T` alone may be honoured later.
    ///
    /// # Errors
    ///
    /// EOPNOTSUPP: an option was not honoured.
    pub(super) fn all_honoured_but<T: Typed>(&self) -> Result {
        self.honoured(|opttype| opttype != T::TYPE)
    }

    /// What it asks at its end.
    ///
    /// # Errors
    ///
    /// EOPNOTSUPP: an option was not honoured.
    pub(super) fn all_honoured(&self) -> Result {
        self.honoured(|_| true)
    }

    fn honoured(&self, which: impl Fn(u32) -> bool) -> Result {
        let refused = |o: &Opt| o.header.nro_status == status(eopnotsupp());
        let mut asked = self.list.iter().filter(|o| which(o.header.nro_reqtype));
        match asked.any(refused) {
            true => Err(eopnotsupp()),
            false => Ok(()),
        }
    }

    /// Copies every status out, and the bodies that were honoured if the request `succeeded`.
    ///
    /// # Errors
    ///
    /// EFAULT, after all that could be written has been.
    pub(super) fn write_back(&self, succeeded: bool) -> Result {
        let mut result = Ok(());
        for opt in &self.list {
            let mut written = opt.at.write(opt.header);
            if succeeded && opt.header.nro_status == 0 {
                let body = opt.at.offset(opt::HEADER_SIZE);
                written = written.and(body.and_then(|at| opt.body.write(at)));
            }
            result = result.and(written);
        }
        result
    }
}
