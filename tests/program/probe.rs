//! `mailguard probe`, the real binary, against scripted servers on the loopback interface.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Output};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use socket2::{Domain, Socket, Type};

use crate::again::output_within;
use crate::sealed::sealed;

/// A server for one connection; what it received comes out when it is over.
struct Server {
    address: SocketAddr,
    lines: JoinHandle<Vec<String>>,
}

impl Server {
    /// Greets, then answers each line; no answer is silence.
    fn new(greeting: &'static str, answer: fn(&str) -> &'static str) -> Self {
        Self::at("127.0.0.1:0", greeting, answer)
    }

    fn at(place: &str, greeting: &'static str, answer: fn(&str) -> &'static str) -> Self {
        Self::custom(place, move |mut stream| {
            let mut lines = Vec::new();
            stream.write_all(greeting.as_bytes()).unwrap();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let mut line = String::new();
            while reader.read_line(&mut line).is_ok_and(|count| count > 0) {
                let said = std::mem::take(&mut line);
                let _ = stream.write_all(answer(said.trim_end()).as_bytes());
                lines.push(said);
            }
            lines
        })
    }

    fn custom(place: &str, serve: impl FnOnce(TcpStream) -> Vec<String> + Send + 'static) -> Self {
        let listener = TcpListener::bind(place).unwrap();
        let address = listener.local_addr().unwrap();
        let lines = thread::spawn(move || serve(listener.accept().unwrap().0));
        Self { address, lines }
    }

    fn probe(&self, options: &[&str]) -> Output {
        probe(&[&[self.address.to_string().as_str()], options].concat())
    }

    fn received(self) -> Vec<String> {
        self.lines.join().unwrap()
    }
}

fn probe(words: &[&str]) -> Output {
    let program = env!("CARGO_BIN_EXE_mailguard");
    output_within(ENDLESS, Command::new(program).arg("probe").args(words))
}

/// Far above the second that a probe is told to wait, and what a busy machine adds to it.
const ENDLESS: Duration = Duration::from_secs(60);

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// A server of today, without a filter.
fn plain(line: &str) -> &'static str {
    match line.split(' ').next().unwrap_or_default() {
        "EHLO" => "250-mail.example.com\r\n250-PIPELINING\r\n250 STARTTLS\r\n",
        "HELO" => "250 mail.example.com\r\n",
        "NOOP" => "250 2.0.0 Ok\r\n",
        "QUIT" => "221 2.0.0 Bye\r\n",
        _ => "502 5.5.2 Error: command not recognized\r\n",
    }
}

/// An echoing server behind our default profile.
fn behind_mailguard(line: &str) -> &'static str {
    match line.split(' ').next().unwrap_or_default() {
        "EHLO" => "500 5.5.1 Command unrecognized: \"XXXXXXXXXXXXXXXX\"\r\n",
        "goodmorning" => "500 5.5.1 Command unrecognized: \"XXXXXXXXXXX\"\r\n",
        "HELP" => "500 5.5.1 Command unrecognized: \"HELX\"\r\n",
        _ => plain(line),
    }
}

/// What captures show behind an ASA.
fn behind_asa(line: &str) -> &'static str {
    match line.split(' ').next().unwrap_or_default() {
        "EHLO" => "250-PIPELINING\r\n250-XXXXXXXA\r\n250 XXXB\r\n",
        "goodmorning" | "STARTTLS" | "NOOP" => "500 unrecognized command\r\n",
        "HELP" => "214 no help\r\n",
        _ => plain(line),
    }
}

const MASKED: &str = "220 ****0****2*****20 ****200**\r\n";

#[test]
fn a_server_without_a_filter_ends_with_0_and_gets_no_mail() {
    let server = Server::new("220 mail.example.com ESMTP Postfix\r\n", plain);
    let output = server.probe(&[]);
    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{said} {}", text(&output.stderr));
    assert!(said.starts_with(&format!("{}: no Mailguard found\n", server.address)), "{said}");
    for line in ["STARTTLS: offered", "Postfix: does not take it", "S: 220 mail.example.com"] {
        assert!(said.contains(line), "{line} is not in {said}");
    }
    let sent = ["EHLO [127.0.0.1]\r\n", "goodmorning\r\n", "HELP\r\n", "NOOP\r\n", "QUIT\r\n"];
    assert_eq!(server.received(), sent);
}

#[test]
fn a_mailguard_is_named_and_ends_with_1() {
    let server = Server::new(MASKED, behind_mailguard);
    let output = server.probe(&[]);
    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{said} {}", text(&output.stderr));
    let expected = include_str!("../golden/probe-mailguard.txt");
    assert_eq!(said.replace(&server.address.to_string(), "SERVER"), expected);
}

