//! What servers say around TLS: text in clear beside it reaches no client, and whatever is TLS,
//! however odd, passes.

use std::fmt::Write;

use crate::lab::{
    Background, Because, DIRECTORY, Filter, Guard, Mta, Network, Outcome, PATIENCE, Program, Side,
    Way, ensure, run, wait_until,
};

/// The profile that lets TLS pass, and follows it to its end.
const WATCHED: [&str; 4] = ["--profile", "esmtp", "--format", "json"];

/// Where the recorded sessions are.
const SESSIONS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/tls");

/// A server on the server's host that plays its parts in turn, a connection each.
fn serve(script: &str, arguments: &[&str]) -> Outcome<Background> {
    let mut server = Side::Server.command("python3", &["-W", "ignore", "-c", script]);
    let mut server = Background::start("starttls", server.args(arguments))?;
    server.wait_for("listening", PATIENCE)?;
    Ok(server)
}

fn ask(script: &str, arguments: &[&str]) -> Outcome<String> {
    let mut client = Side::Client.command("python3", &["-W", "ignore", "-c", script]);
    run(client.args(arguments), PATIENCE)
}

/// A server that speaks in clear behind its 220, for a hello, amid TLS and behind it is heard
/// without a filter, and with one never. Certificates by the dozen and hellos in tiny records are
/// nothing but TLS.
pub(crate) fn injecting() -> Outcome<String> {
    let network = Network::build()?;
    let key = format!("{DIRECTORY}/starttls.pem");
    let make = format!(
        "openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=mx.example -days 2 -keyout {key} \
         -out {key}.crt; for n in $(seq 60); do cat {key}.crt; done >> {key}"
    );
    run(&mut Side::Server.command("sh", &["-ec", &make]), PATIENCE)?;
    let server = serve(&format!("{PARTS}{INJECTING}"), &[&key])?;
    let play = || ask(&format!("{PARTS}{LISTENING}"), &[]).because(server.log());
    let expected = |heard: &str, end: &str| {
        let mut text = String::new();
        for part in ["with the 220", "behind the 220", "for a hello", "amid TLS", "behind TLS"] {
            let _ = writeln!(text, "{part}: {heard}, {end}");
        }
        for part in ["many certificates 1.2", "many certificates 1.3", "tiny records"] {
            let _ = writeln!(text, "{part}: nothing in clear, spoke TLS");
        }
        text
    };
    let bare = play()?;
    ensure(bare == expected("evil", "closed"), || format!("without a filter: {bare}"))?;
    let guard = Guard::start(Filter::with(&WATCHED))?;
    let guarded = play().because(guard.log())?;
    ensure(guarded == expected("nothing in clear", "reset"), || {
        format!("{guarded}{}", guard.events_end())
    })?;
    for fault in ["not-tls", "text-after-tls"] {
        guard.await_event(&format!("\"reason\":\"{fault}\""))?;
    }
    drop(guard);
    Ok(format!("five texts heard by nobody, three odd sessions whole; {}", network.contented()?))
}

/// Sessions as they were recorded, over real connections, whole and in segments of 500 bytes: with
/// early data, client certificates, and a hybrid key whose hello takes three.
pub(crate) fn recorded() -> Outcome<String> {
    let network = Network::build()?;
    let server = serve(RECORDED, &["server", SESSIONS])?;
    let guard = Guard::start(Filter::with(&WATCHED))?;
    let said = ask(RECORDED, &["client", SESSIONS]).because(format!(
        "{}{}",
        server.log(),
        guard.events_end()
    ))?;
    let count = said.lines().count();
    let told = |word: &str| guard.events().matches(&format!("\"event\":\"{word}\"")).count();
    wait_until("each session ends", PATIENCE, || Ok((told("tls-end") >= count).then_some(())))
        .because(guard.events_end())?;
    let wrong: usize = ["reset", "alarm", "tls-failed", "dropped"].map(told).iter().sum();
    ensure(wrong == 0 && count == 22, || format!("{said}{}", guard.events_end()))?;
    let hybrid = guard.events().matches("\"group\":\"X25519MLKEM768\"").count();
    ensure(hybrid == 2, || format!("{hybrid} sessions with hybrid keys"))?;
    drop(guard);
    Ok(format!("{count} recorded sessions pass; {}", network.contented()?))
}

