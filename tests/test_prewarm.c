/* SPDX-License-Identifier: Apache-2.0 */
/* Programs of an engine compiled ahead of time, without a driver. */
#include "harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cubby/runner.h>

#include "os/dl.h"
#include "runtime/runtime_cache.h"
#include "runtime_help.h"
#include "store_tools.h"

static const char ENGINE[] =
    "{\"cubby_engine\": 1, \"name\": \"scale\","
    " \"dims\": [{\"name\": \"n\", \"min\": 1, \"opt\": 64, \"max\": 4096}],"
    " \"tensors\": [{\"name\": \"x\", \"dtype\": \"float32\", \"role\": \"input\", \"shape\": "
    "[\"n\"]},"
    "               {\"name\": \"y\", \"dtype\": \"float32\", \"role\": \"output\", \"shape\": "
    "[\"n\"]}],"
    " \"programs\": [{\"name\": \"p\", \"source\": \"scale.cu\", \"specialize\": [\"n\"]}],"
    " \"launches\": [{\"program\": \"p\", \"kernel\": \"scale\","
    "                \"grid\": [[\"ceil_div\", \"n\", 256]], \"block\": [256],"
    "                \"arguments\": [{\"tensor\": \"x\", \"access\": \"read\"},"
    "                                {\"tensor\": \"y\", \"access\": \"write\"}, {\"dim\": "
    "\"n\"}]}]}";

static const char SOURCE[] =
    "#include \"factor.h\"\n"
    "extern \"C\" __global__ void scale(const float *x, float *y, int n) {\n"
    "    int i = blockIdx.x * blockDim.x + threadIdx.x;\n"
    "    if (i < n) y[i] = x[i] * FACTOR;\n"
    "}\n";

/* The same, and reads no header. */
static const char PLAIN[] =
    "extern \"C\" __global__ void scale(const float *x, float *y, int n) {\n"
    "    int i = blockIdx.x * blockDim.x + threadIdx.x;\n"
    "    if (i < n) y[i] = x[i] * 2.0f;\n"
    "}\n";

static struct cubby_error error;
static const char *folder;
static struct cubby_engine_plan *plan;

static void write_text(const char *name, const char *text) {
    char *path = path_in(folder, name);

    write_file(path, text, strlen(text));
    free(path);
    /* What was written just before a compile may have changed during it, as far as its time tells.
     */
    nanosleep(&(struct timespec){0, 30000000}, NULL);
}

static void set_up(void) {
    folder = scratch_dir();
    write_text("scale.cu", SOURCE);
    write_text("factor.h", "#define FACTOR 2.0f\n");
    ck_ok(cubby_engine_plan_parse(ENGINE, strlen(ENGINE), folder, &plan, &error), &error);
}

static void tear_down(void) {
    cubby_engine_plan_unref(plan);
    cubby_error_clear(&error);
}

struct seen {
    unsigned compiled, runtime, other;
    bool is_specialized;
};

static void see(const struct cubby_engine_program *program, bool is_specialized,
                const struct cubby_object *object, const struct cubby_outcome *outcome,
                void *context) {
    struct seen *seen = context;

    ck_assert_str_eq(program->name, "p");
    if (program->options->source == CUBBY_SOURCE_CUDA)
        ck_assert_ptr_nonnull(cubby_object_lowered_name(object, "scale"));
    seen->is_specialized = is_specialized;
    if (outcome->kind == CUBBY_OUTCOME_COMPILED)
        seen->compiled++;
    else if (outcome->kind == CUBBY_OUTCOME_HIT && strcmp(outcome->tier, "runtime") == 0)
        seen->runtime++;
    else
        seen->other++;
}

static struct seen prewarm(struct cubby_cache *cache, struct cubby_runtime_cache *kernels,
                           const int64_t *dims) {
    struct cubby_prewarm_options options = CUBBY_PREWARM_OPTIONS_INIT;
    struct seen seen = {0};

    options.arch = "sm_80";
    options.cache = cache;
    options.runtime_cache = kernels;
    options.visit = see;
    options.context = &seen;
    ck_ok(cubby_engine_plan_prewarm(plan, dims, &options, &error), &error);
    ck_assert_int_eq(seen.is_specialized, dims != NULL);
    return seen;
}

