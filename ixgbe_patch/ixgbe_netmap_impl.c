// SPDX-License-Identifier: GPL-2.0
/*
 * Selective kernel bypass, the driver's side: one RX queue leaves the kernel and
 * comes back while the port runs on.
 *
 * This file is included at the end of ixgbe_main.c, because it is made of that
 * file's own steps (stop a ring, clean it, program it).  It holds the hooks that
 * keep the rest of the driver off a queue that is out.  _modes.c says what cannot be
 * mixed with that; _spare.c and _tx.c have the TX queues, _divert.c the kernel's own
 * transmissions, _stuck.c what does not stop, _stats.c counters and timestamps; _ops.c,
 * included last, takes and gives RX queues and is what the core calls.  The states of a
 * queue are in ixgbe_netmap.h.  take, give, down and gone run under rtnl.
 */
#include "netmap_nic.h"

static_assert(IXGBE_NETMAP_QUEUES >= MAX_RX_QUEUES);
static_assert(IXGBE_NETMAP_RETA >= IXGBE_MAX_RETA_ENTRIES);

/* ---- states --------------------------------------------------------------------- */

/*
 * Index of a ring in the state, or -1 for one that is not in the table of queues
 * (the ring of the offline self test carries queue index 0).
 */
static int ixgbe_nm_index(const struct ixgbe_adapter *adapter, const struct ixgbe_ring *ring)
{
	u32 q = ring->queue_index;

	if (q >= MAX_RX_QUEUES || adapter->rx_ring[q] != ring)
		return -1;
	return q;
}

/*
 * Keep the sweeps over all queues (VLAN strip, drop enable) off this queue, or let
 * them in again.  They read, change and write RXDCTL and SRRCTL; the lock makes
 * sure that none of them is between its read and its write when this returns.
 */
static void ixgbe_nm_hold(struct ixgbe_adapter *adapter, u32 q, bool hold)
{
	netif_addr_lock_bh(adapter->netdev);
	if (hold)
		set_bit(q, adapter->netmap.hold);
	else
		clear_bit(q, adapter->netmap.hold);
	netif_addr_unlock_bh(adapter->netdev);
}

/* Raise the interrupt of a ring's vector, so that NAPI looks at its rings. */
static void ixgbe_nm_kick(struct ixgbe_adapter *adapter, const struct ixgbe_ring *ring)
{
	if (ring->q_vector)
		ixgbe_irq_rearm_queues(adapter, BIT_ULL(ring->q_vector->v_idx));
}

/*
 * A card that answers no more may go on writing to memory: do not let it.  Nobody looks
 * at what it does otherwise, and probing it again or resetting its slot undoes this.
 */
static void ixgbe_nm_cut_off(struct ixgbe_adapter *adapter)
{
	pci_clear_master(adapter->pdev);
	usleep_range(100, 200);	/* what is under way ends */
}

/*
 * Look at a queue's ENABLE bit at short intervals until it is as wanted.  The driver's own
 * waits begin with 320 us (off) and 1 ms (on), and a queue that changes hands delivers
 * nothing meanwhile.  False: not soon; the driver waits longer.
 */
static bool ixgbe_nm_soon(struct ixgbe_adapter *adapter, const struct ixgbe_ring *ring, u32 enable)
{
	u32 rxdctl;
	int tries;

	for (tries = 0; tries < 20; tries++) {
		rxdctl = IXGBE_READ_REG(&adapter->hw, IXGBE_RXDCTL(ring->reg_idx));
		if ((rxdctl & IXGBE_RXDCTL_ENABLE) == enable)
			return true;
		usleep_range(10, 20);
	}
	return false;
}

