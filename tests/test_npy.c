/* SPDX-License-Identifier: Apache-2.0 */
/* Tensors in .npy files. tests/test-npy.py compares with NumPy itself. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/npy.h"
#include "harness.h"

#define WHOLE "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }\n"

/* A file with that dictionary, new. */
static char *make_file(const char *name, unsigned version, const char *dictionary, const void *data,
                       size_t size) {
    char *path = path_in(scratch_dir(), name);
    unsigned char bytes[4096] = "\x93NUMPY";
    size_t length = strlen(dictionary), prefix = version == 1 ? 10 : 12;

    bytes[6] = (unsigned char)version;
    bytes[8] = (unsigned char)length;
    bytes[9] = (unsigned char)(length >> 8);
    memcpy(bytes + prefix, dictionary, length);
    memcpy(bytes + prefix + length, data, size);
    write_file(path, bytes, prefix + length + size);
    return path;
}

/* What opening says; "" where it was opened. Overwritten by the next call. */
static const char *opening_of(const char *path) {
    static char message[CUBBY_MESSAGE_SIZE];
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct npy_file file;

    *message = '\0';
    if (npy_open(path, &file, &error) == 0) {
        npy_close(&file);
    } else {
        ck_assert_int_eq(error.code, CUBBY_ERR_INVALID);
        ck_assert_ptr_nonnull(strstr(error.message, path));
        memcpy(message, error.message, sizeof(message));
    }
    cubby_error_clear(&error);
    return message;
}

static const char *header_says(const char *dictionary) {
    char *path = make_file("header.npy", 1, dictionary, "", 0);
    const char *message = opening_of(path);

    free(path);
    return message;
}

START_TEST(test_every_version_is_read) {
    const float elements[6] = {0, 1, 2, 3, 4, 5};

    for (unsigned version = 1; version <= 3; version++) {
        char *path = make_file("version.npy", version, WHOLE, elements, sizeof(elements));
        struct cubby_error error = CUBBY_ERROR_INIT;
        struct npy_file file;
        float got[6];

        ck_ok(npy_open(path, &file, &error), &error);
        ck_assert_str_eq(file.header.type, "<f4");
        ck_ok(npy_check(&file, "x", CUBBY_DTYPE_FLOAT32, 2, (int64_t[]){2, 3}, &error), &error);
        ck_ok(npy_read(&file, got, sizeof(got), &error), &error);
        ck_assert_mem_eq(got, elements, sizeof(got));
        npy_close(&file);
        free(path);
    }
}
END_TEST

START_TEST(test_what_is_written_is_read) {
    const int64_t shape[CUBBY_RANK_MAX] = {1, 1, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};

    for (int dtype = 0; cubby_dtype_name((enum cubby_dtype)dtype); dtype++) {
        for (size_t rank = 0; rank <= CUBBY_RANK_MAX; rank++) {
            size_t size = (rank > 2 ? 2 : 1) * cubby_dtype_size((enum cubby_dtype)dtype), whole;
            char *path = path_in(scratch_dir(), "written.npy"), *bytes;
            struct cubby_error error = CUBBY_ERROR_INIT;
            struct npy_file file;
            char got[16];

            ck_ok(npy_write(path, (enum cubby_dtype)dtype, rank, shape, "0123456789abcdef", size,
                            &error),
                  &error);
            bytes = read_whole(path, &whole);
            ck_assert_uint_eq((whole - size) % 64, 0);
            ck_assert_int_eq(bytes[whole - size - 1], '\n');
            ck_ok(npy_open(path, &file, &error), &error);
            ck_ok(npy_check(&file, "x", (enum cubby_dtype)dtype, rank, shape, &error), &error);
            ck_ok(npy_read(&file, got, size, &error), &error);
            ck_assert_mem_eq(got, "0123456789abcdef", size);
            npy_close(&file);
            free(bytes);
            free(path);
        }
    }
}
END_TEST

