/* SPDX-License-Identifier: Apache-2.0 */
/* Engines in streams on drivers of several ages, on the double: whatever there is to ask with. */
#include <stdlib.h>
#include <string.h>

#include "driver/stream.h"
#include "runner_help.h"

static struct line line;

static void set_up(void) {
    line_set_up(&line);
}

static void tear_down(void) {
    line_tear_down(&line);
}

/* True where this process can begin with such a driver. */
static bool begin_with(const char *version) {
    if (!tests_are_apart())
        return false;
    setenv("FAKE_CUDA_VERSION", version, 1);
    setenv("FAKE_CUDA_DEVICES", "2", 1);
    fake->reset();
    line_attach();
    return true;
}

static const struct {
    const char *version, *question; /* by which it finds out of which device a stream is */
    bool has_parts;
} DRIVERS[] = {
    {"13000", "cuStreamGetDevice", true}, {"12080", "cuStreamGetDevice", true},
    {"12070", "cuStreamGetCtx_v2", true}, {"12050", "cuStreamGetCtx_v2", true},
    {"12040", "cuStreamGetCtx", false},   {"12000", "cuStreamGetCtx", false},
    {"11040", "cuStreamGetCtx", false},   {"11000", "cuStreamGetCtx", false},
};

static void check_questions(const char *question) {
    static const char *const QUESTIONS[] = {"cuStreamGetDevice", "cuStreamGetCtx_v2",
                                            "cuStreamGetCtx"};

    ck_assert_uint_gt(fake->calls(question), 0);
    for (int i = 0; strcmp(QUESTIONS[i], question) != 0; i++)
        ck_assert_uint_eq(fake->calls(QUESTIONS[i]), 0); /* newer ones are not there */
}

/* In a stream of the device, which is bound, passed through or not; not in one of another. */
static void check_streams(struct cubby_engine *engine, struct CUstream_st *own,
                          struct CUstream_st *other) {
    struct cubby_stream_guard guard;

    assert_failure(cubby_engine_set_external_stream(engine, other, &error), CUBBY_ERR_INVALID,
                   "the stream is of another");
    ck_assert(!cubby_engine_has_external_stream(engine));
    ck_ok(cubby_engine_set_external_stream(engine, own, &error), &error);
    run_line(engine, 40);
    ck_assert_ptr_eq(fake->launch(fake->launches() - 1)->stream, own);
    ck_ok(cubby_engine_clear_external_stream(engine, &error), &error);
    for (int i = 0; i < 2; i++) {
        cubby_stream_passthrough_set(i);
        cubby_stream_guard_enter(&guard, own);
        run_line(engine, 40);
        cubby_stream_guard_leave(&guard);
        ck_assert_int_eq(fake->launch(fake->launches() - 1)->stream == own, i);
    }
    cubby_stream_passthrough_set(false);
}

START_TEST(streams_of_any_driver) {
    struct device_context *contexts[2];
    struct device_stream *streams[2];
    struct cubby_engine *engine;

    if (!begin_with(DRIVERS[_i].version))
        return;
    for (int i = 0; i < 2; i++) {
        contexts[i] = open_context(i);
        ck_ok(device_stream_new(contexts[i], 0, &streams[i], &error), &error);
    }
    engine = engine_on(&line, NULL);
    check_streams(engine, streams[0]->handle, streams[1]->handle);
    check_questions(DRIVERS[_i].question);
    cubby_engine_unref(engine);
    for (int i = 0; i < 2; i++) {
        device_stream_free(streams[i]);
        device_context_unref(contexts[i]);
    }
}
END_TEST

/* Parts of the device, whose streams are no other device's; a driver that has none says so before
 * anything is made. */
START_TEST(parts_of_any_driver) {
    static const char *const NAMES[] = {"one", "two"};
    struct cubby_green_division *division = NULL;
    struct cubby_engine *engine;
    int result;

    if (!begin_with(DRIVERS[_i].version))
        return;
    result = cubby_green_division_new(0, NAMES, 2, 8, &division, &error);
    if (!DRIVERS[_i].has_parts) {
        assert_failure(result, CUBBY_ERR_UNSUPPORTED, "which came with CUDA 12.5");
        ck_assert_uint_eq(fake->calls("cuGreenCtxCreate"), 0);
        return;
    }
    ck_ok(result, &error);
    engine = engine_on(&line, NULL);
    ck_ok(cubby_engine_set_external_stream(engine, cubby_green_division_part(division, 1)->stream,
                                           &error),
          &error);
    run_line(engine, 40);
    ck_assert(fake->launch(fake->launches() - 1)->green);
    cubby_engine_unref(engine);
    cubby_green_division_free(division);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("runner drivers");
    TCase *tests = tcase_create("drivers");

    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, streams_of_any_driver, 0, sizeof(DRIVERS) / sizeof(*DRIVERS));
    tcase_add_loop_test(tests, parts_of_any_driver, 0, sizeof(DRIVERS) / sizeof(*DRIVERS));
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
