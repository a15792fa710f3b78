// SPDX-License-Identifier: GPL-2.0
//
// The netmap hooks of the in-tree ixgbe driver: the source of truth.
//
// Each rule is one edit.  The comment it adds, "netmap hook: NAME", is what
// ixgbe_patch/apply counts against the list in ixgbe_patch/edits: a name that is
// not in the result exactly once stops the build.  Documentation/ixgbe-hooks.md
// says why each edit is there.
//
// Writing rules for spatch:
// - "first statement of a function" needs two different statement metavariables;
//   with one it inserts many copies;
// - never anchor on code inside #if, it is inserted twice: anchor on a call or an
//   expression next to it;
// - identifiers used in + lines only are declared as symbol.

// ---- declarations ---------------------------------------------------------------

@ include_header @
@@
 #include "ixgbe_ipsec.h"
+#include "ixgbe_netmap.h"	/* netmap hook: include-header */

@ adapter_state @
@@
 struct ixgbe_adapter {
 ...
 spinlock_t vfs_lock;
+struct ixgbe_netmap netmap; /* netmap hook: adapter-state */
 };

@ include_impl @
declarer name module_exit;
identifier F;
@@
 module_exit(F);
+#include "ixgbe_netmap_impl.c"	/* netmap hook: include-impl */

// ---- the receive path -----------------------------------------------------------

@ poll_rx @
symbol adapter;
expression V, R, B;
@@
 ixgbe_poll(...)
 {
 <...
- ixgbe_clean_rx_irq(V, R, B)
+ (ixgbe_netmap_rx_irq(adapter, R) /* netmap hook: poll-rx */
+  ? 0 : ixgbe_clean_rx_irq(V, R, B))
 ...>
 }

@ poll_tx @
symbol adapter;
expression V, R, B;
@@
 ixgbe_poll(...)
 {
 <...
- ixgbe_clean_tx_irq(V, R, B)
+ (ixgbe_netmap_tx_irq(adapter, R, B) /* netmap hook: poll-tx */
+  , ixgbe_clean_tx_irq(V, R, B))
 ...>
 }

// ---- the transmit path, counters --------------------------------------------------

@ xmit @
identifier skb, netdev, ring;
statement S0, S;
symbol adapter;
@@
 __ixgbe_xmit_frame(struct sk_buff *skb, struct net_device *netdev,
		    struct ixgbe_ring *ring)
 {
 ... when != S0
+if (unlikely(READ_ONCE(adapter->netmap.xmit)) && /* netmap hook: xmit */
+    ixgbe_netmap_xmit(adapter, skb))
+	return NETDEV_TX_OK;
 S
 ... when any
 }

@ netdev_stats @
symbol adapter;
identifier netdev, stats;
@@
 ixgbe_get_stats64(struct net_device *netdev, struct rtnl_link_stats64 *stats)
 {
 <...
+ixgbe_netmap_stats64(adapter, stats); /* netmap hook: netdev-stats */
 rcu_read_unlock();
 ...>
 }

@ ethtool_stats @
symbol adapter, i;
identifier netdev, stats, data, j;
statement S;
@@
 ixgbe_get_ethtool_stats(struct net_device *netdev, struct ethtool_stats *stats, u64 *data)
 {
 <...
+ixgbe_netmap_ethtool_stats(adapter, netdev->num_tx_queues, data + i); /* netmap hook: ethtool-stats */
 for (j = 0; j < IXGBE_NUM_RX_QUEUES; j++) S
 ...>
 }

// ---- programming a ring ---------------------------------------------------------

@ ring_registers @
identifier rxdctl;
symbol adapter, ring;
@@
 ixgbe_configure_rx_ring(...)
 {
 <...
+ixgbe_netmap_rx_regs(adapter, ring, &rxdctl); /* netmap hook: ring-registers */
 rxdctl |= IXGBE_RXDCTL_ENABLE;
 ...>
 }

@ ring_enable_fill @
identifier adapter, ring;
@@
 ixgbe_configure_rx_ring(...)
 {
 <...
-ixgbe_rx_desc_queue_enable(adapter, ring);
+if (!ixgbe_netmap_rx_on(adapter, ring)) /* netmap hook: ring-enable */
+	ixgbe_rx_desc_queue_enable(adapter, ring);
+if (ixgbe_netmap_rx_fill(adapter, ring)) /* netmap hook: ring-fill */
+	return;
 ...>
 }

