#!/usr/bin/env bash
# A client for the tests of `ambassador demo --clients`: payments.sh KIND PREFIX URL. It charges three orders without any
# ambassador, and is honest, or wrong in the one way that KIND names.
set -u
kind=$1 prefix=$2 url=$3
address=${url#http://}

charge() { # KEY ORDER
    local body="{\"order\":\"$2\",\"amount\":1.5}" line
    exec 3<>"/dev/tcp/${address%:*}/${address#*:}"
    printf 'POST /charges HTTP/1.1\r\nhost: x\r\nconnection: close\r\nidempotency-key: %s\r\ncontent-length: %d\r\n\r\n%s' \
        "$1" "${#body}" "$body" >&3
    read -r line <&3
    cat <&3 >/dev/null
    exec 3>&-
}

echo "[Ambassador] Retry 1 after 7ms: said by $prefix" >&2
for n in 1 2 3; do
    charge "$prefix-key-$n" "$prefix-$n"
    # A retry under a new key: the mistake that charges twice.
    [ "$kind" = new-keys ] && charge "$prefix-other-key-$n" "$prefix-$n"
done

charged=3
case $kind in
    dies) echo "out of memory" >&2; exit 3 ;;
    silent) exit 0 ;;
    boasts) charged=4 ;;
    binary) printf '\xff\xfe no text\n' ;;
    hangs) echo "about to hang as $$." >&2; exec sleep 600 ;;
esac
echo "some other line"
echo "{\"language\":\"$prefix\",\"calls\":$charged,\"attempts\":5,\"retries\":2,\"timeouts\":1,\"charged\":$charged,\"failed\":0,\"seconds\":0.25}"
