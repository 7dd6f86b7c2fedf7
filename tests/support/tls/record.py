#!/usr/bin/env python3
"""Records TLS sessions between this Python's own client and server, in memory: `record.py FOLDER`;
where pyOpenSSL is there (with OpenSSL 3.5 or later), a hybrid one and a renegotiation, too; and one
with early data between `openssl s_client` and `s_server`.

Each file holds one session: a line for what one side says at once, `C` (client) or `S` (server) and
its bytes in hexadecimal. The names and the certificate are made up.
"""
import os, socket, ssl, subprocess, sys, tempfile, threading, time
from ssl import TLSVersion as V

folder = sys.argv[1]
keys = tempfile.mkdtemp()
key, cert = os.path.join(keys, "key"), os.path.join(keys, "cert")
subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                "-nodes", "-keyout", key, "-out", cert, "-days", "3650", "-subj", "/CN=mx.example"],
               check=True, capture_output=True)


def store(name, flights):
    with open(os.path.join(folder, name + ".txt"), "w") as file:
        file.write("\n".join(flights) + "\n")


def contexts(low, high, curve=None, knows_client=False):
    client, server = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
    server.load_cert_chain(cert, key)
    if curve:
        server.set_ecdh_curve(curve)
    if knows_client:
        client.load_cert_chain(cert, key)
        server.load_verify_locations(cert)
        server.verify_mode = ssl.CERT_REQUIRED
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
    store(name, flights)
    return one.session


def talk_anew(name, version, renegotiates):
    """A session of OpenSSL's own defaults, by pyOpenSSL; that of TLS 1.2 is renegotiated."""
    from OpenSSL import SSL
    ends = []
    for is_server in (False, True):
        context = SSL.Context(SSL.TLS_METHOD)
        context.set_min_proto_version(version)
        context.set_max_proto_version(version)
        if is_server:
            context.use_certificate_file(cert)
            context.use_privatekey_file(key)
        # What both allow since OpenSSL 3.0 only where it is asked for.
        context.set_options(1 << 8 if renegotiates else 0)
        end = SSL.Connection(context, None)
        end.set_accept_state() if is_server else end.set_connect_state()
        ends.append(end)
    ends[0].set_tlsext_host_name(b"mx.example")
    flights = []

    def pump(steps):
        for index in steps:
            end, other = ends[index], ends[1 - index]
            for step in (end.do_handshake, lambda: end.recv(100)):
                try:
                    step()
                except SSL.WantReadError:
                    pass
            try:
                data = end.bio_read(1 << 20)
                flights.append("CS"[index] + " " + data.hex())
                other.bio_write(data)
            except SSL.WantReadError:
                pass

    def say(index, text):
        ends[index].send(text)
        data = ends[index].bio_read(1 << 20)
        flights.append("CS"[index] + " " + data.hex())
        ends[1 - index].bio_write(data)
        assert ends[1 - index].recv(100) == text

    pump([0, 1] * 3)
    if renegotiates:
        assert ends[0].renegotiate()
        pump([0, 1] * 4)
    say(0, b"EHLO mail.example\r\n")
    say(1, b"250 mx.example\r\n")
    store(name, flights)


def talk_early(name):
    """A session that is resumed with data in the first flight, by the program `openssl`."""
    port, relay = 44330, 44331
    server = subprocess.Popen(
        ["openssl", "s_server", "-accept", str(port), "-cert", cert, "-key", key, "-tls1_3",
         "-early_data", "-naccept", "2", "-quiet"], stdin=subprocess.PIPE)
    time.sleep(1)
    flights, listener = [], socket.create_server(("127.0.0.1", relay))

    def forward():
        for is_kept in (False, True):
            near, _ = listener.accept()
            far = socket.create_connection(("127.0.0.1", port))

            def carry(side, source, target):
                while data := source.recv(1 << 16):
                    if is_kept:
                        flights.append(side + " " + data.hex())
                    target.sendall(data)
                target.shutdown(socket.SHUT_WR)

            ways = [threading.Thread(target=carry, args=way) for way in
                    (("C", near, far), ("S", far, near))]
            [way.start() for way in ways]
            [way.join() for way in ways]

    relaying = threading.Thread(target=forward)
    relaying.start()
    session, early = os.path.join(keys, "session"), os.path.join(keys, "early")
    with open(early, "w") as file:
        file.write("EHLO mail.example\r\n")
    client = ["openssl", "s_client", "-connect", f"127.0.0.1:{relay}", "-tls1_3",
              "-servername", "mx.example"]
    for more in (["-sess_out", session], ["-sess_in", session, "-early_data", early]):
        one = subprocess.Popen(client + more, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
        time.sleep(2)
        one.stdin.write(b"QUIT\n")
        one.stdin.flush()
        time.sleep(1)
        one.stdin.close()
        one.wait()
    relaying.join()
    server.kill()
    store(name, flights)


pair = contexts(V.TLSv1_3, V.TLSv1_3)
ticket = talk(*pair, "tls13")
talk(*pair, "tls13-resumed", ticket)
talk(*contexts(V.TLSv1_3, V.TLSv1_3, "secp384r1"), "tls13-retried")
pair = contexts(V.TLSv1_2, V.TLSv1_2)
talk(*pair, "tls12-resumed", talk(*pair, "tls12"))
talk(*contexts(V.TLSv1_3, V.TLSv1_3, knows_client=True), "tls13-client-cert")
talk(*contexts(V.TLSv1_2, V.TLSv1_2, knows_client=True), "tls12-client-cert")
talk(*contexts(V.TLSv1, V.TLSv1), "tls10")
talk(*contexts(V.TLSv1_1, V.TLSv1_1), "tls11")
talk_early("tls13-early")
try:
    talk_anew("tls13-hybrid", 0x304, False)
    talk_anew("tls12-renegotiated", 0x303, True)
except ImportError:
    print("without pyOpenSSL: no hybrid session, no renegotiation", file=sys.stderr)
