/* SPDX-License-Identifier: Apache-2.0 */
#include <dlfcn.h>
#include <stdlib.h>

#include "fake_cuda.h"
#include "harness.h"

const struct fake_cuda *use_fake_cuda(void) {
    const struct fake_cuda *(*controls)(void);
    void *handle;

    setenv("CUBBY_CUDA", TEST_DOUBLES "/fake_cuda.so", 1);
    handle = dlopen(TEST_DOUBLES "/fake_cuda.so", RTLD_NOW | RTLD_LOCAL);
    ck_assert_msg(handle != NULL, "%s", dlerror());
    controls = (const struct fake_cuda *(*)(void))dlsym(handle, "fake_cuda_controls");
    ck_assert_ptr_nonnull((void *)controls);
    controls()->reset();
    return controls();
}
