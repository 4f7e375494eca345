/* SPDX-License-Identifier: Apache-2.0 */
/* Finding the compiler, telling one from another, and remembering it. Each test runs in a process
 * of its own, as a toolchain stays for the life of a process. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utime.h>

#include "harness.h"
#include "key/build_id.h"
#include "key/locate.h"
#include "key/toolchain_memo.h"
#include "os/dl.h"
#include "tooling.h"
#include "toolkit.h"

static struct cubby_cache *open_store(const char *folder) {
    struct cubby_error error = CUBBY_ERROR_INIT;
    char *spec, *path = path_in(folder, "store");
    struct cubby_cache *cache;

    ck_assert_int_gt(asprintf(&spec, "file:%s", path), 0);
    ck_ok(cubby_cache_open(spec, &cache, &error), &error);
    free(spec);
    free(path);
    return cache;
}

/* What a fresh process finds: fingerprint, and whether it had to load NVRTC. */
struct finding {
    int result;
    bool loaded;
    char fingerprint[300];
    char message[1024];
};

static struct finding find_in_child(const char *store) {
    struct finding *shared, finding;
    int status, pipes[2];
    pid_t child;

    ck_assert_int_eq(pipe(pipes), 0);
    child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        struct cubby_toolchain toolchain = {0};
        struct cubby_error error = CUBBY_ERROR_INIT;
        struct cubby_cache *cache = store ? open_store(store) : NULL;
        char path[PATH_MAX];

        finding = (struct finding){0};
        shared = &finding;
        shared->result = cubby_toolchain_find(cache, &toolchain, &error);
        shared->loaded = dl_loaded_path("libnvrtc.so", path);
        snprintf(shared->fingerprint, sizeof(shared->fingerprint), "%s",
                 toolchain.fingerprint ? toolchain.fingerprint : "");
        snprintf(shared->message, sizeof(shared->message), "%s", error.message);
        if (write(pipes[1], shared, sizeof(*shared)) != (ssize_t)sizeof(*shared))
            _exit(1);
        cubby_toolchain_clear(&toolchain);
        cubby_cache_unref(cache);
        _exit(0);
    }
    ck_assert_int_eq(read(pipes[0], &finding, sizeof(finding)), (ssize_t)sizeof(finding));
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    close(pipes[0]);
    close(pipes[1]);
    return finding;
}

/* A toolkit that has lain there for a while. */
static char *settled_toolkit(int edition) {
    char *folder = path_in(scratch_dir(), "cuda");

    toolkit_make(folder, edition);
    toolkit_use(folder);
    sleep(3); /* stamps younger than two seconds are not remembered */
    return folder;
}

START_TEST(test_fingerprint) {
    char *folder = path_in(scratch_dir(), "cuda"), *other = path_in(scratch_dir(), "elsewhere");
    struct finding one, two, three;

    toolkit_make(folder, 1);
    toolkit_make(other, 1);
    toolkit_use(folder);
    one = find_in_child(NULL);
    ck_assert_msg(one.result == 0, "%s", one.message);
    ck_assert_ptr_nonnull(strstr(one.fingerprint, "nvrtc 13.90 build-id:"));
    ck_assert_ptr_nonnull(strstr(one.fingerprint, "builtins build-id:"));
    /* The same files elsewhere are the same compiler. */
    toolkit_use(other);
    two = find_in_child(NULL);
    ck_assert_str_eq(one.fingerprint, two.fingerprint);
    /* Other builtins are another. */
    toolkit_set_builtins(other, 2);
    three = find_in_child(NULL);
    ck_assert_str_ne(one.fingerprint, three.fingerprint);
    free(folder);
    free(other);
}
END_TEST

START_TEST(test_builtins_beside_win) {
    char *folder = path_in(scratch_dir(), "cuda"), *other = path_in(scratch_dir(), "other");
    char *library_path = path_in(other, "lib64");
    struct finding plain, disturbed;

    toolkit_make(folder, 1);
    toolkit_make(other, 2);
    toolkit_use(folder);
    plain = find_in_child(NULL);
    setenv("LD_LIBRARY_PATH", library_path, 1);
    disturbed = find_in_child(NULL);
    ck_assert_str_eq(plain.fingerprint, disturbed.fingerprint);
    free(folder);
    free(other);
    free(library_path);
}
END_TEST

