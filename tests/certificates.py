"""Certificates for tests, as files."""

from __future__ import annotations

import datetime
import ipaddress
import ssl
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

LOOPBACK = ("127.0.0.1", "::1")


def self_signed(folder: Path, name: str = "localhost", *, password: bytes | None = None) -> tuple[Path, Path]:
    """A new certificate for `name` and loopback, and its key; each file appears whole."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    names = [x509.DNSName(name), *(x509.IPAddress(ipaddress.ip_address(literal)) for literal in LOOPBACK)]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(key, hashes.SHA256())
    )
    encryption = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    pem = serialization.Encoding.PEM
    files = folder / "cert.pem", folder / "key.pem"
    contents = (
        certificate.public_bytes(pem),
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, encryption),
    )
    for file, content in zip(files, contents, strict=True):
        new = file.with_suffix(".new")
        new.write_bytes(content)
        new.replace(file)
    return files


def trusting(certificate: Path) -> ssl.SSLContext:
    """A client's context that trusts this certificate and no other."""
    return ssl.create_default_context(cafile=str(certificate))
