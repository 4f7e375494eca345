/* SPDX-License-Identifier: Apache-2.0 */
/* Engines that run, on the double: the execution context, the strategies, what is checked. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runner_help.h"

static struct line line;

static void set_up(void) {
    line_set_up(&line);
}

static void tear_down(void) {
    line_tear_down(&line);
}

/* ---- The execution context --------------------------------------------------------------- */

START_TEST(the_context_is_created_by_the_first_execute) {
    struct cubby_engine *engine = engine_on(&line, NULL);
    struct cubby_runtime_settings settings;

    ck_assert(!cubby_engine_has_context(engine));
    ck_assert_uint_eq(stats_of_engine(engine).contexts, 0);
    cubby_engine_get_settings(engine, &settings);
    ck_ok(cubby_engine_sync(engine, &error), &error);
    cubby_engine_wait_kernels(engine);
    ck_assert_str_eq(cubby_engine_name(engine), "line");
    ck_assert_str_eq(cubby_engine_arch(engine), "sm_90");
    ck_assert(!cubby_engine_has_context(engine));
    ck_assert_uint_eq(fake->calls("cuDevicePrimaryCtxRetain"), 0);
    run_line(engine, 100);
    ck_assert(cubby_engine_has_context(engine));
    run_line(engine, 7);
    ck_assert_uint_eq(stats_of_engine(engine).contexts, 1);
    cubby_engine_unref(engine);
}
END_TEST

START_TEST(settings_before_the_first_execute_cost_no_context) {
    const struct cubby_runtime_settings none = settings_of(CUBBY_SPECIALIZATION_NONE);
    struct cubby_engine *engine = engine_on(&line, NULL);

    ck_ok(cubby_engine_set_settings(engine, &none, &error), &error);
    ck_assert(!cubby_engine_has_context(engine));
    run_line(engine, 100);
    ck_assert_uint_eq(stats_of_engine(engine).contexts, 1);
    cubby_engine_unref(engine);
}
END_TEST

START_TEST(a_change_drops_the_context_and_creates_none) {
    const struct cubby_runtime_settings none = settings_of(CUBBY_SPECIALIZATION_NONE);
    struct cubby_engine *engine = engine_on(&line, NULL);

    run_line(engine, 100);
    ck_ok(cubby_engine_set_settings(engine, &none, &error), &error);
    ck_assert(!cubby_engine_has_context(engine));
    ck_assert_uint_eq(stats_of_engine(engine).contexts, 1);
    run_line(engine, 100);
    ck_assert_uint_eq(stats_of_engine(engine).contexts, 2);
    cubby_engine_unref(engine);
}
END_TEST

START_TEST(equal_settings_change_nothing) {
    const struct cubby_runtime_settings none = settings_of(CUBBY_SPECIALIZATION_NONE);
    struct cubby_engine *engine = engine_on(&line, &none);

    run_line(engine, 100);
    ck_ok(cubby_engine_set_settings(engine, &none, &error), &error);
    ck_assert(cubby_engine_has_context(engine));
    run_line(engine, 100);
    ck_assert_uint_eq(stats_of_engine(engine).contexts, 1);
    cubby_engine_unref(engine);
}
END_TEST

START_TEST(what_cannot_run_creates_no_context) {
    struct cubby_engine *engine = engine_on(&line, NULL);

    assert_failure(try_line(engine, 0, &error), CUBBY_ERR_INVALID, "n");
    assert_failure(try_line(engine, 4097, &error), CUBBY_ERR_INVALID, "4096");
    ck_assert(!cubby_engine_has_context(engine));
    run_line(engine, 1);
    run_line(engine, 4096);
    assert_failure(try_line(engine, 4097, &error), CUBBY_ERR_INVALID, "4097");
    run_line(engine, 4096);
    ck_assert_uint_eq(stats_of_engine(engine).enqueues, 3);
    cubby_engine_unref(engine);
}
END_TEST

