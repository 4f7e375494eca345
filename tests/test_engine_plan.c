/* SPDX-License-Identifier: Apache-2.0 */
/* Plans: made in C, for given values of their dims, their identity, and their programs. */
#include "harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cubby/engine.h>

#define COUNT(table) (int)(sizeof(table) / sizeof(*(table)))

static const char SOURCE[] = "template <typename T>\n"
                             "__global__ void scale(const T *x, T *y, int n, float factor) {\n"
                             "#ifdef CUBBY_DIM_n\n"
                             "    n = CUBBY_DIM_n;\n"
                             "#endif\n"
                             "    int i = blockIdx.x * blockDim.x + threadIdx.x;\n"
                             "    if (i < n) y[i] = x[i] * (T)factor;\n"
                             "}\n";

/* ---- The same engine in C and as JSON ---------------------------------------------------- */

static const char ENGINE[] =
    "{\"cubby_engine\": 1, \"name\": \"scale\","
    " \"dims\": [{\"name\": \"n\", \"min\": 2, \"opt\": 64, \"max\": 1000},"
    "            {\"name\": \"rows\", \"min\": 1, \"opt\": 1, \"max\": 8}],"
    " \"tensors\": [{\"name\": \"x\", \"dtype\": \"float32\", \"role\": \"input\","
    "                \"shape\": [\"rows\", [\"round_up\", \"n\", 32]]},"
    "               {\"name\": \"y\", \"dtype\": \"float32\", \"role\": \"output\", \"shape\": "
    "[\"n\"]}],"
    " \"programs\": [{\"name\": \"p\", \"text\": \"%s\", \"source_name\": \"scale.cu\","
    "                \"options\": [\"--std=c++17\"], \"specialize\": [\"n\"]}],"
    " \"launches\": [{\"program\": \"p\", \"kernel\": \"scale<float>\","
    "                \"grid\": [[\"ceil_div\", \"n\", 256], \"rows\"], \"block\": [[\"min\", "
    "\"n\", 256]],"
    "                \"shared_bytes\": [\"mul\", \"rows\", 16],"
    "                \"arguments\": [{\"tensor\": \"x\", \"access\": \"read\"},"
    "                                {\"tensor\": \"y\", \"access\": \"write\", \"shape\": "
    "[\"n\"]},"
    "                                {\"dim\": \"n\"}, {\"scalar\": 0.5, \"type\": "
    "\"float32\"}]}]}";

/* The engine as JSON, with one text in it replaced by another. */
static char *engine_text(const char *from, const char *to) {
    char *text = NULL, *source = NULL, *at, *changed;
    size_t size;
    FILE *file = open_memstream(&source, &size);

    for (const char *c = SOURCE; *c; c++) {
        if (*c == '\n')
            fputs("\\n", file);
        else
            fputc(*c, file);
    }
    ck_assert_int_eq(fclose(file), 0);
    at = strstr(ENGINE, "%s");
    ck_assert_int_gt(asprintf(&text, "%.*s%s%s", (int)(at - ENGINE), ENGINE, source, at + 2), 0);
    free(source);
    if (!from)
        return text;
    at = strstr(text, from);
    ck_assert_msg(at != NULL, "%s", from);
    ck_assert_int_gt(asprintf(&changed, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from)),
                     0);
    free(text);
    return changed;
}

static struct cubby_engine_plan *parse_engine(const char *from, const char *to) {
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_engine_plan *plan;
    char *text = engine_text(from, to);

    ck_ok(cubby_engine_plan_parse(text, strlen(text), NULL, &plan, &error), &error);
    free(text);
    return plan;
}

#define DIM(name) cubby_expression_dim(name)
#define NUMBER(value) cubby_expression_constant(value)
#define OPERATION(name, left, right) cubby_expression_operation(CUBBY_OPERATOR_##name, left, right)
#define SHAPE(...)                                                                                 \
    (struct cubby_expression *[]) {                                                                \
        __VA_ARGS__                                                                                \
    }

static struct cubby_engine_builder *begin(void) {
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_engine_builder *builder;

    ck_ok(cubby_engine_builder_new("scale", NULL, &builder, &error), &error);
    return builder;
}

