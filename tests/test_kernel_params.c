/* SPDX-License-Identifier: Apache-2.0 */
/* The parameters of kernels: from cubins of the real compiler, and from damaged ones. */
#include "harness.h"

#include <elf.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cubin_help.h"
#include "engine/kernel_params.h"

/* ---- Attributes by hand ------------------------------------------------------------------ */

/* An entry of a parameter of at most 16383 bytes, and one of more. */
#define PARAM(ordinal, offset, size) "\x04\x17\x0c\0\0\0\0\0" ordinal "\0" offset "\0\xf0" size "\0"
#define PARAM_V2(ordinal, offset, size) "\x04\x45\x0c\0\0\0\0\0" ordinal "\0" offset size "\0\0"
#define BYTES(size) "\x03\x19" size
#define CBANK(size) "\x04\x0a\x08\0\x05\0\0\0\x10\x02" size
#define FOUR_BYTES "\x11" /* the upper 14 of 32 bits, and one below them */
#define EIGHT_BYTES "\x21"

#define INFO(text) text, sizeof(text) - 1

static const struct {
    const char *info;
    size_t size;
    int result;
    size_t count;
    const char *says;
} INFOS[] = {
    {INFO(""), 0, 0, ""},
    {INFO("\x03\x1b\xff\0"), 0, 0, ""},
    {INFO("\x01\x35\0\0\x02\x4a\0\0"), 0, 0, ""},
    {INFO(BYTES("\0\0")), 0, 0, ""},
    {INFO(PARAM("\1", "\x08\0", FOUR_BYTES) PARAM("\0", "\0\0", EIGHT_BYTES) BYTES("\x0c\0")), 0, 2,
     ""},
    {INFO(CBANK("\x0c\0") BYTES("\x0c\0") PARAM("\0", "\0\0", EIGHT_BYTES)
              PARAM("\1", "\x08\0", FOUR_BYTES)),
     0, 2, ""},
    {INFO(PARAM_V2("\1", "\x20\x4e", "\x02\0") PARAM_V2("\0", "\0\0", "\x20\x4e")
              BYTES("\x22\x4e")),
     0, 2, ""},
    {INFO("\x03"), CUBBY_ERR_CORRUPT, 0, "attributes of a kernel cannot be read"},
    {INFO("\x04\x17\x0c"), CUBBY_ERR_CORRUPT, 0, "attributes of a kernel cannot be read"},
    {INFO("\x04\x17\x0c\0\0\0\0\0"), CUBBY_ERR_CORRUPT, 0, "attributes of a kernel cannot be read"},
    {INFO("\x05\x17\x0c\0"), CUBBY_ERR_CORRUPT, 0, "attributes of a kernel cannot be read"},
    {INFO("\0\0\0\0"), CUBBY_ERR_CORRUPT, 0, "attributes of a kernel cannot be read"},
    {INFO("\x04\x17\x08\0\0\0\0\0\0\0\0\0"), CUBBY_ERR_CORRUPT, 0, "another length than 12"},
    {INFO("\x04\x0a\x04\0\0\0\0\0"), CUBBY_ERR_CORRUPT, 0, "another length than 8"},
    {INFO(PARAM("\0", "\0\0", "\x01") BYTES("\0\0")), CUBBY_ERR_CORRUPT, 0, "lies outside"},
    {INFO(PARAM_V2("\0", "\xfc\x7f", "\x01\0") BYTES("\xfd\x7f")), CUBBY_ERR_CORRUPT, 0,
     "lies outside"},
    {INFO(PARAM("\0", "\0\0", FOUR_BYTES) PARAM("\0", "\0\0", FOUR_BYTES) BYTES("\4\0")),
     CUBBY_ERR_CORRUPT, 0, "is there twice"},
    {INFO(PARAM("\1", "\x08\0", FOUR_BYTES) BYTES("\x0c\0")), CUBBY_ERR_CORRUPT, 0, "is missing"},
    {INFO(PARAM("\0", "\0\0", EIGHT_BYTES) PARAM("\1", "\4\0", FOUR_BYTES) BYTES("\x08\0")),
     CUBBY_ERR_CORRUPT, 0, "overlap"},
    {INFO(PARAM("\0", "\0\0", FOUR_BYTES) BYTES("\x08\0")), CUBBY_ERR_CORRUPT, 0, "another size"},
    {INFO(PARAM("\0", "\0\0", FOUR_BYTES)), CUBBY_ERR_CORRUPT, 0, "another size"},
    {INFO(PARAM("\0", "\0\0", FOUR_BYTES) BYTES("\4\0") CBANK("\x08\0")), CUBBY_ERR_CORRUPT, 0,
     "two sizes"},
};

