"""Certificates for servers of tests, made on the spot."""

from __future__ import annotations

import datetime
import ipaddress
import ssl
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

_PEM = serialization.Encoding.PEM


LOOPBACK = ("localhost", "127.0.0.1", "::1")


def self_signed(folder: Path, *names: str, password: bytes | None = None) -> tuple[Path, Path]:
    """A certificate for host names or addresses ("localhost" when none is given) and its key, as files.

    Each file appears whole, in the place of a former one.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "tests")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([_general(one) for one in names or ("localhost",)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    encryption = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    files = folder / "cert.pem", folder / "key.pem"
    contents = certificate.public_bytes(_PEM), key.private_bytes(_PEM, serialization.PrivateFormat.PKCS8, encryption)
    for file, content in zip(files, contents, strict=True):
        file.with_suffix(".new").write_bytes(content)
        file.with_suffix(".new").replace(file)
    return files


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def server_context(files: tuple[Path, Path]) -> ssl.SSLContext:
    """What a TLS server with that certificate and key uses."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*files)
    return context


def trusting(certificate: Path) -> ssl.SSLContext:
    """What a client uses that trusts this certificate and no other."""
    return ssl.create_default_context(cafile=str(certificate))
