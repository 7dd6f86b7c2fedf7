//! A real Postfix on the server, accepting any recipient of domain2.com into one Maildir whose
//! files can be compared with what was sent, byte for byte.
//!
//! No DNS, no chroot, no size limit; all else as Debian ships it. In particular the line ends it
//! takes for an end of data are those of its release, because that is what a guard must cope with.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use super::client::Session;
use super::message::Message;
use super::mta::certificate;
use super::network::{Family, Side};
use super::outcome::{Because, Outcome, ensure};
use super::process::{Background, PATIENCE, run, tool, wait_until};
use super::root::Root;

/// The running server.
pub(crate) struct Postfix {
    root: Root,
    master: Background,
}

/// How sent and stored messages compare.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Messages sent.
    pub(crate) sent: usize,
    /// Of these, not stored at all.
    pub(crate) lost: usize,
    /// Stored again, beyond the first.
    pub(crate) duplicated: usize,
    /// Stored with other bytes.
    pub(crate) changed: usize,
    /// Recipients with a message to whom nothing was sent.
    pub(crate) invented: usize,
    /// What the first of these faults is, exactly.
    pub(crate) fault: Option<String>,
}

impl Postfix {
    /// Starts it and waits until it answers on IPv4 and IPv6.
    pub(crate) fn start() -> Outcome<Self> {
        Self::start_with("")
    }

    /// The same with more lines in `main.cf`; of two settings of a parameter the last one holds.
    pub(crate) fn start_with(settings: &str) -> Outcome<Self> {
        let root = Root::mount("postfix")?;
        root.add_user("postfix", POSTFIX)?;
        root.add_user("postdrop", POSTDROP)?;
        root.add_user("vmail", VMAIL)?;
        root.write("etc/postfix/main.cf", format!("{MAIN}{settings}\n"))?;
        if settings.contains("smtpd_tls") {
            certificate(&root)?;
        }
        root.write("etc/postfix/master.cf", MASTER)?;
        let prepare = root.command(Side::Server, "sh", &["-euc", PREPARE]);
        run(&mut { prepare }, PATIENCE).because("preparing Postfix")?;
        let daemon = "/usr/lib/postfix/sbin/master";
        let mut command = root.command(Side::Server, daemon, &["-c", "/etc/postfix"]);
        let master = Background::start("postfix-master", &mut command)?;
        let postfix = Self { root, master };
        for family in Family::ALL {
            postfix.wait_for_banner(family)?;
        }
        Ok(postfix)
    }

