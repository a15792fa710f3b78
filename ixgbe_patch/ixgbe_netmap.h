/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Selective kernel bypass: what the hooked ixgbe driver keeps per port, and the
 * calls that the edits of ixgbe_netmap.cocci insert.  The functions are in
 * ixgbe_netmap_impl.c, which is compiled as the end of ixgbe_main.c.
 */
#ifndef _IXGBE_NETMAP_H_
#define _IXGBE_NETMAP_H_

#include <linux/types.h>
#include <linux/u64_stats_sync.h>

struct ixgbe_adapter;
struct ixgbe_netmap_spare;
struct ixgbe_ring;
struct nm_nic_client;
struct nm_nic_xmit;
struct rtnl_link_stats64;
struct sk_buff;

/* As many as MAX_RX_QUEUES, which this header comes before. */
#define IXGBE_NETMAP_QUEUES 64
/* As many as IXGBE_MAX_RETA_ENTRIES. */
#define IXGBE_NETMAP_RETA 512

/**
 * struct ixgbe_netmap_queue - who has a queue; valid while it is out
 * @client: the core's callbacks
 * @priv: the core's argument of them
 * @buf_len: RX: size of its buffers, in bytes
 * @err: RX: what the last attempt to start the ring returned
 */
struct ixgbe_netmap_queue {
	const struct nm_nic_client *client;
	void *priv;
	u32 buf_len;
	int err;
};

/**
 * struct ixgbe_netmap_count - what a TX ring has sent since the port is there
 * @packets: frames
 * @bytes: without FCS
 * @syncp: of both, for 32-bit readers
 *
 * Kept apart from the ring, so that the port's totals never go back when it is given.
 */
struct ixgbe_netmap_count {
	u64 packets;
	u64 bytes;
	struct u64_stats_sync syncp;
};

/**
 * struct ixgbe_netmap - a port's queues that are not the kernel's
 * @out: taken by the core; changed under rtnl
 * @hold: the driver's sweeps over all queues leave these registers alone;
 *	changed under rtnl and netif_addr_lock
 * @skip: NAPI leaves the ring alone; cleared only when the kernel's buffers are in
 * @user: the next programming of the ring is for the core
 * @run: the core has the ring, its vector is reported
 * @stuck: the hardware did not stop the queue; nobody's until a reset has
 * @kept: of those, the core keeps its memory and waits for client->released()
 * @gone: the port goes away, nothing is taken any more
 * @reta_made: @reta is what the last reset has put into the redirection table
 * @reta: the redirection table without the queues that were out then
 * @queue: who has it
 * @tx_out: TX ring taken by the core; changed under rtnl
 * @tx_kept: not with the core any more, which keeps its memory and waits for
 *	client->released(); under rtnl
 * @tx_run: the core has the spare queue, the vector of the kernel's TX queue is reported
 * @tx_queue: who has it
 * @spare: the hardware queue behind netmap's TX ring; NULL: there is none; under rtnl
 * @tx_late: when a TX queue that was given back last had no time left to send, in
 *	jiffies; under rtnl
 * @tx_was_late: there was one
 * @sent: what netmap's TX rings have sent
 * @cut: bus mastering is off, as not even a reset has stopped a queue
 * @xmit: where the kernel's own packets go instead of the hardware; NULL: nowhere else;
 *	changed under rtnl
 * @xmit_priv: its argument, valid while @xmit is set
 *
 * An index is a queue index (ring->queue_index), never a register index.  The
 * states of a queue:
 *
 *	kernel's            no bit
 *	running             out hold skip user run
 *	down, comes back    out hold skip user
 *	lent to the kernel  out			(the core could not start it)
 *	did not stop        hold skip stuck
 *	nor in a reset      out hold skip user stuck	(until given, or the next reset)
 */
