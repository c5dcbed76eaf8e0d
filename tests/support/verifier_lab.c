/* SPDX-License-Identifier: Apache-2.0 */
#include "verifier_lab.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <openssl/err.h>
#include <openssl/pem.h>

#include "hpke.h"
#include "proto/frame.h"
#include "verifier/sql.h"
#include "verifier/store.h"

#define ARENA_MAX (64 * 1024 * 1024)

size_t sealed_seen;

static void write_bytes(const struct lab *lab, const char *name, struct view content)
{
	char path[256];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", lab->directory, name);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(content.data, 1, content.len, f), content.len);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(path, 0600), 0);
}

static void write_file(const struct lab *lab, const char *name, const char *text)
{
	write_bytes(lab, name, view_text(text));
}

/* The scripted policy with other platforms, and of another application where it is of four letters. */
static void write_policy(const struct lab *lab, const char *name, const char *platforms,
			 const char *application)
{
	static const char soft[] = "  soft: {}\n";
	const char *at = strstr(scripted_policy, soft);
	char text[2048], *of;

	assert_non_null(at);
	snprintf(text, sizeof(text), "%.*s%s%s", (int)(at - scripted_policy), scripted_policy,
		 platforms ? platforms : soft, at + strlen(soft));
	if (application) {
		of = strstr(text, "demo\n");
		assert_true(of && strlen(application) == 4);
		memcpy(of, application, 4);
	}
	write_file(lab, name, text);
}

static void make_certificate(struct lab *lab)
{
	char path[256];
	FILE *f;

	lab->key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
	lab->certificate = X509_new();
	assert_non_null(lab->certificate);
	ASN1_INTEGER_set(X509_get_serialNumber(lab->certificate), 1);
	X509_gmtime_adj(X509_getm_notBefore(lab->certificate), -3600);
	X509_gmtime_adj(X509_getm_notAfter(lab->certificate), 86400);
	X509_set_pubkey(lab->certificate, lab->key);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(lab->certificate), "CN", MBSTRING_ASC,
				   (const unsigned char *)"verifier", -1, -1, 0);
	X509_set_issuer_name(lab->certificate, X509_get_subject_name(lab->certificate));
	assert_true(X509_sign(lab->certificate, lab->key, EVP_sha256()) > 0);
	snprintf(path, sizeof(path), "%s/verifier.pem", lab->directory);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_int_equal(PEM_write_X509(f, lab->certificate), 1);
	fclose(f);
	snprintf(path, sizeof(path), "%s/verifier.key", lab->directory);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_int_equal(PEM_write_PrivateKey(f, lab->key, NULL, NULL, 0, NULL, NULL), 1);
	fclose(f);
}

static int free_port(void)
{
	struct sockaddr_in at = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	socklen_t len = sizeof(at);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
	close(fd);
	return ntohs(at.sin_port);
}

int lab_connect(const struct lab *lab)
{
	const struct timeval patience = { .tv_sec = 20 };
	struct sockaddr_in at = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
				  .sin_port = htons((uint16_t)lab->port) };

	for (int i = 0; i < 500; i++) {
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

		assert_true(fd >= 0);
		setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
		if (connect(fd, (struct sockaddr *)&at, sizeof(at)) == 0)
			return fd;
		close(fd);
		usleep(20000);
	}
	fail_msg("assay-verifierd does not listen");
	return -1;
}

/* kill -9, and until its other process has noticed. */
void lab_kill(struct lab *lab)
{
	struct sockaddr_in at = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
				  .sin_port = htons((uint16_t)lab->port) };
	int status, r = 0;

	kill(lab->verifier, SIGKILL);
	assert_int_equal(waitpid(lab->verifier, &status, 0), lab->verifier);
	for (int i = 0; i < 500 && r == 0; i++) {
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

		r = connect(fd, (struct sockaddr *)&at, sizeof(at));
		close(fd);
		usleep(10000);
	}
	assert_int_equal(r, -1);
}

void lab_start(struct lab *lab)
{
	lab->verifier = fork();
	assert_true(lab->verifier >= 0);
	if (lab->verifier == 0) {
		char log[256];
		int fd;

		snprintf(log, sizeof(log), "%s/log", lab->directory);
		fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
		dup2(fd, 2);
		execl(VERIFIER, "assay-verifierd", "--config", lab->config, NULL);
		_exit(127);
	}
	close(lab_connect(lab));
}

