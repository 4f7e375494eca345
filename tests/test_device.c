/* SPDX-License-Identifier: Apache-2.0 */
/* What is said of the driver and the GPU, with a double of the driver. */
#include <stdlib.h>
#include <string.h>

#include "harness.h"

static void use_driver(const char *path) {
    setenv("CUBBY_CUDA", path, 1);
    unsetenv("FAKE_CUDA_FAIL");
    unsetenv("FAKE_CUDA_DEVICES");
}

/* Asserts that no device is found, and that the message has the text. */
static void assert_no_device(const char *text, int tool_error) {
    struct cubby_device device = {.count = 42};
    struct cubby_error error = CUBBY_ERROR_INIT;

    ck_assert_int_eq(cubby_device_find(&device, &error), CUBBY_ERR_NO_DRIVER);
    ck_assert_int_eq(error.code, CUBBY_ERR_NO_DRIVER);
    ck_assert_int_eq(error.tool_error, tool_error);
    ck_assert_msg(strstr(error.message, text) != NULL, "\"%s\" lacks \"%s\"", error.message, text);
    ck_assert_int_eq(device.count, 42); /* outputs are untouched on failure */
    ck_assert_int_eq(cubby_device_find(&device, NULL), CUBBY_ERR_NO_DRIVER);
    cubby_error_clear(&error);
}

START_TEST(finds_the_first_device) {
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_device device;

    use_driver(TEST_DOUBLES "/fake_cuda.so");
    setenv("FAKE_CUDA_DEVICES", "3", 1);
    ck_ok(cubby_device_find(&device, &error), &error);
    ck_assert_int_eq(device.count, 3);
    ck_assert_int_eq(device.driver_version, 13000);
    ck_assert_str_eq(device.name, "Fake GPU 0");
    ck_assert_str_eq(device.arch, "sm_90");
}
END_TEST

START_TEST(names_a_driver_that_cannot_be_used) {
    if (!tests_are_apart())
        return; /* one was found in this process */
    use_driver("/no/such/libcuda.so");
    assert_no_device("CUBBY_CUDA names /no/such/libcuda.so", 0);
    use_driver("/dev/null");
    assert_no_device("/dev/null cannot be loaded as the CUDA driver", 0);
    use_driver(TEST_DOUBLES "/fake_nvrtc.so"); /* a library, but another */
    assert_no_device("lacks cuInit", 0);
}
END_TEST

START_TEST(tells_that_there_is_no_device) {
    use_driver(TEST_DOUBLES "/fake_cuda.so");
    setenv("FAKE_CUDA_DEVICES", "0", 1);
    assert_no_device("found no device", 0);
}
END_TEST

START_TEST(passes_on_what_the_driver_says) {
    static const struct {
        const char *failing, *text;
        int code;
    } CASES[] = {
        {"cuInit=34", "cannot be started: cuInit failed: CUDA_ERROR_STUB_LIBRARY (34): this is",
         34},
        {"cuInit=999", "cannot be started: cuInit failed: CUDA_ERROR_UNKNOWN (999)", 999},
        {"cuInit=12345", "cuInit failed: CUDA error (12345): the driver tells no more", 12345},
        {"cuDriverGetVersion=3", "cuDriverGetVersion failed: CUDA_ERROR_NOT_INITIALIZED (3)", 3},
        {"cuDeviceGetCount=100", "cuDeviceGetCount failed: CUDA_ERROR_NO_DEVICE (100)", 100},
        {"cuDeviceGet=101", "cuDeviceGet failed: CUDA_ERROR_INVALID_DEVICE (101)", 101},
        {"cuDeviceGetName=4", "cuDeviceGetName failed: CUDA_ERROR_DEINITIALIZED (4)", 4},
        {"cuDeviceGetAttribute=2", "cuDeviceGetAttribute failed: CUDA_ERROR_OUT_OF_MEMORY", 2},
    };

    use_driver(TEST_DOUBLES "/fake_cuda.so");
    for (size_t i = 0; i < sizeof(CASES) / sizeof(*CASES); i++) {
        /* A driver that was started stays so. */
        if (!tests_are_apart() && strncmp(CASES[i].failing, "cuDevice", 8) != 0)
            continue;
        setenv("FAKE_CUDA_FAIL", CASES[i].failing, 1);
        assert_no_device(CASES[i].text, CASES[i].code);
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("device");
    TCase *tests = tcase_create("device");

    tcase_add_test(tests, finds_the_first_device);
    tcase_add_test(tests, names_a_driver_that_cannot_be_used);
    tcase_add_test(tests, tells_that_there_is_no_device);
    tcase_add_test(tests, passes_on_what_the_driver_says);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
