// SPDX-License-Identifier: GPL-2.0
//! The transport: the only room that knows vfio-user. It turns the client's messages into the
//! few calls of [`Device`], and has one thread, which serves one client after the other.

use std::fs::File;
use std::io;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::path::Path;

use log::{error, info, warn};
use vfio_bindings::bindings::vfio::{
    vfio_region_info, VFIO_IRQ_INFO_EVENTFD, VFIO_IRQ_SET_ACTION_TRIGGER,
    VFIO_IRQ_SET_DATA_EVENTFD, VFIO_PCI_BAR0_REGION_INDEX, VFIO_PCI_BAR2_REGION_INDEX,
    VFIO_PCI_BAR4_REGION_INDEX, VFIO_PCI_CONFIG_REGION_INDEX, VFIO_PCI_MSIX_IRQ_INDEX,
    VFIO_PCI_NUM_REGIONS, VFIO_REGION_INFO_FLAG_READ, VFIO_REGION_INFO_FLAG_WRITE,
};
use vfio_user::{DmaMapFlags, DmaUnmapFlags, IrqInfo, Server, ServerBackend, ServerRegion};

use crate::irq::VECTORS;
use crate::pci;

/// Bit of a DMA_UNMAP request, as clients send it (the crate's constant is one bit off).
const UNMAP_ALL: u32 = 1 << 1;

/// The places a client can read and write.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Region {
    Registers,
    Ports,
    Vectors,
    Config,
}

impl Region {
    fn of(index: u32) -> Option<Self> {
        match index {
            VFIO_PCI_BAR0_REGION_INDEX => Some(Self::Registers),
            VFIO_PCI_BAR2_REGION_INDEX => Some(Self::Ports),
            VFIO_PCI_BAR4_REGION_INDEX => Some(Self::Vectors),
            VFIO_PCI_CONFIG_REGION_INDEX => Some(Self::Config),
            _ => None,
        }
    }

    fn size(self) -> u64 {
        match self {
            Self::Registers => pci::BAR0_SIZE,
            Self::Ports => pci::BAR2_SIZE,
            Self::Vectors => pci::BAR4_SIZE,
            Self::Config => pci::SIZE as u64,
        }
    }
}

/// What a device behind the transport does.
pub trait Device {
    /// A client came.
    fn attach(&mut self);
    fn read(&mut self, region: Region, offset: u64, data: &mut [u8]);
    fn write(&mut self, region: Region, offset: u64, data: &[u8]);
    fn map(&mut self, gpa: u64, len: u64, fd: Option<&File>, at: u64, rw: bool) -> io::Result<()>;
    fn unmap(&mut self, gpa: u64, len: u64);
    fn unmap_all(&mut self);
    /// Sets (or clears) the event descriptor of a vector.
    fn vector(&mut self, v: usize, fd: Option<File>);
    fn reset(&mut self);
    /// The client went away.
    fn detach(&mut self);
}

/// The crate's view of a device.
struct Backend<'a> {
    device: &'a mut dyn Device,
    attached: bool,
}

impl Backend<'_> {
    fn touch(&mut self) {
        if !self.attached {
            self.attached = true;
            self.device.attach();
        }
    }
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, what.to_string())
}

fn checked(region: u32, offset: u64, len: usize) -> io::Result<Region> {
    let r = Region::of(region).ok_or_else(|| invalid("no such region"))?;
    match offset.checked_add(len as u64) {
        Some(end) if end <= r.size() => Ok(r),
        _ => Err(invalid("access beyond the region")),
    }
}

