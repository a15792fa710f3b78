// SPDX-License-Identifier: GPL-2.0

//! The syzkaller description (tools/syzkaller) says what `rust/uapi` says: every number, and the
//! place of every field. syz-sysgen itself is not at hand; its description of a structure is
//! evaluated here as far as these need it.

use crate::uapi::{self, ctrl, ext, flag, legacy, mode, opt};
use std::collections::BTreeMap;
use std::mem::{offset_of, size_of};

const TEXT: &str = include_str!("../../../syzkaller/dev_netmap.txt");
const CONST: &str = include_str!("../../../syzkaller/dev_netmap.txt.const");

fn consts() -> BTreeMap<&'static str, u64> {
    let lines = CONST.lines().filter(|l| !l.starts_with('#'));
    lines
        .filter_map(|l| l.split_once(" = "))
        .filter_map(|(name, value)| Some((name, value.parse().ok()?)))
        .collect()
}

#[test]
fn every_number_is_that_of_the_module() {
    use ctrl::reqtype as req;
    use legacy::ringid;
    use opt::opttype;
    let wide = |values: &[(&'static str, u64)]| values.to_vec();
    let mut want: Vec<(&str, u64)> = wide(&[
        ("NIOCGINFO", uapi::NIOCGINFO.into()),
        ("NIOCREGIF", uapi::NIOCREGIF.into()),
        ("NIOCTXSYNC", uapi::NIOCTXSYNC.into()),
        ("NIOCRXSYNC", uapi::NIOCRXSYNC.into()),
        ("NIOCCONFIG", uapi::NIOCCONFIG.into()),
        ("NIOCCTRL", uapi::NIOCCTRL.into()),
        ("NIOCQADD", ext::NIOCQADD.into()),
        ("NIOCQDEL", ext::NIOCQDEL.into()),
        ("NIOCQNEXT", ext::NIOCQNEXT.into()),
        ("NR_MONITOR_TX", flag::MONITOR_TX),
        ("NR_MONITOR_RX", flag::MONITOR_RX),
        ("NR_ZCOPY_MON", flag::ZCOPY_MON),
        ("NR_EXCLUSIVE", flag::EXCLUSIVE),
        ("NR_RX_RINGS_ONLY", flag::RX_RINGS_ONLY),
        ("NR_TX_RINGS_ONLY", flag::TX_RINGS_ONLY),
        ("NR_NO_TX_POLL", flag::NO_TX_POLL),
        ("NR_PUTBACK", flag::PUTBACK),
        ("NR_NO_RINGS", flag::NO_RINGS),
        ("NR_PRIVATE_MEM", flag::PRIVATE_MEM),
        ("NETMAP_NO_TX_POLL", ringid::NO_TX_POLL.into()),
        ("NETMAP_SW_RING", ringid::SW_RING.into()),
        ("NETMAP_HW_RING", ringid::HW_RING.into()),
    ]);
    for (name, value) in [
        ("REGISTER", req::REGISTER),
        ("PORT_INFO_GET", req::PORT_INFO_GET),
        ("VALE_ATTACH", req::VALE_ATTACH),
        ("VALE_DETACH", req::VALE_DETACH),
        ("VALE_LIST", req::VALE_LIST),
        ("PORT_HDR_SET", req::PORT_HDR_SET),
        ("PORT_HDR_GET", req::PORT_HDR_GET),
        ("VALE_NEWIF", req::VALE_NEWIF),
        ("VALE_DELIF", req::VALE_DELIF),
        ("VALE_POLLING_ENABLE", req::VALE_POLLING_ENABLE),
        ("VALE_POLLING_DISABLE", req::VALE_POLLING_DISABLE),
        ("POOLS_INFO_GET", req::POOLS_INFO_GET),
        ("SYNC_KLOOP_START", req::SYNC_KLOOP_START),
        ("SYNC_KLOOP_STOP", req::SYNC_KLOOP_STOP),
        ("CSB_ENABLE", req::CSB_ENABLE),
    ] {
        want.push((format!("NETMAP_REQ_{name}").leak(), value.into()));
    }
    for (name, value) in [
        ("EXTMEM", opttype::EXTMEM),
        ("SYNC_KLOOP_EVENTFDS", opttype::SYNC_KLOOP_EVENTFDS),
        ("CSB", opttype::CSB),
        ("SYNC_KLOOP_MODE", opttype::SYNC_KLOOP_MODE),
        ("OFFSETS", opttype::OFFSETS),
        ("RX_META", opttype::RX_META),
    ] {
        want.push((format!("NETMAP_REQ_OPT_{name}").leak(), value.into()));
    }
    for (name, value) in [
        ("ALL_NIC", mode::ALL_NIC),
        ("SW", mode::SW),
        ("NIC_SW", mode::NIC_SW),
        ("ONE_NIC", mode::ONE_NIC),
        ("PIPE_MASTER", mode::PIPE_MASTER),
        ("PIPE_SLAVE", mode::PIPE_SLAVE),
        ("NULL", mode::NULL),
        ("ONE_SW", mode::ONE_SW),
    ] {
        want.push((format!("NR_REG_{name}").leak(), value.into()));
    }
    let have = consts();
    for (name, value) in &want {
        assert_eq!(have.get(name), Some(value), "{name}");
    }
    // the others are the kernel's own
    let ours = ["NIOC", "NETMAP_", "NR_"];
    for name in have
        .keys()
        .filter(|n| ours.iter().any(|o| n.starts_with(o)))
    {
        assert!(want.iter().any(|(w, _)| w == name), "{name} is not checked");
    }
}

/// Every constant that the description names has a value.
#[test]
fn every_name_has_a_value() {
    let have = consts();
    let code = TEXT.lines().filter(|l| !l.starts_with('#'));
    let words = code.flat_map(|l| l.split(|c: char| !c.is_ascii_alphanumeric() && c != '_'));
    for word in words.filter(|w| ["NIOC", "NETMAP_", "NR_"].iter().any(|o| w.starts_with(o))) {
        // the variants of a system call end in a request's name
        let call = TEXT.contains(&format!("ioctl${word}("));
        assert!(call || have.contains_key(word), "{word}");
    }
}

/// A described structure: its fields' places, and its size.
#[derive(Debug, Default, PartialEq)]
struct Shape {
    fields: BTreeMap<String, usize>,
    size: usize,
}

/// Bytes and alignment of a type.
fn width(ty: &str, shapes: &BTreeMap<String, Shape>) -> (usize, usize) {
    let (name, options) = match ty.split_once('[') {
        Some((name, rest)) => (name, rest.strip_suffix(']').expect("closed")),
        None => (ty, ""),
    };
    let last = || options.rsplit(',').next().unwrap_or("").trim();
    let int = |name: &str| match name {
        "int8" => 1,
        "int16" => 2,
        "int32" | "bool32" | "fd_event" => 4,
        "int64" => 8,
        other => panic!("type {other}"),
    };
    let same = |n| (n, n);
    match name {
        "ptr64" | "vma64" => same(8),
        "const" | "flags" | "bytesize" => same(int(last())),
        "netmap_mem_id" => same(2),
        "string" => (last().parse().expect("a size"), 1),
        "array" => {
            let (of, n) = options.rsplit_once(',').expect("a count");
            let (size, align) = width(of.trim(), shapes);
            (size * n.trim().parse::<usize>().expect("a count"), align)
        }
        "netmap_opt_header" => (24, 8),
        _ => match shapes.get(name) {
            Some(shape) => (shape.size, 8),
            None => same(int(name)),
        },
    }
}

/// All structures of the description, templates among them.
fn shapes() -> BTreeMap<String, Shape> {
    let mut all: BTreeMap<String, Shape> = BTreeMap::new();
    // what others are made of comes first, wherever it stands
    for _ in 0..2 {
        let mut lines = TEXT.lines();
        while let Some(line) = lines.next() {
            let head = line.strip_prefix("type ").unwrap_or(line);
            let Some(name) = head.strip_suffix(" {") else {
                continue;
            };
            let name = name.split('[').next().unwrap_or(name);
            let (mut shape, mut end, mut widest) = (Shape::default(), 0usize, 1usize);
            for field in lines.by_ref() {
                if let Some(attributes) = field.strip_prefix('}') {
                    let declared = attributes.split("size[").nth(1);
                    let declared = declared.and_then(|s| s.split(']').next()?.parse().ok());
                    let natural = end.next_multiple_of(widest);
                    shape.size = declared.unwrap_or(natural);
                    // a size may add what an entry of an array keeps free, never cut
                    assert!(
                        natural <= shape.size,
                        "{name}: {natural} bytes, said {declared:?}"
                    );
                    break;
                }
                let (field, ty) = field.trim().split_once('\t').expect("name and type");
                let ty = ty.trim().split("\t(").next().unwrap_or("").trim();
                let ty = ty.split(" (").next().unwrap_or(ty);
                let unknown = name == "netmap_opt_eventfds" || ty == "SIZE";
                let (size, align) = if unknown { (8, 8) } else { width(ty, &all) };
                end = end.next_multiple_of(align);
                shape.fields.insert(field.to_string(), end);
                end += size;
                widest = widest.max(align);
            }
            all.insert(name.to_string(), shape);
        }
    }
    all
}

/// A description's size and the places of the fields that are named.
macro_rules! check {
    ($shapes:ident $name:literal, $t:ty, $after:expr, $($field:ident)+) => {{
        let shape = $shapes.get($name).expect($name);
        assert_eq!(shape.size, size_of::<$t>() + $after, "{}", $name);
        $(assert_eq!(
            shape.fields.get(stringify!($field)),
            Some(&(offset_of!($t, $field) + $after)),
            "{}.{}", $name, stringify!($field)
        );)+
    }};
}

#[test]
fn every_structure_has_its_fields_where_the_module_has_them() {
    let s = shapes();
    check!(s "netmap_header", ctrl::Header, 0,
        nr_version nr_reqtype nr_reserved nr_name nr_options nr_body);
    check!(s "netmap_header_bare", ctrl::Header, 0,
        nr_version nr_reqtype nr_reserved nr_name nr_options nr_body);
    check!(s "netmap_header_vale", ctrl::Header, 0,
        nr_version nr_reqtype nr_reserved nr_name nr_options nr_body);
    check!(s "netmap_register", ctrl::Register, 0,
        nr_offset nr_memsize nr_tx_slots nr_rx_slots nr_tx_rings nr_rx_rings nr_host_tx_rings
        nr_host_rx_rings nr_mem_id nr_ringid nr_mode nr_extra_bufs nr_flags);
    check!(s "netmap_port_info", ctrl::PortInfo, 0,
        nr_memsize nr_tx_slots nr_rx_slots nr_tx_rings nr_rx_rings nr_host_tx_rings
        nr_host_rx_rings nr_mem_id);
    check!(s "netmap_pools_info", ctrl::PoolsInfo, 0,
        nr_memsize nr_mem_id nr_if_pool_offset nr_if_pool_objtotal nr_if_pool_objsize
        nr_ring_pool_offset nr_ring_pool_objtotal nr_ring_pool_objsize nr_buf_pool_offset
        nr_buf_pool_objtotal nr_buf_pool_objsize);
    check!(s "netmap_port_hdr", ctrl::PortHdr, 0, nr_hdr_len);
    check!(s "netmap_kloop_start", ctrl::KloopStart, 0, sleep_us);
    check!(s "netmap_nmreq", legacy::NmReq, 0,
        nr_name nr_version nr_offset nr_memsize nr_tx_slots nr_rx_slots nr_tx_rings nr_rx_rings
        nr_ringid nr_cmd nr_arg1 nr_arg2 nr_arg3 nr_flags spare2);
    check!(s "netmap_queue_req", ext::QueueReq, 0, nq_version nq_queue nq_flags nq_spare);
    check!(s "netmap_queue_info", ext::QueueInfo, 0,
        nq_version nq_ifindex nq_kind nq_queue nq_name);
    check!(s "netmap_opt_header", opt::Header, 0, nro_next nro_reqtype nro_status nro_size);
    let h = opt::HEADER_SIZE;
    check!(s "netmap_opt_extmem", opt::Extmem, h, nro_usrptr nro_info);
    check!(s "netmap_opt_csb", opt::Csb, h, csb_atok csb_ktoa);
    check!(s "netmap_opt_mode", opt::KloopMode, h, mode);
    check!(s "netmap_opt_offsets", opt::Offsets, h,
        nro_max_offset nro_initial_offset nro_offset_bits nro_tx_align nro_min_gap);
    check!(s "netmap_opt_rx_meta", opt::RxMeta, h, nro_meta_ofs nro_meta_size nro_spare);
    check!(s "netmap_eventfds", opt::EventFds, 0, ioeventfd irqfd);
    let place = |of: &str, field: &str| s[of].fields[field];
    assert_eq!(place("netmap_csb_atok", "head"), opt::atok::HEAD);
    assert_eq!(place("netmap_csb_atok", "cur"), opt::atok::CUR);
    assert_eq!(
        place("netmap_csb_atok", "appl_need_kick"),
        opt::atok::APPL_NEED_KICK
    );
    assert_eq!(
        place("netmap_csb_atok", "sync_flags"),
        opt::atok::SYNC_FLAGS
    );
    assert_eq!(place("netmap_csb_ktoa", "hwcur"), opt::ktoa::HWCUR);
    assert_eq!(place("netmap_csb_ktoa", "hwtail"), opt::ktoa::HWTAIL);
    assert_eq!(
        place("netmap_csb_ktoa", "kern_need_kick"),
        opt::ktoa::KERN_NEED_KICK
    );
    assert_eq!(
        (s["netmap_csb_atok"].size, s["netmap_csb_ktoa"].size),
        (64, 64)
    );
    assert_eq!(s["netmap_ifreq"].size, 272);
}
