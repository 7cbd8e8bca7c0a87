#!/usr/bin/env python3
"""Certificates for mail servers on loopback: certificates.py FOLDER.

Writes `ca.pem`, which is to be trusted, and for each server a file with its key and certificates:
`good.pem`, `stranger.pem` (of an authority that nobody trusts) and `other.pem` (for another name).
"""

import datetime
import ipaddress
import pathlib
import sys

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID


def name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def builder(subject: str, issuer: str, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.timezone.utc)
    made = x509.CertificateBuilder().subject_name(name(subject)).issuer_name(name(issuer))
    made = made.public_key(key.public_key()).serial_number(x509.random_serial_number())
    return made.not_valid_before(now - datetime.timedelta(days=1)).not_valid_after(now + datetime.timedelta(days=1))


def authority(title: str) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    key = ec.generate_private_key(ec.SECP256R1())
    made = builder(title, title, key).add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    return key, made.sign(key, hashes.SHA256())


def server(by: tuple[ec.EllipticCurvePrivateKey, x509.Certificate], alternatives: list[x509.GeneralName]) -> bytes:
    authority_key, authority_certificate = by
    key = ec.generate_private_key(ec.SECP256R1())
    issuer = authority_certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value
    made = builder("mail", issuer, key)
    made = made.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
    made = made.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    made = made.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    certificate = made.sign(authority_key, hashes.SHA256())
    form = serialization.PrivateFormat.PKCS8
    text = key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
    return text + certificate.public_bytes(serialization.Encoding.PEM)


def write(folder: pathlib.Path) -> None:
    trusted, stranger = authority("trusted"), authority("stranger")
    here: list[x509.GeneralName] = [x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    (folder / "ca.pem").write_bytes(trusted[1].public_bytes(serialization.Encoding.PEM))
    (folder / "good.pem").write_bytes(server(trusted, here))
    (folder / "stranger.pem").write_bytes(server(stranger, here))
    (folder / "other.pem").write_bytes(server(trusted, [x509.DNSName("mail.example.test")]))


if __name__ == "__main__":
    write(pathlib.Path(sys.argv[1]))