impl ServerBackend for Backend<'_> {
    fn region_read(&mut self, region: u32, offset: u64, data: &mut [u8]) -> io::Result<()> {
        self.touch();
        let r = checked(region, offset, data.len())?;
        self.device.read(r, offset, data);
        Ok(())
    }

    fn region_write(&mut self, region: u32, offset: u64, data: &[u8]) -> io::Result<()> {
        let r = checked(region, offset, data.len())?;
        self.device.write(r, offset, data);
        Ok(())
    }

    fn dma_map(
        &mut self,
        flags: DmaMapFlags,
        offset: u64,
        address: u64,
        size: u64,
        fd: Option<File>,
    ) -> io::Result<()> {
        self.touch();
        let rw = flags.contains(DmaMapFlags::WRITE);
        self.device.map(address, size, fd.as_ref(), offset, rw)
    }

    fn dma_unmap(&mut self, flags: DmaUnmapFlags, address: u64, size: u64) -> io::Result<()> {
        if flags.bits() & UNMAP_ALL != 0 {
            self.device.unmap_all();
        } else {
            self.device.unmap(address, size);
        }
        Ok(())
    }

    fn reset(&mut self) -> io::Result<()> {
        info!("device reset");
        self.device.reset();
        Ok(())
    }

    fn set_irqs(
        &mut self,
        index: u32,
        flags: u32,
        start: u32,
        count: u32,
        fds: Vec<File>,
    ) -> io::Result<()> {
        // Other kinds than MSI-X are offered to nobody and never fire; (un)masking is the
        // client's business.
        if index != VFIO_PCI_MSIX_IRQ_INDEX || flags & VFIO_IRQ_SET_ACTION_TRIGGER == 0 {
            return Ok(());
        }
        let end = u64::from(start) + u64::from(count);
        if end > VECTORS as u64 {
            return Err(invalid("no such vector"));
        }
        if flags & VFIO_IRQ_SET_DATA_EVENTFD != 0 {
            let mut fds = fds.into_iter();
            for v in start..start + count {
                self.device.vector(v as usize, fds.next());
            }
        } else if count == 0 {
            for v in 0..VECTORS {
                self.device.vector(v, None);
            }
        }
        Ok(())
    }
}

fn regions() -> Vec<ServerRegion> {
    (0..VFIO_PCI_NUM_REGIONS)
        .map(|index| {
            let size = Region::of(index).map_or(0, Region::size);
            let flags = if size > 0 {
                VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE
            } else {
                0
            };
            ServerRegion {
                region_info: vfio_region_info {
                    argsz: std::mem::size_of::<vfio_region_info>() as u32,
                    flags,
                    index,
                    cap_offset: 0,
                    size,
                    offset: 0,
                },
                sparse_areas: Vec::new(),
                mmap_fd: None,
            }
        })
        .collect()
}

fn irqs() -> Vec<IrqInfo> {
    // INTx, MSI, MSI-X. NORESIZE is not set: with it QEMU re-arms all vectors for each new one.
    [1, 0, VECTORS as u32]
        .into_iter()
        .enumerate()
        .map(|(index, count)| IrqInfo {
            index: index as u32,
            flags: VFIO_IRQ_INFO_EVENTFD,
            count,
        })
        .collect()
}

/// Binds the socket.
pub fn bind(path: &Path) -> Result<Server, String> {
    let _ = std::fs::remove_file(path);
    Server::new(path, true, irqs(), regions()).map_err(|e| format!("{}: {e}", path.display()))
}

/// Serves one client after the other, for ever.
pub fn serve(server: &Server, device: &mut dyn Device) -> ! {
    loop {
        let mut backend = Backend {
            device,
            attached: false,
        };
        // The crate panics on some malformed messages; that must not end the card.
        match catch_unwind(AssertUnwindSafe(|| server.run(&mut backend))) {
            Ok(Ok(())) => info!("the client went away"),
            Ok(Err(e)) => warn!("the client's connection broke: {e}"),
            Err(_) => error!("the client sent what the protocol forbids"),
        }
        device.detach();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accesses_are_checked_against_the_regions() {
        assert_eq!(checked(0, 0x7fffc, 4).unwrap(), Region::Registers);
        assert!(checked(0, 0x7fffd, 4).is_err());
        assert!(checked(1, 0, 4).is_err());
        assert!(checked(99, 0, 4).is_err());
        assert!(checked(7, u64::MAX, 4).is_err());
        assert_eq!(regions().len(), 9);
        assert_eq!(irqs()[2].count, 64);
    }
}
