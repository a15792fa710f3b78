// SPDX-License-Identifier: GPL-2.0
/*
 * Finding the table of a hooked driver.  symbol_get() keeps the driver's module
 * from being unloaded, and is dropped with the port's last user, so that the
 * two modules depend on each other only while a queue is out.
 */
#include <linux/io.h>
#include <linux/module.h>

#include "nm_shim.h"

static void nm_nic_check_abi(const struct nm_nic_ops *ops)
{
	pr_warn_once("netmap: %s speaks driver interface %u (%u bytes), this module %u (%zu bytes): build and load both from one source\n",
		     module_name(ops->owner), ops->abi, ops->size, NM_NIC_ABI,
		     sizeof(struct nm_nic_ops));
}

const struct nm_nic_ops *nm_nic_get(struct net_device *dev)
{
	const struct nm_nic_ops *ops = symbol_get(ixgbe_netmap_ops);

	if (!ops)
		return NULL;
	if (ops->abi != NM_NIC_ABI || ops->size != sizeof(*ops))
		nm_nic_check_abi(ops);
	else if (ops->match(dev))
		return ops;
	symbol_put(ixgbe_netmap_ops);
	return NULL;
}

void nm_nic_put(const struct nm_nic_ops *ops)
{
	/* as symbol_put() does; the table is data, which symbol_put_addr() takes for a bug */
	module_put(ops->owner);
}

void nm_nic_write_tail(void __iomem *tail, u32 value)
{
	writel(value, tail);
}
