/* SPDX-License-Identifier: Apache-2.0 */
/* What assayd mounts and configures in an initrd, in namespaces with a root in memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/initrd.h"

#define SKIPPED	   77
#define EACH_SHORT UINT64_C(50000000) /* ns */

static char why[INITRD_WHY_MAX];
static char interface[] = "lo";

static bool has_address(const char *expected)
{
	char text[INET6_ADDRSTRLEN];
	struct ifaddrs *all;
	bool found = false;

	assert_int_equal(getifaddrs(&all), 0);
	for (struct ifaddrs *a = all; a; a = a->ifa_next) {
		const void *bytes;

		if (!a->ifa_addr)
			continue;
		if (a->ifa_addr->sa_family == AF_INET)
			bytes = &((struct sockaddr_in *)a->ifa_addr)->sin_addr;
		else if (a->ifa_addr->sa_family == AF_INET6)
			bytes = &((struct sockaddr_in6 *)a->ifa_addr)->sin6_addr;
		else
			continue;
		inet_ntop(a->ifa_addr->sa_family, bytes, text, sizeof(text));
		found = found || strcmp(text, expected) == 0;
	}
	freeifaddrs(all);
	return found;
}

static bool is_up(const char *name)
{
	struct ifreq request = { 0 };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
	assert_int_equal(ioctl(fd, SIOCGIFFLAGS, &request), 0);
	close(fd);
	return request.ifr_flags & IFF_UP;
}

static void loopback_comes_up_by_itself(void **state)
{
	struct config_initrd c = { 0 };

	(void)state;
	assert_false(is_up("lo"));
	assert_int_equal(initrd_network_up(&c, why, sizeof(why)), 0);
	assert_true(is_up("lo"));
}

static void an_interface_gets_its_address_and_route(void **state)
{
	static char v4[] = "10.1.2.3/24", v6[] = "fd00:a::15/64", gateway[] = "10.1.2.1";
	struct config_initrd c = { .network = { .interface = interface, .address = v4 } };

	(void)state;
	c.network.gateway = gateway;
	if (initrd_network_up(&c, why, sizeof(why)) < 0)
		fail_msg("%s", why);
	assert_true(has_address("10.1.2.3"));
	/* Twice is as good as once. */
	assert_int_equal(initrd_network_up(&c, why, sizeof(why)), 0);
	c.network.address = v6;
	c.network.gateway = NULL;
	if (initrd_network_up(&c, why, sizeof(why)) < 0)
		fail_msg("%s", why);
	assert_true(has_address("fd00:a::15"));
}

static void what_is_wrong_with_the_network_is_said(void **state)
{
	static char none[] = "assay-none", v4[] = "10.1.2.3/24", elsewhere[] = "192.0.2.1";
	struct config_initrd c = { .network = { .interface = none, .address = v4 },
				   .wait_ns = EACH_SHORT };

	(void)state;
	assert_int_equal(initrd_network_up(&c, why, sizeof(why)), -ENODEV);
	assert_non_null(strstr(why, "assay-none"));
	assert_non_null(strstr(why, "initrd.modules"));
	c.network.interface = interface;
	c.network.gateway = elsewhere;
	assert_true(initrd_network_up(&c, why, sizeof(why)) < 0);
	assert_non_null(strstr(why, "192.0.2.1"));
}

static void the_kernels_file_systems_are_mounted_once(void **state)
{
	static const char *const there[] = { "/proc/self/status", "/sys/kernel", "/dev/null",
					     "/sys/fs/cgroup/cgroup.procs" };
	struct stat before, after;

	(void)state;
	assert_true(initrd_root_in_memory());
	assert_int_not_equal(access("/proc/self/status", F_OK), 0);
	if (initrd_mount_all(why, sizeof(why)) < 0)
		fail_msg("%s", why);
	for (size_t i = 0; i < ARRAY_LEN(there); i++) {
		if (access(there[i], F_OK) < 0)
			fail_msg("no %s", there[i]);
	}
	assert_int_equal(stat("/run", &before), 0);
	assert_int_equal(mkdir("/run/kept", 0755), 0);
	assert_int_equal(initrd_mount_all(why, sizeof(why)), 0);
	assert_int_equal(stat("/run", &after), 0);
	assert_true(before.st_dev == after.st_dev);
	assert_int_equal(access("/run/kept", F_OK), 0);
	/* Memory it is; an initramfs it is not, for a process that is not the first. */
	assert_false(initrd_here());
}

static void a_root_that_is_none_is_not_switched_to(void **state)
{
	static char device[] = "none", type[] = "tmpfs", init[] = "/sbin/init",
		    unknown[] = "assayfs";
	struct config_initrd c = { .root = { .device = device, .type = unknown, .init = init } };

	(void)state;
	assert_int_equal(initrd_mount_root(&c, why, sizeof(why)), -ENODEV);
	assert_non_null(strstr(why, "initrd.modules"));
	c.root.type = type;
	assert_int_equal(initrd_mount_root(&c, why, sizeof(why)), -ENOTDIR);
	assert_non_null(strstr(why, "no directory /dev"));
	assert_int_equal(umount(INITRD_NEW_ROOT), 0);
}

/* A root in memory, for this process alone. */
static int enter(const char *root)
{
	if (unshare(CLONE_NEWNS | CLONE_NEWNET) < 0 ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("tmpfs", root, "tmpfs", 0, "mode=0755") < 0 || chdir(root) < 0 ||
	    chroot(".") < 0 || chdir("/") < 0)
		return -1;
	return 0;
}

static int run(const char *root)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(loopback_comes_up_by_itself),
		cmocka_unit_test(an_interface_gets_its_address_and_route),
		cmocka_unit_test(what_is_wrong_with_the_network_is_said),
		cmocka_unit_test(the_kernels_file_systems_are_mounted_once),
		cmocka_unit_test(a_root_that_is_none_is_not_switched_to),
	};

	if (enter(root) < 0) {
		print_message("skipped: namespaces cannot be made: %s\n", strerror(errno));
		return SKIPPED;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(void)
{
	char root[] = "/tmp/assay-test-XXXXXX";
	int status = 0;
	pid_t pid;

	if (!mkdtemp(root))
		return 1;
	/* Whoever is outside can remove the directory again. */
	pid = fork();
	if (pid == 0) {
		status = run(root);
		fflush(NULL);
		_exit(status);
	}
	if (pid < 0 || waitpid(pid, &status, 0) < 0 || rmdir(root) < 0)
		return 1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
