// SPDX-License-Identifier: GPL-2.0
/*
 * Frames a program puts back.  Each is copied, because the program can still
 * write to its buffer; the stack then sees it as received from the port, with
 * the checksum not yet verified, for the same reason.
 */
#include <linux/etherdevice.h>
#include <linux/if_vlan.h>
#include <linux/netdevice.h>
#include <linux/skbuff.h>

#include "nm_shim.h"

static struct sk_buff *nm_skb_build(struct net_device *dev, u32 queue,
				    const struct nm_frag *frag, u32 n, u32 len)
{
	struct sk_buff *skb;

	/* nothing the port could not have received */
	if (len < ETH_HLEN || len > dev->max_mtu + ETH_HLEN + VLAN_HLEN)
		return NULL;
	skb = netdev_alloc_skb_ip_align(dev, len);
	if (!skb)
		return NULL;
	while (n--) {
		skb_put_data(skb, frag->data, frag->len);
		frag++;
	}
	skb->protocol = eth_type_trans(skb, dev);
	/* the port may have fewer queues than when the program bound this one */
	if (queue < READ_ONCE(dev->real_num_rx_queues))
		skb_record_rx_queue(skb, queue);
	return skb;
}

/* Returns how many frames the stack has taken. */
u32 nm_skb_receive(struct net_device *dev, u32 queue, const struct nm_frag *frag, u32 n)
{
	LIST_HEAD(list);
	u32 first = 0, len = 0, taken = 0;

	for (u32 i = 0; i < n; i++) {
		struct sk_buff *skb;

		len += frag[i].len;
		if (frag[i].more)
			continue;
		skb = nm_skb_build(dev, queue, frag + first, i + 1 - first, len);
		if (skb) {
			list_add_tail(&skb->list, &list);
			taken++;
		}
		first = i + 1;
		len = 0;
	}
	/* dev_close() waits for those who saw the interface running with bottom halves off */
	local_bh_disable();
	if (netif_running(dev)) {
		netif_receive_skb_list(&list);
	} else {
		struct sk_buff *skb, *next;

		list_for_each_entry_safe(skb, next, &list, list) {
			skb_list_del_init(skb);
			kfree_skb(skb);
		}
		taken = 0;
	}
	local_bh_enable();
	return taken;
}
