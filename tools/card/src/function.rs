// SPDX-License-Identifier: GPL-2.0
//! The PCI function: what the transport's calls mean for the card.

use std::fs::File;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use log::info;

use crate::pci::BAR4_SIZE;
use crate::shared::Shared;
use crate::vfio::{Device, Region};

/// The card as the transport sees it.
pub struct Function {
    shared: Arc<Shared>,
    /// The MSI-X table and pending bits. The client keeps its own; this only remembers.
    vectors: Vec<u8>,
}

impl Function {
    pub fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            vectors: vec![0; BAR4_SIZE as usize],
        }
    }
}

impl Device for Function {
    fn attach(&mut self) {
        info!("a client came");
        self.shared.with(|card, _| card.attached = true);
    }

    fn read(&mut self, region: Region, offset: u64, data: &mut [u8]) {
        match region {
            Region::Config => self
                .shared
                .with(|card, _| card.pci.read(offset as usize, data)),
            Region::Registers => {
                let slow = self.shared.with(|card, _| {
                    let mut at = offset as u32;
                    for part in data.chunks_mut(4) {
                        let v = card.read(at & !3) >> (8 * (at & 3));
                        part.copy_from_slice(&v.to_le_bytes()[..part.len()]);
                        at += 4;
                    }
                    card.slowness()
                });
                dawdle(slow);
            }
            Region::Vectors => {
                let at = offset as usize;
                data.copy_from_slice(&self.vectors[at..at + data.len()]);
            }
            Region::Ports => data.fill(0),
        }
    }

    fn write(&mut self, region: Region, offset: u64, data: &[u8]) {
        match region {
            Region::Config => {
                let flr = self.shared.with(|card, _| {
                    let flr = card.pci.write(offset as usize, data);
                    card.master();
                    flr
                });
                if flr {
                    self.reset();
                }
            }
            // The card has no registers that are written in pieces smaller than four bytes.
            Region::Registers => {
                let slow = self.shared.with(|card, now| {
                    let mut at = offset as u32;
                    for part in data.chunks_exact(4) {
                        let v = u32::from_le_bytes([part[0], part[1], part[2], part[3]]);
                        card.write(at & !3, v, now);
                        at += 4;
                    }
                    card.slowness()
                });
                dawdle(slow);
            }
            Region::Vectors => {
                let at = offset as usize;
                self.vectors[at..at + data.len()].copy_from_slice(data);
            }
            Region::Ports => {}
        }
    }

    fn map(&mut self, gpa: u64, len: u64, fd: Option<&File>, at: u64, rw: bool) -> io::Result<()> {
        self.shared
            .with(|card, _| card.dma.map(gpa, len, fd, at, rw))
    }

    fn unmap(&mut self, gpa: u64, len: u64) {
        self.shared.with(|card, _| card.dma.unmap(gpa, len));
    }

    fn unmap_all(&mut self) {
        self.shared.with(|card, _| card.dma.unmap_all());
    }

    fn vector(&mut self, v: usize, fd: Option<File>) {
        self.shared.with(|card, _| card.msix.set(v, fd));
    }

    fn reset(&mut self) {
        self.shared.with(|card, _| card.reset(true));
    }

    fn detach(&mut self) {
        self.shared.with(|card, _| {
            card.reset(true);
            card.dma.unmap_all();
            card.msix.clear();
            card.attached = false;
        });
        self.vectors.fill(0);
    }
}

/// A slow card (misbehaviour): the access takes that long, the data path goes on.
fn dawdle(time: Duration) {
    if !time.is_zero() {
        std::thread::sleep(time);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::card::Card;

    fn unit() -> Function {
        let card = Card::new([0xa0, 0x36, 0x9f, 1, 2, 3], false);
        Function::new(Arc::new(Shared::new("t", card, None).unwrap()))
    }

    #[test]
    fn sizes_of_access() {
        let mut f = unit();
        f.write(Region::Registers, 0x5820, &[1, 2, 3, 4, 5, 6, 7, 8]);
        let mut b = [0; 8];
        f.read(Region::Registers, 0x5820, &mut b);
        assert_eq!(b, [1, 2, 3, 4, 5, 6, 7, 8]);
        let mut b = [0; 2];
        f.read(Region::Registers, 0x5822, &mut b);
        assert_eq!(b, [3, 4]);
        f.read(Region::Config, 0, &mut b);
        assert_eq!(b, [0x86, 0x80]);
    }

    #[test]
    fn a_function_level_reset_resets() {
        let mut f = unit();
        f.write(Region::Registers, 0x5820, &[1, 2, 3, 4]);
        f.write(Region::Config, 0xa8, &[0x10, 0xa8]);
        let mut b = [9; 4];
        f.read(Region::Registers, 0x5820, &mut b);
        assert_eq!(b, [0; 4]);
    }

    #[test]
    fn a_client_that_goes_leaves_nothing() {
        let mut f = unit();
        f.attach();
        f.shared
            .with(|c, _| c.dma = crate::dma::Dma::of_size(0x1000));
        f.detach();
        f.shared.with(|c, _| {
            assert!(!c.attached);
            assert!(c.dma.read_desc(0).is_none());
        });
    }

    #[test]
    fn without_bus_mastering_no_memory_is_reached() {
        let mut f = unit();
        f.shared
            .with(|c, _| c.dma = crate::dma::Dma::of_size(0x1000));
        f.write(Region::Config, 4, &[0x06, 0]);
        assert!(f.shared.with(|c, _| c.dma.read_desc(0).is_some()));
        f.write(Region::Config, 4, &[0x02, 0]);
        assert!(f.shared.with(|c, _| c.dma.read_desc(0).is_none()));
        f.shared.with(|c, _| {
            assert!(c.dma.refused.get() == 1 && !c.dma.write_desc(0, [1; 2]));
        });
    }
}
