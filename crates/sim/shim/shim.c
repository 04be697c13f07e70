/* Stands between a program and its disk and clock, by LD_PRELOAD; for tests. Needs glibc on Linux and no rights.
 *
 * SHIM_ROOT     a folder: what happens to files in it is recorded, and faults meet these files only
 * SHIM_LOG      where the record is appended to; without it nothing is recorded
 * SHIM_CONTROL  a text file, "name value" a line, read again at most every millisecond. It is to be replaced as a whole
 *               (written elsewhere and renamed). All values are whole numbers; what is missing is 0:
 *
 *   clock_offset_s   added to CLOCK_REALTIME
 *   fail_syncs       so many syncs of the write-ahead log in all fail with EIO, counted since the process began. As in Linux
 *                    the failure is reported once to each descriptor that was open; what was not synced stays in memory only
 *   fail_db_syncs    the same for the database file
 *   disk_full        1: every write fails with ENOSPC
 *   short_writes     1: every write longer than 512 octets writes a part
 *   stall_syncs      so many syncs in all take stall_ms longer
 *   stall_ms
 *
 * Each fault is logged once on standard error when it occurs first: a line that begins with "shim: ".
 *
 * The record: entries of a head of 40 octets, little-endian, and so many octets of data.
 *
 *   u32 kind   u32 thread   u64 monotonic nanoseconds   u64 file (inode)   u64 offset   u64 octets of data
 *
 * An entry is written with one call under a lock held over its operation, so the order of entries is the order of
 * operations in one process; among processes it is as good as their own locks. Kinds and their data: see `kind` below.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum kind {
    OPENED = 1,      /* path; offset: its size then */
    CREATED = 2,     /* path: a new entry of a folder and a new, empty file */
    WRITTEN = 3,     /* what was written at offset */
    TRUNCATED = 4,   /* offset: the new size */
    SYNC_BEGUN = 5,  /* what was written before */
    SYNC_DONE = 6,   /* ... is on the disk now */
    SYNC_FAILED = 7, /* ... will never be, unless it is written again */
    UNLINKED = 8,    /* path */
    RENAMED = 9,     /* path, 0, path */
    LINKED = 10,     /* path, 0, path */
    FOLDER_SYNCED = 11, /* path */
    MAPPED = 12,     /* shared memory over a file: written without a call */
};

#define FILES_MAX 65536
#define BROKEN_MAX 64

/* Inode of what a descriptor leads to, if that is recorded; 1 for the folder itself. */
static uint64_t inode_of[FILES_MAX];
/* What kind of file it is: 'w' the write-ahead log, 'd' the database, 'o' another. */
static char role_of[FILES_MAX];
/* Failures of its file that were reported to the descriptor. */
static uint32_t reported_of[FILES_MAX];
/* Failures by inode. */
static struct { uint64_t inode; uint32_t failures; } broken[BROKEN_MAX];

static char root[PATH_MAX];
static size_t root_length;
static int log_fd = -1;
static const char *control_path;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static struct {
    long clock_offset_s, fail_syncs, fail_db_syncs, disk_full, short_writes, stall_syncs, stall_ms;
} control;
static long failed_syncs, failed_db_syncs, stalled_syncs;
static uint64_t control_read_ns;

#define REAL(name) ((__typeof__(&name))real(&real_##name, #name))
static void *real(void **known, const char *name) {
    if (!*known) *known = dlsym(RTLD_NEXT, name);
    return *known;
}
#define KNOWN(name) static void *real_##name
KNOWN(close); KNOWN(fsync); KNOWN(fdatasync); KNOWN(write); KNOWN(writev); KNOWN(pwrite); KNOWN(pwritev); KNOWN(ftruncate);
KNOWN(truncate); KNOWN(unlinkat); KNOWN(fallocate); KNOWN(posix_fallocate); KNOWN(sync_file_range); KNOWN(msync);

