//! sendmail: its configuration made from Debian's m4 files, as everybody makes it.

use std::process::Command;

use super::{Program, Route, SASL, Way, routes, sasl_user};
use crate::lab::network::Side;
use crate::lab::outcome::{Because, Outcome};
use crate::lab::process::{PATIENCE, run};
use crate::lab::root::Root;

/// Writes everything it wants to find.
pub(super) fn configure(root: &Root, side: Side) -> Outcome {
    for (name, number) in [("smmta", SMMTA), ("smmsp", SMMSP)] {
        root.add_user(name, number)?;
    }
    let special = if side == Side::Client { sender() } else { server() };
    root.write("etc/mail/sendmail.mc", special)?;
    root.write("etc/mail/service.switch", "hosts files\naliases files\n")?;
    root.write("usr/local/bin/store", STORE)?;
    for file in ["usr/lib/sasl2/Sendmail.conf", "etc/mail/sasl/Sendmail.conf.2"] {
        root.write(file, SASL)?;
    }
    let make = "\
        chmod 755 /usr/local/bin/store\n\
        install -d -m 700 /var/spool/mqueue\n\
        install -d /var/spool/mqueue-client\n\
        install -d -m 755 /etc/mail/sasl /run/sendmail/mta\n\
        ln -sf /usr/libexec/sendmail/sendmail /usr/sbin/sendmail\n\
        m4 -D_CF_DIR_=/usr/share/sendmail/cf/ /usr/share/sendmail/cf/m4/cf.m4 \
        /etc/mail/sendmail.mc > /etc/mail/sendmail.cf\n";
    let mut make = root.command(side, "sh", &["-euc", make]);
    run(&mut make, PATIENCE).because("sendmail.cf")?;
    if side == Side::Server { sasl_user(root, side) } else { Ok(()) }
}

/// In the foreground, looking at its queue every two seconds.
pub(super) fn daemon(root: &Root, side: Side) -> Command {
    root.command(side, "/usr/libexec/sendmail/sendmail", &["-bD", "-q2s", "-L", "sendmail"])
}

fn server() -> String {
    let mut text = MAIN.to_owned();
    for (number, address) in Program::Sendmail.addresses().iter().enumerate() {
        text +=
            &format!("DAEMON_OPTIONS(`Name=A{number}, Family=inet, Addr={address}, Port=25')dnl\n");
    }
    let domains = Program::Sendmail.domains().join(" ");
    text + &format!(
        "MAILER(`local')dnl\nMAILER(`smtp')dnl\nLOCAL_CONFIG\nCw{domains}\nDjmail.domain2.com\n"
    )
}

fn sender() -> String {
    let mut text = format!(
        "{MAIN}DAEMON_OPTIONS(`Name=A, Family=inet, Addr=127.0.0.1, Port=2526')dnl\n\
         MAILER(`local')dnl\nMAILER(`smtp')dnl\nLOCAL_CONFIG\nDjmail.domain1.com\nLOCAL_RULE_0\n"
    );
    for Route { domain, to, .. } in routes() {
        text += &format!(
            "R$* < @ {domain} . > $*\t$#esmtp $@ [{to}] $: $1 < @ {domain} . > $2\n\
             R$* < @ {domain} > $*\t$#esmtp $@ [{to}] $: $1 < @ {domain} > $2\n"
        );
    }
    // TLS by address, since there are no names.
    text += "LOCAL_TRY_TLS\n";
    let willing = routes().filter(|route| route.way == Way::Tls);
    text += "R$*\t$: $&{server_addr}\n";
    for Route { to, .. } in willing {
        text += &format!("R{to}\t$@ OK\n");
    }
    text + "R$*\t$#error $@ 5.7.1 $: \"550 not here\"\n"
}

const MAIN: &str = "\
divert(0)dnl
VERSIONID(`mailguard lab')dnl
OSTYPE(`linux')dnl
define(`confDELIVERY_MODE', `background')dnl
define(`confDONT_PROBE_INTERFACES', `True')dnl
define(`confTO_IDENT', `0')dnl
define(`confTO_QUEUEWARN', `')dnl
define(`confMIN_QUEUE_AGE', `1s')dnl
define(`confQUEUE_LA', `1000')dnl
define(`confREFUSE_LA', `1000')dnl
define(`confDEF_USER_ID', `vmail:vmail')dnl
define(`confSERVER_CERT', `/etc/mail.pem')dnl
define(`confSERVER_KEY', `/etc/mail.key')dnl
define(`confCACERT', `/etc/mail.pem')dnl
define(`confCACERT_PATH', `/etc')dnl
define(`confAUTH_MECHANISMS', `PLAIN LOGIN CRAM-MD5')dnl
define(`confAUTH_REALM', `domain2.com')dnl
define(`confPID_FILE', `/run/sendmail.pid')dnl
define(`confBAD_RCPT_THROTTLE', `0')dnl
define(`confSERVICE_SWITCH_FILE', `/etc/mail/service.switch')dnl
define(`ALIAS_FILE', `')dnl
define(`STATUS_FILE', `')dnl
define(`SMTP_MAILER_LL', `998')dnl
define(`HELP_FILE', `')dnl
define(`LOCAL_MAILER_PATH', `/usr/local/bin/store')dnl
define(`LOCAL_MAILER_ARGS', `store $u')dnl
define(`_DEF_LOCAL_MAILER_FLAGS', `lsDFM')dnl
define(`LOCAL_MAILER_FLAGS', `Pn8')dnl
FEATURE(`accept_unresolvable_domains')dnl
FEATURE(`accept_unqualified_senders')dnl
FEATURE(`nocanonify')dnl
undefine(`DNSMAP')dnl
";

/// The delivery agent: a file in the Maildir, with its recipient on top.
const STORE: &str = "\
#!/bin/sh
file=$(mktemp /var/mail/inbox/tmp/XXXXXXXXXX) || exit 75
{ echo \"X-Original-To: $1\"; cat; } > \"$file\" || exit 75
mv \"$file\" /var/mail/inbox/new/ || exit 75
";

const SMMTA: u32 = 64106;
const SMMSP: u32 = 64107;
