#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# dracut.modules(7), initqueue/finished: no root is mounted before the boot was attested.
[ ! -e /etc/assay/assayd.yaml ] || [ -e /run/initramfs/assay-attested ]
