// SPDX-License-Identifier: GPL-2.0
//! The life-cycle matrix: what becomes of a port's queues at each event, by how many are out.
//!
//! A *row* is an event, a *column* what programs hold while it happens, a *cell* the one outcome
//! that is promised. Each cell is a test (`matrix.ROW__COLUMN`), and the table in
//! Documentation/life-cycle.md is printed from the same rows (`nm_test --matrix`).
//!
//! Rows are made by [`rows!`] in the files below; [`play`] does most of them, with [`stage`] as
//! the port in the state the column says, under traffic.

mod card;
mod cast;
mod config;
mod device;
mod doc;
mod module;
mod network;
mod owners;
mod play;
mod power;
mod process;
mod program;
mod stage;
mod watch;

use super::Test;
use crate::check::Errno;
use anyhow::Result;
use std::fmt;

pub use cast::play as cast;
pub use doc::markdown;

/// What programs hold when the event happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Column {
    /// Nothing; both modules are loaded.
    None,
    /// One RX queue.
    One,
    /// Three RX queues, two of them with one program.
    Several,
    /// All RX queues.
    All,
    /// All RX and TX rings, and with them what the kernel sends (NR_REG_ALL_NIC).
    AllNic,
}

/// What is promised of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The event is done; no ring stops, nobody loses a packet, no carrier change.
    WorksOn,
    /// The event is done; no ring stops, what is on the wire meanwhile may be lost.
    Carrier,
    /// The port is reset and the kernel's rings made anew, as without netmap.
    Reset,
    /// The port is reset: rings stop, and start again empty, the program keeps fd, mapping and
    /// the slots it holds.
    Rearmed,
    /// Rings stop until the event is undone: poll says POLLERR, sync this errno; then re-armed.
    Down(i32),
    /// The event is refused with this errno, and nothing has changed for anybody.
    Refused(i32),
    /// The fd loses the port for good: poll says POLLERR, sync this errno. The queues are the
    /// kernel's again.
    Gone(i32),
    /// The program has gone: its queues are the kernel's when it can be waited for.
    Returned,
    /// There is no such case, and no test.
    NoCase,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::WorksOn => f.write_str("works on"),
            Outcome::Carrier => f.write_str("works on, no carrier"),
            Outcome::Reset => f.write_str("reset"),
            Outcome::Rearmed => f.write_str("re-armed"),
            Outcome::Down(e) => write!(f, "POLLERR, {} until undone", Errno(*e)),
            Outcome::Refused(e) => write!(f, "refused, {}", Errno(*e)),
            Outcome::Gone(e) => write!(f, "POLLERR, {}", Errno(*e)),
            Outcome::Returned => f.write_str("the kernel's again"),
            Outcome::NoCase => f.write_str("–"),
        }
    }
}

/// Which cells run each time; the others run in thorough runs.
#[derive(Clone, Copy, Debug)]
pub enum Speed {
    /// Columns "one" and "all".
    Quick,
    /// None.
    Thorough,
    /// None, and after all other tests: a kernel that looks at locks finds fault with itself, and looks
    /// no further.
    Last,
}

/// A cell that is being tested.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    pub column: Column,
    pub outcome: Outcome,
}

/// An event, and what is promised of it.
pub struct Row {
    pub name: &'static str,
    /// As the document has it.
    pub event: &'static str,
    /// Said below the table; may be empty.
    pub note: &'static str,
    pub cells: [Outcome; 5],
}

/// Makes rows, and a test of each of their cells:
///
/// `name = "event" by function, Speed => [none, one, several, all, all_nic], "note";`
///
/// The function gets the [`Case`]; `logs` are signs of damage (see [`Test`]) it brings about; both
/// `, logs ["…"]` after the speed and the note may be left out.
macro_rules! rows {
    ($($row:ident = $event:literal by $run:path, $speed:ident
       $(, logs [$($logs:literal),*])? =>
       [$($cell:expr),* $(,)?] $(, $note:literal)?;)*) => {
        pub const ROWS: &[crate::tests::matrix::Row] = &[$(crate::tests::matrix::Row {
            name: stringify!($row),
            event: $event,
            note: concat!("", $($note)?),
            cells: [$($cell),*],
        },)*];

        pub const TESTS: &[[crate::tests::Test; 5]] = &[$({
            use crate::tests::matrix::{cell, Case, Column, Outcome, Speed};
            const CELLS: [Outcome; 5] = [$($cell),*];
            const SPEED: Speed = Speed::$speed;
            const LOGS: &[&str] = &[$($($logs),*)?];
            [
                cell(concat!(stringify!($row), "__none"), SPEED, 0, LOGS,
                    || $run(Case { column: Column::None, outcome: CELLS[0] })),
                cell(concat!(stringify!($row), "__one"), SPEED, 1, LOGS,
                    || $run(Case { column: Column::One, outcome: CELLS[1] })),
                cell(concat!(stringify!($row), "__several"), SPEED, 2, LOGS,
                    || $run(Case { column: Column::Several, outcome: CELLS[2] })),
                cell(concat!(stringify!($row), "__all"), SPEED, 3, LOGS,
                    || $run(Case { column: Column::All, outcome: CELLS[3] })),
                cell(concat!(stringify!($row), "__all_nic"), SPEED, 4, LOGS,
                    || $run(Case { column: Column::AllNic, outcome: CELLS[4] })),
            ]
        },)*];
    };
}
pub(crate) use rows;

/// The test of a cell. Whether the link may flap follows from the outcome, which the test checks.
pub const fn cell(
    name: &'static str,
    speed: Speed,
    column: usize,
    logs: &'static [&'static str],
    run: fn() -> Result<()>,
) -> Test {
    Test {
        limit: 120,
        flaps: true,
        logs,
        deep: !matches!(speed, Speed::Quick) || !(column == 1 || column == 3),
        last: matches!(speed, Speed::Last),
        ..Test::new("matrix", name, run)
    }
}

/// All rows, in the order of the document, with the tests of their cells.
fn table() -> impl Iterator<Item = (&'static Row, &'static [Test; 5])> {
    let parts: [(&[Row], &[[Test; 5]]); 8] = [
        (network::ROWS, network::TESTS),
        (config::ROWS, config::TESTS),
        (owners::ROWS, owners::TESTS),
        (card::ROWS, card::TESTS),
        (process::ROWS, process::TESTS),
        (device::ROWS, device::TESTS),
        (module::ROWS, module::TESTS),
        (power::ROWS, power::TESTS),
    ];
    parts
        .into_iter()
        .flat_map(|(rows, tests)| rows.iter().zip(tests))
}

/// The tests of all cells that are a case.
pub fn tests() -> impl Iterator<Item = &'static Test> {
    table().flat_map(|(row, tests)| {
        let cells = row.cells.iter().zip(tests);
        cells
            .filter(|(outcome, _)| **outcome != Outcome::NoCase)
            .map(|(_, test)| test)
    })
}
