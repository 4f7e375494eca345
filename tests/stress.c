/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stress with a checker: see stress.h. Every store and form in turn, each for a part of the time;
 * meanwhile processes are killed and replaced, stopped and let go on, and in a store with a cap all
 * of them are stopped again and again to add up what it holds.
 *
 * CUBBY_TEST_STRESS=SECONDS (default 10, all together) and CUBBY_TEST_SEED say how long and with
 * which random numbers; --help has the rest. The seed fixes what each worker does, not how they
 * meet.
 */
#include "stress.h"

#include <argp.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/scratch.h"
#include "os/time.h"

#define MS UINT64_C(1000000)
#define CAP (2u << 20)
#define BATCH (CAP / 10)
#define TICK_MS 5
#define HANG_SECONDS 120

static const struct stress_case CASES[] = {
    {"file", "file:@/store", 0, 1024},
    {"file, capped", "file:@/store?max_size=#", CAP, STRESS_KEYS},
#ifdef HAVE_ZSTD
    {"file, compressed and signed", "file:@/store?compress=zstd&secret_file=@/secret", 0, 1024},
#endif
    {"memory and file, capped", "memory?max_size=1M,file:@/store?max_size=#", CAP, STRESS_KEYS},
#ifdef HAVE_SQLITE
    {"sqlite", "sqlite:@/store.db", 0, 1024},
    {"sqlite, capped", "sqlite:@/store.db?max_size=#", CAP, STRESS_KEYS},
    {"memory, file and sqlite", "memory?max_size=1M,file:@/store,sqlite:@/store.db", 0, 1024},
#ifdef HAVE_ZSTD
    {"sqlite, compressed and signed, capped",
     "sqlite:@/store.db?max_size=#&compress=zstd&secret_file=@/secret", CAP, STRESS_KEYS},
#endif
#endif
};
#define CASE_COUNT (sizeof(CASES) / sizeof(*CASES))

struct settings {
    double seconds;
    uint64_t seed;
    unsigned processes, threads;
    const char *filter;
};

/* ---- Command line ------------------------------------------------------------------------ */

enum { OPTION_SECONDS = 256, OPTION_SEED, OPTION_PROCESSES, OPTION_THREADS, OPTION_FILTER };

static const struct argp_option OPTIONS[] = {
    {"seconds", OPTION_SECONDS, "N", 0,
     "For all stores together (default: CUBBY_TEST_STRESS or 10)", 0},
    {"seed", OPTION_SEED, "N", 0, "Of the random numbers (default: CUBBY_TEST_SEED or 1)", 0},
    {"processes", OPTION_PROCESSES, "N", 0, "At work at once (default: 8)", 0},
    {"threads", OPTION_THREADS, "N", 0, "Of each process (default: 2)", 0},
    {"filter", OPTION_FILTER, "TEXT", 0, "Only stores in whose name TEXT occurs", 0},
    {0},
};

static uint64_t parse_number(struct argp_state *state, const char *text, uint64_t max) {
    char *end;
    unsigned long long number;

    errno = 0;
    number = strtoull(text, &end, 10);
    if (errno != 0 || end == text || *end || *text == '-' || number > max)
        argp_error(state, "%s: expected a number up to %" PRIu64, text, max);
    return number;
}

