/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
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
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "proto/frame.h"
#include "tests/support/scripted_attester.h"
#include "verifier/sql.h"
#include "verifier/store.h"

/*
 * The real assay-verifierd on loopback, and an attester that says what a test tells it
 * to. After everything it must not do, no SealedSecret has left and the verifier lives on.
 */

#define ARENA_MAX (64 * 1024 * 1024)

struct lab {
	char directory[192], store[256], config[256];
	int port;
	pid_t verifier;
	EVP_PKEY *key;
	X509 *certificate;
};

struct client {
	int fd;
	SSL_CTX *ctx;
	SSL *ssl;
	struct scripted *attester;
	uint8_t exporter[EXPORTER_SIZE];
	struct arena *arena;
	struct bytes in;
	Assay__ToAttester *message; /* the last that came */
};

static size_t sealed_seen; /* SealedSecrets that left the verifier, in all sessions */

static void write_file(const struct lab *lab, const char *name, const char *text)
{
	char path[256];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", lab->directory, name);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(path, 0600), 0);
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

static int connect_to(const struct lab *lab)
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
static void kill_verifier(struct lab *lab)
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

static void start_verifier(struct lab *lab)
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
	close(connect_to(lab));
}

static int set_up(void **state)
{
	struct lab *lab = calloc(1, sizeof(*lab));
	char text[1024], other[2048], *at;

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
		 "policies: [demo.yaml, other.yaml]\nuser: nobody\ncontrol_socket: %s/control\n",
		 lab->port, lab->directory);
	write_file(lab, "verifierd.yaml", text);
	write_file(lab, "demo.yaml", scripted_policy);
	snprintf(other, sizeof(other), "%s", scripted_policy);
	at = strstr(other, "demo\n");
	assert_non_null(at);
	memcpy(at, "othr", 4);
	write_file(lab, "other.yaml", other);
	write_file(lab, "demo.mtree", scripted_manifest);
	write_file(lab, "one", "the first secret");
	write_file(lab, "two", "the second secret");
	start_verifier(lab);
	*state = lab;
	return 0;
}

static int tear_down(void **state)
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

static int64_t count(const struct lab *lab, const char *sql)
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
static int64_t refusals(const struct lab *lab, int64_t expected)
{
	int64_t n = 0;

	for (int i = 0; i < 100 && n < expected; i++) {
		n = count(lab, "SELECT count(*) FROM log WHERE kind = 'refusal'");
		if (n < expected)
			usleep(20000);
	}
	return n;
}

/* The attester's own side of a connection. */