static void add_dims(struct cubby_engine_builder *builder) {
    struct cubby_engine_dim n = {"n", 2, 64, 1000}, rows = {"rows", 1, 1, 8};
    struct cubby_error error = CUBBY_ERROR_INIT;

    ck_ok(cubby_engine_builder_add_dim(builder, &n, &error), &error);
    ck_ok(cubby_engine_builder_add_dim(builder, &rows, &error), &error);
}

static void add_tensors(struct cubby_engine_builder *builder) {
    struct cubby_engine_tensor x = {
        .name = "x",
        .dtype = CUBBY_DTYPE_FLOAT32,
        .rank = 2,
        .shape = SHAPE(DIM("rows"), OPERATION(ROUND_UP, DIM("n"), NUMBER(32)))};
    struct cubby_engine_tensor y = {.name = "y",
                                    .dtype = CUBBY_DTYPE_FLOAT32,
                                    .role = CUBBY_ROLE_OUTPUT,
                                    .rank = 1,
                                    .shape = SHAPE(DIM("n"))};
    struct cubby_error error = CUBBY_ERROR_INIT;

    ck_ok(cubby_engine_builder_add_tensor(builder, &x, &error), &error);
    ck_ok(cubby_engine_builder_add_tensor(builder, &y, &error), &error);
}

static void add_program(struct cubby_engine_builder *builder) {
    struct cubby_program_options options = CUBBY_PROGRAM_OPTIONS_INIT;
    const char *standard = "--std=c++17", *n = "n";
    struct cubby_engine_program program = {.name = "p",
                                           .source = SOURCE,
                                           .size = sizeof(SOURCE) - 1,
                                           .options = &options,
                                           .specialize = &n,
                                           .specialize_count = 1};
    struct cubby_error error = CUBBY_ERROR_INIT;

    options.name = "scale.cu";
    options.options = &standard;
    options.option_count = 1;
    ck_ok(cubby_engine_builder_add_program(builder, &program, &error), &error);
}

static void add_launch(struct cubby_engine_builder *builder) {
    struct cubby_engine_argument arguments[] = {
        {.kind = CUBBY_ARGUMENT_TENSOR, .name = "x"},
        {.kind = CUBBY_ARGUMENT_TENSOR,
         .name = "y",
         .access = CUBBY_ACCESS_WRITE,
         .shape = SHAPE(DIM("n")),
         .rank = 1},
        {.kind = CUBBY_ARGUMENT_DIM, .name = "n", .dtype = CUBBY_DTYPE_INT32},
        {.kind = CUBBY_ARGUMENT_SCALAR, .dtype = CUBBY_DTYPE_FLOAT32, .real = 0.5},
    };
    struct cubby_engine_launch launch = {
        .program = "p",
        .kernel = "scale<float>",
        .grid = {OPERATION(CEIL_DIV, DIM("n"), NUMBER(256)), DIM("rows")},
        .block = {OPERATION(MIN, DIM("n"), NUMBER(256))},
        .shared_bytes = OPERATION(MUL, DIM("rows"), NUMBER(16)),
        .arguments = arguments,
        .argument_count = COUNT(arguments)};
    struct cubby_error error = CUBBY_ERROR_INIT;

    ck_ok(cubby_engine_builder_add_launch(builder, &launch, &error), &error);
}

static void expect_same(struct cubby_engine_plan *left, struct cubby_engine_plan *right) {
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_key left_key, right_key;
    char *left_text, *right_text;

    ck_ok(cubby_engine_plan_to_json(left, &left_text, &error), &error);
    ck_ok(cubby_engine_plan_to_json(right, &right_text, &error), &error);
    ck_assert_str_eq(left_text, right_text);
    cubby_engine_plan_identity(left, &left_key);
    cubby_engine_plan_identity(right, &right_key);
    ck_assert_mem_eq(left_key.bytes, right_key.bytes, CUBBY_KEY_SIZE);
    free(left_text);
    free(right_text);
}

