// SPDX-License-Identifier: GPL-2.0
/* Runs of zeroed pages shared with user space, and their DMA mappings. */
#include <linux/device.h>
#include <linux/dma-mapping.h>
#include <linux/vmalloc.h>

#include "nm_shim.h"

void *nm_chunk_alloc(u32 pages)
{
	/* a program that asks for more than there is hears ENOMEM, and nobody is killed for it */
	return __vmalloc((size_t)pages << PAGE_SHIFT, GFP_KERNEL_ACCOUNT | __GFP_ZERO |
						      __GFP_RETRY_MAYFAIL | __GFP_NOWARN);
}

void nm_chunk_free(void *chunk)
{
	vfree(chunk);
}

struct device *nm_device_get(struct device *dev)
{
	return get_device(dev);
}

void nm_device_put(struct device *dev)
{
	put_device(dev);
}

/* A unit is 1 << order pages, physically contiguous; it is mapped as one. */
static struct page *nm_unit(void *chunk, u32 unit, u32 order)
{
	return vmalloc_to_page(chunk + ((size_t)unit << (PAGE_SHIFT + order)));
}

bool nm_chunk_contiguous(void *chunk, u32 units, u32 order)
{
	for (u32 i = 0; i < units; i++) {
		unsigned long first = page_to_pfn(nm_unit(chunk, i, order));

		for (u32 j = 1; j < 1U << order; j++)
			if (page_to_pfn(nm_unit(chunk, (i << order) + j, 0)) != first + j)
				return false;
	}
	return true;
}

/*
 * What a program was to see was synced when its ring handed it over.  The rest of a bounce
 * buffer is older than what programs have written since, and must not come back over it.
 */
void nm_dma_unmap(struct device *dev, const u64 *addr, u32 units, u32 order)
{
	while (units--)
		dma_unmap_page_attrs(dev, addr[units], PAGE_SIZE << order, DMA_BIDIRECTIONAL,
				     DMA_ATTR_SKIP_CPU_SYNC);
}

int nm_dma_map(struct device *dev, void *chunk, u32 units, u32 order, u64 *addr)
{
	for (u32 i = 0; i < units; i++) {
		addr[i] = dma_map_page(dev, nm_unit(chunk, i, order), 0, PAGE_SIZE << order,
				       DMA_BIDIRECTIONAL);
		if (dma_mapping_error(dev, addr[i])) {
			nm_dma_unmap(dev, addr, i, order);
			return -ENOMEM;
		}
	}
	return 0;
}

bool nm_dma_needs_sync(struct device *dev, const u64 *addr, u32 units)
{
	while (units--)
		if (dma_need_sync(dev, addr[units]))
			return true;
	return false;
}

void nm_dma_sync_for_cpu(struct device *dev, u64 addr, u32 len)
{
	dma_sync_single_for_cpu(dev, addr, len, DMA_BIDIRECTIONAL);
}

void nm_dma_sync_for_device(struct device *dev, u64 addr, u32 len)
{
	dma_sync_single_for_device(dev, addr, len, DMA_BIDIRECTIONAL);
}