START_TEST(test_attributes) {
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct kernel_params params;
    size_t size;
    void *cubin = cubin_make("k", INFOS[_i].info, INFOS[_i].size, &size);
    int result = kernel_params_read(cubin, size, "k", &params, &error);

    ck_assert_msg(result == INFOS[_i].result, "%d: %s", result, error.message);
    if (result == 0) {
        ck_assert_uint_eq(params.count, INFOS[_i].count);
        kernel_params_free(&params);
    } else {
        ck_assert_msg(strstr(error.message, INFOS[_i].says) != NULL, "%s", error.message);
    }
    free(cubin);
}
END_TEST

START_TEST(test_values) {
    static const char TEXT[] = PARAM_V2("\2", "\x28\x4e", "\x02\0")
        PARAM("\1", "\x20\x4e", EIGHT_BYTES) PARAM_V2("\0", "\0\0", "\x20\x4e") CBANK("\x2a\x4e");
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct kernel_params params;
    size_t size;
    void *cubin = cubin_make("_Z1kv", TEXT, sizeof(TEXT) - 1, &size);

    ck_ok(kernel_params_read(cubin, size, "_Z1kv", &params, &error), &error);
    ck_assert_uint_eq(params.count, 3);
    ck_assert_uint_eq(params.bytes, 20010);
    ck_assert_uint_eq(params.items[0].offset, 0);
    ck_assert_uint_eq(params.items[0].size, 20000);
    ck_assert_uint_eq(params.items[1].offset, 20000);
    ck_assert_uint_eq(params.items[1].size, 8);
    ck_assert_uint_eq(params.items[2].offset, 20008);
    ck_assert_uint_eq(params.items[2].size, 2);
    kernel_params_free(&params);
    ck_assert_int_eq(kernel_params_read(cubin, size, "_Z1k", &params, &error), CUBBY_ERR_NOT_FOUND);
    ck_assert_str_eq(error.message, "the cubin has no kernel \"_Z1k\"");
    cubby_error_clear(&error);
    ck_assert_int_eq(kernel_params_read(cubin, size, "", &params, &error), CUBBY_ERR_NOT_FOUND);
    ck_assert_int_eq(kernel_params_read(NULL, 0, "k", &params, NULL), CUBBY_ERR_CORRUPT);
    free(cubin);
}
END_TEST

/* ---- Damage ------------------------------------------------------------------------------ */

/* Reads a copy that is exactly so long, so that a sanitizer sees a byte too many. Whatever it says,
 * it says one of three things. */
static int read_copy(const unsigned char *cubin, size_t size, const char *kernel) {
    unsigned char *copy = malloc(size ? size : 1);
    struct kernel_params params;
    int result;

    ck_assert_ptr_nonnull(copy);
    memcpy(copy, cubin, size);
    result = kernel_params_read(copy, size, kernel, &params, NULL);
    ck_assert(result == 0 || result == CUBBY_ERR_CORRUPT || result == CUBBY_ERR_NOT_FOUND);
    if (result == 0)
        kernel_params_free(&params);
    free(copy);
    return result;
}

static void damage(const unsigned char *cubin, size_t size, const char *kernel) {
    unsigned char *copy = malloc(size);
    size_t step = size / 4000 + 1;

    ck_assert_ptr_nonnull(copy);
    ck_assert_int_eq(read_copy(cubin, size, kernel), 0);
    for (size_t length = 0; length < size; length += step)
        read_copy(cubin, length, kernel);
    for (size_t i = 0; i < size; i += step) {
        static const unsigned char VALUES[] = {0, 1, 0x7f, 0xff};

        memcpy(copy, cubin, size);
        for (size_t k = 0; k < sizeof(VALUES); k++) {
            copy[i] = VALUES[k];
            read_copy(copy, size, kernel);
        }
    }
    free(copy);
}