/* The order in which the kinds of parts are added says nothing. */
START_TEST(test_builder) {
    struct cubby_engine_builder *builder = begin();
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_engine_plan *built, *parsed = parse_engine(NULL, NULL);
    struct cubby_engine_dim dim = {"m", 1, 1, 1};

    add_launch(builder);
    add_tensors(builder);
    add_program(builder);
    add_dims(builder);
    ck_ok(cubby_engine_builder_finish(builder, &built, &error), &error);
    expect_same(built, parsed);
    ck_assert_int_eq(cubby_engine_builder_finish(builder, &built, &error), CUBBY_ERR_INVALID);
    ck_assert_msg(strstr(error.message, "finished already") != NULL, "%s", error.message);
    cubby_error_clear(&error);
    ck_assert_int_eq(cubby_engine_builder_add_dim(builder, &dim, &error), CUBBY_ERR_INVALID);
    cubby_engine_builder_free(builder);
    cubby_engine_plan_unref(parsed);
    ck_assert_ptr_eq(cubby_engine_plan_ref(built), built);
    cubby_engine_plan_unref(built);
    cubby_engine_plan_unref(built);
    cubby_engine_plan_unref(NULL);
    cubby_engine_builder_free(NULL);
}
END_TEST

static void expect_error(struct cubby_error *error, int result, const char *says) {
    ck_assert_int_eq(result, CUBBY_ERR_INVALID);
    ck_assert_msg(strncmp(error->message, says, strlen(says)) == 0, "%s\nexpected: %s",
                  error->message, says);
    cubby_error_clear(error);
}

/* What is refused leaves the builder as it was, and everything that it was given is released. */
START_TEST(test_refused_parts) {
    struct cubby_engine_builder *builder = begin();
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_engine_plan *plan, *parsed = parse_engine(NULL, NULL);
    struct cubby_engine_dim dim = {"two words", 1, 1, 1};
    struct cubby_engine_tensor tensor = {
        .name = "z", .rank = 2, .shape = SHAPE(DIM("n"), cubby_expression_dim(NULL))};
    struct cubby_engine_argument arguments[] = {
        {.kind = CUBBY_ARGUMENT_TENSOR, .name = "x", .shape = SHAPE(DIM("n")), .rank = 1},
        {.kind = CUBBY_ARGUMENT_SCALAR, .dtype = CUBBY_DTYPE_INT8, .integer = 128},
        {.kind = CUBBY_ARGUMENT_TENSOR, .name = "x", .shape = SHAPE(DIM("n")), .rank = 1},
    };
    struct cubby_engine_launch launch = {.program = "p",
                                         .kernel = "k",
                                         .grid = {DIM("n"), DIM("n")},
                                         .arguments = arguments,
                                         .argument_count = 3};

    add_dims(builder);
    add_tensors(builder);
    add_program(builder);
    add_launch(builder);
    expect_error(&error, cubby_engine_builder_add_dim(builder, &dim, &error),
                 "/dims/2/name: \"two words\" is no identifier");
    dim.name = NULL;
    expect_error(&error, cubby_engine_builder_add_dim(builder, &dim, &error),
                 "/dims/2/name: the name is missing");
    dim.name = "\xff";
    expect_error(&error, cubby_engine_builder_add_dim(builder, &dim, &error),
                 "/dims/2/name: the name is not UTF-8");
    dim = (struct cubby_engine_dim){"z", 3, 2, 4};
    expect_error(&error, cubby_engine_builder_add_dim(builder, &dim, &error), "/dims/2/opt: ");
    expect_error(&error, cubby_engine_builder_add_tensor(builder, &tensor, &error),
                 "/tensors/2/shape/1: the expression has a dim without a name");
    tensor.shape = SHAPE(DIM("n"), NULL);
    expect_error(&error, cubby_engine_builder_add_tensor(builder, &tensor, &error),
                 "/tensors/2/shape/1: the expression is missing");
    tensor.shape = SHAPE(DIM("n"), DIM("n"));
    tensor.dtype = (enum cubby_dtype)99;
    expect_error(&error, cubby_engine_builder_add_tensor(builder, &tensor, &error),
                 "/tensors/2/dtype: type 99 is not known");
    tensor.shape = NULL;
    expect_error(&error, cubby_engine_builder_add_tensor(builder, &tensor, &error),
                 "/tensors/2/shape: it is NULL: expected 2 extents");
    expect_error(
        &error, cubby_engine_builder_add_launch(builder, &launch, &error),
        "/launches/1/arguments/1/scalar: 128 does not fit into int8: expected -128 to 127");
    launch.grid[0] = launch.grid[1] = NULL; /* the builder took them */
    launch.arguments = NULL;
    expect_error(&error, cubby_engine_builder_add_launch(builder, &launch, &error),
                 "/launches/1/arguments: it is NULL: expected 3 arguments");
    ck_ok(cubby_engine_builder_finish(builder, &plan, &error), &error);
    expect_same(plan, parsed);
    cubby_engine_plan_unref(plan);
    cubby_engine_plan_unref(parsed);
    cubby_engine_builder_free(builder);
}
END_TEST

