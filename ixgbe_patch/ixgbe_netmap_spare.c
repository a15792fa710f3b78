// SPDX-License-Identifier: GPL-2.0
/*
 * A spare hardware TX queue: its memory, and what is done to it in hardware.  Included
 * by ixgbe_netmap_impl.c; ixgbe_netmap_tx.c says who has it when.
 *
 * The kernel's TX queues occupy the low register indices; the spares are counted down
 * from the last queue that transmits when neither DCB nor virtualization is on (MTQC
 * 64Q_1PB).  A spare reports its progress by head write-back (82599 data sheet
 * 7.2.3.5.2), so that nobody has to look at descriptors.
 */

/* The last queue of the layout 64Q_1PB. */
#define IXGBE_NM_LAST_TX 63

/* How long a queue that is given back may go on sending what it was told to send. */
#define IXGBE_NM_DRAIN_MS 100

/* The same for one that is given back right after another had no time left. */
#define IXGBE_NM_DRAIN_NEXT_MS 4

/**
 * struct ixgbe_netmap_spare - a spare hardware queue
 * @sent: where its packets are counted
 * @ring: of it, only what the driver's own functions need that are called here
 * @head: where the hardware writes its head index to; in the same memory as the
 *	descriptors, behind them
 * @size: of that memory
 * @on: programmed and perhaps enabled, until it is known to be stopped
 * @seen: its head at the last look for hangs
 * @still: looks since it has moved
 *
 * One that is neither with the core nor stopped is stuck, and nobody's.
 */
struct ixgbe_netmap_spare {
	struct ixgbe_netmap_count *sent;
	struct ixgbe_ring ring;
	u32 *head;
	size_t size;
	bool on;
	u32 seen;
	u32 still;
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
	u32 txdctl = 0;

	if (!ixgbe_removed(hw->hw_addr))
		ixgbe_disable_txr_hw(adapter, ring);
	if (!ixgbe_removed(hw->hw_addr))
		txdctl = IXGBE_READ_REG(hw, IXGBE_TXDCTL(ring->reg_idx));
	if (ixgbe_removed(hw->hw_addr)) {
		ixgbe_nm_cut_off(adapter);
		return 0;
	}
	if (txdctl & IXGBE_TXDCTL_ENABLE)
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
	spare->on = true;
	spare->still = 0;

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

	ring->q_vector = adapter->tx_ring[ring->queue_index]->q_vector;
	ixgbe_set_ivar(adapter, 1, reg, ring->q_vector->v_idx);

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
 * How long to wait for a queue, in ms.  What keeps a queue from sending (pause frames)
 * keeps all of them, and they had the same time: many that are given back one after the
 * other, under rtnl, wait for little more than one.
 */
static unsigned int ixgbe_nm_tx_patience(const struct ixgbe_netmap *nm)
{
	unsigned long recent = nm->tx_late + msecs_to_jiffies(IXGBE_NM_DRAIN_MS);

	return nm->tx_was_late && time_before(jiffies, recent) ? IXGBE_NM_DRAIN_NEXT_MS :
								 IXGBE_NM_DRAIN_MS;
}

/*
 * Wait until what the program has sent is on its way: the queue is empty and has said
 * so (data sheet 4.6.8.1).  Bounded, and without a link there is nothing to wait for.
 */
static void ixgbe_nm_tx_drain(struct ixgbe_adapter *adapter, struct ixgbe_netmap_spare *spare)
{
	unsigned int patience = ixgbe_nm_tx_patience(&adapter->netmap);
	ktime_t end = ktime_add_ms(ktime_get(), patience);
	struct ixgbe_hw *hw = &adapter->hw;
	u8 reg = spare->ring.reg_idx;
	u32 tail;

	while (netif_carrier_ok(adapter->netdev) && !ixgbe_removed(hw->hw_addr)) {
		tail = IXGBE_READ_REG(hw, IXGBE_TDT(reg));
		if (IXGBE_READ_REG(hw, IXGBE_TDH(reg)) == tail &&
		    READ_ONCE(*spare->head) == tail)
			return;
		if (ktime_after(ktime_get(), end)) {
			adapter->netmap.tx_late = jiffies;
			adapter->netmap.tx_was_late = true;
			if (net_ratelimit())
				netdev_warn(adapter->netdev,
					    "TX ring %u still had packets to send after %u ms; they are dropped\n",
					    spare->ring.queue_index, patience);
			return;
		}
		usleep_range(200, 500);
	}
}
