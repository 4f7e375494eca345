/* SPDX-License-Identifier: Apache-2.0 */
#include "runner_help.h"

#include <stdlib.h>
#include <string.h>

const char TWICE[] = "template <typename T>\n"
                     "__global__ void twice(const T *x, T *y, int n) {\n"
                     "#ifdef CUBBY_DIM_n\n"
                     "    n = CUBBY_DIM_n;\n"
                     "#endif\n"
                     "    int i = blockIdx.x * blockDim.x + threadIdx.x;\n"
                     "    if (i < n) y[i] = x[i] + x[i];\n"
                     "}\n";

static const char ONE[] =
    "extern \"C\" __global__ void add(const float *x, float *y, long long n, float what) {\n"
    "    int i = blockIdx.x * blockDim.x + threadIdx.x;\n"
    "    if (i < n) y[i] = x[i] + what;\n"
    "}\n";

static const char ENGINE[] =
    "{\"cubby_engine\": 1, \"name\": \"line\","
    " \"dims\": [{\"name\": \"n\", \"min\": 1, \"opt\": 64, \"max\": 4096}],"
    " \"tensors\": ["
    "  {\"name\": \"x\", \"dtype\": \"float32\", \"role\": \"input\", \"shape\": [\"n\"]},"
    "  {\"name\": \"between\", \"dtype\": \"float32\", \"role\": \"scratch\", \"shape\": [\"n\"]},"
    "  {\"name\": \"y\", \"dtype\": \"float32\", \"role\": \"output\", \"shape\": [\"n\"]}],"
    " \"programs\": [{\"name\": \"twice\", \"source\": \"twice.cu\", \"specialize\": [\"n\"]},"
    "                {\"name\": \"one\", \"source\": \"one.cu\"}],"
    " \"launches\": ["
    "  {\"program\": \"twice\", \"kernel\": \"twice<float>\", \"grid\": [[\"ceil_div\", \"n\", "
    "32]],"
    "   \"block\": [32], \"arguments\": [{\"tensor\": \"x\", \"access\": \"read\"},"
    "   {\"tensor\": \"between\", \"access\": \"write\"}, {\"dim\": \"n\"}]},"
    "  {\"program\": \"one\", \"kernel\": \"add\", \"grid\": [[\"ceil_div\", \"n\", 32]],"
    "   \"block\": [32], \"arguments\": [{\"tensor\": \"between\", \"access\": \"read\"},"
    "   {\"tensor\": \"y\", \"access\": \"write\"}, {\"dim\": \"n\", \"type\": \"int64\"},"
    "   {\"scalar\": 1, \"type\": \"float32\"}]}]}";

/* ---- The kernels, for the double --------------------------------------------------------- */

static int threads_of(const struct fake_launch *launch) {
    return (int)(launch->grid[0] * launch->block[0]);
}

static void run_twice(const struct fake_launch *launch, void **parameters, void *data) {
    const float *x = *(const float **)parameters[0];
    float *y = *(float **)parameters[1];
    const int n = *(const int *)parameters[2];

    (void)data;
    for (int i = 0; i < threads_of(launch) && i < n; i++)
        y[i] = x[i] + x[i];
}

static void run_add(const struct fake_launch *launch, void **parameters, void *data) {
    const float *x = *(const float **)parameters[0];
    float *y = *(float **)parameters[1];
    const long long n = *(const long long *)parameters[2];
    const float what = *(const float *)parameters[3];

    (void)data;
    for (int i = 0; i < threads_of(launch) && i < n; i++)
        y[i] = x[i] + what;
}

/* ---- The engine -------------------------------------------------------------------------- */

static void write_text(const char *folder, const char *name, const char *text) {
    char *path = path_in(folder, name);

    write_file(path, text, strlen(text));
    free(path);
}

struct cubby_engine_plan *line_with(const struct line *line, const char *source) {
    struct cubby_engine_plan *plan;

    write_text(line->folder, "twice.cu", source);
    ck_ok(cubby_engine_plan_parse(ENGINE, strlen(ENGINE), line->folder, &plan, &error), &error);
    return plan;
}

void line_attach(void) {
    fake->attach("_Z5twiceIfEvPKT_PS0_i", run_twice, NULL);
    fake->attach("add", run_add, NULL);
}

void line_set_up(struct line *line) {
    driver_set_up();
    line_attach();
    line->folder = scratch_dir();
    write_text(line->folder, "one.cu", ONE);
    line->plan = line_with(line, TWICE);
    line->cache = open_spec("memory", line->folder);
}

