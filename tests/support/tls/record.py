#!/usr/bin/env python3
"""Records TLS sessions between this Python's own client and server, in memory: `record.py FOLDER`.

Each file holds one session: a line for what one side says at once, `C` (client) or `S` (server) and
its bytes in hexadecimal. The names and the certificate are made up.
"""
import os, ssl, subprocess, sys, tempfile
from ssl import TLSVersion as V

folder = sys.argv[1]
keys = tempfile.mkdtemp()
key, cert = os.path.join(keys, "key"), os.path.join(keys, "cert")
subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                "-nodes", "-keyout", key, "-out", cert, "-days", "3650", "-subj", "/CN=mx.example"],
               check=True, capture_output=True)


def contexts(low, high, curve=None):
    client, server = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
    server.load_cert_chain(cert, key)
    if curve:
        server.set_ecdh_curve(curve)
    for context in (client, server):
        context.set_ciphers("DEFAULT@SECLEVEL=0")
        context.minimum_version, context.maximum_version = low, high
    return client, server


def talk(client, server, name, session=None, host="mx.example"):
    flights = []
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    from_client, from_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    one = client.wrap_bio(to_client, from_client, server_hostname=host, session=session)
    other = server.wrap_bio(to_server, from_server, server_side=True)

    def carry():
        moved = False
        for side, source, target in (("C", from_client, to_server), ("S", from_server, to_client)):
            data = source.read()
            if data:
                flights.append(side + " " + data.hex())
                target.write(data)
                moved = True
        return moved

    def attempt(step):
        try:
            return step()
        except ssl.SSLWantReadError:
            return None

    done = [False, False]
    for _ in range(8):
        for index, end in enumerate((one, other)):
            if not done[index]:
                try:
                    end.do_handshake()
                    done[index] = True
                except ssl.SSLWantReadError:
                    pass
            carry()
    assert all(done), name
    for _ in range(2):
        one.write(b"EHLO mail.example\r\n")
        carry()
        other.read()
        other.write(b"250 mx.example\r\n")
        carry()
        one.read()
    attempt(one.unwrap)
    carry()
    attempt(other.unwrap)
    carry()
    with open(os.path.join(folder, name + ".txt"), "w") as file:
        file.write("\n".join(flights) + "\n")
    return one.session


pair = contexts(V.TLSv1_3, V.TLSv1_3)
ticket = talk(*pair, "tls13")
talk(*pair, "tls13-resumed", ticket)
talk(*contexts(V.TLSv1_3, V.TLSv1_3, "secp384r1"), "tls13-retried")
pair = contexts(V.TLSv1_2, V.TLSv1_2)
talk(*pair, "tls12-resumed", talk(*pair, "tls12"))
talk(*contexts(V.TLSv1, V.TLSv1), "tls10")
talk(*contexts(V.TLSv1_1, V.TLSv1_1), "tls11")
