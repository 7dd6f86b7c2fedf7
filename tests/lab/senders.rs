//! Other people's mail clients, run on the client: swaks and Python's smtplib.
//!
//! Each sends one message and fails unless the server acknowledged it.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use super::message::Message;
use super::network::Side;
use super::outcome::{Because, Outcome};
use super::process::{PATIENCE, run};
use super::root::{DIRECTORY, Root};

/// Sends a message with swaks from its unpacked package; returns the dialogue it prints.
pub(crate) fn swaks(root: &Root, server: SocketAddr, message: &Message) -> Outcome<String> {
    let file = format!("/run/{}.eml", message.recipient);
    // swaks ends what it reads with a line end of its own.
    let content = &message.content;
    root.write(&file, content.strip_suffix(b"\r\n").unwrap_or(content))?;
    let address = server.ip().to_string();
    let family = if server.is_ipv4() { "-4" } else { "-6" };
    let recipient = format!("{}@domain2.com", message.recipient);
    let mut command = root.command(Side::Client, "/usr/bin/swaks", &[family]);
    command.args(["--server", &address, "--port", &server.port().to_string()]);
    command.args(["--helo", "mail.domain1.com", "--from", "sender@domain1.com"]);
    command.args(["--to", &recipient, "--data", &format!("@{file}"), "--timeout", "20s"]);
    run(&mut command, PATIENCE).because("swaks")
}

/// Sends a message with Python's smtplib; returns the dialogue it prints.
pub(crate) fn smtplib(server: SocketAddr, message: &Message) -> Outcome<String> {
    let file = Path::new(DIRECTORY).join(format!("{}.eml", message.recipient));
    fs::write(&file, &message.content).because(file.display())?;
    let recipient = format!("{}@domain2.com", message.recipient);
    let mut command = Side::Client.command("python3", &["-c", SMTPLIB]);
    command.args([&server.ip().to_string(), &server.port().to_string(), &recipient]).arg(file);
    run(&mut command, PATIENCE).because("smtplib")
}

const SMTPLIB: &str = "\
import smtplib, sys
host, port, recipient, path = sys.argv[1:]
with smtplib.SMTP(host, int(port), 'mail.domain1.com', timeout=20) as client:
    client.set_debuglevel(1)
    with open(path, 'rb') as file:
        client.sendmail('sender@domain1.com', [recipient], file.read())
";
