/* SPDX-License-Identifier: Apache-2.0 */
#include "compile/culink.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compile/culink_api.h"
#include "key/program.h"
#include "os/dl.h"
#include "util/error.h"

#define MAX_OPTIONS 16
#define LOG_SIZE (64 * 1024)

/* The driver's options: numbers, each with a number or an address. */
struct jit_options {
    int names[MAX_OPTIONS];
    void *values[MAX_OPTIONS];
    unsigned count;
    bool has_target;
};

/* One link under way. */
struct job {
    struct culink_api api;
    const struct toolchain *toolchain;
    const struct cubby_program *program;
    struct jit_options options;
    char *error_log;
    char *info_log;
    bool pushed; /* the primary context of device, which is to be given back */
    int device;
    culink_state state;
};

#define CULINK_SYMBOL(name, parameters) {#name, (void **)&api->name},

static int bind_api(void *handle, const struct toolchain *toolchain, struct culink_api *api,
                    struct cubby_error *error) {
    const struct dl_symbol required[] = {CULINK_FUNCTIONS(CULINK_SYMBOL){NULL, NULL}};
    const char *missing;

    if (dl_resolve(handle, required, &missing))
        return 0;
    return error_set(error, CUBBY_ERR_NO_DRIVER, "the CUDA driver %s lacks %s: it is too old",
                     toolchain->path, missing);
}

/* ---- Options ----------------------------------------------------------------------------- */

/* The last of an option that is given twice wins, as with nvJitLink. */
static void set_option(struct jit_options *options, enum culink_option name, void *value) {
    unsigned i = 0;

    while (i < options->count && options->names[i] != (int)name)
        i++;
    if (i == MAX_OPTIONS)
        return; /* there are fewer names than that */
    options->names[i] = name;
    options->values[i] = value;
    if (i == options->count)
        options->count++;
}

static void set_number(struct jit_options *options, enum culink_option name, uintptr_t number) {
    set_option(options, name, (void *)number);
}

/* Without a target it would be the GPU's, which is not in the key. */
static int set_target(struct job *job, const char *arch, struct cubby_error *error) {
    char *end = NULL;
    unsigned long number = strncmp(arch, "sm_", 3) == 0 ? strtoul(arch + 3, &end, 10) : 0;

    if (number > 0 && strcmp(end, "a") == 0)
        number += CULINK_TARGET_ACCELERATED;
    else if (number > 0 && strcmp(end, "f") == 0)
        number += CULINK_TARGET_FAMILY;
    else if (number == 0 || *end)
        return error_set(error, CUBBY_ERR_INVALID,
                         "%s: \"%s\" is not an architecture that the driver can link for: expected "
                         "one such as sm_90",
                         job->program->name, arch);
    set_number(&job->options, CULINK_TARGET, number);
    job->options.has_target = true;
    return 0;
}

static int set_registers(struct job *job, const char *text, struct cubby_error *error) {
    char *end;
    unsigned long number = strtoul(text, &end, 0);

    if (!*text || *end || *text == '-' || number > UINT32_MAX)
        return error_set(error, CUBBY_ERR_COMPILE,
                         "%s: -maxrregcount=%s: expected a number of registers", job->program->name,
                         text);
    set_number(&job->options, CULINK_MAX_REGISTERS, number);
    return 0;
}

/* Those marked OPTION_DRIVER_TOO in the table of the linker's options. */
static int translate(struct job *job, const char *option, struct cubby_error *error) {
    struct jit_options *options = &job->options;

    if (strncmp(option, "-arch=", 6) == 0)
        return set_target(job, option + 6, error);
    if (strncmp(option, "-maxrregcount=", 14) == 0)
        return set_registers(job, option + 14, error);
    if (strcmp(option, "-O0") == 0 || strcmp(option, "-O3") == 0)
        set_number(options, CULINK_OPTIMIZATION, (uintptr_t)(option[2] - '0'));
    else if (strcmp(option, "-g") == 0)
        set_number(options, CULINK_DEBUG_INFO, 1);
    else if (strcmp(option, "-lineinfo") == 0)
        set_number(options, CULINK_LINE_INFO, 1);
    else if (strcmp(option, "-verbose") == 0)
        set_number(options, CULINK_VERBOSE, 1);
    return 0;
}

static int list_options(struct job *job, struct cubby_error *error) {
    const struct cubby_program *program = job->program;
    int result = program->arch ? set_target(job, program->arch, error) : 0;

    for (size_t i = 0; i < program->options.count && result == 0; i++) {
        if (program->options.items[i].effect == OPTION_DRIVER_TOO)
            result = translate(job, program->options.items[i].text, error);
    }
    if (result == 0 && !job->options.has_target)
        result = error_set(error, CUBBY_ERR_INVALID,
                           "%s: the driver's linker needs an architecture: give one, such as sm_90",
                           program->name);
    job->error_log = calloc(1, LOG_SIZE + 1);
    job->info_log = calloc(1, LOG_SIZE + 1);
    if (result == 0 && (!job->error_log || !job->info_log))
        result = error_no_memory(error);
    set_option(&job->options, CULINK_ERROR_LOG, job->error_log);
    set_number(&job->options, CULINK_ERROR_LOG_SIZE, LOG_SIZE);
    set_option(&job->options, CULINK_INFO_LOG, job->info_log);
    set_number(&job->options, CULINK_INFO_LOG_SIZE, LOG_SIZE);
    return result;
}

/* ---- Failures ---------------------------------------------------------------------------- */

