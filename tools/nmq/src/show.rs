// SPDX-License-Identifier: GPL-2.0
//! The listings, as text and as JSON.

use anyhow::{bail, Result};
use netmap::{Kind, QueueInfo, Queues, State, COUNTERS};
use serde_json::{json, Map, Value};

/// How to print.
#[derive(Clone, Copy, Debug, Default)]
pub struct Format {
    /// JSON instead of lines.
    pub json: bool,
    /// Indented.
    pub pretty: bool,
}

fn entries(ifname: Option<&str>) -> Result<Vec<QueueInfo>> {
    let list: Vec<QueueInfo> = match ifname {
        Some(name) => Queues::of(name)?.collect::<netmap::Result<_>>()?,
        None => Queues::all()?.collect::<netmap::Result<_>>()?,
    };
    if let (Some(name), true) = (ifname, list.is_empty()) {
        let known = std::path::Path::new("/sys/class/net").join(name).exists();
        match known {
            true => bail!(super::ask::Problem::NotThere(format!(
                "{name}: its driver has no netmap hooks: load the patched ixgbe.ko (see 'ethtool -i {name}')"
            ))),
            false => bail!(super::ask::Problem::NotThere(format!(
                "{name}: no such interface; see 'ip link'"
            ))),
        }
    }
    Ok(list)
}

/// `nmq port show`.
pub fn ports(ifname: Option<&str>, format: Format) -> Result<String> {
    Ok(ports_text(&entries(ifname)?, format))
}

/// `nmq queue show`.
pub fn queues(ifname: Option<&str>, stats: bool, format: Format) -> Result<String> {
    Ok(queues_text(&entries(ifname)?, stats, format))
}

/// `nmq metrics`. That there is no netmap.ko is something to tell, not an error.
pub fn metrics() -> Result<String> {
    let list = match Queues::all() {
        Err(e) if absent(&e) => return Ok(crate::metrics::text(None)),
        r => r?.collect::<netmap::Result<Vec<_>>>()?,
    };
    Ok(crate::metrics::text(Some(&list)))
}

/// No device, or one that a module left behind.
fn absent(e: &netmap::Error) -> bool {
    const ENOENT: i32 = 2;
    const ENXIO: i32 = 6;
    const ENODEV: i32 = 19;
    matches!(e.errno(), Some(ENOENT | ENXIO | ENODEV))
}

fn ports_text(list: &[QueueInfo], format: Format) -> String {
    let ports = list.iter().filter(|e| e.kind == Kind::Port);
    let of = |p: &QueueInfo| {
        let mine = |e: &&QueueInfo| e.ifindex == p.ifindex && e.kind == Kind::Rx;
        list.iter()
            .filter(mine)
            .filter(|e| e.state != State::Kernel)
            .map(|e| e.queue)
            .collect::<Vec<_>>()
    };
    if format.json {
        let v = ports.map(|p| {
            json!({
                "ifindex": p.ifindex,
                "ifname": p.ifname,
                "queues": p.num_queues,
                "slots": p.slots,
                "taken": of(p),
            })
        });
        return render(v.collect(), format);
    }
    let mut text = String::new();
    for p in ports {
        let taken = of(p);
        let taken = match taken.is_empty() {
            true => "none".to_string(),
            false => taken
                .iter()
                .map(u32::to_string)
                .collect::<Vec<_>>()
                .join(","),
        };
        text += &format!(
            "{}: {}: queues {} slots {} taken {taken}\n",
            p.ifindex, p.ifname, p.num_queues, p.slots
        );
    }
    text
}

fn queues_text(list: &[QueueInfo], stats: bool, format: Format) -> String {
    let rings = list.iter().filter(|e| e.kind != Kind::Port);
    if format.json {
        return render(rings.map(|e| value(e, stats)).collect(), format);
    }
    let mut text = String::new();
    for e in rings {
        text += &format!(
            "{} {} {} state {} slots {}",
            e.ifname, e.kind, e.queue, e.state, e.slots
        );
        if e.pid != 0 {
            text += &format!(
                " owner {} pid {} uid {} mem {}",
                e.comm, e.pid, e.uid, e.mem_id
            );
        }
        text += "\n";
        // A queue that was never a program's has nothing to count.
        if stats && e.counter.iter().any(|c| *c != 0) {
            let all: Vec<String> = COUNTERS
                .iter()
                .map(|(name, i)| format!("{name} {}", e.counter[*i]))
                .collect();
            text += &format!("    {}\n", all.join(" "));
        }
    }
    text
}

