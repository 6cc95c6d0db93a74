#!/usr/bin/env bash
# Makes the certificates of this folder anew (see README.md). The authority's own key is thrown away.
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

key "$work/ca.key"
request "$work/ca.key" "imageedit test-only CA"
ca -selfsign -keyfile "$work/ca.key" -extensions authority \
  -startdate 20200101000000Z -enddate 21200101000000Z -out test-only-ca.pem

leaf() { # name, file, end
  printf '[leaf]\nsubjectAltName = DNS:%s\n' "$1" >"$work/leaf.cnf"
  request "test-only-$1.key" "$1"
  ca -cert test-only-ca.pem -keyfile "$work/ca.key" -extfile "$work/leaf.cnf" -extensions leaf \
    -startdate 20200101000000Z -enddate "$3" -out "test-only-$2.pem"
}

key test-only-good.example.key
key test-only-other.example.key
leaf good.example good.example 21200101000000Z
leaf other.example other.example 21200101000000Z
leaf good.example expired 20200102000000Z