START_TEST(test_damage) {
    static const char TEXT[] = PARAM("\1", "\x08\0", FOUR_BYTES) PARAM("\0", "\0\0", EIGHT_BYTES)
        CBANK("\x0c\0") BYTES("\x0c\0");
    size_t size, info = cubin_info_offset("k");
    unsigned char *cubin = cubin_make("k", TEXT, sizeof(TEXT) - 1, &size);

    damage(cubin, size, "k");
    for (size_t length = 0; length < size; length++)
        ck_assert_int_ne(read_copy(cubin, length, "k"), 0);
    cubin[info + 10] ^= 4; /* the offset of the second parameter */
    ck_assert_int_eq(read_copy(cubin, size, "k"), CUBBY_ERR_CORRUPT);
    free(cubin);
}
END_TEST

/* What the header says of the sections. */
START_TEST(test_headers) {
    static const struct {
        size_t offset;
        uint64_t value;
        size_t size;
    } FIELDS[] = {
        {offsetof(Elf64_Ehdr, e_machine), EM_X86_64, 2},
        {offsetof(Elf64_Ehdr, e_ident[EI_CLASS]), ELFCLASS32, 1},
        {offsetof(Elf64_Ehdr, e_ident[EI_DATA]), ELFDATA2MSB, 1},
        {offsetof(Elf64_Ehdr, e_shoff), UINT64_MAX, 8},
        {offsetof(Elf64_Ehdr, e_shoff), UINT64_MAX - 63, 8},
        {offsetof(Elf64_Ehdr, e_shnum), 0, 2},
        {offsetof(Elf64_Ehdr, e_shnum), 0xffff, 2},
        {offsetof(Elf64_Ehdr, e_shentsize), 1, 2},
        {offsetof(Elf64_Ehdr, e_shstrndx), 4, 2},
        {offsetof(Elf64_Ehdr, e_shstrndx), 2, 2},
        {sizeof(Elf64_Ehdr) + sizeof(Elf64_Shdr) + offsetof(Elf64_Shdr, sh_size), UINT64_MAX, 8},
        {sizeof(Elf64_Ehdr) + sizeof(Elf64_Shdr) + offsetof(Elf64_Shdr, sh_size), 0, 8},
        {sizeof(Elf64_Ehdr) + sizeof(Elf64_Shdr) + offsetof(Elf64_Shdr, sh_size), 12, 8},
        {sizeof(Elf64_Ehdr) + 3 * sizeof(Elf64_Shdr) + offsetof(Elf64_Shdr, sh_offset),
         UINT64_MAX - 3, 8},
        {sizeof(Elf64_Ehdr) + 3 * sizeof(Elf64_Shdr) + offsetof(Elf64_Shdr, sh_size), UINT64_MAX,
         8},
    };
    static const char TEXT[] = PARAM("\0", "\0\0", FOUR_BYTES) BYTES("\4\0");
    size_t size;
    unsigned char *cubin = cubin_make("k", TEXT, sizeof(TEXT) - 1, &size);

    for (size_t i = 0; i < sizeof(FIELDS) / sizeof(*FIELDS); i++) {
        unsigned char *copy = malloc(size);

        memcpy(copy, cubin, size);
        memcpy(copy + FIELDS[i].offset, &FIELDS[i].value, FIELDS[i].size);
        ck_assert_msg(read_copy(copy, size, "k") == CUBBY_ERR_CORRUPT, "%zu", i);
        free(copy);
    }
    free(cubin);
}
END_TEST

/* ---- What the compiler makes ------------------------------------------------------------- */

static const char SOURCE[] =
    "struct large { char bytes[5000]; };\n"
    "struct alignas(16) aligned { float x[4]; char c; };\n"
    "struct empty {};\n"
    "extern \"C\" __global__ void none() {}\n"
    "extern \"C\" __global__ void unused(int a, long long b) {}\n"
    "extern \"C\" __global__ void many(float *a, int n, char c, double d, short s, aligned o, bool "
    "b)"
    " { if (n) a[0] = d + c + s + o.x[0] + b; }\n"
    "#ifdef WIDE\n"
    "extern \"C\" __global__ void wide(const large b, int *out) { *out = b.bytes[threadIdx.x]; }\n"
    "#endif\n"
    "extern \"C\" __global__ void constant(const __grid_constant__ aligned o, float *x)"
    " { *x = o.x[2]; }\n"
    "extern \"C\" __global__ void nothing(empty e, int *x) { *x = 1; }\n"
    "template <typename T> __global__ void shape(T *x, T v) { *x = v; }\n";

#define PARAMS_MOST 7

