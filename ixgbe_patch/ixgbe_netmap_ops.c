// SPDX-License-Identifier: GPL-2.0
/*
 * What the netmap core calls: take an RX queue, give it back, and the table of
 * these calls that it finds by name.  Included by ixgbe_netmap_impl.c.
 */

/* May this queue be taken?  0 or an errno of nm_nic_ops.take_*; changes nothing. */
static int ixgbe_nm_may_take(const struct ixgbe_adapter *adapter, u32 q, bool tx)
{
	const char *conflict = ixgbe_nm_conflict(adapter);

	if (adapter->netmap.gone || ixgbe_removed(adapter->hw.hw_addr))
		return -ENODEV;
	if (conflict) {
		if (net_ratelimit())
			netdev_warn(adapter->netdev, "netmap cannot take a queue %s\n", conflict);
		return -EOPNOTSUPP;
	}
	if (q >= (tx ? adapter->num_tx_queues : adapter->num_rx_queues))
		return -ENOENT;
	if (!netif_running(adapter->netdev) || !netif_device_present(adapter->netdev) ||
	    test_bit(__IXGBE_DOWN, &adapter->state))
		return -ENETDOWN;
	if (tx)
		return ixgbe_nm_tx_may_take(adapter, q);
	if (test_bit(q, adapter->netmap.out) || test_bit(q, adapter->netmap.hold))
		return -EBUSY;
	if (test_bit(q, adapter->af_xdp_zc_qps)) {
		if (net_ratelimit())
			netdev_warn(adapter->netdev,
				    "netmap cannot take RX queue %u: an AF_XDP socket has it\n", q);
		return -EBUSY;
	}
	return 0;
}

/*
 * The queue is stopped, NAPI still has the ring: wait a little until it has passed
 * on what had arrived, so that none of it is lost.
 */
static void ixgbe_nm_drain(struct ixgbe_adapter *adapter, struct ixgbe_ring *ring)
{
	union ixgbe_adv_rx_desc *desc;
	int tries;

	ixgbe_nm_kick(adapter, ring);
	for (tries = 0; tries < 250; tries++) {
		desc = IXGBE_RX_DESC(ring, READ_ONCE(ring->next_to_clean));
		if (!READ_ONCE(desc->wb.upper.length))
			break;
		usleep_range(40, 60);
	}
}

/*
 * Existing hash filters (ATR) still send flows of the kernel to a queue that left.
 * Have the service task empty the table; the flows are spread by RSS until their
 * next sample.  No reset, no effect on perfect filters.
 */
static void ixgbe_nm_flush_atr(struct ixgbe_adapter *adapter)
{
	if (!(adapter->flags & IXGBE_FLAG_FDIR_HASH_CAPABLE))
		return;
	adapter->flags2 |= IXGBE_FLAG2_FDIR_REQUIRES_REINIT;
	ixgbe_service_event_schedule(adapter);
}

static int ixgbe_nm_take(struct ixgbe_adapter *adapter, u32 q, u32 buf_len,
			 const struct nm_nic_client *client, void *priv)
{
	struct ixgbe_ring *ring = adapter->rx_ring[q];
	struct ixgbe_netmap *nm = &adapter->netmap;
	struct ixgbe_hw *hw = &adapter->hw;
	u32 rxdctl;

	ixgbe_nm_hold(adapter, q, true);
	if (ixgbe_nm_halt(adapter, ring)) {
		/* the kernel has not left the ring: let the queue go on */
		rxdctl = IXGBE_READ_REG(hw, IXGBE_RXDCTL(ring->reg_idx));
		rxdctl &= ~IXGBE_RXDCTL_SWFLSH;
		IXGBE_WRITE_REG(hw, IXGBE_RXDCTL(ring->reg_idx), rxdctl | IXGBE_RXDCTL_ENABLE);
		ixgbe_nm_hold(adapter, q, false);
		ixgbe_set_rx_drop_en(adapter);	/* a sweep may have left it out */
		ixgbe_nm_kick(adapter, ring);
		netdev_err(adapter->netdev,
			   "RX queue %u did not stop; it stays with the kernel\n", q);
		return -EIO;
	}

	ixgbe_nm_drain(adapter, ring);
	set_bit(q, nm->skip);
	synchronize_net();	/* no poll is in the ring any more */
	ixgbe_clean_rx_ring(ring);

	nm->queue[q].client = client;
	nm->queue[q].priv = priv;
	nm->queue[q].buf_len = buf_len;
	nm->queue[q].err = 0;
	set_bit(q, nm->out);
	set_bit(q, nm->user);
	ixgbe_configure_rx_ring(adapter, ring);

	if (!test_bit(q, nm->run)) {	/* ixgbe_netmap_rx_fill gave it to the kernel */
		clear_bit(q, nm->out);
		ixgbe_set_rx_drop_en(adapter);
		ixgbe_nm_kick(adapter, ring);
		return nm->queue[q].err ? nm->queue[q].err : -EIO;
	}
	ixgbe_nm_flush_atr(adapter);
	ixgbe_nm_kick(adapter, ring);
	IXGBE_WRITE_FLUSH(hw);	/* when this returns, the queue receives */
	return 0;
}

