//! Postfix, as the lab's own server is configured, at other addresses, and as a sender.

use std::time::Duration;

use super::{PASSWORD, Program, Route, SASL, USER, Way, routes, sasl_user};
use crate::lab::network::Side;
use crate::lab::outcome::{Because, Outcome};
use crate::lab::postfix::{MAIN, MASTER, POSTDROP, POSTFIX, PREPARE};
use crate::lab::process::{PATIENCE, run};
use crate::lab::root::Root;

/// Writes everything it wants to find.
pub(super) fn configure(root: &Root, side: Side, more: &str) -> Outcome {
    root.add_user("postfix", POSTFIX)?;
    root.add_user("postdrop", POSTDROP)?;
    let settings = if side == Side::Client { sender() } else { server() };
    root.write("etc/postfix/main.cf", merged(&format!("{MAIN}{settings}{more}")))?;
    let listens = side == Side::Server;
    let master = MASTER.lines().filter(|line| listens || !line.starts_with("smtp     inet"));
    let master: String = master.map(|line| format!("{line}\n")).collect();
    let pickup = "pickup   unix       n - n 1 1 pickup\n";
    root.write("etc/postfix/master.cf", format!("{master}{pickup}"))?;
    root.write("etc/postfix/sasl/smtpd.conf", SASL)?;
    if listens {
        sasl_user(root, side)?;
    }
    let prepare =
        format!("{PREPARE}install -d -o postfix -g postdrop -m 730 /var/spool/postfix/maildrop");
    run(&mut root.command(side, "sh", &["-euc", &prepare]), PATIENCE)
        .because("preparing Postfix")?;
    Ok(())
}

/// Of two settings of a parameter the last one; Postfix would take that, too, but complain.
fn merged(settings: &str) -> String {
    let mut merged: Vec<(&str, &str)> = Vec::new();
    for (name, value) in settings.lines().filter_map(|line| line.split_once(" =")) {
        merged.retain(|(known, _)| *known != name);
        merged.push((name, value));
    }
    merged.iter().map(|(name, value)| format!("{name} ={value}\n")).collect()
}

fn server() -> String {
    let addresses = Program::Postfix.addresses().map(|address| address.to_string()).join(" ");
    let domains = Program::Postfix.domains().join(" ");
    format!(
        "inet_interfaces = {addresses}\n\
         inet_protocols = ipv4\n\
         virtual_mailbox_domains = {domains}\n\
         smtpd_tls_security_level = may\n\
         smtpd_tls_received_header = yes\n\
         smtpd_tls_cert_file = /etc/mail.pem\n\
         smtpd_tls_key_file = /etc/mail.key\n\
         smtpd_tls_protocols = >=TLSv1\n\
         tls_medium_cipherlist = DEFAULT:@SECLEVEL=0\n\
         smtpd_sasl_auth_enable = yes\n\
         smtpd_sasl_local_domain = domain2.com\n\
         smtpd_sasl_path = smtpd\n"
    )
}

fn sender() -> String {
    let (mut transports, mut tls, mut logins) = (Vec::new(), Vec::new(), Vec::new());
    for Route { way, domain, to } in routes() {
        transports.push(format!("{{{domain} = smtp:[{to}]}}"));
        match way {
            Way::Tls => tls.push(format!("{{[{to}] = may}}")),
            Way::Auth => logins.push(format!("{{[{to}] = {USER}:{PASSWORD}}}")),
            Way::Plain | Way::Chunks => {}
        }
    }
    let [transports, tls, logins] = [transports, tls, logins].map(|list| list.join(", "));
    format!(
        "myhostname = mail.domain1.com\n\
         inet_protocols = ipv4\n\
         inet_interfaces = loopback-only\n\
         virtual_mailbox_domains =\n\
         disable_dns_lookups = yes\n\
         smtp_host_lookup = native\n\
         smtp_tls_security_level = none\n\
         smtp_tls_loglevel = 1\n\
         smtp_sasl_auth_enable = yes\n\
         smtp_sasl_security_options = noanonymous\n\
         smtp_tls_policy_maps = inline:{{{tls}}}\n\
         smtp_sasl_password_maps = inline:{{{logins}}}\n\
         transport_maps = inline:{{{transports}}}\n"
    )
}
