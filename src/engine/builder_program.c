/* SPDX-License-Identifier: Apache-2.0 */
/* Taking a program: its source is read, and its options are checked, at once. */
#include <stdlib.h>
#include <string.h>

#include "engine/builder.h"
#include "engine/file.h"
#include "engine/plan.h"
#include "key/program.h"
#include "util/error.h"
#include "util/utf8.h"

/* ---- Options ----------------------------------------------------------------------------- */

/* What the engine decides by itself must not be set. */
static int check_unset(const struct cubby_program_options *given, const struct place *place,
                       struct cubby_error *error) {
    const char *set = NULL;

    if (given->target != CUBBY_TARGET_CUBIN)
        set = "target";
    else if (given->arch)
        set = "arch";
    else if (given->name_count > 0)
        set = "names";
    else if (given->extra)
        set = "extra";
    else if (given->version >= 2 && (given->extra_source_count > 0 || given->use_libdevice))
        set = given->use_libdevice ? "use_libdevice" : "extra_sources";
    if (set)
        return place_error(place, error,
                           "the member %s of its options is set: expected it unset, as the engine "
                           "decides it or has no use for it",
                           set);
    if (given->source != CUBBY_SOURCE_CUDA && given->source != CUBBY_SOURCE_PTX)
        return place_error(PLACE_KEY(place, "kind"), error,
                           "a source of this kind becomes no cubin: expected cuda or ptx");
    return 0;
}

static bool names_arch(const char *option) {
    static const char *const NAMES[] = {"-arch", "--arch", "-gpu-architecture",
                                        "--gpu-architecture", "--gpu-arch"};

    for (size_t i = 0; i < sizeof(NAMES) / sizeof(*NAMES); i++) {
        size_t length = strlen(NAMES[i]);

        if (strncmp(option, NAMES[i], length) == 0 &&
            (option[length] == '\0' || option[length] == '=' || option[length] == ' '))
            return true;
    }
    return false;
}

const char *plan_option_fault(const char *option) {
    if (names_arch(option + strspn(option, " \t")))
        return "names an architecture: expected none, it is known when the engine runs";
    if (strstr(option, "CUBBY_DIM_"))
        return "speaks of CUBBY_DIM_, which the engine defines: expected another name, or an entry "
               "in specialize";
    return NULL;
}

static int check_options(const struct cubby_program_options *given, const struct place *place,
                         struct cubby_error *error) {
    for (size_t i = 0; i < given->option_count; i++) {
        const struct place *at = PLACE_ITEM(place, "options", i);
        int result = builder_check_line(given->options[i], PLAN_KERNEL_MAX, at, error);
        const char *fault;

        if (result < 0)
            return result;
        fault = plan_option_fault(given->options[i]);
        if (fault)
            return place_error(at, error, "\"%.80s\" %s", given->options[i], fault);
    }
    return 0;
}

static int check_headers(const struct cubby_program_options *given, const struct place *place,
                         struct cubby_error *error) {
    for (size_t i = 0; i < given->header_count; i++) {
        const struct cubby_header *header = &given->headers[i];
        const struct place *at = PLACE_ITEM(place, "headers", i);
        int result =
            builder_check_line(header->name, PLAN_KERNEL_MAX, PLACE_KEY(at, "name"), error);
        size_t offset;

        if (result < 0)
            return result;
        if (header->size > 0 && !utf8_is_valid(header->data, header->size, &offset))
            return place_error(PLACE_KEY(at, "text"), error, "it is not UTF-8 at byte %zu", offset);
    }
    return 0;
}

/* ---- Source ------------------------------------------------------------------------------ */

static int make_base(const char *text, size_t size, const struct cubby_program_options *options,
                     const struct place *place, struct plan_program *program,
                     struct cubby_error *error) {
    struct cubby_error own = CUBBY_ERROR_INIT;

    return cubby_program_new(text, size, options, &program->base, &own) == 0
               ? 0
               : place_pass(place, error, &own);
}

static int base_from_file(const char *folder, const char *file,
                          struct cubby_program_options *options, const struct place *place,
                          struct plan_program *program, struct cubby_error *error) {
    struct cubby_error own = CUBBY_ERROR_INIT;
    char *path, *text;
    size_t size;
    int result = builder_check_line(file, PLAN_KERNEL_MAX, PLACE_KEY(place, "source"), error);

    if (result < 0)
        return result;
    if (options->name)
        return place_error(PLACE_KEY(place, "source_name"), error,
                           "a source from a file has the file's name: expected none");
    path = engine_path_from(folder, file);
    if (!path)
        return error_no_memory(error);
    if (engine_read_file(path, PLAN_SOURCE_MAX, &text, &size, &own) < 0) {
        result = place_pass(PLACE_KEY(place, "source"), error, &own);
    } else {
        options->name = path; /* quoted includes start from the folder of the source */
        result = make_base(text, size, options, place, program, error);
        options->name = NULL;
        free(text);
    }
    free(path);
    program->view.path = result == 0 ? strdup(file) : NULL;
    return result == 0 && !program->view.path ? error_no_memory(error) : result;
}

