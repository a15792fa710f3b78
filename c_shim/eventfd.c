// SPDX-License-Identifier: GPL-2.0
/*
 * A kernel loop's sleep: until an eventfd or a ring of its file wakes it, as
 * poll() would.  And the pointers it shares with its program (CSB).
 */
#include <linux/eventfd.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/hrtimer.h>
#include <linux/poll.h>
#include <linux/rcupdate.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "nm_shim.h"

void *nm_sleeper_new(void)
{
	struct poll_wqueues *pwq = kmalloc(sizeof(*pwq), GFP_KERNEL_ACCOUNT);

	if (pwq)
		poll_initwait(pwq);
	return pwq;
}

void nm_sleeper_free(void *sleeper)
{
	poll_freewait(sleeper);
	kfree(sleeper);
}

struct poll_table_struct *nm_sleeper_table(void *sleeper)
{
	struct poll_wqueues *pwq = sleeper;

	return &pwq->pt;
}

/* Did joining a wait queue fail for want of memory? */
int nm_sleeper_error(const void *sleeper)
{
	const struct poll_wqueues *pwq = sleeper;

	return pwq->error;
}

int nm_sleeper_eventfd(void *sleeper, int fd)
{
	struct poll_wqueues *pwq = sleeper;
	struct file *file = eventfd_fget(fd);

	if (IS_ERR(file))
		return PTR_ERR(file);
	vfs_poll(file, &pwq->pt);
	fput(file); /* the wait queue's entry has its own reference */
	return pwq->error;
}

/* Returns whether a signal is pending. */
bool nm_sleeper_sleep(void *sleeper, u64 usec)
{
	struct poll_wqueues *pwq = sleeper;
	ktime_t time = ns_to_ktime(usec * NSEC_PER_USEC);

	set_current_state(TASK_INTERRUPTIBLE);
	if (!pwq->triggered)
		schedule_hrtimeout_range(&time, current->timer_slack_ns, HRTIMER_MODE_REL);
	__set_current_state(TASK_RUNNING);
	/* what wakes from here on is looked at in the next round */
	smp_store_mb(pwq->triggered, 0);
	return signal_pending(current);
}

/* Returns whether a signal is pending. */
bool nm_yield(void)
{
	/* RCU tasks sees no other pause of a loop that never sleeps */
	cond_resched_tasks_rcu_qs();
	return signal_pending(current);
}

int nm_eventfd_get(int fd, struct eventfd_ctx **ctx)
{
	*ctx = eventfd_ctx_fdget(fd);
	return PTR_ERR_OR_ZERO(*ctx);
}

void nm_eventfd_put(struct eventfd_ctx *ctx)
{
	eventfd_ctx_put(ctx);
}

void nm_eventfd_signal(struct eventfd_ctx *ctx)
{
	eventfd_signal(ctx);
}

/* A word of the calling program. */
int nm_user_get(unsigned long addr, u32 *word)
{
	return get_user(*word, (const u32 __user *)addr);
}

int nm_user_put(unsigned long addr, u32 word)
{
	return put_user(word, (u32 __user *)addr);
}