struct lab *lab_make(const char *config, const char *platforms, const struct lab_file *files,
		     size_t n_files)
{
	struct lab *lab = calloc(1, sizeof(*lab));
	char text[2048];

	assert_non_null(lab);
	assert_int_equal(secret_heap_open(), 0);
	snprintf(lab->directory, sizeof(lab->directory), "%s/assay-session-XXXXXX",
		 getenv("TMPDIR") ? getenv("TMPDIR") : P_tmpdir);
	assert_non_null(mkdtemp(lab->directory));
	snprintf(lab->store, sizeof(lab->store), "%s/store.db", lab->directory);
	snprintf(lab->config, sizeof(lab->config), "%s/verifierd.yaml", lab->directory);
	lab->port = free_port();
	make_certificate(lab);
	snprintf(text, sizeof(text),
		 "listen: 127.0.0.1:%d\ncertificate: verifier.pem\nkey: verifier.key\n"
		 "store: store.db\nsecrets:\n  - {name: one, file: one}\n  - {name: two, file: "
		 "two}\n"
		 "policies: [demo.yaml, other.yaml]\nuser: nobody\ncontrol_socket: %s/control\n%s",
		 lab->port, lab->directory, config ? config : "");
	write_file(lab, "verifierd.yaml", text);
	write_policy(lab, "demo.yaml", platforms, NULL);
	write_policy(lab, "other.yaml", platforms, "othr");
	write_file(lab, "demo.mtree", scripted_manifest);
	write_file(lab, "one", "the first secret");
	write_file(lab, "two", "the second secret");
	for (size_t i = 0; i < n_files; i++)
		write_bytes(lab, files[i].name, files[i].content);
	return lab;
}

int lab_set_up(void **state)
{
	struct lab *lab = lab_make(NULL, NULL, NULL, 0);

	lab_start(lab);
	*state = lab;
	return 0;
}

int lab_tear_down(void **state)
{
	struct lab *lab = *state;
	char command[256];
	int status;

	kill(lab->verifier, SIGTERM);
	assert_int_equal(waitpid(lab->verifier, &status, 0), lab->verifier);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
		snprintf(command, sizeof(command), "cat %s/log", lab->directory);
		print_message("status %x\n", status);
		(void)!system(command);
	}
	/* Whatever a test did to it, it ended as told. */
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	EVP_PKEY_free(lab->key);
	X509_free(lab->certificate);
	snprintf(command, sizeof(command), "rm -rf %s", lab->directory);
	assert_int_equal(system(command), 0);
	free(lab);
	return 0;
}

int64_t lab_count(const struct lab *lab, const char *sql)
{
	struct store *s;
	char why[256];
	int64_t n;

	assert_int_equal(store_open(lab->store, true, &s, why, sizeof(why)), 0);
	assert_int_equal(sql_number(s->db, &n, "", sql), 0);
	store_close(s);
	return n;
}

/* Sessions that were refused, by the record; the peer may hear of it a moment before. */
int64_t lab_refusals(const struct lab *lab, int64_t expected)
{
	int64_t n = 0;

	for (int i = 0; i < 100 && n < expected; i++) {
		n = lab_count(lab, "SELECT count(*) FROM log WHERE kind = 'refusal'");
		if (n < expected)
			usleep(20000);
	}
	return n;
}

/* The attester's own side of a connection. */

bool client_handshake(struct client *c, const struct lab *lab, int max_version)
{
	c->fd = lab_connect(lab);
	c->ctx = SSL_CTX_new(TLS_client_method());
	assert_non_null(c->ctx);
	SSL_CTX_set_max_proto_version(c->ctx, max_version);
	assert_int_equal(SSL_CTX_use_certificate(c->ctx, lab->certificate), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey(c->ctx, lab->key), 1);
	c->ssl = SSL_new(c->ctx);
	assert_non_null(c->ssl);
	SSL_set_fd(c->ssl, c->fd);
	return SSL_connect(c->ssl) == 1;
}

void client_open(struct client *c, const struct lab *lab, struct scripted *attester)
{
	memset(c, 0, sizeof(*c));
	c->attester = attester;
	c->in = BYTES_INIT(FRAME_MAX);
	assert_int_equal(arena_new(ARENA_MAX, &c->arena), 0);
	assert_true(client_handshake(c, lab, TLS1_3_VERSION));
	assert_int_equal(SSL_export_keying_material(c->ssl, c->exporter, EXPORTER_SIZE,
						    EXPORTER_LABEL, strlen(EXPORTER_LABEL), NULL, 0,
						    0),
			 1);
	memcpy(attester->exporter, c->exporter, EXPORTER_SIZE);
}

