// SPDX-License-Identifier: GPL-2.0
//! Sender: netmap on TX ring 0, by NIOCTXSYNC or by poll().

use crate::card::udp_frame;
use crate::nic::Nic;
use crate::transmit::Sender;
use anyhow::{Context, Result};
use netmap::{ExtraBuf, Port, TxRing};

/// A frame for another host.
pub fn frame() -> Vec<u8> {
    udp_frame([0x02, 0, 0, 0, 0x03, 0x99])
}

/// How bursts are made and pushed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// The frames lie in the ring's buffers; NIOCTXSYNC.
    Sync,
    /// The same with poll(POLLOUT).
    Poll,
    /// Each slot gets another buffer; NIOCTXSYNC.
    Swap,
}

/// Open TX ring 0 of the port.
pub fn open(nic: &Nic, style: Style) -> Result<Port> {
    let name = format!("netmap:{}-0", nic.name);
    let extra = if style == Style::Swap { 1 } else { 0 };
    let port = Port::builder(&name).tx_only().extra_buffers(extra).open();
    port.with_context(|| format!("open {name} for sending"))
}

/// The sender on an open port.
pub struct NetmapSender<'p> {
    port: &'p Port,
    ring: TxRing<'p>,
    spare: Option<ExtraBuf<'p>>,
    frame: Vec<u8>,
    style: Style,
}

impl<'p> NetmapSender<'p> {
    /// Send on TX ring 0 of `port`.
    pub fn new(port: &'p Port, style: Style) -> Result<Self> {
        let mut ring = port.tx_ring(0)?;
        let frame = frame();
        // Into every buffer of the ring once, so that later only lengths are written.
        let whole = ring.space();
        ring.fill(whole, |buf| {
            buf.get_mut(..frame.len())?.copy_from_slice(&frame);
            Some(frame.len())
        });
        let mut spare = port.take_extra();
        if let Some(buf) = &mut spare {
            buf.copy_from(&frame);
        }
        let mut sender = NetmapSender {
            port,
            ring,
            spare,
            frame,
            style,
        };
        sender.push()?;
        Ok(sender)
    }

    #[inline(always)]
    fn push(&mut self) -> Result<()> {
        self.ring.publish();
        if self.style == Style::Poll {
            self.port.wait_writable(None)?;
        } else {
            self.port.txsync()?;
        }
        self.ring.refresh();
        Ok(())
    }
}

impl Sender for NetmapSender<'_> {
    #[inline(always)]
    fn send(&mut self, size: u32) -> Result<bool> {
        if self.ring.space() < size as usize {
            self.push()?;
            return Ok(false);
        }
        match &mut self.spare {
            None => {
                let len = self.frame.len();
                self.ring.fill(size as usize, |_| Some(len));
            }
            Some(buf) => {
                for _ in 0..size {
                    self.ring.send(buf)?;
                    buf.copy_from(&self.frame);
                }
            }
        }
        self.push()?;
        Ok(true)
    }

    fn in_flight(&mut self) -> Result<u32> {
        self.push()?;
        Ok(self.ring.in_flight() as u32)
    }
}