static struct cubby_runtime_cache *open_kernels(void) {
    struct cubby_runtime_cache_options options = CUBBY_RUNTIME_CACHE_OPTIONS_INIT;
    struct cubby_runtime_cache *kernels;
    char *path = path_in(folder, "kernels.bin");

    options.path = path;
    ck_ok(cubby_runtime_cache_new(&options, &kernels, &error), &error);
    cubby_runtime_cache_load(kernels);
    free(path);
    return kernels;
}

static const int64_t N[] = {64}, M[] = {63};

START_TEST(compiles_each_once) {
    struct cubby_cache *cache = open_spec("memory", folder);

    ck_assert_uint_eq(prewarm(cache, NULL, NULL).compiled, 1);
    ck_assert_uint_eq(prewarm(cache, NULL, N).compiled, 1);
    ck_assert_uint_eq(prewarm(cache, NULL, M).compiled, 1);
    ck_assert_uint_eq(prewarm(cache, NULL, NULL).other, 1);
    ck_assert_uint_eq(prewarm(cache, NULL, N).other, 1);
    cubby_cache_unref(cache);
}
END_TEST

/* With no cache at all, and a program that reads a header: the manifest is kept as well. */
START_TEST(a_runtime_cache_is_enough) {
    struct cubby_runtime_cache *kernels = open_kernels();
    struct cubby_runtime_cache_stats stats;

    ck_assert_uint_eq(prewarm(NULL, kernels, NULL).compiled, 1);
    ck_assert_uint_eq(prewarm(NULL, kernels, N).compiled, 1);
    cubby_runtime_cache_stats(kernels, &stats);
    ck_assert_uint_eq(stats.kernels, 2);
    ck_assert_uint_eq(stats.inserts, 2);
    ck_ok(cubby_runtime_cache_save(kernels, &error), &error);
    cubby_runtime_cache_unref(kernels);

    kernels = open_kernels();
    ck_assert_uint_eq(prewarm(NULL, kernels, NULL).runtime, 1);
    ck_assert_uint_eq(prewarm(NULL, kernels, N).runtime, 1);
    ck_assert_uint_eq(prewarm(NULL, kernels, M).compiled, 1);
    cubby_runtime_cache_stats(kernels, &stats);
    ck_assert_uint_eq(stats.hits, 2);
    ck_assert_uint_eq(stats.kernels, 3);
    cubby_runtime_cache_unref(kernels);
}
END_TEST

START_TEST(an_edited_header_is_seen_through_a_runtime_cache) {
    struct cubby_runtime_cache *kernels = open_kernels();

    ck_assert_uint_eq(prewarm(NULL, kernels, N).compiled, 1);
    ck_assert_uint_eq(prewarm(NULL, kernels, N).runtime, 1);
    write_text("factor.h", "#define FACTOR 3.0f\n");
    ck_assert_uint_eq(prewarm(NULL, kernels, N).compiled, 1);
    write_text("factor.h", "#define FACTOR 2.0f\n");
    ck_assert_uint_eq(prewarm(NULL, kernels, N).runtime, 1);
    cubby_runtime_cache_unref(kernels);
}
END_TEST

/* What a store has comes into the runtime cache, and the other way round. */
START_TEST(both_get_what_one_has) {
    struct cubby_cache *cache = open_spec("memory", folder);
    struct cubby_cache *other = open_spec("memory", folder);
    struct cubby_runtime_cache *kernels = open_kernels();

    ck_assert_uint_eq(prewarm(cache, NULL, N).compiled, 1);
    ck_assert_uint_eq(prewarm(cache, kernels, N).other, 1);
    ck_assert_uint_eq(prewarm(cache, kernels, N).runtime, 1);
    ck_assert_uint_eq(prewarm(other, kernels, N).runtime, 1);
    ck_assert_uint_eq(prewarm(other, NULL, N).other, 1);
    ck_assert_uint_eq(prewarm(other, kernels, M).compiled, 1);
    ck_assert_uint_eq(prewarm(other, NULL, M).other, 1);
    cubby_runtime_cache_unref(kernels);
    cubby_cache_unref(other);
    cubby_cache_unref(cache);
}
END_TEST

