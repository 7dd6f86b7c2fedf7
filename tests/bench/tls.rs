//! A large message through TLS: Python's `ssl` at both ends, STARTTLS between, records of 16 KiB.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use crate::lab::{Background, Because, DIRECTORY, Outcome, Side, run};

/// Makes a certificate and listens on these ports of the server's host.
pub(crate) fn open(ports: &[SocketAddr]) -> Outcome<Background> {
    let certificate = Path::new(DIRECTORY).join("tls.pem");
    let certificate = certificate.to_string_lossy();
    run(&mut Side::Server.command("sh", &["-ec", &make(&certificate)]), PATIENCE)?;
    let mut server = Side::Server.command("python3", &["-c", SERVER, &certificate]);
    server.args(ports.iter().map(|port| port.port().to_string()));
    let mut server = Background::start("tls-sink", &mut server)?;
    server.wait_for("listening", PATIENCE)?;
    Ok(server)
}

/// A key and its certificate, both in one file.
fn make(file: &str) -> String {
    format!(
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=mx.example \
         -days 2 -keyout {file}.key -out {file}.crt; cat {file}.key {file}.crt > {file}"
    )
}

/// Sends so many megabytes; seconds from the 354 to the reply to the end of data.
pub(crate) fn delivery(port: SocketAddr, control: &str, megabytes: usize) -> Outcome<f64> {
    let (address, number) = (port.ip().to_string(), port.port().to_string());
    let megabytes = megabytes.to_string();
    let mut client = Side::Client.command("python3", &["-c", CLIENT]);
    let said = run(client.args([&address, &number, control, &megabytes]), PATIENCE)?;
    said.trim().parse().ok().because(said)
}

const PATIENCE: Duration = Duration::from_secs(300);

const SERVER: &str = r"
import socket, ssl, sys, threading
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[1])
def serve(plain):
    def until(way, end):
        text = way.recv(65536)
        while text and not text.endswith(end):
            text = text[-8:] + way.recv(65536)
    plain.sendall(b'220 mx.example ESMTP\r\n')
    until(plain, b'\r\n')
    plain.sendall(b'250-mx.example\r\n250 STARTTLS\r\n')
    until(plain, b'\r\n')
    plain.sendall(b'220 go ahead\r\n')
    with context.wrap_socket(plain, server_side=True) as tls:
        for reply in (b'250 ok\r\n', b'250 ok\r\n', b'354 go ahead\r\n'):
            until(tls, b'\r\n')
            tls.sendall(reply)
        until(tls, b'\r\n.\r\n')
        tls.sendall(b'250 ok\r\n')
        tls.recv(1)
def listen(listener):
    while True:
        threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
for port in sys.argv[2:]:
    listener = socket.create_server(('', int(port)), backlog=64)
    threading.Thread(target=listen, args=(listener,)).start()
print('listening', flush=True)
";

const CLIENT: &str = r"
import socket, ssl, sys, time
address, port, control, megabytes = sys.argv[1:]
plain = socket.create_connection((address, int(port)), timeout=300)
plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, control.encode())
context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
def ask(way, line):
    way.sendall(line)
    assert way.recv(4096)[:1] in b'23'
ask(plain, b'')
ask(plain, b'EHLO mail.domain1.com\r\n')
ask(plain, b'STARTTLS\r\n')
tls = context.wrap_socket(plain)
ask(tls, b'MAIL FROM:<a@domain1.com>\r\n')
ask(tls, b'RCPT TO:<b@domain2.com>\r\n')
ask(tls, b'DATA\r\n')
start = time.monotonic()
body = (b'x' * 62 + b'\r\n') * 15625
for _ in range(int(megabytes)):
    tls.sendall(body)
ask(tls, b'.\r\n')
print(time.monotonic() - start)
";
