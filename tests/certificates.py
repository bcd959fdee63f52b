"""A certificate authority for servers on loopback."""

from __future__ import annotations

import contextlib
import datetime as dt
import ipaddress
import ssl
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID


class Authority:
    """
    A certificate authority of a test's own.

    :param folder: where its files go.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._name = name
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._certificate = self._sign(self._key, name, None)
        self.path = self._write(f"{name}.pem", self._certificate)

    def issue(self, name: str) -> tuple[str, str]:
        """Return the paths of a certificate, for a server at 127.0.0.1 and for a client, and of its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._write(f"{self._name}-{name}.pem", self._sign(key, name, self._certificate))
        key_path = self._folder / f"{self._name}-{name}.key"
        encoding = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8)
        key_path.write_bytes(key.private_bytes(*encoding, serialization.NoEncryption()))
        locked = serialization.BestAvailableEncryption(b"passphrase")
        key_path.with_suffix(".locked").write_bytes(key.private_bytes(*encoding, locked))
        return certificate, str(key_path)

    def server_context(self, name: str = "127.0.0.1", *, clients: Authority | None = None) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self.issue(name))
        if clients is not None:
            context.load_verify_locations(clients.path)
            context.verify_mode = ssl.CERT_REQUIRED
        return context

    def _write(self, name: str, certificate: x509.Certificate) -> str:
        path = self._folder / name
        path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        return str(path)

    def _sign(self, key: Any, name: str, issuer: x509.Certificate | None) -> x509.Certificate:
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        now = dt.datetime.now(dt.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer.subject if issuer else subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(hours=1))
            .not_valid_after(now + dt.timedelta(hours=1))
            .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
        )
        if issuer is None:
            usage = x509.KeyUsage(
                digital_signature=True, content_commitment=False, key_encipherment=False, data_encipherment=False,
                key_agreement=False, key_cert_sign=True, crl_sign=True, encipher_only=False, decipher_only=False,
            )  # fmt: skip
            builder = builder.add_extension(usage, critical=True)
        else:
            uses = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
            builder = builder.add_extension(x509.ExtendedKeyUsage(uses), critical=False)
            builder = builder.add_extension(x509.SubjectAlternativeName([_parse_name(name)]), critical=False)
        return builder.sign(self._key, hashes.SHA256())


def _parse_name(name: str) -> x509.GeneralName:
    """Return the address or the name of the owner of a certificate."""
    with contextlib.suppress(ValueError):
        return x509.IPAddress(ipaddress.ip_address(name))
    return x509.DNSName(name)
