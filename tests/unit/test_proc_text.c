/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#include <cmocka.h>

#include "cleanup.h"
#include "collectors/cgroup.h"
#include "collectors/proc_text.h"

#define STAT_REST                                                                                  \
	" S 42 1 1 0 -1 4194304 100 200 0 0 11 22 33 44 20 0 5 0 777 123456789 321 "               \
	"18446744073709551615 1 2 3 0 0 0 0 0 0 0 0 0 17 0 0 0 0 0 0\n"

#define STAT_TAIL " 0 0 0 0 1 2 3 4 20 0 5 0 777 123456789 321 0"

static const struct {
	const char *what, *text, *comm;
	int r;
} stats[] = {
	{ "an ordinary name", "1234 (nginx)" STAT_REST, "nginx", 0 },
	{ "a name that looks like the fields behind it", "1234 (a) R 1)" STAT_REST, "a) R 1", 0 },
	{ "a name of parentheses", "1234 ()()(()" STAT_REST, ")()((", 0 },
	{ "an empty name", "1234 ()" STAT_REST, "", 0 },
	{ "a name with a line end in it", "1234 (a\nb)" STAT_REST, "a\nb", 0 },
	{ "no name", "1234 nginx" STAT_REST, NULL, -EBADMSG },
	{ "no pid", "(nginx)" STAT_REST, NULL, -EBADMSG },
	{ "nothing", "", NULL, -EBADMSG },
	{ "cut after the name", "1234 (nginx)", NULL, -EBADMSG },
	{ "cut in the fields", "1234 (nginx) S 42 1 1", NULL, -EBADMSG },
	{ "the parentheses the wrong way round", "1234 )nginx(" STAT_REST, NULL, -EBADMSG },
	{ "a name longer than the kernel makes them",
	  "1 (aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa)" STAT_REST,
	  NULL, -EBADMSG },
};

static void stat_is_taken_apart_whatever_the_name(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(stats); i++) {
		struct proc_stat s;
		int r = proc_parse_stat(view_text(stats[i].text), &s);

		if (r != stats[i].r)
			fail_msg("%s: %d", stats[i].what, r);
		if (r < 0)
			continue;
		if (strcmp(s.comm, stats[i].comm) != 0)
			fail_msg("%s: name %s", stats[i].what, s.comm);
		assert_int_equal(s.pid, 1234);
		assert_int_equal(s.state, 'S');
		assert_int_equal(s.parent, 42);
		assert_int_equal(s.user_ticks, 11);
		assert_int_equal(s.system_ticks, 22);
		assert_int_equal(s.children_user_ticks, 33);
		assert_int_equal(s.children_system_ticks, 44);
		assert_int_equal(s.threads, 5);
		assert_int_equal(s.start_ticks, 777);
		assert_int_equal(s.virtual_bytes, 123456789);
		assert_int_equal(s.resident_pages, 321);
	}
}

static void a_process_on_its_way_out_is_known(void **state)
{
	struct proc_stat s;

	assert_int_equal(proc_parse_stat(view_text("7 (a) R 1 1 1 0 -1 4194304" STAT_TAIL), &s), 0);
	assert_false(s.exiting);
	assert_int_equal(proc_parse_stat(view_text("7 (a) R 1 1 1 0 -1 4194308" STAT_TAIL), &s), 0);
	assert_true(s.exiting);
}

static const struct {
	const char *what, *text;
	int r;
	uint64_t start, end, offset, inode;
	const char *protection, *name;
} mappings[] = {
	{ "a file", "55d0-55e0 r-xp 00002000 fe:00 1234                      /usr/sbin/nginx\n", 0,
	  0x55d0, 0x55e0, 0x2000, 1234, "r-xp", "/usr/sbin/nginx" },
	{ "no file", "7f00-7f10 rwxp 00000000 00:00 0 \n", 0, 0x7f00, 0x7f10, 0, 0, "rwxp", "" },
	{ "a name of the kernel's", "7f00-7f10 r-xp 00000000 00:00 0                  [vdso]\n", 0,
	  0x7f00, 0x7f10, 0, 0, "r-xp", "[vdso]" },
	{ "a path with blanks that looks like a line",
	  "1000-2000 r-xp 00000000 fe:00 7 /tmp/a b 3000-4000 rwxp\n", 0, 0x1000, 0x2000, 0, 7,
	  "r-xp", "/tmp/a b 3000-4000 rwxp" },
	{ "the last address there is",
	  "ffffffffff600000-ffffffffffffffff --xp 00000000 00:00 0 [vsyscall]\n", 0,
	  0xffffffffff600000, UINT64_MAX, 0, 0, "--xp", "[vsyscall]" },
	{ "the end before the start", "2000-1000 r-xp 00000000 fe:00 7 /x\n", -EBADMSG, 0, 0, 0, 0,
	  NULL, NULL },
	{ "a number that does not fit", "1-11111111111111111 r-xp 0 0:0 0\n", -EBADMSG, 0, 0, 0, 0,
	  NULL, NULL },
	{ "cut in the protection", "1000-2000 r-", -EBADMSG, 0, 0, 0, 0, NULL, NULL },
	{ "cut before the inode", "1000-2000 r-xp 00000000 fe:00", -EBADMSG, 0, 0, 0, 0, NULL,
	  NULL },
	{ "an empty line", "\n", -EBADMSG, 0, 0, 0, 0, NULL, NULL },
	{ "no line", "", -ENOENT, 0, 0, 0, 0, NULL, NULL },
};

