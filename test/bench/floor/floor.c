/* floor: the least that starting a container can cost. One clone3 into the namespaces that glassbox uses, a private mount
 * tree, a bind mount, pivot_root, /proc, execve: what no runtime in any language can avoid. Called as `true` it does nothing,
 * which is what all the benchmark's containers run.
 *
 *   floor ROOTFS CMD [ARG...]
 */
#define _GNU_SOURCE
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void check(long result, const char *what)
{
	if (result < 0) {
		perror(what);
		_exit(125);
	}
}

static void child(char **argv)
{
	check(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), "making mounts private");
	check(mount(argv[1], argv[1], NULL, MS_BIND | MS_REC, NULL), "binding the root");
	check(chdir(argv[1]), "chdir");
	check(syscall(SYS_pivot_root, ".", "."), "pivot_root");
	check(umount2(".", MNT_DETACH), "leaving the old root");
	check(mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL), "mounting proc");
	check(sethostname("floor", 5), "sethostname");
	execv(argv[2], argv + 2);
	check(-1, "execve");
}

int main(int argc, char **argv)
{
	const char *name = strrchr(argv[0], '/');
	if (strcmp(name ? name + 1 : argv[0], "true") == 0)
		return 0;
	if (argc < 3) {
		fprintf(stderr, "usage: floor ROOTFS CMD [ARG...]\n");
		return 2;
	}
	struct clone_args args = {
		.flags = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNET | CLONE_NEWCGROUP,
		.exit_signal = SIGCHLD,
	};
	long pid = syscall(SYS_clone3, &args, sizeof args);
	check(pid, "clone3");
	if (pid == 0)
		child(argv);
	int status;
	check(waitpid(pid, &status, 0), "waitpid");
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
