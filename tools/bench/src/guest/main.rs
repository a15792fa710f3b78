// SPDX-License-Identifier: GPL-2.0
//! The guest's side of the bench: init of a guest with nothing else in it.
//!
//! Reads `/plan`, loads the modules, does one case after the other, and reports on
//! the virtio port `bench.log`; then switches the machine off.  No service and no
//! other program runs, so what is counted is the receiver and the kernel.

mod bpf;
mod card;
mod cases;
mod init;
mod marks;
mod nic;
mod nm;
mod nm_send;
mod offload;
mod peek;
mod receive;
mod report;
mod sys;
mod transmit;
mod udp;
mod xdp;
mod xdp_send;

use anyhow::Result;

fn main() {
    let result = init::prepare().and_then(|mut log| {
        let outcome = work(&mut log);
        if let Err(error) = &outcome {
            log.line(&format!("error {error:#}"));
        }
        log.line("done");
        outcome
    });
    if let Err(error) = result {
        eprintln!("bench-guest: {error:#}");
    }
    sys::power_off();
}

fn work(log: &mut report::Log) -> Result<()> {
    let plan = init::plan()?;
    init::load_modules()?;
    std::fs::write("/proc/sys/net/core/bpf_jit_kallsyms", "1")?;
    let (steps, calibration): (Vec<_>, Vec<_>) = plan.iter().partition(|s| s.slots > 0);
    for step in calibration {
        marks::arm();
        cases::calibrate(step, log)?;
    }
    if !steps.is_empty() {
        let nic = nic::Nic::bring_up()?;
        let mut card = card::Card::open()?;
        log.line(&format!("port {} up", nic.name));
        log.symbols()?;
        marks::arm();
        for step in steps {
            if let Err(error) = cases::run(&nic, &mut card, step, log) {
                log.line(&format!("failed {} {}: {error:#}", step.case, step.burst));
            }
        }
    }
    Ok(())
}
