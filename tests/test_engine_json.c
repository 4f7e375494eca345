/* SPDX-License-Identifier: Apache-2.0 */
/* Engine files: what is refused, where and why; and that they come back as they were. */
#include "harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <jansson.h>

#include <cubby/engine.h>

/* The table: one sound engine, and changes each of which makes a bad one. */
static json_t *table;

static void read_table(void) {
    json_error_t problem;

    table = json_load_file(TEST_DATA "/engine-bad.json", 0, &problem);
    if (!table)
        printf("tests/data/engine-bad.json:%d: %s\n", problem.line, problem.text);
}

/* ---- Documents that are changed ---------------------------------------------------------- */

/* Undoes the escapes of one step of a pointer. */
static void unescape(char *step) {
    char *to = step;

    for (char *from = step; *from; from++) {
        if (from[0] == '~')
            *to++ = *++from == '1' ? '/' : '~';
        else
            *to++ = *from;
    }
    *to = '\0';
}

/* Sets what a pointer leads to, or removes it for NULL. */
static void change(json_t **document, const char *pointer, json_t *value) {
    char *path = strdup(pointer), *rest = path, *step;
    json_t *at = *document;

    if (!*pointer) {
        json_decref(*document);
        *document = json_incref(value);
        free(path);
        return;
    }
    step = strsep(&rest, "/"); /* what is before the first slash: nothing */
    while ((step = strsep(&rest, "/"))) {
        size_t index = (size_t)atoi(step);

        unescape(step);
        if (json_is_array(at)) {
            if (rest)
                at = json_array_get(at, index);
            else if (index == json_array_size(at))
                json_array_append(at, value);
            else
                json_array_set(at, index, value);
        } else if (rest) {
            at = json_object_get(at, step);
        } else if (value) {
            json_object_set(at, step, value);
        } else {
            ck_assert_int_eq(json_object_del(at, step), 0);
        }
    }
    free(path);
}

/* The sound engine with one line's changes, as text. */
static char *bad_document(const json_t *line) {
    json_t *document = json_deep_copy(json_object_get(table, "base")), *value;
    const char *removed = json_string_value(json_object_get(line, "remove")), *pointer;
    char *text;

    if (removed)
        change(&document, removed, NULL);
    json_object_foreach(json_object_get(line, "set"), pointer, value)
        change(&document, pointer, value);
    text = json_dumps(document, JSON_ENCODE_ANY);
    ck_assert_ptr_nonnull(text);
    json_decref(document);
    return text;
}

static int parse(const char *text, struct cubby_engine_plan **ret_plan, struct cubby_error *error) {
    return cubby_engine_plan_parse(text, strlen(text), NULL, ret_plan, error);
}

START_TEST(test_bad_documents) {
    const json_t *line = json_array_get(json_object_get(table, "bad"), (size_t)_i);
    const char *says = json_string_value(json_object_get(line, "says"));
    const char *code = json_string_value(json_object_get(line, "code"));
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_engine_plan *plan = NULL;
    char *text = bad_document(line);
    int result = parse(text, &plan, &error);

    ck_assert_msg(result < 0, "accepted: %s", text);
    ck_assert_ptr_null(plan);
    ck_assert_msg(strncmp(error.message, says, strlen(says)) == 0, "%s\nexpected: %s",
                  error.message, says);
    ck_assert_str_eq(cubby_code_name(result), code ? code : "INVALID");
    ck_assert_int_eq(error.code, result);
    cubby_error_clear(&error);
    ck_assert_int_eq(parse(text, &plan, NULL), result); /* also where no one wants to know */
    free(text);
}
END_TEST

/* ---- Texts that are no documents --------------------------------------------------------- */

#define TEXT(text) text, sizeof(text) - 1

#define NO_JSON ": expected a JSON document in UTF-8"

