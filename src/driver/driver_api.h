/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The part of the CUDA driver's interface that running kernels needs, with prototypes and constants
 * of its own, so that building needs nothing of CUDA. Source: NVIDIA's CUDA driver API
 * documentation. Handles are pointers to the vendor's tags, and enumerations are unsigned, which is
 * what they are to the compiler: tests/driver_prototypes.c holds all of it equal to cuda.h.
 */
#ifndef CUBBY_DRIVER_DRIVER_API_H
#define CUBBY_DRIVER_DRIVER_API_H

#include <stddef.h>
#include <stdint.h>

/* The results that are told apart or given by tests: name without CUDA_ERROR_, number. */
#define DRIVER_ERRORS(X)                                                                           \
    X(INVALID_VALUE, 1)                                                                            \
    X(OUT_OF_MEMORY, 2)                                                                            \
    X(NOT_INITIALIZED, 3)                                                                          \
    X(DEINITIALIZED, 4)                                                                            \
    X(STUB_LIBRARY, 34)                                                                            \
    X(CALL_REQUIRES_NEWER_DRIVER, 36)                                                              \
    X(DEVICE_UNAVAILABLE, 46)                                                                      \
    X(NO_DEVICE, 100)                                                                              \
    X(INVALID_DEVICE, 101)                                                                         \
    X(INVALID_IMAGE, 200)                                                                          \
    X(INVALID_CONTEXT, 201)                                                                        \
    X(NO_BINARY_FOR_GPU, 209)                                                                      \
    X(ECC_UNCORRECTABLE, 214)                                                                      \
    X(INVALID_PTX, 218)                                                                            \
    X(JIT_COMPILER_NOT_FOUND, 221)                                                                 \
    X(UNSUPPORTED_PTX_VERSION, 222)                                                                \
    X(INVALID_HANDLE, 400)                                                                         \
    X(ILLEGAL_STATE, 401)                                                                          \
    X(NOT_FOUND, 500)                                                                              \
    X(NOT_READY, 600)                                                                              \
    X(ILLEGAL_ADDRESS, 700)                                                                        \
    X(LAUNCH_OUT_OF_RESOURCES, 701)                                                                \
    X(LAUNCH_TIMEOUT, 702)                                                                         \
    X(CONTEXT_IS_DESTROYED, 709)                                                                   \
    X(ASSERT, 710)                                                                                 \
    X(ILLEGAL_INSTRUCTION, 715)                                                                    \
    X(MISALIGNED_ADDRESS, 716)                                                                     \
    X(LAUNCH_FAILED, 719)                                                                          \
    X(NOT_PERMITTED, 800)                                                                          \
    X(NOT_SUPPORTED, 801)                                                                          \
    X(SYSTEM_NOT_READY, 802)                                                                       \
    X(SYSTEM_DRIVER_MISMATCH, 803)                                                                 \
    X(COMPAT_NOT_SUPPORTED_ON_DEVICE, 804)                                                         \
    X(STREAM_CAPTURE_UNSUPPORTED, 900)                                                             \
    X(STREAM_CAPTURE_INVALIDATED, 901)                                                             \
    X(STREAM_CAPTURE_MERGE, 902)                                                                   \
    X(STREAM_CAPTURE_UNMATCHED, 903)                                                               \
    X(STREAM_CAPTURE_UNJOINED, 904)                                                                \
    X(STREAM_CAPTURE_ISOLATION, 905)                                                               \
    X(STREAM_CAPTURE_IMPLICIT, 906)                                                                \
    X(CAPTURED_EVENT, 907)                                                                         \
    X(STREAM_CAPTURE_WRONG_THREAD, 908)                                                            \
    X(GRAPH_EXEC_UPDATE_FAILURE, 910)                                                              \
    X(INVALID_RESOURCE_TYPE, 914)                                                                  \
    X(INVALID_RESOURCE_CONFIGURATION, 915)                                                         \
    X(UNKNOWN, 999)

#define DRIVER_ERROR_MEMBER(name, number) DRIVER_ERROR_##name = number,

enum driver_error { DRIVER_SUCCESS = 0, DRIVER_ERRORS(DRIVER_ERROR_MEMBER) };

