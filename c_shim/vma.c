// SPDX-License-Identifier: GPL-2.0
/*
 * A region mapped into a program.  Pages are handed out by fault, because
 * queues come and go while the mapping stays.  The mapping pins the open file,
 * and the file its region: no count of our own is needed.
 */
#include <linux/mm.h>
#include <linux/vmalloc.h>

#include "nm_shim.h"

static vm_fault_t nm_vma_fault(struct vm_fault *vmf)
{
	void *addr = nm_rs_region_page(vmf->vma->vm_private_data, vmf->pgoff);

	if (!addr)
		return VM_FAULT_SIGBUS;
	vmf->page = vmalloc_to_page(addr);
	get_page(vmf->page);
	return 0;
}

static const struct vm_operations_struct nm_vm_ops = {
	.fault = nm_vma_fault,
};

int nm_vma_init(struct vm_area_struct *vma, const void *region, u64 pages)
{
	if (vma->vm_pgoff >= pages || vma_pages(vma) > pages - vma->vm_pgoff)
		return -EINVAL;
	vm_flags_set(vma, VM_DONTEXPAND | VM_DONTDUMP);
	vma->vm_private_data = (void *)region;
	vma->vm_ops = &nm_vm_ops;
	return 0;
}
