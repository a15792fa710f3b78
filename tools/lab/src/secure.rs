// SPDX-License-Identifier: GPL-2.0
//! Machines with Secure Boot: UEFI firmware that starts nothing unsigned, as a server that
//! was bought with it, and what a Debian on such a server boots by.
//!
//! OVMF trusts Microsoft, whose signature is on Debian's shim, which trusts Debian, whose
//! signatures are on GRUB and the kernel; each is the file of its Debian package. What an
//! operator confirms in shim's MokManager, a key of his own, is written into the firmware's variables here.

use crate::child;
use crate::places::{GuestImage, Scratch};
use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Whose modules the kernel loads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Trust {
    /// Debian's alone.
    Debian,
    /// Those signed by the key of DKMS, too.
    Dkms,
}

const CODE: &str = "/usr/share/OVMF/OVMF_CODE_4M.secboot.fd";
/// Variables with Microsoft's keys enrolled and Secure Boot on.
const VARIABLES: &str = "/usr/share/OVMF/OVMF_VARS_4M.ms.fd";
const SHIM: &str = "/usr/lib/shim/shimx64.efi.signed";
const GRUB: &str = "/usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed";
/// Who owns a key that was enrolled: shim.
const OWNER: &str = "605dab50-e046-4300-abb6-3dd810dd8b23";

/// A machine's firmware, and the disk it boots from.
#[derive(Debug)]
pub struct Firmware {
    variables: PathBuf,
    disk: PathBuf,
}

impl Firmware {
    /// For the kernel and initrd of `image`, with these kernel parameters.
    ///
    /// # Errors
    /// When a package is not installed in the made root, or the image is no installed system's.
    pub fn new(
        image: &GuestImage,
        trust: Trust,
        parameters: &str,
        scratch: &Scratch,
    ) -> Result<Self> {
        let (variables, disk) = (scratch.join("variables.fd"), scratch.join("esp"));
        copy(Path::new(VARIABLES), &variables)?;
        if trust == Trust::Dkms {
            enroll(&image.beside("mok.der"), &variables, scratch)?;
        }
        for (from, to) in [
            (Path::new(SHIM), "EFI/BOOT/BOOTX64.EFI"),
            (Path::new(GRUB), "EFI/BOOT/grubx64.efi"),
            (&image.beside("vmlinuz"), "vmlinuz"),
            (&image.initrd, "initrd"),
        ] {
            copy(from, &disk.join(to))?;
        }
        // where the signed GRUB looks
        let config = disk.join("EFI/debian/grub.cfg");
        fs::create_dir_all(disk.join("EFI/debian"))?;
        fs::write(
            &config,
            format!("linux /vmlinuz {parameters}\ninitrd /initrd\nboot\n"),
        )?;
        Ok(Self { variables, disk })
    }

    /// QEMU's arguments for it. Only code in system management mode writes variables.
    pub fn arguments(&self) -> Vec<String> {
        let (code, variables, disk) = (CODE, self.variables.display(), self.disk.display());
        [
            "-machine",
            "smm=on",
            "-global",
            "driver=cfi.pflash01,property=secure,value=on",
            "-drive",
            &format!("if=pflash,unit=0,format=raw,readonly=on,file={code}"),
            "-drive",
            &format!("if=pflash,unit=1,format=raw,file={variables}"),
            // QEMU shows the folder as a FAT disk.
            "-drive",
            &format!("if=none,id=esp,format=raw,readonly=on,file=fat:{disk}"),
            "-device",
            "virtio-blk-pci,drive=esp,serial=esp,bootindex=0",
        ]
        .map(str::to_string)
        .to_vec()
    }
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    if let Some(dir) = to.parent() {
        fs::create_dir_all(dir)?;
    }
    fs::copy(from, to).with_context(|| {
        format!(
            "{} is needed for Secure Boot ('make root' installs the packages, 'make test-packages' makes the image)",
            from.display()
        )
    })?;
    Ok(())
}

/// Into the list that shim hands to the kernel.
fn enroll(certificate: &Path, variables: &Path, scratch: &Scratch) -> Result<()> {
    let pem = scratch.join("mok.pem");
    child::output(
        Command::new("openssl")
            .args(["x509", "-inform", "DER", "-in"])
            .arg(certificate)
            .arg("-out")
            .arg(&pem),
    )?
    .ok("reading DKMS's certificate")?;
    child::output(
        Command::new("virt-fw-vars")
            .arg("--inplace")
            .arg(variables)
            .args(["--add-mok", OWNER])
            .arg(&pem),
    )?
    .ok("virt-fw-vars")?;
    Ok(())
}
