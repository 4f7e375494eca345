/* SPDX-License-Identifier: Apache-2.0 */
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#include "fake_cuda.h"
#include "harness.h"

/* ---- The machine's driver, of which nothing is known ------------------------------------- */

static void reset(void) {
}

static unsigned no_calls(const char *function) {
    (void)function;
    return 0;
}

static unsigned no_violations(void) {
    return 0;
}

static void attach(const char *kernel, fake_kernel function, void *data) {
    (void)kernel;
    (void)function;
    (void)data;
}

static size_t none_alive(const char *kind) {
    (void)kind;
    return 0;
}

static const struct fake_cuda MACHINE = {
    .reset = reset,
    .calls = no_calls,
    .violations = no_violations,
    .attach = attach,
    .alive = none_alive,
};

/* ---- Choosing ---------------------------------------------------------------------------- */

static const char *wanted(void) {
    const char *driver = getenv("CUBBY_TEST_DRIVER");

    return driver && *driver ? driver : TEST_DOUBLES "/fake_cuda.so";
}

bool uses_machines_driver(void) {
    return strcmp(wanted(), "machine") == 0;
}

const struct fake_cuda *use_fake_cuda(void) {
    const struct fake_cuda *controls;

    if (uses_machines_driver())
        return &MACHINE;
    controls = load_fake_cuda(wanted());
    ck_assert_msg(controls != NULL, "%s", dlerror());
    controls->reset();
    return controls;
}
