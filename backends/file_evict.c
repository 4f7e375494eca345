/* SPDX-License-Identifier: Apache-2.0 */
/* Keeping a file store within its cap. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "backends/file.h"
#include "backends/file_account.h"
#include "os/fd.h"
#include "os/process.h"
#include "os/time.h"
#include "util/error.h"

#define LOCK_NAME "evict.lock"
#define STALE_SECONDS 3600

/* The total is told in steps, so that a burst of puts seldom takes the lock on the counters; and
 * soon, as a process that is killed, or ends without closing, tells no more. */
#define TELL_BYTES (4 << 20)
#define TELL_PART 1024 /* of the cap */
#define TELL_NS 100000000u

/* Where the total could not be told, as the lock is kept from us, it is not tried again for so
 * long. */
#define QUIET_NS UINT64_C(2000000000)

/* An eviction is waited for so long. After that its process was stopped, and another does the work.
 */
#define TURN_MS 10000

/* What killed processes did not tell adds up: so often the entries themselves are summed. */
#define WALK_SECONDS 86400

/* ---- Temporaries ------------------------------------------------------------------------- */

size_t file_sweep(const struct file_backend *file, bool remove) {
    DIR *stream = file_open_stream(file->tmp, ".");
    int64_t now = wall_seconds();
    struct dirent *found;
    size_t count = 0;

    while (stream && (found = readdir(stream))) {
        struct stat status;

        if (strcmp(found->d_name, LOCK_NAME) == 0 ||
            fstatat(dirfd(stream), found->d_name, &status, AT_SYMLINK_NOFOLLOW) < 0 ||
            !S_ISREG(status.st_mode) || status.st_mtime + STALE_SECONDS >= now)
            continue;
        count++;
        if (remove)
            unlinkat(dirfd(stream), found->d_name, 0);
    }
    if (stream)
        closedir(stream);
    return count;
}

/* ---- Choosing and removing --------------------------------------------------------------- */

struct census {
    struct file_entry *entries;
    size_t count, capacity;
    uint64_t bytes;
    struct cubby_trimmed trimmed;
};

static int add_entry(int folder, const char *name, const struct file_entry *entry, void *context) {
    struct census *census = context;

    if ((uint64_t)entry->status.st_size > CUBBY_ENTRY_MAX_SIZE) {
        unlinkat(folder, name, 0); /* no entry: those that are would have to make room for it */
        return 0;
    }
    if (census->count == census->capacity) {
        size_t capacity = census->capacity ? 2 * census->capacity : 256;
        struct file_entry *grown = realloc(census->entries, capacity * sizeof(*grown));

        if (!grown)
            return CUBBY_ERR_NO_MEMORY;
        census->entries = grown;
        census->capacity = capacity;
    }
    census->entries[census->count++] = *entry;
    census->bytes += (uint64_t)entry->status.st_size;
    return 0;
}

static int compare_use(const void *left, const void *right) {
    const struct timespec *a = &((const struct file_entry *)left)->status.st_mtim;
    const struct timespec *b = &((const struct file_entry *)right)->status.st_mtim;

    if (a->tv_sec != b->tv_sec)
        return a->tv_sec < b->tv_sec ? -1 : 1;
    return (a->tv_nsec > b->tv_nsec) - (a->tv_nsec < b->tv_nsec);
}

/* Removes one entry; one that vanished under us is gone all the same. */
static bool remove_entry(struct file_backend *file, const struct file_entry *entry) {
    char path[FILE_PATH_SIZE];

    file_entry_path(&entry->key, path);
    return file_entry_unlink(file->kinds[entry->kind], path) == 0 || errno == ENOENT;
}

static void remove_oldest(struct file_backend *file, struct census *census,
                          const struct cubby_trim_limits *limits, const struct cubby_key *keep) {
    if (census->count > 0)
        qsort(census->entries, census->count, sizeof(*census->entries), compare_use);
    for (size_t i = 0; i < census->count; i++) {
        const struct file_entry *entry = &census->entries[i];
        bool too_old = limits->used_before && entry->status.st_mtime < limits->used_before;
        bool too_much = limits->max_size && census->bytes > limits->max_size;

        if (!too_old && !too_much)
            return;
        if ((keep && memcmp(keep, &entry->key, sizeof(*keep)) == 0) || !remove_entry(file, entry))
            continue;
        census->bytes -= (uint64_t)entry->status.st_size;
        census->trimmed.bytes += (uint64_t)entry->status.st_size;
        census->trimmed.entries++;
        atomic_fetch_add_explicit(&file->evictions, 1, memory_order_relaxed);
    }
}

/* ---- The shared total -------------------------------------------------------------------- */

/* What a walk found. */
struct finding {
    struct account account;
    uint64_t bytes_before; /* the total when the walk began */
};

static void set_total(struct account *account, const void *context) {
    const struct finding *finding = context;
    uint64_t before = finding->bytes_before;

    /* What others told meanwhile may be among what was found: better too much than too little. */
    account->bytes =
        finding->account.bytes + (account->bytes > before ? account->bytes - before : 0);
    account->counters.evictions += finding->account.counters.evictions;
    account->walked_at = wall_seconds();
}