static const struct {
    const char *name;
    size_t count;
    struct kernel_param params[PARAMS_MOST];
} KERNELS[] = {
    {"none", 0, {{0}}},
    {"unused", 2, {{0, 4}, {8, 8}}},
    {"many", 7, {{0, 8}, {8, 4}, {12, 1}, {16, 8}, {24, 2}, {32, 32}, {64, 1}}},
    {"constant", 2, {{0, 32}, {32, 8}}},
    {"nothing", 2, {{0, 1}, {8, 8}}},
    {"shape<double>", 2, {{0, 8}, {8, 8}}},
    {"shape<char>", 2, {{0, 8}, {8, 1}}},
    {"wide", 2, {{0, 5000}, {5000, 8}}}, /* from CUDA 12.1 on */
};

#define COUNT(table) (int)(sizeof(table) / sizeof(*(table)))

static const char *const ARCHS[] = {"sm_75", "sm_80",  "sm_86",  "sm_89",
                                    "sm_90", "sm_90a", "sm_100", "sm_120"};

static struct cubby_toolchain toolchain;

/* Parameters of more than 4 KiB came with CUDA 12.1. */
static int kernel_count(void) {
    bool wide = toolchain.major * 100 + toolchain.minor >= 1201;

    return wide ? COUNT(KERNELS) : COUNT(KERNELS) - 1;
}

/* NULL where this NVRTC does not know the architecture. */
static struct cubby_object *compile(const char *arch, const char *option) {
    struct cubby_program_options options = CUBBY_PROGRAM_OPTIONS_INIT;
    struct cubby_error error = CUBBY_ERROR_INIT;
    const char *names[COUNT(KERNELS)];
    const char *strings[] = {"-std=c++17", kernel_count() == COUNT(KERNELS) ? "-DWIDE" : "-DNARROW",
                             option};
    struct cubby_program *program;
    struct cubby_object *object = NULL;

    for (int i = 0; i < kernel_count(); i++)
        names[i] = KERNELS[i].name;
    options.arch = arch;
    options.options = strings;
    options.option_count = option ? 3 : 2;
    options.names = names;
    options.name_count = (size_t)kernel_count();
    ck_ok(cubby_program_new(SOURCE, sizeof(SOURCE) - 1, &options, &program, &error), &error);
    if (cubby_compile(NULL, program, 0, &object, NULL, &error) < 0) {
        ck_assert_msg(error.log && strstr(error.log, "gpu-architecture") != NULL, "%s\n%s",
                      error.message, error.log ? error.log : "");
        printf("%s: not known to this NVRTC\n", arch);
    }
    cubby_error_clear(&error);
    cubby_program_unref(program);
    return object;
}

static void check_kernels(const struct cubby_object *object) {
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct kernel_params params;

    for (int i = 0; i < kernel_count(); i++) {
        const char *lowered = cubby_object_lowered_name(object, KERNELS[i].name);

        ck_assert_ptr_nonnull(lowered);
        ck_ok(kernel_params_read(cubby_object_data(object), cubby_object_size(object), lowered,
                                 &params, &error),
              &error);
        ck_assert_msg(params.count == KERNELS[i].count, "%s: %zu", KERNELS[i].name, params.count);
        for (size_t k = 0; k < params.count; k++) {
            ck_assert_msg(params.items[k].offset == KERNELS[i].params[k].offset &&
                              params.items[k].size == KERNELS[i].params[k].size,
                          "%s: parameter %zu at %u, %u bytes", KERNELS[i].name, k,
                          params.items[k].offset, params.items[k].size);
        }
        kernel_params_free(&params);
    }
}

START_TEST(test_compiled) {
    static const char *const OPTIONS[] = {NULL, "-G", "-lineinfo"};

    for (int i = 0; i < COUNT(OPTIONS); i++) {
        struct cubby_object *object = compile(ARCHS[_i], OPTIONS[i]);

        if (!object)
            break;
        check_kernels(object);
        if (i == 0)
            damage(cubby_object_data(object), cubby_object_size(object), "many");
        cubby_object_unref(object);
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("kernel parameters");
    TCase *tcase = tcase_create("all");

    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, test_attributes, 0, COUNT(INFOS));
    tcase_add_test(tcase, test_values);
    tcase_add_test(tcase, test_damage);
    tcase_add_test(tcase, test_headers);
    if (cubby_toolchain_find(NULL, &toolchain, NULL) == 0)
        tcase_add_loop_test(tcase, test_compiled, 0, COUNT(ARCHS));
    else
        printf("no NVRTC: its cubins are not tried\n");
    cubby_toolchain_clear(&toolchain);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
