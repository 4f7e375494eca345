/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parameters that a kernel takes, as its cubin tells them.
 *
 * A cubin is an ELF file in which each kernel has a section .nv.info.<kernel>. That is a run of
 * attributes, little-endian, each beginning with a byte for its format and one for what it is:
 *
 *     format 1 (NVAL), 2 (BVAL), 3 (HVAL): two bytes of value
 *     format 4 (SVAL): two bytes of length, then so many bytes
 *
 *     0x17 KPARAM_INFO     SVAL 12: index (4), ordinal (2), offset (2), bits (4), of which the
 * upper 14 are the size 0x45 KPARAM_INFO_V2  SVAL 12: index (4), ordinal (2), offset (2), size (2),
 * alignment (1), space (1); where parameters take more than 4 KiB in all 0x0a PARAM_CBANK     SVAL
 * 8: symbol (4), offset in the constant bank (2), bytes of all (2) 0x19 CBANK_PARAM_SIZE HVAL:
 * bytes of all
 *
 * NVIDIA names these attributes and their fields in the output of `cuobjdump --dump-elf`; the
 * format itself is not documented. The text of cuobjdump 13.5 was laid beside the bytes of cubins
 * for sm_75 to sm_120, and tests/test_kernel_params.c holds for NVRTC 11.7 to 13.2. What nvJitLink
 * makes of PTX and LTO-IR has the same attributes.
 */
#ifndef CUBBY_ENGINE_KERNEL_PARAMS_H
#define CUBBY_ENGINE_KERNEL_PARAMS_H

#include <stddef.h>
#include <stdint.h>

#include <cubby/error.h>

/* Bytes of all parameters together: what CUDA allows since 12.1. */
#define KERNEL_PARAM_BYTES_MAX 32764

struct kernel_param {
    uint32_t offset; /* in bytes, from the first parameter */
    uint32_t size;   /* in bytes */
};

/* Released by kernel_params_free(). */
struct kernel_params {
    struct kernel_param *items; /* in order, owned */
    size_t count;
    uint32_t bytes; /* from the first byte of the first to the last of the last */
};

/*
 * Reads the parameters of a kernel, which is named as in the cubin: its lowered name.
 * Every byte of the cubin may be anything.
 * Returns 0; CORRUPT where it is no sound cubin; NOT_FOUND where it has no such kernel; NO_MEMORY.
 */
int kernel_params_read(const void *cubin, size_t size, const char *kernel,
                       struct kernel_params *ret_params, struct cubby_error *error);

void kernel_params_free(struct kernel_params *params);

#endif
