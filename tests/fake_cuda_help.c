/* SPDX-License-Identifier: Apache-2.0 */
#include <dlfcn.h>

#include "fake_cuda.h"
#include "harness.h"

const struct fake_cuda *use_fake_cuda(void) {
    const struct fake_cuda *controls = load_fake_cuda(TEST_DOUBLES "/fake_cuda.so");

    ck_assert_msg(controls != NULL, "%s", dlerror());
    controls->reset();
    return controls;
}
