/* SPDX-License-Identifier: Apache-2.0 */
#include "key/program.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "key/digest.h"
#include "util/error.h"

#define MAX_ARCH 32
#define DEFAULT_NAME "default_program" /* as NVRTC calls a program that was given no name */

/* ---- Copying what the caller gave -------------------------------------------------------- */

static int compare_text(const void *left, const void *right) {
    return strcmp(*(char *const *)left, *(char *const *)right);
}

static int copy_strings(const char *const *strings, size_t count, char ***ret_copy,
                        struct cubby_error *error) {
    char **copy = count > 0 ? calloc(count + 1, sizeof(*copy)) : NULL;

    if (count == 0)
        return 0;
    if (!copy)
        return error_no_memory(error);
    *ret_copy = copy; /* the program owns it from here, also half filled */
    for (size_t i = 0; i < count; i++) {
        copy[i] = strings[i] ? strdup(strings[i]) : NULL;
        if (!copy[i])
            return error_no_memory(error);
    }
    return 0;
}

/* The set of names decides the output; order and repetition do not. */
static int copy_names(struct cubby_program *program, const struct cubby_program_options *options,
                      struct cubby_error *error) {
    size_t kept = 0;
    int result;

    for (size_t i = 0; i < options->name_count; i++) {
        const char *name = options->names[i];

        if (!name || !*name)
            return error_set(error, CUBBY_ERR_INVALID,
                             "name expression %zu is empty: expected the name of a kernel or "
                             "variable, such as scale<float>",
                             i);
        if (strpbrk(name, "\r\n"))
            return error_set(error, CUBBY_ERR_INVALID,
                             "name expression %zu contains a line break, which would add to the "
                             "source: remove it",
                             i);
    }
    result = copy_strings(options->names, options->name_count, &program->names, error);
    if (result < 0 || options->name_count == 0)
        return result;
    qsort(program->names, options->name_count, sizeof(char *), compare_text);
    for (size_t i = 0; i < options->name_count; i++) {
        if (kept > 0 && strcmp(program->names[kept - 1], program->names[i]) == 0)
            free(program->names[i]);
        else
            program->names[kept++] = program->names[i];
    }
    program->names[kept] = NULL;
    program->name_count = kept;
    return 0;
}

static int compare_header(const void *left, const void *right) {
    return strcmp(((const struct program_header *)left)->name,
                  ((const struct program_header *)right)->name);
}

static int copy_header(const struct cubby_header *header, struct program_header *ret_header,
                       struct cubby_error *error) {
    const struct source_label label = {"the in-memory header", header->name};

    if (!header->name || !*header->name)
        return error_set(error, CUBBY_ERR_INVALID, "an in-memory header has no name");
    ret_header->name = strdup(header->name);
    if (!ret_header->name)
        return error_no_memory(error);
    return source_new(header->data, header->size, &label, &ret_header->source, error);
}

static int copy_headers(struct cubby_program *program, const struct cubby_program_options *options,
                        struct cubby_error *error) {
    size_t count = options->header_count;

    if (count == 0)
        return 0;
    program->headers = calloc(count + 1, sizeof(*program->headers));
    if (!program->headers)
        return error_no_memory(error);
    for (size_t i = 0; i < count; i++) {
        int result = copy_header(&options->headers[i], &program->headers[i], error);

        program->header_count = i + 1;
        if (result < 0)
            return result;
    }
    qsort(program->headers, count, sizeof(*program->headers), compare_header);
    for (size_t i = 1; i < count; i++) {
        if (strcmp(program->headers[i - 1].name, program->headers[i].name) == 0)
            return error_set(error, CUBBY_ERR_INVALID,
                             "the in-memory header \"%.80s\" was given twice: which one would be "
                             "read is not defined",
                             program->headers[i].name);
    }
    return 0;
}