START_TEST(test_damaged_headers_are_refused) {
    static const struct {
        const char *dictionary, *says;
    } CASES[] = {
        {"", "no dictionary"},
        {"{", "a string is missing"},
        {"{}", "missing"},
        {"{'descr': '<f4', 'fortran_order': False}", "missing"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2,)", "a comma is missing"},
        {"{'descr': '<f4' 'fortran_order': False, 'shape': (2,)}", "a comma is missing"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2,), 'more': 1}", "unknown"},
        {"{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (2,)}", "twice"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2,)} {}", "follows"},
        {"{'descr': '<f4, 'fortran_order': False, 'shape': (2,)}", "a comma is missing"},
        {"{'descr': '<\\x664', 'fortran_order': False, 'shape': (2,)}", "no dtype"},
        {"{'descr': 4, 'fortran_order': False, 'shape': (2,)}", "a string is missing"},
        {"{'descr' '<f4', 'fortran_order': False, 'shape': (2,)}", "no value"},
        {"{'descr': '<f4', 'fortran_order': 0, 'shape': (2,)}", "neither True nor False"},
        {"{'descr': '<f4', 'fortran_order': True, 'shape': (2,)}", "Fortran order"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': 2}", "no tuple"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2)}", "no tuple"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (,)}", "no tuple"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}", "no tuple"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2 3)}", "no tuple"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (9223372036854775808,)}", "larger"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1)}",
         "more than 16"},
        {"{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2,)}", "several fields"},
    };

    for (size_t i = 0; i < sizeof(CASES) / sizeof(*CASES); i++) {
        const char *message = header_says(CASES[i].dictionary);

        ck_assert_msg(strstr(message, CASES[i].says) != NULL, "%s: \"%s\"", CASES[i].dictionary,
                      message);
    }
    ck_assert_str_eq(header_says(WHOLE), "");
    ck_assert_str_eq(header_says("{\"shape\":(9223372036854775807 , ),'fortran_order':False,"
                                 "'descr':\"|b1\"}   \n"),
                     "");
}
END_TEST

START_TEST(test_every_cut_is_refused) {
    const char elements[24] = "";
    char *path = make_file("cut.npy", 1, WHOLE, elements, sizeof(elements));
    size_t size, header = 10 + strlen(WHOLE);
    char *bytes = read_whole(path, &size);

    for (size_t cut = 0; cut < header; cut++) {
        write_file(path, bytes, cut);
        ck_assert_str_ne(opening_of(path), "");
    }
    for (size_t cut = header; cut <= size + 1; cut++) {
        struct cubby_error error = CUBBY_ERROR_INIT;
        struct npy_file file;
        char got[24], grown[256] = "";

        memcpy(grown, bytes, size);
        write_file(path, grown, cut);
        ck_ok(npy_open(path, &file, &error), &error);
        ck_assert_int_eq(npy_read(&file, got, sizeof(got), &error),
                         cut == size ? 0 : CUBBY_ERR_INVALID);
        if (cut != size)
            ck_assert_ptr_nonnull(strstr(error.message, cut < size ? "ends after" : "goes on"));
        npy_close(&file);
        cubby_error_clear(&error);
    }
    free(bytes);
    free(path);
}
END_TEST

START_TEST(test_other_beginnings_are_refused) {
    char *path = make_file("other.npy", 1, WHOLE, "", 0);
    size_t size;
    char *bytes = read_whole(path, &size);

    bytes[6] = 4;
    write_file(path, bytes, size);
    ck_assert_ptr_nonnull(strstr(opening_of(path), "version 4.0"));
    bytes[6] = 1;
    bytes[7] = 1;
    write_file(path, bytes, size);
    ck_assert_ptr_nonnull(strstr(opening_of(path), "version 1.1"));
    bytes[7] = 0;
    bytes[0] = 'P';
    write_file(path, bytes, size);
    ck_assert_ptr_nonnull(strstr(opening_of(path), "no .npy file"));
    bytes[0] = '\x93';
    bytes[6] = 2;
    bytes[10] = 1; /* 64 KiB and more */
    write_file(path, bytes, size);
    ck_assert_ptr_nonnull(strstr(opening_of(path), "too long"));
    unlink(path);
    ck_assert_ptr_nonnull(strstr(opening_of(path), "No such file"));
    free(bytes);
    free(path);
}
END_TEST

