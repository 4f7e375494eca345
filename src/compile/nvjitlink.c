/* SPDX-License-Identifier: Apache-2.0 */
#include "compile/nvjitlink.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compile/nvjitlink_api.h"
#include "key/program.h"
#include "os/dl.h"
#include "util/buffer.h"
#include "util/error.h"

#define EXTRA_OPTIONS 4

/* One link under way. */
struct job {
    struct nvjitlink_api api;
    const struct toolchain *toolchain;
    const struct cubby_program *program;
    nvjitlink_handle handle;
};

#define NVJITLINK_SYMBOL(name, parameters) {#name, (void **)&api->name},

static int bind_api(void *handle, const struct toolchain *toolchain, struct nvjitlink_api *api,
                    struct cubby_error *error) {
    const struct dl_symbol required[] = {NVJITLINK_FUNCTIONS(NVJITLINK_SYMBOL){NULL, NULL}};
    const char *missing;

    if (dl_resolve(handle, required, &missing))
        return 0;
    return error_set(error, CUBBY_ERR_NO_TOOLCHAIN,
                     "%s lacks %s: nvJitLink 12.3 or newer is needed", toolchain->path, missing);
}

/* ---- Log --------------------------------------------------------------------------------- */

static void add_log(const struct job *job, int (*get_size)(nvjitlink_handle, size_t *),
                    int (*get)(nvjitlink_handle, char *), struct buffer *all) {
    size_t size = 0;
    char *log;

    if (!job->handle || get_size(job->handle, &size) != NVJITLINK_OK || size <= 1)
        return;
    log = calloc(1, size + 1);
    if (log && get(job->handle, log) == NVJITLINK_OK)
        buffer_add_text(all, log);
    free(log);
}

/* What it says of errors and what it says besides, as new text; NULL when memory is short. */
static char *take_log(const struct job *job) {
    const struct nvjitlink_api *api = &job->api;
    struct buffer all = BUFFER_INIT;
    size_t size;
    char *log;

    add_log(job, api->nvJitLinkGetErrorLogSize, api->nvJitLinkGetErrorLog, &all);
    add_log(job, api->nvJitLinkGetInfoLogSize, api->nvJitLinkGetInfoLog, &all);
    size = all.size + 1;
    log = buffer_steal_text(&all);
    buffer_free(&all);
    if (log)
        compiled_cut_log(log, size);
    return log;
}

/* ---- Failures ---------------------------------------------------------------------------- */

static int describe_failure(const struct job *job, int code, bool has_log,
                            struct cubby_error *error) {
    const char *name = job->program->name;

    if (code == NVJITLINK_MISSING_ARCH)
        return error_set(error, CUBBY_ERR_INVALID,
                         "%s: nvJitLink needs an architecture: give one, such as sm_90", name);
    if (code == NVJITLINK_OUTDATED_LIBRARY)
        return error_set(error, CUBBY_ERR_UNSUPPORTED,
                         "%s: an input is newer than nvJitLink %d.%d (%s): install a newer one",
                         name, job->toolchain->major, job->toolchain->minor, job->toolchain->path);
    /* Undefined symbols are internal errors, too, but these it explains. */
    if (code == NVJITLINK_THREADPOOL || (code == NVJITLINK_INTERNAL && !has_log))
        return error_set(error, CUBBY_ERR_NO_TOOLCHAIN,
                         "%s: nvJitLink failed with error %d in %s: check that the CUDA toolkit is "
                         "complete",
                         name, code, job->toolchain->path);
    return error_set(error, CUBBY_ERR_COMPILE, "%s: the linker refused the %s (nvJitLink error %d)",
                     name, job->program->kind == PROGRAM_LINK ? "link" : "program", code);
}

static int fail(const struct job *job, int code, struct cubby_error *error) {
    char *log = take_log(job);
    int result = describe_failure(job, code, log && *log, error);

    if (error && error->code == result && !error->log) {
        error->log = log;
        error->tool_error = code;
        log = NULL;
    }
    free(log);
    return result;
}

/* ---- The link ---------------------------------------------------------------------------- */