void client_close(struct client *c)
{
	SSL_free(c->ssl);
	SSL_CTX_free(c->ctx);
	close(c->fd);
	arena_free(c->arena);
	bytes_done(&c->in);
	ERR_clear_error();
}

void client_send_bytes(struct client *c, const void *data, size_t len)
{
	assert_int_equal(SSL_write(c->ssl, data, (int)len), (int)len);
}

void client_send(struct client *c, int body, void *content)
{
	Assay__ToVerifier m = ASSAY__TO_VERIFIER__INIT;
	uint8_t *packed;
	uint32_t be;
	size_t len;

	m.body_case = (Assay__ToVerifier__BodyCase)body;
	m.hello = content; /* every member of the union is a pointer */
	len = assay__to_verifier__get_packed_size(&m);
	packed = malloc(len + 4);
	assert_non_null(packed);
	be = htonl((uint32_t)len);
	memcpy(packed, &be, 4);
	assay__to_verifier__pack(&m, packed + 4);
	client_send_bytes(c, packed, len + 4);
	free(packed);
}

static bool read_all(struct client *c, void *to, size_t len)
{
	uint8_t *at = to;

	while (len > 0) {
		int n = SSL_read(c->ssl, at, (int)len);

		if (n <= 0)
			return false;
		at += n;
		len -= (size_t)n;
	}
	return true;
}

/* The next message; false: the verifier closed the connection. */
bool client_receive(struct client *c)
{
	uint8_t *to;
	uint32_t be;

	if (!read_all(c, &be, 4))
		return false;
	bytes_reset(&c->in);
	arena_reset(c->arena);
	assert_int_equal(bytes_reserve(&c->in, ntohl(be), &to), 0);
	assert_true(read_all(c, to, ntohl(be)));
	c->in.len = ntohl(be);
	c->message = assay__to_attester__unpack(arena_allocator(c->arena), c->in.len, c->in.data);
	assert_non_null(c->message);
	if (c->message->body_case == ASSAY__TO_ATTESTER__BODY_VERDICT)
		sealed_seen += c->message->verdict->n_secrets;
	return true;
}

void client_expect(struct client *c, int body)
{
	assert_true(client_receive(c));
	if ((int)c->message->body_case != body)
		fail_msg("message %d came where %d was expected", c->message->body_case, body);
}

void client_expect_closed(struct client *c)
{
	client_expect(c, ASSAY__TO_ATTESTER__BODY_REFUSAL);
	assert_true(strlen(c->message->refusal->why) > 0);
	assert_false(client_receive(c));
}

void client_take_challenge(struct client *c)
{
	client_expect(c, ASSAY__TO_ATTESTER__BODY_CHALLENGE);
	assert_int_equal(c->message->challenge->nonce.len, NONCE_SIZE);
	memcpy(c->attester->nonce, c->message->challenge->nonce.data, NONCE_SIZE);
}

void client_say_hello(struct client *c)
{
	static char *applications[] = { (char *)SCRIPTED_APPLICATION, (char *)"othr" };
	Assay__Hello h = ASSAY__HELLO__INIT;
	uint8_t epoch[16] = { 1 };

	h.version = 1;
	h.platform = (char *)(c->attester->chip ? c->attester->chip->platform : "soft");
	h.insecure = !c->attester->chip;
	h.applications = applications;
	h.n_applications = ARRAY_LEN(applications);
	h.boot_id = (ProtobufCBinaryData){ BOOT_ID_SIZE, c->attester->boot_id };
	h.key_name =
		(ProtobufCBinaryData){ c->attester->key_name.size, c->attester->key_name.bytes };
	h.attester_epoch = (ProtobufCBinaryData){ sizeof(epoch), epoch };
	client_send(c, ASSAY__TO_VERIFIER__BODY_HELLO, &h);
}

void client_ask_enrolment(struct client *c, struct bytes *key)
{
	Assay__EnrolRequest e = ASSAY__ENROL_REQUEST__INIT;
	Assay__ChipReport chip;

	client_expect(c, ASSAY__TO_ATTESTER__BODY_ENROL_CHALLENGE);
	assert_int_equal(c->message->enrol_challenge->credential_blob.len, 0);
	if (c->attester->chip) {
		scripted_enrol(c->attester, &chip);
		e.chip = &chip;
	} else {
		e.ak_public = (ProtobufCBinaryData){ key->len, key->data };
	}
	client_send(c, ASSAY__TO_VERIFIER__BODY_ENROL_REQUEST, &e);
}

