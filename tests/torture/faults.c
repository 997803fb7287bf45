/* SPDX-License-Identifier: MIT */
/* faults.c - a preloaded library that makes the n-th allocation or system call of a program fail.
 *
 *   FAULT_CALL   alloc, or one of the calls below ("write", "fsync", ..)
 *   FAULT_OBJECT whose calls count: exe (the program itself), or a part of a library's name;
 *                without it everybody's
 *   FAULT_AT     the call that fails, from 1; 0: none, only count
 *   FAULT_FROM   all from there on fail, too
 *   FAULT_ERRNO  number of the error (for calls); SHORT: half of what was asked for is done
 *   FAULT_LOG    file that takes the count, and what failed
 *
 * What jansson asks for through a function of the program's is jansson's. Worker processes that it
 * forks count on with it; other programs that it starts are not disturbed.
 *
 * Only for tests on glibc: it calls what glibc calls malloc inside. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

void *__libc_malloc(size_t);
void *__libc_calloc(size_t, size_t);
void *__libc_realloc(void *, size_t);
void *__libc_memalign(size_t, size_t);

enum { RANGES = 512, LOG = 500, ERROR_SEEN = 0x20 /* of a FILE, in glibc */ };

static struct {
    bool armed, from, shorter;
    long at;
    int error, log;
    const char *call;
    atomic_long *count; /* one of all processes */
} fault = {.log = -1};

static struct {
    uintptr_t begin, end;
} range[RANGES];
static int ranges;

static struct {
    bool counts;          /* FAULT_OBJECT means it, or everybody */
    void *(*get)(size_t); /* what it was told to allocate with */
} jansson;
static _Thread_local bool by_jansson;

/* ---------------------------------------------------------------- whose -------------------- */

static int note_object(struct dl_phdr_info *info, size_t size, void *wanted)
{
    const char *name = wanted;
    bool exe = !*info->dlpi_name;

    (void)size;
    if (name && (strcmp(name, "exe") ? exe || !strstr(info->dlpi_name, name) : !exe))
        return 0;
    for (int i = 0; i < info->dlpi_phnum && ranges < RANGES; i++) {
        const ElfW(Phdr) *p = &info->dlpi_phdr[i];

        if (p->p_type != PT_LOAD || !(p->p_flags & PF_X))
            continue;
        range[ranges].begin = info->dlpi_addr + p->p_vaddr;
        range[ranges++].end = info->dlpi_addr + p->p_vaddr + p->p_memsz;
    }
    return 0;
}

static bool counted(uintptr_t caller)
{
    if (by_jansson)
        return jansson.counts;
    for (int i = 0; i < ranges; i++)
        if (caller >= range[i].begin && caller < range[i].end)
            return true;
    return false;
}

/* ---------------------------------------------------------------- when --------------------- */

static void open_log(const char *path)
{
    int fd = path ? open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666) : -1;

    if (fd < 0)
        return;
    fault.log = fcntl(fd, F_DUPFD_CLOEXEC, LOG); /* out of the way of the program's own */
    close(fd);
}

