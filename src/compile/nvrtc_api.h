/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The part of NVRTC's C interface that Cubby uses, with prototypes of its own, so that building
 * needs nothing of CUDA. Source: NVIDIA's NVRTC documentation, versions 11.2 to 13.0.
 */
#ifndef CUBBY_COMPILE_NVRTC_API_H
#define CUBBY_COMPILE_NVRTC_API_H

#include <stddef.h>

typedef struct nvrtc_program_handle *nvrtc_program; /* nvrtcProgram */

/* The results that are told apart. */
enum nvrtc_result {
    NVRTC_OK = 0,
    NVRTC_OUT_OF_MEMORY = 1,
    NVRTC_INVALID_OPTION = 5,
    NVRTC_COMPILATION = 6,
    NVRTC_BUILTIN_FAILURE = 7,
    NVRTC_NAME_EXPRESSION = 10,
};

/* name, parameters; every function returns an enum nvrtc_result as int */
#define NVRTC_FUNCTIONS(X)                                                                         \
    X(nvrtcCreateProgram, (nvrtc_program *, const char *, const char *, int, const char *const *,  \
                           const char *const *))                                                   \
    X(nvrtcDestroyProgram, (nvrtc_program *))                                                      \
    X(nvrtcCompileProgram, (nvrtc_program, int, const char *const *))                              \
    X(nvrtcAddNameExpression, (nvrtc_program, const char *))                                       \
    X(nvrtcGetLoweredName, (nvrtc_program, const char *, const char **))                           \
    X(nvrtcGetProgramLogSize, (nvrtc_program, size_t *))                                           \
    X(nvrtcGetProgramLog, (nvrtc_program, char *))                                                 \
    X(nvrtcGetPTXSize, (nvrtc_program, size_t *))                                                  \
    X(nvrtcGetPTX, (nvrtc_program, char *))                                                        \
    X(nvrtcGetCUBINSize, (nvrtc_program, size_t *))                                                \
    X(nvrtcGetCUBIN, (nvrtc_program, char *))

/* Since 12.0; older versions have nvrtcGetNVVM in its place. */
#define NVRTC_LTO_FUNCTIONS(X)                                                                     \
    X(nvrtcGetLTOIRSize, (nvrtc_program, size_t *))                                                \
    X(nvrtcGetLTOIR, (nvrtc_program, char *))

#define NVRTC_MEMBER(name, parameters) int(*name) parameters;

struct nvrtc_api {
    NVRTC_FUNCTIONS(NVRTC_MEMBER)
    NVRTC_LTO_FUNCTIONS(NVRTC_MEMBER)
};

#endif
