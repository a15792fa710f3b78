// SPDX-License-Identifier: GPL-2.0
/*
 * Memory of a program as a run of pages: pinned, so that it stays where it is
 * whatever the program does, counted against the user's RLIMIT_MEMLOCK, and
 * mapped linearly for the kernel.
 */
#include <linux/mm.h>
#include <linux/skbuff.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "nm_shim.h"

struct nm_pin {
	struct page **page;
	u32 pages;		/* pinned so far */
	void *addr;
	struct mmpin account;
};

void nm_pin_free(struct nm_pin *pin)
{
	vunmap(pin->addr);
	/* the program and the NIC have written to them */
	if (pin->pages)
		unpin_user_pages_dirty_lock(pin->page, pin->pages, true);
	mm_unaccount_pinned_pages(&pin->account);
	kvfree(pin->page);
	kfree(pin);
}

static int nm_pin_all(struct nm_pin *pin, u64 user, u32 pages)
{
	if (mm_account_pinned_pages(&pin->account, (size_t)pages << PAGE_SHIFT))
		return -ENOMEM;
	pin->page = kvcalloc(pages, sizeof(*pin->page),
			     GFP_KERNEL_ACCOUNT | __GFP_RETRY_MAYFAIL | __GFP_NOWARN);
	if (!pin->page)
		return -ENOMEM;
	while (pin->pages < pages) {
		u32 left = min(pages - pin->pages, 16384U);
		int n = pin_user_pages_fast(user + ((u64)pin->pages << PAGE_SHIFT), left,
					    FOLL_WRITE | FOLL_LONGTERM, pin->page + pin->pages);

		if (n <= 0)
			return n ?: -EFAULT;
		pin->pages += n;
		cond_resched();
	}
	pin->addr = vmap(pin->page, pages, VM_MAP, PAGE_KERNEL);
	return pin->addr ? 0 : -ENOMEM;
}

int nm_pin_new(u64 user, u32 pages, struct nm_pin **out)
{
	struct nm_pin *pin = kzalloc(sizeof(*pin), GFP_KERNEL_ACCOUNT);
	int ret;

	if (!pin)
		return -ENOMEM;
	ret = nm_pin_all(pin, user, pages);
	if (ret) {
		nm_pin_free(pin);
		return ret;
	}
	*out = pin;
	return 0;
}

void *nm_pin_addr(const struct nm_pin *pin)
{
	return pin->addr;
}

bool nm_pin_same(const struct nm_pin *a, const struct nm_pin *b)
{
	return a->pages == b->pages &&
	       !memcmp(a->page, b->page, a->pages * sizeof(*a->page));
}
