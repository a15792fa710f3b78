// SPDX-License-Identifier: GPL-2.0
/*
 * Packets of netmap's rings in the port's own counters, and the timestamps the card
 * takes of received packets.  Included by ixgbe_netmap_impl.c.
 *
 * An RX queue that is out still has the kernel's ring structure, which nobody else
 * counts in meanwhile.  The kernel's TX ring goes on counting its own packets, so those
 * of netmap's ring of the same index are counted apart and added where they are shown.
 */

/* ---- counters ------------------------------------------------------------------- */

static void ixgbe_nm_account_rx(void *cookie, u32 packets, u32 bytes)
{
	struct ixgbe_ring *ring = cookie;

	ixgbe_update_rx_ring_stats(ring, ring->q_vector, packets, bytes);
}

static void ixgbe_nm_account_tx(void *cookie, u32 packets, u32 bytes)
{
	struct ixgbe_netmap_spare *spare = cookie;
	struct ixgbe_q_vector *q_vector = spare->ring.q_vector;
	struct ixgbe_netmap_count *sent = spare->sent;

	u64_stats_update_begin(&sent->syncp);
	sent->packets += packets;
	sent->bytes += bytes;
	u64_stats_update_end(&sent->syncp);

	/*
	 * The vector's throttle adapts to these.  With none it would settle at the
	 * longest delay, in which the hardware sends a whole ring several times over.
	 * NAPI counts here at the same time; an estimate stands that.
	 */
	q_vector->tx.total_packets += packets;
	q_vector->tx.total_bytes += bytes;
}

static void ixgbe_nm_sent(const struct ixgbe_adapter *adapter, u32 q, u64 *packets, u64 *bytes)
{
	const struct ixgbe_netmap_count *sent = &adapter->netmap.sent[q];
	unsigned int start;

	do {
		start = u64_stats_fetch_begin(&sent->syncp);
		*packets = sent->packets;
		*bytes = sent->bytes;
	} while (u64_stats_fetch_retry(&sent->syncp, start));
}

/* From ixgbe_get_stats64: what netmap's TX rings have sent is the port's, too. */
void ixgbe_netmap_stats64(const struct ixgbe_adapter *adapter, struct rtnl_link_stats64 *stats)
{
	u64 packets, bytes;
	u32 q;

	for (q = 0; q < IXGBE_NETMAP_QUEUES; q++) {
		ixgbe_nm_sent(adapter, q, &packets, &bytes);
		stats->tx_packets += packets;
		stats->tx_bytes += bytes;
	}
}

/* From ixgbe_get_ethtool_stats: before @end are packets and bytes of @num TX queues. */
void ixgbe_netmap_ethtool_stats(const struct ixgbe_adapter *adapter, u32 num, u64 *end)
{
	u64 packets, bytes, *data = end - 2 * num;
	u32 q;

	for (q = 0; q < min_t(u32, num, IXGBE_NETMAP_QUEUES); q++) {
		ixgbe_nm_sent(adapter, q, &packets, &bytes);
		*data++ += packets;
		*data++ += bytes;
	}
}

/* ---- timestamps ----------------------------------------------------------------- */

/*
 * The 82599 and X540 latch one timestamp at a time; the next frame gets one when this
 * was read.  The driver's watchdog of the latch is told that somebody reads it.
 */
static bool ixgbe_nm_rx_stamp(void *cookie, u64 *ns)
{
	struct ixgbe_ring *ring = cookie;
	struct ixgbe_adapter *adapter = ixgbe_from_netdev(ring->netdev);
	struct ixgbe_hw *hw = &adapter->hw;
	unsigned long flags;
	u64 cycles;

	if (!(adapter->flags & IXGBE_FLAG_RX_HWTSTAMP_ENABLED) || ixgbe_nm_stamps_all(adapter))
		return false;
	if (!(IXGBE_READ_REG(hw, IXGBE_TSYNCRXCTL) & IXGBE_TSYNCRXCTL_VALID) ||
	    ixgbe_removed(hw->hw_addr))
		return false;
	cycles = IXGBE_READ_REG(hw, IXGBE_RXSTMPL);
	cycles |= (u64)IXGBE_READ_REG(hw, IXGBE_RXSTMPH) << 32;
	ring->last_rx_timestamp = jiffies;

	spin_lock_irqsave(&adapter->tmreg_lock, flags);
	*ns = timecounter_cyc2time(&adapter->hw_tc, cycles);
	spin_unlock_irqrestore(&adapter->tmreg_lock, flags);
	return true;
}