static bool handshake(struct client *c, const struct lab *lab, int max_version)
{
	c->fd = connect_to(lab);
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

static void client_open(struct client *c, const struct lab *lab, struct scripted *attester)
{
	memset(c, 0, sizeof(*c));
	c->attester = attester;
	c->in = BYTES_INIT(FRAME_MAX);
	assert_int_equal(arena_new(ARENA_MAX, &c->arena), 0);
	assert_true(handshake(c, lab, TLS1_3_VERSION));
	assert_int_equal(SSL_export_keying_material(c->ssl, c->exporter, EXPORTER_SIZE,
						    EXPORTER_LABEL, strlen(EXPORTER_LABEL), NULL, 0,
						    0),
			 1);
	memcpy(attester->exporter, c->exporter, EXPORTER_SIZE);
}

static void client_close(struct client *c)
{
	SSL_free(c->ssl);
	SSL_CTX_free(c->ctx);
	close(c->fd);
	arena_free(c->arena);
	bytes_done(&c->in);
	ERR_clear_error();
}

static void send_bytes(struct client *c, const void *data, size_t len)
{
	assert_int_equal(SSL_write(c->ssl, data, (int)len), (int)len);
}

static void send_message(struct client *c, int body, void *content)
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
	send_bytes(c, packed, len + 4);
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
static bool receive(struct client *c)
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

static void expect(struct client *c, int body)
{
	assert_true(receive(c));
	if ((int)c->message->body_case != body)
		fail_msg("message %d came where %d was expected", c->message->body_case, body);
}

static void expect_closed(struct client *c)
{
	expect(c, ASSAY__TO_ATTESTER__BODY_REFUSAL);
	assert_true(strlen(c->message->refusal->why) > 0);
	assert_false(receive(c));
}

static void take_challenge(struct client *c)
{
	expect(c, ASSAY__TO_ATTESTER__BODY_CHALLENGE);
	assert_int_equal(c->message->challenge->nonce.len, NONCE_SIZE);
	memcpy(c->attester->nonce, c->message->challenge->nonce.data, NONCE_SIZE);
}

static void say_hello(struct client *c)
{
	static char *applications[] = { (char *)SCRIPTED_APPLICATION, (char *)"othr" };
	Assay__Hello h = ASSAY__HELLO__INIT;
	uint8_t epoch[16] = { 1 };

	h.version = 1;
	h.platform = (char *)"soft";
	h.insecure = true;
	h.applications = applications;
	h.n_applications = ARRAY_LEN(applications);
	h.boot_id = (ProtobufCBinaryData){ BOOT_ID_SIZE, c->attester->boot_id };
	h.key_name =
		(ProtobufCBinaryData){ c->attester->key_name.size, c->attester->key_name.bytes };
	h.attester_epoch = (ProtobufCBinaryData){ sizeof(epoch), epoch };
	send_message(c, ASSAY__TO_VERIFIER__BODY_HELLO, &h);
}

static void ask_enrolment(struct client *c, struct bytes *key)
{
	Assay__EnrolRequest e = ASSAY__ENROL_REQUEST__INIT;

	expect(c, ASSAY__TO_ATTESTER__BODY_ENROL_CHALLENGE);
	assert_int_equal(c->message->enrol_challenge->credential_blob.len, 0);
	e.ak_public = (ProtobufCBinaryData){ key->len, key->data };
	send_message(c, ASSAY__TO_VERIFIER__BODY_ENROL_REQUEST, &e);
}

/* Everything up to the first nonces. enrolled: the verifier knows the key by now. */
static void begin(struct client *c, const struct lab *lab, struct scripted *attester, bool enrolled)
{
	client_open(c, lab, attester);
	say_hello(c);
	if (!enrolled) {
		ask_enrolment(c, &attester->spki);
		expect(c, ASSAY__TO_ATTESTER__BODY_ENROLLED);
		assert_true(c->message->enrolled->accepted);
	}
	take_challenge(c);
	take_challenge(c);
}

static void ask_nonce(struct client *c, const char *application, uint32_t stage)
{
	Assay__NonceRequest n = ASSAY__NONCE_REQUEST__INIT;

	n.application = (char *)application;
	n.stage = stage;
	send_message(c, ASSAY__TO_VERIFIER__BODY_NONCE_REQUEST, &n);
	take_challenge(c);
	assert_string_equal(c->message->challenge->application, application);
	assert_int_equal(c->message->challenge->stage, stage);
}

static void send_evidence(struct client *c, struct scripted_measurement *m, bool mi_elsewhere)
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
	send_message(c, ASSAY__TO_VERIFIER__BODY_EVIDENCE, &e);
}

static void expect_verdict(struct client *c, bool accepted, size_t secrets, const char *rule)
{
	bool found = !rule;

	expect(c, ASSAY__TO_ATTESTER__BODY_VERDICT);
	for (size_t i = 0; rule && i < c->message->verdict->n_reasons; i++)
		found = found || strcmp(c->message->verdict->reasons[i]->rule, rule) == 0;
	if (!found || c->message->verdict->accepted != accepted)
		fail_msg("accepted %d, %s, and not %s", c->message->verdict->accepted,
			 c->message->verdict->n_reasons ? c->message->verdict->reasons[0]->rule
							: "no reason",
			 rule ? rule : "");
	assert_int_equal(c->message->verdict->n_secrets, secrets);
	assert_int_equal(c->message->verdict->next_nonce.len, NONCE_SIZE);
}

/* A measurement for that stage with a fresh nonce, and its verdict. */
static void pass_stage(struct client *c, uint32_t stage)
{
	struct scripted_measurement m;

	ask_nonce(c, SCRIPTED_APPLICATION, stage);
	scripted_measure(c->attester,
			 stage == 1 ? ASSAY__CLAIMS__KIND__STATIC : ASSAY__CLAIMS__KIND__DYNAMIC,
			 stage, &m);
	scripted_sign(c->attester, &m);
	send_evidence(c, &m, false);
	expect_verdict(c, true, 1, NULL);
	scripted_measurement_done(&m);
}

static void open_secret(struct client *c, const struct scripted_measurement *m, const char *text)
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
static void assert_lives_on(const struct lab *lab)
{
	size_t before = sealed_seen;
	struct scripted a;
	struct client c;

	scripted_open(&a);
	begin(&c, lab, &a, false);
	pass_stage(&c, 1);
	client_close(&c);
	scripted_done(&a);
	sealed_seen = before;
}

