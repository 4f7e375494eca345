/* SPDX-License-Identifier: Apache-2.0 */
/* cubby run */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cubby/runner.h>

#include "cli/cli.h"
#include "cli/engine_file.h"
#include "cli/program_args.h"
#include "cli/report.h"
#include "cli/run_tensors.h"
#include "cli/shapes.h"
#include "cli/timing.h"
#include "os/time.h"

enum {
    OPTION_DIMS = 1024,
    OPTION_STRATEGY,
    OPTION_RUNTIME_CACHE,
    OPTION_ITERATIONS,
    OPTION_WARMUP,
    OPTION_DEVICE,
    OPTION_INPUT,
    OPTION_OUTPUT,
    OPTION_OUTPUT_DIR,
    OPTION_SEED,
    OPTION_CUDA_GRAPH,
    OPTION_GREEN_CONTEXT
};

#define ITERATIONS_MAX 10000000
#define MULTIPROCESSORS_MAX 65536
#define DEFAULT_ITERATIONS 10
#define DEFAULT_WARMUP 3

static const struct argp_option OPTIONS[] = {
    {"dims", OPTION_DIMS, "NAME=N,...", 0,
     "Run for these values of the dims; more values of one, as in n=64,128,m=8, are more shapes, "
     "run one after another (repeatable; default: the values that the engine expects)",
     0},
    {"strategy", OPTION_STRATEGY, "WHEN", 0,
     "When to specialise: lazy (default: run now, compile meanwhile), eager (compile first) or "
     "none",
     0},
    {"runtime-cache", OPTION_RUNTIME_CACHE, "FILE", 0,
     "Take kernels from this runtime cache, and save there what was compiled", 0},
    {"iterations", OPTION_ITERATIONS, "N", 0, "Time so many runs of each shape (default: 10)", 0},
    {"warmup", OPTION_WARMUP, "N", 0,
     "Run so many times before, when specialised kernels are there (default: 3); with 0, do not "
     "wait for these",
     0},
    {"device", OPTION_DEVICE, "N", 0, "Run on this device, by its number (default: 0)", 0},
    {"input", OPTION_INPUT, "NAME=FILE.npy", 0,
     "Contents of an input (repeatable; default: random numbers)", 0},
    {"output", OPTION_OUTPUT, "NAME=FILE.npy", 0, "Write an output to FILE (repeatable)", 0},
    {"output-dir", OPTION_OUTPUT_DIR, "DIR", 0, "Write each output to a file in DIR", 0},
    {"seed", OPTION_SEED, "N", 0, "Of the random numbers (default: 0)", 0},
    {"cuda-graph", OPTION_CUDA_GRAPH, NULL, 0, "Record the launches as a CUDA graph, replay it", 0},
    {"green-context", OPTION_GREEN_CONTEXT, "N", 0,
     "Run on a part of the device that has so many multiprocessors", 0},
    {0},
};

struct run {
    const struct cli *cli;
    const char *path;
    struct program_args program;
    struct dims_args dims;
    struct tensor_args tensor_args;
    struct cubby_runtime_settings settings;
    size_t iterations, warmup;
    int device;
    unsigned multiprocessors; /* of a part of the device; 0 for all of it */

    struct cubby_engine_plan *plan;
    size_t program_count;
    struct shapes shapes;
    struct run_tensors tensors;
    struct cubby_engine *engine;
    struct cubby_green_division *part; /* NULL for none */
    int widest;                        /* of the shapes as text, once the table has its head */
};

/* ---- Command line ------------------------------------------------------------------------ */

static enum cubby_specialization_strategy parse_strategy(const struct argp_state *state,
                                                         const char *text) {
    enum cubby_specialization_strategy strategy = CUBBY_SPECIALIZATION_LAZY;
    const char *name;

    for (; (name = cubby_specialization_strategy_name(strategy)); strategy++) {
        if (strcmp(name, text) == 0)
            return strategy;
    }
    argp_error(state, "--strategy=%s: expected lazy, eager or none", text);
    return strategy;
}