/// Exim as a sender leaves TLS between two messages and asks in clear whether it may go on, and
/// it falls back to clear text where TLS fails. The first costs it a connection and no mail; the
/// second
/// delivers in clear, unless TLS is required.
pub(crate) fn exim_sends() -> Outcome<String> {
    let network = Network::build()?;
    let server = Mta::serve(Program::Postfix)?;
    let sender = Mta::exim_with(
        "hosts_noproxy_tls = *\n  tls_require_ciphers = NORMAL:-VERS-ALL:+VERS-TLS1.2",
    )?;
    let domain = Program::Postfix.domain(Way::Tls);
    let submit = |name: &str| {
        let content = format!("From: sender@domain1.com\nSubject: {name}\n\nHello.\n");
        sender.submit(content.as_bytes(), &[format!("{name}@{domain}")])
    };
    let arrived = |count: usize| {
        wait_until(&format!("{count} messages"), PATIENCE, || {
            sender.run_queue()?;
            Ok((server.stored_count() >= count).then_some(()))
        })
        .because(sender.log())
    };
    let mut guard = Guard::start(Filter::with(&WATCHED))?;
    for name in ["one", "two", "three"] {
        submit(name)?;
    }
    arrived(3).because(guard.events_end())?;
    let refused = guard.events().matches("\"reason\":\"text-after-tls\"").count();
    ensure(refused > 0, || format!("no clear EHLO behind TLS\n{}", sender.log()))?;
    let old = [&WATCHED[..], &["--set", "tls_minimum=1.3"]].concat();
    guard.replace(Filter::with(&old))?;
    submit("four")?;
    arrived(4).because(guard.events_end())?;
    let in_clear = |name: &str| -> Outcome<bool> {
        let letters = server.stored()?;
        let letter = letters.iter().find(|letter| letter.recipients.contains(&name.to_owned()));
        Ok(!letter.because(name)?.received().contains("with ESMTPS"))
    };
    ensure(!in_clear("one")? && !in_clear("three")?, || sender.log())?;
    ensure(in_clear("four")?, || "a handshake was reset, and TLS was used".to_owned())?;
    guard.replace(Filter::with(&[&old[..], &["--set", "require_tls=required"]].concat()))?;
    submit("five")?;
    sender.run_queue()?;
    guard.await_event("\"rule\":\"tls-required\"").because(sender.log())?;
    ensure(server.stored_count() == 4, || "mail in clear where TLS is required".to_owned())?;
    drop(guard);
    Ok(format!(
        "Exim asked in clear {refused} times and lost no mail, fell back once and once in vain; {}",
        network.contented()?
    ))
}

/// The parts, in their order.
const PARTS: &str = r"
import socket, ssl, sys
V = ssl.TLSVersion
PARTS = ['with the 220', 'behind the 220', 'for a hello', 'amid TLS', 'behind TLS',
         'many certificates 1.2', 'many certificates 1.3', 'tiny records']

def line_of(plain):
    line = b''
    while not line.endswith(b'\n'):
        line += plain.recv(1)
    return line
";

const INJECTING: &str = r"
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[1])

def serve(part, plain):
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    plain.sendall(b'220 mx.example ESMTP\r\n')
    line_of(plain)
    plain.sendall(b'250-mx.example\r\n250 STARTTLS\r\n')
    line_of(plain)
    if part == 'with the 220':
        plain.sendall(b'220 go\r\n250-evil\r\n')
        return plain
    plain.sendall(b'220 go\r\n')
    if part == 'behind the 220':
        plain.sendall(b'250-evil\r\n')
        return plain
    if part == 'for a hello':
        plain.recv(65536)
        plain.sendall(b'454 evil\r\n')
        return plain
    tls = context.wrap_socket(plain, server_side=True)
    tls.recv(100)
    if not part.endswith('TLS'):
        tls.sendall(b'221 bye\r\n')
        return tls
    if part == 'behind TLS':
        tls.setblocking(False)
        try:
            tls.unwrap()
        except ssl.SSLWantReadError:
            pass
    plain = socket.socket(fileno=tls.detach())
    plain.setblocking(True)
    plain.sendall(b'421 evil\r\n')
    return plain

