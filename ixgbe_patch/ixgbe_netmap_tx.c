// SPDX-License-Identifier: GPL-2.0
/*
 * A TX ring of netmap: a spare hardware queue that the kernel does not use.  Included
 * by ixgbe_netmap_impl.c.
 *
 * The kernel keeps all of its TX queues, which occupy the low register indices; the
 * spares are counted down from the last queue that transmits when neither DCB nor
 * virtualization is on (MTQC 64Q_1PB).  A spare has descriptors of its own and reports
 * its progress by head write-back (82599 data sheet 7.2.3.5.2), so that nobody has to
 * look at descriptors, and its interrupt goes to the vector of the kernel's TX queue of
 * the same index.  Nothing of the kernel's queues is touched at any time.
 *
 * take, give, down, up and gone run under rtnl.
 */

/* The last queue of the layout 64Q_1PB. */
#define IXGBE_NM_LAST_TX 63

/* How long a queue that is given back may go on sending what it was told to send. */
#define IXGBE_NM_DRAIN_MS 100

/**
 * struct ixgbe_netmap_spare - a spare hardware queue
 * @sent: where its packets are counted
 * @ring: of it, only what the driver's own functions need that are called here
 * @head: where the hardware writes its head index to; in the same memory as the
 *	descriptors, behind them
 * @size: of that memory
 * @stuck: the hardware did not stop it; memory stays until a reset has
 */
struct ixgbe_netmap_spare {
	struct ixgbe_netmap_count *sent;
	struct ixgbe_ring ring;
	u32 *head;
	size_t size;
	bool stuck;
};

/* ---- memory --------------------------------------------------------------------- */

static void ixgbe_nm_tx_free(struct ixgbe_netmap_spare *spare)
{
	dma_free_coherent(spare->ring.dev, spare->size, spare->ring.desc, spare->ring.dma);
	kfree(spare);
}

static struct ixgbe_netmap_spare *ixgbe_nm_tx_alloc(struct ixgbe_adapter *adapter, u32 q)
{
	struct ixgbe_q_vector *q_vector = adapter->tx_ring[q]->q_vector;
	int node = q_vector ? q_vector->numa_node : NUMA_NO_NODE;
	struct ixgbe_netmap_spare *spare;
	struct ixgbe_ring *ring;
	size_t descs;

	spare = kzalloc_node(sizeof(*spare), GFP_KERNEL, node);
	if (!spare)
		return NULL;
	ring = &spare->ring;
	ring->dev = &adapter->pdev->dev;
	ring->netdev = adapter->netdev;
	ring->count = adapter->tx_ring_count;
	ring->queue_index = q;
	ring->reg_idx = IXGBE_NM_LAST_TX - q;

	/* the head has a cache line of its own: the hardware writes it all the time */
	descs = ALIGN(ring->count * sizeof(union ixgbe_adv_tx_desc), SMP_CACHE_BYTES);
	spare->size = descs + SMP_CACHE_BYTES;
	ring->desc = dma_alloc_coherent(ring->dev, spare->size, &ring->dma, GFP_KERNEL);
	if (!ring->desc) {
		kfree(spare);
		return NULL;
	}
	spare->head = ring->desc + descs;
	spare->sent = &adapter->netmap.sent[q];
	return spare;
}

/* ---- hardware ------------------------------------------------------------------- */

/* Has the kernel left this hardware queue alone? */
static bool ixgbe_nm_tx_room(const struct ixgbe_adapter *adapter, u32 q)
{
	return IXGBE_NM_LAST_TX - q >= adapter->num_tx_queues + adapter->num_xdp_queues;
}

/* Stop the queue in hardware.  0: it is stopped and none of its DMA is under way. */
static int ixgbe_nm_tx_halt(struct ixgbe_adapter *adapter, struct ixgbe_ring *ring)
{
	struct ixgbe_hw *hw = &adapter->hw;

	if (ixgbe_removed(hw->hw_addr))
		return 0;
	ixgbe_disable_txr_hw(adapter, ring);
	if (ixgbe_removed(hw->hw_addr))
		return 0;
	if (IXGBE_READ_REG(hw, IXGBE_TXDCTL(ring->reg_idx)) & IXGBE_TXDCTL_ENABLE)
		return -EIO;

	IXGBE_WRITE_REG(hw, IXGBE_TDWBAL(ring->reg_idx), 0);
	IXGBE_WRITE_FLUSH(hw);
	usleep_range(100, 200);	/* as for RX queues: what is under way ends */
	return 0;
}