START_TEST(a_device_that_is_not_there_is_named) {
    struct cubby_engine_options options = CUBBY_ENGINE_OPTIONS_INIT;
    struct cubby_engine *engine;

    options.device = 1;
    assert_failure(cubby_engine_new(line.plan, &options, &engine, &error), CUBBY_ERR_INVALID, "1");
    options.device = 0;
    options.version = 7;
    assert_failure(cubby_engine_new(line.plan, &options, &engine, &error), CUBBY_ERR_INVALID,
                   "version 7");
}
END_TEST

/* ---- Buffers ----------------------------------------------------------------------------- */

START_TEST(buffers_are_checked) {
    struct cubby_engine *engine = engine_on(&line, NULL);
    const int64_t n = 64;
    struct cubby_engine_buffer buffers[] = {{0x1000, 256}, {0x2000, 256}, {0x3000, 256}};
    struct cubby_engine_call call = {&n, 1, buffers, 2};

    call.buffer_count = 1;
    assert_failure(cubby_engine_enqueue(engine, &call, &error), CUBBY_ERR_INVALID, "output y");
    call.buffer_count = 3;
    assert_failure(cubby_engine_enqueue(engine, &call, &error), CUBBY_ERR_INVALID, "expected 2");
    call.buffer_count = 2;
    buffers[0].address = 0;
    assert_failure(cubby_engine_enqueue(engine, &call, &error), CUBBY_ERR_INVALID, "input x");
    buffers[0].address = 0x1002;
    assert_failure(cubby_engine_enqueue(engine, &call, &error), CUBBY_ERR_INVALID, "multiple of 4");
    buffers[0].address = 0x1000;
    buffers[1].size = 255;
    assert_failure(cubby_engine_enqueue(engine, &call, &error), CUBBY_ERR_INVALID, "expected 256");
    call.dims = NULL; /* although the values before were these */
    assert_failure(cubby_engine_enqueue(engine, &call, &error), CUBBY_ERR_INVALID, "dims");
    call.dims = &n;
    call.buffers = NULL;
    assert_failure(cubby_engine_enqueue(engine, &call, &error), CUBBY_ERR_INVALID, "input x");
    call.dim_count = 0;
    assert_failure(cubby_engine_enqueue(engine, &call, &error), CUBBY_ERR_INVALID, "dim");
    ck_assert(!cubby_engine_has_context(engine));
    cubby_engine_unref(engine);
}
END_TEST

/* ---- Strategies -------------------------------------------------------------------------- */

START_TEST(lazy_runs_generic_and_swaps_later) {
    struct cubby_engine *engine = engine_on(&line, NULL);
    struct cubby_engine_stats stats;

    run_line(engine, 100);
    stats = stats_of_engine(engine);
    ck_assert_uint_eq(stats.generic_runs, 1);
    ck_assert_uint_eq(stats.specialized_runs, 0);
    cubby_engine_wait_kernels(engine);
    run_line(engine, 100);
    stats = stats_of_engine(engine);
    ck_assert_uint_eq(stats.specialized_runs, 1);
    ck_assert_uint_eq(stats.swaps, 1);
    ck_assert_uint_eq(stats.compiles, 3); /* two generic, one specialised */
    run_line(engine, 101);
    run_line(engine, 100); /* it was not forgotten */
    stats = stats_of_engine(engine);
    ck_assert_uint_eq(stats.generic_runs, 2);
    ck_assert_uint_eq(stats.specialized_runs, 2);
    ck_assert_uint_eq(stats.swaps, 1);
    cubby_engine_unref(engine);
}
END_TEST

START_TEST(eager_compiles_first) {
    const struct cubby_runtime_settings eager = settings_of(CUBBY_SPECIALIZATION_EAGER);
    struct cubby_engine *engine = engine_on(&line, &eager);
    struct cubby_engine_stats stats;

    run_line(engine, 97);
    run_line(engine, 97);
    run_line(engine, 4096);
    stats = stats_of_engine(engine);
    ck_assert_uint_eq(stats.generic_runs, 0);
    ck_assert_uint_eq(stats.specialized_runs, 3);
    ck_assert_uint_eq(stats.compiles, 3); /* the generic one was never needed */
    ck_assert_uint_eq(stats.swaps, 0);
    cubby_engine_unref(engine);
}
END_TEST

