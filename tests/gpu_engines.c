/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The example engines on the machine's GPU, with each strategy and many shapes, beside the
 * reference; with --double on the driver's double, where functions of the host stand for the
 * kernels. Ends with 77 where there is no NVRTC, no driver or no GPU.
 */
#include <argp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine_kernels.h"
#include "engine_serving.h"
#include "engine_trial.h"

#define SKIPPED 77
#define LARGE_ROWS 16 /* of a large case, so many are compared */

struct arguments {
    const char *engines, *double_path;
    int device;
    bool large;
};

struct counts {
    unsigned passed, failed, skipped;
};

static const struct argp_option OPTIONS[] = {
    {"engines", 'e', "FOLDER", 0, "Where the example engines lie", 0},
    {"double", 'd', "FILE", 0, "Use the double of the driver that FILE is", 0},
    {"device", 'n', "N", 0, "The GPU to use (default: 0)", 0},
    {"large", 'l', NULL, 0, "Sizes too, for which a CPU is too slow", 0},
    {0},
};

static error_t parse(int key, char *argument, struct argp_state *state) {
    struct arguments *arguments = state->input;

    switch (key) {
    case 'e':
        arguments->engines = argument;
        return 0;
    case 'd':
        arguments->double_path = argument;
        return 0;
    case 'n':
        arguments->device = atoi(argument);
        return 0;
    case 'l':
        arguments->large = true;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp ARGP = {
    OPTIONS, parse, NULL, "Runs the example engines and compares what they compute.",
    NULL,    NULL,  NULL};

/* A machine on which nothing of this can run. */
static bool is_bare(int code) {
    return code == CUBBY_ERR_NO_DRIVER || code == CUBBY_ERR_NO_TOOLCHAIN;
}

static int try_case(const struct arguments *arguments, struct cubby_cache *cache,
                    const struct engine_case *one, size_t rows, double *ret_worst,
                    struct cubby_error *error) {
    struct cubby_engine_options options = CUBBY_ENGINE_OPTIONS_INIT;
    struct cubby_engine_plan *plan;
    struct engine_trial *trial;
    int result = engine_trial_load(arguments->engines, one->engine, &plan, error);

    if (result < 0)
        return result;
    options.device = arguments->device;
    options.cache = cache;
    result = engine_trial_new(plan, one->dims, arguments->device, rows, &trial, error);
    if (result == 0) {
        char shape[ENGINE_SHAPE_SIZE];

        printf("%s %s: ", one->engine, engine_trial_shape(trial, shape));
        fflush(stdout);
        result = engine_trial_strategies(trial, &options, ret_worst, error);
        engine_trial_free(trial);
    }
    cubby_engine_plan_unref(plan);
    return result;
}

/* A case for which the GPU has too little memory, or that it may lack, is left out; false where all
 * are to be. */
static bool count_case(int result, double worst, bool may_lack, struct cubby_error *error,
                       struct counts *counts) {
    bool goes_on = !is_bare(result);

    if (result == 0) {
        counts->passed++;
        if (worst > 0)
            printf("ok, at most %.3f of the bound\n", worst);
        else
            puts("ok");
    } else if (is_bare(result) || result == CUBBY_ERR_NO_MEMORY ||
               (may_lack && result == CUBBY_ERR_UNSUPPORTED)) {
        counts->skipped++;
        printf("skipped: %s\n", error->message);
    } else {
        counts->failed++;
        printf("FAILED: %s\n%s", error->message, error->log ? error->log : "");
    }
    cubby_error_clear(error);
    return goes_on;
}

static int try_queue(const struct arguments *arguments, struct cubby_cache *cache,
                     const struct engine_queue *queue, struct cubby_error *error) {
    struct cubby_engine_options options = CUBBY_ENGINE_OPTIONS_INIT;

    options.device = arguments->device;
    options.cache = cache;
    printf("%s, shapes in turn: ", queue->engine);
    fflush(stdout);
    return engine_trial_queues(queue, arguments->engines, &options, error);
}

static int try_way(const struct arguments *arguments, struct cubby_cache *cache,
                   const struct serving_way *way, struct cubby_error *error) {
    struct cubby_engine_options options = CUBBY_ENGINE_OPTIONS_INIT;

    options.device = arguments->device;
    options.cache = cache;
    printf("served, %s: ", way->name);
    fflush(stdout);
    return serving_try(way, arguments->engines, &options, error);
}

static void try_all(const struct arguments *arguments, struct cubby_cache *cache,
                    struct counts *counts) {
    struct cubby_error error = CUBBY_ERROR_INIT;
    size_t large = arguments->large ? ENGINE_LARGE_CASE_COUNT : 0;
    bool goes_on = true;

    for (size_t i = 0; i < ENGINE_CASE_COUNT + large && goes_on; i++) {
        bool is_large = i >= ENGINE_CASE_COUNT;
        const struct engine_case *one =
            is_large ? &ENGINE_LARGE_CASES[i - ENGINE_CASE_COUNT] : &ENGINE_CASES[i];
        double worst = 0;
        int result = try_case(arguments, cache, one, is_large ? LARGE_ROWS : 0, &worst, &error);

        goes_on = count_case(result, worst, false, &error, counts);
    }
    for (size_t i = 0; i < ENGINE_QUEUE_COUNT && goes_on; i++)
        goes_on = count_case(try_queue(arguments, cache, &ENGINE_QUEUES[i], &error), 0, false,
                             &error, counts);
    for (size_t i = 0; i < SERVING_WAY_COUNT && goes_on; i++)
        goes_on = count_case(try_way(arguments, cache, &SERVING_WAYS[i], &error), 0,
                             SERVING_WAYS[i].parts > 0, &error, counts);
}

int main(int argc, char **argv) {
    struct arguments arguments = {.engines = TEST_ENGINES};
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct counts counts = {0, 0, 0};
    struct cubby_cache *cache;

    argp_parse(&ARGP, argc, argv, 0, NULL, &arguments);
    if (arguments.double_path) {
        const struct fake_cuda *fake = load_fake_cuda(arguments.double_path);

        if (!fake) {
            fprintf(stderr, "gpu_engines: %s is no double of the driver\n", arguments.double_path);
            return EXIT_FAILURE;
        }
        engine_kernels_attach(fake);
    }
    if (cubby_cache_open("memory", &cache, &error) < 0) {
        fprintf(stderr, "gpu_engines: %s\n", error.message);
        return EXIT_FAILURE;
    }
    try_all(&arguments, cache, &counts);
    cubby_cache_unref(cache);
    printf("%u passed, %u failed, %u skipped\n", counts.passed, counts.failed, counts.skipped);
    if (counts.failed > 0)
        return EXIT_FAILURE;
    return counts.passed > 0 ? EXIT_SUCCESS : SKIPPED;
}
