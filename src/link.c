/* SPDX-License-Identifier: Apache-2.0 */
/* Links: a program that has inputs in the place of a source, and takes the same way. */
#include <stdio.h>
#include <stdlib.h>

#include <cubby/cubby.h>

#include "key/program.h"
#include "util/error.h"

struct cubby_link {
    struct cubby_program program; /* first and only: one is the other */
};

static struct cubby_program *program_of(struct cubby_link *link) {
    return link ? &link->program : NULL;
}

static int check_options(const struct cubby_link_options *options, struct cubby_error *error) {
    if (options->version != 1)
        return error_set(error, CUBBY_ERR_INVALID,
                         "struct cubby_link_options has version %u: expected 1, which "
                         "CUBBY_LINK_OPTIONS_INIT sets",
                         options->version);
    if (options->target != CUBBY_TARGET_CUBIN && options->target != CUBBY_TARGET_PTX)
        return error_set(error, CUBBY_ERR_INVALID, "a link cannot make %s: expected cubin or ptx",
                         cubby_target_name(options->target) ? cubby_target_name(options->target)
                                                            : "a target of that number");
    return 0;
}

static int copy_inputs(struct cubby_program *program, const struct cubby_link_input *inputs,
                       size_t count, struct cubby_error *error) {
    if (!inputs || count == 0)
        return error_set(error, CUBBY_ERR_INVALID, "a link needs at least one input");
    program->inputs = calloc(count, sizeof(*program->inputs));
    if (!program->inputs)
        return error_no_memory(error);
    for (size_t i = 0; i < count; i++) {
        char label[128];
        int result;

        snprintf(label, sizeof(label), "input %zu \"%.80s\"", i + 1,
                 inputs[i].name ? inputs[i].name : "");
        result = input_copy_link(&inputs[i], label, &program->inputs[i], error);
        if (result < 0)
            return result;
        program->input_count = i + 1;
    }
    return 0;
}

/* nvJitLink makes PTX of nothing else, and says so only after it has read everything. */
static int check_inputs(const struct cubby_program *program, struct cubby_error *error) {
    for (size_t i = 0; program->target == CUBBY_TARGET_PTX && i < program->input_count; i++) {
        const struct input *input = &program->inputs[i];

        if (input->kind != CUBBY_INPUT_LTOIR)
            return error_set(error, CUBBY_ERR_INVALID,
                             "input %zu \"%.80s\" is of form %s: a link to PTX takes LTO-IR only",
                             i + 1, input->name ? input->name : "", cubby_input_name(input->kind));
    }
    return 0;
}

static int fill(struct cubby_program *program, const struct cubby_link_input *inputs, size_t count,
                const struct cubby_link_options *options, struct cubby_error *error) {
    const struct cubby_program_options shared = {
        .target = options->target,
        .name = options->name ? options->name : "link",
        .arch = options->arch,
        .options = options->options,
        .option_count = options->option_count,
        .extra = options->extra,
        .extra_size = options->extra_size,
    };
    int result = copy_inputs(program, inputs, count, error);

    if (result == 0)
        result = program_fill(program, &DIALECT_LINKER, &shared, error);
    return result < 0 ? result : check_inputs(program, error);
}

int cubby_link_new(const struct cubby_link_input *inputs, size_t count,
                   const struct cubby_link_options *options, struct cubby_link **ret_link,
                   struct cubby_error *error) {
    struct cubby_link_options defaults = CUBBY_LINK_OPTIONS_INIT;
    struct cubby_program *program;
    int result;

    if (!options)
        options = &defaults;
    result = check_options(options, error);
    if (result < 0)
        return result;
    program = program_alloc(PROGRAM_LINK);
    if (!program)
        return error_no_memory(error);
    result = fill(program, inputs, count, options, error);
    if (result < 0) {
        cubby_program_unref(program);
        return result;
    }
    program_weigh(program);
    *ret_link = (struct cubby_link *)program;
    return 0;
}

struct cubby_link *cubby_link_ref(struct cubby_link *link) {
    cubby_program_ref(program_of(link));
    return link;
}

void cubby_link_unref(struct cubby_link *link) {
    cubby_program_unref(program_of(link));
}

const char *cubby_link_uncacheable(const struct cubby_link *link) {
    return cubby_program_uncacheable(&link->program);
}

int cubby_link_key(struct cubby_cache *cache, struct cubby_link *link, struct cubby_key *ret_key,
                   struct cubby_error *error) {
    return cubby_program_key(cache, program_of(link), ret_key, error);
}

int cubby_link_explain(struct cubby_cache *cache, struct cubby_link *link,
                       cubby_field_visitor visit, void *context, struct cubby_error *error) {
    return cubby_program_explain(cache, program_of(link), visit, context, error);
}

int cubby_link_run(struct cubby_cache *cache, struct cubby_link *link, unsigned flags,
                   struct cubby_object **ret_object, struct cubby_outcome *ret_outcome,
                   struct cubby_error *error) {
    return cubby_compile(cache, program_of(link), flags, ret_object, ret_outcome, error);
}
