/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The part of libNVVM's C interface that Cubby uses, with prototypes of its own, so that building
 * needs nothing of CUDA. Source: NVIDIA's libNVVM documentation, CUDA 11.2 to 13.0.
 */
#ifndef CUBBY_COMPILE_NVVM_API_H
#define CUBBY_COMPILE_NVVM_API_H

#include <stddef.h>

typedef struct nvvm_program_handle *nvvm_program; /* nvvmProgram */

/* The results that are told apart. */
enum nvvm_result {
    NVVM_OK = 0,
    NVVM_OUT_OF_MEMORY = 1,
    NVVM_IR_VERSION_MISMATCH = 3,
    NVVM_INVALID_INPUT = 4,
    NVVM_INVALID_IR = 6,
    NVVM_INVALID_OPTION = 7,
    NVVM_NO_MODULE = 8,
    NVVM_COMPILATION = 9,
};

/* name, parameters; every function returns an enum nvvm_result as int */
#define NVVM_FUNCTIONS(X)                                                                          \
    X(nvvmCreateProgram, (nvvm_program *))                                                         \
    X(nvvmDestroyProgram, (nvvm_program *))                                                        \
    X(nvvmAddModuleToProgram, (nvvm_program, const char *, size_t, const char *))                  \
    X(nvvmVerifyProgram, (nvvm_program, int, const char *const *))                                 \
    X(nvvmCompileProgram, (nvvm_program, int, const char *const *))                                \
    X(nvvmGetCompiledResultSize, (nvvm_program, size_t *))                                         \
    X(nvvmGetCompiledResult, (nvvm_program, char *))                                               \
    X(nvvmGetProgramLogSize, (nvvm_program, size_t *))                                             \
    X(nvvmGetProgramLog, (nvvm_program, char *))

/* Newer than the rest; without it libdevice is added whole, which gives the same bytes. */
#define NVVM_LAZY_FUNCTIONS(X)                                                                     \
    X(nvvmLazyAddModuleToProgram, (nvvm_program, const char *, size_t, const char *))

#define NVVM_MEMBER(name, parameters) int(*name) parameters;

struct nvvm_api {
    NVVM_FUNCTIONS(NVVM_MEMBER)
    NVVM_LAZY_FUNCTIONS(NVVM_MEMBER)
};

#endif