START_TEST(none_never_specialises) {
    const struct cubby_runtime_settings none = settings_of(CUBBY_SPECIALIZATION_NONE);
    struct cubby_engine *engine = engine_on(&line, &none);
    struct cubby_engine_stats stats;

    for (int64_t n = 1; n < 4096; n += 1001)
        run_line(engine, n);
    cubby_engine_wait_kernels(engine);
    run_line(engine, 1);
    stats = stats_of_engine(engine);
    ck_assert_uint_eq(stats.specialized_runs, 0);
    ck_assert_uint_eq(stats.compiles, 2);
    cubby_engine_unref(engine);
}
END_TEST

static void *run_it(void *context) {
    struct cubby_engine *engine = context;

    for (int i = 0; i < 5; i++)
        run_line(engine, 333);
    return NULL;
}

START_TEST(one_shape_asked_at_once_is_one_compile) {
    const struct cubby_runtime_settings settings =
        settings_of((enum cubby_specialization_strategy)_i);
    struct cubby_engine *engine = engine_on(&line, &settings);
    pthread_t threads[4];

    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, run_it, engine), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    cubby_engine_wait_kernels(engine);
    ck_assert_uint_eq(stats_of_engine(engine).enqueues, 20);
    ck_assert_uint_eq(stats_of_engine(engine).compiles, _i == CUBBY_SPECIALIZATION_LAZY ? 3 : 2);
    ck_assert_uint_eq(stats_of_engine(engine).contexts, 1);
    cubby_engine_unref(engine);
}
END_TEST

START_TEST(two_engines_share_what_they_can) {
    struct cubby_engine *one = engine_on(&line, NULL), *other = engine_on(&line, NULL);

    run_line(one, 100);
    cubby_engine_wait_kernels(one);
    run_line(other, 100);
    cubby_engine_wait_kernels(other);
    ck_assert_uint_eq(stats_of_engine(one).compiles, 3);
    ck_assert_uint_eq(stats_of_engine(other).compiles, 0);
    ck_assert_uint_eq(stats_of_engine(other).cache_hits, 3);
    ck_assert_uint_eq(fake->alive("library"), 3); /* once per device */
    ck_assert_uint_eq(fake->alive("context"), 1);
    cubby_engine_unref(one);
    run_line(other, 100);
    cubby_engine_unref(other);
}
END_TEST

START_TEST(more_shapes_than_are_kept) {
    const struct cubby_runtime_settings eager = settings_of(CUBBY_SPECIALIZATION_EAGER);
    struct cubby_engine *engine = engine_on(&line, &eager);

    for (int64_t n = 1; n <= 70; n++)
        run_line(engine, n);
    ck_assert_uint_eq(stats_of_engine(engine).compiles, 71);
    ck_assert_uint_le(fake->alive("library"), 66);
    run_line(engine, 70);
    ck_assert_uint_eq(stats_of_engine(engine).compiles, 71);
    ck_assert_uint_eq(stats_of_engine(engine).cache_hits, 0);
    run_line(engine, 1); /* dropped, and found in the cache */
    ck_assert_uint_eq(stats_of_engine(engine).compiles, 71);
    ck_assert_uint_eq(stats_of_engine(engine).cache_hits, 1);
    cubby_engine_unref(engine);
}
END_TEST

/* As many as are kept, round and round: none is dropped, and there is nothing to wait for. */
START_TEST(as_many_shapes_as_are_kept) {
    const struct cubby_runtime_settings eager = settings_of(CUBBY_SPECIALIZATION_EAGER);
    struct cubby_engine *engine = engine_on(&line, &eager);

    for (int round = 0; round < 2; round++) {
        for (int64_t n = 1; n <= 64; n++)
            run_line(engine, n);
    }
    ck_assert_uint_eq(stats_of_engine(engine).compiles, 65);
    ck_assert_uint_eq(stats_of_engine(engine).cache_hits, 0);
    ck_assert_uint_eq(fake->calls("cuLibraryLoadData"), 65);
    cubby_engine_unref(engine);
}
END_TEST

