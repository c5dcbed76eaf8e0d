/* SPDX-License-Identifier: Apache-2.0 */
#include <linux/capability.h>

#include "tests/unit/judge_mi.h"

/* Rules on what processes may do, what is held open, and the machine. */

#define BIT(n) (UINT64_C(1) << (n))

static const char *const state_collectors[] = { "credentials", "machine", "descriptors" };

static Assay__Credentials *add_credentials(struct mi *mi, uint32_t uid)
{
	Assay__Credentials *c = MI_MESSAGE(mi, Assay__Credentials, assay__credentials__init);

	c->uid = c->effective_uid = c->saved_uid = c->filesystem_uid = uid;
	c->permitted = c->effective = BIT(CAP_NET_BIND_SERVICE);
	c->no_new_privs = true;
	c->seccomp = 2;
	c->seccomp_filters = 1;
	assert_int_equal(mi_push(mi, &mi->msg->n_credentials, &mi->msg->credentials, c), 0);
	return c;
}

static Assay__Namespaces *add_namespaces(struct mi *mi)
{
	Assay__Namespaces *n = MI_MESSAGE(mi, Assay__Namespaces, assay__namespaces__init);

	n->mnt = 10;
	n->net = 11;
	assert_int_equal(mi_push(mi, &mi->msg->n_namespaces, &mi->msg->namespaces, n), 0);
	return n;
}

static void add_setting(struct mi *mi, const char *name, const char *value, bool absent)
{
	Assay__Setting *s = MI_MESSAGE(mi, Assay__Setting, assay__setting__init);

	s->name = (char *)name;
	s->value = (char *)value;
	s->absent = absent;
	assert_int_equal(mi_push(mi, &mi->msg->machine->n_settings, &mi->msg->machine->settings, s),
			 0);
}

static void fill_state(struct mi *mi)
{
	Assay__Mi *m = mi->msg;
	Assay__Process *p = m->processes[0];

	m->machine = MI_MESSAGE(mi, Assay__Machine, assay__machine__init);
	m->descriptors = MI_MESSAGE(mi, Assay__Descriptors, assay__descriptors__init);
	add_credentials(mi, 33);
	add_namespaces(mi);
	p->credentials = p->namespaces = 1;
	p->dumpable = 1;
	p->executable = 1;
	p->start_boottime_ns = 5;
	add_setting(mi, "kernel.yama.ptrace_scope", "1", false);
	add_setting(mi, "kernel.perf_event_paranoid", "-1", false);
	add_setting(mi, "kernel.core_pattern", "core", false);
	add_setting(mi, "kernel.modules_disabled", "", true);
	m->machine->lockdown = (char *)"integrity";
	m->machine->cpus_online = (char *)"0-3";
	m->machine->clock_offset_ns = INT64_C(1700000000000000000);
	for (size_t i = 0; i < ARRAY_LEN(state_collectors); i++)
		assert_int_equal(mi_status(mi, state_collectors[i],
					   ASSAY__COLLECTOR_STATUS__STATE__COMPLETE, NULL),
				 0);
}

static void root_now(struct mi *mi)
{
	mi->msg->credentials[0]->effective_uid = 0;
}

static void more_capabilities(struct mi *mi)
{
	mi->msg->credentials[0]->effective |= BIT(CAP_SYS_ADMIN);
}

static void ambient_capability(struct mi *mi)
{
	mi->msg->credentials[0]->ambient |= BIT(CAP_SYS_PTRACE);
}

static void other_groups(struct mi *mi)
{
	mi->msg->credentials[0]->groups = 1;
}

static void no_seccomp(struct mi *mi)
{
	mi->msg->credentials[0]->seccomp = 0;
}

static void may_gain(struct mi *mi)
{
	mi->msg->credentials[0]->no_new_privs = false;
}

static void another_process(struct mi *mi, uint32_t credentials, uint32_t namespaces)
{
	Assay__Process *p = MI_MESSAGE(mi, Assay__Process, assay__process__init);

	p->pid = 8;
	p->start_boottime_ns = 9;
	p->credentials = credentials;
	p->namespaces = namespaces;
	p->dumpable = 1;
	p->executable = 1;
	assert_int_equal(mi_push(mi, &mi->msg->n_processes, &mi->msg->processes, p), 0);
}

static void a_worker_like_the_others(struct mi *mi)
{
	another_process(mi, 1, 1);
}

