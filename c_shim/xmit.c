// SPDX-License-Identifier: GPL-2.0
/*
 * Frames the kernel sends, made ready for a program: what the card would have
 * done to them is done here, and what they hold of the rest of the kernel is
 * let go, since a program may take its time.
 */
#include <linux/etherdevice.h>
#include <linux/if_vlan.h>
#include <linux/netdevice.h>
#include <linux/skbuff.h>
#include <linux/spinlock.h>
#include <net/gso.h>
#include <net/xfrm.h>

#include "nm_shim.h"

void nm_lock_init(void *lock)
{
	spin_lock_init((spinlock_t *)lock);
}

unsigned long nm_lock(void *lock)
{
	unsigned long flags;

	spin_lock_irqsave((spinlock_t *)lock, flags);
	return flags;
}

void nm_unlock(void *lock, unsigned long flags)
{
	spin_unlock_irqrestore((spinlock_t *)lock, flags);
}

struct net_device *nm_skb_dev(const struct sk_buff *skb)
{
	return skb->dev;
}

void nm_netdev_tx_dropped(struct net_device *dev, u32 frames)
{
	while (frames--)
		dev_core_stats_tx_dropped_inc(dev);
}

static bool nm_skb_finish(struct sk_buff *skb)
{
	if (skb->ip_summed == CHECKSUM_PARTIAL) {
		if (skb->encapsulation)
			skb_set_inner_transport_header(skb, skb_checksum_start_offset(skb));
		else
			skb_set_transport_header(skb, skb_checksum_start_offset(skb));
		if (skb_csum_hwoffload_help(skb, 0))
			return false;
	}
	/* a sender that waits for its pages must not wait for the program */
	if (skb_orphan_frags_rx(skb, GFP_ATOMIC))
		return false;
	skb_tx_timestamp(skb);
	skb_orphan(skb);
	skb_scrub_packet(skb, false);
	skb->dev = NULL;
	return true;
}

struct sk_buff *nm_skb_plain(struct sk_buff *skb, u32 *lost)
{
	struct sk_buff *list = NULL, **end = &list, *next;

	*lost = 0;
	/* pktgen sends one skb many times over; a list can have it once */
	skb = skb_share_check(skb, GFP_ATOMIC);
	if (!skb) {
		*lost = 1;
		return NULL;
	}
	/* the card was to encrypt it: as it is it must not leave the kernel */
	if (xfrm_offload(skb))
		goto drop;
	if (skb_vlan_tag_present(skb)) {
		skb = __vlan_hwaccel_push_inside(skb);
		if (!skb) {
			*lost = 1;
			return NULL;
		}
	}
	if (skb_is_gso(skb)) {
		struct sk_buff *segs = skb_gso_segment(skb, NETIF_F_SG | NETIF_F_HIGHDMA);

		if (IS_ERR(segs))
			goto drop;
		if (segs) {
			dev_consume_skb_any(skb);
			skb = segs;
		}
	}
	skb_list_walk_safe(skb, skb, next) {
		skb_mark_not_on_list(skb);
		if (nm_skb_finish(skb)) {
			*end = skb;
			end = &skb->next;
		} else {
			dev_kfree_skb_any(skb);
			++*lost;
		}
	}
	return list;
drop:
	dev_kfree_skb_any(skb);
	*lost = 1;
	return NULL;
}

struct sk_buff *nm_skb_next(const struct sk_buff *skb)
{
	return skb->next;
}

void nm_skb_set_next(struct sk_buff *skb, struct sk_buff *next)
{
	skb->next = next;
}

u32 nm_skb_len(const struct sk_buff *skb)
{
	return skb->len;
}

int nm_skb_copy(const struct sk_buff *skb, u32 offset, void *to, u32 len)
{
	return skb_copy_bits(skb, offset, to, len);
}

void nm_skb_free(struct sk_buff *skb, bool dropped)
{
	skb_mark_not_on_list(skb);
	if (dropped)
		dev_kfree_skb_any(skb);
	else
		dev_consume_skb_any(skb);
}
