// SPDX-License-Identifier: GPL-2.0
//! The QEMU command line: a q35 machine on TCG whose memory is a shared memfd (the card
//! reads and writes it directly), the image and payload as read-only disks, the cards
//! behind PCIe root ports, and a user-mode NIC for management only.

use crate::machine;
use crate::places::GuestImage;
use crate::secure::Firmware;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What one machine is made of.
#[derive(Debug)]
pub struct Machine<'a> {
    /// Kernel, initrd, root file system.
    pub image: &'a GuestImage,
    /// Payload disk.
    pub payload: &'a Path,
    /// Virtual CPUs.
    pub cpus: u32,
    /// Memory in MiB.
    pub memory: u32,
    /// Host port on 127.0.0.1 that leads to the guest's sshd.
    pub ssh_port: u16,
    /// Where the serial console goes.
    pub console: &'a Path,
    /// Per card: its vfio-user socket and its control socket.
    pub cards: Vec<(PathBuf, PathBuf)>,
    /// QEMU's monitor, which QEMU serves.
    pub monitor: &'a Path,
    /// The host's end of the guest's port to the machine ([`machine`]), which QEMU serves.
    pub machine: &'a Path,
    /// Kernel parameters.
    pub parameters: &'a str,
    /// What boots the kernel; QEMU itself when absent.
    pub firmware: Option<&'a Firmware>,
    /// More QEMU arguments.
    pub extra: &'a [String],
}

impl Machine<'_> {
    /// The command that runs it.
    pub fn command(&self) -> Command {
        let mut q = Command::new("qemu-system-x86_64");
        let memory = format!("{}M", self.memory);
        q.args([
            "-nodefaults",
            "-no-user-config",
            "-no-reboot",
            "-display",
            "none",
            "-monitor",
            "none",
        ])
        // A KVM without hardware virtualisation hangs a stock kernel; TCG always works.
        .args(["-M", "q35", "-accel", "tcg,thread=multi", "-cpu", "max"])
        .args(["-smp", &self.cpus.to_string(), "-m", &memory])
        .args([
            "-object",
            &format!("memory-backend-memfd,id=ram0,size={memory},share=on"),
        ])
        .args(["-machine", "memory-backend=ram0"])
        .args([
            "-chardev",
            &format!("file,id=console,path={}", self.console.display()),
        ])
        .args(["-serial", "chardev:console"]);
        if self.firmware.is_none() {
            q.arg("-kernel")
                .arg(&self.image.kernel)
                .arg("-initrd")
                .arg(&self.image.initrd)
                .args(["-append", self.parameters]);
        }
        let disk = match self.image.append {
            Some(_) => "snapshot=on",
            None => "readonly=on",
        };
        for (id, file, mode) in [
            ("image", self.image.rootfs.as_path(), disk),
            ("payload", self.payload, "readonly=on"),
        ] {
            q.args([
                "-drive",
                &format!(
                    "if=none,id={id},format=raw,{mode},file.locking=off,file={}",
                    file.display()
                ),
            ])
            .args(["-device", &format!("virtio-blk-pci,drive={id},serial={id}")]);
        }
        q.args([
            "-netdev",
            &format!(
                "user,id=mgmt,ipv6=off,restrict=on,hostfwd=tcp:127.0.0.1:{}-:22",
                self.ssh_port
            ),
        ])
        .args([
            "-device",
            "virtio-net-pci,netdev=mgmt,romfile=,mac=52:54:00:00:00:01",
        ])
        .args([
            "-device",
            "virtio-rng-pci",
            "-device",
            "virtio-serial-pci,id=vser",
        ]);
        let serve = |path: &Path| format!("socket,path={},server=on,wait=off", path.display());
        q.args(["-chardev", &format!("{},id=monitor", serve(self.monitor))])
            .args(["-object", "monitor-qmp,id=qmp,chardev=monitor"])
            .args(["-chardev", &format!("{},id=machine", serve(self.machine))])
            .args([
                "-device",
                &format!(
                    "virtserialport,bus=vser.0,chardev=machine,name={}",
                    machine::PORT
                ),
            ]);
        // The guest's kernel looks after the slots itself (pciehp), as on a server.
        q.args([
            "-global",
            "ICH9-LPC.acpi-pci-hotplug-with-bridge-support=off",
        ]);
        for (n, (vfio, ctl)) in self.cards.iter().enumerate() {
            let name = if n == 0 {
                "nic.ctl".to_string()
            } else {
                format!("nic{n}.ctl")
            };
            q.args(["-chardev", &format!("socket,id=ctl{n},path={}", ctl.display())])
                .args(["-device", &format!("virtserialport,bus=vser.0,chardev=ctl{n},name={name}")])
                .args(["-device", &format!("pcie-root-port,id=rp{n},chassis={0},slot={0},power_controller_present=off", n + 1)])
                .args([
                    "-device",
                    &format!(
                        "{{\"driver\":\"vfio-user-pci\",\"id\":\"nic{n}\",\"bus\":\"rp{n}\",\
                         \"socket\":{{\"type\":\"unix\",\"path\":\"{}\"}},\"x-msg-timeout\":60000}}",
                        vfio.display()
                    ),
                ]);
        }
        // Last, as disks are named in the order they come.
        if let Some(firmware) = self.firmware {
            q.args(firmware.arguments());
        }
        q.args(self.extra);
        q
    }
}
