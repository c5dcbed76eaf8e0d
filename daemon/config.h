/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_DAEMON_CONFIG_H
#define ASSAY_DAEMON_CONFIG_H

#include "attester.h"
#include "bytes.h"
#include "mi.h"
#include "target.h"

/* /etc/assay/assayd.yaml, checked against its schema. assayd.yaml(5) describes every key. */

#define CONFIG_MAX          (1024 * 1024)
#define CONFIG_APPLICATIONS 64
#define CONFIG_NONE         "none"
#define CONFIG_NODES        32 /* time nodes of one application */

enum config_deliver {
	DELIVER_SOCKET,      /* libassay, assay secret get */
	DELIVER_CREDENTIAL,  /* a file in a private tmpfs, $CREDENTIALS_DIRECTORY */
	DELIVER_ENVIRONMENT, /* variable named after the secret, upper case, '-' and '.' as '_' */
	DELIVER_ARGUMENT,    /* in place of {secret:NAME} in exec */
	DELIVER_SYSTEMD,     /* LoadCredential= from the credential socket */
	DELIVER_DISK,	     /* opens the application's disk; of `disk:`, not to be configured */
};

/* protect: [...]; the same bits as enum guard_part */
enum config_protect { PROTECT_SELF = 1, PROTECT_FILES = 2, PROTECT_CHIP = 4 };

enum config_refusal { REFUSAL_WITHHOLD, REFUSAL_FREEZE, REFUSAL_STOP, REFUSAL_KILL };

struct config_node {
	Assay__TimeNode__Kind kind;
	uint64_t every_ns, jitter_ns; /* EVERY */
	uint32_t second_of_day;       /* DAILY, local time */
	int64_t time;                 /* TIME: seconds since 1970 */
	uint32_t events;              /* EVENT: bitmap of config_event */
	uint32_t report_every;        /* 1: each measurement its own chip report */
};

/* on: event, of: [...] */
enum config_event {
	CONFIG_EVENT_EXEC = 1 << 0,      /* exec */
	CONFIG_EVENT_LISTEN = 1 << 1,    /* listen */
	CONFIG_EVENT_CONNECT = 1 << 2,   /* connect */
	CONFIG_EVENT_EXIT = 1 << 3,      /* exit: a process of the application ended */
	CONFIG_EVENT_FOREIGN = 1 << 4,   /* foreign_access: another process reached into it */
	CONFIG_EVENT_WX_MEMORY = 1 << 5, /* wx_memory: new memory writable and executable */
	CONFIG_EVENT_FILE_CHANGED = 1 << 6, /* file_changed: of a measured or mapped file */
};

/* disk: what is opened in place of a program that is started */
struct config_disk {
	enum { DISK_NONE, DISK_LUKS, DISK_VERITY } kind;
	char *device; /* absolute path */
	char *name;   /* /dev/mapper/NAME once it is open */
	char *hash_device, *root_hash; /* dm-verity: absolute path, hex digits */
};

struct config_application {
	char *name;
	char **exec; /* NULL-terminated; of a disk the program that opens it; NULL: a unit's */
	char *unit;  /* NAME.service, which systemd starts; NULL: assayd starts exec */
	struct config_disk disk;
	char *directory;
	char *user, *group; /* NULL: assayd's own, with a warning */
	struct { char *name, *value; } *environment; /* set for it; nothing is inherited but PATH, LANG */
	size_t n_environment;
	bool measure_static, measure_dynamic;
	bool raw; /* measurement: raw */
	struct target_config target; /* points into this object */
	struct config_node *nodes;
	size_t n_nodes;
	uint32_t stages;
	enum config_deliver deliver_others;
	struct { uint32_t stage; enum config_deliver how; } *deliver;
	size_t n_deliver;
	enum config_refusal on_refusal;
	bool restart; /* start again when it ended by itself */
};

enum config_failure { FAILURE_POWEROFF, FAILURE_REBOOT, FAILURE_SHELL };

/* initrd: what `assayd --initrd` does around the measuring: docs/boot.md */
struct config_initrd {
	char **modules; /* names, or absolute paths of files; NULL-terminated */
	char *modules_file; /* further ones, one a line; NULL: none */
	struct {
		char *interface; /* NULL: the network is none of assayd's business */
		char *address;	 /* ADDRESS/BITS, of IPv4 or IPv6 */
		char *gateway;	 /* NULL: none */
	} network;
	uint64_t wait_ns;    /* for each: interface, chip, disk */
	uint64_t timeout_ns; /* from the start until the disks are open */
	uint32_t attempts;   /* to open each disk */
	struct {
		char *device; /* NULL: no other root follows */
		char *type;
		bool writable;
		char *init;
	} root;
	enum config_failure on_failure;
};

struct config {
	struct config_initrd initrd;
	char *verifier_address; /* host:port to dial; NULL in listen mode */
	char *verifier_listen;  /* address:port the verifier dials */
	char *verifier_name;    /* expected in its certificate; the host of the address by default */
	char *verifier_ca;      /* PEM file */
	bool mi_separate;       /* mi_channel: separate */
	bool hooks_full;        /* hooks: full; see collectors/follow.h */
	uint32_t protect;       /* bits of config_protect */
	bool protect_required;  /* without it assayd does not start */
	char *attester;         /* auto, tpm, soft ... */
	struct attester_config chip;
	char *ima_log;          /* of a TPM; NULL: the kernel's, where there is one; CONFIG_NONE */
	char *socket;           /* application socket, /run/assay/app.sock */
	char *credential_socket; /* for LoadCredential=; NULL: none */
	char *runtime_directory; /* /run/assay */
	char *state_directory;   /* /var/lib/assay */
	char *cgroup;            /* directory of a cgroup v2 hierarchy; NULL: found in /proc/self/mountinfo */
	char *net_user;          /* user of the net process */
	uint32_t queue_max;      /* measurements kept while the verifier is away */
	int log_level;
	struct config_application *applications;
	size_t n_applications;
	struct digest digest; /* SHA-384 of the text: Claims.config */
};

/*
 * Parses; pure. file names it in errors. -EINVAL, and *ret_error has a line a problem,
 * "FILE:LINE: KEY: what was expected" (free() it). -ENOMEM.
 */
MUST_CHECK int config_parse(struct view text, const char *file, struct config **ret,
			    char **ret_error);
void config_free(struct config *c);

/* How a stage's secrets reach the application. */
enum config_deliver config_deliver_of(const struct config_application *a, uint32_t stage);

#endif
