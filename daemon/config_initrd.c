/* SPDX-License-Identifier: Apache-2.0 */
/* What is not a program that assayd starts: units, disks, and the boot itself. */
#include <arpa/inet.h>
#include <ctype.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

#include "claims.h"
#include "config_form.h"
#include "quantity.h"

#define SECOND_NS      (UINT64_C(1000) * 1000 * 1000)
#define WAIT_NS	       (30 * SECOND_NS)
#define WAIT_MAX_NS    (3600 * SECOND_NS)
#define TIMEOUT_NS     (300 * SECOND_NS)
#define TIMEOUT_MAX_NS (24 * 3600 * SECOND_NS)
#define ATTEMPTS       3
#define ATTEMPTS_MAX   100
#define INIT	       "/sbin/init"
#define CRYPTSETUP     "/usr/sbin/cryptsetup"
#define VERITYSETUP    "/usr/sbin/veritysetup"
#define UNIT_SUFFIX    ".service"
#define DISK_NAME_MAX  127 /* DM_NAME_LEN, with the zero */
#define ROOT_HASH_MAX  64  /* bytes */

struct place {
	char path[YAMLDOC_PATH_MAX];
};

static struct place key_of(size_t i, const char *key)
{
	struct place p;

	snprintf(p.path, sizeof(p.path), "applications[%zu].%s", i, key);
	return p;
}

static void expect(struct config_reading *x, const char *path, const char *expected,
		   const char *text)
{
	char found[YAMLDOC_FOUND_MAX];

	yamldoc_problem(x->d, path, "expected %s, found %s", expected, yamldoc_quoted(text, found));
}

/* What is given and says nothing here. */
static void refuse(struct config_reading *x, size_t i, const char *key, const char *beside)
{
	if (yamldoc_find(x->d, key_of(i, key).path))
		yamldoc_problem(x->d, key_of(i, key).path, "expected none beside %s, found one",
				beside);
}

/* As LoadCredential= will name it; a template's instance is none. */
static bool unit_valid(const char *unit)
{
	size_t len = strlen(unit), suffix = strlen(UNIT_SUFFIX);
	char name[APPLICATION_NAME_MAX + 1];

	if (len <= suffix || len - suffix >= sizeof(name) ||
	    strcmp(unit + len - suffix, UNIT_SUFFIX) != 0)
		return false;
	memcpy(name, unit, len - suffix);
	name[len - suffix] = '\0';
	return application_name_valid(name);
}

void config_read_unit(struct config_reading *x, const struct form_application *f, size_t i,
		      struct config_application *a)
{
	static const char *const of_the_unit[] = { "directory", "user", "group", "set_environment",
						   "restart" };

	a->unit = config_text(x, f->unit);
	if (!unit_valid(f->unit))
		expect(x, key_of(i, "unit").path,
		       "NAME.service, NAME of letters, digits, '.', '_', '-'", f->unit);
	if (f->n_files == 0)
		yamldoc_problem(x->d, key_of(i, "files").path,
				"expected the unit's program and other files, found nothing");
	for (size_t k = 0; k < ARRAY_LEN(of_the_unit); k++)
		refuse(x, i, of_the_unit[k], "unit, whose own file says it");
}

static bool disk_name_valid(const char *name)
{
	for (const char *c = name; *c; c++) {
		if (!isalnum((unsigned char)*c) && !strchr("_.+-", *c))
			return false;
	}
	return *name && *name != '.' && strlen(name) <= DISK_NAME_MAX;
}

static bool root_hash_valid(const char *hex)
{
	size_t len = strlen(hex);

	return len >= 32 && len <= (size_t)2 * ROOT_HASH_MAX && len % 2 == 0 &&
	       strspn(hex, "0123456789abcdefABCDEF") == len;
}

static char **command_of(struct config_reading *x, const char *const *words, size_t n)
{
	char **copies = config_room(x, n, sizeof(*copies));

	for (size_t i = 0; copies && i < n; i++)
		copies[i] = config_text(x, words[i]);
	return copies;
}

static void read_luks(struct config_reading *x, const struct form_disk *f,
		      struct config_application *a)
{
	const char *const command[] = { CRYPTSETUP,   "open",  "--type",       "luks2",
					"--key-file", "-",     "--batch-mode", "--tries",
					"1",	      f->luks, f->name };

	a->disk.kind = DISK_LUKS;
	a->disk.device = config_text(x, f->luks);
	a->exec = command_of(x, command, ARRAY_LEN(command));
	a->stages = 1;
	a->deliver_others = DELIVER_DISK;
}

static void read_verity(struct config_reading *x, const struct form_disk *f, size_t i,
			struct config_application *a)
{
	const char *const command[] = { VERITYSETUP, "open",  f->verity,
					f->name,     f->hash, f->root_hash };

	if (!f->hash || !f->root_hash) {
		yamldoc_problem(x->d, key_of(i, "disk").path,
				"expected hash and root_hash beside verity, found %s",
				f->hash	       ? "no root_hash"
				: f->root_hash ? "no hash"
					       : "neither");
		return;
	}
	config_check_path(x, key_of(i, "disk.hash").path, f->hash);
	if (!root_hash_valid(f->root_hash))
		expect(x, key_of(i, "disk.root_hash").path, "a digest in hex digits", f->root_hash);
	a->disk.kind = DISK_VERITY;
	a->disk.device = config_text(x, f->verity);
	a->disk.hash_device = config_text(x, f->hash);
	a->disk.root_hash = config_text(x, f->root_hash);
	a->exec = command_of(x, command, ARRAY_LEN(command));
}