START_TEST(test_refused_programs) {
    struct cubby_engine_builder *builder = begin();
    struct cubby_program_options options = CUBBY_PROGRAM_OPTIONS_INIT;
    struct cubby_engine_program program = {.name = "p", .source = "", .options = &options};
    struct cubby_header header = {"a.h", "\xff", 1};
    struct cubby_error error = CUBBY_ERROR_INIT;
    const char *name = "f";

    options.arch = "sm_90";
    expect_error(&error, cubby_engine_builder_add_program(builder, &program, &error),
                 "/programs/0: the member arch of its options is set");
    options.arch = NULL;
    options.target = CUBBY_TARGET_PTX;
    expect_error(&error, cubby_engine_builder_add_program(builder, &program, &error),
                 "/programs/0: the member target of its options is set");
    options.target = CUBBY_TARGET_CUBIN;
    options.names = &name;
    options.name_count = 1;
    expect_error(&error, cubby_engine_builder_add_program(builder, &program, &error),
                 "/programs/0: the member names of its options is set");
    options.name_count = 0;
    options.source = CUBBY_SOURCE_NVVM;
    expect_error(&error, cubby_engine_builder_add_program(builder, &program, &error),
                 "/programs/0/kind: a source of this kind becomes no cubin");
    options.source = CUBBY_SOURCE_CUDA;
    options.headers = &header;
    options.header_count = 1;
    expect_error(&error, cubby_engine_builder_add_program(builder, &program, &error),
                 "/programs/0/headers/0/text: it is not UTF-8 at byte 0");
    options.header_count = 0;
    options.version = 3;
    expect_error(&error, cubby_engine_builder_add_program(builder, &program, &error),
                 "/programs/0: struct cubby_program_options has version 3");
    options.version = 2;
    program.source = "a\xff";
    program.size = 2;
    expect_error(&error, cubby_engine_builder_add_program(builder, &program, &error),
                 "/programs/0/text: it is not UTF-8 at byte 1");
    program.source = "a\0b";
    program.size = 3;
    expect_error(&error, cubby_engine_builder_add_program(builder, &program, &error),
                 "/programs/0: the source \"p\"");
    program.size = 1;
    program.specialize_count = 2;
    expect_error(&error, cubby_engine_builder_add_program(builder, &program, &error),
                 "/programs/0/specialize: it is NULL: expected the names of 2 dims");
    cubby_engine_builder_free(builder);
}
END_TEST

/* ---- Values of the dims ------------------------------------------------------------------ */

