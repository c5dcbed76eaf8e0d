/* SPDX-License-Identifier: Apache-2.0 */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <systemd/sd-daemon.h>

#include "cleanup.h"
#include "config.h"
#include "keeper.h"
#include "log.h"
#include "policies.h"
#include "results.h"
#include "server.h"
#include "server_tls.h"

#define CONFIG_DEFAULT "/etc/assay/verifierd.yaml"
#define ALIVE_MS       10000

static void verifier_config_freep(struct verifier_config **c)
{
	verifier_config_free(*c);
}

static const char usage[] =
	"usage: assay-verifierd [--config FILE] [--check] [--foreground]\n"
	"\n"
	"Appraises the evidence of assayd and releases the secrets of each stage.\n"
	"\n"
	"  -c, --config FILE  configuration, " CONFIG_DEFAULT " by default\n"
	"      --check        read configuration, policies and keys, and say what is wrong\n"
	"  -f, --foreground   stay in the foreground, as always\n"
	"  -h, --help         this text\n"
	"  -V, --version      the version\n";

struct options {
	const char *config;
	bool check;
};

/* -1: go on; otherwise the exit status. */
static int read_options(int argc, char **argv, struct options *ret)
{
	static const struct option names[] = {
		{ "config", required_argument, NULL, 'c' }, { "check", no_argument, NULL, 'k' },
		{ "foreground", no_argument, NULL, 'f' },   { "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },	    { NULL, 0, NULL, 0 },
	};
	int c;

	*ret = (struct options){ .config = CONFIG_DEFAULT };
	while ((c = getopt_long(argc, argv, "c:fhV", names, NULL)) != -1) {
		if (c == 'c') {
			ret->config = optarg;
		} else if (c == 'k') {
			ret->check = true;
		} else if (c == 'h') {
			fputs(usage, stdout);
			return 0;
		} else if (c == 'V') {
			puts("assay-verifierd " ASSAY_VERSION);
			return 0;
		} else if (c != 'f') {
			fputs(usage, stderr);
			return 2;
		}
	}
	if (optind < argc) {
		fputs(usage, stderr);
		return 2;
	}
	return -1;
}

static int read_config(const char *path, struct verifier_config **ret)
{
	CLEANUP(bytes_cleanup) struct bytes text = BYTES_INIT(0);
	CLEANUP(cleanup_mem) char *error = NULL;
	int r;

	r = policies_read_file(path, VERIFIER_CONFIG_MAX, &text, &error);
	if (r == 0)
		r = verifier_config_parse(bytes_view(&text), path, ret, &error);
	if (r < 0)
		log_error("%s", error ? error : strerror(-r));
	return r;
}

static char *folder_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	if (!slash)
		return strdup(".");
	return strndup(path, slash == path ? 1 : (size_t)(slash - path));
}

/* --check: what the two processes read after they part. */
static int check(const struct verifier_config *config, const char *directory,
		 const struct policies *policies)
{
	CLEANUP(cleanup_mem) char *error = NULL;
	struct vault vault = { 0 };
	struct trust trust = { 0 };
	struct results results = { 0 };
	SSL_CTX *tls = NULL;
	int r;

	r = secret_heap_open();
	if (r == 0)
		r = vault_load(config, directory, &vault, &error);
	if (r == 0)
		r = vault_check(&vault, policies, &error);
	if (r < 0)
		log_error("%s", error ? error : strerror(-r));
	free(TAKE(error));
	if (trust_load(config, directory, &trust, &error) < 0) {
		log_error("%s", error ? error : "no memory");
		r = -EINVAL;
	}
	trust_done(&trust);
	free(TAKE(error));
	if (results_load(config, directory, &results, &error) < 0) {
		log_error("%s", error ? error : "no memory");
		r = -EINVAL;
	}
	results_done(&results);
	if (server_tls_open(config, directory, &tls) < 0)
		r = -EINVAL;
	SSL_CTX_free(tls);
	vault_done(&vault);
	secret_heap_close();
	return r < 0 ? 2 : 0;
}

/* Half of what the service manager allows, so that one lost beat is not the end. */
static unsigned int alive_ms(void)
{
	uint64_t usec;

	if (sd_watchdog_enabled(0, &usec) > 0 && usec / 2000 < ALIVE_MS && usec >= 2000)
		return (unsigned int)(usec / 2000);
	return ALIVE_MS;
}

static int run(const struct verifier_config *config, const char *directory,
	       const struct policies *policies)
{
	unsigned int alive = alive_ms();
	int fds[2], status = 0, r;
	pid_t appraiser;

	signal(SIGPIPE, SIG_IGN);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0) {
		log_error("socketpair: %s", strerror(errno));
		return 3;
	}
	/* Before any secret is read: the appraiser's memory never held one. */
	appraiser = fork();
	if (appraiser < 0) {
		log_error("fork: %s", strerror(errno));
		return 3;
	}
	if (appraiser == 0) {
		close(fds[0]);
		_exit(server_main(config, directory, policies, fds[1], alive));
	}
	close(fds[1]);
	r = keeper_main(config, directory, policies, fds[0], server_clock);
	/* It ended by itself, or it has nothing left to do: its socket is closed. */
	if (waitpid(appraiser, &status, WNOHANG) == 0) {
		kill(appraiser, SIGKILL);
		waitpid(appraiser, &status, 0);
	} else if (WIFSIGNALED(status)) {
		log_error("the appraiser was ended by signal %d", WTERMSIG(status));
	}
	return r;
}

int main(int argc, char **argv)
{
	CLEANUP(verifier_config_freep) struct verifier_config *config = NULL;
	CLEANUP(cleanup_mem) char *directory = NULL;
	CLEANUP(cleanup_mem) char *error = NULL;
	struct policies policies = { 0 };
	struct options options;
	int r;

	log_open("assay-verifierd", LOG_LEVEL_INFO);
	r = read_options(argc, argv, &options);
	if (r >= 0)
		return r;
	if (read_config(options.config, &config) < 0)
		return 2;
	log_open("assay-verifierd", (enum log_level)config->log_level);
	directory = folder_of(options.config);
	if (!directory)
		return 3;
	if (policies_load(config, directory, &policies, &error) < 0) {
		log_error("%s", error ? error : "no memory");
		return 2;
	}
	r = options.check ? check(config, directory, &policies) : run(config, directory, &policies);
	policies_done(&policies);
	return r;
}