/* So it is where the runtime cache knows the program, but with another text of the header. */
START_TEST(a_store_gets_what_it_lacks) {
    struct cubby_cache *cache = open_spec("memory,file:@/store", folder);
    struct cubby_cache *file = open_spec("file:@/store", folder);
    struct cubby_runtime_cache *kernels = open_kernels();
    struct cubby_store_stats before, after;

    ck_assert_uint_eq(prewarm(cache, kernels, N).compiled, 1);
    write_text("factor.h", "#define FACTOR 3.0f\n");
    ck_assert_uint_eq(prewarm(NULL, kernels, N).compiled, 1);
    ck_assert_uint_eq(prewarm(file, kernels, N).runtime, 1);
    ck_ok(cubby_cache_tier_stats(file, 0, &before, &error), &error);
    ck_assert_uint_eq(before.entries[CUBBY_ENTRY_OBJECT], 2);
    ck_assert_uint_eq(prewarm(file, NULL, N).other, 1);
    write_text("factor.h", "#define FACTOR 2.0f\n");
    ck_assert_uint_eq(prewarm(file, NULL, N).other, 1);
    /* Where all have all, nothing is written. */
    ck_assert_uint_eq(prewarm(file, kernels, N).runtime, 1);
    ck_ok(cubby_cache_flush(file, &error), &error);
    ck_ok(cubby_cache_tier_stats(file, 0, &before, &error), &error);
    ck_assert_uint_eq(prewarm(file, kernels, N).runtime, 1);
    ck_ok(cubby_cache_flush(file, &error), &error);
    ck_ok(cubby_cache_tier_stats(file, 0, &after, &error), &error);
    ck_assert_uint_eq(after.counters.puts, before.counters.puts);
    cubby_runtime_cache_unref(kernels);
    cubby_cache_unref(file);
    cubby_cache_unref(cache);
}
END_TEST

/* Kernels that were made where there is a driver stay where one without adds to them. */
START_TEST(keeps_what_a_driver_made) {
    struct cubby_runtime_cache *kernels = open_kernels();
    struct cubby_toolchain toolchain;
    struct cubby_runtime_identity there = {"sm_80", NULL, 13000}, older = {"sm_80", NULL, 12000};
    struct cubby_runtime_cache_stats stats;

    ck_ok(cubby_toolchain_find(NULL, &toolchain, &error), &error);
    there.toolchain = older.toolchain = toolchain.fingerprint;
    ck_ok(cubby_runtime_cache_materialise(kernels, &there, &error), &error);
    ck_assert_uint_eq(prewarm(NULL, kernels, N).compiled, 1);
    ck_ok(cubby_runtime_cache_save(kernels, &error), &error);
    cubby_runtime_cache_unref(kernels);

    kernels = open_kernels();
    ck_assert_uint_eq(prewarm(NULL, kernels, M).compiled, 1);
    ck_ok(cubby_runtime_cache_save(kernels, &error), &error);
    cubby_runtime_cache_unref(kernels);

    kernels = open_kernels();
    ck_ok(cubby_runtime_cache_materialise(kernels, &there, &error), &error);
    cubby_runtime_cache_stats(kernels, &stats);
    ck_assert_uint_eq(stats.kernels, 2);
    cubby_runtime_cache_unref(kernels);

    kernels = open_kernels(); /* and still count as made with that one */
    ck_ok(cubby_runtime_cache_materialise(kernels, &older, &error), &error);
    cubby_runtime_cache_stats(kernels, &stats);
    ck_assert_uint_eq(stats.kernels, 0);
    ck_assert_uint_eq(stats.rejects, 1);
    cubby_runtime_cache_unref(kernels);
    cubby_toolchain_clear(&toolchain);
}
END_TEST

/* Each program that is asked for is one look-up, in the handle and in the stores, also where it
 * reads headers, which are looked for under another key. */