static error_t parse(int key, char *argument, struct argp_state *state) {
    struct settings *settings = state->input;

    switch (key) {
    case OPTION_SECONDS:
        settings->seconds = (double)parse_number(state, argument, 1000000);
        return 0;
    case OPTION_SEED:
        settings->seed = parse_number(state, argument, UINT64_MAX);
        return 0;
    case OPTION_PROCESSES:
        settings->processes = (unsigned)parse_number(state, argument, STRESS_PROCESSES);
        return 0;
    case OPTION_THREADS:
        settings->threads = (unsigned)parse_number(state, argument, STRESS_THREADS);
        return 0;
    case OPTION_FILTER:
        settings->filter = argument;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp ARGP = {OPTIONS,
                                 parse,
                                 NULL,
                                 "Many processes at work on one store, all of what they see "
                                 "checked.",
                                 NULL,
                                 NULL,
                                 NULL};

/* ---- Specs ------------------------------------------------------------------------------- */

static void make_spec(const struct stress_case *test, const char *folder, char *spec, size_t size) {
    FILE *text = fmemopen(spec, size, "w");

    if (!text)
        abort();
    for (const char *at = test->spec; *at; at++) {
        if (*at == '@')
            fputs(folder, text);
        else if (*at == '#')
            fprintf(text, "%" PRIu64, test->cap);
        else
            fputc(*at, text);
    }
    fclose(text);
}

static void write_secret(const char *folder) {
    char path[512];
    FILE *file;

    snprintf(path, sizeof(path), "%s/secret", folder);
    file = fopen(path, "w");
    if (!file || fchmod(fileno(file), 0600) < 0 || fputs("a secret for the stress\n", file) < 0 ||
        fclose(file) != 0)
        abort();
}

/* ---- Those who sum up -------------------------------------------------------------------- */

/* A process that says how much a store holds whenever it is asked. */
struct summer {
    pid_t process;
    int ask, answer; /* pipes */
};

/* The fullest tier that has the cap. */
static uint64_t total_of(struct cubby_cache *cache, uint64_t cap) {
    uint64_t total = 0;

    for (size_t tier = 0; tier < cubby_cache_tier_count(cache); tier++) {
        struct cubby_store_stats stats;

        if (cubby_cache_tier_stats(cache, tier, &stats, NULL) == 0 && stats.max_size == cap &&
            stats.bytes > total)
            total = stats.bytes;
    }
    return total;
}

static void answer_for(const struct stress_job *job, int ask, int answer) {
    struct cubby_cache *cache;
    char byte;

    if (cubby_cache_open(job->spec, &cache, NULL) < 0)
        return;
    (void)!write(answer, "", 1);
    while (read(ask, &byte, 1) == 1) {
        uint64_t total = total_of(cache, job->test->cap);

        if (write(answer, &total, sizeof(total)) != (ssize_t)sizeof(total))
            break;
    }
    cubby_cache_unref(cache);
}

/* It has the store open when this returns: opening waits for those who make it, who may be stopped.
 */
static void summer_start(struct summer *summer, const struct stress_job *job) {
    int ask[2], answer[2];
    char ready;

    if (pipe(ask) < 0 || pipe(answer) < 0)
        abort();
    summer->process = fork();
    if (summer->process == 0) {
        close(ask[1]);
        close(answer[0]);
        answer_for(job, ask[0], answer[1]);
        _exit(0);
    }
    close(ask[0]);
    close(answer[1]);
    summer->ask = ask[1];
    summer->answer = answer[0];
    if (read(answer[0], &ready, 1) != 1)
        stress_tell(job, STRESS_PROBLEM, "the store could not be opened to sum it up");
}

/* Returns false where there is no answer within ten seconds. */
static bool summer_ask(const struct summer *summer, uint64_t *ret_total) {
    struct pollfd answer = {.fd = summer->answer, .events = POLLIN};

    return write(summer->ask, "?", 1) == 1 && poll(&answer, 1, 10000) == 1 &&
           read(summer->answer, ret_total, sizeof(*ret_total)) == (ssize_t)sizeof(*ret_total);
}

static void summer_end(const struct summer *summer) {
    close(summer->ask);
    close(summer->answer);
    waitpid(summer->process, NULL, 0);
}

/* ---- Workers ----------------------------------------------------------------------------- */

struct run {
    struct stress_job job;
    struct summer summer;
    pid_t workers[STRESS_PROCESSES];
    uint64_t state; /* of the random numbers */
    uint64_t peak;  /* the largest total that was seen */
};

static void start_worker(struct run *run, unsigned slot) {
    run->job.slot = slot;
    run->job.seed = stress_random(&run->state);
    run->workers[slot] = fork();
    if (run->workers[slot] == 0)
        _exit(stress_work(&run->job));
    if (run->workers[slot] < 0)
        abort();
}

static void count(struct run *run, enum stress_event event) {
    atomic_fetch_add(&run->job.board->events[event], 1);
}

static void kill_one(struct run *run) {
    unsigned slot = (unsigned)(stress_random(&run->state) % run->job.processes);
    int status = 0;

    kill(run->workers[slot], SIGKILL);
    waitpid(run->workers[slot], &status, 0);
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
        stress_tell(&run->job, STRESS_PROBLEM, "a worker had ended with status %#x",
                    (unsigned)status);
    count(run, STRESS_KILL);
    start_worker(run, slot);
}

static void stop(const struct run *run, unsigned slot) {
    kill(run->workers[slot], SIGSTOP);
    waitpid(run->workers[slot], NULL, WUNTRACED);
}

/* One is slow: whatever lock it holds, the others go on. */
static void stop_one(struct run *run) {
    unsigned slot = (unsigned)(stress_random(&run->state) % run->job.processes);

    stop(run, slot);
    usleep(50000 + (useconds_t)(stress_random(&run->state) % 150000));
    kill(run->workers[slot], SIGCONT);
    count(run, STRESS_STOP);
}

static void take_sample(struct run *run) {
    uint64_t total = 0;
    bool answered;

    for (unsigned slot = 0; slot < run->job.processes; slot++)
        stop(run, slot);
    answered = summer_ask(&run->summer, &total);
    for (unsigned slot = 0; slot < run->job.processes; slot++)
        kill(run->workers[slot], SIGCONT);
    if (!answered)
        stress_tell(&run->job, STRESS_PROBLEM, "the total was not told while all were stopped");
    if (total > run->peak)
        run->peak = total;
    if (total > CAP + BATCH)
        stress_tell(&run->job, STRESS_PROBLEM,
                    "%" PRIu64 " bytes are more than the cap and a batch, %u", total, CAP + BATCH);
    count(run, STRESS_SAMPLE);
}

static void await_end(struct run *run) {
    uint64_t deadline = monotonic_ns() + HANG_SECONDS * 1000 * MS;

    atomic_store(&run->job.board->end, true);
    for (unsigned slot = 0; slot < run->job.processes; slot++) {
        int status = 0;

        while (waitpid(run->workers[slot], &status, WNOHANG) == 0 && monotonic_ns() < deadline)
            usleep(2000);
        if (monotonic_ns() >= deadline) {
            kill(run->workers[slot], SIGKILL);
            waitpid(run->workers[slot], &status, 0);
            stress_tell(&run->job, STRESS_PROBLEM, "process %u hung", slot);
        } else if (status != 0) {
            stress_tell(&run->job, STRESS_PROBLEM, "process %u ended with status %#x", slot,
                        (unsigned)status);
        }
    }
}

static void check_all(struct run *run) {
    pid_t child = fork();
    int status = -1;

    if (child == 0)
        _exit(stress_check_all(&run->job));
    if (child < 0 || waitpid(child, &status, 0) != child || status != 0)
        stress_tell(&run->job, STRESS_PROBLEM, "the last look ended with status %#x",
                    (unsigned)status);
}

static void work(struct run *run, uint64_t end) {
    const bool capped = run->job.test->cap > 0;

    if (capped)
        summer_start(&run->summer, &run->job);
    for (unsigned slot = 0; slot < run->job.processes; slot++)
        start_worker(run, slot);
    while (monotonic_ns() < end) {
        unsigned dice = (unsigned)(stress_random(&run->state) % 100);

        usleep(TICK_MS * 1000);
        if (dice < 5)
            kill_one(run);
        else if (dice < 6)
            stop_one(run);
        else if (dice < 16 && capped)
            take_sample(run);
    }
    await_end(run);
    if (capped)
        summer_end(&run->summer);
    check_all(run);
}

/* ---- Results ----------------------------------------------------------------------------- */

static uint64_t events_of(const struct stress_board *board, enum stress_event event) {
    return atomic_load(&board->events[event]);
}

static uint64_t operations_of(const struct stress_board *board) {
    uint64_t sum = 0;

    for (unsigned event = 0; event < STRESS_OPERATIONS; event++)
        sum += events_of(board, (enum stress_event)event);
    return sum;
}

static void show(const struct run *run) {
    const struct stress_board *board = run->job.board;

    printf("%-38s %8" PRIu64 " operations (%" PRIu64 " puts, %" PRIu64 " hits, %" PRIu64
           " made, %" PRIu64 " removed, %" PRIu64 " verify), %" PRIu64 " kills, %" PRIu64
           " stops, ",
           run->job.test->name, operations_of(board), events_of(board, STRESS_PUT),
           events_of(board, STRESS_HIT), events_of(board, STRESS_MAKE),
           events_of(board, STRESS_REMOVE), events_of(board, STRESS_VERIFY),
           events_of(board, STRESS_KILL), events_of(board, STRESS_STOP));
    if (run->job.test->cap > 0)
        printf("at most %.3f of the cap in %" PRIu64 " samples, ", (double)run->peak / CAP,
               events_of(board, STRESS_SAMPLE));
    printf("%" PRIu64 " wrong, %" PRIu64 " lost, %" PRIu64 " problems\n",
           events_of(board, STRESS_WRONG), events_of(board, STRESS_LOST),
           events_of(board, STRESS_PROBLEM));
    fflush(stdout);
}

static void run_case(const struct settings *settings, const struct stress_case *test,
                     double seconds, const char *scratch, struct cubby_key *keys,
                     struct stress_board *board) {
    const char *folder = scratch_folder(scratch);
    char spec[1024];
    struct run run = {.job = {.test = test,
                              .spec = spec,
                              .board = board,
                              .keys = keys,
                              .processes = settings->processes,
                              .threads = settings->threads},
                      .state = settings->seed};

    if (!folder)
        abort();
    memset((void *)board, 0, sizeof(*board));
    write_secret(folder);
    make_spec(test, folder, spec, sizeof(spec));
    work(&run, monotonic_ns() + (uint64_t)(seconds * 1e9));
    show(&run);
    scratch_remove(folder);
}

static void make_keys(struct cubby_key *keys) {
    struct cubby_key_builder *builder = cubby_key_builder_new("stress");

    for (unsigned number = 0; builder && number < STRESS_KEYS; number++) {
        cubby_key_builder_add(builder, "number", &number, sizeof(number));
        cubby_key_builder_finish(builder, &keys[number]);
    }
    if (!builder)
        abort();
    cubby_key_builder_free(builder);
}

static bool is_wanted(const struct settings *settings, const struct stress_case *test) {
    return !settings->filter || strstr(test->name, settings->filter);
}

int main(int argc, char **argv) {
    static struct cubby_key keys[STRESS_KEYS];
    const char *seconds = getenv("CUBBY_TEST_STRESS"), *seed = getenv("CUBBY_TEST_SEED");
    struct settings settings = {.seconds = seconds ? strtod(seconds, NULL) : 10,
                                .seed = seed ? strtoull(seed, NULL, 10) : 1,
                                .processes = 8,
                                .threads = 2};
    struct stress_board *board =
        mmap(NULL, sizeof(*board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    uint64_t operations = 0, kills = 0, bad = 0;
    unsigned wanted = 0;
    const char *scratch;

    argp_parse(&ARGP, argc, argv, 0, NULL, &settings);
    scratch = scratch_new();
    if (!scratch || board == MAP_FAILED || settings.processes == 0 || settings.threads == 0) {
        fprintf(stderr, "stress: no folder or no memory for it: %s\n", strerror(errno));
        return EXIT_FAILURE;
    }
    signal(SIGPIPE, SIG_IGN);
    make_keys(keys);
    for (size_t i = 0; i < CASE_COUNT; i++)
        wanted += is_wanted(&settings, &CASES[i]);
    for (size_t i = 0; i < CASE_COUNT; i++) {
        if (!is_wanted(&settings, &CASES[i]))
            continue;
        run_case(&settings, &CASES[i], settings.seconds / wanted, scratch, keys, board);
        operations += operations_of(board);
        kills += events_of(board, STRESS_KILL);
        bad += events_of(board, STRESS_WRONG) + events_of(board, STRESS_LOST) +
               events_of(board, STRESS_PROBLEM);
    }
    printf("stress: %" PRIu64 " operations, %" PRIu64 " kills, %" PRIu64
           " wrong, lost or otherwise bad (seed %" PRIu64 ", %u processes of %u threads)\n",
           operations, kills, bad, settings.seed, settings.processes, settings.threads);
    return bad == 0 && operations > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