static void a_worker_of_root(struct mi *mi)
{
	add_credentials(mi, 0);
	another_process(mi, 2, 1);
}

static void a_worker_elsewhere(struct mi *mi)
{
	add_namespaces(mi)->net = 99;
	another_process(mi, 1, 2);
}

static void moved(struct mi *mi)
{
	mi->msg->namespaces[0]->mnt = 99;
}

static void a_process_not_looked_at(struct mi *mi)
{
	mi->msg->processes[0]->credentials = 0;
}

static void a_process_of_no_known_credentials(struct mi *mi)
{
	mi->msg->processes[0]->credentials = 77;
}

static Assay__Threads *add_thread(struct mi *mi, uint32_t credentials, uint32_t tracer)
{
	Assay__Process *p = mi->msg->processes[0];
	Assay__Threads *t = MI_MESSAGE(mi, Assay__Threads, assay__threads__init);

	t->first = 70;
	t->count = 1;
	t->credentials = credentials;
	t->namespaces = 1;
	t->tracer = tracer;
	assert_int_equal(mi_push(mi, &p->n_threads_apart, &p->threads_apart, t), 0);
	return t;
}

static void a_thread_of_root(struct mi *mi)
{
	add_credentials(mi, 0);
	add_thread(mi, 2, 0);
}

static void a_thread_elsewhere(struct mi *mi)
{
	add_namespaces(mi)->net = 99;
	add_thread(mi, 1, 0)->namespaces = 2;
}

static void a_thread_without_seccomp(struct mi *mi)
{
	add_credentials(mi, 33)->seccomp = 0;
	add_thread(mi, 2, 0);
}

static void a_thread_with_more(struct mi *mi)
{
	add_credentials(mi, 33)->permitted |= BIT(CAP_SYS_MODULE);
	add_thread(mi, 2, 0);
}

static void traced(struct mi *mi)
{
	mi->msg->processes[0]->tracer = 4711;
}

static void traced_thread(struct mi *mi)
{
	add_thread(mi, 1, 4711);
}

static void dumpable(struct mi *mi)
{
	mi->msg->processes[0]->dumpable = 2;
}

static void dumpable_unseen(struct mi *mi)
{
	mi->msg->processes[0]->dumpable = 0;
}

static void replaced(struct mi *mi)
{
	mi->msg->processes[0]->executed = 2;
}

static void another_executable(struct mi *mi)
{
	mi->msg->processes[0]->executable = (uint32_t)add_file(mi, "/tmp/evil", 0xcc);
}

static void changed_executable(struct mi *mi)
{
	memset(mi->msg->files[0]->sha256.data, 0xcc, 32);
}

static void no_executable(struct mi *mi)
{
	mi->msg->processes[0]->executable = 0;
}

static void environment_seen(struct mi *mi)
{
	mi->msg->environment->processes[0]->executed_seen = true;
}

static void environment_changed(struct mi *mi)
{
	Assay__EnvironmentOf *e = mi->msg->environment->processes[0];

	environment_seen(mi);
	e->changed = true;
	assert_int_equal(mi_push(mi, &e->n_only_now, &e->only_now, (char *)"LD_PRELOAD"), 0);
}

static void own(struct mi *mi, const char *kind, const char *detail)
{
	Assay__Descriptor *d = MI_MESSAGE(mi, Assay__Descriptor, assay__descriptor__init);

	d->pid = 7;
	d->number = 3;
	d->kind = (char *)kind;
	d->detail = (char *)detail;
	assert_int_equal(
		mi_push(mi, &mi->msg->descriptors->n_own, &mi->msg->descriptors->own, d), 0);
}

static void foreign(struct mi *mi, const char *kind, uint32_t target, const char *detail)
{
	Assay__Holder *h = MI_MESSAGE(mi, Assay__Holder, assay__holder__init);

	h->pid = 66;
	h->comm = (char *)"gdb";
	h->kind = (char *)kind;
	h->target = target;
	h->detail = (char *)detail;
	h->writable = target != 0;
	assert_int_equal(mi_push(mi, &mi->msg->descriptors->n_foreign,
				 &mi->msg->descriptors->foreign, h),
			 0);
}

static void reverse_shell(struct mi *mi)
{
	own(mi, "standard_socket", "tcp 203.0.113.5:4444");
}

static void other_kind(struct mi *mi)
{
	own(mi, "memory_file", "memfd:x");
}