START_TEST(test_memory) {
    const char *store = strdup(scratch_dir());
    char *folder = settled_toolkit(1);
    char *library = path_in(folder, "lib64/libnvrtc.so.13");
    struct finding cold = find_in_child(store), warm = find_in_child(store), touched, swapped;

    ck_assert(cold.loaded);
    ck_assert(!warm.loaded);
    ck_assert_str_eq(cold.fingerprint, warm.fingerprint);
    /* A new stamp makes it look again; the same file then gives the same fingerprint. */
    ck_assert_int_eq(utime(library, NULL), 0);
    touched = find_in_child(store);
    ck_assert(touched.loaded);
    ck_assert_str_eq(cold.fingerprint, touched.fingerprint);
    toolkit_set_builtins(folder, 2);
    swapped = find_in_child(store);
    ck_assert(swapped.loaded);
    ck_assert_str_ne(cold.fingerprint, swapped.fingerprint);
    free(library);
    free(folder);
    free((char *)store);
}
END_TEST

START_TEST(test_young_files_are_not_remembered) {
    const char *store = strdup(scratch_dir());
    char *folder = path_in(scratch_dir(), "cuda");

    toolkit_make(folder, 1);
    toolkit_use(folder);
    ck_assert(find_in_child(store).loaded);
    ck_assert(find_in_child(store).loaded);
    free(folder);
    free((char *)store);
}
END_TEST

/* Has the store remember that what is found now has another fingerprint than it has. */
static void remember_wrongly(struct cubby_cache *cache, const struct toolchain_place *place) {
    struct toolchain_memory memory;
    struct toolchain_memo memo;
    struct toolchain *toolchain;

    toolchain = toolchain_memo_load(CUBBY_TOOL_NVRTC, tooling_memory(cache, &memory), place, &memo);
    ck_assert_ptr_nonnull(toolchain);
    free(memo.text);
    free((char *)toolchain->fingerprint);
    toolchain->fingerprint = strdup("wrong");
    toolchain_memo_make(place, toolchain, &memo);
    ck_assert_ptr_nonnull(memo.text);
    toolchain_memo_store(&memory, &memo);
    free(memo.text);
    toolchain_free(toolchain);
}