static int base_from_text(const struct cubby_engine_program *given,
                          struct cubby_program_options *options, const struct place *place,
                          struct plan_program *program, struct cubby_error *error) {
    int result = 0;
    size_t offset;

    if (!given->source && given->size > 0)
        return place_error(PLACE_KEY(place, "text"), error, "it is NULL but %zu bytes long",
                           given->size);
    if (given->size > PLAN_SOURCE_MAX)
        return place_error(PLACE_KEY(place, "text"), error,
                           "it is %zu bytes long: expected at most "
                           "%u MiB",
                           given->size, PLAN_SOURCE_MAX >> 20);
    if (given->size > 0 && !utf8_is_valid(given->source, given->size, &offset))
        return place_error(PLACE_KEY(place, "text"), error, "it is not UTF-8 at byte %zu", offset);
    if (options->name)
        result = builder_check_line(options->name, PLAN_KERNEL_MAX, PLACE_KEY(place, "source_name"),
                                    error);
    else
        options->name = program->view.name;
    return result < 0 ? result
                      : make_base(given->source, given->size, options, place, program, error);
}

/* ---- Both, as the plan shows them -------------------------------------------------------- */

/* The base program holds all that the view shows. */
static int show_base(struct plan_program *program, struct cubby_error *error) {
    const struct cubby_program *base = program->base;
    struct cubby_header *headers = calloc(base->header_count + 1, sizeof(*headers));

    if (!headers)
        return error_no_memory(error);
    for (size_t i = 0; i < base->header_count; i++)
        headers[i] =
            (struct cubby_header){base->headers[i].name, source_text(base->headers[i].source),
                                  source_size(base->headers[i].source)};
    program->options = (struct cubby_program_options)CUBBY_PROGRAM_OPTIONS_INIT;
    program->options.source = (enum cubby_source)base->kind;
    program->options.name = base->name;
    program->options.options = (const char *const *)base->strings;
    program->options.option_count = base->string_count;
    program->options.headers = headers;
    program->options.header_count = base->header_count;
    program->view.source = source_text(base->source);
    program->view.size = source_size(base->source);
    return 0;
}

static int take_specialize(const struct cubby_engine_program *given, struct plan_program *program,
                           const struct place *place, struct cubby_error *error) {
    size_t count = given->specialize_count;
    const char **copy;

    if (count > PLAN_DIMS_MAX)
        return place_error(place, error, "there are %zu: expected at most %d", count,
                           PLAN_DIMS_MAX);
    if (count > 0 && !given->specialize)
        return place_error(place, error, "it is NULL: expected the names of %zu dims", count);
    if (count > 0 && program->base->kind != PROGRAM_CUDA)
        return place_error(place, error,
                           "only a CUDA source can be specialised: expected no dims for this one");
    copy = calloc(count + 1, sizeof(*copy));
    program->view.specialize = copy;
    program->specialize = calloc(count + 1, sizeof(*program->specialize));
    if (!copy || !program->specialize)
        return error_no_memory(error);
    program->view.specialize_count = count;
    for (size_t i = 0; i < count; i++) {
        int result =
            builder_copy_name(given->specialize[i], PLACE_INDEX(place, i), &copy[i], error);

        if (result < 0)
            return result;
    }
    return 0;
}

static int fill_program(const struct cubby_engine_builder *builder,
                        const struct cubby_engine_program *given, struct plan_program *program,
                        const struct place *place, struct cubby_error *error) {
    static const struct cubby_program_options NONE = CUBBY_PROGRAM_OPTIONS_INIT;
    struct cubby_program_options options = CUBBY_PROGRAM_OPTIONS_INIT;
    const struct cubby_program_options *from = given->options ? given->options : &NONE;
    int result =
        builder_copy_name(given->name, PLACE_KEY(place, "name"), &program->view.name, error);

    if (result == 0)
        result = check_unset(from, place, error);
    if (result == 0)
        result = check_options(from, place, error);
    if (result == 0)
        result = check_headers(from, place, error);
    if (result < 0)
        return result;
    options.version = from->version == 1 ? 2 : from->version; /* an unknown one is refused */
    options.source = from->source;
    options.name = from->name;
    options.options = from->options;
    options.option_count = from->option_count;
    options.headers = from->headers;
    options.header_count = from->header_count;
    result = given->path
                 ? base_from_file(builder->folder, given->path, &options, place, program, error)
                 : base_from_text(given, &options, place, program, error);
    if (result == 0)
        result = show_base(program, error);
    if (result == 0)
        result = take_specialize(given, program, PLACE_KEY(place, "specialize"), error);
    return result;
}

int cubby_engine_builder_add_program(struct cubby_engine_builder *builder,
                                     const struct cubby_engine_program *program,
                                     struct cubby_error *error) {
    struct cubby_engine_plan *plan = builder->plan;
    const struct place *place = PLACE_ITEM(NULL, "programs", plan ? plan->program_count : 0);
    struct plan_program *copy;
    int result = builder_grow(builder, plan ? (void **)&plan->programs : NULL,
                              plan ? plan->program_count : 0, PLAN_PROGRAMS_MAX,
                              sizeof(*plan->programs), "programs", error);

    if (result < 0)
        return result;
    copy = &plan->programs[plan->program_count];
    result = fill_program(builder, program, copy, place, error);
    if (result == 0)
        plan->program_count++;
    else
        plan_free_program(copy);
    return result;
}