START_TEST(test_evaluate) {
    struct cubby_engine_plan *plan = parse_engine(NULL, NULL);
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_engine_geometry *geometry;

    ck_ok(cubby_engine_plan_evaluate(plan, (int64_t[]){300, 3}, 2, &geometry, &error), &error);
    ck_assert_uint_eq(geometry->tensor_count, 2);
    ck_assert_uint_eq(geometry->tensors[0].rank, 2);
    ck_assert_int_eq(geometry->tensors[0].shape[0], 3);
    ck_assert_int_eq(geometry->tensors[0].shape[1], 320);
    ck_assert_uint_eq(geometry->tensors[0].bytes, 3 * 320 * 4);
    ck_assert_int_eq(geometry->tensors[1].shape[0], 300);
    ck_assert_uint_eq(geometry->tensors[1].bytes, 1200);
    ck_assert_uint_eq(geometry->launch_count, 1);
    ck_assert_uint_eq(geometry->launches[0].grid[0], 2);
    ck_assert_uint_eq(geometry->launches[0].grid[1], 3);
    ck_assert_uint_eq(geometry->launches[0].grid[2], 1);
    ck_assert_uint_eq(geometry->launches[0].block[0], 256);
    ck_assert_uint_eq(geometry->launches[0].block[1], 1);
    ck_assert_uint_eq(geometry->launches[0].shared_bytes, 48);
    cubby_engine_geometry_free(geometry);
    cubby_engine_geometry_free(NULL);

    expect_error(&error, cubby_engine_plan_evaluate(plan, (int64_t[]){1, 3}, 2, &geometry, &error),
                 "the dim n of the engine scale is 1: expected 2 to 1000");
    expect_error(&error, cubby_engine_plan_evaluate(plan, NULL, 2, &geometry, &error),
                 "the engine scale was given NULL: expected values of 2 dims");
    expect_error(&error,
                 cubby_engine_plan_evaluate(plan, (int64_t[]){1000, 9}, 2, &geometry, &error),
                 "the dim rows of the engine scale is 9: expected 1 to 8");
    expect_error(&error, cubby_engine_plan_evaluate(plan, (int64_t[]){300}, 1, &geometry, &error),
                 "the engine scale was given values of 1 dims: expected 2");
    cubby_engine_plan_unref(plan);
}
END_TEST

/* ---- Identity ---------------------------------------------------------------------------- */

/* Each changes one thing. */
static const struct {
    const char *from;
    const char *to;
} CHANGES[] = {
    {"\"scale\"", "\"scale2\""},
    {"\"min\": 2", "\"min\": 3"},
    {"\"opt\": 64", "\"opt\": 65"},
    {"\"max\": 1000", "\"max\": 999"},
    {"\"max\": 8}]", "\"max\": 8}, {\"name\": \"z\", \"min\": 1, \"opt\": 1, \"max\": 1}]"},
    {"float32\", \"role\": \"input", "float64\", \"role\": \"input"},
    {"[\"rows\", [\"round_up\", \"n\", 32]]", "[[\"round_up\", \"n\", 32], \"rows\"]"},
    {"\"round_up\"", "\"ceil_div\""},
    {"32]]", "64]]"},
    {"(T)factor", "(T) factor"},
    {"scale.cu", "other.cu"},
    {"--std=c++17", "--std=c++20"},
    {"[\"--std=c++17\"]", "[\"--std=c++17\", \"-G\"]"},
    {"[\"--std=c++17\"]",
     "[\"--std=c++17\"], \"headers\": [{\"name\": \"a.h\", \"text\": \"int a;\"}]"},
    {"\"specialize\": [\"n\"]", "\"specialize\": []"},
    {"\"specialize\": [\"n\"]", "\"specialize\": [\"n\", \"rows\"]"},
    {"scale<float>", "scale<double>"},
    {"\"n\", 256], \"rows\"]", "\"n\", 256], 1]"},
    {"[[\"min\", \"n\", 256]]", "[[\"min\", 256, \"n\"]]"},
    {"\"rows\", 16]", "\"rows\", 32]"},
    {"\"write\", \"shape\": [\"n\"]", "\"write\""},
    {"{\"dim\": \"n\"}", "{\"dim\": \"n\", \"type\": \"int64\"}"},
    {"{\"dim\": \"n\"}", "{\"dim\": \"rows\"}"},
    {"{\"dim\": \"n\"}", "{\"scalar\": 1, \"type\": \"int32\"}"},
    {"0.5", "0.25"},
    {"0.5", "-0.5"},
    {"{\"scalar\": 0.5, \"type\": \"float32\"}", "{\"scalar\": 0.5, \"type\": \"float64\"}"},
    {"\"tensor\": \"x\", \"access\": \"read\"}",
     "\"tensor\": \"x\", \"access\": \"read\"}, {\"tensor\": \"x\", \"access\": \"read\"}"},
};