/* Stop a queue in hardware.  0: it is stopped and none of its DMA is under way. */
static int ixgbe_nm_halt(struct ixgbe_adapter *adapter, struct ixgbe_ring *ring)
{
	struct ixgbe_hw *hw = &adapter->hw;
	u32 rxdctl;

	rxdctl = IXGBE_READ_REG(hw, IXGBE_RXDCTL(ring->reg_idx));
	rxdctl &= ~IXGBE_RXDCTL_ENABLE;
	IXGBE_WRITE_REG(hw, IXGBE_RXDCTL(ring->reg_idx), rxdctl | IXGBE_RXDCTL_SWFLSH);
	if (!ixgbe_nm_soon(adapter, ring, 0) && !ixgbe_removed(hw->hw_addr))
		ixgbe_disable_rxr_hw(adapter, ring);
	if (!ixgbe_removed(hw->hw_addr))
		rxdctl = IXGBE_READ_REG(hw, IXGBE_RXDCTL(ring->reg_idx));
	if (ixgbe_removed(hw->hw_addr)) {
		ixgbe_nm_cut_off(adapter);
		return 0;
	}
	if (rxdctl & IXGBE_RXDCTL_ENABLE)
		return -EIO;

	/* 82599 data sheet 4.6.7.1: wait 100 us more before memory is released */
	usleep_range(100, 120);
	return 0;
}

/* The queue is stopped: program it as the kernel's, fill it, let NAPI in. */
static void ixgbe_nm_to_kernel(struct ixgbe_adapter *adapter, struct ixgbe_ring *ring, u32 q)
{
	clear_bit(q, adapter->netmap.user);
	ixgbe_clean_rx_ring(ring);
	ixgbe_configure_rx_ring(adapter, ring);

	/* NAPI must see the new rx_buffer_info and descriptors first */
	smp_mb__before_atomic();
	clear_bit(q, adapter->netmap.skip);
	ixgbe_nm_hold(adapter, q, false);
}

#include "ixgbe_netmap_modes.c"
#include "ixgbe_netmap_spare.c"
#include "ixgbe_netmap_tx.c"
#include "ixgbe_netmap_divert.c"
#include "ixgbe_netmap_stuck.c"

/* ---- hooks: the receive path ---------------------------------------------------- */

/*
 * From ixgbe_poll for each ring of the vector.  True: not the kernel's ring, the
 * driver must not look at it.
 */
bool ixgbe_netmap_rx_irq(struct ixgbe_adapter *adapter, struct ixgbe_ring *ring)
{
	struct ixgbe_netmap *nm = &adapter->netmap;
	u32 q = ring->queue_index;

	/* pairs with the barrier in ixgbe_nm_to_kernel */
	if (likely(!test_bit_acquire(q, nm->skip)))
		return false;

	/* run is set after the ring was started and client and priv are valid */
	if (test_bit_acquire(q, nm->run))
		nm->queue[q].client->irq(nm->queue[q].priv);
	return true;
}

/* ---- hooks: programming a ring -------------------------------------------------- */

/*
 * From ixgbe_configure_rx_ring, before the queue is enabled: a queue that is out
 * gets buffers of the size the core has, drops what finds no descriptor (a slow reader must never
 * block the packet buffer all queues share), delivers frames one by one as they
 * were on the wire.
 */
void ixgbe_netmap_rx_regs(struct ixgbe_adapter *adapter, struct ixgbe_ring *ring, u32 *rxdctl)
{
	struct ixgbe_netmap *nm = &adapter->netmap;
	struct ixgbe_hw *hw = &adapter->hw;
	int q = ixgbe_nm_index(adapter, ring);
	u32 val;

	if (q < 0 || !test_bit(q, nm->hold))
		return;

	if (!test_bit(q, nm->user)) {
		/*
		 * On its way back.  It is enabled some milliseconds before it is
		 * filled and must not block the packet buffer meanwhile; the sweep
		 * that comes after sets DROP_EN as the port has it.
		 */
		val = IXGBE_READ_REG(hw, IXGBE_SRRCTL(ring->reg_idx));
		IXGBE_WRITE_REG(hw, IXGBE_SRRCTL(ring->reg_idx), val | IXGBE_SRRCTL_DROP_EN);
		/* the sweep that sets VLAN strip left the queue out */
		*rxdctl &= ~IXGBE_RXDCTL_VME;
		if (adapter->netdev->features & NETIF_F_HW_VLAN_CTAG_RX)
			*rxdctl |= IXGBE_RXDCTL_VME;
		return;
	}

	IXGBE_WRITE_REG(hw, IXGBE_SRRCTL(ring->reg_idx),
			IXGBE_RX_HDR_SIZE << IXGBE_SRRCTL_BSIZEHDRSIZE_SHIFT |
			nm->queue[q].buf_len >> IXGBE_SRRCTL_BSIZEPKT_SHIFT |
			IXGBE_SRRCTL_DESCTYPE_ADV_ONEBUF | IXGBE_SRRCTL_DROP_EN);

	val = IXGBE_READ_REG(hw, IXGBE_RSCCTL(ring->reg_idx));
	IXGBE_WRITE_REG(hw, IXGBE_RSCCTL(ring->reg_idx), val & ~IXGBE_RSCCTL_RSCEN);

	*rxdctl &= ~IXGBE_RXDCTL_VME;
	/* X540 and later: longer frames span descriptors, as they do on the 82599 */
	if (hw->mac.type != ixgbe_mac_82599EB)
		*rxdctl &= ~(IXGBE_RXDCTL_RLPMLMASK | IXGBE_RXDCTL_RLPML_EN);
}