/* Two shapes that alternate are served, though the places were taken by others before. */
START_TEST(new_shapes_push_old_ones_out) {
    struct cubby_engine *engine = engine_on(&line, NULL);
    uint64_t before;

    for (int64_t n = 1; n <= 63; n++)
        run_line(engine, n);
    cubby_engine_wait_kernels(engine);
    for (int i = 0; i < 3; i++) {
        run_line(engine, 1001);
        run_line(engine, 1002);
        cubby_engine_wait_kernels(engine);
    }
    before = stats_of_engine(engine).specialized_runs;
    run_line(engine, 1001);
    run_line(engine, 1002);
    ck_assert_uint_eq(stats_of_engine(engine).specialized_runs, before + 2);
    cubby_engine_unref(engine);
}
END_TEST

/* ---- Shared memory ----------------------------------------------------------------------- */

static const char SHARED_SOURCE[] = "extern __shared__ float of[];\n"
                                    "extern \"C\" __global__ void few(float *y) { *y = of[7]; }\n"
                                    "extern \"C\" __global__ void many(float *y) {\n"
                                    "    __shared__ float own[8192];\n"
                                    "    own[threadIdx.x] = of[threadIdx.x];\n"
                                    "    __syncthreads();\n"
                                    "    *y = own[(int)*y];\n"
                                    "}\n";

static const char SHARED_ENGINE[] =
    "{\"cubby_engine\": 1, \"name\": \"shared\","
    " \"dims\": [{\"name\": \"n\", \"min\": 1, \"opt\": 1, \"max\": 102400}],"
    " \"tensors\": [{\"name\": \"y\", \"dtype\": \"float32\", \"role\": \"output\", \"shape\": "
    "[]}],"
    " \"programs\": [{\"name\": \"p\", \"source\": \"shared.cu\"}],"
    " \"launches\": ["
    "  {\"program\": \"p\", \"kernel\": \"few\", \"grid\": [1], \"block\": [1],"
    "   \"shared_bytes\": \"n\", \"arguments\": [{\"tensor\": \"y\", \"access\": \"write\"}]},"
    "  {\"program\": \"p\", \"kernel\": \"few\", \"grid\": [1], \"block\": [1],"
    "   \"shared_bytes\": 61440, \"arguments\": [{\"tensor\": \"y\", \"access\": \"write\"}]},"
    "  {\"program\": \"p\", \"kernel\": \"many\", \"grid\": [1], \"block\": [32],"
    "   \"shared_bytes\": 32768, \"arguments\": [{\"tensor\": \"y\", \"access\": \"write\"}]}]}";

static void run_shared(struct cubby_engine *engine, int64_t n) {
    struct cubby_device_memory *memory;
    struct cubby_engine_buffer buffer = {0, sizeof(float)};
    const struct cubby_engine_call call = {&n, 1, &buffer, 1};

    ck_ok(cubby_device_memory_new(0, sizeof(float), &memory, &error), &error);
    buffer.address = cubby_device_memory_address(memory);
    ck_ok(cubby_engine_enqueue(engine, &call, &error), &error);
    ck_ok(cubby_engine_sync(engine, &error), &error);
    cubby_device_memory_free(memory);
}

/* One function, launched with more shared memory and with less, by two engines. */
START_TEST(shared_memory_is_allowed_for_all) {
    struct cubby_engine *engines[2];
    char *path = path_in(line.folder, "shared.cu");

    write_file(path, SHARED_SOURCE, strlen(SHARED_SOURCE));
    free(path);
    cubby_engine_plan_unref(line.plan);
    ck_ok(cubby_engine_plan_parse(SHARED_ENGINE, strlen(SHARED_ENGINE), line.folder, &line.plan,
                                  &error),
          &error);
    for (int i = 0; i < 2; i++)
        engines[i] = engine_on(&line, NULL);
    run_shared(engines[0], 102400);
    run_shared(engines[1], 60000);
    run_shared(engines[0], 102400);
    run_shared(engines[1], 1);
    for (int i = 0; i < 2; i++)
        cubby_engine_unref(engines[i]);
}
END_TEST

