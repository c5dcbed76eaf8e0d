#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# dracut.modules(7): assayd into the initrd, with what it needs before there is a root file system.
# Nothing is added without /etc/assay/initrd/assayd.yaml. What lies beside it goes into the initrd as
# it is, below /etc/assay: the verifier's CA. The initrd is not encrypted, so keep
# nothing secret there. Of its file "modules" each line names a kernel module, which is added with
# those it needs; `initrd: {modules_file: /etc/assay/modules}` loads them.

assay_from=${ASSAY_INITRD_CONFIG:-/etc/assay/initrd}

# 0: always; 255: only where somebody asks for it (--add assay).
check() {
	[[ -e $dracutsysrootdir$assay_from/assayd.yaml ]] || return 255
	require_binaries assayd || return 1
	return 0
}

# dm: without its rules for udev /dev/mapper has no names.
depends() {
	echo base dm
	return 0
}

installkernel() {
	local module

	[[ -e $assay_from/modules ]] || return 0
	while read -r module _; do
		[[ -z $module || $module == \#* ]] && continue
		module=${module%%#*}
		if ! modprobe -S "$kernel" --show-depends "$module" >/dev/null; then
			dfatal "assay: kernel $kernel has no module $module"
			exit 1
		fi
		hostonly='' instmods "$module"
	done <"$assay_from/modules"
}

install() {
	local assayd file library name

	if [[ ! -e $assay_from/assayd.yaml ]]; then
		dfatal "assay: no $assay_from/assayd.yaml"
		exit 1
	fi
	assayd=$(find_binary assayd) || exit 1
	if ! "$assayd" --config "$assay_from/assayd.yaml" --check; then
		dfatal "assay: the configuration is wrong"
		exit 1
	fi
	inst "$assayd" /usr/sbin/assayd
	# The TPM's way is opened by name while assayd runs; cryptsetup's threads want libgcc.
	library=$(ldd "$assayd" | sed -n 's/.* => \(.*\)\/libtss2-tctildr\.so.*/\1/p')
	if [[ $library ]]; then
		inst_library "$library/libtss2-tcti-device.so.0" || exit 1
		inst_libdir_file 'libgcc_s.so.1'
	fi
	inst_multiple -o cryptsetup veritysetup poweroff
	for file in "$assay_from"/*; do
		inst_simple "$file" "/etc/assay/${file##*/}" || exit 1
	done
	# Below it assayd keeps its state; then users that it becomes by name.
	mkdir -p "$initdir/var/lib"
	for name in _assay-net nobody; do
		grep -s "^$name:" "$initdir/etc/passwd" >/dev/null ||
			grep "^$name:" /etc/passwd >>"$initdir/etc/passwd" ||
			dwarn "assay: no user $name on this machine"
	done
	for name in _assay-net nogroup; do
		grep -s "^$name:" "$initdir/etc/group" >/dev/null ||
			grep "^$name:" /etc/group >>"$initdir/etc/group" || :
	done
	inst_hook initqueue/settled 10 "$moddir/assay-attest.sh"
	# The queue does not end before it has run, whatever root is.
	inst_hook initqueue/finished 10 "$moddir/assay-finished.sh"
}