    /// Its mail log.
    pub(crate) fn log(&self) -> String {
        let bytes = fs::read(self.root.path("/var/log/postfix.log")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// The messages stored so far, as recipient and content; headers the server added are gone.
    pub(crate) fn stored(&self) -> Outcome<Vec<Message>> {
        let paths = self.stored_files()?;
        paths.iter().map(|path| as_sent(&fs::read(path).because(path.display())?)).collect()
    }

    /// Waits until so many messages are stored and the queue is empty, then returns all.
    pub(crate) fn await_stored(&self, count: usize, limit: Duration) -> Outcome<Vec<Message>> {
        wait_until(&format!("{count} messages stored"), limit, || {
            Ok((self.stored_files()?.len() >= count && self.is_idle()).then_some(()))
        })
        .because(self.log_end())?;
        self.stored()
    }

    /// Compares what is stored with what was sent.
    pub(crate) fn tally(&self, sent: &[Message], limit: Duration) -> Outcome<Tally> {
        // A message that never comes is a figure here, not an error: waiting just ends.
        let waited = self.await_stored(sent.len(), limit);
        let stored = waited.or_else(|_| self.stored())?;
        let mut by_recipient: BTreeMap<&str, Vec<&[u8]>> = BTreeMap::new();
        for message in &stored {
            by_recipient.entry(&message.recipient).or_default().push(&message.content);
        }
        let mut tally = Tally { sent: sent.len(), ..Tally::default() };
        for message in sent {
            let copies = by_recipient.remove(message.recipient.as_str()).unwrap_or_default();
            tally.lost += usize::from(copies.is_empty());
            tally.duplicated += copies.len().saturating_sub(1);
            for copy in copies.iter().filter(|copy| **copy != message.content) {
                tally.changed += 1;
                tally.fault.get_or_insert_with(|| difference(message, copy));
            }
        }
        tally.invented = by_recipient.len();
        Ok(tally)
    }

    /// The last lines of its log, to quote in a failure.
    pub(crate) fn log_end(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        lines.get(lines.len().saturating_sub(15)..).unwrap_or_default().join("\n")
    }

    fn stored_files(&self) -> Outcome<Vec<PathBuf>> {
        let directory = self.root.path("/var/mail/inbox/new");
        let Ok(entries) = fs::read_dir(directory) else { return Ok(Vec::new()) };
        let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<Outcome<Vec<_>>>()?;
        paths.sort();
        Ok(paths)
    }

    fn is_idle(&self) -> bool {
        let queues = ["incoming", "active", "deferred"];
        let queues = queues.map(|name| self.root.path(&format!("/var/spool/postfix/{name}")));
        let mut list = tool("find", &[]);
        list.args(queues).args(["-type", "f"]);
        // Files come and go while it looks.
        run(&mut list, PATIENCE).is_ok_and(|files| files.is_empty())
    }

    fn wait_for_banner(&self, family: Family) -> Outcome {
        wait_until("Postfix answers", PATIENCE, || {
            let opened = Side::Server.within(|| Session::connect_here(family.server(), PATIENCE));
            Ok(opened.and_then(|mut session| session.reply()).ok())
        })
        .because(format!("{}{}", self.log(), self.master.log()))?;
        Ok(())
    }
}

impl Tally {
    /// Fails unless every message was stored exactly once with exactly its bytes.
    pub(crate) fn perfect(self) -> Outcome<Self> {
        let perfect = Self { sent: self.sent, ..Self::default() };
        ensure(self == perfect, || self.to_string())?;
        Ok(self)
    }
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { sent, lost, duplicated, changed, invented, fault } = self;
        write!(f, "{sent} sent, {lost} lost, {duplicated} duplicated, {changed} changed")?;
        if *invented > 0 {
            write!(f, ", {invented} invented")?;
        }
        fault.iter().try_for_each(|fault| write!(f, "\n{fault}"))
    }
}

/// Where a stored copy first differs, with what follows there on both sides.
fn difference(message: &Message, copy: &[u8]) -> String {
    let sent = &message.content;
    let at = sent.iter().zip(copy).take_while(|(sent, stored)| sent == stored).count();
    let after = |octets: &[u8]| octets.iter().skip(at).take(40).copied().collect::<Vec<_>>();
    format!(
        "{}: differs at octet {at} of {} (stored {}): sent \"{}\", stored \"{}\"",
        message.recipient,
        sent.len(),
        copy.len(),
        after(sent).escape_ascii(),
        after(copy).escape_ascii()
    )
}

/// Undoes what Postfix does to a message it stores: four headers on top, LF for CRLF.
fn as_sent(file: &[u8]) -> Outcome<Message> {
    let (mut recipient, mut is_ours) = (None, false);
    let mut content = Vec::with_capacity(file.len() + file.len() / 32);
    for line in file.split_inclusive(|octet| *octet == b'\n') {
        let is_added = ADDED.iter().any(|name| line.starts_with(name.as_bytes()))
            || (line.starts_with(b"\t") && content.is_empty());
        if is_added && !is_ours {
            if let Some(address) = line.strip_prefix(b"X-Original-To: ") {
                let local = address.split(|octet| *octet == b'@').next().unwrap_or_default();
                recipient = Some(String::from_utf8_lossy(local).into_owned());
            }
            continue;
        }
        is_ours = true;
        match line.strip_suffix(b"\n") {
            Some(text) => content.extend([text, b"\r\n"].concat()),
            None => content.extend(line),
        }
    }
    Ok(Message { recipient: recipient.because("a stored message without X-Original-To")?, content })
}

const ADDED: [&str; 4] = ["Return-Path: ", "X-Original-To: ", "Delivered-To: ", "Received: "];

pub(super) const MAIN: &str = "\
compatibility_level = 3.6
queue_directory = /var/spool/postfix
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
data_directory = /var/lib/postfix
maillog_file = /var/log/postfix.log
myhostname = mail20.domain2.com
mydestination =
inet_protocols = all
alias_maps =
local_recipient_maps =
mynetworks = 127.0.0.0/8
smtpd_relay_restrictions = reject_unauth_destination
smtpd_peername_lookup = no
smtpd_client_connection_count_limit = 0
smtpd_banner = $myhostname ESMTP $mail_name (Debian/GNU)
virtual_mailbox_domains = domain2.com
virtual_mailbox_base = /var/mail
virtual_mailbox_maps = static:inbox/
virtual_uid_maps = static:64110
virtual_gid_maps = static:64110
virtual_mailbox_limit = 0
message_size_limit = 0
in_flow_delay = 0
";

pub(super) const MASTER: &str = "\
smtp     inet       n - n - - smtpd
cleanup  unix       n - n - 0 cleanup
qmgr     unix       n - n 300 1 qmgr
rewrite  unix       - - n - - trivial-rewrite
bounce   unix       - - n - 0 bounce
defer    unix       - - n - 0 bounce
trace    unix       - - n - 0 bounce
proxymap unix       - - n - - proxymap
virtual  unix       - n n - - virtual
error    unix       - - n - - error
retry    unix       - - n - - error
smtp     unix       - - n - - smtp
anvil    unix       - - n - 1 anvil
tlsmgr   unix       - - n 1000? 1 tlsmgr
postlog  unix-dgram n - n - 1 postlogd
";

/// What the package's own installation script would have done. Postfix does not read settings
/// younger than two seconds, lest somebody still be writing them; hence their age.
pub(super) const PREPARE: &str = "\
cd /var/spool/postfix
install -d -o postfix -m 700 active bounce corrupt defer deferred hold incoming private saved trace
install -d -o postfix -g postdrop -m 710 public
install -d -m 755 pid
install -d -o postfix -m 700 /var/lib/postfix
install -d -o vmail -g vmail -m 700 /var/mail/inbox
touch -d 2001-02-07 /etc/postfix/main.cf /etc/postfix/master.cf
";

pub(super) const POSTFIX: u32 = 64101;
pub(super) const POSTDROP: u32 = 64102;
const VMAIL: u32 = 64110;