/* Other constants: name without CU_, value. */
#define DRIVER_CONSTANTS(X)                                                                        \
    X(DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK, 1)                                                   \
    X(DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_X, 2)                                                         \
    X(DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Y, 3)                                                         \
    X(DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Z, 4)                                                         \
    X(DEVICE_ATTRIBUTE_MAX_GRID_DIM_X, 5)                                                          \
    X(DEVICE_ATTRIBUTE_MAX_GRID_DIM_Y, 6)                                                          \
    X(DEVICE_ATTRIBUTE_MAX_GRID_DIM_Z, 7)                                                          \
    X(DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK, 8)                                             \
    X(DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT, 16)                                                   \
    X(DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, 75)                                               \
    X(DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, 76)                                               \
    X(DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN, 97)                                      \
    X(DEVICE_ATTRIBUTE_MEMORY_POOLS_SUPPORTED, 115)                                                \
    X(FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK, 0)                                                     \
    X(FUNC_ATTRIBUTE_SHARED_SIZE_BYTES, 1)                                                         \
    X(FUNC_ATTRIBUTE_NUM_REGS, 4)                                                                  \
    X(FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, 8)                                             \
    X(STREAM_DEFAULT, 0)                                                                           \
    X(STREAM_NON_BLOCKING, 1)                                                                      \
    X(EVENT_DEFAULT, 0)                                                                            \
    X(EVENT_BLOCKING_SYNC, 1)                                                                      \
    X(EVENT_DISABLE_TIMING, 2)                                                                     \
    X(STREAM_CAPTURE_STATUS_NONE, 0)                                                               \
    X(STREAM_CAPTURE_STATUS_ACTIVE, 1)                                                             \
    X(STREAM_CAPTURE_STATUS_INVALIDATED, 2)                                                        \
    X(STREAM_CAPTURE_MODE_GLOBAL, 0)                                                               \
    X(STREAM_CAPTURE_MODE_THREAD_LOCAL, 1)                                                         \
    X(STREAM_CAPTURE_MODE_RELAXED, 2)                                                              \
    X(GRAPH_NODE_TYPE_KERNEL, 0)                                                                   \
    X(GRAPH_NODE_TYPE_MEMCPY, 1)                                                                   \
    X(GRAPH_NODE_TYPE_MEMSET, 2)                                                                   \
    X(GRAPH_NODE_TYPE_HOST, 3)                                                                     \
    X(GRAPH_NODE_TYPE_GRAPH, 4)                                                                    \
    X(GRAPH_NODE_TYPE_EMPTY, 5)                                                                    \
    X(GRAPH_NODE_TYPE_MEM_ALLOC, 10)                                                               \
    X(GRAPH_NODE_TYPE_MEM_FREE, 11)                                                                \
    X(GRAPH_EXEC_UPDATE_SUCCESS, 0)                                                                \
    X(GRAPH_EXEC_UPDATE_ERROR, 1)                                                                  \
    X(GRAPH_EXEC_UPDATE_ERROR_TOPOLOGY_CHANGED, 2)                                                 \
    X(GRAPH_EXEC_UPDATE_ERROR_NODE_TYPE_CHANGED, 3)                                                \
    X(GRAPH_EXEC_UPDATE_ERROR_FUNCTION_CHANGED, 4)                                                 \
    X(GRAPH_EXEC_UPDATE_ERROR_PARAMETERS_CHANGED, 5)                                               \
    X(LAUNCH_ATTRIBUTE_IGNORE, 0)                                                                  \
    X(LAUNCH_ATTRIBUTE_COOPERATIVE, 2)                                                             \
    X(DEV_RESOURCE_TYPE_SM, 1)                                                                     \
    X(GREEN_CTX_DEFAULT_STREAM, 1)                                                                 \
    X(DEV_SM_RESOURCE_SPLIT_IGNORE_SM_COSCHEDULING, 1)

#define DRIVER_CONSTANT_MEMBER(name, number) DRIVER_##name = number,

enum driver_constant { DRIVER_CONSTANTS(DRIVER_CONSTANT_MEMBER) };

/* The stream handles that name no stream of their own; the legacy stream is also NULL. */
#define DRIVER_STREAM_LEGACY ((struct CUstream_st *)0x1)
#define DRIVER_STREAM_PER_THREAD ((struct CUstream_st *)0x2)

typedef unsigned long long driver_address; /* CUdeviceptr */

/* Where cuda.h was included, as only a test does, its own definitions are in use. */
#ifndef __cuda_cuda_h__
struct CUuuid_st {
    char bytes[16];
};

struct CUlaunchAttribute_st {
    unsigned id;
    char pad[4];
    union {
        char pad[64];
        int cooperative;
    } value;
};

