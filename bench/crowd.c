/* SPDX-License-Identifier: Apache-2.0 */
/* Hits and puts of several processes at once, beside as many that do the least that could do it. */
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "scratch.h"
#include "store.h"

#define SIZE 4096

struct crowd {
    unsigned processes, operations; /* of each */
    const struct work *work;
};

static int run_crowd(void *context) {
    const struct crowd *crowd = context;
    pid_t children[8];
    int result = 0;

    for (unsigned i = 0; i < crowd->processes; i++) {
        children[i] = fork();
        if (children[i] == 0) {
            for (unsigned j = 0; j < crowd->operations; j++) {
                if (crowd->work->once(crowd->work->context) < 0)
                    _exit(1);
            }
            _exit(0);
        }
    }
    for (unsigned i = 0; i < crowd->processes; i++) {
        int status;

        if (children[i] < 0 || waitpid(children[i], &status, 0) != children[i] || status != 0)
            result = -1;
    }
    return result;
}

static void measure(struct bench *bench, struct row *row, const char *kind, unsigned processes,
                    unsigned operations, const char *folder) {
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct floor floor = {.free = NULL};
    struct crowd crowds[2];
    struct store store;
    struct work get = {"cubby_cache_get", store_get, &store};

    if (store_open(&store, kind, "", folder, SIZE, &error) < 0 ||
        floor_open(&floor, kind, folder, store_entry_size(&store)) < 0) {
        bench_fail(bench, row, "a store could not be made: %.100s", error.message);
    } else {
        crowds[0] = (struct crowd){processes, operations, &floor.get};
        crowds[1] = (struct crowd){processes, operations, &get};
        row->floor = (struct work){floor.get.name, run_crowd, &crowds[0]};
        row->subject = (struct work){get.name, run_crowd, &crowds[1]};
        row->is_long = true;
        bench_measure(bench, row);
    }
    floor_close(&floor);
    store_close(&store);
    cubby_error_clear(&error);
}

void crowd_rows(struct bench *bench) {
    static const unsigned PROCESSES[] = {1, 2, 4, 8};
    unsigned operations = bench->plan.runs < 30 ? 200 : 4000;

    for (size_t i = 0; i < sizeof(PROCESSES) / sizeof(*PROCESSES); i++) {
        const char *folder;
        char name[32];
        struct row row;

        snprintf(name, sizeof(name), "crowd/file/%u", PROCESSES[i]);
        if (!bench_begin(bench, &row, name, 0))
            continue;
        folder = scratch_folder(bench->scratch);
        if (folder)
            measure(bench, &row, "file", PROCESSES[i], operations, folder);
        else
            bench_fail(bench, &row, "no folder could be made in %s", bench->scratch);
    }
}
