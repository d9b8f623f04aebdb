#!/bin/sh
# Ask a URL as another machine on a bridge would: with an address of its own, through ARP.
# Usage: neighbour.sh BRIDGE ADDRESS/PREFIX URL
set -eu
bridge=$1
address=$2
url=$3
space=slipway-neighbour

ip netns add "$space"
trap 'ip netns delete "$space"' EXIT
ip link add slipway-nb type veth peer name eth0 netns "$space"
ip link set slipway-nb master "$bridge" up
ip -n "$space" address add "$address" dev eth0
ip -n "$space" link set eth0 up
# The first questions may come before the bridge forwards.
ip netns exec "$space" python3 - "$url" <<'PYTHON'
import sys, time, urllib.error, urllib.request

deadline = time.monotonic() + 30
while True:
    try:
        print(urllib.request.urlopen(sys.argv[1], timeout=2).read().decode())
        break
    except OSError as error:
        if time.monotonic() > deadline:
            raise
        time.sleep(0.2)
PYTHON