START_TEST(test_identity) {
    struct cubby_key keys[COUNT(CHANGES) + 1];
    struct cubby_engine_plan *plan = parse_engine(NULL, NULL);

    cubby_engine_plan_identity(plan, &keys[0]);
    cubby_engine_plan_unref(plan);
    for (int i = 0; i < COUNT(CHANGES); i++) {
        plan = parse_engine(CHANGES[i].from, CHANGES[i].to);
        cubby_engine_plan_identity(plan, &keys[i + 1]);
        cubby_engine_plan_unref(plan);
        for (int k = 0; k <= i; k++)
            ck_assert_msg(memcmp(&keys[k], &keys[i + 1], sizeof(*keys)) != 0, "%s: as %s",
                          CHANGES[i].to, k > 0 ? CHANGES[k - 1].to : "before");
    }
}
END_TEST

/* What only the spelling has is no part of it. */
START_TEST(test_identity_of_spellings) {
    static const char *const SPELLINGS[][2] = {
        {"\"name\": \"scale\",", "  \"name\" :\n\"scale\","},
        {"{\"dim\": \"n\"}", "{\"dim\": \"n\", \"type\": \"int32\"}"},
        {"\"n\", 256], \"rows\"]", "\"n\", 256], \"rows\", 1]"},
        {"\"name\": \"n\", \"min\": 2", "\"min\": 2, \"name\": \"n\""},
        {"\"source_name\"", "\"kind\": \"cuda\", \"headers\": [], \"source_name\""},
    };
    struct cubby_engine_plan *plan = parse_engine(NULL, NULL);

    for (int i = 0; i < COUNT(SPELLINGS); i++) {
        struct cubby_engine_plan *other = parse_engine(SPELLINGS[i][0], SPELLINGS[i][1]);

        expect_same(plan, other);
        cubby_engine_plan_unref(other);
    }
    cubby_engine_plan_unref(plan);
}
END_TEST

/* ---- Programs ---------------------------------------------------------------------------- */

struct fields {
    char text[4096];
};

static void collect(const char *name, const char *value, void *context) {
    struct fields *fields = context;
    size_t used = strlen(fields->text);

    snprintf(fields->text + used, sizeof(fields->text) - used, "%s=%s\n", name, value);
}

static void explain_with(const struct cubby_engine_plan *plan, const int64_t *dims,
                         const char *option, struct fields *ret_fields) {
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_program *program;

    ret_fields->text[0] = '\0';
    ck_ok(cubby_engine_plan_get_program(plan, 0, "sm_80", dims, &option, 1, &program, &error),
          &error);
    cubby_program_explain(NULL, program, collect, ret_fields, &error);
    cubby_error_clear(&error);
    cubby_program_unref(program);
}

static void explain(const struct cubby_engine_plan *plan, const int64_t *dims,
                    struct fields *ret_fields) {
    explain_with(plan, dims, "-I/no/such/folder", ret_fields);
}

START_TEST(test_get_program) {
    struct cubby_engine_plan *plan = parse_engine(NULL, NULL);
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_program *program;
    struct fields generic, one, other, same;

    explain(plan, NULL, &generic);
    ck_assert_msg(strstr(generic.text, "--std=c++17") != NULL, "%s", generic.text);
    ck_assert_msg(strstr(generic.text, "scale<float>") != NULL, "%s", generic.text);
    ck_assert_msg(strstr(generic.text, "sm_80") != NULL, "%s", generic.text);
    ck_assert_ptr_null(strstr(generic.text, "CUBBY_DIM_n"));
    explain(plan, (int64_t[]){64, 1}, &one);
    ck_assert_msg(strstr(one.text, "CUBBY_DIM_n=64") != NULL, "%s", one.text);
    ck_assert_ptr_null(strstr(one.text, "CUBBY_DIM_rows"));
    explain(plan, (int64_t[]){65, 1}, &other);
    ck_assert_str_ne(one.text, other.text);
    explain(plan, (int64_t[]){64, 8}, &same); /* a dim that it does not specialise */
    ck_assert_str_eq(one.text, same.text);

    expect_error(&error,
                 cubby_engine_plan_get_program(plan, 1, NULL, NULL, NULL, 0, &program, &error),
                 "the engine scale has no program 1: expected less than 1");
    expect_error(
        &error,
        cubby_engine_plan_get_program(plan, 0, NULL, (int64_t[]){0, 1}, NULL, 0, &program, &error),
        "the dim n of the engine scale is 0");
    cubby_engine_plan_unref(plan);
}
END_TEST