/* Only a part was looked at, and so much was removed from it. */
static void lower_total(struct account *account, const void *context) {
    const struct finding *finding = context;
    uint64_t removed = finding->account.bytes;

    account->bytes -= removed < account->bytes ? removed : account->bytes;
    account->counters.evictions += finding->account.counters.evictions;
}

static void add_total(struct account *account, const void *context) {
    account->bytes += *(const uint64_t *)context;
}

void file_own_pending(struct file_backend *file) {
    pid_t owner = atomic_load(&file->owner), me = process_id();

    if (owner == me || !atomic_compare_exchange_strong(&file->owner, &owner, me))
        return;
    atomic_store(&file->pending_bytes, 0);
    atomic_store(&file->evictions, 0);
    atomic_store(&file->told_at, 0);
}

/* The lock on the counters is kept from us, and was waited for in vain not long ago. */
static bool is_quiet(const struct file_backend *file) {
    return monotonic_ns() < atomic_load(&file->quiet_until);
}

static void tell_finding(struct file_backend *file, struct finding *finding,
                         void (*change)(struct account *account, const void *context)) {
    uint64_t evictions = atomic_exchange(&file->evictions, 0);

    finding->account.counters.evictions = evictions;
    if (account_change(file->root, change, finding, NULL) < 0)
        atomic_fetch_add(&file->evictions, evictions);
}

/* Its lock held: finds all, removes what is too much, and sets the total right. */
static int evict_from_all(struct file_backend *file, const struct cubby_trim_limits *limits,
                          const struct cubby_key *keep, const struct account *before,
                          struct census *census, struct cubby_error *error) {
    struct finding finding = {.bytes_before = before->bytes};
    int result;

    atomic_store(&file->pending_bytes, 0); /* the walk finds these */
    result = file_walk(file, add_entry, census, error);
    if (result == CUBBY_ERR_NO_MEMORY)
        return error_no_memory(error);
    if (result < 0)
        return result;
    remove_oldest(file, census, limits, keep);
    finding.account.bytes = census->bytes;
    if (!is_quiet(file))
        tell_finding(file, &finding, set_total);
    return 0;
}

/* True if a part of the store was cut enough for now. Not where the parts have more than the total
 * says, as after many processes were killed: then all are looked at, and it is set right. */
static bool is_enough(const struct file_backend *file, const struct account *before,
                      uint64_t removed, uint64_t seen, unsigned walked) {
    uint64_t whole = seen / walked * FILE_PARTS;

    return whole <= before->bytes + before->bytes / 16 &&
           before->bytes <= removed + file->max_size - file->max_size / 512;
}

/*
 * After a put, its lock held. To look at all entries of a large store takes seconds, for which one
 * put would have to wait; so as many parts of it as have a good sample are cut to their share, the
 * oldest entries of them first, and further parts until there is some room. Keys are digests, so
 * that parts are alike. A store that is no larger than a sample is looked at whole.
 */
static int evict_from_parts(struct file_backend *file, const struct cubby_trim_limits *limits,
                            const struct cubby_key *keep, const struct account *before,
                            struct census *census, struct cubby_error *error) {
    unsigned first = (unsigned)(monotonic_ns() / 1000 % FILE_PARTS), walked = 0;
    struct finding finding = {.bytes_before = before->bytes};
    uint64_t seen = 0, left = 0;
    bool enough = false;

    while (walked < FILE_PARTS && !enough) {
        struct cubby_trim_limits share = {0};
        unsigned begin = walked;

        census->count = 0;
        census->bytes = 0;
        for (; walked < FILE_PARTS && census->count < file->sample; walked++) {
            int result = file_walk_part(file, first + walked, add_entry, census, error);

            if (result < 0)
                return result;
        }
        share.max_size = limits->max_size / FILE_PARTS * (walked - begin) +
                         limits->max_size % FILE_PARTS * (walked - begin) / FILE_PARTS;
        seen += census->bytes;
        remove_oldest(file, census, &share, keep);
        left += census->bytes;
        enough = is_enough(file, before, census->trimmed.bytes, seen, walked);
    }
    finding.account.bytes = walked == FILE_PARTS ? left : census->trimmed.bytes;
    tell_finding(file, &finding, walked == FILE_PARTS ? set_total : lower_total);
    return 0;
}

/* True if the total was summed up so long ago that it is not to be relied on, or never. */
static bool is_overdue(const struct account *account) {
    int64_t age = wall_seconds() - account->walked_at;

    return age > WALK_SECONDS || age < -WALK_SECONDS;
}

static bool needs_walk(const struct file_backend *file, const struct account *account) {
    return account->bytes > file->max_size || is_overdue(account);
}

/* Another process may have made the room that was waited for. */
static bool has_room(const struct file_backend *file) {
    struct account account;

    return account_read(file->root, &account) && !needs_walk(file, &account);
}

