/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A double of the CUDA driver, tests/.libs/fake_cuda.so, which CUBBY_CUDA names. Its memory is the
 * host's, its kernels are functions of the test, and it refuses what the driver refuses.
 *
 * Environment, read by calls while no context is retained, and by reset():
 *
 *     FAKE_CUDA_DEVICES=N      so many devices (1)
 *     FAKE_CUDA_SM=90,80       compute capability of each; the last stands for the rest (90)
 *     FAKE_CUDA_SMS=N          multiprocessors of each (132)
 *     FAKE_CUDA_MEMORY=BYTES   memory of each (1 GiB)
 *     FAKE_CUDA_VERSION=12030  the driver's version (13000); newer functions are not found
 *     FAKE_CUDA_DEFER=1        work waits until something waits for it; else it is done at once
 *     FAKE_CUDA_EAGER=1        libraries are looked into when they are loaded (CUDA_MODULE_LOADING)
 *
 * Read at every call:
 *
 *     FAKE_CUDA_FAIL=cuA=2,cuB@3=700   cuA always fails with 2, the third call of cuB with 700
 */
#ifndef TESTS_FAKE_CUDA_H
#define TESTS_FAKE_CUDA_H

#include <stdbool.h>
#include <stddef.h>

/* A launch as the double saw it; valid until reset(). */
struct fake_launch {
    const char *kernel;
    int device;
    unsigned grid[3], block[3], shared;
    void *stream;
    bool from_graph;
    bool green;                  /* in a stream of a green context */
    unsigned first_sm, sm_count; /* of which it has these multiprocessors */
    size_t parameter_count;
    unsigned long long image; /* of the cubin that the kernel lies in, as image() tells it */
};

/* What a kernel does: parameters as cuLaunchKernel's kernelParams. Must call nothing of CUDA. */
typedef void (*fake_kernel)(const struct fake_launch *launch, void **parameters, void *data);

struct fake_cuda {
    /* Forgets calls, launches and kernels, reads the environment again. What the code under test
     * holds stays valid. */
    void (*reset)(void);
    /* How often a function was called, refused calls too; with NULL, how often any was. */
    unsigned (*calls)(const char *function);
    /* Calls that a real driver might have let pass by chance and that no program should make:
     * functions newer than the driver, handles never given out. */
    unsigned (*violations)(void);
    size_t (*launches)(void);
    const struct fake_launch *(*launch)(size_t i);
    /* From now on, kernels of that name compute: launched before, they did nothing. */
    void (*attach)(const char *kernel, fake_kernel function, void *data);
    /* What was made and not yet freed, such as "stream", "event", "module", "library", "memory",
     * "graph", "exec", "green", "context"; NULL for all but contexts that are retained. */
    size_t (*alive)(const char *kind);
    /* Operations that wait in streams. */
    size_t (*pending)(void);
    /* Does the oldest operation that can be done; false where there is none. */
    bool (*step)(void);
    /* A digest of a cubin; 0 for what is none. */
    unsigned long long (*image)(const void *cubin);
};

/* Loads the double of that file as the driver of this process and gives its controls; NULL where
 * that failed, as dlerror() tells. */
const struct fake_cuda *load_fake_cuda(const char *path);

/*
 * As load_fake_cuda(), from the build folder and reset, for tests with Check. CUBBY_TEST_DRIVER
 * names another file, or is "machine" for the driver that the machine has: a test that can do
 * without the controls gets some that tell nothing, and has no kernels but those of the GPU.
 */
const struct fake_cuda *use_fake_cuda(void);
bool uses_machines_driver(void);

#endif
