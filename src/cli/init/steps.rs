//! What `amiwall init` tells at its end: what to do next, as commands that work as they stand.

use std::net::IpAddr;
use std::path::Path;

use super::ask::Answers;
use super::files::{Place, is_for_a_service, program};

/// A path as one word of a shell.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let is_plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/._-".contains(&byte));
    if is_plain { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

/// As a service. What the unit keeps away from it cannot be its folder.
fn service(place: &Place) -> String {
    let folder = place.policy.parent().unwrap_or_else(|| Path::new("."));
    if std::path::absolute(folder).is_ok_and(|folder| !is_for_a_service(&folder)) {
        return "for a service, which sees no homes and no temporary folders, begin with: amiwall init /etc/amiwall"
            .to_owned();
    }
    let (here, program) = program();
    let install = if here == program {
        String::new()
    } else {
        format!("install -m 755 {} {}\n       ", quoted(&here), quoted(&program))
    };
    format!(
        "or, as root, as a service with a user of its own:\n\n       \
         {install}useradd --system --user-group --home-dir /var/lib/amiwall --shell /usr/sbin/nologin amiwall\n       \
         chown root:amiwall {folder} {policy} && chmod 750 {folder} && chmod 640 {policy}\n       \
         chown -R amiwall:amiwall {certs} {secrets} {audit}\n       \
         install -m 644 {unit} /etc/systemd/system/amiwall.service\n       \
         systemctl daemon-reload && systemctl enable --now amiwall",
        folder = quoted(folder),
        policy = quoted(&place.policy),
        certs = quoted(&place.certs),
        secrets = quoted(place.secret.parent().unwrap_or(&place.secret)),
        audit = quoted(&place.audit),
        unit = quoted(&place.unit),
    )
}

pub(super) fn text(place: &Place, answers: &Answers, client_secret: &str) -> String {
    let (policy, snippet, unit) = (quoted(&place.policy), quoted(&place.snippet), quoted(&place.unit));
    let authority = quoted(&place.certs.join("ca.crt"));
    let port = answers.listen.port();
    // The certificate is for these names, whatever else it is for.
    let host = match answers.listen.ip().to_canonical() {
        ip if ip.is_unspecified() || ip.is_loopback() => "localhost".to_owned(),
        ip => answers.names.first().cloned().unwrap_or_else(|| ip.to_string()),
    };
    let client = &answers.client;
    let refused = answers.role.refused();
    format!(
        "Written: {policy}, {snippet}, {unit}, {certs}, {secrets}.\n\n\
         The client `{client}` logs in with this secret. It is shown this once and kept nowhere:\n\n    {client_secret}\n\n\
         What to do next:\n\n\
         1. Put {snippet} into /etc/asterisk/manager.conf, and run:\n\n       asterisk -rx 'manager reload'\n\n\
         2. Read what the policy amounts to, and make it yours; then look for ways past it:\n\n       \
         amiwall check {policy}\n       amiwall doctor {policy}\n\n\
         3. Start amiwall:\n\n       amiwall run {policy}\n\n   \
         {service}\n\n\
         4. Try it from another terminal:\n\n       \
         openssl s_client -quiet -verify_quiet -crlf -verify_return_error -servername {host} -CAfile {authority} \
         -connect {connect}:{port}\n\n   \
         and copy this, with the empty line at the end:\n\n\
         Action: Login\nUsername: {client}\nSecret: {client_secret}\n\n\n   \
         `Action: Ping` and an empty line are answered; `Action: {refused}` is refused.\n\n\
         5. Give your clients {authority}, point them to port {port} with TLS, and delete their old accounts from\n   \
         manager.conf: an account of their own is a way past amiwall. Move {key} off this machine, with a copy\n   of {authority}: clients' certificates are made and revoked where both are (amiwall certs --help).\n\n\
         6. Keep {audit_key} where nobody on this machine can change it. With it the audit log can be proved whole:\n\n       \
         amiwall audit verify {log} --key {audit_key}",
        certs = quoted(&place.certs),
        secrets = quoted(&place.secret),
        service = service(place),
        connect = if host.parse::<IpAddr>().is_ok_and(|ip| ip.is_ipv6()) { format!("[{host}]") } else { host.clone() },
        key = quoted(&place.certs.join("ca.key")),
        audit_key = quoted(&place.certs.join("audit.pub")),
        log = quoted(&place.audit),
    )
}
