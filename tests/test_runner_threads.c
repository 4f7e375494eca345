/* SPDX-License-Identifier: Apache-2.0 */
/* Several threads on one engine: what one waits for, a compile or the device, keeps no other from
 * what it can do; and an engine whose settings change, or that others give back, meanwhile. */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "driver/stream.h"
#include "runner_help.h"

static struct line line;

/* ---- Gates ------------------------------------------------------------------------------- */

struct gate {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool is_closed;
    unsigned waiting;
};

#define GATE_INIT                                                                                  \
    { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false, 0 }

static void gate_set(struct gate *gate, bool is_closed) {
    pthread_mutex_lock(&gate->lock);
    gate->is_closed = is_closed;
    pthread_cond_broadcast(&gate->changed);
    pthread_mutex_unlock(&gate->lock);
}

static void gate_pass(struct gate *gate) {
    pthread_mutex_lock(&gate->lock);
    gate->waiting++;
    pthread_cond_broadcast(&gate->changed);
    while (gate->is_closed)
        pthread_cond_wait(&gate->changed, &gate->lock);
    gate->waiting--;
    pthread_mutex_unlock(&gate->lock);
}

static void gate_await(struct gate *gate, unsigned count) {
    pthread_mutex_lock(&gate->lock);
    while (gate->waiting < count)
        pthread_cond_wait(&gate->changed, &gate->lock);
    pthread_mutex_unlock(&gate->lock);
}

/* No compile begins while it is closed: each looks into the store before. */
static struct gate compiles = GATE_INIT;

/* The device does nothing while it is closed. */
static struct gate work = GATE_INIT;

/* ---- A store that has nothing, and keeps nothing ----------------------------------------- */

static int empty_get(struct cubby_backend *backend, enum cubby_entry_kind kind,
                     const struct cubby_key *key, struct cubby_blob **ret_blob,
                     struct cubby_error *problem) {
    (void)backend;
    (void)key;
    (void)ret_blob;
    (void)problem;
    if (kind == CUBBY_ENTRY_OBJECT)
        gate_pass(&compiles);
    return CUBBY_ERR_NOT_FOUND;
}

static int empty_put(struct cubby_backend *backend, enum cubby_entry_kind kind,
                     const struct cubby_key *key, struct cubby_blob *blob,
                     struct cubby_error *problem) {
    (void)backend;
    (void)kind;
    (void)key;
    (void)blob;
    (void)problem;
    return 0;
}

static int empty_remove(struct cubby_backend *backend, enum cubby_entry_kind kind,
                        const struct cubby_key *key, struct cubby_error *problem) {
    (void)backend;
    (void)kind;
    (void)key;
    (void)problem;
    return CUBBY_ERR_NOT_FOUND;
}

static int empty_iterate(struct cubby_backend *backend, cubby_entry_visitor visit, void *context,
                         struct cubby_error *problem) {
    (void)backend;
    (void)visit;
    (void)context;
    (void)problem;
    return 0;
}

static int empty_stats(struct cubby_backend *backend, struct cubby_store_stats *ret_stats,
                       struct cubby_error *problem) {
    (void)backend;
    (void)problem;
    *ret_stats = (struct cubby_store_stats){0};
    return 0;
}

static void empty_close(struct cubby_backend *backend) {
    (void)backend;
}

static const struct cubby_backend_ops EMPTY_OPS = {
    .abi = CUBBY_BACKEND_ABI,
    .name = "empty",
    .get = empty_get,
    .put = empty_put,
    .remove = empty_remove,
    .iterate = empty_iterate,
    .stats = empty_stats,
    .close = empty_close,
};

static struct cubby_backend empty = {.ops = &EMPTY_OPS};

static void set_up(void) {
    struct cubby_backend *tiers[] = {&empty};

    line_set_up(&line);
    cubby_cache_unref(line.cache);
    ck_ok(cubby_cache_open_backends(tiers, 1, &line.cache, &error), &error);
}

static void tear_down(void) {
    line_tear_down(&line);
}

/* ---- Another thread ---------------------------------------------------------------------- */