void line_tear_down(struct line *line) {
    cubby_engine_plan_unref(line->plan);
    cubby_cache_unref(line->cache);
    driver_tear_down();
}

struct cubby_runtime_settings settings_of(enum cubby_specialization_strategy strategy) {
    struct cubby_runtime_settings settings = CUBBY_RUNTIME_SETTINGS_INIT;

    settings.dynamic_shapes_kernel_specialization_strategy = strategy;
    return settings;
}

struct cubby_engine *engine_on(const struct line *line,
                               const struct cubby_runtime_settings *settings) {
    struct cubby_engine_options options = CUBBY_ENGINE_OPTIONS_INIT;
    struct cubby_engine *engine;

    options.cache = line->cache;
    options.settings = settings;
    ck_ok(cubby_engine_new(line->plan, &options, &engine, &error), &error);
    return engine;
}

struct cubby_engine_stats stats_of_engine(struct cubby_engine *engine) {
    struct cubby_engine_stats stats;

    cubby_engine_stats(engine, &stats);
    return stats;
}

/* ---- Running it -------------------------------------------------------------------------- */

static void fill(float *numbers, int64_t n) {
    for (int64_t i = 0; i < n; i++)
        numbers[i] = (float)(i % 1000) - 500;
}

static void check_numbers(const float *x, const float *y, int64_t n) {
    for (int64_t i = 0; i < n; i++)
        ck_assert_msg(y[i] == 2 * x[i] + 1, "%d of %d: %g", (int)i, (int)n, y[i]);
    for (int64_t i = n; i < LINE_NUMBERS; i++)
        ck_assert_msg(y[i] == -1, "%d behind %d: %g", (int)i, (int)n, y[i]);
}

static int run_on(struct cubby_engine *engine, int64_t n, struct cubby_device_memory *in,
                  struct cubby_device_memory *out, struct cubby_error *problem) {
    const struct cubby_engine_buffer buffers[] = {
        {cubby_device_memory_address(in), (uint64_t)n * sizeof(float)},
        {cubby_device_memory_address(out), (uint64_t)n * sizeof(float)}};
    const struct cubby_engine_call call = {&n, 1, buffers, 2};
    int result = cubby_engine_enqueue(engine, &call, problem);

    return result == 0 ? cubby_engine_sync(engine, problem) : result;
}

int try_line(struct cubby_engine *engine, int64_t n, struct cubby_error *problem) {
    const int device = cubby_engine_device(engine);
    float x[LINE_NUMBERS], y[LINE_NUMBERS];
    struct cubby_device_memory *in = NULL, *out = NULL;
    int result = cubby_device_memory_new(device, sizeof(x), &in, problem);

    fill(x, LINE_NUMBERS);
    for (int i = 0; i < LINE_NUMBERS; i++)
        y[i] = -1;
    if (result == 0)
        result = cubby_device_memory_new(device, sizeof(y), &out, problem);
    if (result == 0)
        result = cubby_device_memory_write(in, 0, x, sizeof(x), problem);
    if (result == 0)
        result = cubby_device_memory_write(out, 0, y, sizeof(y), problem);
    if (result == 0)
        result = run_on(engine, n, in, out, problem);
    if (result == 0)
        result = cubby_device_memory_read(out, 0, y, sizeof(y), problem);
    if (result == 0)
        check_numbers(x, y, n);
    cubby_device_memory_free(out);
    cubby_device_memory_free(in);
    return result;
}

void run_line(struct cubby_engine *engine, int64_t n) {
    struct cubby_error own = CUBBY_ERROR_INIT;

    ck_ok(try_line(engine, n, &own), &own);
}

/* ---- Runtime caches ---------------------------------------------------------------------- */

struct cubby_runtime_cache *handle_for(const struct line *line, const char *name) {
    struct cubby_runtime_cache_options options = CUBBY_RUNTIME_CACHE_OPTIONS_INIT;
    struct cubby_runtime_cache *handle;
    char *path = name ? path_in(line->folder, name) : NULL;

    options.path = path;
    ck_ok(cubby_runtime_cache_new(&options, &handle, &error), &error);
    free(path);
    return handle;
}

uint64_t kernels_in(struct cubby_runtime_cache *handle) {
    struct cubby_runtime_cache_stats stats;

    cubby_runtime_cache_stats(handle, &stats);
    return stats.kernels;
}