__attribute__((constructor)) static void begin(void)
{
    const char *at = getenv("FAULT_AT"), *error = getenv("FAULT_ERRNO");

    fault.call = getenv("FAULT_CALL");
    fault.count =
        mmap(NULL, sizeof *fault.count, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (!at || !fault.call || fault.count == MAP_FAILED)
        return;
    fault.at = atol(at);
    fault.from = getenv("FAULT_FROM") != NULL;
    fault.shorter = error && !strcmp(error, "SHORT");
    fault.error = error ? atoi(error) : ENOMEM;
    open_log(getenv("FAULT_LOG"));
    dl_iterate_phdr(note_object, getenv("FAULT_OBJECT"));
    jansson.counts = !getenv("FAULT_OBJECT") || strstr("libjansson", getenv("FAULT_OBJECT"));
    fault.armed = true;
    unsetenv("LD_PRELOAD");
}

__attribute__((destructor)) static void end(void)
{
    if (fault.armed && fault.log >= 0)
        dprintf(fault.log, "count %ld\n", (long)*fault.count);
    fault.armed = false;
}

static void tell(const char *what, uintptr_t caller)
{
    Dl_info info = {0};
    char text[512];
    int n;

    if (fault.log < 0)
        return;
    dladdr((void *)caller, &info);
    n = snprintf(text, sizeof text, "failed %s by %s +0x%lx %s\n", what,
                 info.dli_fname ? info.dli_fname : "?",
                 (unsigned long)(caller - (uintptr_t)info.dli_fbase),
                 info.dli_sname ? info.dli_sname : "");
    (void)!write(fault.log, text, (size_t)n);
}

/* Whether this call is to fail. */
static bool fails(const char *call, uintptr_t caller)
{
    long n;

    if (!fault.armed || strcmp(fault.call, call) || !counted(caller))
        return false;
    n = atomic_fetch_add(fault.count, 1) + 1;
    if (!fault.at || (fault.from ? n < fault.at : n != fault.at))
        return false;
    if (n == fault.at)
        tell(call, caller);
    return true;
}

#define CALLER ((uintptr_t)__builtin_return_address(0))

/* ---------------------------------------------------------------- memory ------------------- */

static bool no_memory(uintptr_t caller)
{
    if (!fails("alloc", caller))
        return false;
    by_jansson = false; /* who asked for it may not come back there */
    errno = ENOMEM;
    return true;
}

void *malloc(size_t n)
{
    return no_memory(CALLER) ? NULL : __libc_malloc(n);
}

void *calloc(size_t count, size_t n)
{
    return no_memory(CALLER) ? NULL : __libc_calloc(count, n);
}

void *realloc(void *p, size_t n)
{
    return no_memory(CALLER) ? NULL : __libc_realloc(p, n);
}

void *aligned_alloc(size_t alignment, size_t n)
{
    return no_memory(CALLER) ? NULL : __libc_memalign(alignment, n);
}

int posix_memalign(void **p, size_t alignment, size_t n)
{
    *p = no_memory(CALLER) ? NULL : __libc_memalign(alignment, n);
    return *p ? 0 : ENOMEM;
}

/* These allocate inside glibc; what counts is who called them. */
char *strdup(const char *s)
{
    size_t n = strlen(s) + 1;
    char *copy = no_memory(CALLER) ? NULL : __libc_malloc(n);

    return copy ? memcpy(copy, s, n) : NULL;
}

int asprintf(char **text, const char *format, ...)
{
    va_list args;
    int n;

    if (no_memory(CALLER)) {
        *text = NULL;
        return -1;
    }
    va_start(args, format);
    n = vasprintf(text, format, args);
    va_end(args);
    return n;
}

/* The next definition of a function, looked up once. */
#define REAL(result, name, ...)                                                                    \
    static result (*real)(__VA_ARGS__);                                                            \
    if (!real)                                                                                     \
    real = (result(*)(__VA_ARGS__))dlsym(RTLD_NEXT, #name)

char *realpath(const char *path, char *to)
{
    REAL(char *, realpath, const char *, char *);
    return no_memory(CALLER) ? NULL : real(path, to);
}

FILE *open_memstream(char **text, size_t *size)
{
    REAL(FILE *, open_memstream, char **, size_t *);
    return no_memory(CALLER) ? NULL : real(text, size);
}

static void *get_for_jansson(size_t n)
{
    bool within = by_jansson;
    void *memory;

    by_jansson = true;
    memory = jansson.get(n);
    by_jansson = within;
    return memory;
}

void json_set_alloc_funcs(void *(*get)(size_t), void (*put)(void *));
void json_set_alloc_funcs(void *(*get)(size_t), void (*put)(void *))
{
    REAL(void, json_set_alloc_funcs, void *(*)(size_t), void (*)(void *));
    jansson.get = get;
    real(get_for_jansson, put);
}

void *mmap(void *at, size_t n, int protection, int flags, int fd, off_t offset)
{
    REAL(void *, mmap, void *, size_t, int, int, int, off_t);
    return no_memory(CALLER) ? MAP_FAILED : real(at, n, protection, flags, fd, offset);
}

int pthread_create(pthread_t *t, const pthread_attr_t *a, void *(*run)(void *), void *with)
{
    REAL(int, pthread_create, pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
    return no_memory(CALLER) ? EAGAIN : real(t, a, run, with);
}

/* ---------------------------------------------------------------- system calls ------------- */

static int refuse(void)
{
    errno = fault.error;
    return -1;
}

/* Bytes to ask for instead of n: half, where the fault is a short one; -1 where it is an error. */
static ssize_t allowed(const char *call, uintptr_t caller, size_t n)
{
    if (!fails(call, caller))
        return (ssize_t)n;
    return fault.shorter ? (ssize_t)(n > 1 ? n / 2 : n) : refuse();
}

#define MOVE(name, call, type)                                                                     \
    ssize_t name(int fd, type data, size_t n)                                                      \
    {                                                                                              \
        REAL(ssize_t, name, int, type, size_t);                                                    \
        ssize_t some = allowed(call, CALLER, n);                                                   \
        return some < 0 ? -1 : real(fd, data, (size_t)some);                                       \
    }
#define MOVE_AT(name, call, type)                                                                  \
    ssize_t name(int fd, type data, size_t n, off_t at)                                            \
    {                                                                                              \
        REAL(ssize_t, name, int, type, size_t, off_t);                                             \
        ssize_t some = allowed(call, CALLER, n);                                                   \
        return some < 0 ? -1 : real(fd, data, (size_t)some, at);                                   \
    }

MOVE(read, "read", void *)
MOVE(write, "write", const void *)
MOVE_AT(pread, "read", void *)
MOVE_AT(pread64, "read", void *)
MOVE_AT(pwrite, "write", const void *)
MOVE_AT(pwrite64, "write", const void *)

size_t fread(void *data, size_t size, size_t count, FILE *f)
{
    REAL(size_t, fread, void *, size_t, size_t, FILE *);
    if (!fails("read", CALLER))
        return real(data, size, count, f);
    f->_flags |= ERROR_SEEN;
    refuse();
    return 0;
}

size_t fwrite(const void *data, size_t size, size_t count, FILE *f)
{
    REAL(size_t, fwrite, const void *, size_t, size_t, FILE *);
    if (!fails("write", CALLER))
        return real(data, size, count, f);
    f->_flags |= ERROR_SEEN;
    refuse();
    return 0;
}

int fclose(FILE *f)
{
    REAL(int, fclose, FILE *);
    bool bad = fails("close", CALLER);
    int result = real(f);

    return bad ? refuse() : result;
}

int close(int fd)
{
    REAL(int, close, int);
    bool bad = fails("close", CALLER);
    int result = real(fd);

    return bad ? refuse() : result;
}

static int open_mode(int flags, va_list args)
{
    return flags & (O_CREAT | O_TMPFILE) ? va_arg(args, int) : 0;
}

int open(const char *path, int flags, ...)
{
    REAL(int, open, const char *, int, ...);
    va_list args;
    int mode;

    va_start(args, flags);
    mode = open_mode(flags, args);
    va_end(args);
    return fails("open", CALLER) ? refuse() : real(path, flags, mode);
}

int open64(const char *path, int flags, ...)
{
    REAL(int, open64, const char *, int, ...);
    va_list args;
    int mode;

    va_start(args, flags);
    mode = open_mode(flags, args);
    va_end(args);
    return fails("open", CALLER) ? refuse() : real(path, flags, mode);
}

FILE *fopen(const char *path, const char *mode)
{
    REAL(FILE *, fopen, const char *, const char *);
    return fails("open", CALLER) ? (refuse(), NULL) : real(path, mode);
}

int fsync(int fd)
{
    REAL(int, fsync, int);
    return fails("fsync", CALLER) ? refuse() : real(fd);
}

int ftruncate(int fd, off_t size)
{
    REAL(int, ftruncate, int, off_t);
    return fails("ftruncate", CALLER) ? refuse() : real(fd, size);
}

int ftruncate64(int fd, off_t size)
{
    REAL(int, ftruncate64, int, off_t);
    return fails("ftruncate", CALLER) ? refuse() : real(fd, size);
}

int rename(const char *from, const char *to)
{
    REAL(int, rename, const char *, const char *);
    return fails("rename", CALLER) ? refuse() : real(from, to);
}

int mkdir(const char *path, mode_t mode)
{
    REAL(int, mkdir, const char *, mode_t);
    return fails("mkdir", CALLER) ? refuse() : real(path, mode);
}

int chmod(const char *path, mode_t mode)
{
    REAL(int, chmod, const char *, mode_t);
    return fails("chmod", CALLER) ? refuse() : real(path, mode);
}

int fstat(int fd, struct stat *info)
{
    REAL(int, fstat, int, struct stat *);
    return fails("stat", CALLER) ? refuse() : real(fd, info);
}

int stat(const char *path, struct stat *info)
{
    REAL(int, stat, const char *, struct stat *);
    return fails("stat", CALLER) ? refuse() : real(path, info);
}
