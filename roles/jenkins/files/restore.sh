#!/bin/sh
# Brings the home of Jenkins back from a copy: the newest, or the one that BACKUP names. Jenkins must not run meanwhile.
set -eu
home=${HOME_FOLDER:-/jenkins-home} store=${COPIES_FOLDER:-/backup}
cd "$store"
name=${BACKUP:-$(printf '%s\n' jenkins-home-*.tgz | sort | tail -n 1)}
sha256sum -c "$name.sha256"
# Everything is unpacked before the first old file goes.
rm -rf "$home/.restored"
mkdir "$home/.restored"
tar -x -z -f "$name" -C "$home/.restored"
cd "$home"
find . -mindepth 1 -maxdepth 1 ! -name .restored ! -name lost+found -exec rm -rf {} +
find .restored -mindepth 1 -maxdepth 1 -exec mv {} . \;
rmdir .restored
sync
echo "restored from $name"