/*
 * From ixgbe_configure_rx_ring, after it has enabled the queue.  True: a queue that changes
 * hands is on, and need not be waited for as long as the driver does.
 */
bool ixgbe_netmap_rx_on(struct ixgbe_adapter *adapter, struct ixgbe_ring *ring)
{
	return ixgbe_netmap_owns(adapter, ring) &&
	       ixgbe_nm_soon(adapter, ring, IXGBE_RXDCTL_ENABLE);
}

/* Hand the empty, enabled ring to the core. */
static int ixgbe_nm_start(struct ixgbe_adapter *adapter, struct ixgbe_ring *ring, u32 q)
{
	struct ixgbe_netmap_queue *queue = &adapter->netmap.queue[q];
	struct ixgbe_hw *hw = &adapter->hw;
	const struct nm_nic_ring nic_ring = {
		.desc = ring->desc,
		.tail = ring->tail,
		.count = ring->count,
		.reg_idx = ring->reg_idx,
		.dev = adapter->netdev,
		.cookie = ring,
	};
	u32 rxdctl = IXGBE_READ_REG(hw, IXGBE_RXDCTL(ring->reg_idx));
	u32 srrctl = IXGBE_READ_REG(hw, IXGBE_SRRCTL(ring->reg_idx));

	if (!(rxdctl & IXGBE_RXDCTL_ENABLE) || (rxdctl & IXGBE_RXDCTL_VME) ||
	    !(srrctl & IXGBE_SRRCTL_DROP_EN)) {
		netdev_err(adapter->netdev,
			   "RX queue %u did not take netmap's settings: RXDCTL 0x%08x SRRCTL 0x%08x\n",
			   q, rxdctl, srrctl);
		return -EIO;
	}
	return queue->client->start(queue->priv, &nic_ring);
}

/*
 * From ixgbe_configure_rx_ring, after the queue was enabled.  True: the ring is
 * filled, the driver must not do it.
 */
bool ixgbe_netmap_rx_fill(struct ixgbe_adapter *adapter, struct ixgbe_ring *ring)
{
	struct ixgbe_netmap *nm = &adapter->netmap;
	int q = ixgbe_nm_index(adapter, ring);
	int err;

	if (q < 0)
		return false;
	/* not even a reset has stopped it: it gets no buffers, of whomever */
	if (test_bit(q, nm->stuck))
		return true;
	if (!test_bit(q, nm->user))
		return false;

	err = ixgbe_nm_conflict(adapter) ? -EOPNOTSUPP : ixgbe_nm_start(adapter, ring, q);
	nm->queue[q].err = err;
	if (!err) {
		/* pairs with test_bit_acquire in ixgbe_netmap_rx_irq */
		smp_mb__before_atomic();
		set_bit(q, nm->run);
		return true;
	}

	/*
	 * The core has written nothing, so the hardware has no descriptor to use
	 * even if the queue does not stop.
	 */
	netdev_warn(adapter->netdev,
		    "RX queue %d: netmap could not start it (error %d), the kernel has it for now\n",
		    q, err);
	ixgbe_nm_halt(adapter, ring);
	ixgbe_nm_to_kernel(adapter, ring, q);
	return true;
}

