//! TLS behind STARTTLS, with real programs at both ends: what is legal passes to the last byte and
//! is seen as what it is; what is no TLS reaches nobody.

use serde_json::Value;

use crate::lab::{
    Because, Filter, Guard, Mta, Network, Outcome, PATIENCE, Program, Side, Way, ensure, mailguard,
    run, wait_until,
};

/// The profile that lets TLS pass, and follows it to its end.
const WATCHED: [&str; 4] = ["--profile", "esmtp", "--format", "json"];

/// One with OpenSSL, one with GnuTLS.
const SERVERS: [Program; 2] = [Program::Postfix, Program::Exim];

/// Python's client with Postfix (OpenSSL) and Exim (GnuTLS) in every version they still speak, each
/// session resumed once; hellos of two segments; handshakes cut into segments of three bytes.
pub(crate) fn every_version() -> Outcome<String> {
    let network = Network::build()?;
    let running = SERVERS.iter().map(|&server| Mta::serve(server)).collect::<Outcome<Vec<_>>>()?;
    let guard = Guard::start(Filter::with(&WATCHED))?;
    let mut said = Vec::new();
    for server in SERVERS {
        let (address, domain) =
            (server.address(Way::Tls).ip().to_string(), server.domain(Way::Tls));
        let mut client = Side::Client.command("python3", &["-W", "ignore", "-c", VERSIONS]);
        // Exim refuses a client that offers several protocols.
        let protocols = if server == Program::Exim { "0" } else { "150" };
        let text =
            run(client.args([&address, &domain, protocols]), PATIENCE * 2).because(guard.log())?;
        said.extend(text.lines().map(str::to_owned));
    }
    let ended = |count| format!("{count} sessions end");
    let seen = wait_until(&ended(said.len()), PATIENCE, || {
        let seen = Seen::read(&guard.events());
        Ok((seen.ended == said.len()).then_some(seen))
    })
    .because(guard.events_end())?;
    ensure(seen.agreed == said, || format!("said {said:#?}, seen {:#?}", seen.agreed))?;
    ensure(seen.wrong.is_empty(), || seen.wrong.join("\n"))?;
    let stored = || running.iter().map(Mta::stored_count).sum::<usize>();
    wait_until("each session's mail is stored", PATIENCE, || {
        Ok((stored() >= said.len()).then_some(()))
    })?;
    ensure(stored() == said.len(), || format!("{} of {} stored", stored(), said.len()))?;
    counted(&said)?;
    drop(guard);
    let kernel = network.contented()?;
    Ok(format!("{} sessions with {} servers, as seen; {kernel}", said.len(), SERVERS.len()))
}

/// What `ctl stats` has counted is what the clients say they agreed on.
fn counted(said: &[String]) -> Outcome {
    let stats = run(mailguard()?.args(["ctl", "stats"]), PATIENCE)?;
    let count = |name: &str| {
        let row = stats.lines().find(|row| row.split_whitespace().next() == Some(name));
        row.and_then(|row| row.split_whitespace().nth(1)?.parse::<usize>().ok()).unwrap_or(0)
    };
    for (name, version) in [
        ("tls_agreed_1_0", "TLS1.0"),
        ("tls_agreed_1_1", "TLS1.1"),
        ("tls_agreed_1_2", "TLS1.2"),
        ("tls_agreed_1_3", "TLS1.3"),
    ] {
        let own = said.iter().filter(|line| line.starts_with(version)).count();
        ensure(count(name) == own && own > 0, || format!("{name}, {own} were said: {stats}"))?;
    }
    let large = count("tls_large_hellos");
    ensure(large == 2, || format!("{large} hellos of two segments"))?;
    ensure(count("tls_protocol:smtp") == large, || stats.clone())?;
    ensure(count("tls_name:mx.domain2.com") == said.len(), || stats.clone())
}

/// What the event log tells of TLS.
#[derive(Default)]
struct Seen {
    agreed: Vec<String>,
    ended: usize,
    wrong: Vec<String>,
}

