/* SPDX-License-Identifier: Apache-2.0 */
#include <dlfcn.h>
#include <stdlib.h>

#include "fake_cuda.h"

const struct fake_cuda *load_fake_cuda(const char *path) {
    const struct fake_cuda *(*controls)(void) = NULL;
    void *handle;

    setenv("CUBBY_CUDA", path, 1);
    handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (handle)
        controls = (const struct fake_cuda *(*)(void))dlsym(handle, "fake_cuda_controls");
    return controls ? controls() : NULL;
}
