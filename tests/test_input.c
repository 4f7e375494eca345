/* SPDX-License-Identifier: Apache-2.0 */
/* What is taken as a source or as an input of a link, and what is refused before a tool sees it. */
#include <elf.h>
#include <string.h>

#include "linker_help.h"

static const struct {
    enum cubby_source source;
    enum cubby_target target;
    bool possible;
} MATRIX[] = {
    {CUBBY_SOURCE_CUDA, CUBBY_TARGET_CUBIN, true},  {CUBBY_SOURCE_CUDA, CUBBY_TARGET_PTX, true},
    {CUBBY_SOURCE_CUDA, CUBBY_TARGET_LTOIR, true},  {CUBBY_SOURCE_PTX, CUBBY_TARGET_CUBIN, true},
    {CUBBY_SOURCE_PTX, CUBBY_TARGET_PTX, true},     {CUBBY_SOURCE_PTX, CUBBY_TARGET_LTOIR, false},
    {CUBBY_SOURCE_NVVM, CUBBY_TARGET_CUBIN, false}, {CUBBY_SOURCE_NVVM, CUBBY_TARGET_PTX, true},
    {CUBBY_SOURCE_NVVM, CUBBY_TARGET_LTOIR, true},
};

START_TEST(test_matrix) {
    struct cubby_program_options options = CUBBY_PROGRAM_OPTIONS_INIT;
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_program *program = NULL;

    options.source = MATRIX[_i].source;
    options.target = MATRIX[_i].target;
    ck_assert_int_eq(cubby_program_new("text", 4, &options, &program, &error),
                     MATRIX[_i].possible ? 0 : CUBBY_ERR_INVALID);
    if (!MATRIX[_i].possible)
        ck_assert_ptr_nonnull(strstr(error.message, cubby_target_name(options.target)));
    cubby_error_clear(&error);
    cubby_program_unref(program);
}
END_TEST

static int refused(const struct cubby_program_options *options, const void *text, size_t size) {
    struct cubby_program *program = NULL;
    int result = cubby_program_new(text, size, options, &program, NULL);

    cubby_program_unref(program);
    return result;
}

START_TEST(test_bad_programs) {
    const struct cubby_header header = {"a.h", "", 0};
    const struct cubby_extra_source empty = {"e", "", 0};
    const char *name = "k", *names_target = "-gen-lto";
    struct cubby_program_options options = CUBBY_PROGRAM_OPTIONS_INIT;
    struct cubby_program *program, *varied;
    struct cubby_error error = CUBBY_ERROR_INIT;

    options.source = CUBBY_SOURCE_PTX;
    ck_assert_int_eq(refused(&options, "", 0), CUBBY_ERR_INVALID);
    ck_assert_int_eq(refused(&options, "\0\0", 2), CUBBY_ERR_INVALID);
    ck_assert_int_eq(refused(&options, NULL, 0), CUBBY_ERR_INVALID);
    ck_assert_int_eq(refused(&options, "a\0b", 3), CUBBY_ERR_INVALID);
    ck_assert_int_eq(refused(&options, "a\0", 2), 0);
    options.headers = &header;
    options.header_count = 1;
    ck_assert_int_eq(refused(&options, "a", 1), CUBBY_ERR_INVALID);
    options.header_count = 0;
    options.names = &name;
    options.name_count = 1;
    ck_assert_int_eq(refused(&options, "a", 1), CUBBY_ERR_INVALID);
    options.name_count = 0;
    options.use_libdevice = true;
    ck_assert_int_eq(refused(&options, "a", 1), CUBBY_ERR_INVALID);
    options.source = CUBBY_SOURCE_NVVM;
    options.target = CUBBY_TARGET_PTX;
    ck_assert_int_eq(refused(&options, "a", 1), 0);
    ck_assert_int_eq(refused(&options, "a\0b", 3), CUBBY_ERR_INVALID);
    ck_assert_int_eq(refused(&options, "BC\xc0\xde\0b", 6), 0); /* bitcode is no text */
    options.extra_sources = &empty;
    options.extra_source_count = 1;
    ck_assert_int_eq(refused(&options, "a", 1), CUBBY_ERR_INVALID);
    options.extra_source_count = 0;
    options.options = &names_target;
    options.option_count = 1;
    ck_assert_int_eq(refused(&options, "a", 1), CUBBY_ERR_INVALID);
    options.option_count = 0;
    /* Another language is another source. */
    ck_ok(cubby_program_new("a", 1, &options, &program, &error), &error);
    options.source = CUBBY_SOURCE_CUDA;
    options.use_libdevice = false;
    ck_assert_int_eq(cubby_program_vary(program, &options, &varied, &error), CUBBY_ERR_INVALID);
    cubby_program_unref(program);
}
END_TEST

static int link_refused(enum cubby_input kind, const void *data, size_t size, const char *says) {
    const struct cubby_link_input input = {kind, "the-name", data, size};
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_link *link = NULL;
    int result = cubby_link_new(&input, 1, NULL, &link, &error);

    if (result < 0) {
        ck_assert_ptr_nonnull(strstr(error.message, "the-name"));
        ck_assert_msg(strstr(error.message, says) != NULL, "%s", error.message);
    }
    cubby_error_clear(&error);
    cubby_link_unref(link);
    return result;
}

