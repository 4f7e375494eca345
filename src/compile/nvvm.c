/* SPDX-License-Identifier: Apache-2.0 */
#include "compile/nvvm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compile/nvvm_api.h"
#include "key/build_id.h"
#include "key/program.h"
#include "os/dl.h"
#include "os/fd.h"
#include "util/error.h"

#define EXTRA_OPTIONS 3

/* One compile under way. */
struct job {
    struct nvvm_api api;
    const struct toolchain *toolchain;
    const struct cubby_program *program;
    nvvm_program handle;
};

#define NVVM_SYMBOL(name, parameters) {#name, (void **)&api->name},

static int bind_api(void *handle, const struct toolchain *toolchain, struct nvvm_api *api,
                    struct cubby_error *error) {
    const struct dl_symbol required[] = {NVVM_FUNCTIONS(NVVM_SYMBOL){NULL, NULL}};
    const struct dl_symbol lazy[] = {NVVM_LAZY_FUNCTIONS(NVVM_SYMBOL){NULL, NULL}};
    const char *missing;

    memset(api, 0, sizeof(*api));
    if (!dl_resolve(handle, required, &missing))
        return error_set(error, CUBBY_ERR_NO_TOOLCHAIN,
                         "%s lacks %s: libNVVM of CUDA 11.2 or newer is needed", toolchain->path,
                         missing);
    if (!dl_resolve(handle, lazy, NULL))
        api->nvvmLazyAddModuleToProgram = api->nvvmAddModuleToProgram;
    return 0;
}

/* ---- Log and failures -------------------------------------------------------------------- */

/* The log as new text, "" for none; NULL when memory is short. */
static char *take_log(const struct job *job) {
    size_t size = 0;
    char *log;

    if (job->api.nvvmGetProgramLogSize(job->handle, &size) != NVVM_OK || size <= 1)
        return strdup("");
    log = calloc(1, size + 1);
    if (!log)
        return NULL;
    if (job->api.nvvmGetProgramLog(job->handle, log) != NVVM_OK)
        log[0] = '\0';
    compiled_cut_log(log, size);
    return log;
}

static int describe_failure(const struct job *job, int code, struct cubby_error *error) {
    const char *name = job->program->name;

    switch (code) {
    case NVVM_OUT_OF_MEMORY:
        return error_set(error, CUBBY_ERR_NO_MEMORY, "libNVVM ran out of memory");
    case NVVM_IR_VERSION_MISMATCH:
        return error_set(error, CUBBY_ERR_COMPILE,
                         "%s: the compiler refused the program: !nvvmir.version is missing or not "
                         "the one of this libNVVM",
                         name);
    case NVVM_INVALID_INPUT:
    case NVVM_INVALID_IR:
    case NVVM_INVALID_OPTION:
    case NVVM_NO_MODULE:
    case NVVM_COMPILATION:
        return error_set(error, CUBBY_ERR_COMPILE, "%s: the compiler refused the program", name);
    default:
        return error_set(error, CUBBY_ERR_NO_TOOLCHAIN,
                         "%s: libNVVM failed with error %d in %s: check that the CUDA toolkit is "
                         "complete",
                         name, code, job->toolchain->path);
    }
}

static int fail(const struct job *job, int code, struct cubby_error *error) {
    int result = describe_failure(job, code, error);

    if (error && error->code == result && !error->log) {
        error->log = job->handle ? take_log(job) : NULL;
        error->tool_error = code;
    }
    return result;
}

/* ---- Modules ----------------------------------------------------------------------------- */

static int add(struct job *job, const struct source *source, const char *name,
               struct cubby_error *error) {
    int code = job->api.nvvmAddModuleToProgram(job->handle, source_text(source),
                                               source_size(source), name);

    return code == NVVM_OK ? 0 : fail(job, code, error);
}

