// SPDX-License-Identifier: GPL-2.0
//! The card's log of the wire: the frames the guest has sent, byte for byte.

use crate::frame;
use crate::nic::Nic;
use anyhow::{bail, Result};
use std::time::{Duration, Instant};

/// The card's log of frames the guest sends; it ends with the value.
pub struct TxLog<'a>(&'a Nic);

impl<'a> TxLog<'a> {
    pub fn start(nic: &'a Nic) -> Result<Self> {
        nic.cmd("txlog stop")?;
        nic.cmd("txlog start")?;
        Ok(TxLog(nic))
    }

    /// All frames so far that `pick` wants.
    pub fn all(&self, pick: impl Fn(&[u8]) -> bool) -> Result<Vec<Vec<u8>>> {
        let lines = self.0.cmd("txlog get")?;
        let frames = lines.iter().filter_map(|l| frame::unhex(l));
        Ok(frames.filter(|f| pick(f)).collect())
    }

    /// Waits until `n` frames that `pick` wants have left; these, and what else it
    /// wants that is there by then.
    pub fn wait(&self, n: usize, pick: impl Fn(&[u8]) -> bool) -> Result<Vec<Vec<u8>>> {
        let end = Instant::now() + Duration::from_secs(10);
        loop {
            let frames = self.all(&pick)?;
            if frames.len() >= n {
                return Ok(frames);
            }
            if Instant::now() > end {
                bail!("{} of {n} frames have left the card", frames.len());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// As [`TxLog::wait`] for what [`frame::outgoing`] makes.
    pub fn outgoing(&self, n: usize) -> Result<Vec<Vec<u8>>> {
        self.wait(n, |f| f[12..14] == frame::EXPERIMENT)
    }
}

impl Drop for TxLog<'_> {
    fn drop(&mut self) {
        let _ = self.0.cmd("txlog stop");
    }
}
