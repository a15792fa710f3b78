// SPDX-License-Identifier: GPL-2.0
/*
 * Asks the driver of an interface for SR-IOV, as writing to sriov_numvfs does.
 *
 * The lab's card has no SR-IOV capability, so that file is not there; what the driver
 * answers while queues are with a program can be seen all the same.  Loading the module
 * asks and always fails: with the driver's errno, or with ECANCELED when it said yes.
 */
#include <linux/device.h>
#include <linux/module.h>
#include <linux/netdevice.h>
#include <linux/pci.h>

static char *dev = "eth3";
module_param(dev, charp, 0);
MODULE_PARM_DESC(dev, "interface");

static int num;
module_param(num, int, 0);
MODULE_PARM_DESC(num, "virtual functions");

static int __init nm_sriov_init(void)
{
	struct net_device *netdev = dev_get_by_name(&init_net, dev);
	struct pci_dev *pdev;
	int err = -EOPNOTSUPP;

	if (!netdev)
		return -ENODEV;
	if (netdev->dev.parent && dev_is_pci(netdev->dev.parent)) {
		pdev = pci_dev_get(to_pci_dev(netdev->dev.parent));
		dev_put(netdev);
		/* as the file's writer holds it */
		device_lock(&pdev->dev);
		if (pdev->driver && pdev->driver->sriov_configure)
			err = pdev->driver->sriov_configure(pdev, num);
		device_unlock(&pdev->dev);
		pci_dev_put(pdev);
	} else {
		dev_put(netdev);
	}
	return err < 0 ? err : -ECANCELED;
}
module_init(nm_sriov_init);

MODULE_DESCRIPTION("Test: ask a driver for SR-IOV");
MODULE_LICENSE("GPL");