/* In place of the driver's two functions that set and clear SRRCTL.DROP_EN. */
void ixgbe_netmap_rx_drop(struct ixgbe_adapter *adapter, struct ixgbe_ring *ring,
			  void (*set)(struct ixgbe_adapter *, struct ixgbe_ring *))
{
	netif_addr_lock_bh(adapter->netdev);
	if (!ixgbe_netmap_owns(adapter, ring))
		set(adapter, ring);
	netif_addr_unlock_bh(adapter->netdev);
}

/* Are the registers of the RX queue with this ring's index the core's? */
bool ixgbe_netmap_owns(const struct ixgbe_adapter *adapter, const struct ixgbe_ring *ring)
{
	return ring->queue_index < IXGBE_NETMAP_QUEUES &&
	       test_bit(ring->queue_index, adapter->netmap.hold);
}

/* ---- hooks: steering ------------------------------------------------------------ */

/*
 * From ixgbe_setup_reta, which spreads the hash over all RSS queues after each
 * reset: spread it over those the kernel has.  With none left the driver's table
 * stays, the packets would be lost either way.
 */
void ixgbe_netmap_reta(struct ixgbe_adapter *adapter)
{
	u32 i, entries = ixgbe_rss_indir_tbl_entries(adapter);
	unsigned int rss = adapter->ring_feature[RING_F_RSS].indices;
	struct ixgbe_netmap *nm = &adapter->netmap;
	const unsigned long *out = nm->out;
	unsigned int q;

	nm->reta_made = false;
	rss = min_t(unsigned int, rss, IXGBE_NETMAP_QUEUES);
	if (bitmap_empty(out, rss))
		return;
	q = find_first_zero_bit(out, rss);
	if (q >= rss)
		return;

	for (i = 0; i < entries; i++) {
		adapter->rss_indir_tbl[i] = q;
		q = find_next_zero_bit(out, rss, q + 1);
		if (q >= rss)
			q = find_first_zero_bit(out, rss);
	}
	memcpy(nm->reta, adapter->rss_indir_tbl, entries);
	nm->reta_made = true;
}

/* ---- hooks: life cycle ---------------------------------------------------------- */

/*
 * From ixgbe_down, which everything that rebuilds or frees rings goes through.  The
 * core leaves its rings, and gets them again from ixgbe_netmap_rx_fill; a queue that was
 * lent to the kernel is asked for again then.
 */
void ixgbe_netmap_down(struct ixgbe_adapter *adapter)
{
	struct ixgbe_netmap *nm = &adapter->netmap;
	DECLARE_BITMAP(ran, IXGBE_NETMAP_QUEUES);
	unsigned int q;

	ixgbe_nm_tx_down(adapter);
	if (bitmap_empty(nm->out, IXGBE_NETMAP_QUEUES))
		return;

	bitmap_copy(ran, nm->run, IXGBE_NETMAP_QUEUES);
	for_each_set_bit(q, nm->out, IXGBE_NETMAP_QUEUES) {
		ixgbe_nm_hold(adapter, q, true);
		set_bit(q, nm->skip);
		clear_bit(q, nm->run);
		set_bit(q, nm->user);
	}
	synchronize_net();	/* no client->irq() is under way any more */
	for_each_set_bit(q, ran, IXGBE_NETMAP_QUEUES)
		nm->queue[q].client->stop(nm->queue[q].priv);
}

/*
 * From ixgbe_up_complete, once interrupts are on: those that came for the first
 * packets were cleared just before.  The spare TX queues are programmed here, too.
 */
void ixgbe_netmap_up(struct ixgbe_adapter *adapter)
{
	unsigned int q;

	for_each_set_bit(q, adapter->netmap.run, adapter->num_rx_queues)
		ixgbe_nm_kick(adapter, adapter->rx_ring[q]);
	ixgbe_nm_tx_up(adapter);
}

#include "ixgbe_netmap_stats.c"
#include "ixgbe_netmap_ops.c"