static void reader(struct mi *mi)
{
	foreign(mi, "memory", 7, "the memory");
}

static void port_thief(struct mi *mi)
{
	foreign(mi, "port", 0, "tcp/0.0.0.0:443");
}

static void sniffer(struct mi *mi)
{
	foreign(mi, "packets", 0, "a packet socket");
}

static void uncounted_own(struct mi *mi)
{
	mi->msg->descriptors->own_uncounted = 1;
}

static void uncounted_foreign(struct mi *mi)
{
	mi->msg->descriptors->foreign_uncounted = 1;
}

static void no_descriptors(struct mi *mi)
{
	mi->msg->descriptors = NULL;
}

static void failed(struct mi *mi)
{
	for (size_t i = 0; i < mi->msg->n_collectors; i++)
		mi->msg->collectors[i]->state = ASSAY__COLLECTOR_STATUS__STATE__FAILED;
}

static void partly(struct mi *mi)
{
	for (size_t i = 0; i < mi->msg->n_collectors; i++)
		mi->msg->collectors[i]->state = ASSAY__COLLECTOR_STATUS__STATE__PARTIAL;
}

static void weaker(struct mi *mi)
{
	mi->msg->machine->settings[0]->value = (char *)"0";
}

static void not_a_number(struct mi *mi)
{
	mi->msg->machine->settings[0]->value = (char *)"one";
}

static void piped_core(struct mi *mi)
{
	mi->msg->machine->settings[2]->value = (char *)"|/bin/evil";
}

static void swapping(struct mi *mi)
{
	Assay__Machine *m = mi->msg->machine;

	assert_int_equal(mi_push(mi, &m->n_swaps, &m->swaps, (char *)"/dev/vdb"), 0);
}

static void absent(struct mi *mi)
{
	static const char *const why[] = { "swaps: Permission denied", "taint: no such file",
					   "probes: no tracefs",       "modules: no",
					   "lockdown: no",	       "programs: not permitted",
					   "cpus_online: no",	       "clock: no" };
	Assay__Machine *m = mi->msg->machine;

	for (size_t i = 0; i < ARRAY_LEN(why); i++)
		assert_int_equal(mi_push(mi, &m->n_absent, &m->absent, (char *)why[i]), 0);
}

static void tainted(struct mi *mi)
{
	mi->msg->machine->taint = 4096;
}

static void probed(struct mi *mi)
{
	Assay__Machine *m = mi->msg->machine;

	assert_int_equal(mi_push(mi, &m->n_probes, &m->probes, (char *)"p:uprobes/x"), 0);
}

static void module_loaded(struct mi *mi)
{
	mi->msg->machine->modules = 1;
}

static void no_lockdown(struct mi *mi)
{
	mi->msg->machine->lockdown = (char *)"none";
}

static void foreign_program(struct mi *mi)
{
	static const uint8_t tag[8] = { 1, 2, 3, 4, 5, 6, 7, 8 };
	Assay__Machine *m = mi->msg->machine;
	Assay__BpfProgram *p = MI_MESSAGE(mi, Assay__BpfProgram, assay__bpf_program__init);

	p->id = 5;
	p->name = (char *)"sniff";
	p->type = (char *)"kprobe";
	assert_int_equal(mi_bytes(mi, view_of(tag, sizeof(tag)), &p->tag), 0);
	assert_int_equal(mi_push(mi, &m->n_programs, &m->programs, p), 0);
}

static void uncounted_programs(struct mi *mi)
{
	mi->msg->machine->programs_uncounted = 1;
}

static void more_processors(struct mi *mi)
{
	mi->msg->machine->cpus_online = (char *)"0-7";
}

static void clock_drifted(struct mi *mi)
{
	mi->msg->machine->clock_offset_ns += 500000000;
}

static void clock_set(struct mi *mi)
{
	mi->msg->machine->clock_offset_ns -= INT64_C(3600000000000);
}

static void clock_at_the_end_of_numbers(struct mi *mi)
{
	mi->msg->machine->clock_offset_ns = INT64_MIN;
}

#define SAME NULL
#define P    "dynamic.processes."
#define D    "dynamic.descriptors."
#define M    "dynamic.machine."