static void secrets_of_two_stages_open(void **state)
{
	Assay__Receipt receipt = ASSAY__RECEIPT__INIT;
	struct scripted_measurement m;
	struct lab *lab = *state;
	struct scripted a;
	struct client c;

	scripted_open(&a);
	begin(&c, lab, &a, false);
	ask_nonce(&c, SCRIPTED_APPLICATION, 1);
	scripted_measure(&a, ASSAY__CLAIMS__KIND__STATIC, 1, &m);
	scripted_sign(&a, &m);
	send_evidence(&c, &m, false);
	expect_verdict(&c, true, 1, NULL);
	open_secret(&c, &m, "the first secret");
	receipt.application = (char *)SCRIPTED_APPLICATION;
	receipt.claims_hash = (ProtobufCBinaryData){ m.hash.size, m.hash.bytes };
	receipt.stage = 1;
	receipt.secret = (char *)"one";
	receipt.pid = 7;
	receipt.how = (char *)"socket";
	send_message(&c, ASSAY__TO_VERIFIER__BODY_RECEIPT, &receipt);
	scripted_measurement_done(&m);
	pass_stage(&c, 2);
	client_close(&c);
	/* Known by now: no enrolment, and the run goes on. */
	begin(&c, lab, &a, true);
	client_close(&c);
	scripted_done(&a);
	assert_int_equal(count(lab, "SELECT count(*) FROM receipts"), 1);
	assert_int_equal(count(lab, "SELECT count(*) FROM releases"), 2);
}

/* Evidence that is refused for its channel: one row a way. */

struct bad_evidence {
	const struct lab *lab;
	struct client *c;
	struct scripted_measurement *m;
};

static void other_session(struct bad_evidence *b)
{
	/* Measured honestly in a session of its own; somebody passes it on through another. */
	static uint8_t exporter[EXPORTER_SIZE] = { 3 };

	b->m->claims.exporter = (ProtobufCBinaryData){ EXPORTER_SIZE, exporter };
}

static void other_application(struct bad_evidence *b)
{
	static uint8_t nonce[NONCE_SIZE];

	ask_nonce(b->c, "othr", 1);
	memcpy(nonce, b->c->attester->nonce, NONCE_SIZE);
	b->m->claims.nonce = (ProtobufCBinaryData){ NONCE_SIZE, nonce };
}

static void made_up_nonce(struct bad_evidence *b)
{
	static uint8_t nonce[NONCE_SIZE] = { 5 };

	b->m->claims.nonce = (ProtobufCBinaryData){ NONCE_SIZE, nonce };
}

static void wrong_stage_nonce(struct bad_evidence *b)
{
	ask_nonce(b->c, SCRIPTED_APPLICATION, 2);
}

static void no_nonce(struct bad_evidence *b)
{
	scripted_unbind(b->m);
}

static void stage_two_first(struct bad_evidence *b)
{
	ask_nonce(b->c, SCRIPTED_APPLICATION, 2);
	b->m->claims.stage = 2;
}

static void no_channel_key(struct bad_evidence *b)
{
	b->m->claims.channel_key = (ProtobufCBinaryData){ 0, NULL };
}

static void bad_channel_key(struct bad_evidence *b)
{
	static uint8_t zero[CHANNEL_KEY_SIZE];

	b->m->claims.channel_key = (ProtobufCBinaryData){ sizeof(zero), zero };
}

static void other_manifest(struct bad_evidence *b)
{
	scripted_set_mi(b->m, view_text("#mtree\n./usr/bin/demo type=file mode=0755 uid=0 gid=0"
					" size=10 sha256digest=bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
					"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\n"));
}

static void mi_not_of_m(struct bad_evidence *b)
{
	b->m->mi.data[30] ^= 1;
}

static const struct {
	const char *what;
	void (*spoil)(struct bad_evidence *b);
	const char *rule;
	bool latched;
} bad[] = {
	{ "relayed through another TLS session", other_session, "evidence.exporter", false },
	{ "the nonce of another application", other_application, "release.nonce", false },
	{ "a nonce that was made up", made_up_nonce, "release.nonce", false },
	{ "the nonce of another stage", wrong_stage_nonce, "release.nonce", false },
	{ "no nonce", no_nonce, "release.nonce", false },
	{ "no channel key", no_channel_key, "release.channel_key", false },
	{ "a channel key that is none", bad_channel_key, "release.channel_key", false },
	{ "stage 2 first", stage_two_first, "release.stage", true },
	{ "another manifest", other_manifest, "static.manifest", true },
	{ "MI that M is not the hash of", mi_not_of_m, "evidence.m", true },
};