/*
 * A queue came back.  If a reset has made the redirection table without it, and
 * nobody has set another table since, the hash may use the queue again.
 */
static void ixgbe_nm_reta_back(struct ixgbe_adapter *adapter)
{
	const struct ixgbe_netmap *nm = &adapter->netmap;

	if (nm->reta_made &&
	    !memcmp(nm->reta, adapter->rss_indir_tbl, ixgbe_rss_indir_tbl_entries(adapter)))
		ixgbe_setup_reta(adapter);
}

static int ixgbe_nm_give(struct ixgbe_adapter *adapter, u32 q)
{
	struct ixgbe_netmap *nm = &adapter->netmap;
	struct ixgbe_ring *ring;

	if (test_bit(q, nm->stuck)) {	/* the last reset did not stop it */
		clear_bit(q, nm->user);
		clear_bit(q, nm->out);
		return -EIO;
	}
	if (!test_and_clear_bit(q, nm->run)) {
		/* lent to the kernel already, or down: the next rebuild is the kernel's */
		clear_bit(q, nm->user);
		clear_bit(q, nm->skip);
		ixgbe_nm_hold(adapter, q, false);
		clear_bit(q, nm->out);
		if (!test_bit(__IXGBE_DOWN, &adapter->state))
			ixgbe_nm_reta_back(adapter);
		return 0;
	}

	ring = adapter->rx_ring[q];
	synchronize_net();	/* no client->irq() is under way any more */
	nm->queue[q].client->stop(nm->queue[q].priv);
	clear_bit(q, nm->user);
	clear_bit(q, nm->out);
	if (ixgbe_nm_halt(adapter, ring)) {
		set_bit(q, nm->stuck);
		netdev_err(adapter->netdev,
			   "RX queue %u did not stop; its memory is kept and nobody can use it until the port is reset ('ip link set %s down', then up)\n",
			   q, netdev_name(adapter->netdev));
		return -EIO;
	}
	ixgbe_nm_to_kernel(adapter, ring, q);
	ixgbe_set_rx_drop_en(adapter);
	ixgbe_nm_reta_back(adapter);
	ixgbe_nm_kick(adapter, ring);
	IXGBE_WRITE_FLUSH(&adapter->hw);
	return 0;
}

/*
 * From where the driver lets its net device go: everything returns, and the core
 * forgets the port.
 */
void ixgbe_netmap_gone(struct ixgbe_adapter *adapter)
{
	DECLARE_BITMAP(tx_was, IXGBE_NETMAP_QUEUES) = { };
	DECLARE_BITMAP(was, IXGBE_NETMAP_QUEUES);
	struct ixgbe_netmap *nm = &adapter->netmap;
	unsigned int q;
	bool stuck;

	rtnl_lock();
	nm->gone = true;
	if (nm->xmit)
		ixgbe_nm_divert_end(adapter);
	stuck = ixgbe_nm_tx_give_all(adapter, tx_was);
	bitmap_copy(was, nm->out, IXGBE_NETMAP_QUEUES);
	for_each_set_bit(q, was, IXGBE_NETMAP_QUEUES)
		ixgbe_nm_give(adapter, q);

	/* closing resets the port, which stops what would not stop alone */
	if (stuck || !bitmap_empty(nm->stuck, IXGBE_NETMAP_QUEUES))
		dev_close(adapter->netdev);

	/* what runs on all the same the core will ask for, to hear EIO */
	for_each_set_bit(q, was, IXGBE_NETMAP_QUEUES)
		if (!test_bit(q, nm->stuck))
			nm->queue[q].client->gone(nm->queue[q].priv);
	for_each_set_bit(q, tx_was, IXGBE_NETMAP_QUEUES)
		if (!nm->spare[q])
			nm->tx_queue[q].client->gone(nm->tx_queue[q].priv);
	rtnl_unlock();
}

