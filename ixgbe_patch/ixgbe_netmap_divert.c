// SPDX-License-Identifier: GPL-2.0
/*
 * What the kernel itself sends through the port, handed to the core instead of the
 * hardware while the core asks for it.  Included by ixgbe_netmap_impl.c.
 *
 * The stack sees a port that takes every packet at once: its queues, BQL and the hang
 * detection only know of what the hardware was given.  What was given before goes out
 * and completes as always.
 */

/*
 * From __ixgbe_xmit_frame, which asks whether @xmit is set before it calls.  True: the
 * packet is the core's.
 *
 * netpoll sends with interrupts off, from within any lock, when the machine may be about
 * to die: that goes to the wire.
 */
bool ixgbe_netmap_xmit(struct ixgbe_adapter *adapter, struct sk_buff *skb)
{
	/* pairs with smp_store_release in ixgbe_nm_divert */
	const struct nm_nic_xmit *xmit = smp_load_acquire(&adapter->netmap.xmit);

	if (!xmit || irqs_disabled())
		return false;
	xmit->xmit(adapter->netmap.xmit_priv, skb, skb_get_queue_mapping(skb));
	return true;
}

static void ixgbe_nm_divert_end(struct ixgbe_adapter *adapter)
{
	WRITE_ONCE(adapter->netmap.xmit, NULL);
	synchronize_net();	/* whoever sends does it with bottom halves off */
}

static int ixgbe_nm_divert(struct net_device *dev, const struct nm_nic_xmit *xmit, void *priv)
{
	struct ixgbe_adapter *adapter = ixgbe_from_netdev(dev);
	struct ixgbe_netmap *nm = &adapter->netmap;

	ASSERT_RTNL();
	if (!xmit) {
		if (nm->xmit)
			ixgbe_nm_divert_end(adapter);
		return 0;
	}
	if (nm->gone)
		return -ENODEV;
	if (nm->xmit)
		return -EBUSY;
	nm->xmit_priv = priv;
	/* pairs with smp_load_acquire in ixgbe_netmap_xmit */
	smp_store_release(&nm->xmit, xmit);
	return 0;
}
