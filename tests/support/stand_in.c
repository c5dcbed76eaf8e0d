/* SPDX-License-Identifier: Apache-2.0 */
#include <getopt.h>
#include <limits.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cleanup.h"
#include "ioctl_stand_in.h"
#include "own_mounts.h"
#include "tsm_stand_in.h"
#include "vtpm_stand_in.h"

/*
 * Runs a command on a machine that has a TEE, as far as the command can see: for tests of whole
 * programs. The chip's root and endorsements are files that the verifier's configuration can name.
 */

static const char usage[] =
	"usage: stand-in [--device] [--debug] [--folder DIR] PLATFORM -- COMMAND...\n"
	"  PLATFORM      sev-snp, tdx, csv, cca; with --tpm: vtpm (Azure's) and svsm, on SEV-SNP,\n"
	"                and vtpm-tdx (Azure's), which leaves the host's quote in DIR/quote\n"
	"  --device      sev-snp: /dev/sev-guest instead of configfs-tsm\n"
	"  --tpm TCTI    the TPM that is to be the vTPM\n"
	"  --debug       a guest that its host can look into\n"
	"  --folder DIR  the chip's root (root.pem; csv: root.cert) and endorsements go there\n";

#define MANIFEST_ROOM 1024

struct options {
	bool device, debug;
	const char *folder, *platform, *tpm;
	char **command;
};

static bool is(const struct options *o, const char *platform)
{
	return strcmp(o->platform, platform) == 0;
}

static bool is_azure(const struct options *o)
{
	return is(o, "vtpm") || is(o, "vtpm-tdx");
}

static const char *chip_of(const struct options *o)
{
	if (is(o, "vtpm-tdx"))
		return "tdx";
	return o->tpm ? "sev-snp" : o->platform;
}

static int read_options(int argc, char **argv, struct options *ret)
{
	static const struct option longs[] = {
		{ "device", no_argument, NULL, 'd' },
		{ "debug", no_argument, NULL, 'g' },
		{ "folder", required_argument, NULL, 'f' },
		{ "tpm", required_argument, NULL, 't' },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	*ret = (struct options){ 0 };
	while ((c = getopt_long(argc, argv, "+", longs, NULL)) != -1) {
		if (c == 'd')
			ret->device = true;
		else if (c == 'g')
			ret->debug = true;
		else if (c == 'f')
			ret->folder = optarg;
		else if (c == 't')
			ret->tpm = optarg;
		else
			return -EINVAL;
	}
	if (argc - optind < 3 || strcmp(argv[optind + 1], "--") != 0)
		return -EINVAL;
	ret->platform = argv[optind];
	ret->command = argv + optind + 2;
	if (is(ret, "vtpm-tdx") && !ret->folder)
		return -EINVAL;
	return !!ret->tpm == (is_azure(ret) || is(ret, "svsm")) ? 0 : -EINVAL;
}

static pid_t start(char **command, const sigset_t *mask)
{
	pid_t pid = fork();

	if (pid != 0)
		return pid;
	/* Without its chip it is of no use. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	sigprocmask(SIG_SETMASK, mask, NULL);
	execvp(command[0], command);
	fprintf(stderr, "stand-in: %s: %s\n", command[0], strerror(errno));
	_exit(127);
}

/* Hands signals on until the command has ended; its exit status. */
static int wait_for(pid_t pid, const sigset_t *signals)
{
	int status, number;

	for (;;) {
		if (sigwait(signals, &number) != 0)
			continue;
		if (number != SIGCHLD) {
			kill(pid, number);
			continue;
		}
		if (waitpid(pid, &status, WNOHANG) == pid)
			return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	}
}

/* What stands in for the machine's chip; the caller ends both, whatever comes back. */
static int begin(const struct options *o, struct made_chip *chip, struct tsm_stand_in **tsm,
		 struct ioctl_stand_in **devices)
{
	struct bytes manifest = BYTES_INIT(MANIFEST_ROOM);
	char quote[PATH_MAX];
	int r = own_mounts_begin();

	if (r < 0)
		return r;
	if (is_azure(o)) {
		snprintf(quote, sizeof(quote), "%s/quote", o->folder ? o->folder : ".");
		return vtpm_stand_in_azure(o->tpm, chip, quote);
	}
	if (o->device || !made_chip_provider(chip)) {
		r = ioctl_stand_in_start(devices);
		return r == 0 ? ioctl_stand_in_chip(*devices, chip) : r;
	}
	r = tsm_stand_in_start(chip, tsm);
	if (r == 0 && is(o, "svsm"))
		r = vtpm_stand_in_manifest(o->tpm, &manifest);
	if (r == 0 && is(o, "svsm"))
		r = tsm_stand_in_vtpm(*tsm, bytes_view(&manifest));
	bytes_done(&manifest);
	return r;
}

int main(int argc, char **argv)
{
	struct ioctl_stand_in *devices = NULL;
	struct tsm_stand_in *tsm = NULL;
	sigset_t signals, before;
	struct made_chip *chip;
	struct options o;
	int r, status = 3;
	pid_t pid;

	if (read_options(argc, argv, &o) < 0) {
		fputs(usage, stderr);
		return 2;
	}
	sigemptyset(&signals);
	sigaddset(&signals, SIGCHLD);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigprocmask(SIG_BLOCK, &signals, &before);
	chip = made_chip_new(chip_of(&o));
	if (!chip) {
		fputs(usage, stderr);
		return 2;
	}
	made_chip_debug(chip, o.debug);
	if (o.folder)
		made_chip_write(chip, o.folder);
	r = begin(&o, chip, &tsm, &devices);
	if (r < 0) {
		fprintf(stderr, "stand-in: %s\n", strerror(-r));
	} else {
		pid = start(o.command, &before);
		if (pid > 0)
			status = wait_for(pid, &signals);
	}
	tsm_stand_in_stop(tsm);
	ioctl_stand_in_stop(devices);
	made_chip_free(chip);
	return status;
}