/* Program the stopped queue, empty, and enable it (data sheet 4.6.8). */
static int ixgbe_nm_tx_program(struct ixgbe_adapter *adapter, struct ixgbe_netmap_spare *spare)
{
	u64 head = spare->ring.dma + ((void *)spare->head - spare->ring.desc);
	struct ixgbe_ring *ring = &spare->ring;
	struct ixgbe_hw *hw = &adapter->hw;
	u8 reg = ring->reg_idx;
	int tries = 10;
	u32 val;

	memset(ring->desc, 0, spare->size);

	IXGBE_WRITE_REG(hw, IXGBE_TXDCTL(reg), 0);
	IXGBE_WRITE_FLUSH(hw);
	IXGBE_WRITE_REG(hw, IXGBE_TDBAL(reg), lower_32_bits(ring->dma));
	IXGBE_WRITE_REG(hw, IXGBE_TDBAH(reg), upper_32_bits(ring->dma));
	IXGBE_WRITE_REG(hw, IXGBE_TDLEN(reg), ring->count * sizeof(union ixgbe_adv_tx_desc));
	IXGBE_WRITE_REG(hw, IXGBE_TDH(reg), 0);
	IXGBE_WRITE_REG(hw, IXGBE_TDT(reg), 0);
	ring->tail = adapter->io_addr + IXGBE_TDT(reg);

	/* the head is written in order, so that it never seems to go back */
	val = IXGBE_READ_REG(hw, IXGBE_DCA_TXCTRL_82599(reg));
	IXGBE_WRITE_REG(hw, IXGBE_DCA_TXCTRL_82599(reg), val & ~IXGBE_DCA_TXCTRL_DESC_WRO_EN);
	IXGBE_WRITE_REG(hw, IXGBE_TDWBAH(reg), upper_32_bits(head));
	IXGBE_WRITE_REG(hw, IXGBE_TDWBAL(reg), lower_32_bits(head) | IXGBE_TDWBAL_HEAD_WB_ENABLE);

	ixgbe_set_ivar(adapter, 1, reg, adapter->tx_ring[ring->queue_index]->q_vector->v_idx);

	/* as the driver's own queues, but for WTHRESH, which must be 0 with head write-back */
	val = IXGBE_TXDCTL_ENABLE | 1u << 8 /* HTHRESH */ | 32 /* PTHRESH */;
	IXGBE_WRITE_REG(hw, IXGBE_TXDCTL(reg), val);
	do {
		usleep_range(1000, 2000);
		val = IXGBE_READ_REG(hw, IXGBE_TXDCTL(reg));
	} while (--tries && !(val & IXGBE_TXDCTL_ENABLE));

	if (ixgbe_removed(hw->hw_addr) || !(val & IXGBE_TXDCTL_ENABLE)) {
		netdev_err(adapter->netdev, "spare TX queue %u did not start: TXDCTL 0x%08x\n",
			   reg, val);
		return -EIO;
	}
	return 0;
}

/*
 * Wait until what the program has sent is on its way: the queue is empty and has said
 * so (data sheet 4.6.8.1).  Bounded, and without a link there is nothing to wait for.
 */