fn value(e: &QueueInfo, stats: bool) -> Value {
    let mut v = json!({
        "ifindex": e.ifindex,
        "ifname": e.ifname,
        "kind": e.kind.to_string(),
        "queue": e.queue,
        "state": e.state.to_string(),
        "slots": e.slots,
    });
    if matches!(e.kind, Kind::Rx | Kind::Tx) {
        v["reg_idx"] = json!(e.reg_idx);
    }
    if e.pid != 0 {
        v["owner"] = json!({
            "comm": e.comm,
            "pid": e.pid,
            "uid": e.uid,
        });
        v["mem_id"] = json!(e.mem_id);
    }
    if stats {
        let all: Map<String, Value> = COUNTERS
            .iter()
            .map(|(name, i)| (name.to_string(), json!(e.counter[*i])))
            .collect();
        v["stats"] = Value::Object(all);
    }
    v
}

fn render(list: Vec<Value>, format: Format) -> String {
    let v = Value::Array(list);
    match format.pretty {
        true => format!("{v:#}\n"),
        false => format!("{v}\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const JSON: Format = Format {
        json: true,
        pretty: false,
    };

    fn entry(kind: Kind, queue: u32, state: State, pid: u32) -> QueueInfo {
        let mut counter = [0; 16];
        if pid != 0 {
            counter[0] = 7;
            counter[6] = 2;
        }
        QueueInfo {
            ifindex: 5,
            ifname: "eth3".into(),
            kind,
            queue,
            state,
            slots: 512,
            num_queues: 10,
            pid,
            uid: 0,
            comm: if pid == 0 { "" } else { "nm_offload" }.into(),
            mem_id: 3,
            reg_idx: queue,
            counter,
        }
    }

    fn list() -> Vec<QueueInfo> {
        vec![
            entry(Kind::Port, 0, State::Kernel, 0),
            entry(Kind::Rx, 3, State::Kernel, 0),
            entry(Kind::Rx, 4, State::Netmap, 812),
            entry(Kind::HostTx, 0, State::Netmap, 812),
            entry(Kind::Tx, 1, State::Netmap, 812),
            entry(Kind::HostRx, 0, State::Netmap, 812),
        ]
    }

    #[test]
    fn ports_are_a_line_each() {
        assert_eq!(
            ports_text(&list(), Format::default()),
            "5: eth3: queues 10 slots 512 taken 4\n"
        );
        let v: Value = serde_json::from_str(&ports_text(&list(), JSON)).expect("valid");
        assert_eq!(v[0]["taken"], json!([4]));
        assert_eq!(v.as_array().map(Vec::len), Some(1));
    }

    #[test]
    fn queues_show_owner_and_counters() {
        let text = queues_text(&list(), true, Format::default());
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "eth3 rx 3 state kernel slots 512");
        assert_eq!(
            lines[1],
            "eth3 rx 4 state netmap slots 512 owner nm_offload pid 812 uid 0 mem 3"
        );
        assert!(lines[2].starts_with("    packets 7 bytes 0 "));
        assert!(lines[3].starts_with("eth3 host-tx 0 state netmap"));
        assert!(lines[5].starts_with("eth3 tx 1 state netmap"));
        assert!(lines[7].starts_with("eth3 host-rx 0 state netmap"));
    }

    #[test]
    fn json_has_the_same() {
        let v: Value = serde_json::from_str(&queues_text(&list(), true, JSON)).expect("valid");
        assert_eq!(v[1]["owner"]["pid"], 812);
        assert_eq!(v[1]["stats"]["drops"], 2);
        assert_eq!(v[0].get("owner"), None);
        assert_eq!((&v[3]["kind"], &v[3]["reg_idx"]), (&json!("tx"), &json!(1)));
        assert_eq!(v[4]["kind"], "host-rx");
        assert_eq!(v[4].get("reg_idx"), None);
        let v: Value = serde_json::from_str(&queues_text(&list(), false, JSON)).expect("valid");
        assert_eq!(v[1].get("stats"), None);
        assert_eq!(queues_text(&[], false, JSON), "[]\n");
    }
}
