/* SPDX-License-Identifier: Apache-2.0 */
#include "block.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include "cleanup.h"

#define NONCE_SIZE 12

static const uint8_t magic[8] = { 'A', 'S', 'S', 'A', 'Y', 'B', 'L', 'K' };

/* The cipher with its key, and where in the block it is: what sealing and opening share. */
struct stream {
	EVP_CIPHER_CTX *cipher;
	uint8_t header[BLOCK_HEADER_SIZE];
	uint8_t prefix[BLOCK_PREFIX_SIZE];
	uint32_t chunk; /* number of the next one */
	bool full;	/* every number was used */
};

/* NULL, or which field is outside its limits. */
static const char *header_wrong(const struct block_header *h)
{
	if (h->chunk_size == 0 || h->chunk_size > BLOCK_CHUNK_MAX)
		return "its chunk size is outside 1 to 1 MiB";
	if (h->count == 0 || h->count > BLOCK_COUNT_MAX)
		return "its count of blocks is outside 1 to 4096";
	if (h->index == 0 || h->index > h->count)
		return "its index is not one of its data set";
	return NULL;
}

int block_header_write(const struct block_header *h, uint8_t ret[BLOCK_HEADER_SIZE])
{
	struct bytes b = BYTES_INIT(BLOCK_HEADER_SIZE);
	int r;

	if (header_wrong(h))
		return -EINVAL;
	if ((r = bytes_append(&b, magic, sizeof(magic))) < 0 ||
	    (r = bytes_append_be16(&b, BLOCK_VERSION)) < 0 ||
	    (r = bytes_append_be16(&b, BLOCK_CIPHER)) < 0 ||
	    (r = bytes_append_be32(&b, h->chunk_size)) < 0 ||
	    (r = bytes_append_be32(&b, h->index)) < 0 ||
	    (r = bytes_append_be32(&b, h->count)) < 0 ||
	    (r = bytes_append(&b, h->data_set, sizeof(h->data_set))) < 0 ||
	    (r = bytes_append(&b, h->prefix, sizeof(h->prefix))) < 0 ||
	    (r = bytes_append_u8(&b, 0)) < 0) {
		bytes_done(&b);
		return r;
	}
	memcpy(ret, b.data, BLOCK_HEADER_SIZE);
	bytes_done(&b);
	return 0;
}

int block_header_read(struct view bytes, struct block_header *ret, const char **ret_why)
{
	struct reader in = reader_of(bytes);
	struct block_header h;
	uint16_t version, cipher;
	const char *why;
	struct view v;
	uint8_t zero;

	if (bytes.len != BLOCK_HEADER_SIZE) {
		why = "it is shorter than a block's header";
		goto refuse;
	}
	if (read_view(&in, sizeof(magic), &v) < 0 ||
	    !view_equal(v, view_of(magic, sizeof(magic)))) {
		why = "it does not begin as a block does";
		goto refuse;
	}
	if (read_be16(&in, &version) < 0 || version != BLOCK_VERSION) {
		why = "its version is not known";
		goto refuse;
	}
	if (read_be16(&in, &cipher) < 0 || cipher != BLOCK_CIPHER) {
		why = "its cipher is not known";
		goto refuse;
	}
	if (read_be32(&in, &h.chunk_size) < 0 || read_be32(&in, &h.index) < 0 ||
	    read_be32(&in, &h.count) < 0 || read_copy(&in, h.data_set, sizeof(h.data_set)) < 0 ||
	    read_copy(&in, h.prefix, sizeof(h.prefix)) < 0 || read_u8(&in, &zero) < 0 ||
	    zero != 0) {
		why = "its header is not as this version has it";
		goto refuse;
	}
	why = header_wrong(&h);
	if (why)
		goto refuse;
	*ret = h;
	return 0;

refuse:
	if (ret_why)
		*ret_why = why;
	return -EBADMSG;
}

static int stream_open(struct stream *s, struct view key, bool seal)
{
	if (key.len != BLOCK_KEY_SIZE)
		return -EINVAL;
	s->cipher = EVP_CIPHER_CTX_new();
	if (!s->cipher)
		return -ENOMEM;
	if (EVP_CipherInit_ex(s->cipher, EVP_aes_256_gcm(), NULL, key.data, NULL, seal) != 1)
		return -EIO;
	return 0;
}

