"""Makes and checks RS256 tokens by the openssl program, with a key made for the test."""

import base64
import json
import subprocess
import tempfile
from pathlib import Path


def encode(raw):
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def decode(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


class Signer:
    def __init__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="holdfast-jwt.")
        self.key = Path(self.folder.name) / "key.pem"
        self.public = Path(self.folder.name) / "public.pem"
        subprocess.run(["openssl", "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", str(self.key)],
                       check=True, capture_output=True)
        subprocess.run(["openssl", "pkey", "-in", str(self.key), "-pubout", "-out", str(self.public)], check=True,
                       capture_output=True)

    def make(self, claims):
        text = encode(json.dumps({"alg": "RS256", "typ": "JWT"}).encode()) + "." + encode(json.dumps(claims).encode())
        done = subprocess.run(["openssl", "dgst", "-sha256", "-sign", str(self.key)], input=text.encode(), check=True,
                              capture_output=True)
        return text + "." + encode(done.stdout)

    def read(self, token):
        """The claims, or None when the signature is not ours."""
        try:
            text, _, signature = token.rpartition(".")
            head, claims = (json.loads(decode(p)) for p in text.split("."))
        except ValueError:
            return None
        with tempfile.NamedTemporaryFile(dir=self.folder.name) as f:
            f.write(decode(signature))
            f.flush()
            done = subprocess.run(["openssl", "dgst", "-sha256", "-verify", str(self.public), "-signature", f.name],
                                  input=text.encode(), capture_output=True)
        return claims if done.returncode == 0 and head.get("alg") == "RS256" else None