/* ---- What goes wrong --------------------------------------------------------------------- */

static struct cubby_engine *engine_with(const char *source,
                                        const struct cubby_runtime_settings *settings) {
    struct cubby_engine *engine;

    cubby_engine_plan_unref(line.plan);
    line.plan = line_with(&line, source);
    engine = engine_on(&line, settings);
    return engine;
}

START_TEST(a_specialisation_that_fails_stays_generic) {
    static const char SOURCE[] = "#if defined(CUBBY_DIM_n) && CUBBY_DIM_n == 13\n"
                                 "#error unlucky\n"
                                 "#endif\n"
                                 "template <typename T>\n"
                                 "__global__ void twice(const T *x, T *y, int n) {}\n";
    const struct cubby_runtime_settings settings =
        settings_of((enum cubby_specialization_strategy)_i);
    struct cubby_engine *engine = engine_with(SOURCE, &settings);
    struct cubby_engine_stats stats;

    for (int i = 0; i < 3; i++) {
        run_line(engine, 13);
        cubby_engine_wait_kernels(engine);
    }
    stats = stats_of_engine(engine);
    ck_assert_uint_eq(stats.failures, 1);
    ck_assert_uint_eq(stats.generic_runs, 3);
    ck_assert_uint_eq(stats.specialized_runs, 0);
    ck_assert_uint_eq(stats.swaps, 0);
    run_line(engine, 14);
    cubby_engine_wait_kernels(engine);
    run_line(engine, 14);
    ck_assert_uint_ge(stats_of_engine(engine).specialized_runs, 1);
    cubby_engine_unref(engine);
}
END_TEST

START_TEST(a_program_that_does_not_compile_is_told_with_its_log) {
    struct cubby_engine *engine = engine_with("#error no such luck\n", NULL);

    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(try_line(engine, 5, &error), CUBBY_ERR_COMPILE);
        ck_assert_ptr_nonnull(error.log);
        ck_assert_ptr_nonnull(strstr(error.log, "no such luck"));
        cubby_error_clear(&error);
    }
    ck_assert_uint_eq(stats_of_engine(engine).enqueues, 0);
    cubby_engine_unref(engine);
}
END_TEST

/* Both programs lack a header: when it is there, both are compiled. */
START_TEST(reasons_of_failures_go_away) {
    static const char TWICE_WITH[] = "#include \"late.h\"\n"
                                     "template <typename T>\n"
                                     "__global__ void twice(const T *x, T *y, int n) {}\n";
    static const char ONE_WITH[] =
        "#include \"late.h\"\n"
        "extern \"C\" __global__ void add(const float *x, float *y, long long n, float what) {}\n";
    char *one = path_in(line.folder, "one.cu"), *late = path_in(line.folder, "late.h");
    struct cubby_engine *engine;

    write_file(one, ONE_WITH, strlen(ONE_WITH));
    engine = engine_with(TWICE_WITH, NULL);
    ck_assert_int_eq(try_line(engine, 5, &error), CUBBY_ERR_COMPILE);
    cubby_error_clear(&error);
    write_file(late, "\n", 1);
    run_line(engine, 5);
    cubby_engine_unref(engine);
    free(one);
    free(late);
}
END_TEST

START_TEST(a_kernel_with_other_parameters_is_refused) {
    struct cubby_engine *engine =
        engine_with("template <typename T> __global__ void twice(const T *x, T *y) {}\n", NULL);

    assert_failure(try_line(engine, 5, &error), CUBBY_ERR_INVALID, "/launches/0/arguments");
    cubby_engine_unref(engine);
}
END_TEST

/* Each call of the driver fails in turn: an error then, nothing is left behind, and the engine goes
 * on as soon as the driver does. */