/* What comparing says of a file with that type and shape, for float32 (2, 3) or another type. */
static void compare(const char *type, const char *shape, enum cubby_dtype dtype, const char *says) {
    struct cubby_error error = CUBBY_ERROR_INIT;
    char dictionary[512], *path;
    struct npy_file file;

    snprintf(dictionary, sizeof(dictionary), "{'descr': '%s', 'fortran_order': False, 'shape': %s}",
             type, shape);
    path = make_file("compared.npy", 1, dictionary, "", 0);
    ck_ok(npy_open(path, &file, &error), &error);
    ck_assert_int_eq(npy_check(&file, "tensor_x", dtype, 2, (int64_t[]){2, 3}, &error),
                     says ? CUBBY_ERR_INVALID : 0);
    if (says) {
        ck_assert_msg(strstr(error.message, says) != NULL, "%s", error.message);
        ck_assert(strstr(error.message, "tensor_x") || *type == '>');
    }
    npy_close(&file);
    cubby_error_clear(&error);
    free(path);
}

START_TEST(test_type_and_shape_are_compared) {
    compare("<f4", "(2, 3)", CUBBY_DTYPE_FLOAT32, NULL);
    compare("<f4", "(3, 2)", CUBBY_DTYPE_FLOAT32, "shape (3, 2), but tensor_x is (2, 3)");
    compare("<f4", "(6,)", CUBBY_DTYPE_FLOAT32, "shape (6,), but tensor_x is (2, 3)");
    compare("<f4", "()", CUBBY_DTYPE_FLOAT32, "shape (), but");
    compare("<f8", "(2, 3)", CUBBY_DTYPE_FLOAT32,
            "dtype <f8, but tensor_x is float32: expected <f4");
    compare(">f4", "(2, 3)", CUBBY_DTYPE_FLOAT32, "big-endian (>f4)");
    compare("<c8", "(2, 3)", CUBBY_DTYPE_FLOAT32, "dtype <c8, which no tensor has");
    compare("a type without an end", "(2, 3)", CUBBY_DTYPE_FLOAT32, "which no tensor has");
    compare("<i1", "(2, 3)", CUBBY_DTYPE_INT8, NULL);
    compare("|i4", "(2, 3)", CUBBY_DTYPE_INT32, "which no tensor has");
    for (int eight = CUBBY_DTYPE_FLOAT8_E4M3; eight <= CUBBY_DTYPE_FLOAT8_E5M2; eight++) {
        compare("|V1", "(2, 3)", (enum cubby_dtype)eight, NULL);
        compare("|u1", "(2, 3)", (enum cubby_dtype)eight, NULL);
        compare("|i1", "(2, 3)", (enum cubby_dtype)eight, "expected |V1");
    }
    compare("<V2", "(2, 3)", CUBBY_DTYPE_BFLOAT16, NULL);
    compare("<u2", "(2, 3)", CUBBY_DTYPE_BFLOAT16, NULL);
    compare("<f2", "(2, 3)", CUBBY_DTYPE_BFLOAT16, "expected |V2");
    compare("|V2", "(2, 3)", CUBBY_DTYPE_UINT16, "expected <u2");
}
END_TEST

START_TEST(test_a_failed_write_leaves_the_file) {
    char *path = path_in(scratch_dir(), "missing/y.npy");
    struct cubby_error error = CUBBY_ERROR_INIT;

    ck_assert_int_eq(npy_write(path, CUBBY_DTYPE_INT8, 0, NULL, "x", 1, &error), CUBBY_ERR_INVALID);
    ck_assert_ptr_nonnull(strstr(error.message, path));
    cubby_error_clear(&error);
    ck_assert_int_eq(npy_write("/dev/full", CUBBY_DTYPE_INT8, 0, NULL, "x", 1, &error),
                     CUBBY_ERR_INVALID);
    ck_assert_ptr_nonnull(strstr(error.message, "/dev/full: No space"));
    cubby_error_clear(&error);
    free(path);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("npy");
    TCase *tests = tcase_create("files");

    tcase_add_test(tests, test_every_version_is_read);
    tcase_add_test(tests, test_what_is_written_is_read);
    tcase_add_test(tests, test_damaged_headers_are_refused);
    tcase_add_test(tests, test_every_cut_is_refused);
    tcase_add_test(tests, test_other_beginnings_are_refused);
    tcase_add_test(tests, test_type_and_shape_are_compared);
    tcase_add_test(tests, test_a_failed_write_leaves_the_file);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
