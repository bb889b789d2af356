/* A library to preload: counts the calls that change files below one folder, and at the n-th of them kills the process
   or lets the call fail. No privileges are needed. `arm` starts it; `count` is how many calls there were.

   kill: a write writes its first half before, as a torn one does. fail: one call fails. full: from the n-th on, all that
   need room fail with ENOSPC, as on a full disk.

   `record` comes before `arm`: what the calls did is written to a file, for `power.py`, and what they remove stays as a
   hard link, named by its inode. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { COUNT, KILL, FAIL, FULL };

static char folder[4096];
static int mode, at, error, armed;
static int counted;
static char saved[4096];
static int record_fd = -1;

void arm(const char *below, int how, int nth, int with) {
  strncpy(folder, below, sizeof folder - 1);
  mode = how, at = nth, error = with, counted = 0, armed = 1;
}

int count(void) { return counted; }

static int below(const char *path) { return armed && path && !strncmp(path, folder, strlen(folder)); }

static int path_of(int fd, char path[4096]) {
  char name[64];
  snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(name, path, 4095);
  if (length < 0) return 0;
  path[length] = 0;
  return 1;
}

static int file_below(int fd) {
  char path[4096];
  return armed && path_of(fd, path) && below(path);
}

/* Whether this call is to fail; does not come back where it is the one to be killed at. */
static int strikes(int needs_room) {
  int now = __atomic_add_fetch(&counted, 1, __ATOMIC_SEQ_CST);
  if (mode == KILL && now == at) kill(getpid(), SIGKILL);
  if ((mode == FAIL && now == at) || (mode == FULL && now >= at && needs_room)) {
    errno = mode == FULL ? ENOSPC : error;
    return 1;
  }
  return 0;
}

#define REAL(name) __typeof__(name) *real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)

void record(const char *into) {
  char path[4200];
  strncpy(saved, into, sizeof saved - 1);
  snprintf(path, sizeof path, "%s/calls", saved);
  record_fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
}

/* A line: what was done, a number (inode or size), the path, another one. */
static void note(const char *what, long long number, const char *path, const char *other) {
  char line[9000];
  REAL(write);
  if (record_fd < 0 || !below(path)) return;
  int length = snprintf(line, sizeof line, "%s\t%lld\t%s\t%s\n", what, number, path, other);
  if (real(record_fd, line, length) != length) abort();
}
static void note_file(const char *what, int fd) {
  char path[4096] = "";
  struct stat facts;
  if (record_fd < 0 || !path_of(fd, path) || fstat(fd, &facts)) return;
  note(what, facts.st_size, path, "");
}
static int exists(const char *path) {
  struct stat facts;
  return record_fd >= 0 && !lstat(path, &facts);
}
static void note_opened(const char *path, int before, int truncated) {
  struct stat facts;
  if (record_fd < 0 || lstat(path, &facts)) return;
  if (!before) note("file", facts.st_ino, path, "");
  if (before && truncated) note("cut", 0, path, "");
}
/* Keep a file that is about to lose its name. */
static void keep(const char *path) {
  char name[4200];
  struct stat facts;
  if (record_fd < 0 || !below(path) || lstat(path, &facts) || S_ISDIR(facts.st_mode)) return;
  snprintf(name, sizeof name, "%s/%lld", saved, (long long)facts.st_ino);
  if (link(path, name) && errno != EEXIST) abort();
}

ssize_t write(int fd, const void *data, size_t size) {
  REAL(write);
  if (file_below(fd)) {
    if (mode == KILL && counted + 1 == at && size > 1) real(fd, data, size / 2);
    if (strikes(1)) return -1;
  }
  return real(fd, data, size);
}

#define OPENS(name)                                                  \
  int name(const char *path, int flags, ...) {                       \
    REAL(name);                                                      \
    va_list more;                                                    \
    va_start(more, flags);                                           \
    int permissions = va_arg(more, int);                             \
    va_end(more);                                                    \
    int writes = (flags & (O_WRONLY | O_RDWR)) && below(path);       \
    if (writes && strikes(flags & O_CREAT)) return -1;               \
    int before = writes && exists(path);                             \
    int file = real(path, flags, permissions);                       \
    if (writes && file >= 0) note_opened(path, before, flags & O_TRUNC); \
    return file;                                                     \
  }
OPENS(open)
OPENS(open64)

#define FOPENS(name)                                        \
  FILE *name(const char *path, const char *how) {           \
    REAL(name);                                             \
    int writes = *how != 'r' && below(path);                \
    if (writes && strikes(1)) return NULL;                  \
    int before = writes && exists(path);                    \
    FILE *file = real(path, how);                           \
    if (writes && file) note_opened(path, before, *how == 'w'); \
    return file;                                            \
  }
FOPENS(fopen)
FOPENS(fopen64)

size_t fwrite(const void *data, size_t size, size_t number, FILE *file) {
  REAL(fwrite);
  if (file_below(fileno(file)) && strikes(1)) return 0;
  return real(data, size, number, file);
}

int fsync(int fd) {
  REAL(fsync);
  if (!file_below(fd)) return real(fd);
  int failed = strikes(0) ? -1 : real(fd);
  if (!failed) note_file("flushed", fd);
  return failed;
}
#define TRUNCATES(name, type)                     \
  int name(int fd, type length) {                 \
    REAL(name);                                   \
    if (!file_below(fd)) return real(fd, length); \
    int failed = strikes(0) ? -1 : real(fd, length); \
    if (!failed) note_file("cut", fd);            \
    return failed;                                \
  }
TRUNCATES(ftruncate, off_t)
TRUNCATES(ftruncate64, off64_t)

int rename(const char *old, const char *new) {
  REAL(rename);
  if (!below(new)) return real(old, new);
  if (strikes(0)) return -1;
  keep(new);
  int failed = real(old, new);
  if (!failed) note("renamed", 0, old, new);
  return failed;
}
int mkdir(const char *path, mode_t permissions) {
  REAL(mkdir);
  if (!below(path)) return real(path, permissions);
  int failed = strikes(1) ? -1 : real(path, permissions);
  if (!failed) note("folder", 0, path, "");
  return failed;
}
int unlink(const char *path) {
  REAL(unlink);
  if (!below(path)) return real(path);
  if (strikes(0)) return -1;
  keep(path);
  int failed = real(path);
  if (!failed) note("removed", 0, path, "");
  return failed;
}
int unlinkat(int fd, const char *path, int flags) {
  REAL(unlinkat);
  char whole[8200] = "";
  if (*path != '/' && path_of(fd, whole)) strcat(whole, "/");
  strncat(whole, path, 4000);
  if (!below(whole)) return real(fd, path, flags);
  if (strikes(0)) return -1;
  keep(whole);
  int failed = real(fd, path, flags);
  if (!failed) note("removed", 0, whole, "");
  return failed;
}
int rmdir(const char *path) {
  REAL(rmdir);
  if (!below(path)) return real(path);
  int failed = strikes(0) ? -1 : real(path);
  if (!failed) note("removed", 0, path, "");
  return failed;
}
