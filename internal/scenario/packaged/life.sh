# life.sh PACKAGE NEWER ACTOR DIRECTORY LOGGER: run in namespaces of its own; see the
# package's comment. Any step that fails ends it. ACTOR is the system's log, who
# sends mail, and who holds what was sent against what is there (actor_test.go).
set -eu
package=$1
newer=$2
actor=$3
dir=$4
export LOGGER="$5"
ip link set lo up
hostname mail.example.org
mount -t overlay overlay -o "lowerdir=/,upperdir=$dir/upper,workdir=$dir/work" "$dir/root"
cp "$package" "$dir/root/package.deb"
cp "$newer" "$dir/root/newer.deb"
cp "$actor" "$dir/root/actor"
mount -t proc proc "$dir/root/proc"
mount -t tmpfs tmpfs "$dir/root/run"
mount -t tmpfs tmpfs "$dir/root/tmp"
mount -t tmpfs -o mode=755 tmpfs "$dir/root/dev"
for name in null zero full random urandom tty; do cp -a "/dev/$name" "$dir/root/dev/"; done
ln -s /proc/self/fd "$dir/root/dev/fd"
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
actor() { POSTRIDER_TEST_ACTOR=$1 /actor; }
nothing_lost() { actor check; }
arrived() { grep -qrs "^Subject: $1\$" /home/joe/Maildir/new; }

actor syslog &
until_true "the log listens" test -S /dev/log
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
echo 1000 >/var/qmail/control/concurrencysmtp
echo 1000 >/var/qmail/control/concurrencysmtpip
# With another logger, as an administrator has it: dpkg keeps his file.
[ "$LOGGER" = logger ] || sed -i "s/logger -t qmail -p mail.info/$LOGGER/" /etc/init.d/postrider
/etc/init.d/postrider restart
until_true "the port answers" port_answers
pgrep -x "${LOGGER%% *}" >/dev/null || fail "the logger is not $LOGGER"
before=$(cat /run/postrider.pid)
actor load &
sender=$!
sleep 5
date +%s%N >/replacing
for deb in newer package; do
    dpkg --force-conflicts --force-confold -i /$deb.deb
    until_true "all programs are those of $deb" all_replaced
    [ "$(cat /run/postrider.pid)" = "$before" ] || fail "it was restarted, and not upgraded"
    pgrep -x "${LOGGER%% *}" >/dev/null || fail "the logger is not $LOGGER any more"
    [ "$(readlink /proc/$before/exe)" = /var/qmail/bin/qmail-start ] || fail "the parent runs $(readlink /proc/$before/exe)"
    sleep 1
done
touch /stop
wait $sender || fail "a session saw the upgrade"
until_true "all that was taken is there" nothing_lost
actor check || fail "the ledger is not clean"
/etc/init.d/postrider status
mailq | grep -q jim@ || fail "the queue is empty"

# A removal under load: clients are refused, and nothing that was taken is lost.
rm /stop
actor insist &
sender=$!
sleep 2
dpkg -r postrider
touch /stop
wait $sender || fail "the sender failed"
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
until_true "all that was taken before the removal is there" nothing_lost
actor check || fail "the ledger is not clean after the removal"

dpkg -P postrider
suite_ended || fail "something runs after the purge"
for path in /var/qmail /etc/init.d/postrider /lib/systemd/system/postrider.service /usr/lib/sendmail /usr/bin/mailq; do
    [ ! -e $path ] || fail "$path is there"
done
getent passwd qmailq >/dev/null || fail "the users are gone"
[ -d /home/joe/Maildir ] || fail "mail is gone"
echo
echo all is gone
'
