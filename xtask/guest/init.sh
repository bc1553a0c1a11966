#!/bin/busybox sh
# The first process of the guest of `cargo xtask vm`: loads what the kernel needs to see a disk, then runs what the second
# serial port says, a line at a time, and says how each ended.
export PATH=/bin
/bin/busybox mkdir -p /proc /sys /dev /tmp /mnt
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mount -t tmpfs tmpfs /tmp
while read -r module; do
    insmod "/modules/$module"
done < /modules/order
# No echo and nothing translated: both ends of the line are programs.
stty -F /dev/ttyS1 raw -echo
exec < /dev/ttyS1 > /dev/ttyS1 2>&1
echo "guest: Linux $(uname -r), $(nproc) processors, $(($(sed -n 's/MemTotal: *\([0-9]*\) kB/\1/p' /proc/meminfo) / 1024)) MiB"
echo "guest: ready"
while read -r line; do
    eval "$line"
    echo "guest: ended $?"
done
poweroff -f