@ drop_on @
expression A, R;
@@
 ixgbe_set_rx_drop_en(...)
 {
 <...
- ixgbe_enable_rx_drop(A, R)
+ ixgbe_netmap_rx_drop(A, R, ixgbe_enable_rx_drop /* netmap hook: drop-on */)
 ...>
 }

@ drop_off @
expression A, R;
@@
 ixgbe_set_rx_drop_en(...)
 {
 <...
- ixgbe_disable_rx_drop(A, R)
+ ixgbe_netmap_rx_drop(A, R, ixgbe_disable_rx_drop /* netmap hook: drop-off */)
 ...>
 }

@ vlan_strip_on @
identifier j, ring;
symbol adapter;
@@
 ixgbe_vlan_strip_enable(...)
 {
 <...
+if (ixgbe_netmap_owns(adapter, ring)) /* netmap hook: vlan-strip-on */
+	continue;
 j = ring->reg_idx;
 ...>
 }

@ vlan_strip_off @
identifier j, ring;
symbol adapter;
@@
 ixgbe_vlan_strip_disable(...)
 {
 <...
+if (ixgbe_netmap_owns(adapter, ring)) /* netmap hook: vlan-strip-off */
+	continue;
 j = ring->reg_idx;
 ...>
 }

// ---- steering -------------------------------------------------------------------

@ reta @
identifier adapter;
@@
 ixgbe_setup_reta(...)
 {
 <...
+ixgbe_netmap_reta(adapter); /* netmap hook: reta */
 ixgbe_store_reta(adapter);
 ...>
 }

@ atr @
identifier ring, first;
statement S0, S;
symbol q_vector;
@@
 ixgbe_atr(struct ixgbe_ring *ring, struct ixgbe_tx_buffer *first)
 {
 ... when != S0
+if (q_vector && ixgbe_netmap_owns(q_vector->adapter, ring)) /* netmap hook: atr */
+	return;
 S
 ... when any
 }

// ---- life cycle -----------------------------------------------------------------

@ down @
symbol adapter;
expression N;
@@
 ixgbe_down(...)
 {
 <...
+ixgbe_netmap_down(adapter); /* netmap hook: down */
 netif_tx_stop_all_queues(N);
 ...>
 }

@ was_reset @
identifier adapter;
@@
 ixgbe_down(...)
 {
 <...
+ixgbe_netmap_was_reset(adapter); /* netmap hook: was-reset */
 ixgbe_clean_all_tx_rings(adapter);
 ...>
 }

@ check_hang @
identifier adapter, eics;
@@
 ixgbe_check_hang_subtask(...)
 {
 <...
+ixgbe_netmap_check_hang(adapter); /* netmap hook: check-hang */
 ixgbe_irq_rearm_queues(adapter, eics);
 ...>
 }

@ up @
identifier adapter;
@@
 ixgbe_up_complete(...)
 {
 <...
 ixgbe_irq_enable(adapter, true, true);
+ixgbe_netmap_up(adapter); /* netmap hook: up */
 ...>
 }

@ open_fails @
identifier adapter;
@@
 ixgbe_open(...)
 {
 <...
+ixgbe_netmap_open_failed(adapter); /* netmap hook: open-fails */
 ixgbe_free_all_rx_resources(adapter);
 ...>
 }

@ remove @
expression N;
symbol adapter;
@@
 ixgbe_remove(...)
 {
 <...
+ixgbe_netmap_gone(adapter); /* netmap hook: remove */
 ixgbe_del_sanmac_netdev(N);
 ...>
 }

@ fw_error @
identifier adapter;
@@
 ixgbe_service_task(...)
 {
 <...
+ixgbe_netmap_gone(adapter); /* netmap hook: fw-error */
 unregister_netdev(adapter->netdev);
 ...>
 }

@ bad_sfp @
identifier adapter;
@@
 ixgbe_sfp_detection_subtask(...)
 {
 <...
+ixgbe_netmap_gone(adapter); /* netmap hook: bad-sfp */
 unregister_netdev(adapter->netdev);
 ...>
 }

// ---- a fault of the driver's own --------------------------------------------------

// Where it has been mended only the comment is added.
@ tx_hang @
symbol ixgbe_from_netdev;
expression N;
@@
 ixgbe_pf_handle_tx_hang(...)
 {
 <...
(
- netdev_priv(N)
+ ixgbe_from_netdev(N) /* netmap hook: tx-hang */
|
- ixgbe_from_netdev(N)
+ ixgbe_from_netdev(N) /* netmap hook: tx-hang */
)
 ...>
 }

