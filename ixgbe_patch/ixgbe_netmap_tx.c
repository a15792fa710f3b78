// SPDX-License-Identifier: GPL-2.0
/*
 * TX rings of netmap: who has a spare hardware queue, from taking it to giving it back,
 * over resets, and until the device goes.  Included by ixgbe_netmap_impl.c.
 *
 * The kernel keeps all of its TX queues, and nothing of them is touched at any time.  A
 * spare has its interrupt on the vector of the kernel's TX queue of the same index.
 *
 * take, give, down, up and gone run under rtnl.
 */

/* ---- from the kernel's vector to the core --------------------------------------- */

/* Raise the interrupt of the ring's vector. */
static void ixgbe_nm_tx_kick(struct ixgbe_adapter *adapter, u32 q)
{
	ixgbe_nm_kick(adapter, adapter->tx_ring[q]);
}

/*
 * From ixgbe_poll for each TX ring of the vector: the spare of the same index has its
 * interrupt there.  Not from netpoll (@budget 0), whose caller may hold any lock.
 */
void ixgbe_netmap_tx_irq(struct ixgbe_adapter *adapter, struct ixgbe_ring *ring, int budget)
{
	struct ixgbe_netmap *nm = &adapter->netmap;
	u32 q = ring->queue_index;

	/* run is set after the spare was started and client and priv are valid */
	if (likely(!test_bit_acquire(q, nm->tx_run)))
		return;
	if (budget > 0 && !ring_is_xdp(ring))
		nm->tx_queue[q].client->irq(nm->tx_queue[q].priv);
}

/* ---- states --------------------------------------------------------------------- */

/* Hand the empty, enabled queue to the core. */
static int ixgbe_nm_tx_start(struct ixgbe_adapter *adapter, struct ixgbe_netmap_spare *spare)
{
	const struct nm_nic_ring ring = {
		.desc = spare->ring.desc,
		.tail = spare->ring.tail,
		.head = spare->head,
		.count = spare->ring.count,
		.reg_idx = spare->ring.reg_idx,
		.dev = adapter->netdev,
		.cookie = spare,
	};
	u32 q = spare->ring.queue_index;
	const struct ixgbe_netmap_queue *queue = &adapter->netmap.tx_queue[q];
	int err;

	err = queue->client->start(queue->priv, &ring);
	if (err)
		return err;
	/* pairs with test_bit_acquire in ixgbe_netmap_tx_irq */
	smp_mb__before_atomic();
	set_bit(q, adapter->netmap.tx_run);
	ixgbe_nm_tx_kick(adapter, q);
	return 0;
}

/* Take running queues from the core.  No call of it is under way when this returns. */
static void ixgbe_nm_tx_stop(struct ixgbe_adapter *adapter, const unsigned long *queues)
{
	struct ixgbe_netmap *nm = &adapter->netmap;
	u32 q;

	bitmap_andnot(nm->tx_run, nm->tx_run, queues, IXGBE_NETMAP_QUEUES);
	synchronize_net();
	for_each_set_bit(q, queues, IXGBE_NETMAP_QUEUES)
		nm->tx_queue[q].client->stop(nm->tx_queue[q].priv);
}

/* The part of ixgbe_nm_may_take() that is about TX. */
static int ixgbe_nm_tx_may_take(const struct ixgbe_adapter *adapter, u32 q)
{
	if (adapter->netmap.spare[q])
		return -EBUSY;
	if (!ixgbe_nm_tx_room(adapter, q)) {
		if (net_ratelimit())
			netdev_warn(adapter->netdev,
				    "netmap cannot take TX ring %u: the kernel uses %d TX queues and %d for XDP, which leaves no spare queue ('ethtool -L DEV combined N' with a smaller number)\n",
				    q, adapter->num_tx_queues, adapter->num_xdp_queues);
		return -ENOSPC;
	}
	return 0;
}

/* The hardware did not stop a spare: keep its memory, say so. */
static int ixgbe_nm_tx_stuck(struct ixgbe_adapter *adapter, struct ixgbe_netmap_spare *spare)
{
	netdev_err(adapter->netdev,
		   "spare TX queue %u did not stop; its memory is kept and TX ring %u cannot be used until the port is reset ('ip link set %s down', then up)\n",
		   spare->ring.reg_idx, spare->ring.queue_index, netdev_name(adapter->netdev));
	return -EIO;
}

static int ixgbe_nm_tx_take(struct ixgbe_adapter *adapter, u32 q,
			    const struct nm_nic_client *client, void *priv)
{
	struct ixgbe_netmap_spare *spare = ixgbe_nm_tx_alloc(adapter, q);
	struct ixgbe_netmap *nm = &adapter->netmap;
	int err;

	if (!spare)
		return -ENOMEM;
	nm->tx_queue[q].client = client;
	nm->tx_queue[q].priv = priv;
	nm->spare[q] = spare;

	err = ixgbe_nm_tx_program(adapter, spare);
	if (!err)
		err = ixgbe_nm_tx_start(adapter, spare);
	if (!err) {
		set_bit(q, nm->tx_out);
		return 0;
	}

	/* nothing was sent, so a queue that does not stop has no buffer of the core */
	if (ixgbe_nm_tx_halt(adapter, &spare->ring)) {
		ixgbe_nm_tx_stuck(adapter, spare);
		return err;
	}
	nm->spare[q] = NULL;
	ixgbe_nm_tx_free(spare);
	return err;
}