struct other {
    struct cubby_engine *engine; /* a reference */
    int64_t n;
    struct CUstream_st *caller; /* the stream that it works in; NULL for none */
    struct cubby_runtime_settings settings;
    atomic_bool is_done;
    pthread_t thread;
};

static void *other_runs(void *context) {
    struct other *other = context;

    run_line(other->engine, other->n);
    atomic_store(&other->is_done, true);
    cubby_engine_unref(other->engine);
    return NULL;
}

static void *other_prepares(void *context) {
    struct other *other = context;
    struct cubby_error own = CUBBY_ERROR_INIT;

    ck_ok(cubby_engine_prepare(other->engine, &other->n, 1, &own), &own);
    atomic_store(&other->is_done, true);
    cubby_engine_unref(other->engine);
    return NULL;
}

static void *other_syncs(void *context) {
    struct other *other = context;
    struct cubby_error own = CUBBY_ERROR_INIT;

    ck_ok(cubby_engine_sync(other->engine, &own), &own);
    atomic_store(&other->is_done, true);
    cubby_engine_unref(other->engine);
    return NULL;
}

static void *other_sets(void *context) {
    struct other *other = context;
    struct cubby_error own = CUBBY_ERROR_INIT;

    ck_ok(cubby_engine_set_settings(other->engine, &other->settings, &own), &own);
    atomic_store(&other->is_done, true);
    cubby_engine_unref(other->engine);
    return NULL;
}

static void start(struct other *other, struct cubby_engine *engine, void *(*does)(void *)) {
    other->engine = cubby_engine_ref(engine);
    ck_assert_int_eq(pthread_create(&other->thread, NULL, does, other), 0);
}

/* What asks an engine and changes nothing. */
static void look_at(struct cubby_engine *engine, bool has_context) {
    struct cubby_runtime_settings settings;

    ck_assert_int_eq(cubby_engine_has_context(engine), has_context);
    cubby_engine_get_settings(engine, &settings);
    cubby_runtime_cache_unref(settings.runtime_cache);
    ck_assert(!cubby_engine_has_external_stream(engine) ||
              cubby_engine_get_external_stream(engine));
    cubby_engine_is_monolithic_capturable(engine);
    stats_of_engine(engine);
}

/* ---- Compiles ---------------------------------------------------------------------------- */

/* _i: 0 an eager run, 1 preparing one, 2 and 3 the same where a graph is recorded. */
START_TEST(a_compile_holds_nobody_up) {
    struct cubby_runtime_settings eager = settings_of(CUBBY_SPECIALIZATION_EAGER);
    struct other other = {.n = 200};
    struct cubby_engine *engine;

    eager.cuda_graph_strategy = (enum cubby_cuda_graph_strategy)(_i / 2);
    engine = engine_on(&line, &eager);
    run_line(engine, 100);
    gate_set(&compiles, true);
    start(&other, engine, _i % 2 ? other_prepares : other_runs);
    gate_await(&compiles, 1);
    look_at(engine, true);
    for (int i = 0; i < 3; i++)
        run_line(engine, 100); /* it has what that needs */
    ck_assert(!atomic_load(&other.is_done));
    gate_set(&compiles, false);
    pthread_join(other.thread, NULL);
    run_line(engine, 200);
    ck_assert_uint_eq(stats_of_engine(engine).compiles, 3);
    ck_assert_uint_eq(stats_of_engine(engine).generic_runs, 0);
    ck_assert_uint_eq(stats_of_engine(engine).contexts, 1);
    cubby_engine_unref(engine);
}
END_TEST

/* Who waits begins anew with what was set: here with generic kernels, and another context. */
START_TEST(settings_change_while_a_compile_is_awaited) {
    const struct cubby_runtime_settings eager = settings_of(CUBBY_SPECIALIZATION_EAGER);
    const struct cubby_runtime_settings none = settings_of(CUBBY_SPECIALIZATION_NONE);
    struct cubby_engine *engine = engine_on(&line, &eager);
    struct other other = {.n = 200};

    run_line(engine, 100);
    gate_set(&compiles, true);
    start(&other, engine, other_runs);
    gate_await(&compiles, 1);
    ck_ok(cubby_engine_set_settings(engine, &none, &error), &error);
    ck_assert(!atomic_load(&other.is_done));
    gate_set(&compiles, false);
    pthread_join(other.thread, NULL);
    ck_assert_uint_eq(stats_of_engine(engine).generic_runs, 1);
    ck_assert_uint_eq(stats_of_engine(engine).contexts, 2);
    cubby_engine_unref(engine);
}
END_TEST

