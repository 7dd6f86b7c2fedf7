//! OpenSMTPD: it offers AUTH only within TLS, and no CHUNKING. As a server it is not given a
//! certificate, as that of Debian 12 fails in every handshake (OpenSMTPD issue 1171).

use super::{Program, Route, Way, routes};
use crate::lab::network::Side;
use crate::lab::outcome::Outcome;
use crate::lab::process::{PATIENCE, run};
use crate::lab::root::Root;

/// Writes everything it wants to find.
pub(super) fn configure(root: &Root, side: Side) -> Outcome {
    root.add_user("opensmtpd", OPENSMTPD)?;
    root.add_user("opensmtpq", OPENSMTPQ)?;
    let special = if side == Side::Client { sender() } else { server() };
    root.write("etc/smtpd.conf", special)?;
    let make = "install -d -m 711 /var/spool/smtpd; install -d /var/lib/opensmtpd/empty; \
                mkdir -p /var/empty; ln -sfn /run /var/run; \
                chgrp opensmtpq /usr/sbin/smtpctl; chmod 2755 /usr/sbin/smtpctl";
    let mut make = root.command(side, "sh", &["-euc", make]);
    run(&mut make, PATIENCE)?;
    Ok(())
}

fn server() -> String {
    let mut text = "\
smtp max-message-size 200M
table boxes { \"@\" = \"vmail\" }
"
    .to_owned();
    for address in Program::OpenSmtpd.addresses() {
        text += &format!("listen on {address} hostname \"mail.domain2.com\"\n");
    }
    text + "action \"inbox\" maildir \"/var/mail/inbox\" virtual <boxes>\n\
            match from any for any action \"inbox\"\n"
}

fn sender() -> String {
    let mut text = "smtp max-message-size 200M\nlisten on 127.0.0.1 port 2525\n".to_owned();
    let mut matches = String::new();
    for (number, Route { way, domain, to }) in routes().enumerate() {
        let host = match way {
            Way::Tls => format!("smtp://{to}"),
            Way::Plain | Way::Auth | Way::Chunks => format!("smtp+notls://{to}"),
        };
        text += &format!("action \"a{number}\" relay host {host} helo \"mail.domain1.com\"\n");
        matches += &format!("match from any for domain \"{domain}\" action \"a{number}\"\n");
    }
    text + &matches
}

const OPENSMTPD: u32 = 64104;
const OPENSMTPQ: u32 = 64105;
