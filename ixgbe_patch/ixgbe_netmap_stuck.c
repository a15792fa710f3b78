// SPDX-License-Identifier: GPL-2.0
/*
 * Queues that the hardware did not stop, and what becomes of them.  Included by
 * ixgbe_netmap_impl.c.
 *
 * Whatever such a queue may still write to is kept: its descriptors by the driver, its
 * buffers by the core.  A reset stops it as a rule, and is believed only after a look at
 * the queue's register.  Then all of it is free again.  If not even the reset did, the
 * card loses its access to memory, because the driver frees rings of its own next.
 */

/* The core has heard that it must keep the memory of an RX queue. */
static void ixgbe_nm_keep(struct ixgbe_adapter *adapter, u32 q)
{
	if (!test_and_set_bit(q, adapter->netmap.kept))
		__module_get(adapter->netmap.queue[q].client->owner);
}

/* The same of a TX ring's spare. */
static void ixgbe_nm_tx_keep(struct ixgbe_adapter *adapter, u32 q)
{
	if (!test_and_set_bit(q, adapter->netmap.tx_kept))
		__module_get(adapter->netmap.tx_queue[q].client->owner);
}

static void ixgbe_nm_release(const struct ixgbe_netmap_queue *queue)
{
	struct module *owner = queue->client->owner;

	queue->client->released(queue->priv);
	module_put(owner);
}

/* An RX queue that is not the kernel's was reset: is it stopped? */
static bool ixgbe_nm_was_reset_rx(struct ixgbe_adapter *adapter, u32 q, bool cut)
{
	u32 reg = adapter->rx_ring[q]->reg_idx;
	struct ixgbe_netmap *nm = &adapter->netmap;

	if (!cut && IXGBE_READ_REG(&adapter->hw, IXGBE_RXDCTL(reg)) & IXGBE_RXDCTL_ENABLE) {
		set_bit(q, nm->stuck);
		return false;
	}
	if (!test_and_clear_bit(q, nm->stuck) || test_bit(q, nm->out))
		return true;
	netdev_info(adapter->netdev, "RX queue %u was stopped by a reset and is the kernel's again\n",
		    q);
	if (test_and_clear_bit(q, nm->kept))
		ixgbe_nm_release(&nm->queue[q]);
	clear_bit(q, nm->skip);
	ixgbe_nm_hold(adapter, q, false);
	return true;
}

/* The same of a spare TX queue. */
static bool ixgbe_nm_was_reset_tx(struct ixgbe_adapter *adapter, u32 q, bool cut)
{
	struct ixgbe_netmap *nm = &adapter->netmap;
	struct ixgbe_netmap_spare *spare = nm->spare[q];
	u32 reg = spare->ring.reg_idx;

	if (!cut && IXGBE_READ_REG(&adapter->hw, IXGBE_TXDCTL(reg)) & IXGBE_TXDCTL_ENABLE)
		return false;
	spare->on = false;
	if (test_bit(q, nm->tx_out))
		return true;
	netdev_info(adapter->netdev, "TX ring %u was stopped by a reset and can be used again\n",
		    q);
	if (test_and_clear_bit(q, nm->tx_kept))
		ixgbe_nm_release(&nm->tx_queue[q]);
	nm->spare[q] = NULL;
	ixgbe_nm_tx_free(spare);
	return true;
}

/*
 * From ixgbe_down, after the reset and before rings are cleaned or freed.  A card that is
 * not there, or that its bus has cut off, cannot be asked; it is kept from memory instead.
 */
void ixgbe_netmap_was_reset(struct ixgbe_adapter *adapter)
{
	struct ixgbe_netmap *nm = &adapter->netmap;
	DECLARE_BITMAP(ours, IXGBE_NETMAP_QUEUES);
	bool gone, stopped = true;
	unsigned int q, rx;

	bitmap_or(ours, nm->out, nm->stuck, IXGBE_NETMAP_QUEUES);
	for (q = 0; q < IXGBE_NETMAP_QUEUES; q++)
		if (nm->spare[q])
			break;
	if (bitmap_empty(ours, IXGBE_NETMAP_QUEUES) && q == IXGBE_NETMAP_QUEUES && !nm->cut)
		return;

	gone = ixgbe_removed(adapter->hw.hw_addr) || pci_channel_offline(adapter->pdev);
	if (gone)
		ixgbe_nm_cut_off(adapter);
	rx = min_t(unsigned int, adapter->num_rx_queues, IXGBE_NETMAP_QUEUES);
	for_each_set_bit(q, ours, rx)
		stopped &= ixgbe_nm_was_reset_rx(adapter, q, gone);
	for (q = 0; q < IXGBE_NETMAP_QUEUES; q++)
		if (nm->spare[q])
			stopped &= ixgbe_nm_was_reset_tx(adapter, q, gone);
	if (gone)
		return;

	if (!stopped && !nm->cut) {
		ixgbe_nm_cut_off(adapter);
		netdev_err(adapter->netdev,
			   "a reset did not stop the card: it has no access to memory until one does ('ip link set %s down', then up), or until the machine is switched off\n",
			   netdev_name(adapter->netdev));
	} else if (stopped && nm->cut) {
		pci_set_master(adapter->pdev);
		netdev_info(adapter->netdev, "a reset has stopped the card: it works again\n");
	}
	nm->cut = !stopped;
}

/*
 * From ixgbe_open, where it fails after the rings were started.  The driver frees them before
 * it resets the port: queues that were out already have buffers, so it is reset before, too.
 */
void ixgbe_netmap_open_failed(struct ixgbe_adapter *adapter)
{
	if (bitmap_empty(adapter->netmap.out, IXGBE_NETMAP_QUEUES))
		return;
	ixgbe_netmap_down(adapter);
	ixgbe_reset(adapter);
	ixgbe_netmap_was_reset(adapter);
}