static void bad_evidence_releases_nothing(void **state)
{
	struct lab *lab = *state;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct scripted_measurement m;
		size_t before = sealed_seen;
		struct bad_evidence b;
		struct scripted a;
		struct client c;

		print_message("%s\n", bad[i].what);
		scripted_open(&a);
		begin(&c, lab, &a, false);
		ask_nonce(&c, SCRIPTED_APPLICATION, 1);
		scripted_measure(&a, ASSAY__CLAIMS__KIND__STATIC, 1, &m);
		b = (struct bad_evidence){ lab, &c, &m };
		bad[i].spoil(&b);
		scripted_sign(&a, &m);
		send_evidence(&c, &m, false);
		expect_verdict(&c, false, 0, bad[i].rule);
		assert_int_equal(c.message->verdict->latched, bad[i].latched);
		scripted_measurement_done(&m);
		client_close(&c);
		scripted_done(&a);
		assert_int_equal(sealed_seen, before);
	}
	assert_int_equal(count(lab, "SELECT count(*) FROM releases"), 0);
	assert_int_equal(count(lab, "SELECT count(*) FROM evidence WHERE accepted = 0"),
			 ARRAY_LEN(bad));
	assert_lives_on(lab);
}

static void replayed_evidence_releases_nothing(void **state)
{
	struct scripted_measurement m;
	struct lab *lab = *state;
	struct scripted a;
	struct client c;
	size_t before;

	scripted_open(&a);
	begin(&c, lab, &a, false);
	ask_nonce(&c, SCRIPTED_APPLICATION, 1);
	scripted_measure(&a, ASSAY__CLAIMS__KIND__STATIC, 1, &m);
	scripted_sign(&a, &m);
	send_evidence(&c, &m, false);
	expect_verdict(&c, true, 1, NULL);
	before = sealed_seen;
	send_evidence(&c, &m, false);
	expect_verdict(&c, false, 0, "evidence.replayed");
	assert_false(c.message->verdict->latched);
	client_close(&c);
	/* And in a session of its own. */
	begin(&c, lab, &a, true);
	send_evidence(&c, &m, false);
	expect_verdict(&c, false, 0, "evidence.replayed");
	client_close(&c);
	scripted_measurement_done(&m);
	scripted_done(&a);
	assert_int_equal(sealed_seen, before);
	assert_int_equal(count(lab, "SELECT count(*) FROM releases"), 1);
}

static void upload(const struct lab *lab, struct scripted_measurement *m, bool spoil)
{
	Assay__MiUpload u = ASSAY__MI_UPLOAD__INIT;
	struct scripted nobody = { 0 };
	struct client c;

	client_open(&c, lab, &nobody);
	if (spoil)
		m->mi.data[30] ^= 1;
	u.claims_hash = (ProtobufCBinaryData){ m->hash.size, m->hash.bytes };
	u.mi = (ProtobufCBinaryData){ m->mi.len, m->mi.data };
	send_message(&c, ASSAY__TO_VERIFIER__BODY_MI_UPLOAD, &u);
	client_close(&c);
}

static const struct {
	const char *what;
	bool before, spoil;
	const char *rule;
} uploads[] = {
	{ "MI before its Evidence", true, false, NULL },
	{ "MI after its Evidence", false, false, NULL },
	{ "MI that M is not the hash of", false, true, "evidence.m" },
};

static void mi_comes_over_a_second_connection(void **state)
{
	struct lab *lab = *state;

	for (size_t i = 0; i < ARRAY_LEN(uploads); i++) {
		struct scripted_measurement m;
		struct scripted a;
		struct client c;

		print_message("%s\n", uploads[i].what);
		scripted_open(&a);
		begin(&c, lab, &a, false);
		ask_nonce(&c, SCRIPTED_APPLICATION, 1);
		scripted_measure(&a, ASSAY__CLAIMS__KIND__STATIC, 1, &m);
		scripted_sign(&a, &m);
		if (uploads[i].before) {
			upload(lab, &m, uploads[i].spoil);
			usleep(200000);
		}
		send_evidence(&c, &m, true);
		if (!uploads[i].before) {
			usleep(200000);
			upload(lab, &m, uploads[i].spoil);
		}
		expect_verdict(&c, !uploads[i].rule, uploads[i].rule ? 0 : 1, uploads[i].rule);
		client_close(&c);
		scripted_measurement_done(&m);
		scripted_done(&a);
	}
}

