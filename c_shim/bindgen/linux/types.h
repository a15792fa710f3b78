/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What bindgen sees in place of the kernel's <linux/types.h>.  The shim's
 * headers use nothing else of it, so their bindings depend on no kernel
 * configuration and can be committed (rust/ffi.rs, made by 'make bindings').
 */
#ifndef _NM_BINDGEN_TYPES_H_
#define _NM_BINDGEN_TYPES_H_

#include <stdbool.h>

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

#define __iomem

#endif /* _NM_BINDGEN_TYPES_H_ */
