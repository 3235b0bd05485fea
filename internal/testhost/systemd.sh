# systemd.sh DIRECTORY TEST [OUTSIDE INSIDE]...: boots systemd as process 1 of namespaces of
# its own, on a copy of this machine's root that nobody else sees and with the
# directories OUTSIDE as INSIDE, and has the script TEST run as a service there. What
# TEST says is in DIRECTORY/said.
set -eu
dir=$1
test=$2
shift 2
root=$dir/root
ip link set lo up
hostname mx1.example
mount -t overlay overlay -o "lowerdir=/,upperdir=$dir/upper,workdir=$dir/work" "$root"
# Settings of the kernel are the machine's: nobody here writes them.
mount -t proc proc "$root/proc"
mount --bind "$root/proc/sys" "$root/proc/sys"
mount -o remount,bind,ro "$root/proc/sys"
mount -t sysfs -o ro sysfs "$root/sys"
mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
for name in run tmp home var/lib/systemd var/log; do mount -t tmpfs -o mode=755 tmpfs "$root/$name"; done
chmod 1777 "$root/tmp"
mount -t tmpfs -o mode=755 tmpfs "$root/dev"
for name in null zero full random urandom tty; do cp -a "/dev/$name" "$root/dev/"; done
mkdir "$root/dev/pts" "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=666,mode=620 devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
: >"$root/dev/console"
# Units of this machine that would touch more than this tree.
rm -rf "$root"/etc/systemd/system/* "$root"/lib/systemd/system/*.wants "$root"/lib/systemd/system-generators/* "$root/var/qmail"
: >"$root/etc/machine-id"
echo mx1.example >"$root/etc/hostname"
printf '127.0.0.1 localhost\n127.0.1.1 mx1.example mx1\n' >"$root/etc/hosts"
while [ $# -gt 0 ]; do
    mkdir "$root$2"
    mount --bind "$1" "$root$2"
    mount -o remount,bind,ro "$root$2"
    shift 2
done
cp "$test" "$root/run/test.sh"
: >"$dir/said"
: >"$root/run/said"
mount --bind "$dir/said" "$root/run/said"
cat >"$root/etc/systemd/system/test.target" <<EOF
[Unit]
Wants=test.service systemd-journald.service
EOF
cat >"$root/etc/systemd/system/test.service" <<EOF
[Service]
Environment=PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
ExecStart=sh -c 'exec sh -eu /run/test.sh >/run/said 2>&1'
ExecStopPost=systemctl --no-block poweroff --force
EOF
# Its root is the root of the namespace: then paths in /proc are as they are elsewhere.
cd "$root"
pivot_root . mnt
umount -l mnt
exec env - container=test PATH=/usr/sbin:/usr/bin:/sbin:/bin chroot . \
    /lib/systemd/systemd --system --unit=test.target --log-target=null --show-status=no