/* What is no session: one row a way. Each is closed, and recorded. */

static void evidence_first(struct client *c)
{
	struct scripted_measurement m;

	scripted_measure(c->attester, ASSAY__CLAIMS__KIND__STATIC, 1, &m);
	scripted_sign(c->attester, &m);
	send_evidence(c, &m, false);
	scripted_measurement_done(&m);
}

static void garbage(struct client *c)
{
	static const uint8_t bytes[] = { 0, 0, 0, 6, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };

	send_bytes(c, bytes, sizeof(bytes));
}

static void empty_frame(struct client *c)
{
	static const uint8_t bytes[] = { 0, 0, 0, 0 };

	send_bytes(c, bytes, sizeof(bytes));
}

static void oversized(struct client *c)
{
	static const uint8_t bytes[] = { 0x7f, 0xff, 0xff, 0xff, 1, 2, 3 };

	send_bytes(c, bytes, sizeof(bytes));
}

static void hello_twice(struct client *c)
{
	say_hello(c);
	ask_enrolment(c, &c->attester->spki);
	expect(c, ASSAY__TO_ATTESTER__BODY_ENROLLED);
	take_challenge(c);
	take_challenge(c);
	say_hello(c);
}

static void large_after_hello(struct client *c)
{
	static const uint8_t bytes[] = { 0x01, 0x00, 0x00, 0x01 };

	say_hello(c);
	ask_enrolment(c, &c->attester->spki);
	expect(c, ASSAY__TO_ATTESTER__BODY_ENROLLED);
	take_challenge(c);
	take_challenge(c);
	send_bytes(c, bytes, sizeof(bytes));
}

static void evidence_before_enrolment(struct client *c)
{
	say_hello(c);
	expect(c, ASSAY__TO_ATTESTER__BODY_ENROL_CHALLENGE);
	evidence_first(c);
}

static void hello_of_another_version(struct client *c)
{
	Assay__Hello h = ASSAY__HELLO__INIT;

	h.version = 2;
	h.platform = (char *)"soft";
	send_message(c, ASSAY__TO_VERIFIER__BODY_HELLO, &h);
}

static void enrol_another_key(struct client *c)
{
	struct bytes key = BYTES_INIT(1024);

	assert_int_equal(bytes_append_view(&key, bytes_view(&c->attester->spki)), 0);
	key.data[key.len - 1] ^= 1;
	say_hello(c);
	ask_enrolment(c, &key);
	bytes_done(&key);
	expect(c, ASSAY__TO_ATTESTER__BODY_ENROLLED);
	assert_false(c->message->enrolled->accepted);
}

static void proof_without_a_challenge(struct client *c)
{
	Assay__EnrolProof p = ASSAY__ENROL_PROOF__INIT;

	say_hello(c);
	expect(c, ASSAY__TO_ATTESTER__BODY_ENROL_CHALLENGE);
	send_message(c, ASSAY__TO_VERIFIER__BODY_ENROL_PROOF, &p);
}

static void receipt_for_nothing(struct client *c)
{
	Assay__Receipt receipt = ASSAY__RECEIPT__INIT;
	uint8_t hash[64] = { 1 };

	say_hello(c);
	ask_enrolment(c, &c->attester->spki);
	expect(c, ASSAY__TO_ATTESTER__BODY_ENROLLED);
	take_challenge(c);
	take_challenge(c);
	receipt.application = (char *)SCRIPTED_APPLICATION;
	receipt.claims_hash = (ProtobufCBinaryData){ sizeof(hash), hash };
	receipt.stage = 1;
	receipt.secret = (char *)"one";
	receipt.how = (char *)"socket";
	send_message(c, ASSAY__TO_VERIFIER__BODY_RECEIPT, &receipt);
}

static void evidence_with_broken_claims(struct client *c)
{
	struct scripted_measurement m;

	say_hello(c);
	ask_enrolment(c, &c->attester->spki);
	expect(c, ASSAY__TO_ATTESTER__BODY_ENROLLED);
	take_challenge(c);
	take_challenge(c);
	scripted_measure(c->attester, ASSAY__CLAIMS__KIND__STATIC, 1, &m);
	m.claims.version = 9;
	scripted_sign(c->attester, &m);
	send_evidence(c, &m, false);
	scripted_measurement_done(&m);
}