static void lines_of_maps_are_taken_apart(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(mappings); i++) {
		struct view text = view_text(mappings[i].text);
		struct proc_mapping m;
		int r = proc_parse_mapping(&text, &m);

		if (r != mappings[i].r)
			fail_msg("%s: %d", mappings[i].what, r);
		if (r < 0)
			continue;
		if (m.start != mappings[i].start || m.end != mappings[i].end ||
		    m.offset != mappings[i].offset || m.inode != mappings[i].inode ||
		    strcmp(m.protection, mappings[i].protection) != 0 ||
		    !view_is(m.name, mappings[i].name))
			fail_msg("%s", mappings[i].what);
		if (m.inode == 1234)
			assert_int_equal(m.device, makedev(0xfe, 0));
		assert_int_equal(text.len, 0);
	}
}

static void every_cut_of_a_line_is_refused_or_whole(void **state)
{
	static const char line[] = "55d0-55e0 r-xp 00002000 fe:00 1234 /x";
	struct proc_mapping m;

	for (size_t n = 1; n < sizeof(line) - 1; n++) {
		struct view text = view_of(line, n);

		/* From the inode's first digit on the rest is only more of it, or the name. */
		if (n <= strlen("55d0-55e0 r-xp 00002000 fe:00 "))
			assert_int_equal(proc_parse_mapping(&text, &m), -EBADMSG);
		else
			assert_int_equal(proc_parse_mapping(&text, &m), 0);
	}
}

static void effective_ids_are_found_behind_a_hostile_name(void **state)
{
	/* The name's line ends are escaped by the kernel, so it cannot begin a line. */
	static const char text[] = "Name:\tUid:\t0 0 0 0\\nUid:\nUmask:\t0022\n"
				   "Uid:\t1000\t33\t1000\t1000\nGid:\t1\t44\t1\t1\n";
	uid_t uid;
	gid_t gid;

	assert_int_equal(proc_parse_ids(view_text(text), &uid, &gid), 0);
	assert_int_equal(uid, 33);
	assert_int_equal(gid, 44);
	assert_int_equal(proc_parse_ids(view_text("Uid:\t1\n"), &uid, &gid), -EBADMSG);
	assert_int_equal(proc_parse_ids(view_text(""), &uid, &gid), -EBADMSG);
}

static void keys_are_found_at_the_beginning_of_a_line(void **state)
{
	static const char text[] = "rchar: 1\nxread_bytes: 5\nread_bytes: 4096\nPss:    12 kB\n";
	uint64_t n;

	assert_int_equal(proc_parse_key(view_text(text), "read_bytes", &n), 0);
	assert_int_equal(n, 4096);
	assert_int_equal(proc_parse_key(view_text(text), "Pss", &n), 0);
	assert_int_equal(n, 12);
	assert_int_equal(proc_parse_key(view_text(text), "ead_bytes", &n), -ENOENT);
	assert_int_equal(proc_parse_key(view_text("a: b\n"), "a", &n), -EBADMSG);
}

static const struct {
	const char *target;
	bool is;
	uint64_t inode;
} sockets[] = {
	{ "socket:[1234]", true, 1234 },
	{ "socket:[]", false, 0 },
	{ "socket:[12", false, 0 },
	{ "socket:[12]x", false, 0 },
	{ "/tmp/socket:[12]", false, 0 },
	{ "pipe:[12]", false, 0 },
	{ "socket:[99999999999999999999999999]", false, 0 },
};

static void sockets_are_told_from_files_called_so(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(sockets); i++) {
		uint64_t inode = 0;

		if (proc_parse_socket(sockets[i].target, &inode) != sockets[i].is ||
		    inode != sockets[i].inode)
			fail_msg("%s", sockets[i].target);
	}
}

