/* SPDX-License-Identifier: Apache-2.0 */
#include "driver_help.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cubin_empty.h"
#include "driver/launch.h"
#include "harness.h"

const struct fake_cuda *fake;
struct cubby_error error;

void driver_set_up(void) {
    static const char *const NAMES[] = {"DEVICES", "SM",    "SMS",   "MEMORY",
                                        "VERSION", "DEFER", "EAGER", "FAIL"};
    char name[64];

    for (size_t i = 0; i < sizeof(NAMES) / sizeof(*NAMES); i++) {
        snprintf(name, sizeof(name), "FAKE_CUDA_%s", NAMES[i]);
        unsetenv(name);
    }
    fake = use_fake_cuda();
    cubby_error_clear(&error);
}

/* Nothing is left, and nothing was done that a driver does not allow. */
void driver_tear_down(void) {
    unsetenv("FAKE_CUDA_FAIL");
    ck_assert_uint_eq(fake->alive(NULL), 0);
    ck_assert_uint_eq(fake->alive("context"), 0);
    ck_assert_uint_eq(fake->violations(), 0);
    cubby_error_clear(&error);
}

struct device_context *open_context(int ordinal) {
    struct device_context *context;

    ck_ok(device_context_get(ordinal, &context, &error), &error);
    return context;
}

/* A failure of that code whose message has the text; the error is empty afterwards. */
void assert_failure(int result, int code, const char *text) {
    ck_assert_int_eq(result, code);
    ck_assert_int_eq(error.code, code);
    ck_assert_msg(strstr(error.message, text) != NULL, "\"%s\" lacks \"%s\"", error.message, text);
    cubby_error_clear(&error);
}

/* scale(float *data, float factor, unsigned count) */
void run_scale(const struct fake_launch *launch, void **parameters, void *data) {
    float *numbers = *(float **)parameters[0];
    float factor = *(float *)parameters[1];
    unsigned count = *(unsigned *)parameters[2], threads = launch->grid[0] * launch->block[0];

    (void)data;
    for (unsigned i = 0; i < threads && i < count; i++)
        numbers[i] *= factor;
}

struct loaded_module *load_cubin(struct device_context *context, void *cubin, unsigned key) {
    struct cubby_key name = key_of(key);
    struct loaded_module *module;

    ck_ok(loaded_module_get(context, &name, cubin, &module, &error), &error);
    return module;
}

int launch_scale(struct device_context *context, struct CUfunc_st *function,
                 struct device_memory *memory, float factor, struct CUstream_st *stream) {
    unsigned count = (unsigned)(memory->size / sizeof(float));
    void *arguments[] = {&memory->address, &factor, &count};
    const struct kernel_launch launch = {"scale",    function, {(count + 31) / 32, 1, 1},
                                         {32, 1, 1}, 0,        arguments};

    return kernel_launch(context, &launch, stream, &error);
}

static const char *const VERSIONS[] = {"13000", "11040"};

bool choose_version(int i) {
    setenv("FAKE_CUDA_VERSION", VERSIONS[i], 1);
    return i == 0 || tests_are_apart();
}