/* Takes the nonce of the next chunk, which no other chunk of this block has. */
static int stream_nonce(struct stream *s, bool last, uint8_t ret[NONCE_SIZE])
{
	if (s->full)
		return -EFBIG;
	memcpy(ret, s->prefix, BLOCK_PREFIX_SIZE);
	for (int i = 0; i < 4; i++)
		ret[BLOCK_PREFIX_SIZE + i] = (uint8_t)(s->chunk >> (24 - 8 * i));
	ret[NONCE_SIZE - 1] = last;
	s->full = s->chunk == UINT32_MAX;
	s->chunk++;
	return 0;
}

static int stream_begin_chunk(struct stream *s, bool last)
{
	uint8_t nonce[NONCE_SIZE];
	int n, r;

	r = stream_nonce(s, last, nonce);
	if (r < 0)
		return r;
	if (EVP_CipherInit_ex(s->cipher, NULL, NULL, NULL, nonce, -1) != 1 ||
	    EVP_CipherUpdate(s->cipher, NULL, &n, s->header, sizeof(s->header)) != 1)
		return -EIO;
	return 0;
}

/* to: room for len + BLOCK_TAG_SIZE. */
static int stream_seal(struct stream *s, const uint8_t *plain, size_t len, bool last, uint8_t *to)
{
	int n = 0, end = 0, r;

	r = stream_begin_chunk(s, last);
	if (r < 0)
		return r;
	if (len > 0 && EVP_CipherUpdate(s->cipher, to, &n, plain, (int)len) != 1)
		return -EIO;
	if (EVP_CipherFinal_ex(s->cipher, to + n, &end) != 1 || (size_t)(n + end) != len)
		return -EIO;
	if (EVP_CIPHER_CTX_ctrl(s->cipher, EVP_CTRL_AEAD_GET_TAG, BLOCK_TAG_SIZE, to + len) != 1)
		return -EIO;
	return 0;
}

/* to: room for len - BLOCK_TAG_SIZE; it holds nothing of the chunk unless the tag is good. */
static int stream_unseal(struct stream *s, const uint8_t *sealed, size_t len, bool last,
			 uint8_t *to)
{
	uint8_t tag[BLOCK_TAG_SIZE];
	int n = 0, end = 0, r;
	size_t plain;

	if (len < BLOCK_TAG_SIZE)
		return -EBADMSG;
	plain = len - BLOCK_TAG_SIZE;
	if (plain == 0 && s->chunk > 0)
		return -EBADMSG;
	r = stream_begin_chunk(s, last);
	if (r < 0)
		return r;
	memcpy(tag, sealed + plain, sizeof(tag));
	if ((plain > 0 && EVP_CipherUpdate(s->cipher, to, &n, sealed, (int)plain) != 1) ||
	    EVP_CIPHER_CTX_ctrl(s->cipher, EVP_CTRL_AEAD_SET_TAG, sizeof(tag), tag) != 1)
		r = -EIO;
	else if (EVP_CipherFinal_ex(s->cipher, to + n, &end) != 1)
		r = -EBADMSG;
	if (r < 0)
		OPENSSL_cleanse(to, plain);
	return r;
}

struct block_writer {
	struct stream stream;
	struct block_sink sink;
	size_t chunk_size, len; /* of plain in use */
	uint8_t *plain, *sealed;
	int error;
	bool finished;
};

CLEANUP_FUNCTION(struct block_writer *, block_writer_free)

int block_writer_new(const struct block_header *h, struct view key, struct block_sink sink,
		     struct block_writer **ret)
{
	CLEANUP(block_writer_freep) struct block_writer *w = NULL;
	struct block_header own = *h;
	int r;

	w = calloc(1, sizeof(*w));
	if (!w)
		return -ENOMEM;
	w->sink = sink;
	w->chunk_size = h->chunk_size;
	if (RAND_bytes(own.prefix, sizeof(own.prefix)) != 1)
		return -EIO;
	memcpy(w->stream.prefix, own.prefix, sizeof(own.prefix));
	r = block_header_write(&own, w->stream.header);
	if (r < 0)
		return r;
	r = stream_open(&w->stream, key, true);
	if (r < 0)
		return r;
	w->plain = malloc(w->chunk_size);
	w->sealed = malloc(w->chunk_size + BLOCK_TAG_SIZE);
	if (!w->plain || !w->sealed)
		return -ENOMEM;
	r = sink.write(sink.arg, w->stream.header, sizeof(w->stream.header));
	if (r < 0)
		return r;
	*ret = TAKE(w);
	return 0;
}

static int writer_chunk(struct block_writer *w, bool last)
{
	int r;

	r = stream_seal(&w->stream, w->plain, w->len, last, w->sealed);
	if (r < 0)
		return r;
	r = w->sink.write(w->sink.arg, w->sealed, w->len + BLOCK_TAG_SIZE);
	w->len = 0;
	return r;
}

