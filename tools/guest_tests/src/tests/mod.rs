// SPDX-License-Identifier: GPL-2.0
//! The tests, by group.  A test is a function; its name says what it shows.

pub mod abi_header;
pub mod abi_info;
pub mod abi_legacy;
pub mod abi_map;
pub mod abi_offsets;
pub mod abi_options;
pub mod abi_order;
pub mod abi_refused;
pub mod abi_register;
pub mod abi_sync;
pub mod bounce;
pub mod bridge;
pub mod bridge_tools;
pub mod compat;
pub mod containers;
pub mod counters;
pub mod csb;
pub mod data_buffers;
pub mod data_frames;
pub mod data_ring;
pub mod data_select;
pub mod data_wait;
pub mod debugfs;
pub mod endurance;
pub mod events;
pub mod extmem;
pub mod failnth;
pub mod failnth_port;
pub mod failnth_rings;
pub mod faults;
pub mod faults_desc;
pub mod faults_gone;
pub mod faults_irq;
pub mod faults_stuck;
pub mod faults_tx;
pub mod forward;
pub mod fuzz;
pub mod host_limits;
pub mod host_rx;
pub mod host_through;
pub mod hostile_ring;
pub mod hostile_scribble;
pub mod hostile_slot;
pub mod kloop;
pub mod kloop_events;
pub mod kloop_tx;
pub mod libpcap;
pub mod lifecycle;
pub mod loose;
pub mod matrix;
pub mod memory;
pub mod meta;
pub mod meta_stamp;
pub mod metrics;
pub mod modes;
pub mod modes_legacy;
pub mod names;
pub mod offsets;
pub mod pages;
pub mod programs;
pub mod putback;
pub mod putback_ring;
pub mod queues_calls;
pub mod queues_list;
pub mod queues_owner;
pub mod queues_rest;
pub mod queues_traffic;
pub mod regions;
pub mod rights;
pub mod rust_crate;
pub mod secrets;
pub mod security;
pub mod share;
pub mod switch_loss;
pub mod threads;
pub mod tools;
pub mod tx;
pub mod tx_bad;
pub mod tx_chain;
pub mod tx_life;
pub mod tx_wait;
pub mod txkernel;

use anyhow::Result;
use std::fmt;

/// One test.
pub struct Test {
    pub group: &'static str,
    pub name: &'static str,
    /// Seconds after which it counts as hanging.
    pub limit: u64,
    /// It takes the link down on purpose.
    pub flaps: bool,
    /// It leaves something behind that only a reboot removes; runs at the end, once.
    pub last: bool,
    /// It takes long; runs when it is named, or in a thorough run.
    pub deep: bool,
    /// Signs of damage that it brings about on purpose, as the kernel log words them.
    pub logs: &'static [&'static str],
    pub run: fn() -> Result<()>,
}

impl Test {
    /// A test without marks; the limit is replaced in the table.
    pub const fn new(group: &'static str, name: &'static str, run: fn() -> Result<()>) -> Test {
        Test {
            group,
            name,
            limit: 0,
            flaps: false,
            last: false,
            deep: false,
            logs: &[],
            run,
        }
    }

    pub fn full_name(&self) -> String {
        format!("{}.{}", self.group, self.name)
    }
}

/// Error of a test that cannot run in this guest; rare, and always visible.
#[derive(Debug)]
pub struct Skip(pub String);

impl fmt::Display for Skip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Skip {}

/// Makes a table of tests out of function names; `@ N` gives a time limit other
/// than 60 seconds, then come marks: `flaps`, `last`, `deep`.
macro_rules! tests {
    ($group:literal: $($name:ident $(@ $limit:literal)? $(| $($mark:ident)+)?,)*) => {
        pub const TESTS: &[crate::tests::Test] = &[$(crate::tests::Test {
            limit: 60 $(- 60 + $limit)?,
            $($($mark: true,)+)?
            ..crate::tests::Test::new($group, stringify!($name), $name)
        },)*];
    };
}
pub(crate) use tests;

/// All tests in the order they run.
pub fn all() -> Vec<&'static Test> {
    [
        abi_header::TESTS,
        abi_options::TESTS,
        abi_offsets::TESTS,
        abi_register::TESTS,
        abi_refused::TESTS,
        abi_order::TESTS,
        abi_info::TESTS,
        abi_legacy::TESTS,
        abi_map::TESTS,
        abi_sync::TESTS,
        csb::TESTS,
        compat::TESTS,
        names::TESTS,
        offsets::TESTS,
        meta_stamp::TESTS,
        debugfs::TESTS,
        modes::TESTS,
        modes_legacy::TESTS,
        share::TESTS,
        data_frames::TESTS,
        data_ring::TESTS,
        data_wait::TESTS,
        data_select::TESTS,
        data_buffers::TESTS,
        extmem::TESTS,
        pages::TESTS,
        putback::TESTS,
        putback_ring::TESTS,
        forward::TESTS,
        tx::TESTS,
        tx_chain::TESTS,
        tx_bad::TESTS,
        tx_wait::TESTS,
        tx_life::TESTS,
        txkernel::TESTS,
        host_rx::TESTS,
        host_limits::TESTS,
        host_through::TESTS,
        bridge::TESTS,
        bridge_tools::TESTS,
        regions::TESTS,
        memory::TESTS,
        bounce::TESTS,
        rights::TESTS,
        containers::TESTS,
        security::TESTS,
        loose::TESTS,
        secrets::TESTS,
        threads::TESTS,
        meta::TESTS,
        counters::TESTS,
        metrics::TESTS,
        programs::TESTS,
        libpcap::TESTS,
        queues_calls::TESTS,
        queues_list::TESTS,
        queues_owner::TESTS,
        queues_traffic::TESTS,
        queues_rest::TESTS,
        hostile_ring::TESTS,
        hostile_scribble::TESTS,
        hostile_slot::TESTS,
        fuzz::TESTS,
        kloop::TESTS,
        kloop_events::TESTS,
        kloop_tx::TESTS,
        rust_crate::TESTS,
        switch_loss::TESTS,
        tools::TESTS,
        lifecycle::TESTS,
        events::TESTS,
        endurance::TESTS,
        faults::TESTS,
        faults_tx::TESTS,
        faults_stuck::TESTS,
        faults_desc::TESTS,
        faults_irq::TESTS,
        faults_gone::TESTS,
        // of the memory that fails, some is the kernel's own checks', which then end (DMA-API)
        failnth_rings::TESTS,
        failnth_port::TESTS,
        failnth::TESTS,
    ]
    .iter()
    .flat_map(|t| t.iter())
    .chain(matrix::tests())
    .collect()
}
