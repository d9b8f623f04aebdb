#!/bin/sh
# Copies the home of Jenkins. A copy is kept only if the configuration was the same before and after it was taken.
set -eu
umask 077
home=${HOME_FOLDER:-/jenkins-home} store=${COPIES_FOLDER:-/backup} work=${WORK_FOLDER:-/tmp}
skip='./workspace ./caches ./logs ./war ./tmp ./.cache ./lost+found'

configuration() {
  # Records of builds stand each for itself, so a build that runs meanwhile does no harm.
  cd "$home"
  set -- -name builds
  for folder in $skip; do set -- "$@" -o -path "$folder"; done
  find . \( "$@" \) -prune -o -type f -exec stat -c '%n %i %s %Y %Z' {} + | sort
}

name=jenkins-home-$(date -u +%Y%m%dT%H%M%SZ).tgz
part=$store/.part
trap 'rm -f "$part"' EXIT
attempt=1
while :; do
  configuration >"$work/before"
  set --
  for folder in $skip; do set -- "$@" --exclude "$folder"; done
  if [ -s "$work/before" ] && tar -c -z -f "$part" "$@" -C "$home" . && configuration >"$work/after" && cmp -s "$work/before" "$work/after"; then
    break
  fi
  if [ "$attempt" -ge 10 ]; then
    echo "The configuration of Jenkins changed during each of $attempt copies; none was kept. Copy when nobody changes it." >&2
    exit 1
  fi
  attempt=$((attempt + 1))
done
cd "$store"
sum=$(sha256sum <"$part")
echo "${sum%% *}  $name" >"$name.sha256"
sync
mv "$part" "$name"
echo "$name: $(wc -c <"$name") bytes, attempt $attempt"
printf '%s\n' jenkins-home-*.tgz | sort -r | tail -n "+$((KEEP + 1))" | while read -r old; do
  rm -f "$old" "$old.sha256"
done
