"""Test certificates for a server on loopback and its clients."""

import datetime
import ipaddress
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


class KeyPair(NamedTuple):
    """A private key and its certificate, PEM."""

    key: str
    certificate: str


class _Authority:
    def __init__(self, name: str) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = _x509_name(name)
        self.certificate = _to_pem(self._sign(self.key, self.name, is_authority=True))

    def issue(self, name: str) -> KeyPair:
        key = ec.generate_private_key(ec.SECP256R1())
        form, container = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
        text = key.private_bytes(form, container, serialization.NoEncryption()).decode()
        return KeyPair(text, _to_pem(self._sign(key, _x509_name(name), is_authority=False)))

    def _sign(self, key: ec.EllipticCurvePrivateKey, name: x509.Name, is_authority: bool):
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
            # Python 3.13 asks for these, as RFC 5280 does.
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), False
            )
            .add_extension(_usage(is_authority), critical=True)
        )
        return builder.sign(self.key, hashes.SHA256())


class Certificates(NamedTuple):
    """An authority, and key pairs that it signed; another one signed `untrusted_client`."""

    authority: str
    server: KeyPair
    client: KeyPair
    untrusted_client: KeyPair


def make_certificates() -> Certificates:
    """Create keys and certificates that are valid for a day."""
    trusted, untrusted = _Authority("trusted"), _Authority("untrusted")
    return Certificates(
        authority=trusted.certificate,
        server=trusted.issue("server"),
        client=trusted.issue("client"),
        untrusted_client=untrusted.issue("client"),
    )


def _usage(is_authority: bool) -> x509.KeyUsage:
    signs = {"key_cert_sign": is_authority, "crl_sign": is_authority}
    unused = dict.fromkeys(
        ("content_commitment", "data_encipherment", "key_agreement", "key_encipherment"), False
    )
    return x509.KeyUsage(
        digital_signature=True, encipher_only=False, decipher_only=False, **signs, **unused
    )


def _x509_name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _to_pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()
