/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compiled by tests/test-driver-prototypes.sh with a toolkit's own headers, never run: holds
 * src/driver/driver_api.h equal to them. A prototype that differs is an incompatible pointer, which
 * the script makes an error.
 */
#include <stddef.h>

/* Our structures first, under names of their own. */
#define CUuuid_st own_uuid
#define CUlaunchAttribute_st own_attribute
#define CUlaunchConfig_st own_config
#define CUgraphExecUpdateResultInfo_st own_update
#define CUdevSmResource_st own_sm
#define CUdevResource_st own_resource
#include "driver/driver_api.h"
#undef CUuuid_st
#undef CUlaunchAttribute_st
#undef CUlaunchConfig_st
#undef CUgraphExecUpdateResultInfo_st
#undef CUdevSmResource_st
#undef CUdevResource_st

#include <cuda.h>
#include <cudaTypedefs.h>

#define SAME_CODE(name, number)                                                                    \
    _Static_assert(DRIVER_ERROR_##name == (int)CUDA_ERROR_##name, #name);
#define SAME_CONSTANT(name, number) _Static_assert(DRIVER_##name == (int)CU_##name, #name);
#define SAME_SIZE(own, theirs) _Static_assert(sizeof(struct own) == sizeof(theirs), #own);
#define SAME_PLACE(own, theirs, member)                                                            \
    _Static_assert(offsetof(struct own, member) == offsetof(theirs, member), #own "." #member);

DRIVER_ERRORS(SAME_CODE)
DRIVER_CONSTANTS(SAME_CONSTANT)
SAME_SIZE(own_uuid, CUuuid)
SAME_SIZE(own_attribute, CUlaunchAttribute)
SAME_PLACE(own_attribute, CUlaunchAttribute, value)
SAME_SIZE(own_config, CUlaunchConfig)
SAME_PLACE(own_config, CUlaunchConfig, blockDimX)
SAME_PLACE(own_config, CUlaunchConfig, sharedMemBytes)
SAME_PLACE(own_config, CUlaunchConfig, hStream)
SAME_PLACE(own_config, CUlaunchConfig, attrs)
SAME_PLACE(own_config, CUlaunchConfig, numAttrs)
SAME_SIZE(own_update, CUgraphExecUpdateResultInfo)
SAME_PLACE(own_update, CUgraphExecUpdateResultInfo, errorNode)
SAME_PLACE(own_update, CUgraphExecUpdateResultInfo, errorFromNode)
SAME_SIZE(own_sm, CUdevSmResource)
SAME_PLACE(own_sm, CUdevSmResource, minSmPartitionSize)
SAME_PLACE(own_sm, CUdevSmResource, smCoscheduledAlignment)
SAME_SIZE(own_resource, CUdevResource)
SAME_PLACE(own_resource, CUdevResource, sm)
_Static_assert(sizeof(driver_address) == sizeof(CUdeviceptr), "driver_address");
_Static_assert((size_t)DRIVER_STREAM_LEGACY == (size_t)CU_STREAM_LEGACY, "legacy");
_Static_assert((size_t)DRIVER_STREAM_PER_THREAD == (size_t)CU_STREAM_PER_THREAD, "per thread");

/* The tables once more, now with the vendor's structures; its typedefs have the version in their
 * names, so that versions are held equal too. */
#define SAME_PROTOTYPE(symbol, base, version, parameters)                                          \
    {                                                                                              \
        unsigned(*own) parameters = NULL;                                                          \
        PFN_##base##_v##version theirs = own;                                                      \
        (void)theirs;                                                                              \
    }

void check_prototypes(void);

void check_prototypes(void) {
    DRIVER_REQUIRED(SAME_PROTOTYPE)
    DRIVER_OPTIONAL(SAME_PROTOTYPE)
}