def end(way):
    # Whatever was not read would have the kernel reset the connection.
    way.shutdown(socket.SHUT_WR)
    plain = socket.socket(fileno=way.detach())
    while plain.recv(65536):
        pass

listener = socket.create_server(('', 25))
print('listening', flush=True)
while True:
    for part in PARTS:
        try:
            end(serve(part, listener.accept()[0]))
        except OSError:
            pass
";

const LISTENING: &str = r"
def context_of(part):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if part.endswith('1.2'):
        context.maximum_version = V.TLSv1_2
    return context

def tiny(record):
    '''A hello in records of a byte each.'''
    return b''.join(record[:3] + b'\0\x01' + record[at:at + 1] for at in range(5, len(record)))

def play(part):
    plain = socket.create_connection(('198.51.100.2', 25), timeout=30)
    line_of(plain)
    plain.sendall(b'EHLO client.example\r\n')
    line_of(plain), line_of(plain)
    plain.sendall(b'STARTTLS\r\n')
    come, go = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context_of(part).wrap_bio(come, go)
    heard, inside, end = b'', b'', 'closed'
    is_asked = False
    try:
        heard = line_of(plain)
        while True:
            try:
                if part != 'behind the 220':
                    if not is_asked:
                        tls.do_handshake()
                        tls.write(b'QUIT\r\n')
                        is_asked = True
                    inside += tls.read(1000)
                    if inside.startswith(b'221'):
                        break
            except (ssl.SSLWantReadError, ssl.SSLZeroReturnError, ssl.SSLError):
                pass
            said = go.read()
            if said:
                plain.sendall(tiny(said) if part == 'tiny records' and said[0] == 22 else said)
            got = plain.recv(65536)
            if not got:
                break
            heard += got
            come.write(got)
    except ConnectionError:
        end = 'reset'
    if inside.startswith(b'221'):
        end = 'spoke TLS'
    print('%s: %s, %s' % (part, 'evil' if b'evil' in heard else 'nothing in clear', end))

for part in PARTS:
    play(part)
";

/// Both ends of recorded sessions.
const RECORDED: &str = r"
import os, socket, sys
role, folder = sys.argv[1:]
NAMES = sorted(name for name in os.listdir(folder)
               if name.endswith('.txt') and 'renegotiated' not in name)
RUNS = [(name, size) for name in NAMES for size in (500, 1 << 20)]

def line_of(plain):
    line = b''
    while not line.endswith(b'\n'):
        line += plain.recv(1)
    return line

def play(plain, name, size, own):
    for line in open(os.path.join(folder, name)):
        side, flight = line.split()
        flight = bytes.fromhex(flight)
        if side == own:
            for at in range(0, len(flight), size):
                plain.sendall(flight[at:at + size])
            continue
        heard = b''
        while len(heard) < len(flight):
            more = plain.recv(len(flight) - len(heard))
            assert more, name
            heard += more
        assert heard == flight, name

if role == 'server':
    listener = socket.create_server(('', 25))
    print('listening', flush=True)
for name, size in RUNS:
    if role == 'server':
        plain, _ = listener.accept()
    else:
        plain = socket.create_connection(('198.51.100.2', 25), timeout=30)
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if role == 'server':
        plain.sendall(b'220 mx.example ESMTP\r\n')
        line_of(plain)
        plain.sendall(b'250-mx.example\r\n250 STARTTLS\r\n')
        line_of(plain)
        plain.sendall(b'220 go\r\n')
        play(plain, name, size, 'S')
    else:
        line_of(plain)
        plain.sendall(b'EHLO client.example\r\n')
        line_of(plain), line_of(plain)
        plain.sendall(b'STARTTLS\r\n')
        line_of(plain)
        play(plain, name, size, 'C')
        print(name, size)
    plain.close()
";
