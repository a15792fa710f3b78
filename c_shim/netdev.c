// SPDX-License-Identifier: GPL-2.0
/* Interfaces: lookup, references, attributes, and the news that one goes away. */
#include <linux/capability.h>
#include <linux/netdevice.h>
#include <linux/notifier.h>
#include <linux/nsproxy.h>
#include <linux/rtnetlink.h>
#include <net/net_namespace.h>

#include "nm_shim.h"

struct net_device *nm_netdev_get(const char *name)
{
	return dev_get_by_name(current->nsproxy->net_ns, name);
}

struct net_device *nm_netdev_next(u32 after_ifindex)
{
	unsigned long ifindex = (unsigned long)after_ifindex + 1;
	struct net_device *dev;

	rcu_read_lock();
	for_each_netdev_dump(current->nsproxy->net_ns, dev, ifindex)
		break;
	dev_hold(dev);
	rcu_read_unlock();
	return dev;
}

void nm_netdev_hold(struct net_device *dev)
{
	dev_hold(dev);
}

void nm_netdev_put(struct net_device *dev)
{
	dev_put(dev);
}

u32 nm_netdev_ifindex(const struct net_device *dev)
{
	return dev->ifindex;
}

void nm_netdev_name(const struct net_device *dev, char *name16)
{
	strscpy_pad(name16, dev->name, IFNAMSIZ);
}

bool nm_netdev_registered(const struct net_device *dev)
{
	return dev->reg_state == NETREG_REGISTERED;
}

bool nm_netdev_running(const struct net_device *dev)
{
	return netif_running(dev);
}

bool nm_netdev_carrier(const struct net_device *dev)
{
	return netif_carrier_ok(dev);
}

bool nm_netdev_in_caller_netns(const struct net_device *dev)
{
	return net_eq(dev_net(dev), current->nsproxy->net_ns);
}

bool nm_netdev_may_admin(const struct net_device *dev)
{
	return ns_capable(dev_net(dev)->user_ns, CAP_NET_ADMIN);
}

u64 nm_netns_cookie(void)
{
	return current->nsproxy->net_ns->net_cookie;
}

void nm_rtnl_lock(void)
{
	rtnl_lock();
}

void nm_rtnl_unlock(void)
{
	rtnl_unlock();
}

static int nm_netdev_event(struct notifier_block *nb, unsigned long event, void *ptr)
{
	/* Also sent when the interface leaves for another namespace. */
	if (event == NETDEV_UNREGISTER)
		nm_rs_netdev_gone(netdev_notifier_info_to_dev(ptr));
	return NOTIFY_DONE;
}

static struct notifier_block nm_notifier = {
	.notifier_call = nm_netdev_event,
};

int nm_notifier_register(void)
{
	return register_netdevice_notifier(&nm_notifier);
}

void nm_notifier_unregister(void)
{
	unregister_netdevice_notifier(&nm_notifier);
}
