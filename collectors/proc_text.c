/* SPDX-License-Identifier: Apache-2.0 */
#include "collectors/proc_text.h"

#include <string.h>
#include <sys/sysmacros.h>

#define PF_EXITING 0x4 /* include/linux/sched.h of the kernel */

bool proc_piece(struct view *rest, char separator, struct view *ret)
{
	const uint8_t *end;
	size_t len;

	if (rest->len == 0)
		return false;
	end = memchr(rest->data, separator, rest->len);
	len = end ? (size_t)(end - rest->data) : rest->len;
	*ret = view_of(rest->data, len);
	len += end ? 1 : 0;
	*rest = view_of(rest->data + len, rest->len - len);
	return true;
}

static int digit(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return 16;
}

/* Takes a number off the front of v. False: there is none, or it does not fit. */
static bool take_number(struct view *v, unsigned int base, uint64_t *ret)
{
	uint64_t value = 0;
	size_t i;

	for (i = 0; i < v->len && (unsigned int)digit(v->data[i]) < base; i++) {
		if (value > (UINT64_MAX - 15) / base)
			return false;
		value = value * base + (unsigned int)digit(v->data[i]);
	}
	if (i == 0)
		return false;
	*v = view_of(v->data + i, v->len - i);
	*ret = value;
	return true;
}

static bool take_char(struct view *v, char c)
{
	if (v->len == 0 || v->data[0] != (uint8_t)c)
		return false;
	*v = view_of(v->data + 1, v->len - 1);
	return true;
}

static void skip_blanks(struct view *v)
{
	while (v->len > 0 && (v->data[0] == ' ' || v->data[0] == '\t'))
		*v = view_of(v->data + 1, v->len - 1);
}

int proc_parse_number(struct view text, uint64_t max, uint64_t *ret)
{
	uint64_t value;

	if (!take_number(&text, 10, &value) || value > max)
		return -EBADMSG;
	(void)take_char(&text, '\n');
	if (text.len > 0)
		return -EBADMSG;
	*ret = value;
	return 0;
}

/* Fields of stat(5) after the name, numbered as in the manual, where the state is 3. */
enum { STATE = 3, PPID, FLAGS = 9, UTIME = 14, STIME, CUTIME, CSTIME, THREADS = 20, START = 22, VSIZE, RSS };

int proc_parse_stat(struct view text, struct proc_stat *ret)
{
	uint64_t fields[RSS + 1] = { 0 }, pid;
	struct proc_stat s = { 0 };
	const uint8_t *open, *close;
	struct view rest = text, field;
	size_t len;

	if (!take_number(&rest, 10, &pid))
		return -EBADMSG;
	/* The name may hold anything, ") R 1" too: it ends at the last parenthesis. */
	open = memchr(text.data, '(', text.len);
	close = memrchr(text.data, ')', text.len);
	if (!open || !close || close < open)
		return -EBADMSG;
	len = (size_t)(close - open) - 1;
	if (len >= sizeof(s.comm))
		return -EBADMSG;
	memcpy(s.comm, open + 1, len);
	rest = view_of(close + 1, (size_t)(text.data + text.len - close) - 1);
	if (!take_char(&rest, ' ') || rest.len == 0)
		return -EBADMSG;
	s.state = (char)rest.data[0];
	for (int i = STATE; i <= RSS; i++) {
		if (!proc_piece(&rest, ' ', &field))
			return -EBADMSG;
		/* Some in between are negative; none that is kept is. */
		if (i > STATE && !take_number(&field, 10, &fields[i]))
			fields[i] = 0;
	}
	s.pid = (pid_t)pid;
	s.parent = (pid_t)fields[PPID];
	s.exiting = fields[FLAGS] & PF_EXITING;
	s.user_ticks = fields[UTIME];
	s.system_ticks = fields[STIME];
	s.children_user_ticks = fields[CUTIME];
	s.children_system_ticks = fields[CSTIME];
	s.threads = (uint32_t)fields[THREADS];
	s.start_ticks = fields[START];
	s.virtual_bytes = fields[VSIZE];
	s.resident_pages = fields[RSS];
	*ret = s;
	return 0;
}

/* What follows "KEY:" at the beginning of a line. */
static bool find_key(struct view text, const char *key, struct view *ret)
{
	size_t len = strlen(key);
	struct view line;

	while (proc_piece(&text, '\n', &line)) {
		if (line.len > len && memcmp(line.data, key, len) == 0 && line.data[len] == ':') {
			*ret = view_of(line.data + len + 1, line.len - len - 1);
			skip_blanks(ret);
			return true;
		}
	}
	return false;
}

int proc_parse_key(struct view text, const char *key, uint64_t *ret)
{
	struct view value;

	if (!find_key(text, key, &value))
		return -ENOENT;
	return take_number(&value, 10, ret) ? 0 : -EBADMSG;
}

bool proc_signal_pending(struct view text, int signal)
{
	struct view value;
	uint64_t pending;

	return find_key(text, "SigPnd", &value) && take_number(&value, 16, &pending) &&
	       pending >> (signal - 1) & 1;
}

/* The second of "real effective saved filesystem". */
static int effective(struct view text, const char *key, uint64_t *ret)
{
	struct view value;
	uint64_t real;

	if (!find_key(text, key, &value) || !take_number(&value, 10, &real))
		return -EBADMSG;
	skip_blanks(&value);
	return take_number(&value, 10, ret) ? 0 : -EBADMSG;
}

int proc_parse_ids(struct view text, uid_t *ret_uid, gid_t *ret_gid)
{
	uint64_t uid, gid;
	int r;

	r = effective(text, "Uid", &uid);
	if (r == 0)
		r = effective(text, "Gid", &gid);
	if (r < 0)
		return r;
	*ret_uid = (uid_t)uid;
	*ret_gid = (gid_t)gid;
	return 0;
}

int proc_parse_mapping(struct view *text, struct proc_mapping *ret)
{
	struct proc_mapping m = { 0 };
	uint64_t major, minor;
	struct view line;

	if (!proc_piece(text, '\n', &line))
		return -ENOENT;
	if (!take_number(&line, 16, &m.start) || !take_char(&line, '-') ||
	    !take_number(&line, 16, &m.end) || !take_char(&line, ' ') || line.len < 5)
		return -EBADMSG;
	memcpy(m.protection, line.data, 4);
	line = view_of(line.data + 4, line.len - 4);
	if (!take_char(&line, ' ') || !take_number(&line, 16, &m.offset) ||
	    !take_char(&line, ' ') || !take_number(&line, 16, &major) || !take_char(&line, ':') ||
	    !take_number(&line, 16, &minor) || !take_char(&line, ' ') ||
	    !take_number(&line, 10, &m.inode) || m.end < m.start)
		return -EBADMSG;
	m.device = makedev((unsigned int)major, (unsigned int)minor);
	skip_blanks(&line);
	m.name = line;
	*ret = m;
	return 0;
}

bool proc_parse_socket(const char *target, uint64_t *ret_inode)
{
	static const char prefix[] = "socket:[";
	struct view v = view_text(target);
	uint64_t inode;

	if (strncmp(target, prefix, sizeof(prefix) - 1) != 0)
		return false;
	v = view_of(v.data + sizeof(prefix) - 1, v.len - (sizeof(prefix) - 1));
	if (!take_number(&v, 10, &inode) || !view_is(v, "]"))
		return false;
	*ret_inode = inode;
	return true;
}
