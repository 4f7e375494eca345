/* SPDX-License-Identifier: Apache-2.0 */
#include "run/pool.h"

#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <unistd.h>

#include "os/fork.h"

#define THREADS_MAX 8
#define CROWD 256

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards all below */
static pthread_cond_t done = PTHREAD_COND_INITIALIZER;   /* some task is */
static struct pool_task *first, **end = &first;          /* those that wait */
static unsigned waiting;                                 /* how many those are */
static unsigned threads;
static bool is_forked; /* in a child of a process that had tasks: they are its parent's */

static pthread_once_t guarded = PTHREAD_ONCE_INIT;

static void hold(void *context) {
    (void)context;
    pthread_mutex_lock(&lock);
}

static void let_go(void *context, bool in_child) {
    (void)context;
    if (in_child) {
        is_forked = is_forked || threads > 0;
        first = NULL;
        end = &first;
        waiting = threads = 0;
    }
    pthread_mutex_unlock(&lock);
}

static void guard_pool(void) {
    static struct fork_guard guard = {hold, let_go, NULL, FORK_LEVEL_POOL, NULL};

    fork_guard_add(&guard);
}

static struct pool_task *take_first(void) {
    struct pool_task *task = first;

    if (!task)
        return NULL;
    first = task->next;
    if (!first)
        end = &first;
    waiting--;
    return task;
}

/* The lock is held, and is given up meanwhile: the group is the task's no longer than it runs. */
static void run(struct pool_task *task) {
    struct pool_group *group = task->group;

    pthread_mutex_unlock(&lock);
    task->run(task);
    pthread_mutex_lock(&lock);
    group->pending--;
    pthread_cond_broadcast(&done);
}

static void *work(void *unused) {
    struct pool_task *task;

    (void)unused;
    pthread_mutex_lock(&lock);
    while ((task = take_first()))
        run(task);
    threads--;
    pthread_mutex_unlock(&lock);
    return NULL;
}

static unsigned most_threads(void) {
    const long processors = sysconf(_SC_NPROCESSORS_ONLN);

    if (processors < 1)
        return 1;
    return processors < THREADS_MAX ? (unsigned)processors : THREADS_MAX;
}

/* One that no signal of the program's is delivered to, but those of its own faults. */
static bool start_thread(void) {
    static const int FAULTS[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT};
    pthread_attr_t attributes;
    sigset_t all, before;
    pthread_t thread;
    int problem;

    sigfillset(&all);
    for (size_t i = 0; i < sizeof(FAULTS) / sizeof(*FAULTS); i++)
        sigdelset(&all, FAULTS[i]);
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    problem = pthread_create(&thread, &attributes, work, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    return problem == 0;
}

/* Behind the last urgent one, or behind all. */
static void put_in_line(struct pool_task *task) {
    struct pool_task **at = task->is_urgent ? &first : end;

    while (*at && (*at)->is_urgent)
        at = &(*at)->next;
    task->next = *at;
    *at = task;
    if (!task->next)
        end = &task->next;
    waiting++;
}

void pool_submit(struct pool_task *task) {
    pthread_once(&guarded, guard_pool);
    pthread_mutex_lock(&lock);
    task->group->pending++;
    put_in_line(task);
    if (threads < most_threads() && start_thread())
        threads++;
    else if (threads == 0) /* no thread at all: then this one does it, and nothing else waits */
        run(take_first());
    pthread_mutex_unlock(&lock);
}

bool pool_is_crowded(void) {
    bool is_crowded;

    pthread_mutex_lock(&lock);
    is_crowded = waiting >= CROWD;
    pthread_mutex_unlock(&lock);
    return is_crowded;
}

/* Takes the tasks of an owner out of those that wait. */
static struct pool_task *take_all_of(const void *owner) {
    struct pool_task *taken = NULL, *task;

    for (struct pool_task **at = &first; (task = *at);) {
        if (task->owner != owner) {
            at = &task->next;
            continue;
        }
        *at = task->next;
        if (!*at)
            end = at;
        waiting--;
        task->group->pending--;
        task->next = taken;
        taken = task;
    }
    return taken;
}

void pool_give_up(const void *owner) {
    struct pool_task *task, *next;

    pthread_mutex_lock(&lock);
    task = take_all_of(owner);
    pthread_cond_broadcast(&done);
    pthread_mutex_unlock(&lock);
    for (; task; task = next) {
        next = task->next;
        task->give_up(task);
    }
}

void pool_wait(struct pool_group *group) {
    pthread_mutex_lock(&lock);
    while (group->pending > 0 && !is_forked)
        pthread_cond_wait(&done, &lock);
    pthread_mutex_unlock(&lock);
}
