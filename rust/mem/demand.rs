// SPDX-License-Identifier: GPL-2.0

//! How much memory the ports of a network namespace can use.

use super::layout::Layout;
use crate::os::netdev::NetDev;
use crate::os::nic::Nic;
use crate::os::Rtnl;

/// The layout that has room for every ring of every hooked port in the caller's network namespace.
/// Takes rtnl.
pub(crate) fn layout() -> Layout {
    let (mut rings, mut slots) = (0u64, 0u64);
    let mut ifindex = 0;
    while let Some(dev) = NetDev::next_after(ifindex) {
        ifindex = dev.ifindex();
        let Some(nic) = Nic::of(&dev) else {
            continue;
        };
        let rtnl = Rtnl::lock();
        if !dev.registered(&rtnl) {
            continue;
        }
        let Ok(info) = nic.info(&dev, &rtnl) else {
            continue;
        };
        // Each kind of ring of the NIC has one host ring beside it.
        let (tx, rx) = (u64::from(info.num_tx) + 1, u64::from(info.num_rx) + 1);
        rings += tx + rx;
        slots += tx * u64::from(info.tx_slots) + rx * u64::from(info.rx_slots);
    }
    Layout::for_ports(rings, slots)
}
