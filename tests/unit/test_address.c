/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "address.h"

static const struct {
	const char *what, *pattern;
	bool listen;
	int r;
} patterns[] = {
	{ "a listener", "tcp/0.0.0.0:443", true, 0 },
	{ "any address", "tcp/*:443", true, 0 },
	{ "any port", "udp/[::]:*", true, 0 },
	{ "a path", "unix/run/x.sock", true, 0 },
	{ "a path with its slash", "unix//run/x.sock", true, 0 },
	{ "an abstract name", "unix/@x", true, 0 },
	{ "a network", "10.0.0.0/8:5432", false, 0 },
	{ "an IPv6 network", "[2001:db8::]/32:*", false, 0 },
	{ "a connection with a protocol", "tcp/10.0.0.0/8:5432", false, 0 },
	{ "everything", "0.0.0.0/0:*", false, 0 },
	{ "a listener needs a protocol", "0.0.0.0:443", true, -EINVAL },
	{ "an unknown protocol", "sctp/0.0.0.0:443", true, -EINVAL },
	{ "no port", "tcp/0.0.0.0", true, -EINVAL },
	{ "an empty port", "tcp/0.0.0.0:", true, -EINVAL },
	{ "a port too great", "tcp/0.0.0.0:65536", true, -EINVAL },
	{ "a port by name", "tcp/0.0.0.0:https", true, -EINVAL },
	{ "IPv6 without brackets", "tcp/::1:443", true, -EINVAL },
	{ "IPv4 in brackets", "tcp/[10.0.0.1]:443", true, -EINVAL },
	{ "a bracket left open", "tcp/[::1:443", true, -EINVAL },
	{ "text after the bracket", "tcp/[::1]x:443", true, -EINVAL },
	{ "a prefix too long", "10.0.0.0/33:1", false, -EINVAL },
	{ "an empty prefix", "10.0.0.0/:1", false, -EINVAL },
	{ "bits beyond the prefix", "10.0.0.1/8:1", false, -EINVAL },
	{ "bits beyond an uneven prefix", "10.0.0.0/6:1", false, -EINVAL },
	{ "a prefix of any", "*/8:1", false, -EINVAL },
	{ "a host name", "db.example:5432", false, -EINVAL },
	{ "an empty path", "unix/", true, -EINVAL },
	{ "a vsock address", "vsock/2:1234", true, 0 },
	{ "any vsock port", "vsock/2:*", false, 0 },
	{ "a vsock address without a port", "vsock/2", true, -EINVAL },
	{ "an empty vsock port", "vsock/2:", true, -EINVAL },
	{ "a vsock address that is no number", "vsock/host:1", true, -EINVAL },
	{ "a part of a vsock number", "vsock/2:1*", true, -EINVAL },
	{ "nothing", "", false, -EINVAL },
};

static void patterns_are_read_strictly(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(patterns); i++) {
		struct address_pattern p;
		int r = address_pattern_parse(patterns[i].pattern, patterns[i].listen, &p);

		if (r != patterns[i].r)
			fail_msg("%s: %d", patterns[i].what, r);
	}
}

static const struct {
	const char *what, *pattern, *protocol, *address;
	bool matches;
} cases[] = {
	{ "the same", "tcp/0.0.0.0:443", "tcp", "0.0.0.0:443", true },
	{ "the same vsock address", "vsock/2:1234", "vsock", "2:1234", true },
	{ "any vsock port", "vsock/2:*", "vsock", "2:77", true },
	{ "another context", "vsock/2:*", "vsock", "3:77", false },
	{ "vsock is not of IP", "*:*", "vsock", "2:77", false },
	{ "a path is not vsock", "unix/*:*", "vsock", "2:77", false },
	{ "another port", "tcp/0.0.0.0:443", "tcp", "0.0.0.0:444", false },
	{ "another protocol", "tcp/0.0.0.0:443", "udp", "0.0.0.0:443", false },
	{ "one address is not all", "tcp/0.0.0.0:443", "tcp", "127.0.0.1:443", false },
	{ "IPv6's all is not IPv4's", "tcp/0.0.0.0:443", "tcp", "[::]:443", false },
	{ "any address", "tcp/*:443", "tcp", "[::1]:443", true },
	{ "any address, another port", "tcp/*:443", "tcp", "[::1]:80", false },
	{ "in the network", "10.0.0.0/8:5432", "tcp", "10.255.3.4:5432", true },
	{ "next to the network", "10.0.0.0/8:5432", "tcp", "11.0.0.1:5432", false },
	{ "an uneven prefix, inside", "10.8.0.0/13:*", "tcp", "10.15.255.255:1", true },
	{ "an uneven prefix, outside", "10.8.0.0/13:*", "tcp", "10.16.0.0:1", false },
	{ "every IPv4 address", "0.0.0.0/0:*", "udp", "192.0.2.1:53", true },
	{ "every IPv4 address is no IPv6", "0.0.0.0/0:*", "udp", "[2001:db8::1]:53", false },
	{ "mapped into IPv6", "10.0.0.0/8:5432", "tcp", "[::ffff:10.1.2.3]:5432", true },
	{ "mapped into IPv6, outside", "10.0.0.0/8:5432", "tcp", "[::ffff:11.1.2.3]:5432", false },
	{ "IPv6 network", "[2001:db8::]/32:*", "tcp", "[2001:db8:1::5]:8443", true },
	{ "outside the IPv6 network", "[2001:db8::]/32:*", "tcp", "[2001:db9::5]:8443", false },
	{ "with its interface", "[fe80::]/10:22", "tcp", "[fe80::1%eth0]:22", true },
	{ "no unix without its protocol", "0.0.0.0/0:*", "unix", "/run/x.sock", false },
	{ "a path", "unix/run/x.sock", "unix", "/run/x.sock", true },
	{ "a path by pattern", "unix/run/*.sock", "unix", "/run/x.sock", true },
	{ "a pattern ends at a slash", "unix/run/*.sock", "unix", "/run/a/x.sock", false },
	{ "an abstract name", "unix/@app-*", "unix", "@app-1", true },
	{ "a path is no abstract name", "unix/@x", "unix", "/x", false },
	{ "an address that cannot be read", "*:*", "tcp", "somewhere", false },
	{ "an address without a port", "*:*", "tcp", "10.0.0.1", false },
	{ "no address at all", "*:*", "tcp", "", false },
	{ "an address with a prefix is none", "*:*", "tcp", "10.0.0.0/8:1", false },
};

static void patterns_match_what_they_say(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct address_pattern p;

		assert_int_equal(address_pattern_parse(cases[i].pattern, false, &p), 0);
		if (address_pattern_matches(&p, cases[i].protocol, cases[i].address) !=
		    cases[i].matches)
			fail_msg("%s", cases[i].what);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(patterns_are_read_strictly),
		cmocka_unit_test(patterns_match_what_they_say),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
