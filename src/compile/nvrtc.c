/* SPDX-License-Identifier: Apache-2.0 */
#include "compile/nvrtc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compile/nvrtc_api.h"
#include "key/program.h"
#include "os/dl.h"
#include "util/buffer.h"
#include "util/error.h"

#define EXTRA_OPTIONS 8

/* One compile under way. */
struct job {
    struct nvrtc_api api;
    const struct toolchain *toolchain;
    const struct cubby_program *program;
    nvrtc_program handle;
};

/* ---- Binding ----------------------------------------------------------------------------- */

#define NVRTC_SYMBOL(name, parameters) {#name, (void **)&api->name},

static int bind_api(void *nvrtc, const struct toolchain *toolchain, struct nvrtc_api *api,
                    struct cubby_error *error) {
    const struct dl_symbol required[] = {NVRTC_FUNCTIONS(NVRTC_SYMBOL){NULL, NULL}};
    const struct dl_symbol lto[] = {NVRTC_LTO_FUNCTIONS(NVRTC_SYMBOL){NULL, NULL}};
    const char *missing;

    memset(api, 0, sizeof(*api));
    if (!dl_resolve(nvrtc, required, &missing))
        return error_set(error, CUBBY_ERR_NO_TOOLCHAIN,
                         "%s lacks %s: NVRTC 11.2 or newer is needed", toolchain->path, missing);
    dl_resolve(nvrtc, lto, NULL); /* all of it or none; asked for where it is used */
    return 0;
}

static int fail_internal(const struct job *job, const char *what, int code,
                         struct cubby_error *error) {
    if (error && error->code == CUBBY_OK)
        error->tool_error = code;
    if (code == NVRTC_OUT_OF_MEMORY)
        return error_set(error, CUBBY_ERR_NO_MEMORY, "NVRTC ran out of memory");
    return error_set(error, CUBBY_ERR_NO_TOOLCHAIN,
                     "%s failed with NVRTC error %d in %s: check that the CUDA toolkit is complete",
                     what, code, job->toolchain->path);
}

/* ---- Options ----------------------------------------------------------------------------- */

static bool at_least(const struct toolchain *toolchain, int major, int minor) {
    return toolchain->major > major || (toolchain->major == major && toolchain->minor >= minor);
}

/*
 * Cubby's own options go before the user's: an option of theirs that lacks its value would take
 * what follows it.
 */
struct option_list {
    const char **items;
    int count;
    char arch[64];
    char seed[96];
};

static int list_own_options(const struct job *job, const struct cubby_key *key, const char *trace,
                            size_t room, struct option_list *list) {
    const struct cubby_program *program = job->program;

    memset(list, 0, sizeof(*list));
    list->items = calloc(room + EXTRA_OPTIONS, sizeof(*list->items));
    if (!list->items)
        return CUBBY_ERR_NO_MEMORY;
    /* Else NVRTC changes RLIMIT_STACK for the whole process while it compiles. */
    list->items[list->count++] = "--modify-stack-limit=false";
    /* Else 12.9 and later ask the driver's own cache, which is not under anyone's control. */
    if (at_least(job->toolchain, 12, 9))
        list->items[list->count++] = "--no-cache";
    if (at_least(job->toolchain, 12, 9) && !program->has_seed) {
        char hex[CUBBY_KEY_HEX_SIZE];

        cubby_key_format(key, hex);
        snprintf(list->seed, sizeof(list->seed), "--frandom-seed=cubby%.32s", hex);
        list->items[list->count++] = list->seed;
    }
    if (trace)
        list->items[list->count++] = trace;
    if (program->target == CUBBY_TARGET_LTOIR)
        list->items[list->count++] = "--dlink-time-opt";
    if (program->arch) {
        snprintf(list->arch, sizeof(list->arch), "--gpu-architecture=%s", program->arch);
        list->items[list->count++] = list->arch;
    }
    return 0;
}

static int list_options(const struct job *job, const struct cubby_key *key, const char *trace,
                        struct option_list *list) {
    const struct cubby_program *program = job->program;
    int result = list_own_options(job, key, trace, program->string_count, list);

    for (size_t i = 0; i < program->string_count && result == 0; i++)
        list->items[list->count++] = program->strings[i];
    return result;
}

