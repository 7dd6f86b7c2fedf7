"""A mail server that knows some words, and a client that looks what becomes of them."""

import os
import socket
import socketserver
import sys
import time

ADDRESS = ("10.2.0.2", 25)


class Session(socketserver.StreamRequestHandler):
    def handle(self):
        self.wfile.write(b"220 mail.example ESMTP\r\n")
        for line in self.rfile:
            verb = line.strip().upper()[:4]
            known = verb in (b"HELO", b"EHLO", b"NOOP", b"QUIT")
            self.wfile.write(b"250 ok\r\n" if known else b"500 what?\r\n")


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


def ask(stream, line):
    stream.write(line + b"\r\n")
    stream.flush()
    return stream.readline()


def connect():
    stream = socket.create_connection(ADDRESS, timeout=5).makefile("rwb")
    return stream, stream.readline()


def look():
    try:
        stream, banner = connect()
        answer = ask(stream, b"EHLO client")
    except OSError:
        return "refused"
    seen = (b"ESMTP" in banner, answer[:3])
    return {(True, b"250"): "bare", (False, b"500"): "guarded"}.get(seen, f"odd: {seen}")


def hold(held, go):
    stream, _ = connect()
    assert ask(stream, b"HELO client")[:3] == b"250"
    open(held, "w").close()
    while not os.path.exists(go):
        time.sleep(0.05)
    assert ask(stream, b"NOOP")[:3] == b"250"
    assert ask(stream, b"EHLO again")[:3] == b"500"


match sys.argv[1:]:
    case ["serve"]:
        Server(ADDRESS, Session).serve_forever()
    case ["look"]:
        print(look())
    case ["hold", held, go]:
        hold(held, go)
