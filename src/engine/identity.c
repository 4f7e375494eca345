/* SPDX-License-Identifier: Apache-2.0 */
/* The digest of a plan: every member of every part, each with its length, in one order. */
#include <endian.h>
#include <string.h>

#include "engine/plan.h"
#include "key/digest.h"

#define PERSONAL "cubby engine 1" /* changes whenever what follows does */

/* What a field is. Numbers are part of what is digested. */
enum tag {
    TAG_ENGINE = 1,
    TAG_NUMBER = 2,
    TAG_TEXT = 3,
    TAG_ABSENT = 4,
    TAG_REAL = 5,
    TAG_DIM = 6,
    TAG_TENSOR = 7,
    TAG_PROGRAM = 8,
    TAG_LAUNCH = 9,
    TAG_ARGUMENT = 10,
    TAG_OPERATION = 11,
};

static void add_number(struct digest *digest, enum tag tag, int64_t value) {
    uint64_t stored = htole64((uint64_t)value);

    digest_field(digest, (unsigned char)tag, &stored, sizeof(stored));
}

static void add_text(struct digest *digest, const char *text) {
    if (text)
        digest_field(digest, TAG_TEXT, text, strlen(text));
    else
        digest_field(digest, TAG_ABSENT, NULL, 0);
}

static void add_real(struct digest *digest, double value) {
    uint64_t bits;

    memcpy(&bits, &value, sizeof(bits));
    add_number(digest, TAG_REAL, (int64_t)bits);
}

static void add_expression(struct digest *digest, const struct cubby_expression *expression) {
    switch (expression->kind) {
    case EXPRESSION_CONSTANT:
        add_number(digest, TAG_NUMBER, expression->value);
        break;
    case EXPRESSION_DIM:
        add_text(digest, expression->name);
        break;
    default:
        add_number(digest, TAG_OPERATION, expression->operation);
        add_expression(digest, expression->left);
        add_expression(digest, expression->right);
        break;
    }
}

static void add_shape(struct digest *digest, struct cubby_expression *const *shape, size_t rank) {
    if (!shape) {
        digest_field(digest, TAG_ABSENT, NULL, 0);
        return;
    }
    add_number(digest, TAG_NUMBER, (int64_t)rank);
    for (size_t i = 0; i < rank; i++)
        add_expression(digest, shape[i]);
}

static void add_dim(struct digest *digest, const struct cubby_engine_dim *dim) {
    digest_field(digest, TAG_DIM, dim->name, strlen(dim->name));
    add_number(digest, TAG_NUMBER, dim->min);
    add_number(digest, TAG_NUMBER, dim->opt);
    add_number(digest, TAG_NUMBER, dim->max);
}

static void add_tensor(struct digest *digest, const struct cubby_engine_tensor *tensor) {
    digest_field(digest, TAG_TENSOR, tensor->name, strlen(tensor->name));
    add_text(digest, cubby_dtype_name(tensor->dtype));
    add_text(digest, cubby_role_name(tensor->role));
    add_shape(digest, tensor->shape, tensor->rank);
}

static void add_source(struct digest *digest, const void *text, size_t size) {
    struct cubby_key key;

    digest_bytes(text, size, &key);
    digest_field(digest, TAG_TEXT, key.bytes, sizeof(key.bytes));
}

/* A file has the name that the plan gives it, wherever the plan's folder is. */
static void add_program(struct digest *digest, const struct cubby_engine_program *program) {
    const struct cubby_program_options *options = program->options;

    digest_field(digest, TAG_PROGRAM, program->name, strlen(program->name));
    add_text(digest, program->path);
    add_text(digest, program->path ? NULL : options->name);
    add_source(digest, program->source, program->size);
    add_text(digest, cubby_source_name(options->source));
    add_number(digest, TAG_NUMBER, (int64_t)options->option_count);
    for (size_t i = 0; i < options->option_count; i++)
        add_text(digest, options->options[i]);
    add_number(digest, TAG_NUMBER, (int64_t)options->header_count);
    for (size_t i = 0; i < options->header_count; i++) {
        add_text(digest, options->headers[i].name);
        add_source(digest, options->headers[i].data, options->headers[i].size);
    }
    add_number(digest, TAG_NUMBER, (int64_t)program->specialize_count);
    for (size_t i = 0; i < program->specialize_count; i++)
        add_text(digest, program->specialize[i]);
}

static void add_argument(struct digest *digest, const struct cubby_engine_argument *argument) {
    add_number(digest, TAG_ARGUMENT, argument->kind);
    switch (argument->kind) {
    case CUBBY_ARGUMENT_TENSOR:
        add_text(digest, argument->name);
        add_text(digest, cubby_access_name(argument->access));
        add_shape(digest, argument->shape, argument->rank);
        break;
    case CUBBY_ARGUMENT_DIM:
        add_text(digest, argument->name);
        add_text(digest, cubby_dtype_name(argument->dtype));
        break;
    case CUBBY_ARGUMENT_SCALAR:
        add_text(digest, cubby_dtype_name(argument->dtype));
        add_number(digest, TAG_NUMBER, argument->integer);
        add_real(digest, argument->real);
        break;
    }
}

static void add_launch(struct digest *digest, const struct cubby_engine_launch *launch) {
    digest_field(digest, TAG_LAUNCH, launch->kernel, strlen(launch->kernel));
    add_text(digest, launch->program);
    add_shape(digest, launch->grid, 3);
    add_shape(digest, launch->block, 3);
    add_expression(digest, launch->shared_bytes);
    add_number(digest, TAG_NUMBER, (int64_t)launch->argument_count);
    for (size_t i = 0; i < launch->argument_count; i++)
        add_argument(digest, &launch->arguments[i]);
}

void cubby_engine_plan_identity(const struct cubby_engine_plan *plan, struct cubby_key *ret_key) {
    struct digest digest;

    digest_init(&digest, PERSONAL);
    digest_field(&digest, TAG_ENGINE, plan->name, strlen(plan->name));
    for (size_t i = 0; i < plan->dim_count; i++)
        add_dim(&digest, &plan->dims[i]);
    for (size_t i = 0; i < plan->tensor_count; i++)
        add_tensor(&digest, &plan->tensors[i]);
    for (size_t i = 0; i < plan->program_count; i++)
        add_program(&digest, &plan->programs[i].view);
    for (size_t i = 0; i < plan->launch_count; i++)
        add_launch(&digest, &plan->launches[i].view);
    digest_result(&digest, ret_key);
}