static error_t parse(int key, char *argument, struct argp_state *state) {
    struct verb_input *input = state->input;
    struct run *run = input->own;

    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &run->program;
        state->child_inputs[1] = input;
        return 0;
    case OPTION_DIMS:
        dims_args_add(&run->dims, argument);
        return 0;
    case OPTION_STRATEGY:
        run->settings.dynamic_shapes_kernel_specialization_strategy =
            parse_strategy(state, argument);
        return 0;
    case OPTION_RUNTIME_CACHE:
        run->settings.runtime_cache_path = argument;
        return 0;
    case OPTION_ITERATIONS:
        run->iterations = parse_number(state, "--iterations", argument, 0, ITERATIONS_MAX);
        return 0;
    case OPTION_WARMUP:
        run->warmup = parse_number(state, "--warmup", argument, 0, ITERATIONS_MAX);
        return 0;
    case OPTION_DEVICE:
        run->device = (int)parse_number(state, "--device", argument, 0, INT32_MAX);
        return 0;
    case OPTION_INPUT:
        file_args_add(&run->tensor_args.inputs, argument);
        return 0;
    case OPTION_OUTPUT:
        file_args_add(&run->tensor_args.outputs, argument);
        return 0;
    case OPTION_OUTPUT_DIR:
        run->tensor_args.output_dir = argument;
        return 0;
    case OPTION_SEED:
        run->tensor_args.seed = parse_number(state, "--seed", argument, 0, UINT64_MAX);
        return 0;
    case OPTION_CUDA_GRAPH:
        run->settings.cuda_graph_strategy = CUBBY_CUDA_GRAPH_WHOLE_GRAPH_CAPTURE;
        return 0;
    case OPTION_GREEN_CONTEXT:
        run->multiprocessors =
            (unsigned)parse_number(state, "--green-context", argument, 1, MULTIPROCESSORS_MAX);
        return 0;
    case ARGP_KEY_ARG:
        if (run->path)
            argp_error(state, "%s: only one engine file can be run at a time", argument);
        run->path = argument;
        return 0;
    case ARGP_KEY_NO_ARGS:
        argp_error(state, "an engine file is missing");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_child CHILDREN[] = {
    {&compiler_argp, 0, "How to compile:", 1}, {&cli_argp, 0, "Common options:", 2}, {0}};
static const struct argp ARGP = {
    OPTIONS,
    parse,
    "ENGINE.json",
    "Runs an engine on the GPU, and says how long it takes. Programs come through the cache.",
    CHILDREN,
    NULL,
    NULL};

/* ---- What can be told without a driver --------------------------------------------------- */

static bool writes_to_stdout(const struct file_args *outputs) {
    for (size_t i = 0; i < outputs->count; i++) {
        const char *equals = strchr(outputs->texts[i], '=');

        if (equals && strcmp(equals + 1, "-") == 0)
            return true;
    }
    return false;
}

static int load(struct run *run, struct cubby_error *error) {
    int result = cubby_engine_plan_load(run->path, &run->plan, error);

    if (result == 0)
        result = shapes_make(run->plan, &run->dims, &run->shapes, error);
    if (result == 0)
        result = run_tensors_new(run->plan, &run->tensor_args, &run->shapes, &run->tensors, error);
    while (result == 0 && cubby_engine_plan_program(run->plan, run->program_count))
        run->program_count++;
    return result;
}

static int check_usage(struct run *run) {
    struct cubby_error error = CUBBY_ERROR_INIT;
    int status = STATUS_OK;

    if (run->cli->json && writes_to_stdout(&run->tensor_args.outputs)) {
        fputs("cubby: --json and --output NAME=- both want standard output: give --output a file\n",
              stderr);
        return STATUS_USAGE;
    }
    if (load(run, &error) < 0) {
        print_error(&error);
        status = engine_status(error.code);
    }
    cubby_error_clear(&error);
    return status;
}

/* ---- One shape --------------------------------------------------------------------------- */

/* What was measured of one. */
struct figures {
    uint64_t first_ns;
    uint64_t *each_ns;    /* so many as there are iterations */
    uint64_t specialized; /* programs that ran specialised in the last run */
};

/* One run from its call to its end; *ret_ns as long as that took. */
static int run_once(struct run *run, const struct cubby_engine_call *call, struct figures *figures,
                    uint64_t *ret_ns, struct cubby_error *error) {
    struct cubby_engine_stats before, after;
    uint64_t begin;
    int result;

    cubby_engine_stats(run->engine, &before);
    begin = monotonic_ns();
    result = cubby_engine_enqueue(run->engine, call, error);
    if (result == 0)
        result = cubby_engine_sync(run->engine, error);
    *ret_ns = monotonic_ns() - begin;
    cubby_engine_stats(run->engine, &after);
    figures->specialized = after.specialized_runs - before.specialized_runs;
    return result;
}

static int run_often(struct run *run, const struct cubby_engine_call *call, struct figures *figures,
                     struct cubby_error *error) {
    uint64_t ignored;
    int result = run_once(run, call, figures, &figures->first_ns, error);

    if (result == 0 && run->warmup > 0)
        cubby_engine_wait_kernels(run->engine);
    for (size_t i = 0; result == 0 && i < run->warmup; i++)
        result = run_once(run, call, figures, &ignored, error);
    for (size_t i = 0; result == 0 && i < run->iterations; i++)
        result = run_once(run, call, figures, &figures->each_ns[i], error);
    return result;
}

/* Runs a shape whose tensors have their memory, and keeps its outputs. */
static int run_placed(struct run *run, const int64_t *shape,
                      const struct cubby_engine_geometry *geometry,
                      const struct cubby_engine_buffer *buffers, struct figures *figures,
                      json_t *files, struct cubby_error *error) {
    const struct cubby_engine_call call = {shape, run->shapes.dim_count, buffers,
                                           run->tensors.count};
    int result = run_often(run, &call, figures, error);

    return result == 0 ? run_tensors_save(&run->tensors, shape, geometry, files, error) : result;
}

static int run_shape(struct run *run, const int64_t *shape, struct figures *figures, json_t *files,
                     struct cubby_error *error) {
    struct cubby_engine_buffer *buffers = calloc(run->tensors.count, sizeof(*buffers));
    struct cubby_engine_geometry *geometry = NULL;
    int result;

    if (!buffers)
        out_of_memory();
    result = cubby_engine_plan_evaluate(run->plan, shape, run->shapes.dim_count, &geometry, error);
    if (result == 0)
        result = run_tensors_place(&run->tensors, run->device, geometry, buffers, error);
    if (result == 0)
        result = run_placed(run, shape, geometry, buffers, figures, files, error);
    run_tensors_release(&run->tensors);
    cubby_engine_geometry_free(geometry);
    free(buffers);
    return result;
}

/* ---- What is told of it ------------------------------------------------------------------ */

static json_t *counters_json(struct cubby_engine *engine) {
    struct cubby_engine_stats stats;
    json_t *counters = json_object();

    cubby_engine_stats(engine, &stats);
    json_add(counters, "enqueues", json_integer((json_int_t)stats.enqueues));
    json_add(counters, "contexts", json_integer((json_int_t)stats.contexts));
    json_add(counters, "compiles", json_integer((json_int_t)stats.compiles));
    json_add(counters, "runtime_hits", json_integer((json_int_t)stats.runtime_hits));
    json_add(counters, "cache_hits", json_integer((json_int_t)stats.cache_hits));
    json_add(counters, "failures", json_integer((json_int_t)stats.failures));
    json_add(counters, "swaps", json_integer((json_int_t)stats.swaps));
    json_add(counters, "generic_runs", json_integer((json_int_t)stats.generic_runs));
    json_add(counters, "specialized_runs", json_integer((json_int_t)stats.specialized_runs));
    json_add(counters, "captures", json_integer((json_int_t)stats.captures));
    json_add(counters, "updates", json_integer((json_int_t)stats.updates));
    json_add(counters, "replays", json_integer((json_int_t)stats.replays));
    return counters;
}

static json_t *microseconds(bool known, double ns) {
    return known ? json_real((double)(uint64_t)(ns + 0.5) / 1000.0) : json_null();
}

static void print_json_row(const struct run *run, const int64_t *shape,
                           const struct figures *figures, const struct timing *timing,
                           json_t *files, const struct cubby_error *error) {
    const struct cubby_runtime_settings *settings = &run->settings;
    const char *strategy =
        cubby_specialization_strategy_name(settings->dynamic_shapes_kernel_specialization_strategy);
    const bool ran = error->code == CUBBY_OK, timed = ran && run->iterations > 0;
    json_t *row = json_object();

    json_add(row, "source", text_json(run->path));
    json_add(row, "engine", json_string(cubby_engine_plan_name(run->plan)));
    json_add(row, "dims", shape_json(run->plan, shape));
    json_add(row, "device", json_integer(run->device));
    json_add(row, "arch", json_string(cubby_engine_arch(run->engine)));
    json_add(row, "multiprocessors",
             run->part ? json_integer(cubby_green_division_part(run->part, 0)->multiprocessors)
                       : json_null());
    json_add(row, "strategy", json_string(strategy));
    json_add(row, "cuda_graph_strategy",
             json_string(cubby_cuda_graph_strategy_name(settings->cuda_graph_strategy)));
    json_add(row, "warmup", json_integer((json_int_t)run->warmup));
    json_add(row, "iterations", json_integer((json_int_t)run->iterations));
    json_add(row, "first_us", microseconds(ran, (double)figures->first_ns));
    json_add(row, "median_us", microseconds(timed, timing->median));
    json_add(row, "p99_us", microseconds(timed, timing->p99));
    json_add(row, "mean_us", microseconds(timed, timing->mean));
    json_add(row, "programs", json_integer((json_int_t)run->program_count));
    json_add(row, "specialized", json_integer((json_int_t)figures->specialized));
    json_add(row, "outputs", json_incref(files));
    json_add(row, "counters", counters_json(run->engine));
    if (!ran) {
        json_add(row, "error", text_json(error->message));
        json_add(row, "status", json_integer(engine_status(error->code)));
    }
    print_json(row);
    json_decref(row);
}

static void print_head(struct run *run) {
    const char *head = "shape";

    run->widest = (int)strlen(head);
    for (size_t i = 0; i < run->shapes.count; i++) {
        char *text = shape_text(run->plan, shapes_at(&run->shapes, i));

        if ((int)strlen(text) > run->widest)
            run->widest = (int)strlen(text);
        free(text);
    }
    fprintf(stderr, "%-*s  %12s  %12s  %12s  %12s  specialised\n", run->widest, head, "first [us]",
            "median [us]", "p99 [us]", "mean [us]");
}

static void print_row(struct run *run, const int64_t *shape, const struct figures *figures,
                      const struct timing *timing) {
    char *text = shape_text(run->plan, shape);

    if (run->widest == 0)
        print_head(run);
    fprintf(stderr, "%-*s  %12.1f", run->widest, *text ? text : "-",
            (double)figures->first_ns / 1000);
    if (run->iterations > 0)
        fprintf(stderr, "  %12.1f  %12.1f  %12.1f", timing->median / 1000, timing->p99 / 1000,
                timing->mean / 1000);
    else
        fprintf(stderr, "  %12s  %12s  %12s", "-", "-", "-");
    fprintf(stderr, "  %" PRIu64 " of %zu\n", figures->specialized, run->program_count);
    free(text);
}

/* Runs one shape and tells of it; its exit status. */
static int do_shape(struct run *run, const int64_t *shape) {
    struct figures figures = {.each_ns = calloc(run->iterations + 1, sizeof(*figures.each_ns))};
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct timing timing = {0};
    json_t *files = json_object();
    int result, status = STATUS_OK;

    if (!figures.each_ns || !files)
        out_of_memory();
    result = run_shape(run, shape, &figures, files, &error);
    if (result == 0 && run->iterations > 0)
        timing = timing_of(figures.each_ns, run->iterations);
    if (run->cli->json)
        print_json_row(run, shape, &figures, &timing, files, &error);
    else if (result == 0 && !run->cli->quiet)
        print_row(run, shape, &figures, &timing);
    if (result < 0) {
        print_error(&error);
        status = engine_status(error.code);
    }
    cubby_error_clear(&error);
    json_decref(files);
    free(figures.each_ns);
    return status;
}

/* ---- All of it --------------------------------------------------------------------------- */

/* Whether the machine has the device that was asked for. */
static bool has_device(int number) {
    struct cubby_device device;

    return cubby_device_find(&device, NULL) == 0 && number < device.count;
}

static int open_engine(struct run *run, struct cubby_cache *cache) {
    struct cubby_engine_options options = CUBBY_ENGINE_OPTIONS_INIT;
    struct cubby_error error = CUBBY_ERROR_INIT;
    int status = STATUS_OK;

    options.device = run->device;
    options.cache = cache;
    options.options = run->program.options;
    options.option_count = run->program.option_count;
    options.settings = &run->settings;
    if (cubby_engine_new(run->plan, &options, &run->engine, &error) < 0) {
        print_error(&error);
        status = has_device(run->device) ? engine_status(error.code) : STATUS_MISSING;
    }
    cubby_error_clear(&error);
    return status;
}

/* What goes wrong with one shape does not keep the others from being run. */
static int do_shapes(struct run *run) {
    int status = STATUS_OK;

    for (size_t i = 0; i < run->shapes.count; i++) {
        int ended = do_shape(run, shapes_at(&run->shapes, i));

        status = ended > status ? ended : status;
    }
    return status;
}

/* Has the engine run on a part of its device, where that is wished. */
static int take_part(struct run *run) {
    static const char *const NAMES[] = {"part"};
    struct cubby_error error = CUBBY_ERROR_INIT;
    int status = STATUS_OK, result;

    if (run->multiprocessors == 0)
        return STATUS_OK;
    result =
        cubby_green_division_new(run->device, NAMES, 1, run->multiprocessors, &run->part, &error);
    if (result == 0)
        result = cubby_engine_set_external_stream(
            run->engine, cubby_green_division_part(run->part, 0)->stream, &error);
    if (result < 0) {
        print_error(&error);
        status = engine_status(error.code);
    }
    cubby_error_clear(&error);
    return status;
}

static int run_all(struct run *run) {
    enum status opened = STATUS_USAGE;
    struct cubby_cache *cache = open_cache(run->cli, &opened);
    int status = STATUS_OK;

    if (!cache)
        return opened;
    if (engine_has_cuda(run->plan))
        status = program_args_add_toolkit(&run->program, cache, !run->settings.runtime_cache_path);
    if (status == STATUS_OK)
        status = open_engine(run, cache);
    if (status == STATUS_OK)
        status = take_part(run);
    if (status == STATUS_OK)
        status = do_shapes(run);
    cubby_engine_unref(run->engine);
    cubby_green_division_free(run->part);
    cubby_cache_unref(cache);
    return status;
}

static void clear(struct run *run) {
    run_tensors_clear(&run->tensors);
    shapes_clear(&run->shapes);
    cubby_engine_plan_unref(run->plan);
    free(run->tensor_args.inputs.texts);
    free(run->tensor_args.outputs.texts);
    dims_args_clear(&run->dims);
    program_args_clear(&run->program);
}

int verb_run(struct cli *cli, int argc, char **argv) {
    struct run run = {.cli = cli,
                      .settings = CUBBY_RUNTIME_SETTINGS_INIT,
                      .iterations = DEFAULT_ITERATIONS,
                      .warmup = DEFAULT_WARMUP};
    struct verb_input input = {cli, &run};
    int status;

    argv[0] = (char *)"cubby run";
    parse_arguments(&ARGP, argc, argv, 0, &input);
    status = check_usage(&run);
    if (status == STATUS_OK)
        status = run_all(&run);
    clear(&run);
    return status;
}
