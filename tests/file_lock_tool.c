/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file lock of Cubby's for test-file-lock.py: file_lock_tool PATH answers each line of its input
 * by one line.
 *
 *     try shared|exclusive MS    yes, busy, or the error; negative: waits for ever
 *     release                    yes
 *     count FILE ROUNDS          adds one to the number in FILE so many times, each under the lock;
 *                                yes, or what was wrong
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cubby/cubby.h>

static void say(int result, const struct cubby_error *error) {
    puts(result == 0 ? "yes" : result == CUBBY_ERR_BUSY ? "busy" : error->message);
}

static int add_one(const char *path) {
    FILE *file = fopen(path, "r+");
    long number;
    int result = -1;

    if (!file)
        return -1;
    if (fscanf(file, "%ld", &number) == 1) {
        rewind(file);
        result = fprintf(file, "%ld\n", number + 1) > 0 ? 0 : -1;
    }
    return fclose(file) == 0 ? result : -1;
}

/* FILE.inside tells that someone is between taking and giving up. */
static const char *visit(const char *path) {
    char inside[1024];
    const char *problem = NULL;
    int fd;

    snprintf(inside, sizeof(inside), "%s.inside", path);
    fd = open(inside, O_WRONLY | O_CREAT | O_EXCL, 0600);
    if (fd < 0)
        return "two hold the lock";
    close(fd);
    if (add_one(path) < 0)
        problem = "cannot count";
    unlink(inside);
    return problem;
}

static const char *count(struct cubby_file_lock *lock, const char *path, unsigned rounds,
                         struct cubby_error *error) {
    for (unsigned i = 0; i < rounds; i++) {
        const char *problem;

        if (cubby_file_lock_try(lock, CUBBY_LOCK_EXCLUSIVE, -1, error) < 0)
            return error->message;
        problem = visit(path);
        cubby_file_lock_release(lock);
        if (problem)
            return problem;
        usleep((unsigned)rand() % 4000);
    }
    return "yes";
}

static void answer(struct cubby_file_lock *lock, const char *line) {
    struct cubby_error error = CUBBY_ERROR_INIT;
    char word[512];
    unsigned rounds;
    long ms;

    if (sscanf(line, "try %511s %ld", word, &ms) == 2) {
        enum cubby_lock_mode mode =
            strcmp(word, "shared") == 0 ? CUBBY_LOCK_SHARED : CUBBY_LOCK_EXCLUSIVE;

        say(cubby_file_lock_try(lock, mode, ms * INT64_C(1000000), &error), &error);
    } else if (sscanf(line, "count %511s %u", word, &rounds) == 2) {
        puts(count(lock, word, rounds, &error));
    } else if (strcmp(line, "release\n") == 0) {
        cubby_file_lock_release(lock);
        puts("yes");
    } else {
        puts("what?");
    }
    fflush(stdout);
    cubby_error_clear(&error);
}

int main(int argc, char **argv) {
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_file_lock *lock;
    char line[600];

    if (argc != 2) {
        fprintf(stderr, "usage: file_lock_tool PATH\n");
        return 2;
    }
    if (cubby_file_lock_new(argv[1], &lock, &error) < 0) {
        fprintf(stderr, "%s\n", error.message);
        return 1;
    }
    srand((unsigned)getpid());
    while (fgets(line, sizeof(line), stdin))
        answer(lock, line);
    cubby_file_lock_free(lock);
    return 0;
}
