//! Exim: one configuration file, everything in it said by us.

use super::{PASSWORD, Program, Route, USER, Way, routes};
use crate::lab::network::Side;
use crate::lab::outcome::Outcome;
use crate::lab::process::{PATIENCE, run};
use crate::lab::root::Root;

/// Writes everything it wants to find. A sender may have more lines in what sends over TLS; it then
/// sends nothing before its queue is run.
pub(super) fn configure(root: &Root, side: Side, settings: Option<&str>) -> Outcome {
    root.add_user("Debian-exim", EXIM)?;
    let special = if side == Side::Client { sender(settings) } else { server() };
    root.write("etc/exim4/exim4.conf", format!("{MAIN}{special}"))?;
    let make = "install -d -o Debian-exim -g Debian-exim /var/spool/exim4 /var/log /run/exim4; \
                chown Debian-exim /etc/mail.key";
    let mut make = root.command(side, "sh", &["-euc", make]);
    run(&mut make, PATIENCE)?;
    Ok(())
}

fn server() -> String {
    let addresses = Program::Exim.addresses().map(|address| address.to_string()).join(" : ");
    let domains = Program::Exim.domains().join(" : ");
    let small = format!("{{{}}}{{0}}", Program::SMALL_LIMIT.0);
    format!(
        "primary_hostname = mail.domain2.com\n\
         local_interfaces = {addresses}\n\
         tls_advertise_hosts = *\n\
         tls_certificate = /etc/mail.pem\n\
         tls_privatekey = /etc/mail.key\n\
         acl_smtp_rcpt = accept\n\
         message_size_limit = ${{if match{{$sender_host_port}}{{\\N^45\\d\\d$\\N}}{small}}}\n\
         \n\
         begin routers\n\
         inbox:\n  driver = accept\n  domains = {domains}\n  transport = inbox\n\
         \n\
         begin transports\n\
         inbox:\n  driver = appendfile\n  directory = /var/mail/inbox\n  maildir_format\n  \
         user = vmail\n  group = vmail\n  envelope_to_add\n  return_path_add\n\
         \n\
         begin authenticators\n\
         plain:\n  driver = plaintext\n  public_name = PLAIN\n  server_prompts = :\n  \
         server_condition = ${{if eq{{$auth2:$auth3}}{{{USER}:{PASSWORD}}}}}\n  \
         server_set_id = $auth2\n\
         login:\n  driver = plaintext\n  public_name = LOGIN\n  \
         server_prompts = User Name : Password\n  \
         server_condition = ${{if eq{{$auth1:$auth2}}{{{USER}:{PASSWORD}}}}}\n  \
         server_set_id = $auth1\n\
         cram:\n  driver = cram_md5\n  public_name = CRAM-MD5\n  \
         server_secret = ${{if eq{{$auth1}}{{{USER}}}{{{PASSWORD}}}fail}}\n  \
         server_set_id = $auth1\n"
    )
}

fn sender(settings: Option<&str>) -> String {
    let mut text = "primary_hostname = mail.domain1.com\n\
                    local_interfaces = 127.0.0.1\n\
                    message_size_limit = 0\n"
        .to_owned();
    text += if settings.is_some() { "queue_only\n" } else { "" };
    text += "\nbegin routers\n";
    for (number, Route { way, domain, to }) in routes().enumerate() {
        let transport = match way {
            Way::Plain => "plain",
            Way::Tls => "tls",
            Way::Auth => "auth",
            Way::Chunks => "chunks",
        };
        text += &format!(
            "r{number}:\n  driver = manualroute\n  domains = {domain}\n  route_list = * {to}\n  \
             transport = {transport}\n"
        );
    }
    let transports = [
        ("plain", "hosts_avoid_tls = *\n  hosts_try_chunking ="),
        ("tls", "hosts_try_chunking =\n  tls_verify_hosts =\n  tls_try_verify_hosts ="),
        ("auth", "hosts_avoid_tls = *\n  hosts_try_chunking =\n  hosts_try_auth = *"),
        ("chunks", "hosts_avoid_tls = *\n  hosts_try_chunking = *"),
    ];
    text += "\nbegin transports\n";
    for (name, options) in transports {
        let more = settings.filter(|_| name == "tls").unwrap_or_default();
        text += &format!("{name}:\n  driver = smtp\n  {options}\n  {more}\n");
    }
    text + &format!(
        "\nbegin retry\n* * F,1h,2s\n\
         \nbegin authenticators\n\
         plain:\n  driver = plaintext\n  public_name = PLAIN\n  \
         client_send = ^{USER}^{PASSWORD}\n"
    )
}

const MAIN: &str = "\
exim_user = Debian-exim
exim_group = Debian-exim
spool_directory = /var/spool/exim4
log_file_path = /var/log/exim_%s.log
pid_file_path = /run/exim4/exim.pid
daemon_smtp_ports = 25
trusted_users = root
qualify_domain = domain1.com
host_lookup =
rfc1413_query_timeout = 0s
smtp_accept_max = 0
smtp_accept_queue_per_connection = 0
remote_max_parallel = 10
recipients_max = 0
keep_environment =
add_environment = PATH=/usr/sbin:/usr/bin:/sbin:/bin
delay_warning =
log_selector = +all
";

const EXIM: u32 = 64103;