impl Seen {
    fn read(events: &str) -> Self {
        let mut seen = Self::default();
        for line in events.lines() {
            let Ok(event) = serde_json::from_str::<Value>(line) else { continue };
            let word = |key: &str| event.get(key).and_then(Value::as_str).unwrap_or("-").to_owned();
            match event.get("event").and_then(Value::as_str).unwrap_or_default() {
                "tls-agreed" => {
                    let is_resumed = event.get("resumed").and_then(Value::as_bool) == Some(true);
                    let resumed = if is_resumed { " resumed" } else { "" };
                    seen.agreed.push(format!("{} {}{resumed}", word("version"), word("cipher")));
                }
                "tls-end" => seen.ended += 1,
                "tls-failed" | "tls-alarm" | "reset" => seen.wrong.push(line.to_owned()),
                _ => {}
            }
        }
        seen
    }
}

/// Says for each session what it agreed on, in the words of the log.
const VERSIONS: &str = r"
import smtplib, socket, ssl, sys
V = ssl.TLSVersion
address, domain, protocols = sys.argv[1:]

class Cut:
    '''A socket that says what it is given in segments of so many bytes.'''
    def __init__(self, sock, size):
        self.sock, self.size = sock, size
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    def send(self, data):
        for at in range(0, len(data), self.size):
            self.sock.sendall(data[at:at + self.size])

def context_of(version, protocols=0):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers('DEFAULT:@SECLEVEL=0')
    context.minimum_version = context.maximum_version = version
    if protocols:
        names = ['protocol-%03d' % number for number in range(protocols)]
        context.set_alpn_protocols(['smtp'] + names)
    return context

def session(context, resumed=None, cut=0):
    plain = socket.create_connection((address, 25), timeout=30)
    lines = plain.makefile('rb')
    def reply(lines):
        while (line := lines.readline())[3:4] == b'-': pass
        assert line[:1] in (b'2', b'3'), line
    reply(lines)
    for line in (b'EHLO mail.domain1.com', b'STARTTLS'):
        plain.sendall(line + b'\r\n')
        reply(lines)
    come, go = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(come, go, server_hostname='mx.domain2.com', session=resumed)
    way = Cut(plain, cut or 1 << 20)
    def step(act):
        while True:
            try:
                done = act()
            except ssl.SSLWantReadError:
                done = None
            if data := go.read():
                way.send(data)
            if done is not None:
                return done
            data = plain.recv(1 << 16)
            come.write(data) if data else come.write_eof()
    step(lambda: tls.do_handshake() or True)
    way.size = 1 << 20
    heard = b''
    def say(text):
        nonlocal heard
        step(lambda: tls.write(text))
        while not heard.endswith(b'\r\n') or heard.split(b'\r\n')[-2][3:4] == b'-':
            heard += step(lambda: tls.read(1 << 16))
        assert heard[:1] in b'23', heard
        heard = b''
    body = b'Subject: x\r\n\r\n' + b'all work and no play\r\n' * 10000
    for text in (b'EHLO mail.domain1.com\r\n', b'MAIL FROM:<sender@domain1.com>\r\n',
                 b'RCPT TO:<x@' + domain.encode() + b'>\r\n', b'DATA\r\n'):
        say(text)
    for at in range(0, len(body), 16384):
        step(lambda: tls.write(body[at:at + 16384]))
    say(b'.\r\n')
    say(b'QUIT\r\n')
    number = next(one['id'] for one in context.get_ciphers() if one['name'] == tls.cipher()[0])
    print(tls.version().replace('TLSv1', 'TLS1') + ('.0' if tls.version() == 'TLSv1' else ''),
          NAMES[number & 0xffff] + (' resumed' if tls.session_reused else ''), flush=True)
    try:
        tls.unwrap()
    except (ssl.SSLWantReadError, ssl.SSLError):
        pass
    if data := go.read():
        way.send(data)
    plain.close()
    return tls.session

NAMES = {0x1301: 'AES_128_GCM_SHA256', 0x1302: 'AES_256_GCM_SHA384',
         0x1303: 'CHACHA20_POLY1305_SHA256', 0xc014: 'ECDHE_RSA_WITH_AES_256_CBC_SHA',
         0xc00a: 'ECDHE_ECDSA_WITH_AES_256_CBC_SHA',
         0xc02b: 'ECDHE_ECDSA_WITH_AES_128_GCM_SHA256', 0xc02f: 'ECDHE_RSA_WITH_AES_128_GCM_SHA256',
         0xc02c: 'ECDHE_ECDSA_WITH_AES_256_GCM_SHA384', 0xc030: 'ECDHE_RSA_WITH_AES_256_GCM_SHA384'}
