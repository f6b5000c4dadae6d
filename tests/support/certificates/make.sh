#!/bin/sh
# Makes the certificates of this folder anew, with OpenSSL 3: each for a hundred years, but for the one that has
# expired. The authority's key is thrown away; the one key that stays is for tests alone.
set -eu
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# key FILE
key() {
  openssl ecparam -name prime256v1 -genkey -noout | openssl pkcs8 -topk8 -nocrypt -out "$1"
}

# certificate NAME KEY UNTIL EXTENSIONS SIGNER…: NAME.pem for the key, from 2024 on
certificate() {
  name=$1 own_key=$2 until=$3 extensions=$4
  shift 4
  cat > "$work/conf" <<CONF
[ca]
default_ca = own
[own]
database = $work/index.txt
new_certs_dir = $work
rand_serial = yes
default_md = sha256
policy = any
x509_extensions = extensions
[any]
commonName = supplied
[extensions]
subjectKeyIdentifier = hash
$extensions
CONF
  : > "$work/index.txt"
  openssl req -new -key "$own_key" -subj "/CN=test $name" -out "$work/request"
  openssl ca -batch -notext -config "$work/conf" -in "$work/request" -out "$name.pem" \
    -startdate 20240101000000Z -enddate "$until" "$@"
}

# leaf NAME NAMES UNTIL: signed by the authority
leaf() {
  certificate "$1" server.key "$3" "basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
subjectAltName = $2" -cert authority.pem -keyfile "$work/authority.key"
}

century=21240101000000Z
key "$work/authority.key"
key server.key
certificate authority "$work/authority.key" $century "basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign" -selfsign -keyfile "$work/authority.key"
leaf server "DNS:localhost, DNS:edge.test, IP:127.0.0.1, IP:::1" $century
leaf expired "DNS:localhost, IP:127.0.0.1" 20240102000000Z
leaf other_name "DNS:other.test" $century
# As 'openssl req -x509' makes it, which is what people have.
certificate self_signed server.key $century "basicConstraints = critical, CA:TRUE
subjectAltName = DNS:localhost, IP:127.0.0.1" -selfsign -keyfile server.key