static const struct {
    const char *text;
    size_t size;
    const char *says; /* what is wrong is said in jansson's words */
    const char *expected;
} TEXTS[] = {
    {TEXT(""), "line 1, column ", NO_JSON},
    {TEXT("{\"name\": \"a\",}"), "line 1, column ", NO_JSON},
    {TEXT("{} {}"), "line 1, column ", NO_JSON},
    {TEXT("{\n\"name\": \"a\",\n\"name\": \"b\"}"), "line 3, column ", "each key once"},
    {TEXT("{\"name\": \"a\\u0000b\"}"), "line 1, column ", "text without NUL"},
    {TEXT("{\"name\": \"a\0b\"}"), "line 1, column ", NO_JSON},
    {TEXT("{\"name\": \"\xff\"}"), "line 1, column ", NO_JSON},
    {TEXT("{\"name\": \"\xed\xa0\x80\"}"), "line 1, column ", NO_JSON},
    {TEXT("{\n\n\n\"name\": \"a\nb\"}"), "line 4, column ", NO_JSON},
    {TEXT("{\"cubby_engine\": 99999999999999999999}"), "line 1, column ", "an integer of 64 bits"},
    {TEXT("{\"cubby_engine\": 1e999}"), "line 1, column ", "or a float of 64 bits"},
    {TEXT("\xef\xbb\xbf{}"), "line 1, column 1: a byte order mark", "in UTF-8 without one"},
};

START_TEST(test_bad_texts) {
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_engine_plan *plan;

    ck_assert_int_eq(cubby_engine_plan_parse(TEXTS[_i].text, TEXTS[_i].size, NULL, &plan, &error),
                     CUBBY_ERR_INVALID);
    ck_assert_msg(strncmp(error.message, TEXTS[_i].says, strlen(TEXTS[_i].says)) == 0, "%s",
                  error.message);
    ck_assert_msg(strstr(error.message, TEXTS[_i].expected) != NULL, "%s", error.message);
    for (const char *c = error.message; *c; c++)
        ck_assert_msg((unsigned char)*c >= ' ', "%s", error.message);
}
END_TEST

/* A text that is one piece so many times. */
static char *repeat(const char *head, const char *piece, size_t count, const char *tail,
                    size_t *ret_size) {
    char *text = NULL;
    FILE *file = open_memstream(&text, ret_size);

    fputs(head, file);
    for (size_t i = 0; i < count; i++)
        fputs(piece, file);
    fputs(tail, file);
    ck_assert_int_eq(fclose(file), 0);
    return text;
}

static void expect_refused(char *text, size_t size, const char *says) {
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_engine_plan *plan;

    ck_assert_int_eq(cubby_engine_plan_parse(text, size, NULL, &plan, &error), CUBBY_ERR_INVALID);
    ck_assert_msg(strstr(error.message, says) != NULL, "%s", error.message);
    free(text);
}

START_TEST(test_huge_documents) {
    size_t size;
    char *text = repeat("{\"name\": \"", "aaaaaaaaaaaaaaaa", 1 << 20, "\"}", &size);

    expect_refused(text, size, "the engine is 16777228 bytes long: expected at most 16 MiB");
    text = repeat("", "[", 100000, "", &size);
    expect_refused(text, size, "maximum parsing depth reached");
    text =
        repeat("{\"cubby_engine\": 1, \"name\": \"a\", \"tensors\": [{\"name\": \"x\", \"dtype\": "
               "\"int8\", \"role\": \"input\", \"shape\": [",
               "[\"add\", 1, ", 40, "1", &size);
    text = realloc(text, size + 60);
    memset(text + size, ']', 41);
    strcpy(text + size + 41, "}]}");
    expect_refused(text, size + 44,
                   "/tensors/0/shape/0/2/2/2/2/2/2/2/2/2/2/2/2/2/2/2/2/2/2/2/2/2/2/2/2/2/2/2/2/2/2/"
                   "2/1: it is nested too deep: expected at most 32 levels");
    text =
        repeat("{\"cubby_engine\": 1, \"name\": \"a\", \"tensors\": [1", ", 1", 4096, "]}", &size);
    expect_refused(text, size, "/tensors: it has 4097 items: expected at most 4096");
    text = repeat("{\"cubby_engine\": 1, \"name\": \"a\", \"", "x/", 2000, "\": 1}", &size);
    expect_refused(text, size, "x~1x~1x~: this key is not known");
}
END_TEST

/* ---- Sound ones -------------------------------------------------------------------------- */