for version in (V.TLSv1, V.TLSv1_1, V.TLSv1_2, V.TLSv1_3):
    context = context_of(version)
    session(context, session(context))
for version in (V.TLSv1_2, V.TLSv1_3):
    session(context_of(version, int(protocols)))
    session(context_of(version), cut=3)
";

/// What clients say in clear where TLS has to be, with a filter and without.
pub(crate) fn text_for_tls() -> Outcome<String> {
    let network = Network::build()?;
    let exim = Mta::serve(Program::Exim)?;
    let address = Program::Exim.address(Way::Tls).ip().to_string();
    let play = || -> Outcome<String> {
        let mut client = Side::Client.command("python3", &["-W", "ignore", "-c", TEXT]);
        run(client.arg(&address), PATIENCE)
    };
    let bare = play().because(exim.log())?;
    // What the control shows works: Exim goes on in clear behind the end of TLS.
    for text in ["behind TLS: 250", "behind TLS 1.2: 250", "behind TLS 1.3: 250"] {
        ensure(bare.contains(text), || format!("without a filter: {bare}"))?;
    }
    let guard = Guard::start(Filter::with(&WATCHED))?;
    let guarded = play().because(guard.log())?;
    let expected = "quit: reset\nverb in a record: reset\nbehind TLS: reset\n\
                    dressed as an alert behind TLS 1.2: reset\n\
                    dressed as data behind TLS 1.3: reset\n";
    ensure(guarded == expected, || format!("{guarded}{}", guard.events_end()))?;
    for fault in ["not-tls", "record-version", "after-close", "text-after-tls"] {
        guard.await_event(&format!("\"reason\":\"{fault}\""))?;
    }
    let guard_events = guard.events();
    drop(guard);
    let kernel = network.contented()?;
    // What is dressed as data under TLS 1.3 has left; its answer has not.
    let events = guard_events;
    ensure(events.contains("\"side\":\"server\"") && events.contains("text-after-tls"), || events)?;
    Ok(format!("five texts, five resets; {kernel}"))
}

const TEXT: &str = r"
import socket, ssl, sys

def begin():
    plain = socket.create_connection((sys.argv[1], 25), timeout=30)
    lines = plain.makefile('rb')
    for line in (b'', b'EHLO mail.domain1.com\r\n', b'STARTTLS\r\n'):
        plain.sendall(line)
        while (reply := lines.readline())[3:4] == b'-': pass
    assert reply[:3] == b'220', reply
    return plain

def told(name, plain, text, wanted=b''):
    try:
        plain.sendall(text)
        answer = plain.recv(1000)
        # What looks like a line before the one that is wanted is answered, too.
        while answer and wanted not in answer:
            answer = plain.recv(1000)
        answer = wanted if wanted in answer and wanted else answer[:3]
        answer = answer.decode() if answer.isdigit() else 'no reply'
    except ConnectionResetError:
        answer = 'reset'
    print(name + ': ' + answer, flush=True)

told('quit', begin(), b'QUIT\r\n')
told('verb in a record', begin(), b'\x16RSET\r\nMAIL FROM:<a@b>\r\n')

def left(version):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.minimum_version = context.maximum_version = version
    tls = context.wrap_socket(begin())
    # An answer shows that the server has read all of the handshake.
    tls.sendall(b'NOOP\r\n')
    assert tls.recv(100)[:3] == b'250'
    tls.setblocking(False)
    try:
        # Exim does not answer close_notify.
        tls.unwrap()
    except ssl.SSLWantReadError:
        pass
    plain = socket.socket(fileno=tls.detach())
    plain.settimeout(30)
    return plain

text = b'xyz\r\nNOOP\r\nNOOP\r\n'
V = ssl.TLSVersion
told('behind TLS', left(V.TLSv1_2), b'NOOP\r\n')
told('dressed as an alert behind TLS 1.2', left(V.TLSv1_2), b'\x15\x03\x03\0\x11' + text, b'250')
told('dressed as data behind TLS 1.3', left(V.TLSv1_3), b'\x17\x03\x03\0\x11' + text, b'250')
";
