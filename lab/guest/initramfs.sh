#!/bin/busybox sh
# First program under qemu: loads what is needed to reach the root folder on the host, and goes there.
B=/bin/busybox
$B mount -t proc proc /proc
$B mount -t devtmpfs devtmpfs /dev
for module in /modules/*; do $B insmod "$module"; done
$B mount -t 9p -o ro,trans=virtio,version=9p2000.L,msize=524288,cache=loose root /root || exec $B sh
$B umount /proc
exec $B switch_root /root /lab/init
