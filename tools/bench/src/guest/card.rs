// SPDX-License-Identifier: GPL-2.0
//! The control port of the emulated card, and the frames it is told to repeat.

use crate::init::virtio_port;
use crate::nic::ADDRESS;
use crate::udp::PORT;
use anyhow::{bail, Context, Result};
use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};

/// Requests of one line, answers that end in `ok` or `err TEXT`.
pub struct Card {
    port: BufReader<File>,
}

impl Card {
    /// Open virtio port `nic.ctl`.
    pub fn open() -> Result<Self> {
        let path = virtio_port("nic.ctl")?;
        let file = OpenOptions::new().read(true).write(true).open(&path);
        Ok(Card {
            port: BufReader::new(file.with_context(|| format!("open {path}"))?),
        })
    }

    /// Ask, and return the lines before `ok`.
    pub fn ask(&mut self, request: &str) -> Result<Vec<String>> {
        self.port
            .get_mut()
            .write_all(format!("{request}\n").as_bytes())?;
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            if self.port.read_line(&mut line)? == 0 {
                bail!("the card closed its control port at '{request}'");
            }
            match line.trim_end() {
                "ok" => return Ok(lines),
                line if line.starts_with("err") => bail!("card: {request}: {line}"),
                line => lines.push(line.to_owned()),
            }
        }
    }

    /// The doorbell repeats this frame from now on.
    pub fn template(&mut self, frame: &[u8]) -> Result<()> {
        let mut hex = String::new();
        for byte in frame {
            write!(hex, "{byte:02x}")?;
        }
        self.ask(&format!("bench template {hex}"))?;
        Ok(())
    }
}

/// A 60-byte UDP frame to the port's address: 64 bytes on the wire.
pub fn udp_frame(destination: [u8; 6]) -> Vec<u8> {
    let mut frame = vec![0u8; 60];
    frame[0..6].copy_from_slice(&destination);
    frame[6..12].copy_from_slice(&[0x02, 0, 0, 0, 0x03, 0x02]);
    frame[12..14].copy_from_slice(&[0x08, 0x00]);
    frame[14..24].copy_from_slice(&[0x45, 0, 0, 46, 0, 0, 0x40, 0, 64, 17]);
    frame[26..30].copy_from_slice(&[10, 0, 3, 2]);
    frame[30..34].copy_from_slice(&ADDRESS);
    let sum: u32 = frame[14..34]
        .chunks(2)
        .map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]])))
        .sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    frame[24..26].copy_from_slice(&(!(folded as u16)).to_be_bytes());
    frame[34..36].copy_from_slice(&1234u16.to_be_bytes());
    frame[36..38].copy_from_slice(&PORT.to_be_bytes());
    frame[38..40].copy_from_slice(&26u16.to_be_bytes());
    frame
}
