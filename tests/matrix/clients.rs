//! The programs that only send: swaks, curl, msmtp, Python's smtplib. Each sends one message and
//! says whether the server took it.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use crate::cell::{Cell, Client, Kind};
use crate::lab::{Because, DIRECTORY, Outcome, PASSWORD, PATIENCE, Root, Side, USER, run, wrong};

/// The unpacked programs.
pub(crate) struct Senders {
    swaks: Root,
    msmtp: Root,
}

impl Senders {
    /// Unpacks them.
    pub(crate) fn open() -> Outcome<Self> {
        Ok(Self { swaks: Root::mount("swaks")?, msmtp: Root::mount("msmtp")? })
    }

    /// Sends; an error quotes what the client said.
    pub(crate) fn send(&self, cell: &Cell, name: &str, content: &[u8], to: &[String]) -> Outcome {
        let server = cell.server.address(cell.kind.way());
        let mut command = match cell.client {
            Client::Curl => curl(cell.kind, server, &kept(name, &Cell::with_crlf(content))?, to),
            Client::Msmtp => {
                let file = format!("/run/{name}.eml");
                self.msmtp.write(&file, content)?;
                msmtp(&self.msmtp, cell.kind, server, &file, to)
            }
            Client::Smtplib => {
                smtplib(cell.kind, server, &kept(name, &Cell::with_crlf(content))?, to)
            }
            Client::Swaks => {
                let file = format!("/run/{name}.eml");
                // swaks ends what it reads with a line end of its own.
                self.swaks.write(&file, content.strip_suffix(b"\n").unwrap_or(content))?;
                swaks(&self.swaks, cell.kind, server, &file, to)
            }
            Client::Mta(_) => return wrong("a queue is not sent by hand"),
        };
        run(&mut command, PATIENCE).because(cell.client.name())?;
        Ok(())
    }
}

fn swaks(root: &Root, kind: Kind, server: SocketAddr, file: &str, to: &[String]) -> Command {
    let mut command = root.command(Side::Client, "/usr/bin/swaks", &["-4", "--timeout", "20s"]);
    command.args(["--server", &server.ip().to_string(), "--helo", "mail.domain1.com"]);
    command.args(["--from", "sender@domain1.com", "--to", &to.join(",")]);
    command.args(["--data", &format!("@{file}")]);
    match kind {
        Kind::StartTls => command.arg("--tls"),
        Kind::Auth => command.args([
            "--auth",
            "PLAIN,LOGIN,CRAM-MD5",
            "--auth-user",
            USER,
            "--auth-password",
            PASSWORD,
        ]),
        Kind::Pipelined => command.arg("--pipeline"),
        _ => &mut command,
    };
    command
}

fn curl(kind: Kind, server: SocketAddr, file: &Path, to: &[String]) -> Command {
    let mut command = Side::Client.command("curl", &["-sS", "-v", "--max-time", "40"]);
    command.arg(format!("smtp://{server}/mail.domain1.com"));
    command.args(["--mail-from", "sender@domain1.com", "--upload-file"]).arg(file);
    for recipient in to {
        command.args(["--mail-rcpt", recipient]);
    }
    match kind {
        Kind::StartTls => command.args(["--ssl-reqd", "--insecure"]),
        Kind::Auth => command.args(["--user", &format!("{USER}:{PASSWORD}")]),
        _ => &mut command,
    };
    command
}

fn msmtp(root: &Root, kind: Kind, server: SocketAddr, file: &str, to: &[String]) -> Command {
    let options = match kind {
        Kind::StartTls => "--tls=on --tls-starttls=on --tls-certcheck=off".to_owned(),
        Kind::Auth => format!("--auth=login --user={USER} --passwordeval='echo {PASSWORD}'"),
        _ => String::new(),
    };
    let script = format!(
        "exec msmtp --file=/dev/null --host={} --port={} --timeout=20 --domain=mail.domain1.com \
         --from=sender@domain1.com {options} -- \"$@\" < {file}",
        server.ip(),
        server.port()
    );
    let mut command = root.command(Side::Client, "sh", &["-c", &script, "sh"]);
    command.args(to);
    command
}

fn smtplib(kind: Kind, server: SocketAddr, file: &Path, to: &[String]) -> Command {
    let step = match kind {
        Kind::StartTls => "tls",
        Kind::Auth => "auth",
        _ => "",
    };
    let mut command = Side::Client.command("python3", &["-c", SMTPLIB]);
    command.args([&server.ip().to_string(), &server.port().to_string(), step, USER, PASSWORD]);
    command.arg(file).args(to);
    command
}

fn kept(name: &str, content: &[u8]) -> Outcome<std::path::PathBuf> {
    let file = Path::new(DIRECTORY).join(format!("{name}.eml"));
    fs::write(&file, content).because(file.display())?;
    Ok(file)
}

const SMTPLIB: &str = "\
import smtplib, sys
host, port, step, user, password, path, *recipients = sys.argv[1:]
with smtplib.SMTP(host, int(port), 'mail.domain1.com', timeout=30) as client:
    client.ehlo_or_helo_if_needed()
    if step == 'tls':
        client.starttls()
    if step == 'auth':
        client.login(user, password)
    options = ['BODY=8BITMIME'] if client.has_extn('8bitmime') else []
    with open(path, 'rb') as file:
        refused = client.sendmail('sender@domain1.com', recipients, file.read(), options)
    assert not refused, refused
";
