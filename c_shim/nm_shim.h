/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Every C function Rust may call (nm_*) and every Rust function C may call
 * (nm_rs_*).  Fixed-width integers and opaque pointers only; no policy: each
 * function is one static inline, macro or field access of the kernel that has
 * no Rust face.  rust/ffi.rs is generated from this file ('make bindings').
 */
#ifndef _NM_SHIM_H_
#define _NM_SHIM_H_

#include <linux/types.h>
#include "netmap_nic.h"

struct pid;
struct seq_file;
struct vm_area_struct;
struct nm_pin;

/* netdev.c: interfaces of the caller's network namespace */
struct net_device *nm_netdev_get(const char *name);
struct net_device *nm_netdev_next(u32 after_ifindex);
void nm_netdev_hold(struct net_device *dev);
void nm_netdev_put(struct net_device *dev);
u32 nm_netdev_ifindex(const struct net_device *dev);
void nm_netdev_name(const struct net_device *dev, char *name16);
bool nm_netdev_registered(const struct net_device *dev);
bool nm_netdev_running(const struct net_device *dev);
bool nm_netdev_carrier(const struct net_device *dev);
bool nm_netdev_in_caller_netns(const struct net_device *dev);
bool nm_netdev_may_admin(const struct net_device *dev);
u64 nm_netns_cookie(void);
void nm_rtnl_lock(void);
void nm_rtnl_unlock(void);
int nm_notifier_register(void);
void nm_notifier_unregister(void);

/* nic.c: tables of hooked drivers; a table found holds its module */
const struct nm_nic_ops *nm_nic_get(struct net_device *dev);
void nm_nic_put(const struct nm_nic_ops *ops);
void nm_nic_write_tail(void __iomem *tail, u32 value);

/* mem.c: runs of zeroed pages, mapped linearly for the kernel; their DMA */
void *nm_chunk_alloc(u32 pages);
void nm_chunk_free(void *chunk);
struct device *nm_device_get(struct device *dev);
void nm_device_put(struct device *dev);
bool nm_chunk_contiguous(void *chunk, u32 units, u32 order);
int nm_dma_map(struct device *dev, void *chunk, u32 units, u32 order, u64 *addr);
void nm_dma_unmap(struct device *dev, const u64 *addr, u32 units, u32 order);
bool nm_dma_needs_sync(struct device *dev, const u64 *addr, u32 units);
void nm_dma_sync_for_cpu(struct device *dev, u64 addr, u32 len);
void nm_dma_sync_for_device(struct device *dev, u64 addr, u32 len);

/* pin.c: a program's own memory; as good as a chunk, which it outlives */
int nm_pin_new(u64 user, u32 pages, struct nm_pin **out);
void nm_pin_free(struct nm_pin *pin);
void *nm_pin_addr(const struct nm_pin *pin);
bool nm_pin_same(const struct nm_pin *a, const struct nm_pin *b);

/* vma.c: a region as a mapping; pages come one by one, by fault */
int nm_vma_init(struct vm_area_struct *vma, const void *region, u64 pages);

/* skb.c: frames from user space into the stack */
/**
 * struct nm_frag - a piece of a frame in a netmap buffer
 * @data: kernel address of the bytes
 * @len: number of bytes
 * @more: the frame goes on in the next piece
 */
struct nm_frag {
	const void *data;
	u32 len;
	u32 more;
};

u32 nm_skb_receive(struct net_device *dev, u32 queue, const struct nm_frag *frag, u32 n);

/* xmit.c: frames the kernel sends; a spinlock for any context */
void nm_lock_init(void *lock);
unsigned long nm_lock(void *lock);
void nm_unlock(void *lock, unsigned long flags);
struct net_device *nm_skb_dev(const struct sk_buff *skb);
void nm_netdev_tx_dropped(struct net_device *dev, u32 frames);
/**
 * nm_skb_plain() - frames as they go over the wire
 * @skb: taken over
 * @lost: how many of its frames could not be made
 *
 * Segmented, checksums finished, VLAN tag in the frame; without socket, route or
 * interface.  Any context.  Return: frames linked by nm_skb_next(), or NULL.
 */
struct sk_buff *nm_skb_plain(struct sk_buff *skb, u32 *lost);
struct sk_buff *nm_skb_next(const struct sk_buff *skb);
void nm_skb_set_next(struct sk_buff *skb, struct sk_buff *next);
u32 nm_skb_len(const struct sk_buff *skb);
int nm_skb_copy(const struct sk_buff *skb, u32 offset, void *to, u32 len);
void nm_skb_free(struct sk_buff *skb, bool dropped);

/* trace.c: tracepoints; cheap while nobody listens */
void nm_trace_attach(const struct net_device *dev, u32 kind, u32 ring);
void nm_trace_detach(const struct net_device *dev, u32 kind, u32 ring, int error);
void nm_trace_sync(u32 ifindex, u32 kind, u32 ring, u32 head, u32 cur, u32 tail, u32 packets);
void nm_trace_reinit(u32 ifindex, u32 kind, u32 ring, u32 head, u32 cur, u32 hwcur, u32 hwtail);

/* eventfd.c: what a kernel loop waits for and signals; words of its program */
struct eventfd_ctx;
struct poll_table_struct;
void *nm_sleeper_new(void);
void nm_sleeper_free(void *sleeper);
struct poll_table_struct *nm_sleeper_table(void *sleeper);
int nm_sleeper_error(const void *sleeper);
int nm_sleeper_eventfd(void *sleeper, int fd);
bool nm_sleeper_sleep(void *sleeper, u64 usec);
bool nm_yield(void);
int nm_eventfd_get(int fd, struct eventfd_ctx **ctx);
void nm_eventfd_put(struct eventfd_ctx *ctx);
void nm_eventfd_signal(struct eventfd_ctx *ctx);
int nm_user_get(unsigned long addr, u32 *word);
int nm_user_put(unsigned long addr, u32 word);

/* debugfs.c: listings in words */
void nm_debugfs_add(void);
void nm_debugfs_remove(void);

/* os.c: the rest */
extern struct module __this_module;
void nm_write_barrier(void);
void nm_read_barrier(void);
void nm_full_barrier(void);
void nm_now(long long *sec, long long *usec);
struct pid *nm_current_tgid(void);
void nm_pid_put(struct pid *pid);
u32 nm_current_uid(void);
void nm_current_comm(char *comm16);
/* as the caller's namespaces have it: 0 and the overflow uid if they do not */
u32 nm_pid_seen(struct pid *pid);
u32 nm_uid_seen(u32 uid);
bool nm_in_compat(void);
void nm_warn_compat(void);

/* Rust, called by the C files above */
void nm_rs_netdev_gone(struct net_device *dev);
int nm_rs_show_rings(struct seq_file *m);
int nm_rs_show_regions(struct seq_file *m);
void *nm_rs_region_page(const void *region, u64 pgoff);

#endif /* _NM_SHIM_H_ */
