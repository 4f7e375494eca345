/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The part of nvJitLink's C interface that Cubby uses, with prototypes of its own, so that building
 * needs nothing of CUDA. Source: NVIDIA's nvJitLink documentation, versions 12.3 to 13.0. Versions
 * before 12.3 have these functions under other names and are not used.
 */
#ifndef CUBBY_COMPILE_NVJITLINK_API_H
#define CUBBY_COMPILE_NVJITLINK_API_H

#include <stddef.h>
#include <stdint.h>

typedef struct nvjitlink_link *nvjitlink_handle; /* nvJitLinkHandle */

/* The results that are told apart; the others are of the inputs or options. */
enum nvjitlink_result {
    NVJITLINK_OK = 0,
    NVJITLINK_MISSING_ARCH = 2,
    NVJITLINK_INTERNAL = 6,
    NVJITLINK_THREADPOOL = 7,
    NVJITLINK_OUTDATED_LIBRARY = 14,
};

/* nvJitLinkInputType */
enum nvjitlink_input {
    NVJITLINK_INPUT_CUBIN = 1,
    NVJITLINK_INPUT_PTX = 2,
    NVJITLINK_INPUT_LTOIR = 3,
    NVJITLINK_INPUT_FATBIN = 4,
    NVJITLINK_INPUT_OBJECT = 5,
    NVJITLINK_INPUT_LIBRARY = 6,
};

/* name, parameters; every function returns an enum nvjitlink_result as int */
#define NVJITLINK_FUNCTIONS(X)                                                                     \
    X(nvJitLinkCreate, (nvjitlink_handle *, uint32_t, const char *const *))                        \
    X(nvJitLinkDestroy, (nvjitlink_handle *))                                                      \
    X(nvJitLinkAddData, (nvjitlink_handle, int, const void *, size_t, const char *))               \
    X(nvJitLinkComplete, (nvjitlink_handle))                                                       \
    X(nvJitLinkGetLinkedCubinSize, (nvjitlink_handle, size_t *))                                   \
    X(nvJitLinkGetLinkedCubin, (nvjitlink_handle, void *))                                         \
    X(nvJitLinkGetLinkedPtxSize, (nvjitlink_handle, size_t *))                                     \
    X(nvJitLinkGetLinkedPtx, (nvjitlink_handle, char *))                                           \
    X(nvJitLinkGetErrorLogSize, (nvjitlink_handle, size_t *))                                      \
    X(nvJitLinkGetErrorLog, (nvjitlink_handle, char *))                                            \
    X(nvJitLinkGetInfoLogSize, (nvjitlink_handle, size_t *))                                       \
    X(nvJitLinkGetInfoLog, (nvjitlink_handle, char *))

#define NVJITLINK_MEMBER(name, parameters) int(*name) parameters;

struct nvjitlink_api {
    NVJITLINK_FUNCTIONS(NVJITLINK_MEMBER)
};

#endif
