# The commands that a test has systemd run: the suite's unit from its start to its
# end. A step that fails ends it.
fail() { echo "failed: $*"; journalctl --no-pager -u postrider | tail -n 40; exit 1; }
until_true() { # what, command
    what=$1; shift
    tries=300
    until "$@" >/dev/null 2>&1; do
        tries=$((tries - 1))
        [ $tries -gt 0 ] || fail "never: $what"
        sleep 0.1
    done
}
logged() { journalctl --no-pager -o cat -u postrider | grep -q "$1"; }
arrived() { grep -qrs "^Subject: $1\$" /home/joe/Maildir/new; }
send() { printf 'Subject: %s\nTo: %s\n\nx\n' "$1" "$2" | /usr/sbin/sendmail "$2"; }
main_pid() { systemctl show -p MainPID --value postrider; }

/tmp/programs/qmail-setup -i /tmp/programs >/dev/null
/var/qmail/bin/qmail-setup >/dev/null
ln -sf /var/qmail/bin/sendmail /usr/sbin/sendmail
useradd -m -s /bin/sh joe
su joe -c "/var/qmail/bin/maildirmake /home/joe/Maildir"
cp /tmp/units/postrider.service /tmp/units/postrider.socket /etc/systemd/system
systemctl daemon-reload
systemd-analyze verify /etc/systemd/system/postrider.service /etc/systemd/system/postrider.socket || fail "the units are not clean"

systemctl start postrider
until_true "the suite is up" logged "listening on 0.0.0.0:25"
send one joe
until_true "local mail arrives" arrived one
swaks --server 127.0.0.1 --helo x --from a@example.net --to joe@mx1.example --h-Subject two >/dev/null || fail "mail by SMTP"
until_true "mail by SMTP arrives" arrived two
echo "mail comes"

# What a program of a user can do is what it can without the unit: write where it
# may, in its home, in /tmp and elsewhere; make code; run others; use the network; keep setgid.
mkdir -m 1777 /opt/anywhere
cat >/home/joe/.qmail-program <<'EOF'
|id >program 2>&1; env >environment; echo x >/tmp/of-joe; echo x >/opt/anywhere/of-joe; mkdir -p shared; chmod g+s shared
|python3 -c 'import mmap, socket; mmap.mmap(-1, 4096, prot=7); socket.create_connection(("127.0.0.1", 25)).close(); socket.socket(socket.AF_INET6).close()' >python 2>&1
|cat /proc/self/status >status; ps -e >processes; cat /proc/sys/kernel/hostname >hostname
EOF
chown joe /home/joe/.qmail-program
send three joe-program
until_true "the programs are done" test -s /home/joe/hostname
logged "failure:" && fail "a program of a user failed"
logged "deferral:" && fail "a program of a user is tried again"
grep -q "uid=.*(joe) gid=.*(joe)" /home/joe/program || fail "id: $(cat /home/joe/program)"
for path in /tmp/of-joe /opt/anywhere/of-joe; do [ -s $path ] || fail "no $path"; done
[ -s /home/joe/python ] && fail "$(cat /home/joe/python)"
[ -g /home/joe/shared ] || fail "the directory is not setgid"
grep -q "systemd" /home/joe/processes || fail "a user's program does not see the processes of the machine"
grep -q "^PATH=/var/qmail/bin:" /home/joe/environment || fail "PATH"
grep -E "^(LANG|INVOCATION_ID|JOURNAL_STREAM|SYSTEMD_|MEMORY_PRESSURE|NOTIFY|LISTEN_)" /home/joe/environment && fail "the environment has more than PATH"
grep -q "^CapBnd:.*00000000000000e0$" /home/joe/status || fail "capabilities of a user's program: $(cat /home/joe/status)"
echo "programs of users run"

# Who has setuid programs allowed has them.
cp /usr/bin/id /opt/anywhere/id
chown nobody /opt/anywhere/id
chmod 4755 /opt/anywhere/id
echo "|/opt/anywhere/id -u >setuid" >/home/joe/.qmail-setuid
echo 1 >/var/qmail/control/setuidprograms
systemctl restart postrider
send four joe-setuid
until_true "the setuid program has run" test -s /home/joe/setuid
[ "$(cat /home/joe/setuid)" = "$(id -u nobody)" ] || fail "it ran as $(cat /home/joe/setuid)"
echo "setuid programs run where they are allowed"

# The kernel has what the unit says.
grep -E "^(CapBnd|Seccomp|NoNewPrivs):" "/proc/$(main_pid)/status"
grep -q "^CapBnd:.*00000000000005e0$" "/proc/$(main_pid)/status" || fail "capabilities"
# As many descriptors as it asks for, or as this machine lets systemd have.
files=$(awk '/^Max open files/ {print $5}' /proc/1/limits)
[ "$files" -lt 65536 ] || files=65536
grep -q "^Max open files *$files " "/proc/$(main_pid)/limits" || fail "descriptors: $(grep open "/proc/$(main_pid)/limits")"
for path in /etc /usr; do
    awk -v path=$path '$5 == path && $6 ~ /^ro(,|$)/ { found = 1 } END { exit !found }' "/proc/$(main_pid)/mountinfo" || fail "$path can be written to"
done

echo nonsense >/var/qmail/control/destinations
systemctl reload postrider
until_true "HUP has come" logged "unable to reread control/destinations"
rm /var/qmail/control/destinations
before=$(main_pid)
cp /var/qmail/bin/qmail-smtpd /tmp/new && mv /tmp/new /var/qmail/bin/qmail-smtpd
systemctl kill --kill-whom=main --signal=USR2 postrider
until_true "the upgrade" logged "upgraded: all processes run the programs that are installed"
[ "$(main_pid)" = "$before" ] || fail "it was restarted"
echo "reloaded and upgraded"

# A killed suite is started again. A program of a user that is killed for its
# memory, which systemd sees in the group of the unit, ends nobody else.
kill -KILL "$(main_pid)"
restarted() { [ "$(main_pid)" != "$before" ] && [ "$(main_pid)" != 0 ] && systemctl -q is-active postrider; }
until_true "it is started again" restarted
[ "$(systemctl show -p OOMPolicy --value postrider)" = continue ] || fail "OOMPolicy"
send five joe
until_true "mail arrives after the kill" arrived five
echo "started again"

systemctl stop postrider
grep -qs "^Name:.*qmail-" /proc/[0-9]*/status && fail "something runs after the stop"
logged "qmail-start: stopped" || fail "it did not stop in order"

# systemd listens: who comes while the suite is stopped waits.
systemctl start postrider.socket
swaks --server 127.0.0.1 --helo x --from a@example.net --to joe@mx1.example --h-Subject six --timeout 60 >/dev/null || fail "mail to a socket of systemd"
until_true "mail by a socket of systemd arrives" arrived six
systemctl --no-block restart postrider
swaks --server 127.0.0.1 --helo x --from a@example.net --to joe@mx1.example --h-Subject seven --timeout 60 >/dev/null || fail "mail while it restarts"
until_true "mail arrives after the restart" arrived seven
systemctl stop postrider.socket postrider
echo "sockets of systemd serve"
echo
echo all is well