/* Everything up to the first nonces. enrolled: the verifier knows the key by now. */
void client_begin(struct client *c, const struct lab *lab, struct scripted *attester, bool enrolled)
{
	client_open(c, lab, attester);
	client_say_hello(c);
	if (!enrolled) {
		client_ask_enrolment(c, &attester->spki);
		client_expect(c, ASSAY__TO_ATTESTER__BODY_ENROLLED);
		assert_true(c->message->enrolled->accepted);
	}
	client_take_challenge(c);
	client_take_challenge(c);
}

void client_ask_nonce(struct client *c, const char *application, uint32_t stage)
{
	Assay__NonceRequest n = ASSAY__NONCE_REQUEST__INIT;

	n.application = (char *)application;
	n.stage = stage;
	client_send(c, ASSAY__TO_VERIFIER__BODY_NONCE_REQUEST, &n);
	client_take_challenge(c);
	assert_string_equal(c->message->challenge->application, application);
	assert_int_equal(c->message->challenge->stage, stage);
}

void client_send_evidence(struct client *c, struct scripted_measurement *m, bool mi_elsewhere)
{
	Assay__Evidence e = ASSAY__EVIDENCE__INIT;
	Assay__Measurement one = ASSAY__MEASUREMENT__INIT, *list[] = { &one };

	one.claims = (ProtobufCBinaryData){ m->packed.len, m->packed.data };
	if (!mi_elsewhere)
		one.mi = (ProtobufCBinaryData){ m->mi.len, m->mi.data };
	e.chip = &m->report;
	e.measurements = list;
	e.n_measurements = 1;
	e.mi_elsewhere = mi_elsewhere;
	c->had_nonce = m->claims.nonce.len > 0;
	client_send(c, ASSAY__TO_VERIFIER__BODY_EVIDENCE, &e);
}

void client_expect_verdict(struct client *c, bool accepted, size_t secrets, const char *rule)
{
	bool found = !rule;

	client_expect(c, ASSAY__TO_ATTESTER__BODY_VERDICT);
	for (size_t i = 0; rule && i < c->message->verdict->n_reasons; i++)
		found = found || strcmp(c->message->verdict->reasons[i]->rule, rule) == 0;
	if (!found || c->message->verdict->accepted != accepted)
		fail_msg("accepted %d, %s, and not %s", c->message->verdict->accepted,
			 c->message->verdict->n_reasons ? c->message->verdict->reasons[0]->rule
							: "no reason",
			 rule ? rule : "");
	assert_int_equal(c->message->verdict->n_secrets, secrets);
	assert_int_equal(c->message->verdict->next_nonce.len, c->had_nonce ? NONCE_SIZE : 0);
}

/* A measurement for that stage with a fresh nonce, and its verdict. */
void client_pass_stage(struct client *c, uint32_t stage)
{
	struct scripted_measurement m;

	client_ask_nonce(c, SCRIPTED_APPLICATION, stage);
	scripted_measure(c->attester,
			 stage == 1 ? ASSAY__CLAIMS__KIND__STATIC : ASSAY__CLAIMS__KIND__DYNAMIC,
			 stage, &m);
	scripted_sign(c->attester, &m);
	client_send_evidence(c, &m, false);
	client_expect_verdict(c, true, 1, NULL);
	scripted_measurement_done(&m);
}

void client_open_secret(struct client *c, const struct scripted_measurement *m, const char *text)
{
	Assay__SealedSecret *s = c->message->verdict->secrets[0];
	struct bytes aad = BYTES_INIT(256);
	struct secret out;

	assert_int_equal(bytes_append_view(&aad, digest_view(&m->hash)), 0);
	assert_int_equal(bytes_append_be32(&aad, s->stage), 0);
	assert_int_equal(bytes_append_text(&aad, s->name), 0);
	assert_int_equal(hpke_open(&c->attester->private_key, s->enc.data,
				   view_text("assay stage secret v1"), bytes_view(&aad),
				   view_of(s->sealed.data, s->sealed.len), &out),
			 0);
	assert_true(view_is(secret_view(&out), text));
	secret_done(&out);
	bytes_done(&aad);
}

/* After what a test did: a new attester is served as if nothing had been. */
void lab_lives_on(const struct lab *lab)
{
	size_t before = sealed_seen;
	struct scripted a;
	struct client c;

	scripted_open(&a);
	client_begin(&c, lab, &a, false);
	client_pass_stage(&c, 1);
	client_close(&c);
	scripted_done(&a);
	sealed_seen = before;
}