/* ---- the table ------------------------------------------------------------------ */

static bool ixgbe_nm_match(const struct net_device *dev)
{
	return dev->netdev_ops == &ixgbe_netdev_ops;
}

static int ixgbe_nm_info(struct net_device *dev, struct nm_nic_port *port)
{
	struct ixgbe_adapter *adapter = ixgbe_from_netdev(dev);

	ASSERT_RTNL();
	if (adapter->netmap.gone)
		return -ENODEV;
	port->dev = &adapter->pdev->dev;
	port->num_rx = adapter->num_rx_queues;
	port->num_tx = adapter->num_tx_queues;
	port->rx_slots = adapter->rx_ring_count;
	port->tx_slots = adapter->tx_ring_count;
	return 0;
}

/* As the driver's own resets do, under rtnl like these: its watchdogs look away meanwhile. */
static void ixgbe_nm_lock(struct ixgbe_adapter *adapter)
{
	while (test_and_set_bit(__IXGBE_RESETTING, &adapter->state))
		usleep_range(1000, 2000);
}

static void ixgbe_nm_unlock(struct ixgbe_adapter *adapter)
{
	clear_bit(__IXGBE_RESETTING, &adapter->state);
}

static int ixgbe_nm_take_rx(struct net_device *dev, u32 q, u32 buf_len,
			    const struct nm_nic_client *client, void *priv)
{
	struct ixgbe_adapter *adapter = ixgbe_from_netdev(dev);
	int err;

	ASSERT_RTNL();
	/* what SRRCTL can say */
	if (!buf_len || buf_len % SZ_1K || buf_len > SZ_16K)
		return -EINVAL;
	ixgbe_nm_lock(adapter);
	err = ixgbe_nm_may_take(adapter, q, false);
	if (!err)
		err = ixgbe_nm_take(adapter, q, buf_len, client, priv);
	ixgbe_nm_unlock(adapter);
	return err;
}

static int ixgbe_nm_give_rx(struct net_device *dev, u32 q)
{
	struct ixgbe_adapter *adapter = ixgbe_from_netdev(dev);
	int err;

	ASSERT_RTNL();
	if (q >= IXGBE_NETMAP_QUEUES)
		return -ENOENT;
	if (!test_bit(q, adapter->netmap.out)) {
		/* from ixgbe_netmap_gone() until the core has heard of it */
		if (!test_bit(q, adapter->netmap.stuck))
			return -ENOENT;
		ixgbe_nm_keep(adapter, q);
		return -EIO;
	}
	ixgbe_nm_lock(adapter);
	err = ixgbe_nm_give(adapter, q);
	ixgbe_nm_unlock(adapter);
	if (err == -EIO)
		ixgbe_nm_keep(adapter, q);
	return err;
}

static int ixgbe_nm_take_tx(struct net_device *dev, u32 q,
			    const struct nm_nic_client *client, void *priv)
{
	struct ixgbe_adapter *adapter = ixgbe_from_netdev(dev);
	int err;

	ASSERT_RTNL();
	ixgbe_nm_lock(adapter);
	err = ixgbe_nm_may_take(adapter, q, true);
	if (!err)
		err = ixgbe_nm_tx_take(adapter, q, client, priv);
	ixgbe_nm_unlock(adapter);
	return err;
}

static int ixgbe_nm_give_tx(struct net_device *dev, u32 q)
{
	struct ixgbe_adapter *adapter = ixgbe_from_netdev(dev);
	int err;

	ASSERT_RTNL();
	ixgbe_nm_lock(adapter);
	err = ixgbe_nm_tx_give(adapter, q);
	ixgbe_nm_unlock(adapter);
	if (err == -EIO)
		ixgbe_nm_tx_keep(adapter, q);
	return err;
}

const struct nm_nic_ops ixgbe_netmap_ops = {
	.abi = NM_NIC_ABI,
	.size = sizeof(struct nm_nic_ops),
	.owner = THIS_MODULE,
	.match = ixgbe_nm_match,
	.info = ixgbe_nm_info,
	.take_rx = ixgbe_nm_take_rx,
	.give_rx = ixgbe_nm_give_rx,
	.take_tx = ixgbe_nm_take_tx,
	.give_tx = ixgbe_nm_give_tx,
	.divert = ixgbe_nm_divert,
	.account_rx = ixgbe_nm_account_rx,
	.account_tx = ixgbe_nm_account_tx,
	.rx_stamp = ixgbe_nm_rx_stamp,
};
EXPORT_SYMBOL_GPL(ixgbe_netmap_ops);