static int copy_modules(struct cubby_program *program, const struct cubby_program_options *options,
                        struct cubby_error *error) {
    size_t count = options->extra_source_count;

    if (count == 0)
        return 0;
    program->inputs = calloc(count + 1, sizeof(*program->inputs));
    if (!program->inputs)
        return error_no_memory(error);
    for (size_t i = 0; i < count; i++) {
        const struct cubby_extra_source *given = &options->extra_sources[i];
        struct input *input = &program->inputs[i];
        char label[128];
        int result;

        snprintf(label, sizeof(label), "the extra source %zu \"%.80s\"", i,
                 given->name ? given->name : "");
        result = input_nvvm_source(given->data, given->size, label, &input->source, error);
        if (result < 0)
            return result;
        program->input_count = i + 1;
        if (given->name && !(input->name = strdup(given->name)))
            return error_no_memory(error);
    }
    return 0;
}

/* ---- What the parts mean together -------------------------------------------------------- */

static void set_uncacheable(struct cubby_program *program, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The first reason stays. */
static void set_uncacheable(struct cubby_program *program, const char *format, ...) {
    va_list arguments;

    if (program->uncacheable[0])
        return;
    va_start(arguments, format);
    vsnprintf(program->uncacheable, sizeof(program->uncacheable), format, arguments);
    va_end(arguments);
}

bool program_has_header(const struct cubby_program *program, const char *name) {
    struct program_header wanted = {(char *)name, NULL};

    return program->header_count > 0 && bsearch(&wanted, program->headers, program->header_count,
                                                sizeof(wanted), compare_header) != NULL;
}

static void weigh_words(struct cubby_program *program, const struct scan_words *words) {
    if (words->uses_name)
        program->names_source = true;
    if (words->volatile_macro)
        set_uncacheable(program, "it uses %s, which changes with every compile",
                        words->volatile_macro);
}

static void weigh_text(struct cubby_program *program, const struct source *source) {
    const struct source_include *includes;
    size_t count;

    includes = source_includes(source, &count);
    for (size_t i = 0; i < count; i++) {
        if (!includes[i].spelling || !program_has_header(program, includes[i].spelling))
            program->reaches_files = true;
    }
    weigh_words(program, source_words(source));
}

/* An option's value or a name expression: it becomes part of what is compiled. */
static void weigh_string(struct cubby_program *program, const char *text, bool *pastes) {
    struct scan_text scan = scan_as_is(text, strlen(text));
    struct scan_words words;

    scan_words(&scan, &words);
    weigh_words(program, &words);
    *pastes = *pastes || words.pastes;
    /* A macro of the command line may ask for files: -DHAS(x)=__has_include(x). */
    if (words.probes)
        program->reaches_files = true;
}

static void weigh_option(struct cubby_program *program, const struct option *option) {
    switch (option->effect) {
    case OPTION_NAMES_SOURCE:
        program->names_source = true;
        program->stamps_source = true;
        break;
    case OPTION_SEED:
        program->has_seed = true;
        break;
    case OPTION_PRE_INCLUDE:
        if (!program_has_header(program, option_value(option)))
            program->reaches_files = true;
        break;
    case OPTION_NOT_BESIDE:
        program->not_beside = true;
        break;
    case OPTION_BYPASSED:
        set_uncacheable(program, "the option \"%s\": %s", option->text, option->why);
        break;
    default:
        break;
    }
}

bool program_links_ltoir(const struct cubby_program *program) {
    for (size_t i = 0; program->kind == PROGRAM_LINK && i < program->input_count; i++) {
        if (program->inputs[i].kind == CUBBY_INPUT_LTOIR)
            return true;
    }
    return false;
}

/* The texts outside of the source that the preprocessor gets to see. */
static bool weigh_strings(struct cubby_program *program) {
    bool pastes = false;

    for (size_t i = 0; i < program->options.count; i++) {
        if (program->options.items[i].effect == OPTION_COUNTS)
            weigh_string(program, program->options.items[i].text, &pastes);
    }
    for (size_t i = 0; i < program->name_count; i++)
        weigh_string(program, program->names[i], &pastes);
    return pastes;
}

/* All pieces that could be pasted, from wherever; false when memory is short. */
static bool collect_pieces(const struct cubby_program *program, struct pieces *pieces) {
    bool complete = source_pieces(program->source, pieces);

    for (size_t i = 0; i < program->header_count; i++)
        complete = source_pieces(program->headers[i].source, pieces) && complete;
    for (size_t i = 0; i < program->options.count; i++)
        pieces_add(pieces, program->options.items[i].text, strlen(program->options.items[i].text));
    for (size_t i = 0; i < program->name_count; i++)
        pieces_add(pieces, program->names[i], strlen(program->names[i]));
    return complete;
}

static void weigh_pasting(struct cubby_program *program) {
    struct pieces pieces = {0};
    bool complete = collect_pieces(program, &pieces);
    const char *word = pieces_word(&pieces);

    if (word)
        set_uncacheable(program, "it can make %s out of pieces with ##", word);
    else if (!complete)
        set_uncacheable(program, "memory was too short to look through it");
}

/* What the preprocessor gets to see. */
static void weigh_texts(struct cubby_program *program) {
    bool pastes = source_words(program->source)->pastes;

    weigh_text(program, program->source);
    for (size_t i = 0; i < program->header_count; i++) {
        weigh_text(program, program->headers[i].source);
        pastes = pastes || source_words(program->headers[i].source)->pastes;
    }
    pastes = weigh_strings(program) || pastes;
    if (pastes)
        weigh_pasting(program);
}

void program_weigh(struct cubby_program *program) {
    if (program->kind == PROGRAM_CUDA)
        weigh_texts(program);
    for (size_t i = 0; i < program->options.count; i++)
        weigh_option(program, &program->options.items[i]);
    if (program->target == CUBBY_TARGET_LTOIR) {
        program->names_source = true;
        program->stamps_source = program->kind == PROGRAM_CUDA;
    }
    /* What a header says of the source's name is not known beforehand. */
    if (program->reaches_files)
        program->names_source = true;
}

/* ---- Making ------------------------------------------------------------------------------ */

const char *cubby_source_name(enum cubby_source source) {
    return (unsigned)source <= CUBBY_SOURCE_NVVM ? program_kind_name((enum program_kind)source)
                                                 : NULL;
}

const char *program_kind_name(enum program_kind kind) {
    static const char *const NAMES[] = {"cuda", "ptx", "nvvm", "link"};

    return (unsigned)kind < sizeof(NAMES) / sizeof(*NAMES) ? NAMES[kind] : NULL;
}

/* The caller's options as this version has them: what an older one lacks is empty. */
static int read_options(const struct cubby_program_options *given,
                        struct cubby_program_options *ret_options, struct cubby_error *error) {
    struct cubby_program_options options = CUBBY_PROGRAM_OPTIONS_INIT;

    if (given && given->version != 1 && given->version != 2)
        return error_set(error, CUBBY_ERR_INVALID,
                         "struct cubby_program_options has version %u: expected 2, which "
                         "CUBBY_PROGRAM_OPTIONS_INIT sets",
                         given->version);
    if (given)
        memcpy(&options, given,
               given->version == 1 ? offsetof(struct cubby_program_options, extra_sources)
                                   : sizeof(options));
    *ret_options = options;
    return 0;
}

/* What each source can become. */
static int check_matrix(const struct cubby_program_options *options, struct cubby_error *error) {
    static const bool MATRIX[][3] = {
        [CUBBY_SOURCE_CUDA] =
            {[CUBBY_TARGET_CUBIN] = true, [CUBBY_TARGET_PTX] = true, [CUBBY_TARGET_LTOIR] = true},
        [CUBBY_SOURCE_PTX] = {[CUBBY_TARGET_CUBIN] = true, [CUBBY_TARGET_PTX] = true},
        [CUBBY_SOURCE_NVVM] = {[CUBBY_TARGET_PTX] = true, [CUBBY_TARGET_LTOIR] = true},
    };

    if (!cubby_source_name(options->source))
        return error_set(error, CUBBY_ERR_INVALID,
                         "source kind %d is not known: expected cuda, ptx or nvvm",
                         (int)options->source);
    if (!cubby_target_name(options->target))
        return error_set(error, CUBBY_ERR_INVALID,
                         "target %d is not known: expected cubin, ptx or ltoir",
                         (int)options->target);
    if (!MATRIX[options->source][options->target])
        return error_set(error, CUBBY_ERR_INVALID,
                         "a source of kind %s cannot become %s: expected %s",
                         cubby_source_name(options->source), cubby_target_name(options->target),
                         options->source == CUBBY_SOURCE_PTX ? "cubin" : "ptx or ltoir");
    return 0;
}

/* Parts that only some sources have. */
static int check_parts(const struct cubby_program_options *options, struct cubby_error *error) {
    const char *kind = cubby_source_name(options->source);

    if (options->source != CUBBY_SOURCE_CUDA &&
        (options->header_count > 0 || options->name_count > 0))
        return error_set(error, CUBBY_ERR_INVALID,
                         "a source of kind %s takes no %s: only CUDA C++ does", kind,
                         options->header_count > 0 ? "in-memory headers" : "name expressions");
    if (options->source != CUBBY_SOURCE_NVVM &&
        (options->extra_source_count > 0 || options->use_libdevice))
        return error_set(error, CUBBY_ERR_INVALID,
                         "a source of kind %s takes no %s: only NVVM IR does", kind,
                         options->use_libdevice ? "libdevice" : "extra sources");
    return 0;
}

static int check_arch(const char *arch, struct cubby_error *error) {
    if (arch && (!*arch || strlen(arch) > MAX_ARCH || strpbrk(arch, " \t\r\n")))
        return error_set(error, CUBBY_ERR_INVALID,
                         "\"%.40s\" is not an architecture: expected one such as sm_90", arch);
    return 0;
}

static int check_options(const struct cubby_program_options *given,
                         struct cubby_program_options *ret_options, struct cubby_error *error) {
    int result = read_options(given, ret_options, error);

    if (result == 0)
        result = check_matrix(ret_options, error);
    return result < 0 ? result : check_parts(ret_options, error);
}

/* What the compiler is told of the architecture. PTX and LTO-IR of sm_90 and of compute_90 are the
 * same bytes, and compute_90 spares the assembler's run; libNVVM knows no other. */
static char *effective_arch(const struct cubby_program *program, const char *arch) {
    char *virtual;

    if (program->target == CUBBY_TARGET_CUBIN || program->kind == PROGRAM_PTX ||
        strncmp(arch, "sm_", 3) != 0)
        return strdup(arch);
    return asprintf(&virtual, "compute_%s", arch + 3) < 0 ? NULL : virtual;
}

struct cubby_program *program_alloc(enum program_kind kind) {
    struct cubby_program *program = calloc(1, sizeof(*program));

    if (program) {
        atomic_init(&program->references, 1);
        program->kind = kind;
    }
    return program;
}

int program_fill(struct cubby_program *program, const struct option_dialect *dialect,
                 const struct cubby_program_options *options, struct cubby_error *error) {
    int result = check_arch(options->arch, error);

    if (result < 0)
        return result;
    program->target = options->target;
    program->name = strdup(options->name && *options->name ? options->name : DEFAULT_NAME);
    program->arch = options->arch ? effective_arch(program, options->arch) : NULL;
    if (!program->name || (options->arch && !program->arch))
        return error_no_memory(error);
    result =
        options_parse(dialect, options->options, options->option_count, &program->options, error);
    if (result == 0) {
        program->string_count = options->option_count;
        result = copy_strings(options->options, options->option_count, &program->strings, error);
    }
    if (result == 0 && options->extra) {
        program->has_extra = true;
        digest_bytes(options->extra, options->extra_size, &program->extra);
    }
    return result;
}

static int fill_parts(struct cubby_program *program, const struct cubby_program_options *options,
                      struct cubby_error *error) {
    static const struct option_dialect *const DIALECTS[] = {[PROGRAM_CUDA] = &DIALECT_NVRTC,
                                                            [PROGRAM_PTX] = &DIALECT_LINKER,
                                                            [PROGRAM_NVVM] = &DIALECT_NVVM};
    int result = program_fill(program, DIALECTS[program->kind], options, error);

    if (result == 0)
        result = copy_headers(program, options, error);
    if (result == 0)
        result = copy_names(program, options, error);
    if (result == 0)
        result = copy_modules(program, options, error);
    program->use_libdevice = options->use_libdevice;
    return result;
}

static int program_from(struct source *source, const struct cubby_program_options *options,
                        struct cubby_program **ret_program, struct cubby_error *error) {
    struct cubby_program *program = program_alloc((enum program_kind)options->source);
    int result;

    if (!program)
        return error_no_memory(error);
    program->source = source_ref(source);
    result = fill_parts(program, options, error);
    if (result < 0) {
        cubby_program_unref(program);
        return result;
    }
    program_weigh(program);
    *ret_program = program;
    return 0;
}

/* The text of a source, as its kind has to be. */
static int read_source(const void *source, size_t size, const struct cubby_program_options *options,
                       struct source **ret_text, struct cubby_error *error) {
    const struct source_label label = {"the source", options->name};
    char name[160];

    if (options->source == CUBBY_SOURCE_CUDA)
        return source_new(source, size, &label, ret_text, error);
    snprintf(name, sizeof(name), "the source \"%.100s\"", options->name ? options->name : "");
    return options->source == CUBBY_SOURCE_PTX
               ? input_ptx_source(source, size, name, ret_text, error)
               : input_nvvm_source(source, size, name, ret_text, error);
}

int cubby_program_new(const void *source, size_t size, const struct cubby_program_options *options,
                      struct cubby_program **ret_program, struct cubby_error *error) {
    struct cubby_program_options own;
    struct source *text;
    int result = check_options(options, &own, error);

    if (result < 0)
        return result;
    if (!source && size > 0)
        return error_set(error, CUBBY_ERR_INVALID, "the source is NULL but %zu bytes long", size);
    result = read_source(source, size, &own, &text, error);
    if (result < 0)
        return result;
    result = program_from(text, &own, ret_program, error);
    source_unref(text);
    return result;
}

int cubby_program_vary(struct cubby_program *program, const struct cubby_program_options *options,
                       struct cubby_program **ret_program, struct cubby_error *error) {
    struct cubby_program_options own;
    int result = check_options(options, &own, error);

    if (result < 0)
        return result;
    if ((enum program_kind)own.source != program->kind)
        return error_set(error, CUBBY_ERR_INVALID,
                         "the source is of kind %s and cannot be varied to %s",
                         program_kind_name(program->kind), cubby_source_name(own.source));
    return program_from(program->source, &own, ret_program, error);
}

struct cubby_program *cubby_program_ref(struct cubby_program *program) {
    if (program)
        atomic_fetch_add_explicit(&program->references, 1, memory_order_relaxed);
    return program;
}

static void free_strings(char **strings, size_t count) {
    for (size_t i = 0; strings && i < count; i++)
        free(strings[i]);
    free(strings);
}

void cubby_program_unref(struct cubby_program *program) {
    if (!program || atomic_fetch_sub_explicit(&program->references, 1, memory_order_acq_rel) != 1)
        return;
    source_unref(program->source);
    for (size_t i = 0; i < program->header_count; i++) {
        free(program->headers[i].name);
        source_unref(program->headers[i].source);
    }
    free(program->headers);
    free_strings(program->strings, program->string_count);
    free_strings(program->names, program->name_count);
    for (size_t i = 0; i < program->input_count; i++)
        input_clear(&program->inputs[i]);
    free(program->inputs);
    options_free(&program->options);
    free(program->name);
    free(program->arch);
    free(program);
}

const char *cubby_program_uncacheable(const struct cubby_program *program) {
    return program->uncacheable[0] ? program->uncacheable : NULL;
}

const char *cubby_target_name(enum cubby_target target) {
    switch (target) {
    case CUBBY_TARGET_CUBIN:
        return "cubin";
    case CUBBY_TARGET_PTX:
        return "ptx";
    case CUBBY_TARGET_LTOIR:
        return "ltoir";
    }
    return NULL;
}