/* Opens the file that those lock who walk to remove entries, one at a time. */
static int open_turn(const struct file_backend *file) {
    return fd_open_mode(file->tmp, LOCK_NAME, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW,
                        file_mode(file));
}

int file_turn_begin(const struct file_backend *file) {
    int lock = open_turn(file);

    if (lock >= 0)
        (void)!fd_flock_within(lock, LOCK_EX, TURN_MS);
    return lock;
}

void file_turn_end(int lock) {
    if (lock < 0)
        return;
    flock(lock, LOCK_UN); /* a child forked meanwhile holds the descriptor open, but not the lock */
    close(lock);
}

/* Who evicts while another does. */
enum urgency {
    POLITE,   /* leaves the work to that one */
    PRESSING, /* waits for its end, and then does what is still to be done */
    ORDERED,  /* waits for its end, and then does as told */
};

/* Its lock held, or waited for in vain. */
static int evict_locked(struct file_backend *file, const struct cubby_trim_limits *limits,
                        const struct cubby_key *keep, enum urgency urgency,
                        struct cubby_trimmed *ret_trimmed, struct cubby_error *error) {
    struct census census = {0};
    struct account before = {0};
    int result;

    if (!is_quiet(file))
        account_read(file->root, &before);
    file_sweep(file, true);
    if (urgency == ORDERED || is_overdue(&before))
        result = evict_from_all(file, limits, keep, &before, &census, error);
    else
        result = evict_from_parts(file, limits, keep, &before, &census, error);
    if (result == 0 && ret_trimmed)
        *ret_trimmed = census.trimmed;
    free(census.entries);
    return result;
}

/* Holding the lock on evictions, one at a time: two at once would do twice the work. Where its
 * holder was stopped, that is the lesser evil: the entries that both choose go once. */
static int evict(struct file_backend *file, const struct cubby_trim_limits *limits,
                 const struct cubby_key *keep, enum urgency urgency,
                 struct cubby_trimmed *ret_trimmed, struct cubby_error *error) {
    int lock = open_turn(file);
    int result;

    if (lock < 0)
        return error_set_errno(error, errno, "cannot lock the store %s", file->path);
    result = fd_flock_within(lock, LOCK_EX, urgency == POLITE ? 0 : TURN_MS);
    if (result < 0 && errno != EAGAIN)
        result = error_set_errno(error, errno, "cannot lock the store %s", file->path);
    else if ((result < 0 && urgency == POLITE) || (urgency == PRESSING && has_room(file)))
        result = 0;
    else {
        file_own_pending(file);
        result = evict_locked(file, limits, keep, urgency, ret_trimmed, error);
    }
    file_turn_end(lock);
    return result;
}

int file_evict(struct file_backend *file, const struct cubby_trim_limits *limits,
               struct cubby_trimmed *ret_trimmed, struct cubby_error *error) {
    return evict(file, limits, NULL, ORDERED, ret_trimmed, error);
}

/* ---- After a put ------------------------------------------------------------------------- */

/* What one eviction removes. */
static uint64_t batch_of(const struct file_backend *file) {
    return file->max_size / 10;
}

/* Evicts where the cap is passed. While another process does, those that put go on up to half a
 * batch beyond the cap, and then wait: it may be slower than all of them together. */
static void make_room(struct file_backend *file, const struct account *account,
                      const struct cubby_key *key) {
    struct cubby_trim_limits limits = {.max_size = file->max_size - batch_of(file)};
    bool pressing = account->bytes > file->max_size + batch_of(file) / 2;

    if (file->max_size > 0 && needs_walk(file, account))
        evict(file, &limits, key, pressing ? PRESSING : POLITE, NULL, NULL);
}

/* Adds what is pending to the shared total. Returns false where that cannot be done now. */
static bool tell(struct file_backend *file, struct account *ret_account) {
    uint64_t pending;

    if (is_quiet(file))
        return false;
    pending = atomic_exchange(&file->pending_bytes, 0);
    if (account_change(file->root, add_total, &pending, ret_account) == 0)
        return true;
    atomic_fetch_add(&file->pending_bytes, pending); /* for a later put to tell */
    atomic_store(&file->quiet_until, monotonic_ns() + QUIET_NS);
    return false;
}

void file_note_stored(struct file_backend *file, size_t size, const struct cubby_key *key) {
    uint64_t step = file->max_size / TELL_PART, now = monotonic_ns(), pending;
    struct account account = {0};

    if (file->max_size == 0 || step > TELL_BYTES)
        step = TELL_BYTES;
    file_own_pending(file);
    pending = atomic_fetch_add(&file->pending_bytes, size) + size;
    if (pending < step && now - atomic_load(&file->told_at) < TELL_NS)
        return;
    atomic_store(&file->told_at, now);
    /* A walk needs no account, which then says nothing and asks for one. A small part of a batch,
     * as others are in the same place. */
    if (tell(file, &account) || pending > batch_of(file) / 16)
        make_room(file, &account, key);
}
