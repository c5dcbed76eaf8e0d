/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <systemd/sd-daemon.h>

#include "cleanup.h"
#include "config.h"
#include "footprint.h"
#include "initrd.h"
#include "log.h"
#include "monitor.h"
#include "net.h"

#define DEFAULT_CONFIG "/etc/assay/assayd.yaml"

static const char usage[] =
	"usage: assayd [--config FILE] [--check] [--initrd]\n"
	"\n"
	"Measures applications, has the chip sign what it saw, and hands over the secrets\n"
	"that the verifier releases.\n"
	"\n"
	"  -c, --config FILE  configuration (" DEFAULT_CONFIG ")\n"
	"      --check        only check the configuration\n"
	"      --initrd       in an initrd, before the root file system: make the machine\n"
	"                     ready, open its disks once released, hand over, and go on\n"
	"  -v, --verbose      log more\n"
	"  -h, --help         this text\n"
	"      --version      the version\n"
	"\n"
	"Exit status: 0 ended as told, 2 wrong use or configuration, 3 the environment\n"
	"failed (no chip, no cgroup v2, no locked memory). assayd(8), assayd.yaml(5).\n";

/* For a start in the initrd that does not get as far as reading what is configured. */
static const struct config_initrd no_config = { .on_failure = FAILURE_POWEROFF };

/* Where a name is a file for real: so that errors name it, and a special file does not hang us. */
static int read_config(const char *path, struct config **ret)
{
	CLEANUP(bytes_cleanup) struct bytes text = BYTES_INIT(CONFIG_MAX);
	CLEANUP(cleanup_mem) char *error = NULL;
	CLEANUP(cleanup_fd) int fd = -1;
	int r;

	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0) {
		fprintf(stderr, "assayd: %s: %s\n", path, strerror(errno));
		return neg_errno();
	}
	r = bytes_read_fd(&text, fd);
	if (r < 0) {
		fprintf(stderr, "assayd: %s: %s\n", path, strerror(-r));
		return r;
	}
	r = config_parse(bytes_view(&text), path, ret, &error);
	if (r < 0)
		fprintf(stderr, "%s\n", error ? error : strerror(-r));
	return r;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "config", required_argument, NULL, 'c' }, { "check", no_argument, NULL, 'C' },
		{ "verbose", no_argument, NULL, 'v' },	    { "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },	    { "initrd", no_argument, NULL, 'I' },
		{ NULL, 0, NULL, 0 },
	};
	const char *path = DEFAULT_CONFIG;
	/* The kernel gives process 1 what it has no use for itself on its command line. */
	bool check = false, verbose = false, initrd = getpid() == 1 && initrd_here();
	int ends[2], o, status, report = -1, passed = sd_listen_fds(0);
	bool kernels_arguments = initrd;
	struct config *config;
	pid_t net;

	opterr = !kernels_arguments;
	while ((o = getopt_long(argc, argv, "c:vh", options, NULL)) != -1) {
		if (o == 'c') {
			path = optarg;
		} else if (o == 'C') {
			check = true;
		} else if (o == 'v') {
			verbose = true;
		} else if (o == 'h') {
			fputs(usage, stdout);
			return 0;
		} else if (o == 'V') {
			puts("assayd " ASSAY_VERSION);
			return 0;
		} else if (o == 'I') {
			initrd = true;
		} else if (!kernels_arguments) {
			fputs(usage, stderr);
			return 2;
		}
	}
	if (optind < argc && !kernels_arguments) {
		fputs(usage, stderr);
		return 2;
	}
	if (initrd && !check && !initrd_here()) {
		fprintf(stderr, "assayd: --initrd: this is no initrd, or another root has taken its "
				"place\n");
		return 2;
	}
	/* The console is a terminal, and what is on it ends up in logs. */
	if (initrd && setenv("NO_COLOR", "1", 0) < 0)
		return 3;
	log_open("assayd", verbose ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO);
	footprint_limit();
	if (read_config(path, &config) < 0) {
		if (initrd && !check)
			initrd_give_up(&no_config, 0, "the configuration is wrong");
		return 2;
	}
	if (check) {
		config_free(config);
		return 0;
	}
	log_open("assayd", verbose ? LOG_LEVEL_DEBUG : (enum log_level)config->log_level);
	if (initrd) {
		report = initrd_enter(config);
		/* What is in memory is no place for what must outlive a boot. */
		config->chip.state = NULL;
		/* The mark of what a service manager is to leave alone while roots change. */
		argv[0][0] = '@';
		/* It may have been started as /init. */
		prctl(PR_SET_NAME, "assayd");
	}
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0) {
		log_error("socketpair: %s", strerror(errno));
		return 3;
	}
	/* net is made first: it never has a key, a chip or an eBPF program to give up. */
	net = fork();
	if (net < 0) {
		log_error("fork: %s", strerror(errno));
		return 3;
	}
	if (net == 0) {
		close(ends[0]);
		/* What the service manager passed is for the monitor. */
		for (int fd = SD_LISTEN_FDS_START; fd < SD_LISTEN_FDS_START + passed; fd++)
			close(fd);
		status = net_main(config, ends[1]);
		config_free(config);
		return status;
	}
	close(ends[1]);
	status = monitor_main(config, ends[0], net, report);
	config_free(config);
	return status;
}