/* The front end alone. Behind the user's options here: it matters to nobody what they then say. */
static void stop_behind_front_end(struct option_list *list) {
    list->items[list->count++] = "--fdevice-syntax-only";
}

/* ---- Log --------------------------------------------------------------------------------- */

/* The log as new text, "" for none; NULL when memory is short. */
static char *take_log(const struct job *job) {
    size_t size = 0;
    char *log;

    if (job->api.nvrtcGetProgramLogSize(job->handle, &size) != NVRTC_OK || size <= 1)
        return strdup("");
    log = calloc(1, size + 1);
    if (!log)
        return NULL;
    if (job->api.nvrtcGetProgramLog(job->handle, log) != NVRTC_OK)
        log[0] = '\0';
    compiled_cut_log(log, size);
    return log;
}

/* The log repeats an option that is not known, but not the architecture. */
static int refuse(const struct job *job, int code, struct cubby_error *error) {
    const struct cubby_program *program = job->program;

    if (code == NVRTC_INVALID_OPTION && program->arch)
        return error_set(error, CUBBY_ERR_COMPILE,
                         "%s: the compiler refused the program: NVRTC %d.%d does not know an "
                         "option, or the architecture %s",
                         program->name, job->toolchain->major, job->toolchain->minor,
                         program->arch);
    return error_set(error, CUBBY_ERR_COMPILE, "%s: the compiler refused the program",
                     program->name);
}

static int fail_compile(const struct job *job, int code, struct cubby_error *error) {
    char *log = take_log(job);
    int result;

    if (code == NVRTC_COMPILATION || code == NVRTC_INVALID_OPTION || code == NVRTC_NAME_EXPRESSION)
        result = refuse(job, code, error);
    else if (code == NVRTC_BUILTIN_FAILURE)
        result = error_set(error, CUBBY_ERR_NO_TOOLCHAIN,
                           "NVRTC cannot use its built-in library libnvrtc-builtins.so.%d.%d, "
                           "expected beside %s: install the CUDA toolkit again",
                           job->toolchain->major, job->toolchain->minor, job->toolchain->path);
    else
        result = fail_internal(job, "compiling", code, error);
    if (error && error->code == result && !error->log) {
        error->log = log;
        error->tool_error = code;
        log = NULL;
    }
    free(log);
    return result;
}

/* ---- Results ----------------------------------------------------------------------------- */

static int fail_no_output(const struct job *job, struct cubby_error *error) {
    const struct cubby_program *program = job->program;

    if (program->target == CUBBY_TARGET_CUBIN)
        return error_set(error, CUBBY_ERR_INVALID,
                         "%s: no cubin for %s: a cubin needs a real architecture, such as sm_90, "
                         "and no option that makes something else (-dlto)",
                         program->name, program->arch ? program->arch : "the default architecture");
    return error_set(error, CUBBY_ERR_INVALID,
                     "%s: the compiler made no %s: an option asks for something else",
                     program->name, cubby_target_name(program->target));
}

static int take_output(const struct job *job, struct compiled *compiled,
                       struct cubby_error *error) {
    const struct nvrtc_api *api = &job->api;
    bool is_text = job->program->target == CUBBY_TARGET_PTX;
    int (*get_size)(nvrtc_program, size_t *);
    int (*get)(nvrtc_program, char *);
    size_t size = 0;
    int code;

    switch (job->program->target) {
    case CUBBY_TARGET_PTX:
        get_size = api->nvrtcGetPTXSize;
        get = api->nvrtcGetPTX;
        break;
    case CUBBY_TARGET_LTOIR:
        get_size = api->nvrtcGetLTOIRSize;
        get = api->nvrtcGetLTOIR;
        break;
    default:
        get_size = api->nvrtcGetCUBINSize;
        get = api->nvrtcGetCUBIN;
        break;
    }
    code = get_size(job->handle, &size);
    if (code != NVRTC_OK)
        return fail_internal(job, "asking for the output", code, error);
    if (size <= (is_text ? 1 : 0))
        return fail_no_output(job, error);
    compiled->data = malloc(size);
    if (!compiled->data)
        return error_no_memory(error);
    code = get(job->handle, compiled->data);
    if (code != NVRTC_OK)
        return fail_internal(job, "fetching the output", code, error);
    compiled->size = is_text ? size - 1 : size; /* PTX comes with its NUL */
    return 0;
}

