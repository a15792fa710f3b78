// SPDX-License-Identifier: GPL-2.0
/* The clock, and who is calling. */
#include <linux/compat.h>
#include <linux/cred.h>
#include <linux/module.h>
#include <linux/pid.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/string.h>
#include <linux/timekeeping.h>
#include <linux/uidgid.h>

#include "nm_shim.h"

void nm_write_barrier(void)
{
	smp_wmb(); /* the caller says what it orders */
}

void nm_read_barrier(void)
{
	smp_rmb(); /* the caller says what it orders */
}

void nm_full_barrier(void)
{
	smp_mb(); /* the caller says what it orders */
}

void nm_now(long long *sec, long long *usec)
{
	struct timespec64 now;

	ktime_get_real_ts64(&now);
	*sec = now.tv_sec;
	*usec = now.tv_nsec / NSEC_PER_USEC;
}

struct pid *nm_current_tgid(void)
{
	return get_task_pid(current, PIDTYPE_TGID);
}

void nm_pid_put(struct pid *pid)
{
	put_pid(pid);
}

u32 nm_pid_seen(struct pid *pid)
{
	return pid_vnr(pid);
}

u32 nm_current_uid(void)
{
	return __kuid_val(current_euid());
}

u32 nm_uid_seen(u32 uid)
{
	return from_kuid_munged(current_user_ns(), KUIDT_INIT(uid));
}

void nm_current_comm(char *comm16)
{
	get_task_comm(*(char (*)[TASK_COMM_LEN])comm16, current);
}

bool nm_in_compat(void)
{
	return in_compat_syscall();
}

void nm_warn_compat(void)
{
	pr_warn_ratelimited("netmap: %s (%d): 32-bit programs are not supported: build it for 64 bit\n",
			    current->comm, task_tgid_nr(current));
}
