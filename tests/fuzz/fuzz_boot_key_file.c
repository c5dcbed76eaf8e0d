/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "attesters/boot_key_file.h"
#include "boot_key.h"

/* Any bytes as a key file: what is read is written, and read again, as it was. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes text = BYTES_INIT(4 * BOOT_KEY_FILE_MAX);
	struct boot_key_file f, again;
	const char *why = NULL;

	if (boot_key_file_parse(view_of(data, size), &f, &why) < 0)
		return why ? 0 : (abort(), 0);
	if (f.pcrs == 0 || f.pcrs >> BOOT_PCRS || f.expected.known >> BOOT_PCRS ||
	    hash_size(f.bank) == 0)
		abort();
	if (boot_key_file_write(&f, &text) < 0)
		abort();
	if (text.len <= BOOT_KEY_FILE_MAX &&
	    (boot_key_file_parse(bytes_view(&text), &again, &why) < 0 || again.pcrs != f.pcrs ||
	     again.bank != f.bank || again.expected.known != f.expected.known ||
	     again.private.size != f.private.size ||
	     memcmp(again.private.buffer, f.private.buffer, f.private.size) != 0))
		abort();
	bytes_done(&text);
	return 0;
}