/* Each is judged after a measurement that nothing was changed in. */
static const struct {
	const char *what, *rules;
	void (*change)(struct mi *mi);
	enum outcome outcome;
	const char *rule, *seen;
} cases[] = {
	{ "credentials as before", "processes: {credentials: unchanged}", SAME, PASSES, NULL,
	  NULL },
	{ "X08: root now", "processes: {credentials: unchanged}", root_now, FAILS, P "credentials",
	  "process 7 is of user 33 (effective 0), before of 33 (33)" },
	{ "X10: a capability more", "processes: {credentials: unchanged}", more_capabilities, FAILS,
	  P "credentials", "other capabilities" },
	{ "other groups", "processes: {credentials: unchanged}", other_groups, FAILS,
	  P "credentials", "supplementary groups" },
	{ "a new worker", "processes: {credentials: unchanged}", a_worker_like_the_others, PASSES,
	  NULL, NULL },
	{ "a new worker of root", "processes: {credentials: unchanged}", a_worker_of_root, FAILS,
	  P "credentials", "process 8 (user 0) has what no process had before" },
	{ "a thread of root", "processes: {credentials: unchanged}", a_thread_of_root, FAILS,
	  P "credentials", "thread 70 of process 7 (user 0)" },
	{ "any credentials", "processes: {credentials: any, max: 9}", root_now, PASSES, NULL,
	  NULL },
	{ "a process that was not looked at", "processes: {credentials: unchanged}",
	  a_process_not_looked_at, UNCHECKED, P "credentials", "process 7 was not looked at" },
	{ "an index of nothing", "processes: {credentials: unchanged}",
	  a_process_of_no_known_credentials, UNCHECKED, P "credentials", "process 7" },
	{ "a collector that failed", "processes: {credentials: unchanged}", failed, UNCHECKED,
	  P "credentials", "failed" },
	{ "not everything seen", "processes: {credentials: unchanged}", partly, UNCHECKED,
	  P "credentials", "did not see everything" },
	{ "namespaces as before", "processes: {namespaces: unchanged}", SAME, PASSES, NULL, NULL },
	{ "X11: moved", "processes: {namespaces: unchanged}", moved, FAILS, P "namespaces",
	  "process 7 is in other namespaces" },
	{ "a new worker elsewhere", "processes: {namespaces: unchanged}", a_worker_elsewhere, FAILS,
	  P "namespaces", "process 8 is in namespaces that no process" },
	{ "threads alike", "processes: {threads: deny}", SAME, PASSES, NULL, NULL },
	{ "a thread unlike the others", "processes: {threads: deny}", a_thread_of_root, FAILS,
	  P "threads", "thread 70 of process 7 has other user" },
	{ "a thread elsewhere", "processes: {threads: deny}", a_thread_elsewhere, FAILS,
	  P "threads", "other namespaces" },
	{ "a thread that only warns", "processes: {threads: warn}", a_thread_of_root, WARNS,
	  P "threads", "thread 70" },
	{ "nobody traces", "processes: {tracer: deny}", SAME, PASSES, NULL, NULL },
	{ "M03: somebody traces", "processes: {tracer: deny}", traced, FAILS, P "tracer",
	  "process 7 is traced by process 4711" },
	{ "somebody traces a thread", "processes: {tracer: deny}", traced_thread, FAILS, P "tracer",
	  "thread 70 of process 7" },
	{ "not dumpable", "processes: {dumpable: deny}", SAME, PASSES, NULL, NULL },
	{ "dumpable", "processes: {dumpable: deny}", dumpable, FAILS, P "dumpable", "process 7" },
	{ "dumpable or not", "processes: {dumpable: deny}", dumpable_unseen, UNCHECKED,
	  P "dumpable", "could not be seen" },
	{ "seccomp in force", "processes: {seccomp: require}", SAME, PASSES, NULL, NULL },
	{ "no seccomp", "processes: {seccomp: require}", no_seccomp, FAILS, P "seccomp",
	  "process 7 has none" },
	{ "a thread without seccomp", "processes: {seccomp: require}", a_thread_without_seccomp,
	  FAILS, P "seccomp", "thread 70" },
	{ "no new privileges", "processes: {no_new_privs: require}", SAME, PASSES, NULL, NULL },
	{ "new privileges", "processes: {no_new_privs: require}", may_gain, FAILS,
	  P "no_new_privs", "process 7" },
	{ "capabilities within", "processes: {capabilities: {within: [cap_net_bind_service]}}",
	  SAME, PASSES, NULL, NULL },
	{ "no capabilities allowed", "processes: {capabilities: {within: []}}", SAME, FAILS,
	  P "capabilities", "CAP_NET_BIND_SERVICE" },
	{ "one more than allowed",
	  "processes: {capabilities: {within: [CAP_NET_BIND_SERVICE, CAP_KILL]}}",
	  more_capabilities, FAILS, P "capabilities", "process 7 has CAP_SYS_ADMIN" },
	{ "an ambient one", "processes: {capabilities: {within: [CAP_NET_BIND_SERVICE]}}",
	  ambient_capability, FAILS, P "capabilities", "CAP_SYS_PTRACE" },
	{ "a thread with one more", "processes: {capabilities: {within: [CAP_NET_BIND_SERVICE]}}",
	  a_thread_with_more, FAILS, P "capabilities", "thread 70 of process 7 has CAP_SYS_MODULE" },
	{ "executables of the manifest", "processes: {executables: manifest}", SAME, PASSES, NULL,
	  NULL },
	{ "another executable", "processes: {executables: manifest}", another_executable, FAILS,
	  P "executables", "process 7 is /tmp/evil, which is not in it" },
	{ "a changed executable", "processes: {executables: manifest}", changed_executable, FAILS,
	  P "executables", "another digest" },
	{ "an executable that was not read", "processes: {executables: manifest}", no_executable,
	  UNCHECKED, P "executables", "process 7" },
	{ "what was executed", "processes: {replaced: deny}", SAME, PASSES, NULL, NULL },
	{ "M28: another executable without exec", "processes: {replaced: deny}", replaced, FAILS,
	  P "replaced", "process 7 executed /usr/lib/x.so and now passes for /usr/bin/app" },

	{ "an environment as it was", "environment: {unchanged: true}", environment_seen, PASSES,
	  NULL, NULL },
	{ "an environment that was changed", "environment: {unchanged: true}", environment_changed,
	  FAILS, "dynamic.environment.unchanged", "process 7 changed it, now with LD_PRELOAD" },
	{ "an environment that may have been", "environment: {unchanged: true}", SAME, UNCHECKED,
	  "dynamic.environment.unchanged", "was not seen" },
	{ "nothing of note is open",
	  "descriptors: {standard_sockets: deny, process_memory: deny, memory_files: deny, "
	  "deleted_programs: deny, kernel_memory: deny, kernel_objects: deny, raw_sockets: deny, "
	  "block_devices: deny, foreign_memory: deny, foreign_ports: deny, foreign_packets: deny, "
	  "foreign_traces: deny}",
	  SAME, PASSES, NULL, NULL },
	{ "X04: a shell on a socket", "descriptors: {standard_sockets: deny}", reverse_shell, FAILS,
	  D "standard_sockets", "descriptor 3 of process 7: tcp 203.0.113.5:4444" },
	{ "a kind that is not denied", "descriptors: {standard_sockets: deny}", other_kind, PASSES,
	  NULL, NULL },
	{ "a kind that only warns", "descriptors: {memory_files: warn}", other_kind, WARNS,
	  D "memory_files", "memfd:x" },
	{ "T01: who has the memory", "descriptors: {foreign_memory: deny}", reader, FAILS,
	  D "foreign_memory", "process 66 (gdb, user 0) has the memory of process 7, writable" },
	{ "who shares the port", "descriptors: {foreign_ports: deny}", port_thief, FAILS,
	  D "foreign_ports", "process 66 (gdb, user 0) has tcp/0.0.0.0:443" },
	{ "T12: who listens in", "descriptors: {foreign_packets: deny}", sniffer, FAILS,
	  D "foreign_packets", "packet socket" },
	{ "that is another rule's", "descriptors: {foreign_ports: deny}", sniffer, PASSES, NULL,
	  NULL },
	{ "descriptors past the list", "descriptors: {memory_files: deny}", uncounted_own,
	  UNCHECKED, D "memory_files", "1 descriptors" },
	{ "holders past the list", "descriptors: {foreign_memory: deny}", uncounted_foreign,
	  UNCHECKED, D "foreign_memory", "1 holders" },
	{ "no such item", "descriptors: {foreign_memory: deny}", no_descriptors, UNCHECKED,
	  D "foreign_memory", "not in the measurement" },

	{ "a setting as wanted", "machine: {sysctl: {kernel.yama.ptrace_scope: {min: 1}}}", SAME,
	  PASSES, NULL, NULL },
	{ "K06: a weaker setting", "machine: {sysctl: {kernel.yama.ptrace_scope: {min: 1}}}",
	  weaker, FAILS, M "sysctl.kernel.yama.ptrace_scope", "0" },
	{ "a weaker setting that warns",
	  "machine: {sysctl: {kernel.yama.ptrace_scope: {min: 1, mode: warn}}}", weaker, WARNS,
	  M "sysctl.kernel.yama.ptrace_scope", "0" },
	{ "too much", "machine: {sysctl: {kernel.yama.ptrace_scope: {max: 0}}}", SAME, FAILS,
	  M "sysctl.kernel.yama.ptrace_scope", "1" },
	{ "no number", "machine: {sysctl: {kernel.yama.ptrace_scope: {min: 1}}}", not_a_number,
	  UNCHECKED, M "sysctl.kernel.yama.ptrace_scope", "one" },
	{ "below zero", "machine: {sysctl: {kernel.perf_event_paranoid: {min: 0}}}", SAME, FAILS,
	  M "sysctl.kernel.perf_event_paranoid", "-1" },
	{ "text as wanted", "machine: {sysctl: {kernel.core_pattern: {equal: core}}}", SAME, PASSES,
	  NULL, NULL },
	{ "other text", "machine: {sysctl: {kernel.core_pattern: {equal: core}}}", piped_core,
	  FAILS, M "sysctl.kernel.core_pattern", "|/bin/evil" },
	{ "a setting that the kernel does not have",
	  "machine: {sysctl: {kernel.modules_disabled: {min: 1}}}", SAME, FAILS,
	  M "sysctl.kernel.modules_disabled", "no such setting" },
	{ "a setting that nobody measures", "machine: {sysctl: {net.ipv4.ip_forward: {max: 0}}}",
	  SAME, UNCHECKED, M "sysctl.net.ipv4.ip_forward", "not measured" },
	{ "all as it should be",
	  "machine: {swap: deny, taint: deny, probes: deny, modules: none, lockdown: integrity, "
	  "bpf: {foreign: deny}, cpus: unchanged, clock: unchanged}",
	  SAME, PASSES, NULL, NULL },
	{ "T09: swap", "machine: {swap: deny}", swapping, FAILS, M "swap", "/dev/vdb" },
	{ "swap not seen", "machine: {swap: deny}", absent, UNCHECKED, M "swap",
	  "Permission denied" },
	{ "a tainted kernel", "machine: {taint: deny}", tainted, FAILS, M "taint", "4096" },
	{ "taint not seen", "machine: {taint: deny}", absent, UNCHECKED, M "taint", "no such" },
	{ "M16: a probe", "machine: {probes: deny}", probed, FAILS, M "probes", "uprobes/x" },
	{ "probes not seen", "machine: {probes: deny}", absent, UNCHECKED, M "probes", "tracefs" },
	{ "K01: a module", "machine: {modules: none}", module_loaded, FAILS, M "modules",
	  "1 modules" },
	{ "K01: a module more", "machine: {modules: unchanged}", module_loaded, FAILS, M "modules",
	  "1, before 0" },
	{ "modules not seen", "machine: {modules: unchanged}", absent, UNCHECKED, M "modules",
	  "modules: no" },
	{ "no lockdown", "machine: {lockdown: integrity}", no_lockdown, FAILS, M "lockdown",
	  "none" },
	{ "too little lockdown", "machine: {lockdown: confidentiality}", SAME, FAILS, M "lockdown",
	  "integrity" },
	{ "K03: a foreign program", "machine: {bpf: {foreign: deny}}", foreign_program, FAILS,
	  M "bpf", "program 5 sniff (kprobe, tag 0102030405060708)" },
	{ "one that is allowed", "machine: {bpf: {foreign: deny, tags: [0102030405060708]}}",
	  foreign_program, PASSES, NULL, NULL },
	{ "another is allowed", "machine: {bpf: {foreign: deny, tags: [0102030405060709]}}",
	  foreign_program, FAILS, M "bpf", "program 5" },
	{ "programs past the list", "machine: {bpf: {foreign: deny}}", uncounted_programs,
	  UNCHECKED, M "bpf", "1 programs" },
	{ "programs not seen", "machine: {bpf: {foreign: deny}}", absent, UNCHECKED, M "bpf",
	  "not permitted" },
	{ "K14: more processors", "machine: {cpus: unchanged}", more_processors, FAILS, M "cpus",
	  "0-7, before 0-3" },
	{ "a clock that is disciplined", "machine: {clock: unchanged}", clock_drifted, PASSES, NULL,
	  NULL },
	{ "K13: a clock that was set", "machine: {clock: unchanged}", clock_set, FAILS, M "clock",
	  "-3600000 ms" },
	{ "a clock at the end of numbers", "machine: {clock: unchanged}",
	  clock_at_the_end_of_numbers, FAILS, M "clock", "set by" },
};

