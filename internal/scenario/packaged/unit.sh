# The life of the package on a machine that systemd runs. A step that fails ends it.
export DEBIAN_FRONTEND=noninteractive
fail() { echo "failed: $*"; systemctl --no-pager status postrider || true; journalctl --no-pager -u postrider | tail -n 40; exit 1; }
until_true() { # what, command
    what=$1; shift
    tries=300
    until "$@" >/dev/null 2>&1; do
        tries=$((tries - 1))
        [ $tries -gt 0 ] || fail "never: $what"
        sleep 0.1
    done
}
port_answers() { bash -c "exec 3<>/dev/tcp/127.0.0.1/25; head -n 1 <&3 | grep -q ^220"; }
arrived() { grep -qrs "^Subject: $1\$" /home/joe/Maildir/new; }
send() { printf 'Subject: %s\nTo: joe\n\nx\n' "$1" | /usr/sbin/sendmail -t; }
main_pid() { systemctl show -p MainPID --value postrider; }
all_replaced() { ! ls -l /proc/[0-9]*/exe 2>/dev/null | grep -q "qmail/bin.*(deleted)"; }
suite_ended() { ! grep -qs "^Name:.*qmail-" /proc/[0-9]*/status; }

rm -f /usr/sbin/policy-rc.d # which containers have
useradd -m -s /bin/sh joe
dpkg --force-conflicts -i /tmp/older/*.deb
until_true "the port answers" port_answers
systemctl -q is-active postrider || fail "the unit is not active"
systemctl -q is-enabled postrider || fail "it does not start with the machine"
service postrider status || fail "service says that it does not run"
[ ! -e /run/postrider.pid ] || fail "the init script has started it"
su joe -c "/var/qmail/bin/maildirmake /home/joe/Maildir"
send one
until_true "mail arrives" arrived one

before=$(main_pid)
for deb in /tmp/newer/*.deb /tmp/older/*.deb; do
    dpkg --force-conflicts -i "$deb"
    until_true "all programs are those of $deb" all_replaced
    [ "$(main_pid)" = "$before" ] || fail "it was restarted, and not upgraded"
    until_true "the upgrade is over" sh -c "journalctl --no-pager -o cat -u postrider | tail -n 50 | grep -q 'upgraded: all processes run the programs that are installed'"
done
send two
until_true "mail arrives after upgrades" arrived two
# The unit of the package is new as well, from the next start on.
systemctl restart postrider
until_true "the port answers after a restart" port_answers
[ "$(main_pid)" != "$before" ] || fail "it was not restarted"

systemctl stop postrider
dpkg --force-conflicts -i /tmp/newer/*.deb
until_true "an upgrade starts what was stopped, as Debian has it" port_answers
dpkg -r postrider
suite_ended || fail "something runs after the removal"
[ -e /var/qmail/control/me ] || fail "the settings are gone"
dpkg --force-conflicts -i /tmp/newer/*.deb
until_true "the port answers after another installation" port_answers
dpkg -P postrider
suite_ended || fail "something runs after the purge"
[ ! -e /var/qmail ] || fail "/var/qmail is there"
[ -z "$(find /etc/systemd /lib/systemd /var/lib/systemd -name "postrider*")" ] || fail "$(find /etc/systemd /lib/systemd /var/lib/systemd -name "postrider*")"
echo
echo all is gone
