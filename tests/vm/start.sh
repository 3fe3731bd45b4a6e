#!/bin/sh
# The guest's init on its own root: mounts what a system has, runs the tests that the share names, and ends the machine.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t securityfs securityfs /sys/kernel/security
mount -t tracefs tracefs /sys/kernel/tracing
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mkdir -p /dev/pts /dev/shm
mount -t devpts -o gid=5,mode=620,ptmxmode=666 devpts /dev/pts
mount -t tmpfs -o mode=1777 shm /dev/shm
mount -t tmpfs -o mode=755 run /run
mkdir -p /mnt/tmpfs
mount -t tmpfs -o mode=755 tmpfs /mnt/tmpfs
mount -t 9p -o trans=virtio,version=9p2000.L,msize=262144,cache=none share /mnt/share
ip link set lo up
echo guest >/proc/sys/kernel/hostname
echo "127.0.1.1 guest" >>/etc/hosts # as Debian's installer does
echo "nameserver 192.0.2.53" >/etc/resolv.conf # one that is not on loopback, as where the profiles were made
sysctl -q kernel.printk_ratelimit=0
dmesg -n 4
mkdir -p /usr/local/bin
ln -s /usr/lib/postgresql/15/bin/psql /usr/local/bin/psql # /usr/bin/psql is a script that finds it, in Perl
ulimit -n 524288 # what systemd gives to every service: the kernel alone gives 4096
echo "harden-guest: ready"
. /mnt/share/environment
cd "$CHECKOUT" || echo "harden-guest: no checkout"
"$PYTHON" -m pytest -p tests.vm.guest -p no:cacheprovider "@/mnt/share/arguments" >/mnt/share/output.txt 2>&1
echo $? >/mnt/share/status
dmesg >/mnt/share/dmesg.txt
sync
echo "harden-guest: done"
/bin/busybox poweroff -f 2>/dev/null || echo o >/proc/sysrq-trigger
sleep 60