START_TEST(the_driver_fails_at_any_call) {
    static const char *const CALLS[] = {
        "cuDevicePrimaryCtxRetain", "cuStreamCreateWithPriority", "cuLibraryLoadData",
        "cuLibraryGetKernel",       "cuKernelGetFunction",        "cuMemAlloc_v2",
        "cuLaunchKernel",           "cuStreamSynchronize",        "cuCtxPushCurrent_v2"};
    unsigned failures = 0;
    char fault[80];

    for (size_t i = 0; i < sizeof(CALLS) / sizeof(*CALLS); i++) {
        for (unsigned n = 1; n <= 6; n++) {
            struct cubby_engine *engine = engine_on(&line, NULL);

            snprintf(fault, sizeof(fault), "%s@%u=2", CALLS[i], fake->calls(CALLS[i]) + n);
            setenv("FAKE_CUDA_FAIL", fault, 1);
            if (try_line(engine, 77, &error) < 0) {
                failures++;
                ck_assert_msg(error.message[0] != '\0', "%s", fault);
            }
            cubby_engine_wait_kernels(engine);
            unsetenv("FAKE_CUDA_FAIL");
            cubby_error_clear(&error);
            run_line(engine, 77);
            cubby_engine_unref(engine);
        }
    }
    ck_assert_uint_ge(failures, 12);
}
END_TEST

START_TEST(there_is_no_driver) {
    struct cubby_engine *engine;

    if (!tests_are_apart())
        return;
    setenv("CUBBY_CUDA", "/nowhere/libcuda.so.1", 1);
    ck_assert_int_eq(cubby_engine_new(line.plan, NULL, &engine, &error), CUBBY_ERR_NO_DRIVER);
    ck_assert_ptr_nonnull(strstr(error.message, "/nowhere/libcuda.so.1"));
}
END_TEST

/* ---- Ends -------------------------------------------------------------------------------- */

START_TEST(ends_while_kernels_are_compiled) {
    for (int64_t n = 1; n < 6; n++) {
        struct cubby_engine *engine = engine_on(&line, NULL);

        for (int64_t m = 0; m < 8; m++)
            ck_ok(try_line(engine, 100 * n + m, &error), &error);
        cubby_engine_unref(engine); /* some are under way, and some have not begun */
    }
}
END_TEST

/* A program that simply returns from main. */
START_TEST(a_process_ends_while_kernels_are_compiled) {
    pid_t child;
    int status;

    if (!tests_are_apart())
        return;
    child = fork();
    if (child == 0) {
        struct cubby_engine *engine = engine_on(&line, NULL);

        for (int64_t n = 1; n < 20; n++)
            try_line(engine, n, NULL);
        exit(7);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 7, "status 0x%x", (unsigned)status);
}
END_TEST