START_TEST(each_program_counts_once) {
    struct cubby_cache *cache = open_spec("file:@/store", folder);
    struct cubby_runtime_cache *kernels = open_kernels();
    struct cubby_runtime_cache_stats handle;
    struct cubby_store_stats store;

    ck_assert_uint_eq(prewarm(cache, kernels, N).compiled, 1);
    ck_assert_uint_eq(prewarm(cache, kernels, N).runtime, 1);
    cubby_runtime_cache_stats(kernels, &handle);
    ck_assert_uint_eq(handle.misses, 1);
    ck_assert_uint_eq(handle.hits, 1);
    cubby_engine_plan_unref(plan);
    write_text("scale.cu", PLAIN);
    ck_ok(cubby_engine_plan_parse(ENGINE, strlen(ENGINE), folder, &plan, &error), &error);
    ck_assert_uint_eq(prewarm(cache, kernels, N).compiled, 1);
    cubby_runtime_cache_stats(kernels, &handle);
    ck_assert_uint_eq(handle.misses, 2);
    ck_assert_uint_eq(prewarm(cache, NULL, M).compiled, 1);
    ck_assert_uint_eq(prewarm(cache, kernels, M).other, 1);
    ck_assert_uint_eq(prewarm(cache, kernels, M).runtime, 1);
    cubby_runtime_cache_stats(kernels, &handle);
    ck_assert_uint_eq(handle.misses, 3); /* two compiled, one found behind it */
    ck_assert_uint_eq(handle.hits, 2);
    ck_ok(cubby_cache_flush(cache, &error), &error);
    ck_ok(cubby_cache_tier_stats(cache, 0, &store, &error), &error);
    ck_assert_uint_eq(store.counters.misses, 3); /* compiled */
    ck_assert_uint_eq(store.counters.hits, 3);
    cubby_runtime_cache_unref(kernels);
    cubby_cache_unref(cache);
}
END_TEST

static bool is_loaded(void) {
    char path[PATH_MAX];

    return dl_loaded_path("libnvrtc.so", path);
}

/* What a process makes, and keeps in the file alone. */
static void fill_file(void *unused) {
    struct cubby_runtime_cache *kernels = open_kernels();

    (void)unused;
    ck_assert_uint_eq(prewarm(NULL, kernels, NULL).compiled, 1);
    ck_assert_uint_eq(prewarm(NULL, kernels, N).compiled, 1);
    ck_assert(is_loaded());
    ck_ok(cubby_runtime_cache_save(kernels, &error), &error);
    cubby_runtime_cache_unref(kernels);
}

/* What one does that starts with it. */
static void use_file(void *unused) {
    struct cubby_runtime_cache *kernels = open_kernels();
    struct cubby_runtime_cache_stats stats;

    (void)unused;
    ck_assert_uint_eq(prewarm(NULL, kernels, NULL).runtime, 1);
    ck_assert_uint_eq(prewarm(NULL, kernels, N).runtime, 1);
    ck_assert(!is_loaded());
    cubby_runtime_cache_stats(kernels, &stats);
    ck_assert_uint_eq(stats.kernels, 2);
    ck_assert_uint_eq(stats.rejects, 0);
    ck_assert_uint_eq(prewarm(NULL, kernels, M).compiled, 1);
    ck_assert(is_loaded());
    cubby_runtime_cache_unref(kernels);
}

/* The runtime cache tells which compiler there is, as its file is still the one that it was. */
START_TEST(a_warm_runtime_cache_loads_no_compiler) {
    if (!tests_are_apart())
        return;
    end_child(start_child(fill_file, NULL));
    end_child(start_child(use_file, NULL));
    end_child(start_child(use_file, NULL));
}
END_TEST

/* ---- Without NVRTC ----------------------------------------------------------------------- */

