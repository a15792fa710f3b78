// SPDX-License-Identifier: GPL-2.0
/* Runs of zeroed pages shared with user space, and their DMA mappings. */
#include <linux/device.h>
#include <linux/dma-mapping.h>
#include <linux/vmalloc.h>

#include "nm_shim.h"

void *nm_chunk_alloc(u32 pages)
{
	return __vmalloc((size_t)pages << PAGE_SHIFT, GFP_KERNEL_ACCOUNT | __GFP_ZERO);
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

void nm_dma_unmap(struct device *dev, const u64 *addr, u32 pages)
{
	while (pages--)
		dma_unmap_page(dev, addr[pages], PAGE_SIZE, DMA_BIDIRECTIONAL);
}

int nm_dma_map(struct device *dev, void *chunk, u32 pages, u64 *addr)
{
	for (u32 i = 0; i < pages; i++) {
		struct page *page = vmalloc_to_page(chunk + ((size_t)i << PAGE_SHIFT));

		addr[i] = dma_map_page(dev, page, 0, PAGE_SIZE, DMA_BIDIRECTIONAL);
		if (dma_mapping_error(dev, addr[i])) {
			nm_dma_unmap(dev, addr, i);
			return -ENOMEM;
		}
	}
	return 0;
}

bool nm_dma_needs_sync(struct device *dev, const u64 *addr, u32 pages)
{
	while (pages--)
		if (dma_need_sync(dev, addr[pages]))
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
