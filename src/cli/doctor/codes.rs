//! The codes of the checks, which are stable, and why each matters. `docs/doctor.md` has them all.

/// Code, and why.
pub(super) const CODES: [(&str, &str); 34] = [
    (
        "account-classes",
        "an account beside amiwall's own with these classes can take over the machine that Asterisk runs on",
    ),
    ("account-narrower", "Asterisk refuses what the policy allows: its clients fail, and nobody sees why"),
    ("account-open", "Asterisk lets the account in from any address that reaches the port"),
    ("account-unknown", "amiwall cannot log in"),
    ("account-wider", "Asterisk's own classes are a second wall behind the policy, and this one has a hole"),
    ("ajam", "AMI over HTTP is a way past amiwall: no policy, no record"),
    ("asterisk-advisories", "a known hole is open to whoever gets so far"),
    ("asterisk-login", "amiwall cannot start, or its clients find nobody behind it"),
    ("asterisk-root", "what gets hold of Asterisk has the whole machine"),
    ("audit-mode", "who can write there can cut the log; who can read it sees every number that was dialled"),
    ("bypass-account", "its user needs no amiwall: no policy, no limit, no record"),
    ("ca-key", "who gets the authority's key can be any client that has a certificate"),
    ("certificate-life", "on that day clients cannot connect any more, or a revocation list counts no more"),
    ("class-zero", "Asterisk lets every account run these actions, whatever its classes are"),
    ("clock", "certificates, quotas, hours and the times of the log go by the clock"),
    ("clock-synchronised", "a clock that drifts makes records that nobody can put in order"),
    ("connection-log", "Asterisk's log would show who logs in past amiwall"),
    ("disk-space", "on a full disk nothing is forwarded any more: what cannot be recorded does not pass"),
    ("exec-includes", "who can write a file of Asterisk's configuration can run programs with it (`#exec`)"),
    ("key-mode", "who can read the key can be the server"),
    ("landlock", "without it nothing holds a process that was taken over to its policy's files and ports"),
    ("live-dangerously", "it takes away Asterisk's own guard between an AMI client and files and programs"),
    ("manager-conf", "accounts, secrets and addresses stand in it"),
    ("multiple-logins", "amiwall has one session for each of its clients: all but the first would be refused"),
    ("open-files", "out of descriptors, amiwall takes no more clients"),
    ("policy", "a policy that is not valid does not start"),
    ("policy-in-force", "what is in the file is not what is done"),
    ("policy-warnings", "what is valid may still be more than its author meant"),
    ("port-open", "who reaches Asterisk's port needs no amiwall"),
    ("port-reachable", "who reaches Asterisk's port needs no amiwall"),
    ("secret-weak", "who guesses it is let in, and Asterisk does not lock anybody out"),
    ("running", "nothing protects Asterisk while amiwall does not run, and clients find nobody"),
    ("write-timeout", "Asterisk cuts a session that reads more slowly, and a disk may be slow for once"),
    ("upstream-remote", "between amiwall and Asterisk everything is in plain text, the secret among it"),
];

/// Why a finding matters.
pub(super) fn why(code: &str) -> &'static str {
    CODES.iter().find(|(known, _)| *known == code).map_or("", |(_, why)| why)
}
