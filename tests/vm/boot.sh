#!/bin/busybox sh
# The guest's first process: loads what leads to its root, and goes there.
/bin/busybox --install -s /bin
export PATH=/bin
ln -s bin /sbin  # where the kernel looks for modprobe
mount -t proc proc /proc
mount -t devtmpfs dev /dev
echo "harden-guest: alive"
for module in virtio_pci virtio_blk virtio_rng crc32c_generic ext4 9pnet_virtio 9p overlay; do
    modprobe "$module" 2>/dev/null
done
tries=0
until mount -t ext4 /dev/vda /newroot 2>/dev/null; do
    tries=$((tries + 1))
    [ "$tries" -lt 30 ] || { echo "harden-guest: no root"; poweroff -f; }
    usleep 500000
done
mkdir -p /newroot/usr/lib/modules
cp -r /lib/modules/. /newroot/usr/lib/modules/
umount /proc
mount -o move /dev /newroot/dev
exec switch_root /newroot /harden-guest/start
echo "harden-guest: cannot go to the root"
poweroff -f