struct ixgbe_netmap {
	DECLARE_BITMAP(out, IXGBE_NETMAP_QUEUES);
	DECLARE_BITMAP(hold, IXGBE_NETMAP_QUEUES);
	DECLARE_BITMAP(skip, IXGBE_NETMAP_QUEUES);
	DECLARE_BITMAP(user, IXGBE_NETMAP_QUEUES);
	DECLARE_BITMAP(run, IXGBE_NETMAP_QUEUES);
	DECLARE_BITMAP(stuck, IXGBE_NETMAP_QUEUES);
	DECLARE_BITMAP(kept, IXGBE_NETMAP_QUEUES);
	bool gone;
	bool cut;
	bool reta_made;
	u8 reta[IXGBE_NETMAP_RETA];
	struct ixgbe_netmap_queue queue[IXGBE_NETMAP_QUEUES];
	DECLARE_BITMAP(tx_out, IXGBE_NETMAP_QUEUES);
	DECLARE_BITMAP(tx_kept, IXGBE_NETMAP_QUEUES);
	DECLARE_BITMAP(tx_run, IXGBE_NETMAP_QUEUES);
	struct ixgbe_netmap_queue tx_queue[IXGBE_NETMAP_QUEUES];
	struct ixgbe_netmap_spare *spare[IXGBE_NETMAP_QUEUES];
	unsigned long tx_late;
	bool tx_was_late;
	struct ixgbe_netmap_count sent[IXGBE_NETMAP_QUEUES];
	const struct nm_nic_xmit *xmit;
	void *xmit_priv;
};

/* The interrupt path. */
bool ixgbe_netmap_rx_irq(struct ixgbe_adapter *adapter, struct ixgbe_ring *ring);
void ixgbe_netmap_tx_irq(struct ixgbe_adapter *adapter, struct ixgbe_ring *ring, int budget);

/* The transmit path. */
bool ixgbe_netmap_xmit(struct ixgbe_adapter *adapter, struct sk_buff *skb);

/* Counters. */
void ixgbe_netmap_stats64(const struct ixgbe_adapter *adapter, struct rtnl_link_stats64 *stats);
void ixgbe_netmap_ethtool_stats(const struct ixgbe_adapter *adapter, u32 num, u64 *end);

/* Programming a ring. */
void ixgbe_netmap_rx_regs(struct ixgbe_adapter *adapter, struct ixgbe_ring *ring, u32 *rxdctl);
bool ixgbe_netmap_rx_on(struct ixgbe_adapter *adapter, struct ixgbe_ring *ring);
bool ixgbe_netmap_rx_fill(struct ixgbe_adapter *adapter, struct ixgbe_ring *ring);
void ixgbe_netmap_rx_drop(struct ixgbe_adapter *adapter, struct ixgbe_ring *ring,
			  void (*set)(struct ixgbe_adapter *, struct ixgbe_ring *));
bool ixgbe_netmap_owns(const struct ixgbe_adapter *adapter, const struct ixgbe_ring *ring);

/* Steering. */
void ixgbe_netmap_reta(struct ixgbe_adapter *adapter);

/* Life cycle. */
void ixgbe_netmap_down(struct ixgbe_adapter *adapter);
void ixgbe_netmap_was_reset(struct ixgbe_adapter *adapter);
void ixgbe_netmap_open_failed(struct ixgbe_adapter *adapter);
void ixgbe_netmap_check_hang(struct ixgbe_adapter *adapter);
void ixgbe_netmap_up(struct ixgbe_adapter *adapter);
void ixgbe_netmap_gone(struct ixgbe_adapter *adapter);

/* What has to wait until the queues are back. */
bool ixgbe_netmap_busy(const struct ixgbe_adapter *adapter, const char *what);
bool ixgbe_netmap_stamp_busy(const struct ixgbe_adapter *adapter);
bool ixgbe_netmap_has(const struct ixgbe_adapter *adapter, u32 q);

#endif /* _IXGBE_NETMAP_H_ */
