//! Four mail programs, each as a server that stores what it gets and as a client that queues mail
//! and sends it with its own tools: Postfix, Exim, OpenSMTPD, sendmail; all as Debian packs them.
//!
//! No DNS: a domain's mail goes to a fixed address of its server. Each server has one address for
//! each [`Way`], so that a sender can be told by address what to use of what the server offers.
//! Everything a server accepts ends in one Maildir, a file for each message or recipient.

mod exim;
mod letter;
mod opensmtpd;
mod postfix;
mod sendmail;

use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use super::client::Session;
use super::network::Side;
use super::outcome::{Because, Outcome};
use super::process::{Background, run, tool, wait_until};
use super::root::{DIRECTORY, Root};
use crate::lab::process::PATIENCE;
pub(crate) use letter::{Letter, Likeness};

/// A mail program that receives and sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Program {
    /// Exim, with GnuTLS.
    Exim,
    /// OpenSMTPD, the portable one.
    OpenSmtpd,
    /// Postfix.
    Postfix,
    /// sendmail.
    Sendmail,
}

/// What a sender makes of the extensions that a server offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// Neither TLS nor AUTH nor BDAT.
    Plain,
    /// STARTTLS if it is offered.
    Tls,
    /// AUTH if it is offered.
    Auth,
    /// BDAT if CHUNKING is offered.
    Chunks,
}

/// A running mail program: on the server's host it receives, on the client's it sends.
pub(crate) struct Mta {
    program: Program,
    root: Root,
    // Ends with this.
    _daemon: Background,
}

impl Program {
    /// All four.
    pub(crate) const ALL: [Self; 4] = [Self::Postfix, Self::Exim, Self::OpenSmtpd, Self::Sendmail];

    /// What Exim takes from a client at one of ten ports, in bytes, and the first of those ports.
    pub(crate) const SMALL_LIMIT: (usize, u16) = (51_200, 4_500);

    /// As people call it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Exim => "Exim",
            Self::OpenSmtpd => "OpenSMTPD",
            Self::Postfix => "Postfix",
            Self::Sendmail => "sendmail",
        }
    }

    /// Where its server is, by what a sender shall make of it.
    pub(crate) fn address(self, way: Way) -> SocketAddr {
        let way = match way {
            Way::Plain => 10,
            Way::Tls => 20,
            Way::Auth => 30,
            Way::Chunks => 40,
        };
        let host = match self {
            Self::Postfix => 0,
            Self::Exim => 1,
            Self::OpenSmtpd => 2,
            Self::Sendmail => 3,
        };
        SocketAddr::new(IpAddr::from([198, 51, 100, way + host]), 25)
    }

    /// The domain whose mail goes to that address.
    pub(crate) fn domain(self, way: Way) -> String {
        let way = match way {
            Way::Plain => "",
            Way::Tls => "tls.",
            Way::Auth => "auth.",
            Way::Chunks => "chunks.",
        };
        format!("{way}{}.domain2.com", self.package())
    }

    /// The name of its unpacked package.
    fn package(self) -> &'static str {
        match self {
            Self::Exim => "exim4",
            Self::OpenSmtpd => "opensmtpd",
            Self::Postfix => "postfix",
            Self::Sendmail => "sendmail",
        }
    }

    /// Every address of it.
    fn addresses(self) -> [IpAddr; 4] {
        Way::ALL.map(|way| self.address(way).ip())
    }

    /// Every domain of it.
    fn domains(self) -> [String; 4] {
        Way::ALL.map(|way| self.domain(way))
    }
}

impl Way {
    /// All ways.
    pub(crate) const ALL: [Self; 4] = [Self::Plain, Self::Tls, Self::Auth, Self::Chunks];
}

/// Where the mail of a domain goes, and what a sender shall make of it.
struct Route {
    way: Way,
    domain: String,
    to: IpAddr,
}

/// Every route there is.
fn routes() -> impl Iterator<Item = Route> {
    let pairs = Program::ALL.into_iter().flat_map(|to| Way::ALL.map(|way| (to, way)));
    pairs.map(|(to, way)| Route { way, domain: to.domain(way), to: to.address(way).ip() })
}