static int fail_driver(const char *what, int code, struct cubby_error *error) {
    if (error && error->code == CUBBY_OK)
        error->tool_error = code;
    if (code == CULINK_OUT_OF_MEMORY)
        return error_set(error, CUBBY_ERR_NO_MEMORY, "the CUDA driver ran out of memory");
    return error_set(error, CUBBY_ERR_NO_DRIVER, "the CUDA driver failed to %s: error %d", what,
                     code);
}

static int fail_link(const struct job *job, int code, struct cubby_error *error) {
    int result;

    if (code == CULINK_OUT_OF_MEMORY || code == CULINK_JIT_COMPILER_NOT_FOUND)
        return fail_driver("load its compiler of PTX", code, error);
    result = error_set(error, CUBBY_ERR_COMPILE,
                       "%s: the driver's linker refused the %s (CUDA error %d)", job->program->name,
                       job->program->kind == PROGRAM_LINK ? "link" : "program", code);
    if (error && error->code == result && !error->log) {
        error->log = strdup(job->error_log);
        error->tool_error = code;
    }
    return result;
}

/* ---- Context ----------------------------------------------------------------------------- */

static int enter_context(struct job *job, struct cubby_error *error) {
    const struct culink_api *api = &job->api;
    culink_context context = NULL;
    int code = api->cuInit(0);

    if (code != CULINK_OK)
        return fail_driver("start", code, error);
    if (api->cuCtxGetCurrent(&context) == CULINK_OK && context)
        return 0;
    code = api->cuDeviceGet(&job->device, 0);
    if (code == CULINK_OK)
        code = api->cuDevicePrimaryCtxRetain(&context, job->device);
    if (code != CULINK_OK)
        return fail_driver("give a context of device 0", code, error);
    code = api->cuCtxPushCurrent_v2(context);
    if (code != CULINK_OK) {
        api->cuDevicePrimaryCtxRelease_v2(job->device);
        return fail_driver("make a context current", code, error);
    }
    job->pushed = true;
    return 0;
}

static void leave_context(struct job *job) {
    culink_context context;

    if (!job->pushed)
        return;
    job->api.cuCtxPopCurrent_v2(&context);
    job->api.cuDevicePrimaryCtxRelease_v2(job->device);
}

/* ---- The link ---------------------------------------------------------------------------- */

static int add(struct job *job, int kind, const struct source *source, const char *name,
               struct cubby_error *error) {
    /* PTX is a string, its NUL included. */
    size_t size = source_size(source) + (kind == CULINK_INPUT_PTX ? 1 : 0);
    int code = job->api.cuLinkAddData_v2(job->state, kind, (void *)source_text(source), size, name,
                                         0, NULL, NULL);

    return code == CULINK_OK ? 0 : fail_link(job, code, error);
}

/* LTO-IR is not among them: the choice of the linker has refused it. */
static int add_inputs(struct job *job, struct cubby_error *error) {
    static const int KINDS[] = {[CUBBY_INPUT_CUBIN] = CULINK_INPUT_CUBIN,
                                [CUBBY_INPUT_PTX] = CULINK_INPUT_PTX,
                                [CUBBY_INPUT_FATBIN] = CULINK_INPUT_FATBIN,
                                [CUBBY_INPUT_OBJECT] = CULINK_INPUT_OBJECT,
                                [CUBBY_INPUT_LIBRARY] = CULINK_INPUT_LIBRARY};
    const struct cubby_program *program = job->program;
    int result = 0;

    if (program->source)
        return add(job, CULINK_INPUT_PTX, program->source, program->name, error);
    for (size_t i = 0; i < program->input_count && result == 0; i++) {
        const struct input *input = &program->inputs[i];

        result = add(job, KINDS[input->kind], input->source, input->name, error);
    }
    return result;
}

/* The cubin belongs to the state, so it is copied. */
static int complete(struct job *job, struct compiled *compiled, struct cubby_error *error) {
    void *cubin = NULL;
    size_t size = 0;
    int code = job->api.cuLinkComplete(job->state, &cubin, &size);

    if (code != CULINK_OK || !cubin || size == 0)
        return fail_link(job, code, error);
    compiled->data = malloc(size);
    compiled->log = strdup(job->info_log);
    if (!compiled->data || !compiled->log)
        return error_no_memory(error);
    memcpy(compiled->data, cubin, size);
    compiled->size = size;
    return 0;
}

static int link_in_context(struct job *job, struct compiled *compiled, struct cubby_error *error) {
    struct jit_options *options = &job->options;
    int code =
        job->api.cuLinkCreate_v2(options->count, options->names, options->values, &job->state);
    int result;

    if (code != CULINK_OK)
        return fail_link(job, code, error);
    result = add_inputs(job, error);
    if (result == 0)
        result = complete(job, compiled, error);
    job->api.cuLinkDestroy(job->state);
    return result;
}

int culink_compile(void *handle, const struct toolchain *toolchain,
                   const struct cubby_program *program, struct compiled *ret_compiled,
                   struct cubby_error *error) {
    struct job job = {.toolchain = toolchain, .program = program};
    struct compiled compiled = {0};
    int result = bind_api(handle, toolchain, &job.api, error);

    if (result == 0)
        result = list_options(&job, error);
    if (result == 0)
        result = enter_context(&job, error);
    if (result == 0)
        result = link_in_context(&job, &compiled, error);
    leave_context(&job);
    free(job.error_log);
    free(job.info_log);
    if (result == 0)
        *ret_compiled = compiled;
    else
        compiled_clear(&compiled);
    return result;
}