static int take_names(const struct job *job, struct compiled *compiled, struct cubby_error *error) {
    const struct cubby_program *program = job->program;

    compiled->lowered = calloc(program->name_count + 1, sizeof(char *));
    if (!compiled->lowered)
        return error_no_memory(error);
    compiled->lowered_count = program->name_count;
    for (size_t i = 0; i < program->name_count; i++) {
        const char *lowered = NULL;
        int code = job->api.nvrtcGetLoweredName(job->handle, program->names[i], &lowered);

        if (code != NVRTC_OK || !lowered)
            return fail_internal(job, "asking for a lowered name", code, error);
        compiled->lowered[i] = strdup(lowered);
        if (!compiled->lowered[i])
            return error_no_memory(error);
    }
    return 0;
}

/* ---- The compile ------------------------------------------------------------------------- */

static int create(struct job *job, struct cubby_error *error) {
    const struct cubby_program *program = job->program;
    size_t count = program->header_count;
    const char **texts = calloc(2 * count + 1, sizeof(*texts));
    const char **names;
    int code;

    if (!texts)
        return error_no_memory(error);
    names = texts + count;
    for (size_t i = 0; i < count; i++) {
        texts[i] = source_text(program->headers[i].source);
        names[i] = program->headers[i].name;
    }
    code = job->api.nvrtcCreateProgram(&job->handle, source_text(program->source), program->name,
                                       (int)count, texts, names);
    free(texts);
    if (code != NVRTC_OK)
        return fail_internal(job, "creating the program", code, error);
    for (size_t i = 0; i < program->name_count && code == NVRTC_OK; i++)
        code = job->api.nvrtcAddNameExpression(job->handle, program->names[i]);
    return code == NVRTC_OK ? 0 : fail_internal(job, "adding a name expression", code, error);
}

static int run(struct job *job, const struct cubby_key *key, const char *trace,
               struct cubby_error *error) {
    struct option_list options;
    int code;

    if (list_options(job, key, trace, &options) < 0)
        return error_no_memory(error);
    code = job->api.nvrtcCompileProgram(job->handle, options.count, options.items);
    free(options.items);
    return code == NVRTC_OK ? 0 : fail_compile(job, code, error);
}

int nvrtc_trace(void *nvrtc, const struct toolchain *toolchain, const struct cubby_program *program,
                const struct cubby_key *key, const char *trace) {
    struct job job = {.toolchain = toolchain, .program = program};
    struct option_list options = {0};
    int result = bind_api(nvrtc, toolchain, &job.api, NULL);

    if (result == 0)
        result = create(&job, NULL);
    if (result == 0)
        result = list_options(&job, key, trace, &options);
    if (result == 0) {
        stop_behind_front_end(&options);
        if (job.api.nvrtcCompileProgram(job.handle, options.count, options.items) != NVRTC_OK)
            result = CUBBY_ERR_COMPILE;
    }
    free(options.items);
    if (job.handle)
        job.api.nvrtcDestroyProgram(&job.handle);
    return result;
}

int nvrtc_compile(void *nvrtc, const struct toolchain *toolchain,
                  const struct cubby_program *program, const struct cubby_key *key,
                  const char *trace, struct compiled *ret_compiled, struct cubby_error *error) {
    struct job job = {.toolchain = toolchain, .program = program};
    struct compiled compiled = {0};
    int result = bind_api(nvrtc, toolchain, &job.api, error);

    if (result == 0 && program->target == CUBBY_TARGET_LTOIR && !job.api.nvrtcGetLTOIR)
        result = error_set(error, CUBBY_ERR_UNSUPPORTED,
                           "NVRTC %d.%d cannot give LTO-IR: 12.0 or newer is needed",
                           toolchain->major, toolchain->minor);
    if (result == 0)
        result = create(&job, error);
    if (result == 0)
        result = run(&job, key, trace, error);
    if (result == 0) {
        compiled.log = take_log(&job);
        result = compiled.log ? take_output(&job, &compiled, error) : error_no_memory(error);
    }
    if (result == 0)
        result = take_names(&job, &compiled, error);
    if (job.handle)
        job.api.nvrtcDestroyProgram(&job.handle);
    if (result == 0)
        *ret_compiled = compiled;
    else
        compiled_clear(&compiled);
    return result;
}

