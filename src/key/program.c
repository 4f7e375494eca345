/* SPDX-License-Identifier: Apache-2.0 */
#include "key/program.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "key/digest.h"
#include "util/error.h"

#define MAX_ARCH 32
#define DEFAULT_NAME "default_program" /* as NVRTC calls a program that was given no name */

/* ---- Copying what the caller gave ---------------------------------------------- */

static int compare_text(const void *left, const void *right) {
    return strcmp(*(char *const *)left, *(char *const *)right);
}

static int copy_strings(const char *const *strings, size_t count, char ***ret_copy,
                        struct cubby_error *error) {
    char **copy = calloc(count + 1, sizeof(*copy));

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
    if (result < 0)
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
    char label[128];

    if (!header->name || !*header->name)
        return error_set(error, CUBBY_ERR_INVALID, "an in-memory header has no name");
    snprintf(label, sizeof(label), "the in-memory header \"%.80s\"", header->name);
    ret_header->name = strdup(header->name);
    if (!ret_header->name)
        return error_no_memory(error);
    return source_new(header->data, header->size, label, &ret_header->source, error);
}

static int copy_headers(struct cubby_program *program, const struct cubby_program_options *options,
                        struct cubby_error *error) {
    size_t count = options->header_count;

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

/* ---- What the parts mean together ------------------------------------------------ */

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

    return bsearch(&wanted, program->headers, program->header_count, sizeof(wanted),
                   compare_header) != NULL;
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
    struct scan_text scan = {text, text + strlen(text), NULL};
    struct scan_words words;

    scan_words(&scan, &words);
    weigh_words(program, &words);
    *pastes = *pastes || words.pastes;
    /* A macro of the command line may ask for files: -DHAS(x)=__has_include(x). */
    if (strstr(text, "__has_"))
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

static void weigh(struct cubby_program *program) {
    bool pastes = source_words(program->source)->pastes;

    weigh_text(program, program->source);
    for (size_t i = 0; i < program->header_count; i++) {
        weigh_text(program, program->headers[i].source);
        pastes = pastes || source_words(program->headers[i].source)->pastes;
    }
    for (size_t i = 0; i < program->options.count; i++)
        weigh_option(program, &program->options.items[i]);
    pastes = weigh_strings(program) || pastes;
    if (pastes)
        weigh_pasting(program);
    if (program->target == CUBBY_TARGET_LTOIR) {
        program->names_source = true;
        program->stamps_source = true;
    }
    /* What a header says of the source's name is not known beforehand. */
    if (program->reaches_files)
        program->names_source = true;
}

/* ---- Making ------------------------------------------------------------------------ */

static int check_options(const struct cubby_program_options *options, struct cubby_error *error) {
    if (options->version != 1)
        return error_set(error, CUBBY_ERR_INVALID,
                         "struct cubby_program_options has version %u: expected 1, which "
                         "CUBBY_PROGRAM_OPTIONS_INIT sets",
                         options->version);
    if (options->source != CUBBY_SOURCE_CUDA)
        return error_set(error, CUBBY_ERR_INVALID, "source kind %d is not known: expected CUDA C++",
                         (int)options->source);
    if (!cubby_target_name(options->target))
        return error_set(error, CUBBY_ERR_INVALID,
                         "target %d is not known: expected cubin, ptx or ltoir",
                         (int)options->target);
    if (options->arch &&
        (!*options->arch || strlen(options->arch) > MAX_ARCH || strpbrk(options->arch, " \t\r\n")))
        return error_set(error, CUBBY_ERR_INVALID,
                         "\"%.40s\" is not an architecture: expected one such as sm_90",
                         options->arch);
    return 0;
}

/* What the compiler is told of the architecture. PTX and LTO-IR of sm_90 and of compute_90 are the
 * same bytes, and compute_90 spares the assembler's run. */
static char *effective_arch(enum cubby_target target, const char *arch) {
    char *virtual;

    if (target == CUBBY_TARGET_CUBIN || strncmp(arch, "sm_", 3) != 0)
        return strdup(arch);
    return asprintf(&virtual, "compute_%s", arch + 3) < 0 ? NULL : virtual;
}

static int fill(struct cubby_program *program, const struct cubby_program_options *options,
                struct cubby_error *error) {
    int result;

    program->target = options->target;
    program->name = strdup(options->name && *options->name ? options->name : DEFAULT_NAME);
    program->arch = options->arch ? effective_arch(options->target, options->arch) : NULL;
    if (!program->name || (options->arch && !program->arch))
        return error_no_memory(error);
    result = options_parse(options->options, options->option_count, &program->options, error);
    if (result == 0) {
        program->string_count = options->option_count;
        result = copy_strings(options->options, options->option_count, &program->strings, error);
    }
    if (result == 0)
        result = copy_headers(program, options, error);
    if (result == 0)
        result = copy_names(program, options, error);
    if (result == 0 && options->extra) {
        program->has_extra = true;
        digest_bytes(options->extra, options->extra_size, &program->extra);
    }
    return result;
}

static int program_from(struct source *source, const struct cubby_program_options *options,
                        struct cubby_program **ret_program, struct cubby_error *error) {
    struct cubby_program *program = calloc(1, sizeof(*program));
    int result;

    if (!program)
        return error_no_memory(error);
    atomic_init(&program->references, 1);
    program->source = source_ref(source);
    result = fill(program, options, error);
    if (result < 0) {
        cubby_program_unref(program);
        return result;
    }
    weigh(program);
    *ret_program = program;
    return 0;
}

int cubby_program_new(const void *source, size_t size, const struct cubby_program_options *options,
                      struct cubby_program **ret_program, struct cubby_error *error) {
    struct cubby_program_options defaults = CUBBY_PROGRAM_OPTIONS_INIT;
    struct source *text;
    char label[160];
    int result;

    if (!options)
        options = &defaults;
    if (!source && size > 0)
        return error_set(error, CUBBY_ERR_INVALID, "the source is NULL but %zu bytes long", size);
    result = check_options(options, error);
    if (result < 0)
        return result;
    snprintf(label, sizeof(label), "the source \"%.100s\"", options->name ? options->name : "");
    result = source_new(source, size, label, &text, error);
    if (result < 0)
        return result;
    result = program_from(text, options, ret_program, error);
    source_unref(text);
    return result;
}

int cubby_program_vary(struct cubby_program *program, const struct cubby_program_options *options,
                       struct cubby_program **ret_program, struct cubby_error *error) {
    int result = check_options(options, error);

    return result < 0 ? result : program_from(program->source, options, ret_program, error);
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
