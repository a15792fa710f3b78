// SPDX-License-Identifier: GPL-2.0
//! The machine the guest runs in, as the lab lets the guest ask for it (`tools/lab/src/machine.rs`):
//! the button of a card's slot.

use crate::nic::Nic;
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};

const PORT: &str = "/dev/virtio-ports/machine.ctl";

/// The first card's slot.
const CARD: u32 = 0;

/// Presses the attention button of the first card's slot. Five seconds later the kernel lets go
/// of the card, or takes it up again.
pub fn press_button() -> Result<()> {
    let machine = Nic::at(PORT)?;
    machine.cmd(&format!("press {CARD}")).map(drop)
}

/// Makes the virtio-serial ports usable after a sleep: Linux (7.3) then takes their other ends for
/// closed until its driver is bound anew. None may be open.
pub fn ports_after_sleep() -> Result<()> {
    let driver = Path::new("/sys/bus/virtio/drivers/virtio_console");
    for entry in std::fs::read_dir(driver)?.flatten() {
        let device = entry.file_name();
        if device.to_string_lossy().starts_with("virtio") {
            for file in ["unbind", "bind"] {
                std::fs::write(driver.join(file), device.as_encoded_bytes())?;
            }
        }
    }
    Ok(())
}

/// The PCI device behind an interface; its folder in sysfs, by bus address.
pub fn pci_device(name: &str) -> Result<PathBuf> {
    let link = format!("/sys/class/net/{name}/device");
    std::fs::canonicalize(&link).with_context(|| link)
}

/// The last part of a path: a bus address, a slot's number.
pub fn last_part(path: &Path) -> Result<String> {
    let name = path.file_name().context("no name")?;
    Ok(name.to_string_lossy().into_owned())
}

/// The folder in sysfs of the slot a PCI device is in.
pub fn slot_of(device: &Path) -> Result<PathBuf> {
    let address = last_part(device)?;
    for slot in std::fs::read_dir("/sys/bus/pci/slots")?.flatten() {
        let of = std::fs::read_to_string(slot.path().join("address"))?;
        if address.starts_with(of.trim()) {
            return Ok(slot.path());
        }
    }
    anyhow::bail!("{address} is in no slot")
}
