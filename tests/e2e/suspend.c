// A machine that was suspended, as a program sees it: the clocks that count while a machine sleeps, CLOCK_REALTIME (0) and
// CLOCK_BOOTTIME (7), are ahead by as many seconds as the file $SUSPENDED says, and CLOCK_MONOTONIC is not. Preloaded.
// Declares what it needs itself, so that a compiler is enough.
struct timespec { long seconds, nanoseconds; };
extern void *dlsym(void *, const char *);
extern char *getenv(const char *);
extern int open(const char *, int, ...);
extern long pread(int, void *, unsigned long, long);
extern long atol(const char *);

int clock_gettime(int clock, struct timespec *now) {
    static int (*real)(int, struct timespec *);
    static int file = -1;
    if (!real) real = dlsym((void *)-1L, "clock_gettime");
    int result = real(clock, now);
    if (clock == 0 || clock == 7) {
        char seconds[32] = {0};
        if (file < 0) file = open(getenv("SUSPENDED"), 02000000 /* O_CLOEXEC */);
        if (pread(file, seconds, sizeof seconds - 1, 0) > 0) now->seconds += atol(seconds);
    }
    return result;
}
