/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The contract between the netmap core (netmap.ko) and a hooked NIC driver.
 *
 * Both modules compile this header, neither links against the other: the core
 * finds the driver's table with symbol_get() when a program asks for a port,
 * and drops it when the port's last queue is back.  So the two load and unload
 * in either order, and neither can be unloaded while a queue is out.
 *
 * One RX queue goes through these calls, all under rtnl unless said otherwise:
 *
 *   core: ops->take_rx(dev, q, client, priv)
 *     driver: the kernel leaves the ring, the queue stops, and is enabled again
 *     driver: client->start(priv, ring)     core fills it, writes the tail
 *     driver: client->irq(priv) ...         from NAPI, any number of times
 *     driver: client->stop(priv)            ring is rebuilt (reset, ifdown, ...)
 *     driver: client->start(priv, ring)     ... and back
 *   core: ops->give_rx(dev, q)
 *     driver: client->stop(priv), the queue stops, the kernel's buffers return
 *
 * TX is different: the kernel keeps all of its queues.  take_tx() puts a spare
 * hardware queue behind ring @q, on the vector of the kernel's queue @q; the same
 * calls of the client follow.  What the kernel itself sends is touched by divert()
 * alone.
 */
#ifndef _NETMAP_NIC_H_
#define _NETMAP_NIC_H_

#include <linux/types.h>

struct net_device;
struct device;
struct module;
struct sk_buff;

/* Changed with every change of a structure or rule below. */
#define NM_NIC_ABI 4

/**
 * struct nm_nic_port - what a port looks like now; filled by ops->info()
 * @dev: device that does the DMA
 * @num_rx: RX queues in use; valid queue indices are below it
 * @num_tx: TX queues in use
 * @rx_slots: descriptors in an RX ring
 * @tx_slots: descriptors in a TX ring
 */
struct nm_nic_port {
	struct device *dev;
	u32 num_rx;
	u32 num_tx;
	u32 rx_slots;
	u32 tx_slots;
};

/**
 * struct nm_nic_ring - a hardware ring that is the core's from start() to stop()
 * @desc: descriptor array, coherent memory, 16 bytes each (82599 data sheet 7.1.6
 *	and 7.2.3.2)
 * @tail: RDT or TDT register of the ring; the core writes it with writel()
 * @head: TX: where the hardware writes its head index to, coherent memory, 0 at
 *	start (head write-back, data sheet 7.2.3.5.2); RX: NULL.  irq() looks at it
 *	without a lock, so it stays allocated until give_tx() or gone() has ended and
 *	no call of irq() is under way
 * @count: number of descriptors
 * @reg_idx: hardware register index; not the queue index
 * @dev: the interface, whose carrier the core looks at before it sends
 * @cookie: passed to ops->account_rx(), account_tx() and rx_stamp()
 */
struct nm_nic_ring {
	void *desc;
	void __iomem *tail;
	const u32 *head;
	u32 count;
	u32 reg_idx;
	const struct net_device *dev;
	void *cookie;
};

/**
 * struct nm_nic_client - what the core does for a ring it has taken
 * @start: the ring is enabled in hardware and empty.  RX: fill the descriptors,
 *	write the tail.  Return 0.  A negative errno leaves the ring to the kernel
 *	(it is then asked again at the next rebuild).  May sleep.
 * @stop: return only when nothing of the core touches @desc or @tail any more.
 *	May sleep.  Called only after a successful start().
 * @irq: the ring's vector fired.  Softirq context.  RX: only from start() to stop(),
 *	and none is under way when stop() is called; it looks at @desc, and must find
 *	there what start() has written (release and acquire in the driver).
 * @gone: the device goes away; after it returns the driver forgets @priv and
 *	the core never calls give_rx() for it.  stop() came before.  May sleep.
 * @released: a queue for which give_rx() or give_tx() has said EIO is known to be
 *	stopped now, after a reset: the hardware uses nothing of the core's any more.
 *	Under rtnl, after the last other call; the driver forgets @priv.  May sleep.
 * @owner: the core's module; the driver keeps it from being unloaded from that EIO
 *	until released() has returned
 */
struct nm_nic_client {
	int (*start)(void *priv, const struct nm_nic_ring *ring);
	void (*stop)(void *priv);
	void (*irq)(void *priv);
	void (*gone)(void *priv);
	void (*released)(void *priv);
	struct module *owner;
};

/**
 * struct nm_nic_xmit - where the kernel's own transmissions of a port go instead
 * @xmit: takes @skb over, whatever becomes of it; @queue: the TX queue the stack
 *	chose.  Softirq context, several CPUs at once.
 */
struct nm_nic_xmit {
	void (*xmit)(void *priv, struct sk_buff *skb, u32 queue);
};

/**
 * struct nm_nic_ops - what a hooked driver offers; one constant table per driver
 * @abi: NM_NIC_ABI the driver was built with
 * @size: sizeof(struct nm_nic_ops)
 * @owner: the driver module
 * @match: is @dev one of this driver's?
 * @info: fill in the port's numbers; 0 or an errno
 * @take_rx: take queue @q from the kernel; frames are written in pieces of at
 *	most @buf_len bytes, a multiple of 1024 up to 16384 (EINVAL).  ENOENT no
 *	such queue, ENETDOWN interface down, EBUSY taken already or an AF_XDP socket is on it,
 *	EOPNOTSUPP a mode that cannot be mixed with this (SR-IOV, VMDq, DCB, FCoE;
 *	the driver says which in the log), EIO the queue did not stop and is the
 *	kernel's again, or client->start()'s errno.  Nothing has changed then.
 * @give_rx: give queue @q back.  0, or EIO: the hardware did not stop the
 *	queue, its memory must be kept until client->released(), which may never come.
 * @take_tx: put a spare hardware queue behind TX ring @q.  Errors as take_rx;
 *	ENOSPC: the card has no spare queue left.  The kernel's TX queues go on.
 * @give_tx: end that.  0, or EIO as give_rx.
 * @divert: hand what the kernel sends through the port to @xmit, or with NULL
 *	transmit it again; no call of @xmit is under way when it returns.  EBUSY:
 *	diverted already.  Ends by itself when the device goes.
 * @account_rx: count packets a program received, so that ethtool -S shows them.
 *	Any context in which the ring is started; @cookie from nm_nic_ring.
 * @account_tx: the same for packets sent
 * @rx_stamp: the hardware timestamp the card has latched for a received packet
 *	whose descriptor says that there is one (status TS), in nanoseconds; frees
 *	the latch.  False: there is none.
 */
struct nm_nic_ops {
	u32 abi;
	u32 size;
	struct module *owner;
	bool (*match)(const struct net_device *dev);
	int (*info)(struct net_device *dev, struct nm_nic_port *port);
	int (*take_rx)(struct net_device *dev, u32 q, u32 buf_len,
		       const struct nm_nic_client *client, void *priv);
	int (*give_rx)(struct net_device *dev, u32 q);
	int (*take_tx)(struct net_device *dev, u32 q,
		       const struct nm_nic_client *client, void *priv);
	int (*give_tx)(struct net_device *dev, u32 q);
	int (*divert)(struct net_device *dev, const struct nm_nic_xmit *xmit, void *priv);
	void (*account_rx)(void *cookie, u32 packets, u32 bytes);
	void (*account_tx)(void *cookie, u32 packets, u32 bytes);
	bool (*rx_stamp)(void *cookie, u64 *ns);
};

/* The symbol each hooked driver exports: ixgbe_netmap_ops, ... */
extern const struct nm_nic_ops ixgbe_netmap_ops;

#endif /* _NETMAP_NIC_H_ */