/* What a plan may not have among its options, nobody may add to them. */
START_TEST(test_get_program_refuses_options) {
    static const struct {
        const char *option, *says;
    } REFUSED[] = {{"-arch=sm_80", "\"-arch=sm_80\" names an architecture"},
                   {"--gpu-architecture", "\"--gpu-architecture\" names an architecture"},
                   {" -arch sm_80", "\" -arch sm_80\" names an architecture"},
                   {"-DCUBBY_DIM_n=7", "\"-DCUBBY_DIM_n=7\" speaks of CUBBY_DIM_"}};
    struct cubby_engine_plan *plan = parse_engine(NULL, NULL);
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_program *program;

    for (size_t i = 0; i < COUNT(REFUSED); i++) {
        const char *const options[] = {"-lineinfo", REFUSED[i].option};

        ck_assert_int_eq(
            cubby_engine_plan_get_program(plan, 0, "sm_90", NULL, options, 2, &program, &error),
            CUBBY_ERR_INVALID);
        ck_assert_msg(strstr(error.message, REFUSED[i].says) != NULL, "%s", error.message);
        cubby_error_clear(&error);
    }
    ck_assert_int_eq(cubby_engine_plan_get_program(plan, 0, "sm_90", NULL,
                                                   (const char *const[]){"-lineinfo", NULL}, 2,
                                                   &program, &error),
                     CUBBY_ERR_INVALID);
    ck_assert_msg(strstr(error.message, "option 1 is NULL") != NULL, "%s", error.message);
    cubby_error_clear(&error);
    cubby_engine_plan_unref(plan);
}
END_TEST

/* Macros, and where headers lie, are nothing that the compiler of PTX would take. */
START_TEST(test_ptx_has_its_own_options_only) {
    struct cubby_engine_plan *plan =
        parse_engine("\"options\": [\"--std=c++17\"], \"specialize\": [\"n\"]",
                     "\"options\": [\"-maxrregcount=32\"], \"kind\": \"ptx\"");
    struct fields fields;

    explain_with(plan, NULL, "-DFURTHER=1", &fields);
    ck_assert_ptr_nonnull(strstr(fields.text, "maxrregcount=32"));
    ck_assert_ptr_null(strstr(fields.text, "FURTHER"));
    cubby_engine_plan_unref(plan);
    plan = parse_engine(NULL, NULL);
    explain_with(plan, NULL, "-DFURTHER=1", &fields);
    ck_assert_ptr_nonnull(strstr(fields.text, "FURTHER"));
    cubby_engine_plan_unref(plan);
}
END_TEST

/* ---- With the real compiler -------------------------------------------------------------- */

static int compile(const struct cubby_engine_plan *plan, size_t index, const char *arch,
                   const int64_t *dims, struct cubby_object **ret_object) {
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_program *program;
    int result;

    ck_ok(cubby_engine_plan_get_program(plan, index, arch, dims, NULL, 0, &program, &error),
          &error);
    result = cubby_compile(NULL, program, 0, ret_object, NULL, &error);
    ck_assert_msg(result == 0, "%s\n%s", error.message, error.log ? error.log : "");
    cubby_program_unref(program);
    return result;
}

/* Arguments that the kernel does not take. */
static const struct {
    const char *from;
    const char *to;
    const char *says;
} MISMATCHES[] = {
    {"{\"dim\": \"n\"}, ", "",
     "/launches/0/arguments: there are 3: expected 4, as the kernel scale<float> takes"},
    {"{\"dim\": \"n\"}", "{\"dim\": \"n\"}, {\"dim\": \"n\"}",
     "/launches/0/arguments: there are 5: expected 4"},
    {"{\"dim\": \"n\"}", "{\"dim\": \"n\", \"type\": \"int64\"}",
     "/launches/0/arguments/2: a dim of 8 bytes: expected 4 bytes, as parameter 2 of the kernel "
     "scale<float> takes"},
    {"\"type\": \"float32\"", "\"type\": \"float64\"",
     "/launches/0/arguments/3: a scalar of 8 bytes: expected 4 bytes"},
    {"{\"dim\": \"n\"}", "{\"tensor\": \"x\", \"access\": \"read\"}",
     "/launches/0/arguments/2: the address of a tensor of 8 bytes: expected 4 bytes"},
};