static const struct {
	const char *what, *text, *mount;
} mounts[] = {
	{ "the usual place",
	  "25 30 0:23 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n",
	  "/sys/fs/cgroup" },
	{ "beside v1",
	  "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755\n"
	  "32 31 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n"
	  "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n",
	  "/sys/fs/cgroup/unified" },
	{ "a place with a blank", "41 31 0:38 / /mnt/my\\040groups rw - cgroup2 none rw\n",
	  "/mnt/my groups" },
	{ "many optional fields", "41 31 0:38 / /x rw shared:1 master:2 - cgroup2 none rw\n",
	  "/x" },
	{ "a place that is called cgroup2", "41 31 0:38 / /cgroup2 rw - tmpfs cgroup2 rw\n", NULL },
	{ "a place that looks like the end of the optional fields",
	  "41 31 0:38 / /a\\040-\\040cgroup2 rw - tmpfs x rw\n", NULL },
	{ "a part of it, mounted elsewhere", "41 31 0:38 /sub /x rw - cgroup2 none rw\n", NULL },
	{ "a line that is cut", "41 31 0:38 / /x rw -", NULL },
	{ "nothing", "", NULL },
};

static void the_mount_is_found(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(mounts); i++) {
		CLEANUP(cleanup_mem) char *mount = NULL;
		int r = cgroup_parse_mountinfo(view_text(mounts[i].text), &mount);

		if (r != (mounts[i].mount ? 0 : -ENOENT))
			fail_msg("%s: %d", mounts[i].what, r);
		if (mounts[i].mount && strcmp(mount, mounts[i].mount) != 0)
			fail_msg("%s: %s", mounts[i].what, mount);
	}
}

static void our_own_place_is_found(void **state)
{
	CLEANUP(cleanup_mem) char *place = NULL, *none = NULL;

	assert_int_equal(cgroup_parse_self(view_text("9:name=systemd:/x\n1:cpu:/\n"
						     "0::/system.slice/assayd.service\n"),
					   &place),
			 0);
	assert_string_equal(place, "/system.slice/assayd.service");
	assert_int_equal(cgroup_parse_self(view_text("9:name=systemd:/x\n"), &none), -ENOENT);
	assert_int_equal(cgroup_parse_self(view_text("0::"), &none), -ENOENT);
}

static void killed_threads_are_told_by_their_pending_signals(void **state)
{
	static const char head[] = "Name:\tx\nThreads:\t2\nSigQ:\t0/96000\n";
	static const struct {
		const char *text;
		bool killed;
	} cases[] = {
		{ "SigPnd:\t0000000000000100\nShdPnd:\t0000000000000000\n", true },
		{ "SigPnd:\tffffffffffffffff\n", true },
		{ "SigPnd:\t0000000000000000\nShdPnd:\t0000000000000100\n", false },
		{ "SigPnd:\t0000000000000200\n", false },
		{ "SigPnd:\t0000000000000080\n", false },
		{ "SigPnd:\t\n", false },
		{ "SigBlk:\t0000000000000100\n", false },
		{ "", false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char text[256];

		snprintf(text, sizeof(text), "%s%s", head, cases[i].text);
		assert_int_equal(proc_signal_pending(view_text(text), SIGKILL), cases[i].killed);
	}
}

static void a_number_is_the_whole_text(void **state)
{
	static const struct {
		const char *text;
		uint64_t max, value;
		int r;
	} cases[] = {
		{ "0", 10, 0, 0 },
		{ "10\n", 10, 10, 0 },
		{ "11", 10, 0, -EBADMSG },
		{ "18446744073709551600", UINT64_MAX, 18446744073709551600ULL, 0 },
		{ "99999999999999999999", UINT64_MAX, 0, -EBADMSG },
		{ "", 10, 0, -EBADMSG },
		{ "\n", 10, 0, -EBADMSG },
		{ "3\n\n", 10, 0, -EBADMSG },
		{ "3 ", 10, 0, -EBADMSG },
		{ "-3", 10, 0, -EBADMSG },
		{ "..", 10, 0, -EBADMSG },
		{ "3a", 10, 0, -EBADMSG },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		uint64_t value = 7;

		if (proc_parse_number(view_text(cases[i].text), cases[i].max, &value) !=
			    cases[i].r ||
		    value != (cases[i].r == 0 ? cases[i].value : 7))
			fail_msg("%s", cases[i].text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(killed_threads_are_told_by_their_pending_signals),
		cmocka_unit_test(a_number_is_the_whole_text),
		cmocka_unit_test(stat_is_taken_apart_whatever_the_name),
		cmocka_unit_test(a_process_on_its_way_out_is_known),
		cmocka_unit_test(lines_of_maps_are_taken_apart),
		cmocka_unit_test(every_cut_of_a_line_is_refused_or_whole),
		cmocka_unit_test(effective_ids_are_found_behind_a_hostile_name),
		cmocka_unit_test(keys_are_found_at_the_beginning_of_a_line),
		cmocka_unit_test(sockets_are_told_from_files_called_so),
		cmocka_unit_test(the_mount_is_found),
		cmocka_unit_test(our_own_place_is_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