struct CUlaunchConfig_st {
    unsigned gridDimX, gridDimY, gridDimZ;
    unsigned blockDimX, blockDimY, blockDimZ;
    unsigned sharedMemBytes;
    struct CUstream_st *hStream;
    struct CUlaunchAttribute_st *attrs;
    unsigned numAttrs;
};

struct CUgraphExecUpdateResultInfo_st {
    unsigned result;
    struct CUgraphNode_st *errorNode;
    struct CUgraphNode_st *errorFromNode;
};

struct CUdevSmResource_st {
    unsigned smCount;
    unsigned minSmPartitionSize;
    unsigned smCoscheduledAlignment;
};

struct CUdevResource_st {
    unsigned type;
    unsigned char internal[92];
    union {
        struct CUdevSmResource_st sm;
        unsigned char oversize[48];
    };
};
#endif

/*
 * What any driver has that runs the toolkits which Cubby knows, those of CUDA 11 and newer: its
 * exported name, the name and version by which cuGetProcAddress knows it, its parameters. Each
 * returns an enum driver_error.
 */
#define DRIVER_REQUIRED(X)                                                                         \
    X(cuInit, cuInit, 2000, (unsigned))                                                            \
    X(cuDriverGetVersion, cuDriverGetVersion, 2020, (int *))                                       \
    X(cuDeviceGetCount, cuDeviceGetCount, 2000, (int *))                                           \
    X(cuDeviceGet, cuDeviceGet, 2000, (int *, int))                                                \
    X(cuDeviceGetName, cuDeviceGetName, 2000, (char *, int, int))                                  \
    X(cuDeviceGetAttribute, cuDeviceGetAttribute, 2000, (int *, unsigned, int))                    \
    X(cuDeviceGetUuid, cuDeviceGetUuid, 9020, (struct CUuuid_st *, int))                           \
    X(cuDeviceTotalMem_v2, cuDeviceTotalMem, 3020, (size_t *, int))                                \
    X(cuGetErrorName, cuGetErrorName, 6000, (unsigned, const char **))                             \
    X(cuDevicePrimaryCtxRetain, cuDevicePrimaryCtxRetain, 7000, (struct CUctx_st **, int))         \
    X(cuDevicePrimaryCtxRelease_v2, cuDevicePrimaryCtxRelease, 11000, (int))                       \
    X(cuCtxGetCurrent, cuCtxGetCurrent, 4000, (struct CUctx_st **))                                \
    X(cuCtxSetCurrent, cuCtxSetCurrent, 4000, (struct CUctx_st *))                                 \
    X(cuCtxPushCurrent_v2, cuCtxPushCurrent, 4000, (struct CUctx_st *))                            \
    X(cuCtxPopCurrent_v2, cuCtxPopCurrent, 4000, (struct CUctx_st **))                             \
    X(cuCtxGetDevice, cuCtxGetDevice, 2000, (int *))                                               \
    X(cuCtxSynchronize, cuCtxSynchronize, 2000, (void))                                            \
    X(cuCtxGetStreamPriorityRange, cuCtxGetStreamPriorityRange, 5050, (int *, int *))              \
    X(cuMemAlloc_v2, cuMemAlloc, 3020, (driver_address *, size_t))                                 \
    X(cuMemFree_v2, cuMemFree, 3020, (driver_address))                                             \
    X(cuMemGetInfo_v2, cuMemGetInfo, 3020, (size_t *, size_t *))                                   \
    X(cuMemcpyHtoD_v2, cuMemcpyHtoD, 3020, (driver_address, const void *, size_t))                 \
    X(cuMemcpyDtoH_v2, cuMemcpyDtoH, 3020, (void *, driver_address, size_t))                       \
    X(cuMemcpyHtoDAsync_v2, cuMemcpyHtoDAsync, 3020,                                               \
      (driver_address, const void *, size_t, struct CUstream_st *))                                \
    X(cuMemcpyDtoHAsync_v2, cuMemcpyDtoHAsync, 3020,                                               \
      (void *, driver_address, size_t, struct CUstream_st *))                                      \
    X(cuMemcpyDtoDAsync_v2, cuMemcpyDtoDAsync, 3020,                                               \
      (driver_address, driver_address, size_t, struct CUstream_st *))                              \
    X(cuMemsetD8_v2, cuMemsetD8, 3020, (driver_address, unsigned char, size_t))                    \
    X(cuMemsetD8Async, cuMemsetD8Async, 3020,                                                      \
      (driver_address, unsigned char, size_t, struct CUstream_st *))                               \
    X(cuModuleLoadData, cuModuleLoadData, 2000, (struct CUmod_st **, const void *))                \
    X(cuModuleUnload, cuModuleUnload, 2000, (struct CUmod_st *))                                   \
    X(cuModuleGetFunction, cuModuleGetFunction, 2000,                                              \
      (struct CUfunc_st **, struct CUmod_st *, const char *))                                      \
    X(cuFuncGetAttribute, cuFuncGetAttribute, 2020, (int *, unsigned, struct CUfunc_st *))         \
    X(cuFuncSetAttribute, cuFuncSetAttribute, 9000, (struct CUfunc_st *, unsigned, int))           \
    X(cuStreamCreateWithPriority, cuStreamCreateWithPriority, 5050,                                \
      (struct CUstream_st **, unsigned, int))                                                      \
    X(cuStreamDestroy_v2, cuStreamDestroy, 4000, (struct CUstream_st *))                           \
    X(cuStreamSynchronize, cuStreamSynchronize, 2000, (struct CUstream_st *))                      \
    X(cuStreamQuery, cuStreamQuery, 2000, (struct CUstream_st *))                                  \
    X(cuStreamGetPriority, cuStreamGetPriority, 5050, (struct CUstream_st *, int *))               \
    X(cuStreamGetFlags, cuStreamGetFlags, 5050, (struct CUstream_st *, unsigned *))                \
    X(cuStreamGetCtx, cuStreamGetCtx, 9020, (struct CUstream_st *, struct CUctx_st **))            \
    X(cuStreamWaitEvent, cuStreamWaitEvent, 3020,                                                  \
      (struct CUstream_st *, struct CUevent_st *, unsigned))                                       \
    X(cuEventCreate, cuEventCreate, 2000, (struct CUevent_st **, unsigned))                        \
    X(cuEventDestroy_v2, cuEventDestroy, 4000, (struct CUevent_st *))                              \
    X(cuEventRecord, cuEventRecord, 2000, (struct CUevent_st *, struct CUstream_st *))             \
    X(cuEventQuery, cuEventQuery, 2000, (struct CUevent_st *))                                     \
    X(cuEventSynchronize, cuEventSynchronize, 2000, (struct CUevent_st *))                         \
    X(cuEventElapsedTime, cuEventElapsedTime, 2000,                                                \
      (float *, struct CUevent_st *, struct CUevent_st *))                                         \
    X(cuLaunchKernel, cuLaunchKernel, 4000,                                                        \
      (struct CUfunc_st *, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned,   \
       struct CUstream_st *, void **, void **))                                                    \
    X(cuLaunchHostFunc, cuLaunchHostFunc, 10000, (struct CUstream_st *, void (*)(void *), void *)) \
    X(cuStreamBeginCapture_v2, cuStreamBeginCapture, 10010, (struct CUstream_st *, unsigned))      \
    X(cuStreamEndCapture, cuStreamEndCapture, 10000, (struct CUstream_st *, struct CUgraph_st **)) \
    X(cuStreamIsCapturing, cuStreamIsCapturing, 10000, (struct CUstream_st *, unsigned *))         \
    X(cuThreadExchangeStreamCaptureMode, cuThreadExchangeStreamCaptureMode, 10010, (unsigned *))   \
    X(cuGraphLaunch, cuGraphLaunch, 10000, (struct CUgraphExec_st *, struct CUstream_st *))        \
    X(cuGraphExecUpdate, cuGraphExecUpdate, 10020,                                                 \
      (struct CUgraphExec_st *, struct CUgraph_st *, struct CUgraphNode_st **, unsigned *))        \
    X(cuGraphExecDestroy, cuGraphExecDestroy, 10000, (struct CUgraphExec_st *))                    \
    X(cuGraphDestroy, cuGraphDestroy, 10000, (struct CUgraph_st *))                                \
    X(cuGraphGetNodes, cuGraphGetNodes, 10000,                                                     \
      (struct CUgraph_st *, struct CUgraphNode_st **, size_t *))                                   \
    X(cuGraphNodeGetType, cuGraphNodeGetType, 10000, (struct CUgraphNode_st *, unsigned *))