START_TEST(test_bad_links) {
    struct cubby_link_options options = CUBBY_LINK_OPTIONS_INIT;
    const struct cubby_link_input input = {CUBBY_INPUT_PTX, NULL, PTX, sizeof(PTX)};
    const char *ptx = "-ptx";
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_link *link;

    ck_assert_int_eq(cubby_link_new(NULL, 0, NULL, &link, NULL), CUBBY_ERR_INVALID);
    ck_assert_int_eq(link_refused(CUBBY_INPUT_ANY, "", 0, "empty"), CUBBY_ERR_INVALID);
    ck_assert_int_eq(link_refused(CUBBY_INPUT_ANY, NULL, 3, "empty"), CUBBY_ERR_INVALID);
    ck_assert_int_eq(link_refused(CUBBY_INPUT_ANY, "garbage", 7, "no form"), CUBBY_ERR_INVALID);
    ck_assert_int_eq(link_refused((enum cubby_input)9, PTX, 20, "no form"), CUBBY_ERR_INVALID);
    ck_assert_int_eq(link_refused(CUBBY_INPUT_PTX, "a\0b", 3, "NUL byte"), CUBBY_ERR_INVALID);
    ck_assert_int_eq(link_refused(CUBBY_INPUT_CUBIN, PTX, 20, "no whole ELF"), CUBBY_ERR_INVALID);
    ck_assert_int_eq(link_refused(CUBBY_INPUT_ANY, "!<arch>\nx", 9, ""), 0);
    ck_assert_int_eq(link_refused(CUBBY_INPUT_ANY, "\x50\xed\x55\xba..", 6, ""), 0);
    options.target = CUBBY_TARGET_LTOIR;
    ck_assert_int_eq(cubby_link_new(&input, 1, &options, &link, NULL), CUBBY_ERR_INVALID);
    options.target = CUBBY_TARGET_PTX;
    ck_assert_int_eq(cubby_link_new(&input, 1, &options, &link, &error), CUBBY_ERR_INVALID);
    ck_assert_ptr_nonnull(strstr(error.message, "LTO-IR only"));
    options.target = CUBBY_TARGET_CUBIN;
    options.options = &ptx;
    options.option_count = 1;
    ck_assert_int_eq(cubby_link_new(&input, 1, &options, &link, NULL), CUBBY_ERR_INVALID);
    options.option_count = 0;
    options.version = 7;
    ck_assert_int_eq(cubby_link_new(&input, 1, &options, &link, NULL), CUBBY_ERR_INVALID);
    cubby_error_clear(&error);
}
END_TEST

/* A cubin of one section, whole or with its parts beyond the end. */
START_TEST(test_whole_elf) {
    struct {
        Elf64_Ehdr header;
        Elf64_Shdr section;
        Elf64_Phdr segment;
    } file = {.header = {.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64},
                         .e_machine = 190,
                         .e_shoff = sizeof(Elf64_Ehdr),
                         .e_shentsize = sizeof(Elf64_Shdr),
                         .e_shnum = 1,
                         .e_phoff = sizeof(Elf64_Ehdr) + sizeof(Elf64_Shdr),
                         .e_phentsize = sizeof(Elf64_Phdr),
                         .e_phnum = 1}};

    file.section.sh_type = SHT_PROGBITS;
    file.section.sh_size = sizeof(file);
    ck_assert_int_eq(link_refused(CUBBY_INPUT_ANY, &file, sizeof(file), ""), 0);
    for (size_t size = 64; size < sizeof(file); size++)
        ck_assert_int_eq(link_refused(CUBBY_INPUT_ANY, &file, size, "cut short"),
                         CUBBY_ERR_INVALID);
    file.section.sh_offset = UINT64_MAX - 8; /* a sum that wraps around */
    ck_assert_int_eq(link_refused(CUBBY_INPUT_ANY, &file, sizeof(file), "cut short"),
                     CUBBY_ERR_INVALID);
    file.section.sh_offset = 8;
    file.section.sh_size = UINT64_MAX - 4;
    ck_assert_int_eq(link_refused(CUBBY_INPUT_ANY, &file, sizeof(file), "cut short"),
                     CUBBY_ERR_INVALID);
    file.section.sh_type = SHT_NOBITS; /* takes no room in the file */
    ck_assert_int_eq(link_refused(CUBBY_INPUT_ANY, &file, sizeof(file), ""), 0);
    file.segment.p_offset = sizeof(file);
    file.segment.p_filesz = 1;
    ck_assert_int_eq(link_refused(CUBBY_INPUT_ANY, &file, sizeof(file), "cut short"),
                     CUBBY_ERR_INVALID);
    file.segment.p_filesz = 0;
    file.header.e_shentsize = 8;
    ck_assert_int_eq(link_refused(CUBBY_INPUT_ANY, &file, sizeof(file), "cut short"),
                     CUBBY_ERR_INVALID);
}
END_TEST

START_TEST(test_names_of_kinds) {
    ck_assert_str_eq(cubby_source_name(CUBBY_SOURCE_NVVM), "nvvm");
    ck_assert_ptr_null(cubby_source_name((enum cubby_source)3));
    ck_assert_ptr_null(cubby_source_name((enum cubby_source) - 1));
    ck_assert_str_eq(cubby_input_name(CUBBY_INPUT_LIBRARY), "library");
    ck_assert_ptr_null(cubby_input_name(CUBBY_INPUT_ANY));
    ck_assert_ptr_null(cubby_input_name((enum cubby_input)7));
    cubby_tool_info_clear(NULL);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("input");
    TCase *input = add_case(suite, "all");

    tcase_add_loop_test(input, test_matrix, 0, COUNT(MATRIX));
    tcase_add_test(input, test_bad_programs);
    tcase_add_test(input, test_bad_links);
    tcase_add_test(input, test_whole_elf);
    tcase_add_test(input, test_names_of_kinds);
    return run_suite(suite);
}