static int create(struct job *job, struct cubby_error *error) {
    const struct cubby_program *program = job->program;
    const char **options = calloc(program->string_count + EXTRA_OPTIONS, sizeof(*options));
    uint32_t count = 0;
    char arch[64];
    int code;

    if (!options)
        return error_no_memory(error);
    /* Else it asks the driver's own cache, which is not under anyone's control. */
    options[count++] = "--no-cache";
    if (program->arch) {
        snprintf(arch, sizeof(arch), "-arch=%s", program->arch);
        options[count++] = arch;
    }
    if (program->target == CUBBY_TARGET_PTX || program_links_ltoir(program))
        options[count++] = "-lto";
    if (program->target == CUBBY_TARGET_PTX)
        options[count++] = "-ptx";
    for (size_t i = 0; i < program->string_count; i++)
        options[count++] = program->strings[i];
    code = job->api.nvJitLinkCreate(&job->handle, count, options);
    free(options);
    return code == NVJITLINK_OK ? 0 : fail(job, code, error);
}

static int add(struct job *job, int kind, const struct source *source, const char *name,
               struct cubby_error *error) {
    /* PTX ends in NUL: 12.x read it as a string. */
    size_t size = source_size(source) + (kind == NVJITLINK_INPUT_PTX ? 1 : 0);
    int code = job->api.nvJitLinkAddData(job->handle, kind, source_text(source), size, name);

    return code == NVJITLINK_OK ? 0 : fail(job, code, error);
}

static int add_inputs(struct job *job, struct cubby_error *error) {
    static const int KINDS[] = {[CUBBY_INPUT_CUBIN] = NVJITLINK_INPUT_CUBIN,
                                [CUBBY_INPUT_PTX] = NVJITLINK_INPUT_PTX,
                                [CUBBY_INPUT_LTOIR] = NVJITLINK_INPUT_LTOIR,
                                [CUBBY_INPUT_FATBIN] = NVJITLINK_INPUT_FATBIN,
                                [CUBBY_INPUT_OBJECT] = NVJITLINK_INPUT_OBJECT,
                                [CUBBY_INPUT_LIBRARY] = NVJITLINK_INPUT_LIBRARY};
    const struct cubby_program *program = job->program;
    int result = 0;

    if (program->source)
        return add(job, NVJITLINK_INPUT_PTX, program->source, program->name, error);
    for (size_t i = 0; i < program->input_count && result == 0; i++) {
        const struct input *input = &program->inputs[i];

        result = add(job, KINDS[input->kind], input->source, input->name, error);
    }
    return result;
}

static int take_output(const struct job *job, struct compiled *compiled,
                       struct cubby_error *error) {
    const struct nvjitlink_api *api = &job->api;
    bool is_text = job->program->target == CUBBY_TARGET_PTX;
    size_t size = 0;
    int code = is_text ? api->nvJitLinkGetLinkedPtxSize(job->handle, &size)
                       : api->nvJitLinkGetLinkedCubinSize(job->handle, &size);

    if (code != NVJITLINK_OK || size == 0)
        return fail(job, code, error);
    compiled->data = calloc(1, size);
    if (!compiled->data)
        return error_no_memory(error);
    code = is_text ? api->nvJitLinkGetLinkedPtx(job->handle, compiled->data)
                   : api->nvJitLinkGetLinkedCubin(job->handle, compiled->data);
    if (code != NVJITLINK_OK)
        return fail(job, code, error);
    compiled->size = is_text ? strnlen(compiled->data, size) : size; /* PTX comes with its NUL */
    return 0;
}

int nvjitlink_compile(void *handle, const struct toolchain *toolchain,
                      const struct cubby_program *program, struct compiled *ret_compiled,
                      struct cubby_error *error) {
    struct job job = {.toolchain = toolchain, .program = program};
    struct compiled compiled = {0};
    int result = bind_api(handle, toolchain, &job.api, error);
    int code;

    if (result == 0)
        result = create(&job, error);
    if (result == 0)
        result = add_inputs(&job, error);
    if (result == 0) {
        code = job.api.nvJitLinkComplete(job.handle);
        result = code == NVJITLINK_OK ? 0 : fail(&job, code, error);
    }
    if (result == 0) {
        compiled.log = take_log(&job);
        result = compiled.log ? take_output(&job, &compiled, error) : error_no_memory(error);
    }
    if (job.handle)
        job.api.nvJitLinkDestroy(&job.handle);
    if (result == 0)
        *ret_compiled = compiled;
    else
        compiled_clear(&compiled);
    return result;
}