/* ---- Macros of the compiler's own -------------------------------------------------------- */

/* True if some -D defines a word. */
static bool is_given(const struct cubby_program *program, const char *word) {
    size_t length = strlen(word);

    for (size_t i = 0; i < program->options.count; i++) {
        const char *text = program->options.items[i].text;

        if (strncmp(text, "-D=", 3) == 0 && strncmp(text + 3, word, length) == 0 &&
            (text[3 + length] == '\0' || strchr("=(", text[3 + length])))
            return true;
    }
    return false;
}

/* The options that matter to macros; without any -D where given words are asked for. */
static int list_macro_options(const struct job *job, const struct cubby_key *key, bool given,
                              struct option_list *list) {
    const struct options *options = &job->program->options;
    int result = list_own_options(job, key, NULL, options->count, list);

    for (size_t i = 0; i < options->count && result == 0; i++) {
        const struct option *option = &options->items[i];

        if (option->effect == OPTION_PRE_INCLUDE || option->effect == OPTION_INCLUDE_DIR ||
            option->effect == OPTION_NEUTRAL || (given && strncmp(option->text, "-D=", 3) == 0))
            continue;
        list->items[list->count++] = option->text;
    }
    return result;
}

/* Compiles a text that is refused where one of the words is defined. */
static int compile_question(struct job *job, const char *text, const struct cubby_key *key,
                            bool given) {
    struct option_list options = {0};
    int code = job->api.nvrtcCreateProgram(&job->handle, text, "macros", 0, NULL, NULL);

    if (code == NVRTC_OK && list_macro_options(job, key, given, &options) < 0)
        code = NVRTC_OUT_OF_MEMORY;
    if (code == NVRTC_OK)
        code = job->api.nvrtcCompileProgram(job->handle, options.count, options.items);
    free(options.items);
    return code;
}

/* The word that the compiler complained about; where that cannot be told, any. */
static const char *find_complaint(const struct job *job, const struct names *words) {
    char *log = take_log(job);
    const char *found = NULL;

    for (size_t i = 0; log && i < words->count && !found; i++) {
        char *line;

        if (asprintf(&line, "#error directive: %s\n", words->items[i]) < 0)
            break;
        if (strstr(log, line))
            found = words->items[i];
        free(line);
    }
    free(log);
    return found ? found : words->items[0];
}

/* Asks for those of the words that some -D defines, or for the others. */
static const char *ask(struct job *job, const struct cubby_key *key, const struct names *words,
                       bool given) {
    struct buffer buffer = BUFFER_INIT;
    const char *found = NULL;
    char *text;

    for (size_t i = 0; i < words->count; i++) {
        if (is_given(job->program, words->items[i]) == given)
            buffer_format(&buffer, "#ifdef %s\n#error %s\n#endif\n", words->items[i],
                          words->items[i]);
    }
    if (buffer.size == 0 && !buffer.failed)
        return NULL;
    text = buffer_steal_text(&buffer);
    if (!text || compile_question(job, text, key, given) != NVRTC_OK)
        found = job->handle ? find_complaint(job, words) : words->items[0];
    if (job->handle)
        job->api.nvrtcDestroyProgram(&job->handle);
    free(text);
    return found;
}

const char *nvrtc_predefined(void *nvrtc, const struct toolchain *toolchain,
                             const struct cubby_program *program, const struct cubby_key *key,
                             const struct names *words) {
    struct job job = {.toolchain = toolchain, .program = program};
    const char *found = NULL;

    if (words->count == 0)
        return NULL;
    if (bind_api(nvrtc, toolchain, &job.api, NULL) < 0)
        return words->items[0];
    found = ask(&job, key, words, false);
    return found ? found : ask(&job, key, words, true);
}
