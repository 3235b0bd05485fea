# life.sh PACKAGE NEWER LOAD DIRECTORY: run in namespaces of its own; see the
# package's comment. Any step that fails ends it. LOAD is a program that sends
# mail until /stop is there, and writes down in /acknowledged what was taken.
set -eu
package=$1
newer=$2
load=$3
dir=$4
ip link set lo up
hostname mail.example.org
mount -t overlay overlay -o "lowerdir=/,upperdir=$dir/upper,workdir=$dir/work" "$dir/root"
cp "$package" "$dir/root/package.deb"
cp "$newer" "$dir/root/newer.deb"
cp "$load" "$dir/root/load"
mount -t proc proc "$dir/root/proc"
mount -t tmpfs tmpfs "$dir/root/run"
mount -t tmpfs tmpfs "$dir/root/tmp"
mount --rbind /dev "$dir/root/dev"
# What this machine may have of its own: a suite, and an init system.
rm -rf "$dir/root/var/qmail"
printf '#!/bin/sh\nexit 0\n' >"$dir/root/usr/sbin/policy-rc.d"
chmod 755 "$dir/root/usr/sbin/policy-rc.d"
printf '127.0.0.1 localhost\n127.0.1.1 mail.example.org mail\n' >"$dir/root/etc/hosts"
rm -f "$dir/root/etc/mailname"

exec chroot "$dir/root" sh -eu -c '
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
fail() { echo "failed: $*"; exit 1; }
until_true() { # what, command
    what=$1; shift
    tries=600
    until "$@" >/dev/null 2>&1; do
        tries=$((tries - 1))
        [ $tries -gt 0 ] || fail "never: $what"
        sleep 0.1
    done
}
suite_ended() { ! grep -qs "^Name:.*qmail-" /proc/[0-9]*/status; }
port_answers() { bash -c "exec 3<>/dev/tcp/127.0.0.1/25; head -n 1 <&3 | grep -q ^220"; }
all_replaced() { ! ls -l /proc/[0-9]*/exe 2>/dev/null | grep -q "qmail/bin.*(deleted)"; }
nothing_lost() {
    grep -rhs "^Subject: load-" /home/joe/Maildir/new | sort >/delivered
    [ -z "$(sort /acknowledged | comm -23 - /delivered)" ] && [ -z "$(uniq -d /delivered)" ]
}
arrived() { grep -qrs "^Subject: $1\$" /home/joe/Maildir/new; }

useradd -m -s /bin/sh joe
mkdir -p /home/joe/Maildir/new /home/joe/Maildir/cur /home/joe/Maildir/tmp; chown -R joe: /home/joe/Maildir

dpkg --force-conflicts -i /package.deb
until_true "the port answers" port_answers
/etc/init.d/postrider status
[ "$(cat /var/qmail/control/me)" = mail.example.org ] || fail "this host is $(cat /var/qmail/control/me)"
printf "Subject: one\nTo: joe\n\nx\n" | /usr/sbin/sendmail -t
until_true "local mail arrives" arrived one
swaks --server 127.0.0.1 --helo x --from a@example.net --to joe@mail.example.org --h-Subject two
until_true "mail by SMTP arrives" arrived two
# To another host, which is not there: it waits.
printf "Subject: three\nTo: jim@far.example\n\nx\n" | /usr/sbin/sendmail -t
until_true "mail waits" sh -c "mailq | grep -q jim@"
/etc/init.d/postrider reload
/etc/init.d/postrider flush
cp /usr/share/doc/postrider/examples/postrider.socket /etc/systemd/system
systemd-analyze verify /lib/systemd/system/postrider.service /etc/systemd/system/postrider.socket

# Newer and older programs take the place of those that run, under load.
echo 300 >/var/qmail/control/concurrencysmtp
echo 300 >/var/qmail/control/concurrencysmtpip
before=$(cat /run/postrider.pid)
POSTRIDER_TEST_LOAD=joe@mail.example.org /load &
sender=$!
sleep 2
for deb in newer package; do
    dpkg --force-conflicts -i /$deb.deb
    until_true "all programs are those of $deb" all_replaced
    [ "$(cat /run/postrider.pid)" = "$before" ] || fail "it was restarted, and not upgraded"
    [ "$(readlink /proc/$before/exe)" = /var/qmail/bin/qmail-start ] || fail "the parent runs $(readlink /proc/$before/exe)"
    sleep 1
done
touch /stop
wait $sender || fail "a session saw the upgrade"
until_true "all that was taken is there" nothing_lost
echo "$(wc -l </acknowledged) messages were taken while the programs were replaced"
[ "$(sort /acknowledged | uniq | wc -l)" -gt 500 ] || fail "that is no load"
/etc/init.d/postrider status
mailq | grep -q jim@ || fail "the queue is empty"

dpkg -r postrider
suite_ended || fail "something runs after the removal"
[ ! -e /usr/sbin/sendmail ] || fail "sendmail is there"
[ -e /var/qmail/control/me ] || fail "the settings are gone"
echo 192.0.2.1:25 >/var/qmail/control/smtplisten # settings of the administrator stay
echo 127.0.0.1:25 >>/var/qmail/control/smtplisten
dpkg --force-conflicts -i /package.deb
grep -q 192.0.2.1 /var/qmail/control/smtplisten || fail "the settings were replaced"
echo 127.0.0.1:25 >/var/qmail/control/smtplisten
/etc/init.d/postrider restart
until_true "the port answers after another installation" port_answers
mailq | grep -q jim@ || fail "the queue is lost"

dpkg -P postrider
suite_ended || fail "something runs after the purge"
for path in /var/qmail /etc/init.d/postrider /lib/systemd/system/postrider.service /usr/lib/sendmail /usr/bin/mailq; do
    [ ! -e $path ] || fail "$path is there"
done
echo
echo all is gone
'