void config_read_disk(struct config_reading *x, const struct form_application *f, size_t i,
		      struct config_application *a)
{
	static const char *const of_a_program[] = {
		"directory",   "user",	  "group",  "set_environment", "measurement", "logs",
		"environment", "storage", "stages", "deliver",	       "on_refusal",  "restart",
	};
	const struct form_disk *d = f->disk;

	if (!d->luks == !d->verity) {
		yamldoc_problem(x->d, key_of(i, "disk").path,
				"expected either luks or verity, found %s",
				d->luks ? "both" : "neither");
		return;
	}
	config_check_path(x, key_of(i, d->luks ? "disk.luks" : "disk.verity").path,
			  d->luks ? d->luks : d->verity);
	if (!disk_name_valid(d->name))
		expect(x, key_of(i, "disk.name").path, "a name for /dev/mapper", d->name);
	if (d->luks && (d->hash || d->root_hash))
		yamldoc_problem(x->d, key_of(i, "disk").path,
				"expected no hash and no root_hash beside luks, found one");
	a->disk.name = config_text(x, d->name);
	if (d->luks)
		read_luks(x, d, a);
	else
		read_verity(x, d, i, a);
	for (size_t k = 0; k < ARRAY_LEN(of_a_program); k++)
		refuse(x, i, of_a_program[k], "disk");
	if (f->measure && (f->measure->static_ == FORM_FALSE || f->measure->dynamic == FORM_TRUE))
		yamldoc_problem(x->d, key_of(i, "measure").path,
				"expected static measurement alone beside disk, found another");
	a->measure_static = true;
	a->measure_dynamic = false;
}

static void read_duration(struct config_reading *x, const char *path, const char *text,
			  uint64_t max_ns, const char *expected, uint64_t *ret)
{
	uint64_t ns;

	if (!text)
		return;
	if (quantity_duration(text, &ns) < 0 || ns < SECOND_NS || ns > max_ns)
		expect(x, path, expected, text);
	else
		*ret = ns;
}

/* ADDRESS/BITS; the family, or 0. */
static int family_of(const char *text, bool with_bits)
{
	char address[INET6_ADDRSTRLEN], room[sizeof(struct in6_addr)];
	const char *slash = strchr(text, '/');
	size_t len = slash ? (size_t)(slash - text) : strlen(text);
	int family = strchr(text, ':') ? AF_INET6 : AF_INET;
	uint64_t bits;

	if ((slash != NULL) != with_bits || len >= sizeof(address))
		return 0;
	memcpy(address, text, len);
	address[len] = '\0';
	if (inet_pton(family, address, room) != 1)
		return 0;
	if (slash && (quantity_count(slash + 1, &bits) < 0 || bits < 1 ||
		      bits > (family == AF_INET ? 32 : 128)))
		return 0;
	return family;
}

static void read_network(struct config_reading *x, const struct form_network *f, struct config *c)
{
	int family = family_of(f->address, true);

	if (strlen(f->interface) >= IFNAMSIZ || strchr(f->interface, '/'))
		expect(x, "initrd.network.interface", "the name of a network interface",
		       f->interface);
	if (family == 0)
		expect(x, "initrd.network.address", "ADDRESS/BITS (10.0.2.15/24, fd00::15/64)",
		       f->address);
	if (f->gateway && (family_of(f->gateway, false) == 0 ||
			   (family != 0 && family_of(f->gateway, false) != family)))
		expect(x, "initrd.network.gateway", "an address of the same kind as address",
		       f->gateway);
	c->initrd.network.interface = config_text(x, f->interface);
	c->initrd.network.address = config_text(x, f->address);
	c->initrd.network.gateway = config_text(x, f->gateway);
}

static void read_root(struct config_reading *x, const struct form_root *f, struct config *c)
{
	config_check_path(x, "initrd.root.device", f->device);
	config_check_path(x, "initrd.root.init", f->init);
	if (strchr(f->type, '/'))
		expect(x, "initrd.root.type", "the name of a file system (ext4)", f->type);
	c->initrd.root.device = config_text(x, f->device);
	c->initrd.root.type = config_text(x, f->type);
	c->initrd.root.writable = f->writable == FORM_TRUE;
	c->initrd.root.init = config_text(x, f->init ? f->init : INIT);
}

void config_read_initrd(struct config_reading *x, const struct form_initrd *f, struct config *c)
{
	struct config_initrd *to = &c->initrd;

	to->wait_ns = WAIT_NS;
	to->timeout_ns = TIMEOUT_NS;
	to->attempts = ATTEMPTS;
	to->on_failure = FAILURE_POWEROFF;
	if (!f)
		return;
	to->modules = config_texts(x, f->modules, f->n_modules);
	config_check_path(x, "initrd.modules_file", f->modules_file);
	to->modules_file = config_text(x, f->modules_file);
	if (f->network)
		read_network(x, f->network, c);
	read_duration(x, "initrd.wait", f->wait, WAIT_MAX_NS, QUANTITY_DURATION " from 1s to 1h",
		      &to->wait_ns);
	read_duration(x, "initrd.timeout", f->timeout, TIMEOUT_MAX_NS,
		      QUANTITY_DURATION " from 1s to 1d", &to->timeout_ns);
	config_number(x, "initrd.attempts", f->attempts, 1, ATTEMPTS_MAX, &to->attempts);
	if (f->root)
		read_root(x, f->root, c);
	if (f->on_failure)
		to->on_failure = (enum config_failure)(f->on_failure - 1);
}
