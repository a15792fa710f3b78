// SPDX-License-Identifier: GPL-2.0
//! The port's whole configuration as text, to be compared before and after
//! each test: a test that leaves something behind has failed.

use crate::abi::{field_name, KIND_PORT};
use crate::fd::Fd;
use crate::steer::{ethtool, ifname, run, sysfs};
use std::collections::BTreeMap;
use std::fs;

/// Section name to its text.
#[derive(Clone, Default)]
pub struct State {
    sections: BTreeMap<String, String>,
}

impl State {
    /// Reads everything; what cannot be read says so in its section.
    pub fn read() -> State {
        let mut s = State::default();
        let mut put = |k: &str, v: String| s.sections.insert(k.to_string(), v);
        for (option, what) in [
            ("-x", "RSS table"),
            ("-n", "ntuple rules"),
            ("-k", "features"),
            ("-l", "channels"),
            ("-g", "ring sizes"),
        ] {
            put(
                what,
                ethtool(option, &[]).unwrap_or_else(|e| format!("{e:#}")),
            );
        }
        put(
            "link settings",
            run("ethtool", &[&ifname()]).unwrap_or_else(|e| format!("{e:#}")),
        );
        for file in ["mtu", "flags", "operstate", "tx_queue_len"] {
            put(file, sysfs(file).unwrap_or_else(|e| format!("{e:#}")));
        }
        put(
            "address",
            run("ip", &["-4", "-br", "addr", "show", "dev", &ifname()])
                .unwrap_or_else(|e| format!("{e:#}")),
        );
        put(
            "qdisc",
            run("tc", &["qdisc", "show", "dev", &ifname()]).unwrap_or_else(|e| format!("{e:#}")),
        );
        put("queues", queues());
        for module in ["netmap", "ixgbe"] {
            let loaded = fs::exists(format!("/sys/module/{module}")).unwrap_or(false);
            put(&format!("module {module}"), loaded.to_string());
        }
        s
    }

    /// What differs, one line each; empty if nothing does.
    pub fn differences(&self, later: &State) -> Vec<String> {
        let mut all = Vec::new();
        for (k, before) in &self.sections {
            let after = later.sections.get(k).map_or("", String::as_str);
            if before == after {
                continue;
            }
            let gone = before
                .lines()
                .find(|l| !after.lines().any(|a| a == *l))
                .unwrap_or("");
            let new = after
                .lines()
                .find(|l| !before.lines().any(|b| b == *l))
                .unwrap_or("");
            all.push(format!(
                "{k} changed: '{}' became '{}'",
                gone.trim(),
                new.trim()
            ));
        }
        all
    }
}

/// Queues that are not the kernel's, one per line.
fn queues() -> String {
    let all = match Fd::open().and_then(|fd| fd.queues(Some(&ifname()))) {
        Ok(all) => all,
        Err(e) => return format!("NIOCQNEXT: {e}"),
    };
    if !all.iter().any(|i| i.kind == KIND_PORT) {
        return format!("NIOCQNEXT does not list {}", ifname());
    }
    let mut text = String::new();
    for i in all {
        if i.kind != KIND_PORT && (i.state != 0 || i.pid != 0) {
            text += &format!(
                "kind {} queue {} state {} pid {} ({})\n",
                i.kind,
                i.queue,
                i.state,
                i.pid,
                field_name(&i.comm)
            );
        }
    }
    text
}