int block_writer_add(struct block_writer *w, const void *data, size_t len)
{
	const uint8_t *from = data;

	if (w->finished)
		return -EINVAL;
	while (len > 0 && w->error == 0) {
		size_t n = w->chunk_size - w->len;

		/* A full chunk waits for more, because the last one is sealed as such. */
		if (n == 0) {
			w->error = writer_chunk(w, false);
			continue;
		}
		if (n > len)
			n = len;
		memcpy(w->plain + w->len, from, n);
		w->len += n;
		from += n;
		len -= n;
	}
	return w->error;
}

int block_writer_finish(struct block_writer *w)
{
	if (w->finished)
		return -EINVAL;
	if (w->error == 0)
		w->error = writer_chunk(w, true);
	w->finished = true;
	return w->error;
}

void block_writer_free(struct block_writer *w)
{
	if (!w)
		return;
	EVP_CIPHER_CTX_free(w->stream.cipher);
	if (w->plain)
		OPENSSL_cleanse(w->plain, w->chunk_size);
	free(w->plain);
	free(w->sealed);
	free(w);
}

struct block_reader {
	struct stream stream;
	struct block_source source;
	struct block_header header;
	uint8_t *sealed; /* one chunk, its tag, and a byte to see whether more follows */
	size_t len;	 /* of sealed in use */
	uint8_t *plain;
	bool ended;
	int error;
};

CLEANUP_FUNCTION(struct block_reader *, block_reader_free)

/* Reads until want bytes are there or the source ends. */
static int source_fill(struct block_source *from, uint8_t *to, size_t want, size_t *len)
{
	while (*len < want) {
		size_t n = 0;
		int r;

		r = from->read(from->arg, to + *len, want - *len, &n);
		if (r < 0)
			return r;
		if (n == 0)
			return 0;
		*len += n;
	}
	return 0;
}

int block_reader_new(struct block_source source, struct view key, uint32_t index,
		     struct block_reader **ret, const char **ret_why)
{
	CLEANUP(block_reader_freep) struct block_reader *b = NULL;
	size_t len = 0;
	int r;

	b = calloc(1, sizeof(*b));
	if (!b)
		return -ENOMEM;
	b->source = source;
	r = source_fill(&b->source, b->stream.header, BLOCK_HEADER_SIZE, &len);
	if (r < 0)
		return r;
	r = block_header_read(view_of(b->stream.header, len), &b->header, ret_why);
	if (r < 0)
		return r;
	if (index != 0 && b->header.index != index) {
		if (ret_why)
			*ret_why = "it is another block than the one asked for";
		return -ESTALE;
	}
	memcpy(b->stream.prefix, b->header.prefix, sizeof(b->stream.prefix));
	r = stream_open(&b->stream, key, false);
	if (r < 0)
		return r;
	b->sealed = malloc(b->header.chunk_size + BLOCK_TAG_SIZE + 1);
	b->plain = malloc(b->header.chunk_size);
	if (!b->sealed || !b->plain)
		return -ENOMEM;
	*ret = TAKE(b);
	return 0;
}

static int reader_chunk(struct block_reader *b, struct view *ret)
{
	size_t whole = b->header.chunk_size + BLOCK_TAG_SIZE, len;
	bool last;
	int r;

	r = source_fill(&b->source, b->sealed, whole + 1, &b->len);
	if (r < 0)
		return r;
	last = b->len <= whole;
	len = last ? b->len : whole;
	r = stream_unseal(&b->stream, b->sealed, len, last, b->plain);
	if (r < 0)
		return r;
	b->ended = last;
	b->sealed[0] = b->sealed[b->len - 1]; /* the byte past a chunk that is not the last */
	b->len = 1;
	*ret = view_of(b->plain, len - BLOCK_TAG_SIZE);
	return 0;
}

int block_reader_next(struct block_reader *b, struct view *ret)
{
	if (b->error < 0)
		return b->error;
	if (b->ended) {
		*ret = view_of(NULL, 0);
		return 0;
	}
	b->error = reader_chunk(b, ret);
	return b->error;
}

const struct block_header *block_reader_header(const struct block_reader *b)
{
	return &b->header;
}

void block_reader_free(struct block_reader *b)
{
	if (!b)
		return;
	EVP_CIPHER_CTX_free(b->stream.cipher);
	if (b->plain)
		OPENSSL_cleanse(b->plain, b->header.chunk_size);
	free(b->plain);
	free(b->sealed);
	free(b);
}