static uint64_t now_ns(void) {
    struct timespec now;
    syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* ---- the control file ---- */

static void read_control(void) {
    if (!control_path) return;
    /* By a system call: clock_gettime() may be the one of this library. */
    uint64_t now = now_ns();
    uint64_t last = __atomic_load_n(&control_read_ns, __ATOMIC_RELAXED);
    if (now - last < 1000000u || !__atomic_compare_exchange_n(&control_read_ns, &last, now, 0, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
        return;
    char text[1024];
    int before = errno, fd = (int)syscall(SYS_openat, AT_FDCWD, control_path, O_RDONLY | O_CLOEXEC, 0);
    if (fd < 0) { errno = before; return; }
    long length = syscall(SYS_read, fd, text, sizeof text - 1);
    syscall(SYS_close, fd);
    errno = before;
    if (length <= 0) return;
    text[length] = 0;
    const struct { const char *name; long *value; } names[] = {
        {"clock_offset_s", &control.clock_offset_s}, {"fail_syncs", &control.fail_syncs},
        {"fail_db_syncs", &control.fail_db_syncs}, {"disk_full", &control.disk_full},
        {"short_writes", &control.short_writes}, {"stall_syncs", &control.stall_syncs}, {"stall_ms", &control.stall_ms},
    };
    for (size_t at = 0; at < sizeof names / sizeof *names; at++) {
        long value = 0;
        size_t size = strlen(names[at].name);
        for (char *line = text; line; line = strchr(line, '\n')) {
            if (*line == '\n') line++;
            if (!strncmp(line, names[at].name, size) && line[size] == ' ') value = atol(line + size);
        }
        __atomic_store_n(names[at].value, value, __ATOMIC_RELAXED);
    }
}

static long control_value(long *value) {
    read_control();
    return __atomic_load_n(value, __ATOMIC_RELAXED);
}

static void say_once(int *said, const char *what) {
    if (__atomic_exchange_n(said, 1, __ATOMIC_RELAXED)) return;
    int before = errno;
    char line[64];
    int length = snprintf(line, sizeof line, "shim: %s\n", what);
    syscall(SYS_write, 2, line, (size_t)length);
    errno = before;
}
#define SAY_ONCE(what) do { static int said; say_once(&said, what); } while (0)

/* ---- what it records ---- */

static void note(uint32_t kind, uint64_t inode, uint64_t offset, const void *data, size_t octets, const void *more, size_t more_octets) {
    if (log_fd < 0) return;
    struct { uint32_t kind, thread; uint64_t at, inode, offset, octets; } head = {
        kind, (uint32_t)syscall(SYS_gettid), now_ns(), inode, offset, octets + more_octets };
    struct iovec parts[3] = {{&head, sizeof head}, {(void *)data, octets}, {(void *)more, more_octets}};
    int before = errno;
    if (syscall(SYS_writev, log_fd, parts, 3) != (long)(sizeof head + octets + more_octets)) {
        const char why[] = "shim: the record could not be written\n";
        syscall(SYS_write, 2, why, sizeof why - 1);
        _exit(97);
    }
    errno = before;
}

/* The part of a path below the root; NULL when it is elsewhere. `into` has PATH_MAX octets. */
static const char *below(int folder, const char *path, char *into) {
    if (!root_length || !path) return NULL;
    if (*path != '/') {
        char link[64];
        ssize_t length;
        if (folder == AT_FDCWD) strcpy(link, "/proc/self/cwd");
        else snprintf(link, sizeof link, "/proc/self/fd/%d", folder);
        length = readlink(link, into, PATH_MAX - 2);
        if (length < 0 || (size_t)length + strlen(path) + 2 > PATH_MAX) return NULL;
        into[length] = '/';
        strcpy(into + length + 1, path);
    } else {
        if (strlen(path) >= PATH_MAX) return NULL;
        strcpy(into, path);
    }
    if (strncmp(into, root, root_length)) return NULL;
    if (into[root_length] == 0) return into + root_length;
    return into[root_length] == '/' ? into + root_length + 1 : NULL;
}

static int ends_with(const char *text, const char *end) {
    size_t length = strlen(text), wanted = strlen(end);
    return length >= wanted && !strcmp(text + length - wanted, end);
}

static uint64_t inode_at(int fd) { return fd >= 0 && fd < FILES_MAX ? __atomic_load_n(&inode_of[fd], __ATOMIC_RELAXED) : 0; }

static uint32_t *failures_of(uint64_t inode, int make) {
    for (size_t at = 0; at < BROKEN_MAX; at++) {
        if (broken[at].inode == inode) return &broken[at].failures;
        if (!broken[at].inode && make) { broken[at].inode = inode; return &broken[at].failures; }
    }
    return NULL;
}

static int opened(int folder, const char *path, int flags, mode_t mode) {
    char whole[PATH_MAX];
    const char *name = below(folder, path, whole);
    if (!name) return (int)syscall(SYS_openat, folder, path, flags, mode);
    pthread_mutex_lock(&lock);
    struct stat was, is;
    int existed = syscall(SYS_newfstatat, folder, path, &was, 0) == 0;
    int fd = (int)syscall(SYS_openat, folder, path, flags, mode);
    int before = errno;
    if (fd >= 0 && fd < FILES_MAX && syscall(SYS_newfstatat, fd, "", &is, AT_EMPTY_PATH) == 0) {
        if (S_ISREG(is.st_mode)) {
            note(existed ? OPENED : CREATED, is.st_ino, (uint64_t)(existed ? was.st_size : 0), name, strlen(name), NULL, 0);
            if (existed && (flags & O_TRUNC) && was.st_size > 0) note(TRUNCATED, is.st_ino, 0, NULL, 0, NULL, 0);
            uint32_t *failures = failures_of(is.st_ino, 0);
            role_of[fd] = ends_with(name, "-wal") ? 'w' : ends_with(name, ".db") ? 'd' : 'o';
            reported_of[fd] = failures ? *failures : 0;
            __atomic_store_n(&inode_of[fd], is.st_ino, __ATOMIC_RELAXED);
        } else if (S_ISDIR(is.st_mode) && !*name) {
            __atomic_store_n(&inode_of[fd], 1, __ATOMIC_RELAXED);
        }
    }
    pthread_mutex_unlock(&lock);
    errno = before;
    return fd;
}

#define MODE(flags) mode_t mode = 0; \
    if ((flags) & (O_CREAT | (O_TMPFILE & ~O_DIRECTORY))) { va_list rest; va_start(rest, flags); mode = va_arg(rest, mode_t); va_end(rest); }

int open(const char *path, int flags, ...) { MODE(flags) return opened(AT_FDCWD, path, flags, mode); }
int open64(const char *path, int flags, ...) { MODE(flags) return opened(AT_FDCWD, path, flags | O_LARGEFILE, mode); }
int openat(int folder, const char *path, int flags, ...) { MODE(flags) return opened(folder, path, flags, mode); }
int openat64(int folder, const char *path, int flags, ...) { MODE(flags) return opened(folder, path, flags | O_LARGEFILE, mode); }
int creat(const char *path, mode_t mode) { return opened(AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC, mode); }
int creat64(const char *path, mode_t mode) { return opened(AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC, mode); }

int close(int fd) {
    if (inode_at(fd)) __atomic_store_n(&inode_of[fd], 0, __ATOMIC_RELAXED);
    return REAL(close)(fd);
}

/* ---- writes ---- */

static ssize_t written(int fd, const void *data, size_t octets, off_t offset, int moves) {
    uint64_t inode = inode_at(fd);
    if (control_value(&control.disk_full)) { SAY_ONCE("the disk is full"); errno = ENOSPC; return -1; }
    if (octets > 512 && control_value(&control.short_writes)) { SAY_ONCE("a write is short"); octets = octets / 2 + 1; }
    pthread_mutex_lock(&lock);
    if (moves) offset = (fcntl(fd, F_GETFL) & O_APPEND) ? lseek(fd, 0, SEEK_END) : lseek(fd, 0, SEEK_CUR);
    ssize_t done = moves ? syscall(SYS_write, fd, data, octets) : syscall(SYS_pwrite64, fd, data, octets, offset);
    if (done > 0) note(WRITTEN, inode, (uint64_t)offset, data, (size_t)done, NULL, 0);
    pthread_mutex_unlock(&lock);
    return done;
}

ssize_t write(int fd, const void *data, size_t octets) {
    return inode_at(fd) > 1 ? written(fd, data, octets, 0, 1) : REAL(write)(fd, data, octets);
}
ssize_t pwrite(int fd, const void *data, size_t octets, off_t offset) {
    return inode_at(fd) > 1 ? written(fd, data, octets, offset, 0) : REAL(pwrite)(fd, data, octets, offset);
}
ssize_t pwrite64(int fd, const void *data, size_t octets, off64_t offset) { return pwrite(fd, data, octets, offset); }
/* A part is enough: whoever writes several parts goes on after a short write. */
ssize_t writev(int fd, const struct iovec *parts, int count) {
    if (inode_at(fd) <= 1) return REAL(writev)(fd, parts, count);
    for (int at = 0; at < count; at++)
        if (parts[at].iov_len) return written(fd, parts[at].iov_base, parts[at].iov_len, 0, 1);
    return 0;
}
ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t offset) {
    if (inode_at(fd) <= 1) return REAL(pwritev)(fd, parts, count, offset);
    for (int at = 0; at < count; at++)
        if (parts[at].iov_len) return written(fd, parts[at].iov_base, parts[at].iov_len, offset, 0);
    return 0;
}
ssize_t pwritev64(int fd, const struct iovec *parts, int count, off64_t offset) { return pwritev(fd, parts, count, offset); }

int ftruncate(int fd, off_t size) {
    uint64_t inode = inode_at(fd);
    if (inode <= 1) return REAL(ftruncate)(fd, size);
    pthread_mutex_lock(&lock);
    int done = (int)syscall(SYS_ftruncate, fd, size);
    if (!done) note(TRUNCATED, inode, (uint64_t)size, NULL, 0, NULL, 0);
    pthread_mutex_unlock(&lock);
    return done;
}
int ftruncate64(int fd, off64_t size) { return ftruncate(fd, size); }

static int grown(int fd, off_t offset, off_t octets) {
    struct stat is;
    if (control_value(&control.disk_full)) return ENOSPC;
    pthread_mutex_lock(&lock);
    int done = (int)syscall(SYS_fallocate, fd, 0, offset, octets) ? errno : 0;
    if (!done && syscall(SYS_newfstatat, fd, "", &is, AT_EMPTY_PATH) == 0)
        note(TRUNCATED, inode_at(fd), (uint64_t)is.st_size, NULL, 0, NULL, 0);
    pthread_mutex_unlock(&lock);
    return done;
}
int fallocate(int fd, int mode, off_t offset, off_t octets) {
    if (inode_at(fd) <= 1) return REAL(fallocate)(fd, mode, offset, octets);
    /* Holes and moves of ranges are not recorded, so they are refused: a caller must do without. */
    if (mode) { errno = EOPNOTSUPP; return -1; }
    int failed = grown(fd, offset, octets);
    if (failed) errno = failed;
    return failed ? -1 : 0;
}
int fallocate64(int fd, int mode, off64_t offset, off64_t octets) { return fallocate(fd, mode, offset, octets); }
int posix_fallocate(int fd, off_t offset, off_t octets) {
    return inode_at(fd) > 1 ? grown(fd, offset, octets) : REAL(posix_fallocate)(fd, offset, octets);
}
int posix_fallocate64(int fd, off64_t offset, off64_t octets) { return posix_fallocate(fd, offset, octets); }

void *mmap(void *address, size_t octets, int protection, int flags, int fd, off_t offset) {
    uint64_t inode = inode_at(fd);
    if (inode > 1 && (flags & MAP_SHARED) && (protection & PROT_WRITE)) {
        pthread_mutex_lock(&lock);
        note(MAPPED, inode, (uint64_t)offset, NULL, 0, NULL, 0);
        pthread_mutex_unlock(&lock);
    }
    return (void *)syscall(SYS_mmap, address, octets, protection, flags, fd, offset);
}
void *mmap64(void *address, size_t octets, int protection, int flags, int fd, off64_t offset) {
    return mmap(address, octets, protection, flags, fd, offset);
}

/* ---- syncs ---- */

/* Whether this sync is one that is to fail, for this descriptor; under the lock. */
static int fails(int fd, uint64_t inode) {
    long *failed = role_of[fd] == 'w' ? &failed_syncs : role_of[fd] == 'd' ? &failed_db_syncs : NULL;
    long wanted = role_of[fd] == 'w' ? control_value(&control.fail_syncs) : control_value(&control.fail_db_syncs);
    if (failed && *failed < wanted) {
        uint32_t *failures = failures_of(inode, 1);
        ++*failed;
        if (failures) ++*failures;
    }
    uint32_t *failures = failures_of(inode, 0);
    int new = failures && *failures > reported_of[fd];
    if (new) reported_of[fd] = *failures;
    return new;
}

static int synced(int fd, long call) {
    uint64_t inode = inode_at(fd);
    if (!inode) return (int)syscall(call, fd);
    pthread_mutex_lock(&lock);
    if (inode == 1) {
        int done = (int)syscall(call, fd);
        if (!done) note(FOLDER_SYNCED, 0, 0, "", 0, NULL, 0);
        pthread_mutex_unlock(&lock);
        return done;
    }
    note(SYNC_BEGUN, inode, 0, NULL, 0, NULL, 0);
    int broken_now = fails(fd, inode);
    long stall = 0;
    if (role_of[fd] == 'w' && stalled_syncs < control_value(&control.stall_syncs)) { stalled_syncs++; stall = control_value(&control.stall_ms); }
    if (broken_now) note(SYNC_FAILED, inode, 0, NULL, 0, NULL, 0);
    pthread_mutex_unlock(&lock);
    if (stall) { SAY_ONCE("a sync takes longer"); usleep((useconds_t)stall * 1000); }
    if (broken_now) { SAY_ONCE("a sync fails"); errno = EIO; return -1; }
    int done = (int)syscall(call, fd);
    if (!done) {
        pthread_mutex_lock(&lock);
        note(SYNC_DONE, inode, 0, NULL, 0, NULL, 0);
        pthread_mutex_unlock(&lock);
    }
    return done;
}

int fsync(int fd) { return inode_at(fd) ? synced(fd, SYS_fsync) : REAL(fsync)(fd); }
int fdatasync(int fd) { return inode_at(fd) ? synced(fd, SYS_fdatasync) : REAL(fdatasync)(fd); }
/* Neither promises that anything is on the disk after a power cut, so nothing is recorded of them: */
int sync_file_range(int fd, off64_t offset, off64_t octets, unsigned flags) { return REAL(sync_file_range)(fd, offset, octets, flags); }
int msync(void *address, size_t octets, int flags) { return REAL(msync)(address, octets, flags); }

/* ---- entries of folders ---- */

static int changed(uint32_t kind, int from_folder, const char *from, int to_folder, const char *to, long call, int flags) {
    char from_whole[PATH_MAX], to_whole[PATH_MAX];
    const char *from_name = below(from_folder, from, from_whole);
    const char *to_name = to ? below(to_folder, to, to_whole) : NULL;
    pthread_mutex_lock(&lock);
    int done = call == SYS_unlinkat ? (int)syscall(call, from_folder, from, flags)
             : call == SYS_linkat ? (int)syscall(call, from_folder, from, to_folder, to, flags)
             : (int)syscall(call, from_folder, from, to_folder, to);
    if (!done && from_name && (!to || to_name))
        note(kind, 0, 0, from_name, strlen(from_name) + (to ? 1 : 0), to_name, to ? strlen(to_name) : 0);
    pthread_mutex_unlock(&lock);
    return done;
}

int unlink(const char *path) { return changed(UNLINKED, AT_FDCWD, path, 0, NULL, SYS_unlinkat, 0); }
int unlinkat(int folder, const char *path, int flags) {
    if (flags & AT_REMOVEDIR) return REAL(unlinkat)(folder, path, flags);
    return changed(UNLINKED, folder, path, 0, NULL, SYS_unlinkat, flags);
}
int remove(const char *path) {
    struct stat is;
    if (syscall(SYS_newfstatat, AT_FDCWD, path, &is, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(is.st_mode)) return rmdir(path);
    return unlink(path);
}
int rename(const char *from, const char *to) { return changed(RENAMED, AT_FDCWD, from, AT_FDCWD, to, SYS_renameat, 0); }
int renameat(int from_folder, const char *from, int to_folder, const char *to) {
    return changed(RENAMED, from_folder, from, to_folder, to, SYS_renameat, 0);
}
int link(const char *from, const char *to) { return changed(LINKED, AT_FDCWD, from, AT_FDCWD, to, SYS_linkat, 0); }
int truncate(const char *path, off_t size) {
    char whole[PATH_MAX];
    if (!below(AT_FDCWD, path, whole)) return REAL(truncate)(path, size);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0) return -1;
    int done = ftruncate(fd, size), before = errno;
    close(fd);
    errno = before;
    return done;
}
int truncate64(const char *path, off64_t size) { return truncate(path, size); }

/* ---- the clock ---- */

int clock_gettime(clockid_t clock, struct timespec *now) {
    static int (*own)(clockid_t, struct timespec *);
    if (!own) own = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    int done = own(clock, now);
    if (!done && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) {
        long offset = control_value(&control.clock_offset_s);
        if (offset) SAY_ONCE("the clock is moved");
        now->tv_sec += offset;
    }
    return done;
}
int gettimeofday(struct timeval *now, void *zone) {
    struct timespec real_now;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &real_now);
    now->tv_sec = real_now.tv_sec;
    now->tv_usec = real_now.tv_nsec / 1000;
    return 0;
}
time_t time(time_t *into) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (into) *into = now.tv_sec;
    return now.tv_sec;
}

__attribute__((constructor)) static void begin(void) {
    const char *wanted = getenv("SHIM_ROOT"), *record = getenv("SHIM_LOG");
    control_path = getenv("SHIM_CONTROL");
    if (record && wanted && *wanted) {
        log_fd = (int)syscall(SYS_openat, AT_FDCWD, record, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        if (log_fd < 0) { fprintf(stderr, "shim: cannot open %s\n", record); _exit(97); }
    }
    if (wanted && *wanted && realpath(wanted, root)) root_length = strlen(root);
}