static void check_round_trip(struct cubby_engine_plan *plan, const char *folder) {
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_engine_plan *again;
    struct cubby_key key, key_again;
    char *text, *text_again;

    ck_ok(cubby_engine_plan_to_json(plan, &text, &error), &error);
    ck_ok(cubby_engine_plan_parse(text, strlen(text), folder, &again, &error), &error);
    ck_ok(cubby_engine_plan_to_json(again, &text_again, &error), &error);
    ck_assert_str_eq(text, text_again);
    cubby_engine_plan_identity(plan, &key);
    cubby_engine_plan_identity(again, &key_again);
    ck_assert_mem_eq(key.bytes, key_again.bytes, sizeof(key.bytes));
    cubby_engine_plan_unref(again);
    free(text);
    free(text_again);
}

START_TEST(test_round_trip) {
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_engine_plan *plan;
    char *text = json_dumps(json_object_get(table, "base"), 0);

    ck_ok(parse(text, &plan, &error), &error);
    check_round_trip(plan, NULL);
    cubby_engine_plan_unref(plan);
    free(text);
}
END_TEST

/* Every field at its most unusual. */
START_TEST(test_all_fields) {
    static const char TEXT[] =
        "{\"$schema\": \"engine.schema.json\", \"cubby_engine\": 1, \"name\": \"_all_9\","
        "\"dims\": [{\"name\": \"n\", \"min\": 1, \"opt\": 1, \"max\": 1099511627776}],"
        "\"tensors\": [{\"name\": \"n\", \"dtype\": \"bfloat16\", \"role\": \"output\", \"shape\": "
        "[]}],"
        "\"programs\": [{\"name\": \"n\", \"text\": \"// \\u00e9\\n\", \"source_name\": \"dir/a "
        "b.cu\","
        "\"options\": [\"-DX=\\\"a\\\"\", \"-G\"], \"headers\": [{\"name\": \"z.h\", \"text\": "
        "\"\"},"
        "{\"name\": \"a.h\", \"text\": \"int a;\"}], \"specialize\": [\"n\"]}],"
        "\"launches\": [{\"program\": \"n\", \"kernel\": \"ns::f<int, 3>\", \"grid\": [1, 2, 3],"
        "\"block\": [[\"min\", \"n\", 8, 9], 4], \"shared_bytes\": [\"mod\", \"n\", 4096],"
        "\"arguments\": [{\"tensor\": \"n\", \"access\": \"write\", \"shape\": []},"
        "{\"dim\": \"n\", \"type\": \"uint64\"}, {\"scalar\": 1, \"type\": \"float64\"},"
        "{\"scalar\": -0.1, \"type\": \"float32\"}, {\"scalar\": 1, \"type\": \"bool\"},"
        "{\"scalar\": -9223372036854775808, \"type\": \"int64\"}]}]}";
    struct cubby_error error = CUBBY_ERROR_INIT;
    const struct cubby_engine_program *program;
    const struct cubby_engine_launch *launch;
    struct cubby_engine_plan *plan;

    ck_ok(parse(TEXT, &plan, &error), &error);
    check_round_trip(plan, NULL);
    program = cubby_engine_plan_program(plan, 0);
    ck_assert_str_eq(program->options->name, "dir/a b.cu");
    ck_assert_str_eq(program->options->options[0], "-DX=\"a\"");
    ck_assert_str_eq(program->options->headers[0].name, "a.h"); /* in the order of their names */
    ck_assert_str_eq(program->specialize[0], "n");
    ck_assert_uint_eq(program->size, 6);
    launch = cubby_engine_plan_launch(plan, 0);
    ck_assert_uint_eq(launch->argument_count, 6);
    ck_assert_int_eq(launch->arguments[1].dtype, CUBBY_DTYPE_UINT64);
    ck_assert_double_eq(launch->arguments[2].real, 1.0);
    ck_assert_double_eq(launch->arguments[3].real, -0.1);
    ck_assert_int_eq(launch->arguments[5].integer, INT64_MIN);
    ck_assert_int_eq(cubby_engine_plan_tensor(plan, 0)->dtype, CUBBY_DTYPE_BFLOAT16);
    ck_assert_ptr_null(cubby_engine_plan_tensor(plan, 1));
    ck_assert_ptr_null(cubby_engine_plan_launch(plan, 1));
    ck_assert_ptr_null(cubby_engine_plan_program(plan, 1));
    ck_assert_ptr_null(cubby_engine_plan_dim(plan, 1));
    cubby_engine_plan_unref(plan);
}
END_TEST