static void ixgbe_nm_tx_drain(struct ixgbe_adapter *adapter, struct ixgbe_netmap_spare *spare)
{
	unsigned long end = jiffies + msecs_to_jiffies(IXGBE_NM_DRAIN_MS);
	struct ixgbe_hw *hw = &adapter->hw;
	u8 reg = spare->ring.reg_idx;
	u32 tail;

	while (netif_carrier_ok(adapter->netdev) && !ixgbe_removed(hw->hw_addr)) {
		tail = IXGBE_READ_REG(hw, IXGBE_TDT(reg));
		if (IXGBE_READ_REG(hw, IXGBE_TDH(reg)) == tail &&
		    READ_ONCE(*spare->head) == tail)
			return;
		if (time_after(jiffies, end)) {
			netdev_warn(adapter->netdev,
				    "TX ring %u still had packets to send after %d ms; they are dropped\n",
				    spare->ring.queue_index, IXGBE_NM_DRAIN_MS);
			return;
		}
		usleep_range(200, 500);
	}
}

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

/* Is the TX ring with the core?  (One that is stuck is with nobody.) */
static bool ixgbe_nm_tx_out(const struct ixgbe_adapter *adapter, u32 q)
{
	return adapter->netmap.spare[q] && !adapter->netmap.spare[q]->stuck;
}

/* The part of ixgbe_nm_may_take() that is about TX. */
static int ixgbe_nm_tx_may_take(const struct ixgbe_adapter *adapter, u32 q)
{
	if (adapter->netmap.spare[q])
		return -EBUSY;
	if (!ixgbe_nm_tx_room(adapter, q)) {
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
	spare->stuck = true;
	netdev_err(adapter->netdev,
		   "spare TX queue %u did not stop; TX ring %u cannot be used until the port is reset ('ip link set %s down', then up)\n",
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
	if (!err)
		return 0;

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

	if (q >= IXGBE_NETMAP_QUEUES || !ixgbe_nm_tx_out(adapter, q))
		return -ENOENT;
	spare = nm->spare[q];

	if (test_bit(q, nm->tx_run)) {
		ixgbe_nm_tx_drain(adapter, spare);
		set_bit(q, one);
		ixgbe_nm_tx_stop(adapter, one);
	}
	/* on a port that is down the reset has stopped it */
	if (!test_bit(__IXGBE_DOWN, &adapter->state) &&
	    ixgbe_nm_tx_halt(adapter, &spare->ring))
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
	u32 q;

	if (bitmap_empty(nm->tx_run, IXGBE_NETMAP_QUEUES))
		return;
	bitmap_copy(ran, nm->tx_run, IXGBE_NETMAP_QUEUES);
	ixgbe_nm_tx_stop(adapter, ran);
	for_each_set_bit(q, ran, IXGBE_NETMAP_QUEUES)
		IXGBE_WRITE_REG(&adapter->hw, IXGBE_TXDCTL(nm->spare[q]->ring.reg_idx),
				IXGBE_TXDCTL_SWFLSH);
}

/* The port was reset and is up: the spares run again, those that were stuck are free. */
static void ixgbe_nm_tx_up(struct ixgbe_adapter *adapter)
{
	struct ixgbe_netmap *nm = &adapter->netmap;
	struct ixgbe_netmap_spare *spare;
	int err;
	u32 q;

	for (q = 0; q < IXGBE_NETMAP_QUEUES; q++) {
		spare = nm->spare[q];
		if (!spare)
			continue;
		if (spare->stuck) {
			nm->spare[q] = NULL;
			ixgbe_nm_tx_free(spare);
			netdev_info(adapter->netdev,
				    "TX ring %u was stopped by a reset and can be used again\n", q);
			continue;
		}
		/* resuming may find fewer vectors or other queues */
		err = -ENOSPC;
		if (q < adapter->num_tx_queues && ixgbe_nm_tx_room(adapter, q))
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
		if (ixgbe_nm_tx_out(adapter, q)) {
			set_bit(q, were);
			ixgbe_nm_tx_give(adapter, q);
		}
		stuck |= !!adapter->netmap.spare[q];
	}
	return stuck;
}

/* The port was closed, which has reset it: free what was stuck. */
static void ixgbe_nm_tx_free_all(struct ixgbe_adapter *adapter)
{
	struct ixgbe_netmap *nm = &adapter->netmap;
	u32 q;

	for (q = 0; q < IXGBE_NETMAP_QUEUES; q++) {
		if (nm->spare[q])
			ixgbe_nm_tx_free(nm->spare[q]);
		nm->spare[q] = NULL;
	}
}