/* It is not installed here. */
static void use_file_alone(void *unused) {
    struct cubby_runtime_cache *kernels = open_kernels();
    struct cubby_prewarm_options options = CUBBY_PREWARM_OPTIONS_INIT;
    struct cubby_runtime_cache_stats stats;

    (void)unused;
    setenv("CUBBY_NVRTC", "/nowhere/libnvrtc.so.13", 1);
    ck_assert_uint_eq(prewarm(NULL, kernels, NULL).runtime, 1);
    ck_assert_uint_eq(prewarm(NULL, kernels, N).runtime, 1);
    options.arch = "sm_80";
    options.runtime_cache = kernels;
    ck_assert_int_eq(cubby_engine_plan_prewarm(plan, M, &options, &error), CUBBY_ERR_NO_TOOLCHAIN);
    ck_assert_ptr_nonnull(strstr(error.message, "/nowhere/libnvrtc.so.13"));
    cubby_error_clear(&error);
    write_text("factor.h", "#define FACTOR 3.0f\n"); /* a change is still seen */
    ck_assert_int_eq(cubby_engine_plan_prewarm(plan, N, &options, &error), CUBBY_ERR_NO_TOOLCHAIN);
    cubby_error_clear(&error);
    write_text("factor.h", "#define FACTOR 2.0f\n");
    ck_ok(cubby_runtime_cache_save(kernels, &error), &error);
    cubby_runtime_cache_stats(kernels, &stats);
    ck_assert_uint_eq(stats.kernels, 2);
    ck_assert_uint_eq(stats.rejects, 0);
    cubby_runtime_cache_unref(kernels);
}

/* What a runtime cache has was made by the compiler that it names: without another, it is used. */
START_TEST(a_warm_runtime_cache_needs_no_compiler) {
    if (!tests_are_apart())
        return;
    end_child(start_child(fill_file, NULL));
    end_child(start_child(use_file_alone, NULL));
    end_child(start_child(use_file, NULL)); /* and still says by which one it was made */
}
END_TEST

/* Writes what SOURCE is as PTX, and the engine of it. */
static void make_ptx(void *unused) {
    struct cubby_program_options options = CUBBY_PROGRAM_OPTIONS_INIT;
    struct cubby_program *program;
    struct cubby_object *object;
    char *path = path_in(folder, "scale.ptx");

    (void)unused;
    options.target = CUBBY_TARGET_PTX;
    options.arch = "sm_80";
    ck_ok(cubby_program_new(PLAIN, strlen(PLAIN), &options, &program, &error), &error);
    ck_ok(cubby_compile(NULL, program, 0, &object, NULL, &error), &error);
    write_file(path, cubby_object_data(object), cubby_object_size(object));
    cubby_object_unref(object);
    cubby_program_unref(program);
    free(path);
}

static void use_ptx(void *unused) {
    static const char CUDA[] = "scale.cu\", \"specialize\": [\"n\"]";
    struct cubby_runtime_cache *kernels = open_kernels();
    const char *at = strstr(ENGINE, CUDA);
    char *text;

    (void)unused;
    setenv("CUBBY_NVRTC", "/nowhere/libnvrtc.so.13", 1);
    setenv("CUBBY_CUDA", "/nowhere/libcuda.so.1", 1);
    ck_assert_ptr_nonnull(at);
    ck_assert_int_gt(asprintf(&text, "%.*sscale.ptx\", \"kind\": \"ptx\"%s", (int)(at - ENGINE),
                              ENGINE, at + strlen(CUDA)),
                     0);
    cubby_engine_plan_unref(plan);
    ck_ok(cubby_engine_plan_parse(text, strlen(text), folder, &plan, &error), &error);
    ck_assert_uint_eq(prewarm(NULL, kernels, NULL).compiled, 1);
    ck_ok(cubby_runtime_cache_save(kernels, &error), &error);
    cubby_runtime_cache_unref(kernels);
    kernels = open_kernels();
    ck_assert_uint_eq(prewarm(NULL, kernels, NULL).runtime, 1);
    cubby_runtime_cache_unref(kernels);
    free(text);
}

static void use_both(void *unused) {
    struct cubby_runtime_cache *kernels = open_kernels();
    struct cubby_runtime_cache_stats stats;

    (void)unused;
    ck_assert_uint_eq(prewarm(NULL, kernels, N).compiled, 1);
    ck_ok(cubby_runtime_cache_save(kernels, &error), &error);
    cubby_runtime_cache_stats(kernels, &stats);
    ck_assert_uint_eq(stats.kernels, 2);
    ck_assert_uint_eq(stats.rejects, 0);
    cubby_runtime_cache_unref(kernels);
}

/* No program of an engine is CUDA C++: NVRTC is not looked for. */
START_TEST(an_engine_of_ptx_needs_no_nvrtc) {
    struct cubby_tool_info linker;

    if (!tests_are_apart() || cubby_tool_find(NULL, CUBBY_TOOL_NVJITLINK, &linker, NULL) < 0)
        return;
    cubby_tool_info_clear(&linker);
    end_child(start_child(make_ptx, NULL));
    end_child(start_child(use_ptx, NULL));
    end_child(start_child(use_both, NULL));
}
END_TEST