/* The one who waits has the last reference. */
START_TEST(the_engine_is_given_back_while_a_compile_is_awaited) {
    const struct cubby_runtime_settings settings =
        settings_of((enum cubby_specialization_strategy)_i);
    struct cubby_engine *engine = engine_on(&line, &settings);
    struct other other = {.n = 200};

    gate_set(&compiles, true);
    start(&other, engine, other_runs);
    gate_await(&compiles, 1);
    look_at(engine, true);
    cubby_engine_unref(engine);
    gate_set(&compiles, false);
    pthread_join(other.thread, NULL);
}
END_TEST

/* A lazy run that had to wait for its generic kernels runs these, whatever came meanwhile; the
 * specialised one is for the next. */
START_TEST(a_lazy_run_begins_generic) {
    struct cubby_engine *engine = engine_on(&line, NULL);

    for (int64_t n = 1; n < 4; n++) {
        run_line(engine, n);
        cubby_engine_wait_kernels(engine);
        run_line(engine, n);
    }
    ck_assert_uint_eq(stats_of_engine(engine).generic_runs, 3);
    ck_assert_uint_eq(stats_of_engine(engine).specialized_runs, 3);
    ck_assert_uint_eq(stats_of_engine(engine).swaps, 3);
    cubby_engine_unref(engine);
}
END_TEST

/* Compiles that have begun are waited for, as the kernels are saved with the handle; those who look
 * and those who run are not held up. */
START_TEST(a_handle_that_is_displaced_holds_nobody_up) {
    struct other other = {.settings = settings_of(CUBBY_SPECIALIZATION_NONE)};
    struct cubby_runtime_settings lazy = CUBBY_RUNTIME_SETTINGS_INIT;
    char *path = path_in(line.folder, "kernels.bin");
    struct cubby_runtime_cache *saved;
    struct cubby_engine *engine;

    lazy.runtime_cache_path = path;
    engine = engine_on(&line, &lazy);
    run_line(engine, 100);
    cubby_engine_wait_kernels(engine);
    gate_set(&compiles, true);
    run_line(engine, 200); /* generic */
    gate_await(&compiles, 1);
    other.settings.runtime_cache = handle_for(&line, NULL);
    start(&other, engine, other_sets);
    while (cubby_engine_has_context(engine))
        sched_yield();
    look_at(engine, false);
    ck_assert(!atomic_load(&other.is_done));
    gate_set(&compiles, false);
    pthread_join(other.thread, NULL);
    cubby_runtime_cache_unref(other.settings.runtime_cache);
    cubby_engine_unref(engine);
    saved = handle_for(&line, "kernels.bin");
    ck_assert(cubby_runtime_cache_load(saved));
    cubby_runtime_cache_unref(saved);
    free(path);
}
END_TEST

/* ---- The device -------------------------------------------------------------------------- */

static void pass_work(void *unused) {
    (void)unused;
    gate_pass(&work);
}

/* A run that waits for what is in a stream of the caller's. */
static void enqueue_behind(struct cubby_engine *engine, int64_t n, struct device_memory *memory,
                           struct CUstream_st *caller) {
    const struct cubby_engine_buffer buffers[] = {{memory->address, 4096},
                                                  {memory->address + 4096, 4096}};
    const struct cubby_engine_call call = {&n, 1, buffers, 2};
    struct cubby_stream_guard guard;

    cubby_stream_guard_enter(&guard, caller);
    ck_ok(cubby_engine_enqueue(engine, &call, &error), &error);
    cubby_stream_guard_leave(&guard);
}

