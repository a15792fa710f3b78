// SPDX-License-Identifier: GPL-2.0
//! Rows: the card leaves its driver, its slot or this world.

use super::play::Event;
use super::{rows, Case, Column, Outcome::*};
use crate::check::*;
use crate::machine::{last_part, pci_device, press_button, slot_of};
use crate::setup;
use crate::steer::ifname;
use anyhow::{Context, Result};
use std::fs;
use std::path::Path;
use std::time::Duration;

const GONE: super::Outcome = Gone(libc::ENXIO);
/// The kernel's pause for a second thought after the button, and what a card needs besides.
const BUTTON: Duration = Duration::from_secs(20);

rows! {
    unbind_bind = "the driver is unbound from the card, then bound" by unbind_bind, Quick =>
        [Reset, GONE, GONE, GONE, GONE],
        "The fd, its mapping and its netmap_if stay; only the port has gone. After a new bind the program registers another fd.";
    remove_rescan = "the card is removed from the bus (`remove`), then found again (`rescan`)" by remove_rescan, Thorough =>
        [Reset, GONE, GONE, GONE, GONE];
    slot_power = "the card's PCIe slot is switched off, then on" by slot_power, Last =>
        [Reset, GONE, GONE, GONE, GONE];
    hot_unplug = "the attention button of the slot is pressed, and again" by hot_unplug, Last =>
        [Reset, GONE, GONE, GONE, GONE];
    surprise_removal = "the card answers nothing but ones, then is removed" by surprise_removal, Quick =>
        [Reset, GONE, GONE, GONE, GONE],
        "A card that has gone is not waited for.";
}

/// Writes a word to a file of sysfs.
pub fn tell(file: &Path, word: &str) -> Result<()> {
    fs::write(file, word).with_context(|| format!("'{word}' to {}", file.display()))
}

/// What a write to a file of sysfs gave.
fn told(file: &Path, word: &str) -> Result<Sys<()>> {
    Ok(fs::write(file, word).map_err(|e| Errno(e.raw_os_error().unwrap_or(0))))
}

/// Waits until the interface is there, or is not.
fn interface(there: bool) -> Result<()> {
    let path = format!("/sys/class/net/{}", ifname());
    let what = format!("{} {}", ifname(), if there { "comes" } else { "goes" });
    setup::eventually(&what, BUTTON, || Ok(fs::exists(&path)? == there))
}

fn unbind_bind(case: Case) -> Result<()> {
    let address = last_part(&pci_device(&ifname())?)?;
    let driver = Path::new("/sys/bus/pci/drivers/ixgbe");
    let unbound = address.clone();
    let event = Event::new(move |_| told(&driver.join("unbind"), &unbound));
    let event = event.undo(move |_| {
        tell(&driver.join("bind"), &address)?;
        setup::ensure()
    });
    case.play(event.away().loses_rules())
}

/// Finds what is on the bus.
fn rescan() -> Result<()> {
    tell(Path::new("/sys/bus/pci/rescan"), "1")?;
    setup::ensure()
}

fn remove_rescan(case: Case) -> Result<()> {
    let device = pci_device(&ifname())?;
    let event = Event::new(move |_| told(&device.join("remove"), "1"));
    case.play(event.undo(|_| rescan()).away().loses_rules())
}

fn slot_power(case: Case) -> Result<()> {
    let power = slot_of(&pci_device(&ifname())?)?.join("power");
    let off = power.clone();
    let event = Event::new(move |_| told(&off, "0"));
    let event = event.undo(move |_| {
        tell(&power, "1")?;
        setup::ensure()
    });
    case.play(event.away().loses_rules())
}

fn hot_unplug(case: Case) -> Result<()> {
    let event = Event::new(|_| {
        press_button()?;
        interface(false)?;
        Ok(Ok(()))
    });
    let event = event.undo(|_| {
        // not while the kernel is still at the first one
        let pressed = || Ok(press_button().is_ok());
        setup::eventually("the slot takes the button again", BUTTON, pressed)?;
        setup::ensure()
    });
    case.play(event.away().loses_rules())
}

/// Registers read all ones; the driver finds out by itself, or when it is removed. The card goes on
/// writing to memory, the worst kind; but with nothing of netmap's out the driver is the stock one,
/// which trusts that such a card does not.
fn surprise_removal(case: Case) -> Result<()> {
    let device = pci_device(&ifname())?;
    let writes = !matches!(case.column, Column::None);
    let event = Event::new(move |stage| {
        let switch = |fault: &str, how: &str| -> Result<()> {
            let asked = stage.nic.cmd(&format!("fault port {fault} {how}"));
            asked.map(drop)
        };
        if !writes {
            switch("stall", "on")?;
        }
        switch("gone", "on")?;
        let removed = told(&device.join("remove"), "1");
        switch("gone", "off")?;
        switch("stall", "off")?;
        removed
    });
    case.play(event.undo(|_| rescan()).away().loses_rules())
}