impl Mta {
    /// Starts a server and waits until it answers.
    pub(crate) fn serve(program: Program) -> Outcome<Self> {
        for address in program.addresses() {
            let add = ["address", "add", &format!("{address}/24"), "dev", "s0"];
            run(&mut Side::Server.command("ip", &add), PATIENCE)?;
        }
        let mta = Self::start(program, Side::Server)?;
        wait_until(&format!("{} answers", program.name()), PATIENCE, || {
            let address = program.address(Way::Plain);
            let opened = Side::Server.within(|| Session::connect_here(address, PATIENCE));
            Ok(opened.and_then(|mut session| session.reply()).ok())
        })
        .because(mta.log())?;
        Ok(mta)
    }

    /// Starts a program that sends.
    pub(crate) fn send_with(program: Program) -> Outcome<Self> {
        Self::start(program, Side::Client)
    }

    /// The same, a Postfix, with more lines in `main.cf`.
    pub(crate) fn postfix_with(settings: &str) -> Outcome<Self> {
        let root = Self::prepare(Program::Postfix, Side::Client)?;
        postfix::configure(&root, Side::Client, settings)?;
        Self::launch(Program::Postfix, Side::Client, root)
    }

    /// The same, an Exim, with more lines in what sends over TLS. Its queue stands still until it
    /// is run.
    pub(crate) fn exim_with(settings: &str) -> Outcome<Self> {
        let root = Self::prepare(Program::Exim, Side::Client)?;
        exim::configure(&root, Side::Client, Some(settings))?;
        let mut command = root.command(Side::Client, "/usr/sbin/exim4", &["-bdf"]);
        let daemon = Background::start("exim4-client", &mut command)?;
        Ok(Self { program: Program::Exim, root, _daemon: daemon })
    }

    /// Runs an Exim's queue once, in two steps: messages for one host go over one connection.
    pub(crate) fn run_queue(&self) -> Outcome {
        run(&mut self.root.command(Side::Client, "/usr/sbin/exim4", &["-qqff"]), PATIENCE)?;
        Ok(())
    }

    /// Queues a message (with LF for CRLF) for these recipients, with the program's own tool.
    pub(crate) fn submit(&self, content: &[u8], recipients: &[String]) -> Outcome {
        let name = recipients.first().because("a recipient")?.replace('@', "-");
        let file = format!("/run/{name}.eml");
        self.root.write(&file, content)?;
        let words = match self.program {
            Program::Exim => "/usr/sbin/exim4 -i -f sender@domain1.com",
            Program::OpenSmtpd => "/usr/sbin/sendmail -i -f sender@domain1.com",
            Program::Postfix => "/usr/sbin/sendmail -i -f sender@domain1.com",
            Program::Sendmail => "/usr/sbin/sendmail -Am -i -f sender@domain1.com",
        };
        let script = format!("exec {words} \"$@\" < {file}");
        let mut command = self.root.command(Side::Client, "sh", &["-c", &script, "sh"]);
        command.args(recipients);
        run(&mut command, PATIENCE).because(self.program.name())?;
        Ok(())
    }

    /// Tries everything it has queued again, now.
    pub(crate) fn flush(&self) -> Outcome {
        let words: &[&str] = match self.program {
            Program::Exim => &["/usr/sbin/exim4", "-qff"],
            Program::OpenSmtpd => &["/usr/sbin/smtpctl", "schedule", "all"],
            Program::Postfix => &["/usr/sbin/postqueue", "-f"],
            Program::Sendmail => &["/usr/sbin/sendmail", "-Am", "-q"],
        };
        let (program, arguments) = words.split_first().because("a program")?;
        run(&mut self.root.command(Side::Client, program, arguments), PATIENCE)?;
        Ok(())
    }

    /// Its log.
    pub(crate) fn log(&self) -> String {
        let files = ["/var/log/postfix.log", "/var/log/exim_main.log", "/var/log/exim_reject.log"];
        let texts = files.map(|file| fs::read(self.root.path(file)).unwrap_or_default());
        String::from_utf8_lossy(&texts.concat()).into_owned() + &self._daemon.log()
    }

    /// How many files it has stored.
    pub(crate) fn stored_count(&self) -> usize {
        fs::read_dir(self.inbox()).map_or(0, Iterator::count)
    }