/* A child that drops what it got from its parent, whose threads compile. */
START_TEST(a_forked_child_ends_its_copies) {
    struct cubby_engine *engine = engine_on(&line, NULL);
    int status = 0;
    pid_t child;

    for (int64_t n = 1; n < 9; n++)
        run_line(engine, n);
    child = fork();
    if (child == 0) {
        alarm(20);
        cubby_engine_wait_kernels(engine);
        _exit(0);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
    cubby_engine_unref(engine);
}
END_TEST

/* ---- Callbacks --------------------------------------------------------------------------- */

struct caller {
    struct cubby_engine *engine;
    pthread_t thread;
    unsigned heard, busy;
};

static void call_back(enum cubby_log_level level, const char *text, void *context) {
    struct caller *caller = context;
    struct cubby_runtime_settings settings;
    struct cubby_error own = CUBBY_ERROR_INIT;

    (void)level;
    (void)text;
    if (!pthread_equal(pthread_self(), caller->thread))
        return;
    caller->heard++;
    cubby_engine_has_context(caller->engine);
    cubby_engine_get_settings(caller->engine, &settings);
    if (try_line(caller->engine, 3, &own) == CUBBY_ERR_BUSY &&
        strstr(own.message, "in the middle of a call"))
        caller->busy++;
    cubby_runtime_cache_unref(settings.runtime_cache);
    cubby_error_clear(&own);
}

START_TEST(a_callback_finds_it_busy) {
    struct cubby_runtime_settings settings = settings_of(CUBBY_SPECIALIZATION_NONE);
    const struct cubby_runtime_identity other = {"sm_80", "another toolchain", 13000};
    struct cubby_runtime_cache *handle = handle_for(&line, NULL);
    struct caller caller = {NULL, pthread_self(), 0, 0};

    ck_ok(cubby_runtime_cache_materialise(handle, &other, &error), &error);
    settings.runtime_cache = handle;
    caller.engine = engine_on(&line, &settings);
    cubby_log_set(call_back, CUBBY_LOG_WARN, &caller);
    run_line(caller.engine, 10); /* warns that the handle is of no use, and runs */
    cubby_log_set(NULL, CUBBY_LOG_WARN, NULL);
    ck_assert_uint_ge(caller.heard, 1);
    ck_assert_uint_eq(caller.busy, caller.heard);
    run_line(caller.engine, 10);
    cubby_engine_unref(caller.engine);
    cubby_runtime_cache_unref(handle);
}
END_TEST

/* ---- Memory ------------------------------------------------------------------------------ */

START_TEST(memory_is_bounded) {
    struct cubby_device_memory *memory;
    char bytes[16] = "fifteen letters";

    assert_failure(cubby_device_memory_new(0, 0, &memory, &error), CUBBY_ERR_INVALID, "0");
    assert_failure(cubby_device_memory_new(3, 1, &memory, &error), CUBBY_ERR_INVALID, "3");
    ck_ok(cubby_device_memory_new(0, 16, &memory, &error), &error);
    ck_ok(cubby_device_memory_write(memory, 0, bytes, 16, &error), &error);
    assert_failure(cubby_device_memory_write(memory, 1, bytes, 16, &error), CUBBY_ERR_INVALID,
                   "16");
    memset(bytes, 0, sizeof(bytes));
    ck_ok(cubby_device_memory_read(memory, 7, bytes, 9, &error), &error);
    ck_assert_str_eq(bytes, " letters");
    cubby_device_memory_free(memory);
    cubby_device_memory_free(NULL);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("runner");
    TCase *tests = tcase_create("runner");

    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, the_context_is_created_by_the_first_execute);
    tcase_add_test(tests, settings_before_the_first_execute_cost_no_context);
    tcase_add_test(tests, a_change_drops_the_context_and_creates_none);
    tcase_add_test(tests, equal_settings_change_nothing);
    tcase_add_test(tests, what_cannot_run_creates_no_context);
    tcase_add_test(tests, a_device_that_is_not_there_is_named);
    tcase_add_test(tests, buffers_are_checked);
    tcase_add_test(tests, lazy_runs_generic_and_swaps_later);
    tcase_add_test(tests, eager_compiles_first);
    tcase_add_test(tests, none_never_specialises);
    tcase_add_loop_test(tests, one_shape_asked_at_once_is_one_compile, 0, 2);
    tcase_add_test(tests, two_engines_share_what_they_can);
    tcase_add_test(tests, more_shapes_than_are_kept);
    tcase_add_test(tests, as_many_shapes_as_are_kept);
    tcase_add_test(tests, new_shapes_push_old_ones_out);
    tcase_add_test(tests, shared_memory_is_allowed_for_all);
    tcase_add_test(tests, reasons_of_failures_go_away);
    tcase_add_test(tests, a_forked_child_ends_its_copies);
    tcase_add_loop_test(tests, a_specialisation_that_fails_stays_generic, 0, 2);
    tcase_add_test(tests, a_program_that_does_not_compile_is_told_with_its_log);
    tcase_add_test(tests, a_kernel_with_other_parameters_is_refused);
    tcase_add_test(tests, the_driver_fails_at_any_call);
    tcase_add_test(tests, there_is_no_driver);
    tcase_add_test(tests, ends_while_kernels_are_compiled);
    tcase_add_test(tests, a_process_ends_while_kernels_are_compiled);
    tcase_add_test(tests, a_callback_finds_it_busy);
    tcase_add_test(tests, memory_is_bounded);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
