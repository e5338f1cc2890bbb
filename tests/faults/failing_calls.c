// LD_PRELOAD: the calls of a process to the system are counted, and one of them fails.
//   QSIM_CALLS=FILE        at its end the process writes how many calls of each kind it made
//   QSIM_FAIL=KIND:N:ERRNO the N-th call (from 1) of a kind fails with that error
// Kinds: open, read, write, close, fsync, rename, mkdir, truncate, dup, flock, thread, memory.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

enum kind {
  OPEN,
  READ,
  WRITE,
  CLOSE,
  FSYNC,
  RENAME,
  MKDIR,
  TRUNCATE,
  DUP,
  FLOCK,
  THREAD,
  MEMORY,
  KINDS
};
static const char* const names[KINDS] = {"open",  "read",     "write", "close", "fsync",  "rename",
                                         "mkdir", "truncate", "dup",   "flock", "thread", "memory"};
static atomic_long counts[KINDS];
static enum kind failing = KINDS;
static long failing_call;
static int failing_error;
static int started;  // not before main: what the loader and the libraries do is not the program's

__attribute__((constructor)) static void start(void) {
  const char* const spec = getenv("QSIM_FAIL");
  char word[16] = "";
  if (spec != NULL && sscanf(spec, "%15[a-z]:%ld:%d", word, &failing_call, &failing_error) == 3) {
    for (int k = 0; k < KINDS; ++k) {
      if (strcmp(word, names[k]) == 0) failing = (enum kind)k;
    }
  }
}

typedef int (*main_function)(int, char**, char**);
static main_function real_main;
static int counted_main(int argc, char** argv, char** environment) {
  started = 1;
  return real_main(argc, argv, environment);
}
int __libc_start_main(main_function entry, int argc, char** argv, void (*init)(void),
                      void (*fini)(void), void (*loader_fini)(void), void* stack) {
  real_main = entry;
  return ((__typeof__(&__libc_start_main))dlsym(RTLD_NEXT, "__libc_start_main"))(
      counted_main, argc, argv, init, fini, loader_fini, stack);
}

__attribute__((destructor)) static void finish(void) {
  const char* const path = getenv("QSIM_CALLS");
  started = 0;
  if (path == NULL) return;
  FILE* const file = fopen(path, "w");
  if (file == NULL) return;
  for (int k = 0; k < KINDS; ++k) fprintf(file, "%s %ld\n", names[k], atomic_load(&counts[k]));
  fclose(file);
}

static int fails(enum kind kind) {
  if (!started) return 0;
  if (atomic_fetch_add(&counts[kind], 1) + 1 != failing_call || kind != failing) return 0;
  errno = failing_error;
  return 1;
}

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define WRAP(kind, result, failed, name, parameters, arguments) \
  result name parameters { return fails(kind) ? (failed) : NEXT(name) arguments; }

static mode_t mode_of(int flags, va_list list) {
  return (flags & O_CREAT) != 0 ? va_arg(list, mode_t) : 0;
}
#define WRAP_OPEN(name)                                      \
  int name(const char* path, int flags, ...) {               \
    va_list list;                                            \
    va_start(list, flags);                                   \
    const mode_t mode = mode_of(flags, list);                \
    va_end(list);                                            \
    return fails(OPEN) ? -1 : NEXT(name)(path, flags, mode); \
  }
WRAP_OPEN(open)
WRAP_OPEN(open64)
WRAP(READ, ssize_t, -1, read, (int fd, void* to, size_t size), (fd, to, size))
WRAP(READ, ssize_t, -1, pread, (int fd, void* to, size_t size, off_t at), (fd, to, size, at))
WRAP(READ, ssize_t, -1, pread64, (int fd, void* to, size_t size, off64_t at), (fd, to, size, at))
WRAP(WRITE, ssize_t, -1, write, (int fd, const void* from, size_t size), (fd, from, size))
WRAP(WRITE, ssize_t, -1, pwrite, (int fd, const void* from, size_t size, off_t at),
     (fd, from, size, at))
WRAP(WRITE, ssize_t, -1, pwrite64, (int fd, const void* from, size_t size, off64_t at),
     (fd, from, size, at))
WRAP(FSYNC, int, -1, fsync, (int fd), (fd))
WRAP(RENAME, int, -1, rename, (const char* from, const char* to), (from, to))
WRAP(RENAME, int, -1, renameat2, (int a, const char* from, int b, const char* to, unsigned flags),
     (a, from, b, to, flags))
WRAP(MKDIR, int, -1, mkdir, (const char* path, mode_t mode), (path, mode))
WRAP(TRUNCATE, int, -1, truncate, (const char* path, off_t size), (path, size))
WRAP(TRUNCATE, int, -1, ftruncate, (int fd, off_t size), (fd, size))
WRAP(DUP, int, -1, dup, (int fd), (fd))
int flock(int fd, int how);
WRAP(FLOCK, int, -1, flock, (int fd, int how), (fd, how))
WRAP(THREAD, int, failing_error, pthread_create,
     (pthread_t * thread, const pthread_attr_t* how, void* (*call)(void*), void* with),
     (thread, how, call, with))

// The file is closed all the same, as Linux does.
int close(int fd) {
  const int failed = fails(CLOSE);
  const int error = errno;
  const int result = NEXT(close)(fd);
  if (!failed) return result;
  errno = error;
  return -1;
}

// dlsym itself allocates; glibc's own entry needs no look-up. Of a kilobyte or more: JSON trees
// take some bytes in their destructors, where nothing can be caught.
extern void* __libc_malloc(size_t size);
void* malloc(size_t size) { return size >= 1024 && fails(MEMORY) ? NULL : __libc_malloc(size); }
