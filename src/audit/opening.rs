//! The first records of a run: what was found, and what is promised from here on.

use super::recover::Recovered;
use super::{AuditConfig, Draft, Kind, OnFailure, Packets, json};

pub(super) fn start_record(config: &AuditConfig, boot_id: &str, signer: Option<&str>) -> Draft<'static> {
    Draft::new(Kind::Start).with(|out| {
        json::text(out, "boot", boot_id);
        json::text(out, "version", env!("CARGO_PKG_VERSION"));
        json::text(out, "node", &rustix::system::uname().nodename().to_string_lossy());
        json::text_if_any(out, "signer", signer.unwrap_or_default());
        json::plain(out, "actions", config.actions.name());
        json::plain(out, "responses", config.responses.name());
        json::plain(out, "on_failure", if config.on_failure == OnFailure::Continue { "continue" } else { "refuse" });
        json::text(out, "packets", if config.packets == Packets::Both { "both" } else { "actions" });
        json::list(out, "except_events", config.except_events.iter().map(String::as_str));
        json::list(out, "redact", config.redact.iter().map(String::as_str));
        if let Some(pseudonyms) = &config.pseudonyms {
            json::list(out, "pseudonymise", pseudonyms.values.iter().map(String::as_str));
            json::text(out, "pseudonym_key", pseudonyms.key.id());
        }
    })
}

/// What a crash, or somebody else, has left.
pub(super) fn recovery_records(recovered: &Recovered) -> Vec<Draft<'static>> {
    let unsigned = recovered.unsigned.as_ref().map(|problem| {
        Draft::new(Kind::Recovery).with(|out| {
            json::text(out, "reason", "audit.unsigned");
            json::text(out, "problem", &problem.to_string());
        })
    });
    let replayed = (recovered.replayed > 0).then(|| {
        Draft::new(Kind::Recovery).with(|out| {
            json::text(out, "reason", "audit.replayed");
            json::number(out, "count", recovered.replayed);
        })
    });
    let missing = recovered.missing.as_ref().map(|(file, through)| {
        Draft::new(Kind::Recovery).with(|out| {
            json::text(out, "reason", "audit.records-missing");
            json::text(out, "file", file);
            json::number(out, "through", *through);
        })
    });
    recovery_record(recovered).into_iter().chain(replayed).chain(missing).chain(unsigned).collect()
}

fn recovery_record(recovered: &Recovered) -> Option<Draft<'static>> {
    if recovered.set_aside.is_none() && recovered.copied.is_none() && recovered.broken.is_none() {
        return None;
    }
    Some(Draft::new(Kind::Recovery).with(|out| {
        if let Some(broken) = &recovered.broken {
            json::text(out, "reason", "audit.broken");
            json::text(out, "file", &broken.folder);
            json::text(out, "at", &broken.at);
            json::text(out, "problem", &broken.problem.to_string());
        }
        if let Some((torn, len)) = &recovered.set_aside {
            json::text(out, "reason", "audit.torn");
            json::text(out, "file", torn);
            json::number(out, "bytes", *len);
        }
        if let Some(copied) = &recovered.copied {
            json::text(out, "reason", "audit.set-aside");
            json::text(out, "file", copied);
        }
    }))
}