// ---- what has to wait until the queue is back -------------------------------------

@ xdp_on @
identifier dev, prog;
statement S0, S;
symbol adapter;
@@
 ixgbe_xdp_setup(struct net_device *dev, struct bpf_prog *prog)
 {
 ... when != S0
+if (prog && !adapter->xdp_prog && /* netmap hook: xdp-on */
+    ixgbe_netmap_busy(adapter, "loading an XDP program"))
+	return -EBUSY;
 S
 ... when any
 }

@ xsk_bind @
identifier adapter, pool, qid;
statement S0, S;
@@
 ixgbe_xsk_pool_enable(struct ixgbe_adapter *adapter,
		       struct xsk_buff_pool *pool, u16 qid)
 {
 ... when != S0
+if (ixgbe_netmap_has(adapter, qid)) /* netmap hook: xsk-bind */
+	return -EBUSY;
 S
 ... when any
 }

@ ring_size @
statement S0, S;
symbol adapter;
@@
 ixgbe_set_ringparam(...)
 {
 ... when != S0
+if (ixgbe_netmap_busy(adapter, "ethtool -G")) /* netmap hook: ring-size */
+	return -EBUSY;
 S
 ... when any
 }

@ channels @
statement S0, S;
symbol adapter;
@@
 ixgbe_set_channels(...)
 {
 ... when != S0
+if (ixgbe_netmap_busy(adapter, "ethtool -L")) /* netmap hook: channels */
+	return -EBUSY;
 S
 ... when any
 }

@ macvlan_offload @
statement S0, S;
symbol adapter;
@@
 ixgbe_fwd_add(...)
 {
 ... when != S0
+if (ixgbe_netmap_busy(adapter, "offloading a macvlan")) /* netmap hook: macvlan-offload */
+	return ERR_PTR(-EBUSY);
 S
 ... when any
 }

@ mqprio @
identifier dev, mqprio;
symbol ixgbe_from_netdev;
statement S0, S;
@@
 ixgbe_setup_tc_mqprio(struct net_device *dev, struct tc_mqprio_qopt *mqprio)
 {
 ... when != S0
+if (ixgbe_netmap_busy(ixgbe_from_netdev(dev), "an mqprio qdisc in hardware")) /* netmap hook: mqprio */
+	return -EBUSY;
 S
 ... when any
 }

@ dcb_state @
expression N, E;
symbol adapter;
@@
 ixgbe_dcbnl_set_state(...)
 {
 <...
+if (ixgbe_netmap_busy(adapter, "switching DCB")) /* netmap hook: dcb-state */
+	return 1;
 return !!ixgbe_setup_tc(N, E);
 ...>
 }

@ dcb_ets @
statement S0, S;
symbol adapter;
@@
 ixgbe_dcbnl_ieee_setets(...)
 {
 ... when != S0
+if (ixgbe_netmap_busy(adapter, "setting DCB traffic classes")) /* netmap hook: dcb-ets */
+	return -EBUSY;
 S
 ... when any
 }

@ hwtstamp_on @
identifier netdev, config, extack;
statement S0, S;
symbol adapter;
@@
 ixgbe_ptp_hwtstamp_set(struct net_device *netdev, struct kernel_hwtstamp_config *config,
			struct netlink_ext_ack *extack)
 {
 ... when != S0
+if (config->rx_filter != HWTSTAMP_FILTER_NONE && /* netmap hook: hwtstamp-on */
+    ixgbe_netmap_stamp_busy(adapter))
+	return -EBUSY;
 S
 ... when any
 }

@ fcoe_on @
statement S0, S;
symbol adapter;
@@
 ixgbe_fcoe_enable(...)
 {
 ... when != S0
+if (ixgbe_netmap_busy(adapter, "enabling FCoE")) /* netmap hook: fcoe-on */
+	return -EBUSY;
 S
 ... when any
 }

@ sriov_on @
identifier dev, num_vfs;
symbol pci_get_drvdata;
statement S0, S;
@@
 ixgbe_pci_sriov_configure(struct pci_dev *dev, int num_vfs)
 {
 ... when != S0
+if (num_vfs && ixgbe_netmap_busy(pci_get_drvdata(dev), /* netmap hook: sriov-on */
+				 "enabling SR-IOV"))
+	return -EBUSY;
 S
 ... when any
 }