/* Who needs no toolchain took over one that is not in use any more: what it made goes, once it is
 * known which is. */
START_TEST(a_toolchain_that_was_taken_over_gives_way) {
    const struct cubby_runtime_identity old = {"sm_80", "nvrtc of old", 0};
    struct cubby_runtime_cache *kernels = open_kernels();
    struct cubby_runtime_cache_stats stats;
    char *taken;

    ck_ok(cubby_runtime_cache_materialise(kernels, &old, &error), &error);
    insert(kernels, 1);
    ck_ok(cubby_runtime_cache_save(kernels, &error), &error);
    cubby_runtime_cache_unref(kernels);
    kernels = open_kernels();
    ck_ok(runtime_cache_materialise_any(kernels, "sm_80", 0, &taken, &error), &error);
    ck_assert_str_eq(taken, "nvrtc of old");
    free(taken);
    cubby_runtime_cache_stats(kernels, &stats);
    ck_assert_uint_eq(stats.kernels, 1);
    ck_assert_uint_eq(prewarm(NULL, kernels, N).compiled, 1);
    cubby_runtime_cache_stats(kernels, &stats);
    ck_assert_uint_eq(stats.kernels, 1);
    ck_assert_uint_eq(stats.rejects, 1);
    ck_assert_int_eq(cubby_runtime_cache_materialise(kernels, &old, &error), CUBBY_ERR_INVALID);
    cubby_error_clear(&error);
    ck_ok(runtime_cache_materialise_any(kernels, "sm_80", 0, &taken, &error), &error);
    ck_assert_ptr_eq(strstr(taken, "nvrtc 1"), taken);
    free(taken);
    ck_ok(cubby_runtime_cache_save(kernels, &error), &error);
    ck_assert_uint_eq(prewarm(NULL, kernels, N).runtime, 1);
    cubby_runtime_cache_unref(kernels);
}
END_TEST

START_TEST(says_what_is_wrong) {
    struct cubby_prewarm_options options = CUBBY_PREWARM_OPTIONS_INIT;
    const int64_t beyond[] = {5000};

    ck_assert_int_eq(cubby_engine_plan_prewarm(plan, N, &options, &error), CUBBY_ERR_INVALID);
    ck_assert_ptr_nonnull(strstr(error.message, "architecture"));
    cubby_error_clear(&error);
    options.arch = "sm_80";
    ck_assert_int_eq(cubby_engine_plan_prewarm(plan, beyond, &options, &error), CUBBY_ERR_INVALID);
    ck_assert_ptr_nonnull(strstr(error.message, "5000"));
    cubby_error_clear(&error);
    options.arch = "sm_1";
    ck_assert_int_lt(cubby_engine_plan_prewarm(plan, N, &options, &error), 0);
    cubby_error_clear(&error);
    options.version = 9;
    ck_assert_int_eq(cubby_engine_plan_prewarm(plan, N, &options, &error), CUBBY_ERR_INVALID);
    ck_assert_ptr_nonnull(strstr(error.message, "version 9"));
}
END_TEST

int main(void) {
    Suite *suite = suite_create("prewarm");
    TCase *tests = tcase_create("prewarm");

    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, compiles_each_once);
    tcase_add_test(tests, a_runtime_cache_is_enough);
    tcase_add_test(tests, an_edited_header_is_seen_through_a_runtime_cache);
    tcase_add_test(tests, both_get_what_one_has);
    tcase_add_test(tests, a_store_gets_what_it_lacks);
    tcase_add_test(tests, keeps_what_a_driver_made);
    tcase_add_test(tests, each_program_counts_once);
    tcase_add_test(tests, a_warm_runtime_cache_loads_no_compiler);
    tcase_add_test(tests, a_warm_runtime_cache_needs_no_compiler);
    tcase_add_test(tests, an_engine_of_ptx_needs_no_nvrtc);
    tcase_add_test(tests, a_toolchain_that_was_taken_over_gives_way);
    tcase_add_test(tests, says_what_is_wrong);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
