/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The part of the CUDA driver's interface that links, with prototypes and constants of its own, so
 * that building needs nothing of CUDA. Source: NVIDIA's CUDA driver API documentation; symbols are
 * asked for under their versioned names.
 */
#ifndef CUBBY_COMPILE_CULINK_API_H
#define CUBBY_COMPILE_CULINK_API_H

#include <stddef.h>

typedef struct culink_context_handle *culink_context; /* CUcontext */
typedef struct culink_state_handle *culink_state;     /* CUlinkState */

/* The results that are told apart. */
enum culink_result {
    CULINK_OK = 0,
    CULINK_OUT_OF_MEMORY = 2,
    CULINK_JIT_COMPILER_NOT_FOUND = 221,
};

/* CUjit_option */
enum culink_option {
    CULINK_MAX_REGISTERS = 0,
    CULINK_INFO_LOG = 3,
    CULINK_INFO_LOG_SIZE = 4,
    CULINK_ERROR_LOG = 5,
    CULINK_ERROR_LOG_SIZE = 6,
    CULINK_OPTIMIZATION = 7,
    CULINK_TARGET = 9,
    CULINK_DEBUG_INFO = 11,
    CULINK_VERBOSE = 12,
    CULINK_LINE_INFO = 13,
};

/* CUjit_target: the number of sm_N, and what is added for sm_Na and sm_Nf. */
#define CULINK_TARGET_ACCELERATED 0x10000
#define CULINK_TARGET_FAMILY 0x20000

/* CUjitInputType */
enum culink_input {
    CULINK_INPUT_CUBIN = 0,
    CULINK_INPUT_PTX = 1,
    CULINK_INPUT_FATBIN = 2,
    CULINK_INPUT_OBJECT = 3,
    CULINK_INPUT_LIBRARY = 4,
};

/* name, parameters; every function returns an enum culink_result as int */
#define CULINK_FUNCTIONS(X)                                                                        \
    X(cuInit, (unsigned))                                                                          \
    X(cuDeviceGet, (int *, int))                                                                   \
    X(cuCtxGetCurrent, (culink_context *))                                                         \
    X(cuCtxPushCurrent_v2, (culink_context))                                                       \
    X(cuCtxPopCurrent_v2, (culink_context *))                                                      \
    X(cuDevicePrimaryCtxRetain, (culink_context *, int))                                           \
    X(cuDevicePrimaryCtxRelease_v2, (int))                                                         \
    X(cuLinkCreate_v2, (unsigned, int *, void **, culink_state *))                                 \
    X(cuLinkAddData_v2,                                                                            \
      (culink_state, int, void *, size_t, const char *, unsigned, int *, void **))                 \
    X(cuLinkComplete, (culink_state, void **, size_t *))                                           \
    X(cuLinkDestroy, (culink_state))

#define CULINK_MEMBER(name, parameters) int(*name) parameters;

struct culink_api {
    CULINK_FUNCTIONS(CULINK_MEMBER)
};

#endif