    /// What it has stored so far.
    pub(crate) fn stored(&self) -> Outcome<Vec<Letter>> {
        let Ok(entries) = fs::read_dir(self.inbox()) else { return Ok(Vec::new()) };
        let mut letters = Vec::new();
        for entry in entries {
            let path = entry?.path();
            letters.push(Letter::parse(&fs::read(&path)?).because(path.display())?);
        }
        Ok(letters)
    }

    fn inbox(&self) -> PathBuf {
        self.root.path("/var/mail/inbox/new")
    }

    fn start(program: Program, side: Side) -> Outcome<Self> {
        let root = Self::prepare(program, side)?;
        match program {
            Program::Exim => exim::configure(&root, side, None)?,
            Program::OpenSmtpd => opensmtpd::configure(&root, side)?,
            Program::Postfix => postfix::configure(&root, side, "")?,
            Program::Sendmail => sendmail::configure(&root, side)?,
        }
        Self::launch(program, side, root)
    }

    /// A root with the inbox, its owner, a certificate, and no way to look up names.
    fn prepare(program: Program, side: Side) -> Outcome<Root> {
        let root =
            Root::mount_as(program.package(), &format!("{}-{}", program.package(), side.name()))?;
        root.add_user("vmail", VMAIL)?;
        root.write("etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files\n")?;
        root.write("etc/resolv.conf", "")?;
        root.write("etc/mailname", "domain1.com\n")?;
        let hosts = "127.0.0.1 localhost\n192.0.2.2 mail.domain1.com\n";
        root.write("etc/hosts", hosts)?;
        certificate(&root)?;
        let make = "mkdir -p /var/mail; cd /var/mail; install -d -o vmail -g vmail -m 700 inbox; \
                    install -d -o vmail -g vmail -m 700 inbox/tmp inbox/new inbox/cur";
        run(&mut root.command(side, "sh", &["-euc", make]), PATIENCE)?;
        Ok(root)
    }

    fn launch(program: Program, side: Side, root: Root) -> Outcome<Self> {
        let mut command = match program {
            Program::Exim => root.command(side, "/usr/sbin/exim4", &["-bdf", "-q2s"]),
            Program::OpenSmtpd => root.command(side, "/usr/sbin/smtpd", &["-d"]),
            Program::Postfix => {
                root.command(side, "/usr/lib/postfix/sbin/master", &["-c", "/etc/postfix"])
            }
            Program::Sendmail => sendmail::daemon(&root, side),
        };
        let name = format!("{}-{}", program.package(), side.name());
        let daemon = Background::start(&name, &mut command)?;
        Ok(Self { program, root, _daemon: daemon })
    }
}

/// One self-signed certificate serves all of them; nobody here verifies it.
pub(super) fn certificate(root: &Root) -> Outcome {
    let place = PathBuf::from(DIRECTORY);
    let (key, file) = (place.join("mail.key"), place.join("mail.pem"));
    if !file.exists() {
        let mut make = tool(
            "openssl",
            &[
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:prime256v1",
                "-nodes",
            ],
        );
        make.args(["-days", "2", "-subj", "/CN=mail.domain2.com", "-keyout"]).arg(&key);
        run(make.arg("-out").arg(&file), PATIENCE)?;
    }
    root.write("etc/mail.pem", fs::read(file)?)?;
    root.write("etc/mail.key", fs::read(key)?)?;
    run(tool("chmod", &["600"]).arg(root.path("etc/mail.key")), PATIENCE)?;
    Ok(())
}

/// Puts the one user into the password file of the SASL library.
fn sasl_user(root: &Root, side: Side) -> Outcome {
    let add = format!(
        "echo {PASSWORD} | saslpasswd2 -p -c -u domain2.com {USER}; chmod 644 /etc/sasldb2"
    );
    run(&mut root.command(side, "sh", &["-c", &add]), PATIENCE)?;
    Ok(())
}

/// Who may log in where AUTH is offered.
pub(crate) const USER: &str = "reader";
/// Her password.
pub(crate) const PASSWORD: &str = "open-sesame";

/// The SASL library's settings for a server.
const SASL: &str = "\
pwcheck_method: auxprop
auxprop_plugin: sasldb
mech_list: PLAIN LOGIN CRAM-MD5
";

const VMAIL: u32 = 64110;
