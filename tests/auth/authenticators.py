#!/usr/bin/env python3
"""Registrations by real authenticators, as the tests of SimpleWebAuthn (npm: @simplewebauthn/server) have them, judged here: TPMs, Apple's, security keys, long gone certificates
at their time.

Usage: tests/auth/authenticators.py BUILD CHECKOUT    CHECKOUT: a git folder (bare or not) of MasterKale/SimpleWebAuthn. No part of CI, where no such folder is.

Refused are, on purpose: android-key, android-safetynet, fido-u2f; keys of RSA with SHA-1 or PSS, which nobody was asked for."""
import base64, datetime, hashlib, json, re, subprocess, sys, tempfile

FILES = [f"packages/server/src/registration/{f}.test.ts" for f in ("verifyRegistrationResponse", "verifications/tpm/verifyAttestationTPM", "verifications/verifyAttestationPacked", "verifications/verifyAttestationApple", "verifications/verifyAttestationAndroidKey")]
TEXT = r"\s*((?:'[^']+'\s*\+?\s*)+)"
PURPOSE = ("format that is not known", "kind that was not asked for")


def bytes_of(text):
    text = "".join(re.findall(r"[A-Za-z0-9_-]+", text))
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def not_before(data):
    """Of the first certificate in it that openssl reads; now, where there is none."""
    at = data.find(b"\x30\x82")
    while at >= 0:
        der = data[at:at + 4 + int.from_bytes(data[at + 2:at + 4], "big")]
        got = subprocess.run(["openssl", "x509", "-inform", "DER", "-noout", "-startdate"], input=der, capture_output=True)
        if got.returncode == 0:
            return int(datetime.datetime.strptime(got.stdout.decode().strip(), "notBefore=%b %d %H:%M:%S %Y %Z").replace(tzinfo=datetime.timezone.utc).timestamp()) + 3600
        at = data.find(b"\x30\x82", at + 2)
    return 1750000000


def party(origin, data, said):
    host = re.sub("^https?://", "", origin).split(":")[0]
    names = [host] + said + [".".join(host.split(".")[i:]) for i in range(1, 4)] + re.findall(r"[a-z.]+", "dev.dontneeda.pw dev.netpassport.io localhost webauthn.io example.com")
    return next((n for n in names if n and hashlib.sha256(n.encode()).digest() in data), host)


def rows(checkout):
    for path in FILES:
        text = subprocess.run(["git", "-C", checkout, "show", "HEAD:" + path], capture_output=True, text=True, check=True).stdout
        for part in re.split(r"Deno\.test\(|\nconst (?=\w+: Reg)", text)[1:]:
            obj, client = re.search("attestationObject:" + TEXT, part), re.search("clientDataJSON:" + TEXT, part)
            if not obj or not client:
                continue
            name, obj, client = re.sub(r"\s+", " ", part[:60].replace("\n", " ")), bytes_of(obj[1]), bytes_of(client[1])
            said = json.loads(client)
            yield name, said["challenge"].rstrip("="), client.hex(), obj.hex(), said["origin"], party(said["origin"], obj, re.findall("expectedRPID: '([^']+)'", part)), str(not_before(obj))


def main():
    build, checkout = sys.argv[1:3]
    with tempfile.NamedTemporaryFile("w", suffix=".tsv") as f:
        f.writelines("\t".join(r) + "\n" for r in rows(checkout))
        f.flush()
        said = subprocess.run([f"{build}/tests/webauthn_test", f.name], capture_output=True, text=True, check=True).stdout
    print(said, end="")
    wrong = [x for x in said.splitlines() if x.startswith("refused") and not any(p in x for p in PURPOSE)]
    taken = len(re.findall("^taken", said, re.M))
    print(f"{taken} passed, {len(wrong)} failed, 0 skipped")
    return bool(wrong) or taken < 10


if __name__ == "__main__":
    sys.exit(main())
