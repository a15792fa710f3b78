// SPDX-License-Identifier: GPL-2.0
/* What is bound to whom, in words: /sys/kernel/debug/netmap, for root alone. */
#include <linux/debugfs.h>
#include <linux/seq_file.h>

#include "nm_shim.h"

static int nm_rings_show(struct seq_file *m, void *unused)
{
	return nm_rs_show_rings(m);
}
DEFINE_SHOW_ATTRIBUTE(nm_rings);

static int nm_regions_show(struct seq_file *m, void *unused)
{
	return nm_rs_show_regions(m);
}
DEFINE_SHOW_ATTRIBUTE(nm_regions);

static struct dentry *nm_dir;

void nm_debugfs_add(void)
{
	/* without debugfs there is none, and all of this does nothing */
	nm_dir = debugfs_create_dir("netmap", NULL);
	debugfs_create_file("rings", 0400, nm_dir, NULL, &nm_rings_fops);
	debugfs_create_file("regions", 0400, nm_dir, NULL, &nm_regions_fops);
}

void nm_debugfs_remove(void)
{
	debugfs_remove(nm_dir);
}