#[test]
fn an_asa_is_described_in_json() {
    let server = Server::new("220 ****************\r\n", behind_asa);
    let output = server.probe(&["--format", "json"]);
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stdout);
    assert_eq!(said.lines().count(), 1, "{said}");
    let report: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(report["server"], server.address.to_string());
    assert_eq!(report["verdict"], "found");
    assert_eq!(report["candidates"].as_array().unwrap().len(), 1, "{report:#}");
    assert_eq!(report["candidates"][0]["profile"], "asa");
    assert_eq!(report["starttls"]["state"], "perhaps-taken-away");
    assert_eq!(report["postfix_notices"], true);
    assert_eq!(report["greeting"][0], "220 ****************");
    let masked = report["masked"].to_string();
    assert!(masked.contains("XXXXXXXA") && masked.contains("STARTTLS"), "{masked}");
    let sent = server.received();
    assert!(sent.contains(&"STARTTLS\r\n".to_owned()), "{sent:?}");
}

/// Every read of a server that is probed once.
fn pieces_of_a_probe() -> Vec<String> {
    let server = Server::custom("127.0.0.1:0", |mut stream| {
        let mut pieces = Vec::new();
        let mut buffer = [0; 512];
        stream.write_all(b"220 mail.example.com ESMTP\r\n").unwrap();
        let mut line = String::new();
        while let Ok(count) = stream.read(&mut buffer)
            && count > 0
        {
            let piece = String::from_utf8_lossy(&buffer[..count]).into_owned();
            line.push_str(&piece);
            pieces.push(piece);
            if line.ends_with('\n') {
                stream.write_all(plain(std::mem::take(&mut line).trim_end()).as_bytes()).unwrap();
            }
        }
        pieces
    });
    assert_eq!(server.probe(&[]).status.code(), Some(0));
    server.received()
}

#[test]
fn a_cut_command_arrives_in_pieces() {
    let cut = ["N", "O", "O", "P", "\r\n"];
    let is_cut = || pieces_of_a_probe().windows(cut.len()).any(|window| window == cut);
    // A reader that is late finds two pieces at once; one that is never late is enough.
    assert!((0..20).any(|_| is_cut()));
}

#[test]
fn a_name_and_ipv6_are_reached_too() {
    let server = Server::new("220 mail.example.com ESMTP Postfix\r\n", plain);
    let output = probe(&[&format!("localhost:{}", server.address.port())]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("(127.0.0.1): no Mailguard found"));
    if TcpListener::bind("[::1]:0").is_err() {
        return eprintln!("not run: IPv6 is off here");
    }
    let server = Server::at("[::1]:0", "220 mail.example.com ESMTP Postfix\r\n", plain);
    assert_eq!(server.probe(&[]).status.code(), Some(0));
    assert_eq!(server.received().first().unwrap(), "EHLO [IPv6:::1]\r\n");
}

#[test]
fn what_cannot_be_judged_ends_with_2() {
    // Nobody else gets the port, and nobody listens.
    let bound = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    bound.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    let closed = bound.local_addr().unwrap().as_socket().unwrap().to_string();
    let refused = probe(&[&closed]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(text(&refused.stderr).contains("Connection refused"), "{}", text(&refused.stderr));
    for (greeting, expected) in [
        ("SSH-2.0-OpenSSH_9.2\r\n", "the greeting is not SMTP's"),
        ("554 no mail here\r\n", "the server refused to talk"),
    ] {
        let output = Server::new(greeting, plain).probe(&[]);
        assert_eq!(output.status.code(), Some(2), "{greeting}");
        assert!(text(&output.stderr).contains(expected), "{}", text(&output.stderr));
        assert!(text(&output.stdout).contains("nothing can be told"));
    }
    let output = Server::custom("127.0.0.1:0", |_| Vec::new()).probe(&[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("without a greeting"), "{}", text(&output.stderr));
}

#[test]
fn a_name_that_is_none_ends_with_2() {
    // Nobody else's resolver is asked.
    sealed(&["true"], || {
        assert_eq!(probe(&["mail.invalid", "--timeout", "5"]).status.code(), Some(2));
    });
}

#[test]
fn silence_ends_in_time() {
    let output = Server::new("", plain).probe(&["--timeout", "1"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("no greeting within 1 s"));
    let silent = Server::new("220 mail.example.com\r\n", |_| "").probe(&["--timeout", "1"]);
    assert_eq!(silent.status.code(), Some(2));
    assert!(text(&silent.stdout).contains("The server fell silent"));
}

#[test]
fn a_server_that_drips_ends_in_time() {
    let server = Server::custom("127.0.0.1:0", |mut stream| {
        while stream.write_all(b"220-still here\r\n").is_ok() {
            thread::sleep(Duration::from_millis(100));
        }
        Vec::new()
    });
    assert_eq!(server.probe(&["--timeout", "1"]).status.code(), Some(2));
}

#[test]
fn a_greeting_without_an_end_is_the_4_4_bug() {
    let noop = |line: &str| match line.split(' ').next().unwrap_or_default() {
        "HELO" | "hi" | "QUIT" => plain(line),
        _ => "250 2.0.0 Ok\r\n",
    };
    let server = Server::new("220-******\r\n**********\r\n", noop);
    let output = server.probe(&["--format", "json"]);
    let report: serde_json::Value = serde_json::from_str(&text(&output.stdout)).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(report["postfix_notices"], false);
    assert!(report["masked"].to_string().contains("unknown commands"));
}