/* libdevice as it is in the key, or not at all. */
static int read_libdevice(const struct toolchain *toolchain, struct source **ret_source,
                          struct cubby_error *error) {
    struct source *source = NULL;
    char *identity = NULL;
    int result;

    if (!toolchain->companion_path || !toolchain->libdevice)
        return error_set(error, CUBBY_ERR_NO_TOOLCHAIN,
                         "libdevice.10.bc was not found in the toolkit of %s, expected in "
                         "nvvm/libdevice: install the CUDA toolkit again",
                         toolchain->path);
    result = source_from_file(toolchain->companion_path, &source, error);
    if (result == 0)
        result = build_identity_of_digest(source_digest(source), &identity, error);
    if (result == 0 && strcmp(identity, toolchain->libdevice) != 0)
        result = error_set(error, CUBBY_ERR_NO_TOOLCHAIN,
                           "%s changed while this program ran: start it again",
                           toolchain->companion_path);
    free(identity);
    if (result == 0)
        *ret_source = source;
    else
        source_unref(source);
    return result;
}

static int add_libdevice(struct job *job, struct cubby_error *error) {
    struct source *source = NULL;
    int result = read_libdevice(job->toolchain, &source, error);
    int code;

    if (result < 0)
        return result;
    code = job->api.nvvmLazyAddModuleToProgram(job->handle, source_text(source),
                                               source_size(source), "libdevice");
    source_unref(source);
    return code == NVVM_OK ? 0 : fail(job, code, error);
}

static int create(struct job *job, struct cubby_error *error) {
    const struct cubby_program *program = job->program;
    int code = job->api.nvvmCreateProgram(&job->handle);
    int result = code == NVVM_OK ? 0 : fail(job, code, error);

    if (result == 0)
        result = add(job, program->source, program->name, error);
    for (size_t i = 0; i < program->input_count && result == 0; i++)
        result = add(job, program->inputs[i].source, program->inputs[i].name, error);
    if (result == 0 && program->use_libdevice)
        result = add_libdevice(job, error);
    return result;
}

/* ---- The compile ------------------------------------------------------------------------- */

static int run(struct job *job, struct cubby_error *error) {
    const struct cubby_program *program = job->program;
    const char **options = calloc(program->string_count + EXTRA_OPTIONS, sizeof(*options));
    char arch[64];
    int count = 0, code;

    if (!options)
        return error_no_memory(error);
    if (program->arch) {
        snprintf(arch, sizeof(arch), "-arch=%s", program->arch);
        options[count++] = arch;
    }
    if (program->target == CUBBY_TARGET_LTOIR)
        options[count++] = "-gen-lto";
    for (size_t i = 0; i < program->string_count; i++)
        options[count++] = program->strings[i];
    /* Compiling takes what verifying refuses, such as IR of another machine. */
    code = job->api.nvvmVerifyProgram(job->handle, count, options);
    if (code == NVVM_OK)
        code = job->api.nvvmCompileProgram(job->handle, count, options);
    free(options);
    return code == NVVM_OK ? 0 : fail(job, code, error);
}

static int take_output(const struct job *job, struct compiled *compiled,
                       struct cubby_error *error) {
    size_t size = 0;
    int code = job->api.nvvmGetCompiledResultSize(job->handle, &size);

    if (code != NVVM_OK || size == 0)
        return fail(job, code, error);
    compiled->data = calloc(1, size);
    if (!compiled->data)
        return error_no_memory(error);
    code = job->api.nvvmGetCompiledResult(job->handle, compiled->data);
    if (code != NVVM_OK)
        return fail(job, code, error);
    /* PTX comes with its NUL, LTO-IR with nothing. */
    compiled->size =
        job->program->target == CUBBY_TARGET_PTX ? strnlen(compiled->data, size) : size;
    return 0;
}

int nvvm_compile(void *handle, const struct toolchain *toolchain,
                 const struct cubby_program *program, struct compiled *ret_compiled,
                 struct cubby_error *error) {
    struct job job = {.toolchain = toolchain, .program = program};
    struct compiled compiled = {0};
    int result = bind_api(handle, toolchain, &job.api, error);

    if (result == 0)
        result = create(&job, error);
    if (result == 0)
        result = run(&job, error);
    if (result == 0) {
        compiled.log = take_log(&job);
        result = compiled.log ? take_output(&job, &compiled, error) : error_no_memory(error);
    }
    if (job.handle)
        job.api.nvvmDestroyProgram(&job.handle);
    if (result == 0)
        *ret_compiled = compiled;
    else
        compiled_clear(&compiled);
    return result;
}
