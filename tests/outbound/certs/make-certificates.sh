#!/usr/bin/env bash
# Makes the certificates of this folder anew (see README.md). The authorities' own keys are thrown away.
set -euo pipefail
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
touch "$work/index" && echo 01 >"$work/serial"
cat >"$work/ca.cnf" <<CONFIG
[ca]
default_ca = test
[test]
database = $work/index
serial = $work/serial
new_certs_dir = $work
default_md = sha256
unique_subject = no
policy = policy
[policy]
commonName = supplied
[authority]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign,cRLSign
subjectKeyIdentifier = hash
CONFIG

key() { openssl ecparam -genkey -noout -name prime256v1 -out "$1"; }
request() { openssl req -new -key "$1" -subj "/CN=$2" -out "$work/request.csr"; }
ca() { openssl ca -batch -notext -config "$work/ca.cnf" -in "$work/request.csr" "$@"; }

authority() { # file, name
  key "$work/$1.key"
  request "$work/$1.key" "$2"
  ca -selfsign -keyfile "$work/$1.key" -extensions authority \
    -startdate 20200101000000Z -enddate 21200101000000Z -out "test-only-$1.pem"
}

leaf() { # name, file, end, authority, key, alternative names
  printf '[leaf]\nsubjectAltName = %s\n' "${6:-DNS:$1}" >"$work/leaf.cnf"
  request "test-only-${5:-$1}.key" "$1"
  ca -cert "test-only-${4:-ca}.pem" -keyfile "$work/${4:-ca}.key" -extfile "$work/leaf.cnf" -extensions leaf \
    -startdate 20200101000000Z -enddate "$3" -out "test-only-$2.pem"
}

authority ca "imageedit test-only CA"
authority other-ca "imageedit other test-only CA"

key test-only-good.example.key
key test-only-other.example.key
leaf good.example good.example 21200101000000Z
leaf other.example other.example 21200101000000Z
leaf good.example expired 20200102000000Z

# The gRPC door: two certificates of this machine's own name, and clients of either authority.
local="DNS:localhost,IP:127.0.0.1"
for name in localhost renewed client stranger; do key "test-only-$name.key"; done
leaf localhost localhost 21200101000000Z ca localhost "$local"
leaf renewed renewed 21200101000000Z ca renewed "$local"
leaf client client 21200101000000Z
leaf stranger stranger 21200101000000Z other-ca
