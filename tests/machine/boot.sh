#!/usr/bin/env bash
# Boots a machine on a Debian tree: boot.sh TREE PACKAGES WHEELS
#
# systemd is PID 1 in namespaces of its own (processes, mounts, network, names) and in a cgroup of
# its own. What it changes in the tree is kept in memory, in a layer above it. In PACKAGES and WHEELS
# apt-get and pip find again what was fetched for an earlier machine; what pip fetches now is added.
#
# boot.sh --possible says why no machine can be had here, and nothing if one can.
#
# The first line it says is the PID of that systemd, as counted here. The machine ends when the
# standard input does, so with whoever started it, however that ends; then nothing is left of it.
set -eu -o pipefail

own=(--pid --fork --mount --propagation private --net --uts --ipc --cgroup)
hierarchy=$(findmnt --noheadings --output TARGET --types cgroup2 | head -n 1) || true

# Says why no machine can be had here, if that is so.
possible() {
    if [ "$(id -u)" != 0 ]; then
        echo "it takes root"
    elif ! unshare "${own[@]}" bash -eu -c "mount -t tmpfs tmpfs /mnt && cd /mnt && mkdir a b c d
        mount -t proc proc a && mount -t sysfs -o ro sysfs b && mount -t cgroup2 cgroup2 c
        mkdir e f && mount -t overlay -o lowerdir=d,upperdir=e,workdir=f overlay d" >/dev/null 2>&1
    then
        echo "namespaces cannot be had here: take a machine or a virtual one, or a privileged container"
    elif ! (mkdir "$hierarchy/m365gw-machine-$$" && rmdir "$hierarchy/m365gw-machine-$$") 2>/dev/null
    then
        echo "the cgroups (version 2) cannot be written here: take a machine, or a virtual one"
    fi
}

outside() {
    group=$hierarchy/m365gw-machine-$$
    mkdir "$group"
    (
        echo "$BASHPID" >"$group/cgroup.procs"
        exec unshare "${own[@]}" --kill-child bash "$0" --inside "$@" </dev/null
    ) &
    exec >&- # so that whoever started it sees when the machine ends by itself
    read -r || true
    { kill -KILL $! && wait $!; } 2>/dev/null || true
    until find "$group" -depth -type d -exec rmdir {} + 2>/dev/null; do sleep 0.1; done
}

inside() {
    packages=$(realpath "$2") wheels=$(realpath "$3")
    cd "$1" # named without its path below, as mount reads a colon there in its own way
    mount -t tmpfs -o mode=0755 tmpfs /mnt
    mkdir -p /mnt/{root,above,work} /mnt/packages/{above,work}
    mount -t overlay -o lowerdir=.,upperdir=/mnt/above,workdir=/mnt/work overlay /mnt/root
    cd /mnt/root
    mkdir -p root/.cache/pip
    (cd "$packages" && exec mount -t overlay overlay /mnt/root/var/cache/apt/archives \
        -o lowerdir=.,upperdir=/mnt/packages/above,workdir=/mnt/packages/work)
    mount --bind "$wheels" root/.cache/pip

    # The kernel's settings are everybody's; only those of the network are the machine's own.
    mount -t proc proc proc
    for shared in sys sysrq-trigger irq bus; do
        [ -e "proc/$shared" ] || continue # as this kernel was built
        mount --bind "proc/$shared" "proc/$shared"
        mount -o remount,bind,ro "proc/$shared"
    done
    mount --bind proc/sys/net proc/sys/net
    mount -o remount,bind,rw proc/sys/net
    mount -t sysfs -o ro sysfs sys
    mount -t cgroup2 cgroup2 sys/fs/cgroup
    mount -t tmpfs -o mode=0755,nosuid tmpfs dev
    mkdir dev/pts dev/shm
    for device in null zero full random urandom tty; do
        touch "dev/$device"
        mount --bind "/dev/$device" "dev/$device"
    done
    mount -t devpts -o newinstance,ptmxmode=0666,mode=0620 devpts dev/pts
    ln -s pts/ptmx dev/ptmx
    ln -s /proc/self/fd dev/fd
    mount -t tmpfs -o mode=1777 tmpfs dev/shm
    mount -t tmpfs -o mode=0755 tmpfs run

    read -r self _ </proc/self/stat # by the /proc of outside: the PID there
    pivot_root . mnt
    umount -l /mnt
    ip link set lo up
    echo "$self"
    # Neither the kernel's modules nor its clock and log are the machine's.
    denied=-sys_module,-sys_time,-syslog,-sys_rawio,-wake_alarm,-block_suspend
    exec env -i container=m365gw PATH=/usr/sbin:/usr/bin:/sbin:/bin \
        setpriv --inh-caps="$denied" --bounding-set="$denied" /sbin/init
}

case $1 in
--possible) possible ;;
--inside) shift && inside "$@" ;;
*) outside "$@" ;;
esac
