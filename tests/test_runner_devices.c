/* SPDX-License-Identifier: Apache-2.0 */
/* Engines on parts of a device and on several devices, on the double. */
#include <stdlib.h>
#include <string.h>

#include "streams_help.h"

/* ---- Parts of a device, and several devices -------------------------------------------------- */

/* Two engines, each on multiprocessors of its own; recorded or not. */
START_TEST(engines_on_parts_of_a_device) {
    static const char *const NAMES[] = {"left", "right"};
    struct cubby_runtime_settings settings = settings_of(CUBBY_SPECIALIZATION_EAGER);
    struct cubby_green_division *division;
    struct cubby_engine *engines[2];

    settings.cuda_graph_strategy = (enum cubby_cuda_graph_strategy)_i;
    ck_ok(cubby_green_division_new(0, NAMES, 2, 16, &division, &error), &error);
    ck_assert_str_eq(cubby_green_division_part(division, 1)->name, "right");
    ck_assert_uint_ge(cubby_green_division_part(division, 1)->multiprocessors, 16);
    ck_assert_ptr_null(cubby_green_division_part(division, 2));
    ck_assert_ptr_null(cubby_green_division_find(division, "middle"));
    for (int i = 0; i < 2; i++) {
        const struct cubby_green_part *part = cubby_green_division_find(division, NAMES[i]);
        size_t before = fake->launches();
        const struct fake_launch *launch;

        engines[i] = engine_on(&line, &settings);
        ck_ok(enqueue(engines[i], N, 0), &error); /* on all of the device, before */
        ck_ok(cubby_engine_set_external_stream(engines[i], part->stream, &error), &error);
        for (unsigned j = 0; j < 2; j++)
            ck_ok(enqueue(engines[i], N, (2 * (unsigned)i + j) * N), &error);
        ck_ok(cubby_engine_sync(engines[i], &error), &error);
        ck_assert(!fake->launch(before)->green);
        launch = fake->launch(fake->launches() - 1);
        ck_assert(launch->green);
        ck_assert_uint_eq(launch->sm_count, part->multiprocessors);
        ck_assert_uint_eq(launch->first_sm, i == 0 ? 0 : part->multiprocessors);
    }
    check_results(0, 4 * N);
    for (int i = 0; i < 2; i++) {
        ck_ok(cubby_engine_clear_external_stream(engines[i], &error), &error);
        ck_ok(enqueue(engines[i], N, 0), &error); /* and again on all of it */
        ck_assert(!fake->launch(fake->launches() - 1)->green);
        ck_assert_uint_eq(stats_of_engine(engines[i]).contexts, 1);
        cubby_engine_unref(engines[i]);
    }
    cubby_green_division_free(division);
    cubby_green_division_free(NULL);
}
END_TEST

START_TEST(parts_that_cannot_be) {
    static const char *const SAME[] = {"one", "one"};
    static const char *const NAMES[] = {"one", "two"};
    struct cubby_green_division *division;

    assert_failure(cubby_green_division_new(0, SAME, 2, 16, &division, &error), CUBBY_ERR_INVALID,
                   "\"one\"");
    assert_failure(cubby_green_division_new(0, NAMES, 2, 7, &division, &error), CUBBY_ERR_INVALID,
                   "8");
    assert_failure(cubby_green_division_new(0, NAMES, 2, 100, &division, &error), CUBBY_ERR_INVALID,
                   "132");
    assert_failure(cubby_green_division_new(0, NAMES, 0, 16, &division, &error), CUBBY_ERR_INVALID,
                   "0 parts");
    assert_failure(cubby_green_division_new(4, NAMES, 2, 16, &division, &error), CUBBY_ERR_INVALID,
                   "4");
}
END_TEST

START_TEST(engines_on_two_devices) {
    struct cubby_engine_options options = CUBBY_ENGINE_OPTIONS_INIT;
    struct cubby_engine *engines[2];

    if (!begin_anew("FAKE_CUDA_DEVICES", "2"))
        return;
    options.cache = line.cache;
    for (int i = 0; i < 2; i++) {
        options.device = i;
        ck_ok(cubby_engine_new(line.plan, &options, &engines[i], &error), &error);
        ck_assert_int_eq(cubby_engine_device(engines[i]), i);
    }
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 2; i++) {
            run_line(engines[i], 77);
            ck_assert_int_eq(fake->launch(fake->launches() - 1)->device, i);
            cubby_engine_wait_kernels(engines[i]);
        }
    }
    ck_assert_uint_eq(fake->alive("context"), 2);
    ck_assert_uint_eq(fake->alive("library"), 6); /* each kernel once for each device */
    ck_assert_uint_eq(stats_of_engine(engines[0]).compiles, 3);
    ck_assert_uint_eq(stats_of_engine(engines[1]).compiles, 0);
    for (int i = 0; i < 2; i++)
        cubby_engine_unref(engines[i]);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("runner devices");
    TCase *tests = tcase_create("devices");

    tcase_add_checked_fixture(tests, streams_set_up, streams_tear_down);
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, engines_on_parts_of_a_device, 0, 2);
    tcase_add_test(tests, parts_that_cannot_be);
    tcase_add_test(tests, engines_on_two_devices);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
