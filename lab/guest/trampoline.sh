#!/bin/sh
# First program in the guest, part of the root folder. The kernel hands us LAB_TRANSPORT and LAB_CONTROL (from its
# command line); everything that may change lives in the control folder of this one run.
mount -t proc proc /proc
if [ "$LAB_TRANSPORT" = 9p ]; then
  mount -t 9p -o trans=virtio,version=9p2000.L,msize=524288 control /mnt
else
  mount -t hostfs -o "hostfs=$LAB_CONTROL" none /mnt
fi
exec /bin/sh /mnt/init.sh
