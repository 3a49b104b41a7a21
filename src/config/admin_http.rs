//! `admin.http`: metrics, and the pages for people.

use std::net::{IpAddr, SocketAddr};

use aws_lc_rs::digest::{Context as Digest, SHA256};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

use super::fields::{Fields, Problems};
use super::listeners::{self, socket_address};
use super::node::Node;
use super::{Context, secrets};
use crate::identity::{Identity, StoredSecret};
use crate::listener::Transport;
use crate::tls::{PeerCertificate, ServerTls};

/// The longest name of a user.
const NAME_LEN_MAX: usize = 64;

/// Where it is told over HTTP how things are.
#[derive(Clone, Debug)]
pub struct AdminHttp {
    /// Where it listens.
    pub address: SocketAddr,
    /// Who may see the pages; without any there are none.
    pub users: Vec<Identity>,
    /// How it speaks TLS.
    pub tls: Option<ServerTls>,
    /// The names in its certificate.
    pub names: Vec<String>,
    /// What cannot change while amiwall runs: address, users, and where the files of TLS are.
    print: Vec<u8>,
}

impl AdminHttp {
    /// Whether one may take the place of the other at a reload: the certificate may be another.
    #[must_use]
    pub fn is_as(&self, other: &Self) -> bool {
        self.address == other.address && self.print == other.print
    }
}

/// `{ address: …, users: { NAME: "$argon2id$…" }, tls: { certificate: …, key: … } }`.
pub(super) fn http(node: &Node, context: &Context<'_>, problems: &mut Problems) -> Option<AdminHttp> {
    let fields = Fields::of(node, "`admin.http`", &["address", "users", "tls"], &[], problems);
    let address = fields.need("address", problems).and_then(|node| node.text(problems));
    let address =
        address.and_then(|text| Some((text.at, socket_address(&text, r#""127.0.0.1:9138", "[::1]:9138""#, problems)?)));
    let mut print = Digest::new(&SHA256);
    let users = fields.take("users").map(|node| users(node, context, &mut print, problems));
    let tls = fields.take("tls");
    let speaks = tls.map(|node| {
        for (_, value) in node.map(&mut Problems::default()) {
            print.update(value.text(&mut Problems::default()).map(|text| text.text).unwrap_or_default().as_bytes());
            print.update(b"\n");
        }
        listeners::server_tls(node, context, problems)
    });
    let (at, address) = address?;
    if !is_loopback(address.ip()) && (users.is_none() || tls.is_none()) {
        let missing = match (users.is_none(), tls.is_none()) {
            (true, true) => "`users` and `tls` are missing",
            (true, false) => "`users` is missing",
            (false, _) => "`tls` is missing",
        };
        let help = "address: \"127.0.0.1:9138\"; elsewhere it needs `users: { ops: \"$argon2id$…\" }` (`amiwall \
                    hash-secret`) and `tls: { certificate: …, key: … }`";
        let message = format!("`{address}` is not on loopback, and {missing} in `admin.http`");
        problems.error(at, message, Some(help.to_owned()));
        return None;
    }
    let tls = match speaks {
        None | Some(Some(None)) => None,
        Some(Some(Some(Transport::Tls(tls)))) => Some(tls),
        Some(None | Some(Some(Transport::Plaintext))) => return None,
    };
    let print = print.finish().as_ref().to_vec();
    let names = tls.as_ref().map(names).unwrap_or_default();
    Some(AdminHttp { address, users: users.unwrap_or_default(), tls, names, print })
}

/// Of a certificate that was read before.
fn names(tls: &ServerTls) -> Vec<String> {
    let path = tls.files.iter().find(|file| file.key == "certificate").map(|file| &file.path);
    let chain = path.and_then(|path| CertificateDer::pem_file_iter(path).ok()?.next()?.ok());
    let certificate = chain.and_then(|first| PeerCertificate::from_chain(&[first]).ok());
    certificate.map(|certificate| certificate.names).unwrap_or_default()
}

fn is_loopback(ip: IpAddr) -> bool {
    ip.to_canonical().is_loopback()
}

/// They are no identities: none of them can log in to AMI, and no identity can log in here.
fn users(node: &Node, context: &Context<'_>, print: &mut Digest, problems: &mut Problems) -> Vec<Identity> {
    let mut users: Vec<Identity> = Vec::new();
    let entries = node.map(problems);
    if entries.is_empty() {
        let help = "ops: \"$argon2id$…\" (`amiwall hash-secret` prints it), or leave `users` out: no pages then";
        problems.error(node.at, "there is nobody in `users`", Some(help.to_owned()));
    }
    for (name, value) in entries {
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        if name.text.is_empty() || name.text.len() > NAME_LEN_MAX || !name.text.chars().all(is_name) {
            let help = "letters, digits, `.`, `_` and `-`, at most 64".to_owned();
            problems.error(name.at, "this is no name of a user", Some(help));
            continue;
        }
        if users.iter().any(|user| user.name.eq_ignore_ascii_case(&name.text)) {
            problems.error(
                name.at,
                format!("the user `{}` is there already, but for upper and lower case", name.text),
                None,
            );
            continue;
        }
        let secrets = secrets::identity(value, context, problems);
        if context.files == super::Files::Open && secrets.iter().any(|one| matches!(one, StoredSecret::Recoverable(_)))
        {
            let help = "put the argon2id line there that `amiwall hash-secret` prints".to_owned();
            problems.error(value.at, "a user of the web page has a hash, not a secret in clear", Some(help));
            continue;
        }
        print.update(name.text.as_bytes());
        for secret in &secrets {
            if let StoredSecret::Argon2id(line) = secret {
                print.update(line.as_text().as_bytes());
            }
        }
        print.update(b"\n");
        users.push(Identity::new(name.text.clone(), secrets));
    }
    users
}