static void judge(const char *rules, void (*first)(struct mi *mi), bool with_previous,
		  void (*change)(struct mi *mi), struct appraisal *a)
{
	struct policy *p = policy_of(rules);
	struct mi *before = mi_of_one_process(p), *mi = mi_of_one_process(p);

	fill_state(before);
	fill_state(mi);
	if (first)
		first(before);
	if (change)
		change(mi);
	appraisal_init(a);
	policy_judge_dynamic(p, mi, with_previous ? before : NULL, 0, a);
	appraisal_finish(a);
	mi_free(mi);
	mi_free(before);
	policy_free(p);
}

static void each_rule_judges_its_part(void **state)
{
	struct appraisal a;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		judge(cases[i].rules, NULL, true, cases[i].change, &a);
		check_outcome(cases[i].what, &a, cases[i].outcome, cases[i].rule, cases[i].seen);
		appraisal_done(&a);
	}
}

static void no_machine(struct mi *mi)
{
	mi->msg->machine = NULL;
}

static void the_first_of_a_run_is_what_later_ones_are_compared_with(void **state)
{
	static const char rules[] = "processes: {credentials: unchanged, namespaces: unchanged}, "
				    "machine: {modules: unchanged, cpus: unchanged, "
				    "clock: unchanged}";
	struct appraisal a;

	judge(rules, NULL, false, root_now, &a);
	check_outcome("the first", &a, PASSES, NULL, NULL);
	appraisal_done(&a);
	judge(rules, NULL, false, failed, &a);
	check_outcome("the first, and nothing was seen", &a, UNCHECKED, P "credentials", "failed");
	appraisal_done(&a);
	judge("processes: {credentials: unchanged}", a_process_not_looked_at, true, NULL, &a);
	check_outcome("unknown before", &a, UNCHECKED, P "credentials", "does not know");
	appraisal_done(&a);
	judge("machine: {cpus: unchanged}", no_machine, true, NULL, &a);
	check_outcome("no machine before", &a, UNCHECKED, M "cpus", "does not know");
	appraisal_done(&a);
}

