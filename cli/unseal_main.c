/* SPDX-License-Identifier: Apache-2.0 */
#include "command.h"

/* `assay unseal boot` alone, for an initrd: without the libraries of the other commands. */
int main(int argc, char **argv)
{
	return command_unseal_boot.run(&command_unseal_boot, argc, argv);
}
