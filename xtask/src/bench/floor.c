/* The least that a supervisor can do: vfork, exec and wait, and again when one has ended. Nothing is read but a list of commands,
 * nothing is logged, delayed or limited. `floor FILE` runs the commands of a file, a program and its one argument a line; `floor
 * FILE setsid` gives each a session of its own; `floor -- PROGRAM ARG...` runs one, passes signals on and ends with it. At TERM it
 * stops all. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static char *(*commands)[3];
static pid_t *pids;
static size_t count;
static int sessions;

static pid_t run(char **words)
{
	pid_t pid = vfork();
	if (pid == 0) {
		if (sessions)
			setsid();
		/* All signals are blocked here and there; the program of the benchmark wants it so. */
		execv(words[0], words);
		_exit(127);
	}
	return pid;
}

static void read_commands(const char *path)
{
	char line[4096], *argument;
	FILE *file = fopen(path, "r");
	if (!file)
		exit(78);
	while (fgets(line, sizeof line, file)) {
		line[strcspn(line, "\n")] = 0;
		argument = strchr(line, ' ');
		*argument++ = 0;
		commands = realloc(commands, (count + 1) * sizeof *commands);
		commands[count][0] = strdup(line);
		commands[count][1] = strdup(argument);
		commands[count++][2] = NULL;
	}
	fclose(file);
	pids = calloc(count, sizeof *pids);
}

/* Waits for all that have ended, and runs them again unless all is to end. How many are left of them. */
static size_t reap(size_t left, int stopping)
{
	pid_t pid;
	while ((pid = waitpid(-1, NULL, WNOHANG)) > 0) {
		if (stopping) {
			left--;
			continue;
		}
		for (size_t i = 0; i < count; i++)
			if (pids[i] == pid)
				pids[i] = run(commands[i]);
	}
	return left;
}

int main(int argc, char **argv)
{
	sigset_t all;
	siginfo_t info;
	int stopping = 0;
	size_t left;
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, NULL);
	if (argc > 2 && strcmp(argv[1], "--") == 0) {
		pid_t command = run(argv + 2), pid;
		for (;;) {
			int number = sigwaitinfo(&all, &info);
			if (number != SIGCHLD) {
				kill(command, number);
				continue;
			}
			while ((pid = waitpid(-1, NULL, WNOHANG)) > 0)
				if (pid == command)
					return 0;
		}
	}
	sessions = argc > 2;
	read_commands(argv[1]);
	for (size_t i = 0; i < count; i++)
		pids[i] = run(commands[i]);
	for (left = count; left > 0;) {
		int number = sigwaitinfo(&all, &info);
		if (number == SIGTERM) {
			stopping = 1;
			for (size_t i = 0; i < count; i++)
				kill(pids[i], SIGTERM);
		} else if (number == SIGCHLD) {
			left = reap(left, stopping);
		}
	}
	return 0;
}
