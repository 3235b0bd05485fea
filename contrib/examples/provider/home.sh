#!/bin/sh
# Makes the mailboxes that users/assign speaks of, and the directories of
# domains; run it as root before /var/qmail/bin/qmail-newu.
set -eu
awk -F: '/^[=+]/ { print substr($0, 1, 1), $3, $4, $5 }' /var/qmail/users/assign | sort -u |
while read -r kind uid gid home; do
    install -d -o "$uid" -g "$gid" -m 0711 /home/vmail "$(dirname "$home")"
    [ -d "$home" ] || install -d -o "$uid" -g "$gid" -m 0711 "$home"
    [ "$kind" = + ] || [ -d "$home/Maildir" ] ||
        setpriv --reuid "$uid" --regid "$gid" --clear-groups /var/qmail/bin/maildirmake "$home/Maildir"
done