START_TEST(test_check_object) {
    struct cubby_engine_plan *plan = parse_engine(NULL, NULL), *other;
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_object *object;

    compile(plan, 0, "sm_90", NULL, &object);
    ck_ok(cubby_engine_plan_check_object(plan, 0, object, &error), &error);
    for (int i = 0; i < COUNT(MISMATCHES); i++) {
        other = parse_engine(MISMATCHES[i].from, MISMATCHES[i].to);
        expect_error(&error, cubby_engine_plan_check_object(other, 0, object, &error),
                     MISMATCHES[i].says);
        cubby_engine_plan_unref(other);
    }
    other = parse_engine("scale<float>", "scale<double>");
    ck_assert_int_eq(cubby_engine_plan_check_object(other, 0, object, &error), CUBBY_ERR_NOT_FOUND);
    ck_assert_str_eq(error.message,
                     "/launches/0/kernel: the cubin has no kernel \"scale<double>\"");
    cubby_error_clear(&error);
    cubby_engine_plan_unref(other);
    cubby_object_unref(object);
    cubby_engine_plan_unref(plan);
}
END_TEST

static const char *const EXAMPLES[] = {"attention", "mlp", "nbody"};

/* Generic and for the values to expect, for every architecture of note. */
START_TEST(test_examples_compile) {
    static const char *const ARCHS[] = {"sm_90", "sm_80"};
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_engine_plan *plan;
    int64_t dims[8];
    char *path;

    ck_assert_int_gt(asprintf(&path, "%s/%s.json", TEST_ENGINES, EXAMPLES[_i]), 0);
    ck_ok(cubby_engine_plan_load(path, &plan, &error), &error);
    for (size_t i = 0; cubby_engine_plan_dim(plan, i); i++)
        dims[i] = cubby_engine_plan_dim(plan, i)->opt;
    for (size_t i = 0; cubby_engine_plan_program(plan, i); i++) {
        ck_assert_uint_gt(cubby_engine_plan_program(plan, i)->specialize_count, 0);
        for (int arch = 0; arch < COUNT(ARCHS); arch++) {
            struct cubby_object *generic, *special;

            compile(plan, i, ARCHS[arch], NULL, &generic);
            compile(plan, i, ARCHS[arch], dims, &special);
            ck_ok(cubby_engine_plan_check_object(plan, i, generic, &error), &error);
            ck_ok(cubby_engine_plan_check_object(plan, i, special, &error), &error);
            /* The values reach the code: it is another, and shorter without its bounds. */
            ck_assert_uint_lt(cubby_object_size(special), cubby_object_size(generic));
            cubby_object_unref(generic);
            cubby_object_unref(special);
        }
    }
    cubby_engine_plan_unref(plan);
    free(path);
}
END_TEST

int main(void) {
    struct cubby_toolchain toolchain = {0};
    Suite *suite = suite_create("engine plans");
    TCase *tcase = tcase_create("all");

    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, test_builder);
    tcase_add_test(tcase, test_refused_parts);
    tcase_add_test(tcase, test_refused_programs);
    tcase_add_test(tcase, test_evaluate);
    tcase_add_test(tcase, test_identity);
    tcase_add_test(tcase, test_identity_of_spellings);
    tcase_add_test(tcase, test_get_program);
    tcase_add_test(tcase, test_get_program_refuses_options);
    tcase_add_test(tcase, test_ptx_has_its_own_options_only);
    if (cubby_toolchain_find(NULL, &toolchain, NULL) == 0) {
        tcase_add_test(tcase, test_check_object);
        tcase_add_loop_test(tcase, test_examples_compile, 0, COUNT(EXAMPLES));
    } else {
        printf("no NVRTC: nothing is compiled\n");
    }
    cubby_toolchain_clear(&toolchain);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