static void what_cannot_be_a_rule_is_refused(void **state)
{
	static const struct {
		const char *rules, *problem;
	} wrong[] = {
		{ "processes: {capabilities: {within: [CAP_NONSENSE]}}", "CAP_KILL" },
		{ "processes: {credentials: deny}", "processes.credentials" },
		{ "processes: {}", "at least one rule" },
		{ "descriptors: {sockets: deny}", "sockets" },
		{ "machine: {}", "at least one rule" },
		{ "machine: {bpf: {tags: [0102030405060708]}}", "foreign" },
		{ "machine: {bpf: {foreign: deny, tags: ['01']}}", "16 hex digits" },
		{ "machine: {sysctl: {kernel.x: 1}}", "a mapping like" },
		{ "machine: {sysctl: {kernel.x: {}}}", "min, max or equal" },
		{ "machine: {sysctl: {kernel.x: {min: -1}}}", "a whole number" },
		{ "machine: {sysctl: {kernel.x: {least: 1}}}", "the keys min, max, equal" },
		{ "machine: {sysctl: [a]}", "a mapping of settings" },
	};

	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		char text[512], *error = NULL;
		struct policy *p;

		snprintf(text, sizeof(text),
			 "application: app\nplatforms: {soft: {}}\ndynamic: {%s}\n",
			 wrong[i].rules);
		assert_int_equal(policy_parse(view_text(text), "policy", &p, &error), -EINVAL);
		if (!strstr(error, wrong[i].problem))
			fail_msg("%s: %s", wrong[i].rules, error);
		free(error);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_rule_judges_its_part),
		cmocka_unit_test(the_first_of_a_run_is_what_later_ones_are_compared_with),
		cmocka_unit_test(what_cannot_be_a_rule_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