static const char *const EXAMPLES[] = {"attention", "mlp", "nbody"};

START_TEST(test_examples) {
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_engine_plan *plan;
    char *path;

    ck_assert_int_gt(asprintf(&path, "%s/%s.json", TEST_ENGINES, EXAMPLES[_i]), 0);
    ck_ok(cubby_engine_plan_load(path, &plan, &error), &error);
    ck_assert_str_eq(cubby_engine_plan_name(plan), EXAMPLES[_i]);
    check_round_trip(plan, TEST_ENGINES);
    cubby_engine_plan_unref(plan);
    free(path);
}
END_TEST

/* Sources are looked for beside the engine file, wherever the process is. */
START_TEST(test_files) {
    static const char ENGINE[] =
        "{\"cubby_engine\": 1, \"name\": \"a\", \"tensors\": [], \"programs\": [{\"name\": \"p\", "
        "\"source\": \"sub/k.cu\"}], \"launches\": [{\"program\": \"p\", \"kernel\": \"k\", "
        "\"grid\": [1], \"block\": [1], \"arguments\": []}]}";
    const char *folder = scratch_dir();
    char *path = path_in(folder, "engine.json"), *sub = path_in(folder, "sub");
    char *source = path_in(sub, "k.cu"), *wanted;
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_engine_plan *plan;

    ck_assert_int_eq(cubby_engine_plan_load(path, &plan, &error), CUBBY_ERR_IO);
    ck_assert_int_eq(error.os_error, 2);
    cubby_error_clear(&error);
    write_file(path, ENGINE, strlen(ENGINE));
    ck_assert_int_eq(cubby_engine_plan_load(path, &plan, &error), CUBBY_ERR_IO);
    ck_assert_int_gt(asprintf(&wanted, "%s: /programs/0/source: cannot read %s: ", path, source),
                     0);
    ck_assert_msg(strncmp(error.message, wanted, strlen(wanted)) == 0, "%s", error.message);
    ck_assert_int_eq(error.os_error, 2);
    cubby_error_clear(&error);
    free(wanted);

    ck_assert_int_eq(mkdir(sub, 0700), 0);
    write_file(source, "a\0b", 3);
    ck_assert_int_eq(cubby_engine_plan_load(path, &plan, &error), CUBBY_ERR_INVALID);
    ck_assert_msg(strstr(error.message, "/programs/0: the source \"") != NULL, "%s", error.message);
    cubby_error_clear(&error);

    write_file(source, "// k", 4);
    ck_ok(cubby_engine_plan_load(path, &plan, &error), &error);
    ck_assert_str_eq(cubby_engine_plan_program(plan, 0)->path, "sub/k.cu");
    ck_assert_str_eq(cubby_engine_plan_program(plan, 0)->source, "// k");
    ck_assert_str_eq(cubby_engine_plan_program(plan, 0)->options->name, source);
    cubby_engine_plan_unref(plan);
    ck_assert_int_eq(cubby_engine_plan_load(folder, &plan, &error), CUBBY_ERR_INVALID);
    ck_assert_msg(strstr(error.message, "is no regular file") != NULL, "%s", error.message);
    free(path);
    free(sub);
    free(source);
}
END_TEST

#define COUNT(table) (int)(sizeof(table) / sizeof(*(table)))

int main(void) {
    Suite *suite = suite_create("engine files");
    TCase *tcase = tcase_create("all");
    int status;

    read_table();
    if (!table)
        return EXIT_FAILURE;
    tcase_set_timeout(tcase, 30);
    tcase_add_loop_test(tcase, test_bad_documents, 0,
                        (int)json_array_size(json_object_get(table, "bad")));
    tcase_add_loop_test(tcase, test_bad_texts, 0, COUNT(TEXTS));
    tcase_add_test(tcase, test_huge_documents);
    tcase_add_test(tcase, test_round_trip);
    tcase_add_test(tcase, test_all_fields);
    tcase_add_loop_test(tcase, test_examples, 0, COUNT(EXAMPLES));
    tcase_add_test(tcase, test_files);
    suite_add_tcase(suite, tcase);
    status = run_suite(suite);
    json_decref(table);
    return status;
}
