/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One kernel, compiled by NVRTC, through the layer over the CUDA driver: copies, launches, a graph
 * replayed and updated, two parts of the device. Without an argument on the machine's GPU; with
 * --double on the driver's double, where a function of this program stands for the kernel. Ends
 * with 77 where there is no NVRTC, no driver or no GPU.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cubby/cubby.h>

#include "driver/event.h"
#include "driver/graph.h"
#include "driver/green.h"
#include "driver/launch.h"
#include "driver/memory.h"
#include "driver/module.h"
#include "driver/stream.h"
#include "fake_cuda.h"

#define COUNT 100000u
#define SKIPPED 77

static const char SOURCE[] =
    "extern \"C\" __global__ void scale(float *data, float factor, unsigned count)\n"
    "{\n"
    "    unsigned i = blockIdx.x * blockDim.x + threadIdx.x;\n"
    "    if (i < count) data[i] *= factor;\n"
    "}\n";

static struct cubby_error error;
static float numbers[COUNT];

/* The end of the test where a call has failed. */
static void must(int result, int line) {
    if (result == 0)
        return;
    fprintf(stderr, "gpu_smoke.c:%d: %s\n%s", line, error.message, error.log ? error.log : "");
    exit(EXIT_FAILURE);
}

#define MUST(call) must((call), __LINE__)

static void check(int holds, const char *what, int line) {
    if (holds)
        return;
    fprintf(stderr, "gpu_smoke.c:%d: %s does not hold\n", line, what);
    exit(EXIT_FAILURE);
}

#define CHECK(condition) check((condition), #condition, __LINE__)

/* A rounding of each product would show; the numbers are chosen so that there is none. */
static void scale_on_host(const struct fake_launch *launch, void **parameters, void *data) {
    float *values = *(float **)parameters[0], factor = *(float *)parameters[1];
    unsigned count = *(unsigned *)parameters[2];

    (void)data;
    for (unsigned i = 0; i < launch->grid[0] * launch->block[0] && i < count; i++)
        values[i] *= factor;
}

static void use_double(const char *path) {
    const struct fake_cuda *controls = load_fake_cuda(path);

    CHECK(controls != NULL);
    controls->attach("scale", scale_on_host, NULL);
}

static struct cubby_object *compile(const char *arch) {
    struct cubby_program_options options = CUBBY_PROGRAM_OPTIONS_INIT;
    struct cubby_program *program;
    struct cubby_object *object;
    struct cubby_cache *cache;
    int result;

    options.name = "scale.cu";
    options.arch = arch;
    MUST(cubby_cache_open("memory", &cache, &error));
    MUST(cubby_program_new(SOURCE, strlen(SOURCE), &options, &program, &error));
    result = cubby_compile(cache, program, 0, &object, NULL, &error);
    if (result == CUBBY_ERR_NO_TOOLCHAIN) {
        printf("skipped: %s\n", error.message);
        exit(SKIPPED);
    }
    MUST(result);
    cubby_program_unref(program);
    cubby_cache_unref(cache);
    return object;
}

static struct device_context *context;
static struct device_stream *stream;
static struct device_memory *memory;
static struct CUfunc_st *function;

static int launch_blocks(struct CUfunc_st *of, float factor, unsigned threads,
                         struct CUstream_st *into) {
    unsigned count = COUNT;
    void *arguments[] = {&memory->address, &factor, &count};
    const struct kernel_launch one = {.name = "scale",
                                      .function = of,
                                      .grid = {(COUNT + threads - 1) / threads, 1, 1},
                                      .block = {threads, 1, 1},
                                      .arguments = arguments};

    return kernel_launch(context, &one, into, &error);
}

static int launch(struct CUfunc_st *of, float factor, struct CUstream_st *into) {
    return launch_blocks(of, factor, 256, into);
}

/* Each number is its index times the factor; then all begin anew. */
static void check_numbers(float factor) {
    MUST(device_memory_read(memory, 0, numbers, sizeof(numbers), stream->handle, &error));
    MUST(stream_sync(context->driver, stream->handle, &error));
    for (unsigned i = 0; i < COUNT; i++)
        CHECK(numbers[i] == (float)i * factor);
    for (unsigned i = 0; i < COUNT; i++)
        numbers[i] = (float)i;
    MUST(device_memory_write(memory, 0, numbers, sizeof(numbers), stream->handle, &error));
    MUST(stream_sync(context->driver, stream->handle, &error));
}

static void try_launches(void) {
    struct device_event *begin, *end;
    float milliseconds = -1;
    int device = -1;

    MUST(device_event_new(context, true, &begin, &error));
    MUST(device_event_new(context, true, &end, &error));
    MUST(device_event_record(begin, stream->handle, &error));
    MUST(launch(function, 2, stream->handle));
    MUST(launch(function, 4, stream->handle));
    MUST(device_event_record(end, stream->handle, &error));
    MUST(device_event_sync(end, &error));
    MUST(device_event_elapsed(begin, end, &milliseconds, &error));
    CHECK(milliseconds >= 0);
    check_numbers(8);
    MUST(stream_find_device(context->driver, stream->handle, &device, &error));
    CHECK(device == context->device.handle);
    device_event_free(begin);
    device_event_free(end);
}