/* What a process that really loads NVRTC has to do; young: its file was touched just before. */
static void load_in_child(struct cubby_cache *cache, const char *library, bool young) {
    pid_t child = fork();
    int status;

    ck_assert_int_ge(child, 0);
    if (child == 0) {
        const struct toolchain *toolchain;
        struct toolchain_memory memory;
        void *handle;

        if (toolchain_find(CUBBY_TOOL_NVRTC, tooling_memory(cache, &memory), &toolchain, NULL) !=
                0 ||
            strcmp(toolchain->fingerprint, "wrong") != 0)
            _exit(1);
        if (young && utime(library, NULL) != 0)
            _exit(2);
        if (toolchain_load(CUBBY_TOOL_NVRTC, &memory, &handle, &toolchain, NULL) != 0 ||
            strcmp(toolchain->fingerprint, "wrong") == 0)
            _exit(3);
        _exit(0);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
}

/* What loading proves wrong is not believed a second time, also while the files are too young for
 * the truth to be remembered. */
START_TEST(test_wrong_memory_is_healed) {
    const char *store = strdup(scratch_dir());
    char *folder = settled_toolkit(1);
    char *library = path_in(folder, "lib64/libnvrtc.so.13");
    struct finding right = find_in_child(store), healed;
    struct cubby_cache *cache = open_store(store);
    struct toolchain_memory memory;
    struct toolchain_place place;
    struct cubby_object *object;

    ck_assert(toolchain_memo_place(CUBBY_TOOL_NVRTC, &place));
    remember_wrongly(cache, &place);
    load_in_child(cache, library, false);
    healed = find_in_child(store);
    ck_assert(!healed.loaded);
    ck_assert_str_eq(healed.fingerprint, right.fingerprint);
    remember_wrongly(cache, &place);
    load_in_child(cache, library, true);
    tooling_memory(cache, &memory);
    ck_assert_int_eq(memory.load(memory.context, &place.key, &object), CUBBY_ERR_NOT_FOUND);
    healed = find_in_child(store);
    ck_assert_str_eq(healed.fingerprint, right.fingerprint);
    cubby_cache_unref(cache);
    free(library);
    free(folder);
    free((char *)store);
}
END_TEST

/* A toolkit is not remembered in the place of another, nor believed there. */
START_TEST(test_memory_of_another_file) {
    const char *store = strdup(scratch_dir());
    char *other = path_in(scratch_dir(), "other"), *link = path_in(scratch_dir(), "current");
    char *folder, *second = path_in(scratch_dir(), "second");
    struct cubby_cache *cache = open_store(store);
    struct toolchain_place place, elsewhere;
    struct toolchain_memory memory;
    struct toolchain_memo memo;
    struct toolchain *toolchain;
    struct finding one, two;

    toolkit_make(other, 2);
    folder = settled_toolkit(1);
    /* /usr/local/cuda is such a link. */
    ck_assert_int_eq(symlink(folder, link), 0);
    toolkit_use(link);
    one = find_in_child(store);
    ck_assert(!find_in_child(store).loaded);
    ck_assert(toolchain_memo_place(CUBBY_TOOL_NVRTC, &place));
    ck_assert_int_eq(symlink(other, second), 0);
    ck_assert_int_eq(rename(second, link), 0);
    ck_assert(toolchain_memo_place(CUBBY_TOOL_NVRTC, &elsewhere));
    toolchain =
        toolchain_memo_load(CUBBY_TOOL_NVRTC, tooling_memory(cache, &memory), &place, &memo);
    ck_assert_ptr_nonnull(toolchain);
    free(memo.text);
    toolchain_memo_make(&elsewhere, toolchain, &memo);
    ck_assert_ptr_null(memo.text);
    elsewhere.key = place.key;
    ck_assert_ptr_null(toolchain_memo_load(CUBBY_TOOL_NVRTC, &memory, &elsewhere, &memo));
    two = find_in_child(store);
    ck_assert(two.loaded);
    ck_assert_str_ne(one.fingerprint, two.fingerprint);
    toolchain_free(toolchain);
    cubby_cache_unref(cache);
    free(other);
    free(link);
    free(second);
    free(folder);
    free((char *)store);
}
END_TEST

START_TEST(test_order_of_places) {
    char *home = path_in(scratch_dir(), "home"), *path = path_in(scratch_dir(), "path");
    char *named = path_in(scratch_dir(), "named"), *file = path_in(named, "lib64/libnvrtc.so.13");
    char *library_path = path_in(home, "lib64"), *wanted;
    struct location location;

    toolkit_make(home, 1);
    toolkit_make(path, 1);
    toolkit_make(named, 1);
    toolkit_use(home);
    setenv("CUDA_PATH", path, 1);
    setenv("CUBBY_NVRTC", file, 1);
    ck_assert_int_eq(locate_library(&LIBRARY_NVRTC, false, &location, NULL, NULL), 0);
    ck_assert_str_eq(location.path, file);
    unsetenv("CUBBY_NVRTC");
    ck_assert_int_eq(locate_library(&LIBRARY_NVRTC, false, &location, NULL, NULL), 0);
    wanted = path_in(home, "lib64/libnvrtc.so.13");
    ck_assert_str_eq(location.path, wanted);
    free(wanted);
    unsetenv("CUDA_HOME");
    ck_assert_int_eq(locate_library(&LIBRARY_NVRTC, false, &location, NULL, NULL), 0);
    wanted = path_in(path, "lib64/libnvrtc.so.13");
    ck_assert_str_eq(location.path, wanted);
    free(wanted);
    unsetenv("CUDA_PATH");
    setenv("LD_LIBRARY_PATH", library_path, 1);
    ck_assert_int_eq(locate_library(&LIBRARY_NVRTC, false, &location, NULL, NULL), 0);
    wanted = path_in(home, "lib64/libnvrtc.so.13");
    ck_assert_str_eq(location.path, wanted);
    free(wanted);
    free(home);
    free(path);
    free(named);
    free(file);
    free(library_path);
}
END_TEST

START_TEST(test_wheels) {
    char *venv = path_in(scratch_dir(), "venv"), *command, *wanted;
    struct location location;

    ck_assert_int_gt(asprintf(&command,
                              "mkdir -p %s/lib/python3.11/site-packages/nvidia/cu13/lib && "
                              "touch %s/lib/python3.11/site-packages/nvidia/cu13/lib/libtest.so.1",
                              venv, venv),
                     0);
    ck_assert_int_eq(system(command), 0);
    setenv("VIRTUAL_ENV", venv, 1);
    {
        static const char *const SONAMES[] = {"libtest.so.1", NULL};
        const struct library library = {"test", "libtest.so", "CUBBY_TEST", SONAMES};

        ck_assert_int_eq(locate_library(&library, true, &location, NULL, NULL), 0);
        wanted = path_in(venv, "lib/python3.11/site-packages/nvidia/cu13/lib/libtest.so.1");
        ck_assert_str_eq(location.path, wanted);
        unsetenv("VIRTUAL_ENV");
        ck_assert_int_eq(locate_library(&library, true, &location, NULL, NULL),
                         CUBBY_ERR_NOT_FOUND);
    }
    free(wanted);
    free(command);
    free(venv);
}
END_TEST

/* The library below a root, with the toolkit's headers there. */
static void expect_headers(const char *library, const char *headers) {
    char *root = realpath(scratch_dir(), NULL), *path = path_in(root, library), *command;
    char *wanted = path_in(root, headers), found[PATH_MAX];

    ck_assert_int_gt(asprintf(&command,
                              "cd %s && mkdir -p %s %s && rmdir %s && touch %s %s/cuda_fp16.h",
                              root, library, headers, library, library, headers),
                     0);
    ck_assert_int_eq(system(command), 0);
    ck_assert(locate_include_dir(path, found));
    ck_assert_str_eq(found, wanted);
    free(wanted);
    free(command);
    free(path);
    free(root);
}

START_TEST(test_headers_of_the_toolkit) {
    expect_headers("cuda/lib64/libnvrtc.so.13", "cuda/include");
    expect_headers("cuda/targets/x86_64-linux/lib/libnvrtc.so.13", "cuda/include");
    expect_headers("nvidia/cu13/lib/libnvrtc.so.13", "nvidia/cu13/include");
    expect_headers("nvidia/cuda_nvrtc/lib/libnvrtc.so.12", "nvidia/cuda_runtime/include");
}
END_TEST

START_TEST(test_named_file_is_missing) {
    struct finding finding;

    setenv("CUBBY_NVRTC", "/no/such/libnvrtc.so.13", 1);
    finding = find_in_child(NULL);
    ck_assert_int_eq(finding.result, CUBBY_ERR_NO_TOOLCHAIN);
    ck_assert_ptr_nonnull(strstr(finding.message, "/no/such/libnvrtc.so.13"));
    ck_assert_ptr_nonnull(strstr(finding.message, "CUBBY_NVRTC"));
}
END_TEST

START_TEST(test_wrong_library) {
    char *text = path_in(scratch_dir(), "libnvrtc.so.13");
    struct finding finding;

    write_file(text, "not a library\n", 14);
    setenv("CUBBY_NVRTC", text, 1);
    finding = find_in_child(NULL);
    ck_assert_int_eq(finding.result, CUBBY_ERR_NO_TOOLCHAIN);
    ck_assert_ptr_nonnull(strstr(finding.message, text));
    /* A good library of another kind. */
    setenv("CUBBY_NVRTC", TEST_DOUBLES "/fake_builtins_1.so", 1);
    finding = find_in_child(NULL);
    ck_assert_int_eq(finding.result, CUBBY_ERR_NO_TOOLCHAIN);
    ck_assert_ptr_nonnull(strstr(finding.message, "nvrtcVersion"));
    free(text);
}
END_TEST

START_TEST(test_builtins_cut_short) {
    char *folder = path_in(scratch_dir(), "cuda");
    char *builtins = path_in(folder, "lib64/libnvrtc-builtins.so.13.90");
    struct finding finding;

    toolkit_make(folder, 1);
    toolkit_use(folder);
    ck_assert_int_eq(truncate(builtins, 5000), 0);
    finding = find_in_child(NULL);
    ck_assert_int_eq(finding.result, CUBBY_ERR_NO_TOOLCHAIN);
    ck_assert_ptr_nonnull(strstr(finding.message, "cut short"));
    free(builtins);
    free(folder);
}
END_TEST

START_TEST(test_no_builtins) {
    char *folder = path_in(scratch_dir(), "cuda");
    struct finding finding;

    toolkit_make(folder, 0);
    toolkit_use(folder);
    finding = find_in_child(NULL);
    ck_assert_int_eq(finding.result, 0); /* the compile itself will say what is wrong */
    ck_assert_ptr_nonnull(strstr(finding.fingerprint, "builtins none"));
    free(folder);
}
END_TEST

START_TEST(test_identity_of_files) {
    const char *folder = scratch_dir();
    char *file = path_in(folder, "file"), *identity;
    struct cubby_error error = CUBBY_ERROR_INIT;

    ck_ok(build_identity(TEST_DOUBLES "/fake_nvrtc.so", &identity, &error), &error);
    ck_assert_int_eq(strncmp(identity, "build-id:", 9), 0);
    free(identity);
    ck_assert(build_is_whole(TEST_DOUBLES "/fake_nvrtc.so"));
    write_file(file, "abc", 3);
    ck_ok(build_identity(file, &identity, &error), &error);
    ck_assert_str_eq(identity,
                     "blake2b:bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319");
    free(identity);
    ck_assert(!build_is_whole(file));
    ck_assert(!build_is_whole("/no/such/file"));
    ck_assert_int_eq(build_identity("/no/such/file", &identity, &error), CUBBY_ERR_IO);
    free(file);
}
END_TEST

START_TEST(test_no_device) {
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_device device;

    setenv("CUBBY_CUDA", TEST_DOUBLES "/fake_builtins_1.so", 1);
    ck_assert_int_eq(cubby_device_find(&device, &error), CUBBY_ERR_NO_DRIVER);
    ck_assert_ptr_nonnull(strstr(error.message, "cuInit"));
    cubby_error_clear(&error);
    setenv("CUBBY_CUDA", "/no/such/libcuda.so.1", 1);
    ck_assert_int_eq(cubby_device_find(&device, &error), CUBBY_ERR_NO_DRIVER);
}
END_TEST

static void unset_all(void) {
    unsetenv("CUDA_HOME");
    unsetenv("CUDA_PATH");
    unsetenv("LD_LIBRARY_PATH");
    unsetenv("CUBBY_NVRTC");
    unsetenv("CUBBY_CUDA");
}

int main(void) {
    Suite *suite = suite_create("toolchain");
    TCase *tcase = tcase_create("all");

    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, unset_all, NULL);
    tcase_add_test(tcase, test_fingerprint);
    tcase_add_test(tcase, test_builtins_beside_win);
    tcase_add_test(tcase, test_memory);
    tcase_add_test(tcase, test_young_files_are_not_remembered);
    if (tests_are_apart()) { /* else what their children leave to this process would count as lost
                              */
        tcase_add_test(tcase, test_wrong_memory_is_healed);
        tcase_add_test(tcase, test_memory_of_another_file);
    }
    tcase_add_test(tcase, test_order_of_places);
    tcase_add_test(tcase, test_wheels);
    tcase_add_test(tcase, test_headers_of_the_toolkit);
    tcase_add_test(tcase, test_named_file_is_missing);
    tcase_add_test(tcase, test_wrong_library);
    tcase_add_test(tcase, test_builtins_cut_short);
    tcase_add_test(tcase, test_no_builtins);
    tcase_add_test(tcase, test_identity_of_files);
    tcase_add_test(tcase, test_no_device);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
