// SPDX-License-Identifier: GPL-2.0
//! What administrators do to a port meanwhile, and how it is made as it was.

use crate::counts::{Count, Counts};
use crate::rng::Rng;
use std::process::{Command, Stdio};
use std::time::Duration;

/// Runs a command; whether it succeeds does not matter, the driver may refuse it.
fn run(line: &str) {
    let mut words = line.split(' ');
    let Some(program) = words.next() else { return };
    let quiet = Stdio::null;
    let _ = Command::new(program)
        .args(words)
        .stdin(quiet())
        .stdout(quiet())
        .stderr(quiet())
        .status();
}

/// One thing after the other, until the run stops.
pub fn go_on(port: &str, counts: &Counts, rng: &mut Rng) {
    while !counts.stopped() {
        let k = rng.below(8);
        match rng.below(16) {
            0 | 1 => run(&format!("ethtool -X {port} equal {}", k + 1)),
            2 => run(&format!("ethtool -X {port} default")),
            3..=5 => run(&format!(
                "ethtool -N {port} flow-type udp4 dst-port {} action {k} loc {k}",
                7000 + k
            )),
            6 => run(&format!("ethtool -N {port} delete {k}")),
            7 => run(&format!("ethtool -G {port} rx {}", [256, 512, 1024][k % 3])),
            8 => run(&format!("ethtool -L {port} combined {}", k + 1)),
            9 => run(&format!(
                "ip link set dev {port} mtu {}",
                [1500, 3000, 9000][k % 3]
            )),
            10 => run(&format!(
                "ethtool -K {port} rxvlan {}",
                ["on", "off"][k % 2]
            )),
            11 => run(&format!(
                "ip link set dev {port} promisc {}",
                ["on", "off"][k % 2]
            )),
            12 | 13 => run(&format!("ethtool -S {port}")),
            14 => run(&format!("ethtool -r {port}")),
            _ => {
                run(&format!("ip link set dev {port} down"));
                std::thread::sleep(Duration::from_millis(rng.below(100) as u64));
                run(&format!("ip link set dev {port} up"));
            }
        }
        counts.add(Count::Events, 1);
        std::thread::sleep(Duration::from_millis(rng.below(400) as u64));
    }
}

/// As it was before.
pub fn undo(port: &str, queues: usize) {
    for location in 0..8 {
        run(&format!("ethtool -N {port} delete {location}"));
    }
    for line in [
        format!("ip link set dev {port} mtu 1500"),
        format!("ip link set dev {port} promisc off"),
        format!("ethtool -K {port} rxvlan on"),
        format!("ethtool -G {port} rx 512"),
        format!("ethtool -L {port} combined {queues}"),
        format!("ethtool -X {port} default"),
        format!("ip link set dev {port} up"),
    ] {
        run(&line);
    }
}