/* What the driver refuses, in our words; the stream stays usable. */
static void try_failures(struct loaded_module *module) {
    struct CUfunc_st *nothing = NULL;

    CHECK(launch_blocks(function, 2, 4096, stream->handle) == CUBBY_ERR_INVALID);
    cubby_error_clear(&error);
    CHECK(loaded_module_function(module, "nothing", NULL, &nothing, &error) == CUBBY_ERR_NOT_FOUND);
    cubby_error_clear(&error);
    MUST(launch(function, 2, stream->handle));
    check_numbers(2);
}

static struct CUgraph_st *capture(float factor, int launches) {
    const struct driver *driver = context->driver;
    struct CUgraph_st *graph;

    MUST(capture_begin(driver, stream->handle, &error));
    for (int i = 0; i < launches; i++)
        MUST(launch(function, factor, stream->handle));
    MUST(capture_end(driver, stream->handle, &graph, &error));
    return graph;
}

static void try_graphs(void) {
    static const struct {
        float factor, expected;
        int launches;
        bool updated;
    } ROUNDS[] = {{2, 8, 3, false}, {4, 64, 3, true}, {2, 4, 2, false}};
    const struct driver *driver = context->driver;
    struct CUgraphExec_st *exec = NULL;

    for (size_t i = 0; i < sizeof(ROUNDS) / sizeof(*ROUNDS); i++) {
        struct CUgraph_st *graph = capture(ROUNDS[i].factor, ROUNDS[i].launches);
        bool updated = !ROUNDS[i].updated;

        MUST(graph_exec_set(driver, &exec, graph, &updated, &error));
        CHECK(updated == ROUNDS[i].updated);
        graph_free(driver, graph);
        MUST(graph_exec_launch(driver, exec, stream->handle, &error));
        check_numbers(ROUNDS[i].expected);
    }
    graph_exec_free(driver, exec);
}

/* A call that a capture forbids: the capture is lost, the stream is not. */
static void try_broken_capture(void) {
    struct CUgraph_st *graph = NULL;

    MUST(capture_begin(context->driver, stream->handle, &error));
    CHECK(stream_sync(context->driver, stream->handle, &error) == CUBBY_ERR_INVALID);
    cubby_error_clear(&error);
    CHECK(capture_end(context->driver, stream->handle, &graph, &error) == CUBBY_ERR_INVALID);
    cubby_error_clear(&error);
    MUST(launch(function, 2, stream->handle));
    check_numbers(2);
}

static void try_green(struct loaded_module *module) {
    struct green_division *division;
    struct CUfunc_st *own;
    int result = green_division_new(context, 2, 16, &division, &error);

    if (result == CUBBY_ERR_UNSUPPORTED || result == CUBBY_ERR_INVALID) {
        printf("not divided: %s\n", error.message);
        cubby_error_clear(&error);
        return;
    }
    MUST(result);
    for (unsigned i = 0; i < division->count; i++) {
        const struct green_part *part = &division->parts[i];

        MUST(loaded_module_function(module, "scale", part->context, &own, &error));
        MUST(launch(own, 2, part->stream));
        MUST(stream_sync(context->driver, part->stream, &error));
        printf("part %u: %u multiprocessors\n", i, part->multiprocessors);
    }
    check_numbers(4);
    green_division_free(division);
}

int main(int argc, char **argv) {
    struct cubby_key key = {{1}};
    struct loaded_module *module;
    struct cubby_object *object;

    if (argc > 2 && strcmp(argv[1], "--double") == 0)
        use_double(argv[2]);
    if (device_context_get(0, &context, &error) < 0) {
        printf("skipped: %s\n", error.message);
        return error.code == CUBBY_ERR_NO_DRIVER || error.code == CUBBY_ERR_INVALID ? SKIPPED
                                                                                    : EXIT_FAILURE;
    }
    printf("%s, %s, driver of CUDA %d.%d, %d multiprocessors\n", context->device.name,
           context->device.arch, context->driver->version / 1000,
           context->driver->version % 1000 / 10, context->device.multiprocessors);
    object = compile(context->device.arch);
    MUST(loaded_module_get(context, &key, cubby_object_data(object), &module, &error));
    MUST(loaded_module_function(module, "scale", NULL, &function, &error));
    MUST(device_stream_new(context, 0, &stream, &error));
    MUST(device_memory_new(context, sizeof(numbers), NULL, &memory, &error));
    MUST(device_memory_fill(memory, 0, stream->handle, &error));
    MUST(device_context_enter(context, &error));
    check_numbers(0);
    try_launches();
    try_failures(module);
    try_graphs();
    try_broken_capture();
    try_green(module);
    device_context_leave(context);
    device_memory_free(memory);
    device_stream_free(stream);
    loaded_module_unref(module);
    cubby_object_unref(object);
    device_context_unref(context);
    return EXIT_SUCCESS;
}
