/* The program that supervisors run for `cargo xtask bench`. It has no libc, so that from exec to its first instruction there is
 * only the kernel's work. Called as `probe ACT,ID,COUNT,CHUNK,JOURNAL [PROGRAM ARG...]`; what it has to tell it appends to the
 * journal as a record, and the acts are:
 *
 *   launch    tells the time and executes PROGRAM
 *   wait      waits for signals: ends at TERM, INT, HUP and QUIT, tells of others
 *   notify    the same, and first says on descriptor 3 that it is ready, as s6 wants it
 *   exit      ends at once
 *   orphans   at USR2: makes COUNT orphans, has them all end at one time; then waits
 *   print     at USR2: prints COUNT MiB of lines of 100 bytes, CHUNK bytes a write; then waits
 *
 * Without arguments it ends with 0: a test of whether programs may be executed where it lies. */
#include <asm/unistd.h>

#define CLOCK_MONOTONIC 1
#define LINE 100
#define SIGHUP 1
#define SIGINT 2
#define SIGQUIT 3
#define SIGUSR2 12
#define SIGTERM 15
#define SIGCHLD 17
#define SIGCONT 18
#define SIGWINCH 28
#define OPEN_APPEND_CREATE_CLOEXEC (01 | 0100 | 02000 | 02000000)

typedef unsigned long u64;
struct record { u64 nanoseconds; unsigned kind, id; };
enum kind { LAUNCHED = 1, STARTED, TOLD_TO_END, SIGNALLED, BEGAN, DONE };

static long call(long number, long a, long b, long c, long d)
{
#if defined __x86_64__
	long result;
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = 0;
	__asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8)
			 : "rcx", "r11", "memory");
	return result;
#elif defined __aarch64__
	register long x8 __asm__("x8") = number;
	register long x0 __asm__("x0") = a;
	register long x1 __asm__("x1") = b;
	register long x2 __asm__("x2") = c;
	register long x3 __asm__("x3") = d;
	register long x4 __asm__("x4") = 0;
	__asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4) : "memory");
	return x0;
#else
#error "the benchmark knows x86_64 and aarch64 only"
#endif
}

static u64 now(void)
{
	u64 time[2];
	call(__NR_clock_gettime, CLOCK_MONOTONIC, (long)time, 0, 0);
	return time[0] * 1000000000 + time[1];
}

static void end(int code)
{
	for (;;)
		call(__NR_exit_group, code, 0, 0, 0);
}

static int journal;
static unsigned id;

static void tell(enum kind kind, u64 time)
{
	struct record record = { time, kind, id };
	if (call(__NR_write, journal, (long)&record, sizeof record, 0) != sizeof record)
		end(91);
}

static u64 number(char **text)
{
	u64 value = 0;
	while (**text >= '0' && **text <= '9')
		value = value * 10 + *(*text)++ - '0';
	++*text;
	return value;
}

static long fork(void)
{
	return call(__NR_clone, SIGCHLD, 0, 0, 0);
}

/* A process in between makes them and ends, so that they are nobody's children. */
static void orphans(u64 count)
{
	int gate[2], status = 0;
	char byte;
	long parent;
	if (call(__NR_pipe2, (long)gate, 0, 0, 0) < 0)
		end(92);
	parent = fork();
	if (parent == 0) {
		call(__NR_close, gate[1], 0, 0, 0);
		for (u64 made = 0; made < count; made++) {
			long orphan = fork();
			if (orphan == 0)
				call(__NR_read, gate[0], (long)&byte, 1, 0);
			if (orphan <= 0)
				end(orphan < 0);
		}
		end(0);
	}
	if (parent < 0 || call(__NR_wait4, parent, (long)&status, 0, 0) < 0 || status)
		end(93);
	tell(BEGAN, now());
	call(__NR_close, gate[1], 0, 0, 0);
	tell(DONE, now());
}

static char block[1 << 17];

static void print(u64 mebibytes, u64 chunk)
{
	chunk = chunk > sizeof block ? sizeof block : chunk;
	chunk -= chunk % LINE;
	for (u64 at = 0; at < chunk; at++)
		block[at] = at % LINE == LINE - 1 ? '\n' : 'a' + at % 26;
	tell(BEGAN, now());
	for (u64 left = (mebibytes << 20) / chunk; left > 0; left--) {
		for (u64 at = 0; at < chunk;) {
			long written = call(__NR_write, 1, (long)(block + at), chunk - at, 0);
			if (written <= 0)
				end(94);
			at += written;
		}
	}
	tell(DONE, now());
}

static void await(char act, u64 count, u64 chunk)
{
	for (;;) {
		u64 all = ~(1ul << (SIGCHLD - 1) | 1ul << (SIGCONT - 1) | 1ul << (SIGWINCH - 1)), info[16];
		long signal = call(__NR_rt_sigtimedwait, (long)&all, (long)info, 0, sizeof all);
		u64 time = now();
		if (signal == SIGTERM || signal == SIGINT || signal == SIGHUP || signal == SIGQUIT) {
			tell(TOLD_TO_END, time);
			end(0);
		} else if (signal == SIGUSR2 && act == 'o') {
			orphans(count);
		} else if (signal == SIGUSR2 && act == 'p') {
			print(count, chunk);
		} else if (signal > 0) {
			tell(SIGNALLED, time);
		}
	}
}

__attribute__((used)) static void begin(long *stack)
{
	u64 time = now();
	char **words = (char **)(stack + 1), *text = words[1], act;
	u64 count, chunk, all = ~0ul;
	if (stack[0] < 2)
		end(0);
	act = *text;
	while (*text++ != ',')
		;
	id = number(&text);
	count = number(&text);
	chunk = number(&text);
	journal = call(__NR_openat, -100, (long)text, OPEN_APPEND_CREATE_CLOEXEC, 0666);
	if (journal < 0)
		end(90);
	if (act == 'l') {
		tell(LAUNCHED, now());
		call(__NR_execve, (long)words[2], (long)(words + 2), (long)(words + stack[0] + 1), 0);
		end(127);
	}
	call(__NR_rt_sigprocmask, 0, (long)&all, 0, sizeof all);
	tell(STARTED, time);
	if (act == 'n') {
		call(__NR_write, 3, (long)"\n", 1, 0);
		call(__NR_close, 3, 0, 0, 0);
	} else if (act == 'e') {
		end(0);
	}
	await(act, count, chunk);
}

#if defined __x86_64__
__asm__(".globl _start\n_start: mov %rsp, %rdi\n and $-16, %rsp\n call begin\n");
#else
__asm__(".globl _start\n_start: mov x0, sp\n bl begin\n");
#endif