static const struct {
	const char *what;
	void (*act)(struct client *c);
} broken[] = {
	{ "Evidence before Hello", evidence_first },
	{ "Evidence before enrolment", evidence_before_enrolment },
	{ "bytes that are no message", garbage },
	{ "an empty message", empty_frame },
	{ "a frame that is too large", oversized },
	{ "a frame that is too large after Hello", large_after_hello },
	{ "a second Hello", hello_twice },
	{ "Hello of another version", hello_of_another_version },
	{ "enrolment of another key than Hello's", enrol_another_key },
	{ "a proof that nothing asked for", proof_without_a_challenge },
	{ "a receipt for what was not released", receipt_for_nothing },
	{ "Evidence whose Claims do not parse", evidence_with_broken_claims },
};

static void a_broken_session_is_closed_and_recorded(void **state)
{
	struct lab *lab = *state;

	for (size_t i = 0; i < ARRAY_LEN(broken); i++) {
		size_t before = sealed_seen;
		struct scripted a;
		struct client c;

		print_message("%s\n", broken[i].what);
		scripted_open(&a);
		client_open(&c, lab, &a);
		broken[i].act(&c);
		expect_closed(&c);
		client_close(&c);
		scripted_done(&a);
		assert_int_equal(sealed_seen, before);
		assert_int_equal(refusals(lab, (int64_t)i + 1), (int64_t)i + 1);
	}
	assert_int_equal(count(lab, "SELECT count(*) FROM releases"), 0);
	assert_int_equal(count(lab, "SELECT count(*) FROM evidence"), 0);
	assert_lives_on(lab);
}

static void nothing_older_than_tls_1_3(void **state)
{
	struct lab *lab = *state;
	struct client c = { 0 };

	assert_false(handshake(&c, lab, TLS1_2_VERSION));
	SSL_free(c.ssl);
	SSL_CTX_free(c.ctx);
	close(c.fd);
	ERR_clear_error();
	assert_lives_on(lab);
	assert_int_equal(refusals(lab, 1), 1);
}

static void bytes_without_tls(void **state)
{
	struct lab *lab = *state;
	int fd = connect_to(lab);
	char answer[64];

	assert_int_equal(write(fd, "GET / HTTP/1.0\r\n\r\n", 18), 18);
	while (read(fd, answer, sizeof(answer)) > 0)
		;
	close(fd);
	assert_lives_on(lab);
}

/* kill -9: the nonces of before are good for nothing, and what was latched still is. */
static void a_killed_verifier_forgets_nothing(void **state)
{
	struct scripted_measurement m;
	struct lab *lab = *state;
	size_t before = sealed_seen;
	struct scripted a;
	struct client c;

	scripted_open(&a);
	begin(&c, lab, &a, false);
	ask_nonce(&c, SCRIPTED_APPLICATION, 1);
	kill_verifier(lab);
	client_close(&c);
	start_verifier(lab);

	begin(&c, lab, &a, true);
	ask_nonce(&c, SCRIPTED_APPLICATION, 1);
	scripted_measure(&a, ASSAY__CLAIMS__KIND__STATIC, 1, &m);
	mi_not_of_m(&(struct bad_evidence){ lab, &c, &m });
	scripted_sign(&a, &m);
	send_evidence(&c, &m, false);
	expect_verdict(&c, false, 0, "evidence.m");
	scripted_measurement_done(&m);
	kill_verifier(lab);
	client_close(&c);
	start_verifier(lab);

	begin(&c, lab, &a, true);
	ask_nonce(&c, SCRIPTED_APPLICATION, 1);
	scripted_new_run(&a);
	scripted_measure(&a, ASSAY__CLAIMS__KIND__STATIC, 1, &m);
	scripted_sign(&a, &m);
	send_evidence(&c, &m, false);
	expect_verdict(&c, false, 0, "release.latched");
	scripted_measurement_done(&m);
	client_close(&c);
	scripted_done(&a);
	assert_int_equal(sealed_seen, before);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(secrets_of_two_stages_open),
		TEST(bad_evidence_releases_nothing),
		TEST(replayed_evidence_releases_nothing),
		TEST(mi_comes_over_a_second_connection),
		TEST(a_broken_session_is_closed_and_recorded),
		TEST(nothing_older_than_tls_1_3),
		TEST(bytes_without_tls),
		TEST(a_killed_verifier_forgets_nothing),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
