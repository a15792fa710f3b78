// SPDX-License-Identifier: GPL-2.0
/*
 * Modes of the port that cannot be mixed with queues of netmap: which one is on, and
 * what is refused while a queue is out.  Included by ixgbe_netmap_impl.c.
 *
 * A request is refused at the top of the function that users call, and a mode that came
 * on in spite of that (SR-IOV is switched without rtnl) is noticed at the next
 * programming of the queues: they are the kernel's then.
 */

/* ---- what is on ----------------------------------------------------------------- */

/* Does the card put a timestamp behind every frame?  Nobody takes it off for a program. */
static bool ixgbe_nm_stamps_all(const struct ixgbe_adapter *adapter)
{
	return adapter->flags & IXGBE_FLAG_RX_HWTSTAMP_ENABLED &&
	       !(adapter->flags & IXGBE_FLAG_RX_HWTSTAMP_IN_REGISTER);
}

/* A mode that gives queues another meaning; NULL if there is none. */
static const char *ixgbe_nm_conflict(const struct ixgbe_adapter *adapter)
{
	switch (adapter->hw.mac.type) {
	case ixgbe_mac_82599EB:
	case ixgbe_mac_X540:
	case ixgbe_mac_X550:
	case ixgbe_mac_X550EM_x:
	case ixgbe_mac_x550em_a:
		break;
	default:
		/* an 82598 cannot stop one queue; an E610 resets itself without rtnl */
		return "on this kind of card, only on 82599, X540 and X550";
	}
	if (adapter->flags & IXGBE_FLAG_VMDQ_ENABLED && !adapter->num_vfs)
		return "while macvlans are offloaded ('ethtool -K DEV l2-fwd-offload off')";
	if (adapter->flags & IXGBE_FLAG_SRIOV_ENABLED || adapter->num_vfs)
		return "while SR-IOV is on (write 0 to the device's sriov_numvfs)";
	if (adapter->flags & IXGBE_FLAG_DCB_ENABLED || adapter->hw_tcs > 1)
		return "while traffic classes are on (DCB, or an mqprio qdisc in hardware)";
	if (adapter->flags & IXGBE_FLAG_FCOE_ENABLED)
		return "while FCoE is on (destroy the FCoE instance of the port)";
	if (ixgbe_nm_stamps_all(adapter))
		return "while the card timestamps all received frames ('hwstamp_ctl -i DEV -r 0')";
	return NULL;
}

/* ---- what has to wait ----------------------------------------------------------- */

/*
 * Is a queue out?  Says in the log why the request is refused.  Looks at bits alone, since
 * SR-IOV asks without rtnl.
 */
bool ixgbe_netmap_busy(const struct ixgbe_adapter *adapter, const char *what)
{
	unsigned int q = find_first_bit(adapter->netmap.out, IXGBE_NETMAP_QUEUES);
	const char *kind = "RX";

	if (q >= IXGBE_NETMAP_QUEUES) {
		kind = "TX";
		q = find_first_bit(adapter->netmap.tx_out, IXGBE_NETMAP_QUEUES);
	}
	if (q >= IXGBE_NETMAP_QUEUES)
		return false;
	if (net_ratelimit())
		netdev_warn(adapter->netdev,
			    "%s is refused while %s queue %u is with a netmap program; end that program first ('nmq' lists who has which queue)\n",
			    what, kind, q);
	return true;
}

/* Is this queue out, or stuck?  Then no AF_XDP socket can have it. */
bool ixgbe_netmap_has(const struct ixgbe_adapter *adapter, u32 q)
{
	const struct ixgbe_netmap *nm = &adapter->netmap;

	if (q >= IXGBE_NETMAP_QUEUES || (!test_bit(q, nm->out) && !test_bit(q, nm->hold)))
		return false;
	if (net_ratelimit())
		netdev_warn(adapter->netdev,
			    "RX queue %u is with a netmap program; an AF_XDP socket cannot bind it\n",
			    q);
	return true;
}

/*
 * From ixgbe_ptp_hwtstamp_set: X550 and later turn every filter into the one that
 * stamps all frames, in the frame.
 */
bool ixgbe_netmap_stamp_busy(const struct ixgbe_adapter *adapter)
{
	return adapter->hw.mac.type >= ixgbe_mac_X550 &&
	       ixgbe_netmap_busy(adapter, "timestamping received frames on this kind of card");
}