/* What came later: NULL where the driver's own version is below the one that stands here. */
#define DRIVER_OPTIONAL(X)                                                                         \
    X(cuMemAllocAsync, cuMemAllocAsync, 11020, (driver_address *, size_t, struct CUstream_st *))   \
    X(cuMemFreeAsync, cuMemFreeAsync, 11020, (driver_address, struct CUstream_st *))               \
    X(cuStreamGetCaptureInfo_v2, cuStreamGetCaptureInfo, 11030,                                    \
      (struct CUstream_st *, unsigned *, uint64_t *, struct CUgraph_st **,                         \
       struct CUgraphNode_st *const **, size_t *))                                                 \
    X(cuDeviceGetUuid_v2, cuDeviceGetUuid, 11040, (struct CUuuid_st *, int))                       \
    X(cuGraphInstantiateWithFlags, cuGraphInstantiateWithFlags, 11040,                             \
      (struct CUgraphExec_st **, struct CUgraph_st *, unsigned long long))                         \
    X(cuLaunchKernelEx, cuLaunchKernelEx, 11060,                                                   \
      (const struct CUlaunchConfig_st *, struct CUfunc_st *, void **, void **))                    \
    X(cuLibraryLoadData, cuLibraryLoadData, 12000,                                                 \
      (struct CUlib_st **, const void *, unsigned *, void **, unsigned, unsigned *, void **,       \
       unsigned))                                                                                  \
    X(cuLibraryUnload, cuLibraryUnload, 12000, (struct CUlib_st *))                                \
    X(cuLibraryGetKernel, cuLibraryGetKernel, 12000,                                               \
      (struct CUkern_st **, struct CUlib_st *, const char *))                                      \
    X(cuKernelGetFunction, cuKernelGetFunction, 12000, (struct CUfunc_st **, struct CUkern_st *))  \
    X(cuGraphExecUpdate_v2, cuGraphExecUpdate, 12000,                                              \
      (struct CUgraphExec_st *, struct CUgraph_st *, struct CUgraphExecUpdateResultInfo_st *))     \
    X(cuDeviceGetDevResource, cuDeviceGetDevResource, 12040,                                       \
      (int, struct CUdevResource_st *, unsigned))                                                  \
    X(cuDevSmResourceSplitByCount, cuDevSmResourceSplitByCount, 12040,                             \
      (struct CUdevResource_st *, unsigned *, const struct CUdevResource_st *,                     \
       struct CUdevResource_st *, unsigned, unsigned))                                             \
    X(cuDevResourceGenerateDesc, cuDevResourceGenerateDesc, 12040,                                 \
      (struct CUdevResourceDesc_st **, struct CUdevResource_st *, unsigned))                       \
    X(cuGreenCtxCreate, cuGreenCtxCreate, 12040,                                                   \
      (struct CUgreenCtx_st **, struct CUdevResourceDesc_st *, int, unsigned))                     \
    X(cuGreenCtxDestroy, cuGreenCtxDestroy, 12040, (struct CUgreenCtx_st *))                       \
    X(cuGreenCtxGetDevResource, cuGreenCtxGetDevResource, 12040,                                   \
      (struct CUgreenCtx_st *, struct CUdevResource_st *, unsigned))                               \
    X(cuCtxFromGreenCtx, cuCtxFromGreenCtx, 12040, (struct CUctx_st **, struct CUgreenCtx_st *))   \
    X(cuGreenCtxStreamCreate, cuGreenCtxStreamCreate, 12050,                                       \
      (struct CUstream_st **, struct CUgreenCtx_st *, unsigned, int))                              \
    X(cuStreamGetCtx_v2, cuStreamGetCtx, 12050,                                                    \
      (struct CUstream_st *, struct CUctx_st **, struct CUgreenCtx_st **))                         \
    X(cuStreamGetDevice, cuStreamGetDevice, 12080, (struct CUstream_st *, int *))

#define DRIVER_TAGS(X)                                                                             \
    X(CUctx_st)                                                                                    \
    X(CUmod_st)                                                                                    \
    X(CUfunc_st)                                                                                   \
    X(CUlib_st)                                                                                    \
    X(CUkern_st)                                                                                   \
    X(CUstream_st)                                                                                 \
    X(CUevent_st)                                                                                  \
    X(CUgraph_st)                                                                                  \
    X(CUgraphNode_st)                                                                              \
    X(CUgraphExec_st)                                                                              \
    X(CUgreenCtx_st)                                                                               \
    X(CUdevResourceDesc_st)

/* Declared here, so that prototypes do not declare tags of their own. */
#define DRIVER_TAG(name) struct name;
DRIVER_TAGS(DRIVER_TAG)

#define DRIVER_MEMBER(symbol, base, version, parameters) unsigned(*symbol) parameters;

struct driver_api {
    DRIVER_REQUIRED(DRIVER_MEMBER)
    DRIVER_OPTIONAL(DRIVER_MEMBER)
};

#endif
