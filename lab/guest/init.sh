#!/bin/sh
# Second stage in the guest, from the control folder at /mnt: makes a writable root that forgets everything, mounts
# the working tree read-only and the output folder read-write at their own paths, and goes on in it.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8
. /mnt/boot.env

# share TAG HOST-FOLDER ro|rw MOUNT-POINT
share() {
  mkdir -p "$4"
  if [ "$LAB_TRANSPORT" = 9p ]; then
    mount -t 9p -o "$3,trans=virtio,version=9p2000.L,msize=524288" "$1" "$4"
  else
    mount -t hostfs -o "$3,hostfs=$2" none "$4"
  fi
}

mount -t tmpfs tmpfs /media
mkdir /media/upper /media/work /media/root
mount -t overlay -o lowerdir=/,upperdir=/media/upper,workdir=/media/work overlay /media/root || exit 1
cd /media/root || exit 1
mount --bind /proc proc
# io_uring's mappings corrupt memory under user-mode Linux (Linux 7.2), and Node's event loop would use them
[ -w /proc/sys/kernel/io_uring_disabled ] && echo 2 >/proc/sys/kernel/io_uring_disabled
mount -t sysfs sysfs sys
mount -t devtmpfs devtmpfs dev
mkdir -p dev/pts dev/shm run/lock
mount -t devpts devpts dev/pts
mount -t tmpfs tmpfs dev/shm
mount -t tmpfs tmpfs run
mount -t tmpfs tmpfs tmp
mkdir -p run/lock run/lab
mount --bind /mnt run/lab
share repo "$LAB_REPO" ro ".$LAB_REPO"
share out "$LAB_OUT" rw ".$LAB_OUT"
share node "$LAB_NODE_DIR" ro ./opt/host-node
if [ "$LAB_TRANSPORT" = 9p ]; then share modules "" ro ./usr/lib/modules; fi
exec chroot . /bin/bash /run/lab/guest.sh
