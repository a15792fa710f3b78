// SPDX-License-Identifier: GPL-2.0
//! What a column's programs are: fds with rings, and threads that read them.

use super::watch::Watch;
use super::Column;
use crate::abi::*;
use crate::check::*;
use crate::fd::one_rx;
use crate::port::{Port, OTHER_PORT, Q};
use crate::steer::ifname;
use anyhow::{Context, Result};
use std::os::fd::AsRawFd;

/// UDP port steered to queue 0; the others follow.
pub const STEERED: u16 = 7200;

/// A program: an fd with rings, and those who wait at it.
pub struct Program {
    // dropped in this order: the threads use the rings, the mapping pins the registration
    pub watch: Watch,
    pub port: Port,
    pub queues: Vec<u32>,
}

/// The programs of a column.
pub fn programs(column: Column, queues: u32) -> Result<Vec<Program>> {
    let all = Register {
        mode: ALL_NIC,
        ..Register::default()
    };
    let every: Vec<u32> = (0..queues).collect();
    Ok(match column {
        Column::None => Vec::new(),
        Column::One => vec![Program::new(one_rx(Q), vec![Q])?],
        Column::Several => {
            let none = Register {
                flags: RX_ONLY | NO_RINGS,
                ..one_rx(0)
            };
            vec![
                Program::new(none, vec![Q, Q + 1])?,
                Program::new(one_rx(Q + 2), vec![Q + 2])?,
            ]
        }
        Column::All => {
            let flags = RX_ONLY;
            vec![Program::new(Register { flags, ..all }, every)?]
        }
        Column::AllNic => vec![Program::new(all, every)?],
    })
}

/// How many programs a column has.
pub fn programs_of(column: Column) -> usize {
    match column {
        Column::None => 0,
        Column::Several => 2,
        Column::One | Column::All | Column::AllNic => 1,
    }
}

impl Column {
    /// Queues that UDP ports are steered to.
    pub fn steered(self) -> &'static [u32] {
        match self {
            Column::None => &[],
            Column::One | Column::All | Column::AllNic => &[Q],
            Column::Several => &[Q, Q + 1, Q + 2],
        }
    }
}

impl Program {
    /// Registers, and reads.
    fn new(reg: Register, queues: Vec<u32>) -> Result<Program> {
        let port = Port::open(&ifname(), reg).context("register")?;
        if reg.flags & NO_RINGS != 0 {
            for q in &queues {
                want_ok("NIOCQADD", port.fd.qadd(*q))?;
            }
        }
        Program::reading(port, queues)
    }

    /// Reads from a port that has these queues.
    pub fn reading(port: Port, queues: Vec<u32>) -> Result<Program> {
        let rings: Result<Vec<_>> = queues.iter().map(|q| Ok((*q, port.ring(*q)?))).collect();
        let watch = Watch::start(port.fd.file.as_raw_fd(), rings?)?;
        Ok(Program {
            watch,
            port,
            queues,
        })
    }

    /// Frames its reader has got.
    pub fn frames(&self) -> u64 {
        let of = |dport| self.watch.frames(None, dport);
        let steered = self.queues.iter().map(|q| of(STEERED + *q as u16));
        steered.sum::<u64>() + of(OTHER_PORT)
    }

    /// What a thread of it died of.
    pub fn end(self) -> Result<Port> {
        self.watch.end()?;
        Ok(self.port)
    }
}