static int ixgbe_nm_tx_give(struct ixgbe_adapter *adapter, u32 q)
{
	DECLARE_BITMAP(one, IXGBE_NETMAP_QUEUES) = { };
	struct ixgbe_netmap *nm = &adapter->netmap;
	struct ixgbe_netmap_spare *spare;

	if (q >= IXGBE_NETMAP_QUEUES || !nm->spare[q] || test_bit(q, nm->tx_kept))
		return -ENOENT;
	spare = nm->spare[q];
	/* from ixgbe_netmap_gone() until the core has heard of it */
	if (!test_and_clear_bit(q, nm->tx_out))
		return -EIO;

	if (test_bit(q, nm->tx_run)) {
		ixgbe_nm_tx_drain(adapter, spare);
		set_bit(q, one);
		ixgbe_nm_tx_stop(adapter, one);
	}
	if (spare->on && ixgbe_nm_tx_halt(adapter, &spare->ring))
		return ixgbe_nm_tx_stuck(adapter, spare);
	nm->spare[q] = NULL;
	ixgbe_nm_tx_free(spare);
	return 0;
}

/* ---- life cycle ----------------------------------------------------------------- */

/*
 * The port is about to be reset.  The reset's own steps stop all 128 TX queues and wait
 * for their DMA; here they only get no new work.
 */
static void ixgbe_nm_tx_down(struct ixgbe_adapter *adapter)
{
	DECLARE_BITMAP(ran, IXGBE_NETMAP_QUEUES);
	struct ixgbe_netmap *nm = &adapter->netmap;
	struct ixgbe_netmap_spare *spare;
	u32 q;

	bitmap_copy(ran, nm->tx_run, IXGBE_NETMAP_QUEUES);
	if (!bitmap_empty(ran, IXGBE_NETMAP_QUEUES))
		ixgbe_nm_tx_stop(adapter, ran);
	for (q = 0; q < IXGBE_NETMAP_QUEUES; q++) {
		spare = nm->spare[q];
		if (!spare || !spare->on)
			continue;
		IXGBE_WRITE_REG(&adapter->hw, IXGBE_TXDCTL(spare->ring.reg_idx),
				IXGBE_TXDCTL_SWFLSH);
	}
}

/* The port was reset and is up: the spares run again. */
static void ixgbe_nm_tx_up(struct ixgbe_adapter *adapter)
{
	struct ixgbe_netmap *nm = &adapter->netmap;
	struct ixgbe_netmap_spare *spare;
	int err;
	u32 q;

	for_each_set_bit(q, nm->tx_out, IXGBE_NETMAP_QUEUES) {
		spare = nm->spare[q];
		/* resuming may find fewer vectors or other queues */
		if (spare->on)
			err = -EIO;	/* not even the reset has stopped it */
		else if (ixgbe_nm_conflict(adapter))
			err = -EOPNOTSUPP;
		else if (q >= adapter->num_tx_queues || !ixgbe_nm_tx_room(adapter, q))
			err = -ENOSPC;
		else
			err = ixgbe_nm_tx_program(adapter, spare);
		if (!err)
			err = ixgbe_nm_tx_start(adapter, spare);
		if (err)
			netdev_warn(adapter->netdev,
				    "TX ring %u did not start again after a reset (error %d)\n",
				    q, err);
	}
}

/* The port goes away: all spares stop.  True: one did not, only a reset can stop it. */
static bool ixgbe_nm_tx_give_all(struct ixgbe_adapter *adapter, unsigned long *were)
{
	bool stuck = false;
	u32 q;

	for (q = 0; q < IXGBE_NETMAP_QUEUES; q++) {
		if (test_bit(q, adapter->netmap.tx_out)) {
			set_bit(q, were);
			ixgbe_nm_tx_give(adapter, q);
		}
		stuck |= !!adapter->netmap.spare[q];
	}
	return stuck;
}

/* ---- hangs ---------------------------------------------------------------------- */

/* Looks without progress after which the log says so; there is one every two seconds. */
#define IXGBE_NM_STILL 3

/*
 * From ixgbe_check_hang_subtask.  The driver looks after the kernel's queues; a spare
 * that has packets to send and does not is only reported: a reset costs all queues their
 * traffic, and it may be the peer's PAUSE frames.
 */
void ixgbe_netmap_check_hang(struct ixgbe_adapter *adapter)
{
	struct ixgbe_netmap *nm = &adapter->netmap;
	struct ixgbe_hw *hw = &adapter->hw;
	struct ixgbe_netmap_spare *spare;
	u32 q, head, tail;

	if (bitmap_empty(nm->tx_run, IXGBE_NETMAP_QUEUES) ||
	    !netif_carrier_ok(adapter->netdev) || !rtnl_trylock())
		return;
	for_each_set_bit(q, nm->tx_run, IXGBE_NETMAP_QUEUES) {
		spare = nm->spare[q];
		head = IXGBE_READ_REG(hw, IXGBE_TDH(spare->ring.reg_idx));
		tail = IXGBE_READ_REG(hw, IXGBE_TDT(spare->ring.reg_idx));
		if (ixgbe_removed(hw->hw_addr))
			break;
		if (head == tail || head != spare->seen) {
			if (spare->still >= IXGBE_NM_STILL)
				netdev_info(adapter->netdev, "TX ring %u sends again\n", q);
			spare->still = 0;
		} else if (++spare->still == IXGBE_NM_STILL) {
			netdev_err(adapter->netdev,
				   "TX ring %u of a netmap program has sent nothing for %d s (spare queue %u, TDH %u, TDT %u): the peer pauses it, or it hangs; 'ethtool -r %s' resets the port\n",
				   q, 2 * IXGBE_NM_STILL, spare->ring.reg_idx, head, tail,
				   netdev_name(adapter->netdev));
		}
		spare->seen = head;
	}
	rtnl_unlock();
}
