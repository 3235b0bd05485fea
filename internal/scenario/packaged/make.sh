# make.sh SOURCE PROGRAMS DIRECTORY: run in namespaces of its own, on a copy of this
# machine's root that nobody else sees. It runs the Makefile's targets as somebody
# would who has just unpacked the source, but for the compiler, whose work PROGRAMS
# is. Any step that fails ends it.
set -eu
source=$1
programs=$2
dir=$3
ip link set lo up
hostname mail.example.org
mount -t overlay overlay -o "lowerdir=/,upperdir=$dir/upper,workdir=$dir/work" "$dir/root"
mount -t proc proc "$dir/root/proc"
for name in run tmp home opt; do mount -t tmpfs -o mode=755 tmpfs "$dir/root/$name"; done
chmod 1777 "$dir/root/tmp"
mount --rbind /dev "$dir/root/dev"
mkdir "$dir/root/opt/source" "$dir/root/opt/build" "$dir/root/opt/changed"
# What is written outside /tmp, /run and /home is here.
mount --bind "$dir/upper" "$dir/root/opt/changed"
mount --bind "$source" "$dir/root/opt/source"
mount -o remount,bind,ro "$dir/root/opt/source"
mount --bind "$programs" "$dir/root/opt/build"
mount -o remount,bind,ro "$dir/root/opt/build"
rm -rf "$dir/root/var/qmail" "$dir/root/usr/sbin/sendmail" "$dir/root/usr/lib/sendmail"
printf '127.0.0.1 localhost\n127.0.1.1 mail.example.org mail\n' >"$dir/root/etc/hosts"

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
arrived() { grep -qrs "^Subject: $1\$" /home/joe/Maildir/new; }
run_make() { make -s GO=true BUILD=/opt/build "$@"; }
start() {
    env - PATH=/var/qmail/bin:/usr/bin:/bin qmail-start ./Maildir/ >>/var/log/postrider 2>&1 &
    suite=$!
    until_true "the port answers" port_answers
}
stop() { kill -TERM $suite; wait $suite || fail "the suite ended with $?"; }
changed() { find /opt/changed -printf "%p %y %u %g %m %s %T@ %l\n" | sort; }

useradd -m -s /bin/sh joe
cd /opt/source

# A package changes nothing but its own directory.
changed >/tmp/before
run_make install DESTDIR=/tmp/package
changed | diff /tmp/before - || fail "make install DESTDIR= changed the machine"
[ ! -e /var/qmail ] || fail "make install DESTDIR= made /var/qmail"
for p in cmd/*; do [ -x /tmp/package/var/qmail/bin/"${p#cmd/}" ] || fail "no $p in the package"; done
for p in docs/man/*; do cmp "$p" "/tmp/package/var/qmail/man/man${p##*.}/${p##*/}"; done
[ "$(find /tmp/package -type f | wc -l)" = "$(ls -d cmd/* docs/man/* | wc -l)" ] || fail "the package has more than programs and pages: $(find /tmp/package -type f)"
[ -z "$(find /tmp/package -perm /6000)" ] || fail "something is setuid"
run_make uninstall DESTDIR=/tmp/package
[ -z "$(find /tmp/package ! -type d)" ] || fail "there is $(find /tmp/package ! -type d)"

# As operations.md has it.
run_make install
run_make setup
[ -z "$(run_make setup)" ] || fail "a second setup has something to do"
ln -s /var/qmail/bin/sendmail /usr/sbin/sendmail
su joe -c "/var/qmail/bin/maildirmake /home/joe/Maildir"
[ "$(cat /var/qmail/control/me)" = mail.example.org ] || fail "this host is $(cat /var/qmail/control/me)"
echo 127.0.0.1:25 >/var/qmail/control/smtplisten
start
printf "Subject: one\nTo: joe\n\nx\n" | sendmail -t
until_true "mail arrives" arrived one
printf "Subject: two\nTo: jim@far.example\n\nx\n" | sendmail -t
until_true "mail waits" sh -c "/var/qmail/bin/mailq | grep -q jim@"
stop
suite_ended || fail "something runs after the stop"

# Another mail system has taken one of the links by now.
echo theirs >/usr/lib/sendmail
getent passwd >/tmp/users
find /var/qmail/control /var/qmail/alias /var/qmail/users /var/qmail/queue /home | sort >/tmp/kept
run_make uninstall
[ ! -e /var/qmail/bin ] || fail "there is $(ls /var/qmail/bin)"
[ ! -e /var/qmail/man ] || fail "there is $(ls -R /var/qmail/man)"
[ ! -L /usr/sbin/sendmail ] || fail "the link to our sendmail is there"
[ "$(cat /usr/lib/sendmail)" = theirs ] || fail "the sendmail of another was removed"
[ -z "$(find /opt/changed -lname "/var/qmail/bin/*")" ] || fail "links lead to programs that are gone"
find /var/qmail/control /var/qmail/alias /var/qmail/users /var/qmail/queue /home | sort | diff /tmp/kept - || fail "settings, queue or mail are not what they were"
getent passwd | diff /tmp/users - || fail "users are gone"
run_make uninstall # again does no harm

# And again: what waited is taken up.
run_make install setup
start
/var/qmail/bin/mailq | grep -q jim@ || fail "the queue is lost"
printf "Subject: three\nTo: joe\n\nx\n" | /var/qmail/bin/sendmail -t
until_true "mail arrives again" arrived three
stop
echo
echo all is as it was
'
