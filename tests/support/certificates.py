"""Certificates for a server on loopback and for its clients, signed by an authority of our own."""

import datetime
import ipaddress
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


class Pair(NamedTuple):
    """A private key and its certificate, PEM."""

    key: str
    certificate: str


class _Authority:
    def __init__(self, name: str) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = _named(name)
        self.certificate = _pem(self._signed(self.key, self.name, is_authority=True))

    def issue(self, name: str) -> Pair:
        key = ec.generate_private_key(ec.SECP256R1())
        form, container = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
        text = key.private_bytes(form, container, serialization.NoEncryption()).decode()
        return Pair(text, _pem(self._signed(key, _named(name), is_authority=False)))

    def _signed(self, key: ec.EllipticCurvePrivateKey, name: x509.Name, is_authority: bool):
        now = datetime.datetime.now(datetime.UTC)
        address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
        builder = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self.name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.BasicConstraints(is_authority, None), critical=True)
            .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        )
        return builder.sign(self.key, hashes.SHA256())


class Certificates(NamedTuple):
    """What the tests of TLS need: `stranger` is signed by nobody that the server trusts."""

    authority: str
    server: Pair
    client: Pair
    stranger: Pair


def make_certificates() -> Certificates:
    """New keys and certificates, valid for a day."""
    ours, other = _Authority("ours"), _Authority("other")
    return Certificates(
        ours.certificate, ours.issue("server"), ours.issue("client"), other.issue("stranger")
    )


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()