/* _i: whether the launches are a graph. */
START_TEST(the_device_holds_nobody_up) {
    struct other syncs = {.n = 0}, sets = {.settings = settings_of(CUBBY_SPECIALIZATION_NONE)};
    struct cubby_runtime_settings eager = settings_of(CUBBY_SPECIALIZATION_EAGER);
    struct device_context *context;
    struct device_stream *caller;
    struct device_memory *memory;
    struct cubby_engine *engine;

    if (!tests_are_apart())
        return;
    eager.cuda_graph_strategy = (enum cubby_cuda_graph_strategy)_i;
    setenv("FAKE_CUDA_DEFER", "1", 1);
    fake->reset();
    line_attach();
    context = open_context(0);
    ck_ok(device_stream_new(context, 0, &caller, &error), &error);
    ck_ok(device_memory_new(context, 8192, NULL, &memory, &error), &error);
    engine = engine_on(&line, &eager);
    run_line(engine, 100);
    gate_set(&work, true);
    ck_ok(device_context_enter(context, &error), &error);
    ck_assert_int_eq(context->driver->api.cuLaunchHostFunc(caller->handle, pass_work, NULL), 0);
    device_context_leave(context);
    enqueue_behind(engine, 100, memory, caller->handle);
    start(&syncs, engine, other_syncs);
    gate_await(&work, 1);
    look_at(engine, true);
    enqueue_behind(engine, 100, memory, caller->handle);
    enqueue_behind(engine, 50, memory,
                   caller->handle); /* recorded anew, in the stream that waits */
    ck_assert(!atomic_load(&syncs.is_done));
    start(&sets, engine, other_sets);
    while (cubby_engine_has_context(engine))
        sched_yield();
    look_at(engine, false);
    ck_assert(!atomic_load(&sets.is_done));
    gate_set(&work, false);
    pthread_join(syncs.thread, NULL);
    pthread_join(sets.thread, NULL);
    run_line(engine, 100);
    cubby_engine_unref(engine);
    device_memory_free(memory);
    device_stream_free(caller);
    device_context_unref(context);
}
END_TEST

/* ---- All of it at once ------------------------------------------------------------------- */

#define RUNNERS 3
#define RUNS 40

static void *run_and_look(void *context) {
    struct other *other = context;

    for (int i = 0; i < RUNS; i++) {
        run_line(other->engine, 1 + (other->n + i) % 7);
        cubby_engine_has_context(other->engine);
        cubby_engine_get_external_stream(other->engine);
    }
    cubby_engine_unref(other->engine);
    return NULL;
}

/* Runs are right whatever is set, saved, compiled and waited for meanwhile. */
START_TEST(all_at_once) {
    struct cubby_runtime_settings settings = CUBBY_RUNTIME_SETTINGS_INIT;
    struct cubby_engine *engine = engine_on(&line, NULL);
    char *path = path_in(line.folder, "kernels.bin");
    struct other others[RUNNERS] = {{.n = 0}, {.n = 2}, {.n = 4}};

    for (int i = 0; i < RUNNERS; i++)
        start(&others[i], engine, run_and_look);
    for (int i = 0; i < 12; i++) {
        settings.dynamic_shapes_kernel_specialization_strategy =
            (enum cubby_specialization_strategy)(i % 3);
        settings.cuda_graph_strategy = (enum cubby_cuda_graph_strategy)(i % 2);
        settings.runtime_cache_path = i % 4 < 2 ? path : NULL;
        ck_ok(cubby_engine_set_settings(engine, &settings, &error), &error);
        run_line(engine, 9);
        ck_ok(cubby_engine_sync(engine, &error), &error);
    }
    for (int i = 0; i < RUNNERS; i++)
        pthread_join(others[i].thread, NULL);
    ck_assert_uint_eq(stats_of_engine(engine).enqueues, RUNNERS * RUNS + 12);
    ck_assert_uint_eq(stats_of_engine(engine).failures, 0);
    cubby_engine_unref(engine);
    free(path);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("runner threads");
    TCase *tests = tcase_create("threads");

    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, a_compile_holds_nobody_up, 0, 4);
    tcase_add_test(tests, settings_change_while_a_compile_is_awaited);
    tcase_add_loop_test(tests, the_engine_is_given_back_while_a_compile_is_awaited, 0, 3);
    tcase_add_test(tests, a_lazy_run_begins_generic);
    tcase_add_test(tests, a_handle_that_is_displaced_holds_nobody_up);
    tcase_add_loop_test(tests, the_device_holds_nobody_up, 0, 2);
    tcase_add_test(tests, all_at_once);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
