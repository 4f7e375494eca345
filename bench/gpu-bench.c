/* SPDX-License-Identifier: Apache-2.0 */
/* Measures engines on a GPU beside bare launches; see docs/gpu.md. Ends with 77 where there is no
 * GPU or no NVRTC. */
#include <stdio.h>
#include <stdlib.h>

#include "command.h"
#include "driver/context.h"
#include "gpu.h"

#define SKIPPED 77

enum { OPTION_ENGINES = COMMAND_OPTION_OWN, OPTION_DEVICE };

static const struct argp_option OPTIONS[] = {
    {"engines", OPTION_ENGINES, "FOLDER", 0, "Where the example engines lie", 0},
    {"device", OPTION_DEVICE, "N", 0, "The GPU to use (default: 0)", 0},
    {0},
};

struct arguments {
    struct command command;
    struct gpu_bench gpu;
};

static error_t parse(int key, char *argument, struct argp_state *state) {
    struct arguments *arguments = state->input;

    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &arguments->command;
        return 0;
    case OPTION_ENGINES:
        arguments->gpu.engines = argument;
        return 0;
    case OPTION_DEVICE:
        arguments->gpu.device = (int)command_number(state, "device", argument, 0, 1023);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_child CHILDREN[] = {{&COMMAND_ARGP, 0, NULL, 0}, {0}};

static const struct argp ARGP = {
    OPTIONS,
    parse,
    NULL,
    "Measures what engines cost on a GPU beside bare launches of the same kernels, both in turn in "
    "one process.",
    CHILDREN,
    NULL,
    NULL};

/* What the figures are of; 0, or what is missing. */
static int add_gpu(struct gpu_bench *gpu, json_t *machine, bool is_json,
                   struct cubby_error *error) {
    struct cubby_toolchain toolchain;
    struct device_context *context;
    int result = cubby_toolchain_find(NULL, &toolchain, error);

    if (result < 0)
        return result;
    cubby_toolchain_clear(&toolchain);
    result = device_context_get(gpu->device, &context, error);
    if (result < 0)
        return result;
    gpu->multiprocessors = (unsigned)context->device.multiprocessors;
    json_object_set_new(machine, "gpu",
                        json_pack("{s:s, s:s, s:i, s:i}", "name", context->device.name, "arch",
                                  context->device.arch, "multiprocessors",
                                  context->device.multiprocessors, "driver",
                                  context->driver->version));
    if (!is_json)
        printf("%s, %s, driver of CUDA %d.%d\n", context->device.name, context->device.arch,
               context->driver->version / 1000, context->driver->version % 1000 / 10);
    device_context_unref(context);
    return 0;
}

int main(int argc, char **argv) {
    struct arguments arguments = {.gpu = {.engines = BENCH_ENGINES}};
    struct gpu_bench *gpu = &arguments.gpu;
    struct cubby_error error = CUBBY_ERROR_INIT;
    json_t *machine;
    int result;

    setenv("CUDA_CACHE_DISABLE", "1", 1); /* before the driver is loaded */
    argp_parse(&ARGP, argc, argv, 0, NULL, &arguments);
    gpu->bench = &arguments.command.bench;
    machine = command_begin(&arguments.command);
    if (!machine)
        return EXIT_FAILURE;
    result = add_gpu(gpu, machine, arguments.command.json, &error);
    if (result == 0)
        result = cubby_cache_open("memory", &gpu->cache, &error);
    if (result < 0) {
        printf("skipped: %s\n", error.message);
        json_decref(machine);
        return result == CUBBY_ERR_NO_DRIVER || result == CUBBY_ERR_NO_TOOLCHAIN ? SKIPPED
                                                                                 : EXIT_FAILURE;
    }
    command_show(&arguments.command, machine);
    gpu_run_rows(gpu);
    gpu_serve_rows(gpu);
    gpu_start_rows(gpu);
    cubby_cache_unref(gpu->cache);
    return command_end(&arguments.command, machine);
}
