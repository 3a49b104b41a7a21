//! Variables and the database: `Getvar`, `Setvar`, `DBGet`, `DBGetTree`, `DBPut`, `DBDel`, `DBDelTree`.

use super::answer::Answer;
use super::quirks::Request;
use super::switch::{Channel, Switch};
use super::world::World;
use crate::ami::{EventMask, PrivilegeClass};

/// Functions that need the class `system` to be read (`function_capable_string_allowed_with_auths`).
const DANGEROUS_FUNCTIONS: [&[u8]; 5] = [b"SHELL(", b"CURL(", b"EVAL(", b"FILE(", b"ODBC"];

/// `action_getvar`.
pub(super) fn get(world: &World, request: &Request, write: EventMask) -> Vec<u8> {
    let name = request.get("Variable");
    if name.is_empty() {
        return Answer::error(request, "No variable specified");
    }
    let is_dangerous = DANGEROUS_FUNCTIONS.iter().any(|function| name.starts_with(function));
    if is_dangerous && !write.has(PrivilegeClass::System) {
        return Answer::error(request, "GetVar Access Forbidden: Variable");
    }
    let channel = request.get("Channel");
    let value = world.with_switch(|switch| {
        if channel.is_empty() {
            return Some(value_of(switch, None, name));
        }
        let channel = switch.find(channel)?.clone();
        Some(value_of(switch, Some(&channel), name))
    });
    match value {
        Some(value) => Answer::success(request).header("Variable", name).header("Value", value).end(),
        None => Answer::error(request, "No such channel"),
    }
}

/// The value of a variable or function; what is not known is empty.
pub(super) fn value_of(switch: &Switch, channel: Option<&Channel>, name: &[u8]) -> Vec<u8> {
    let global = |name: &[u8]| switch.globals.get(name).cloned();
    let own = |name: &[u8]| channel.and_then(|channel| channel.variables.get(name).cloned());
    let Some((function, argument)) = function(name) else {
        return own(name).or_else(|| global(name)).unwrap_or_default();
    };
    let text = String::from_utf8_lossy(argument);
    match (function, channel, text.as_ref()) {
        (b"GLOBAL", ..) => global(argument).unwrap_or_default(),
        (b"DB", ..) => switch.database.get(&[b"/", argument].concat()).cloned().unwrap_or_default(),
        (b"CALLERID", Some(channel), "all") => {
            [b"\"", channel.caller.name.as_slice(), b"\" <", &channel.caller.number, b">"].concat()
        }
        (b"CALLERID", Some(channel), "num") => channel.caller.number.clone(),
        (b"CALLERID", Some(channel), "name") => channel.caller.name.clone(),
        (b"CHANNEL", Some(channel), "name") => channel.name.clone(),
        (b"CHANNEL", Some(channel), "uniqueid") => channel.unique_id.clone(),
        (b"CHANNEL", Some(channel), "state") => format!("{:?}", channel.state).into_bytes(),
        _ => Vec::new(),
    }
}

/// Name and argument of `NAME(argument)`.
fn function(name: &[u8]) -> Option<(&[u8], &[u8])> {
    let open = name.iter().position(|&b| b == b'(')?;
    let (function, argument) = name.strip_suffix(b")")?.split_at_checked(open)?;
    Some((function, argument.get(1..)?))
}

/// `action_setvar`. Of the functions only `GLOBAL` can be set; Asterisk refuses the dangerous ones as well.
pub(super) fn set(world: &World, request: &Request) -> Vec<u8> {
    let name = request.get("Variable");
    if name.is_empty() {
        return Answer::error(request, "No variable specified");
    }
    let value = request.get("Value");
    let channel = request.get("Channel");
    let name = match function(name) {
        Some((b"GLOBAL", argument)) => argument,
        Some(_) => return Answer::error(request, "Variable not set"),
        None => name,
    };
    let changed = world.with_switch(|switch| {
        if channel.is_empty() {
            switch.globals.insert(name.to_vec(), value.to_vec());
            return Some(None);
        }
        let channel = switch.find(channel)?;
        channel.variables.insert(name.to_vec(), value.to_vec());
        Some(Some(channel.clone()))
    });
    let Some(channel) = changed else { return Answer::error(request, "No such channel") };
    world.say_var_set(channel.as_ref(), (name, value));
    Answer::ack(request, "Variable Set")
}

/// `/family/key`, or the complaint about what is missing.
fn database_key(request: &Request, is_key_needed: bool) -> Result<Vec<u8>, Vec<u8>> {
    let (family, key) = (request.get("Family"), request.get("Key"));
    if family.is_empty() {
        Err(Answer::error(request, "No family specified."))
    } else if key.is_empty() && is_key_needed {
        Err(Answer::error(request, "No key specified."))
    } else if key.is_empty() {
        Ok([b"/", family].concat())
    } else {
        Ok([b"/", family, b"/", key].concat())
    }
}

/// `manager_dbput`.
pub(super) fn db_put(world: &World, request: &Request) -> Result<Vec<u8>, Vec<u8>> {
    let key = database_key(request, true)?;
    world.with_switch(|switch| switch.database.insert(key, request.get("Val").to_vec()));
    Ok(Answer::ack(request, "Updated database successfully"))
}

/// `manager_dbget`: a list of one.
pub(super) fn db_get(world: &World, request: &Request) -> Result<Vec<u8>, Vec<u8>> {
    let key = database_key(request, true)?;
    let value = world.with_switch(|switch| switch.database.get(&key).cloned());
    let Some(value) = value else { return Err(Answer::error(request, "Database entry not found")) };
    let mut bytes = Answer::list_start(request, "Result will follow");
    let item = Answer::event("DBGetResponse")
        .header("Family", request.get("Family"))
        .header("Key", request.get("Key"))
        .header("Val", value)
        .id(request);
    bytes.extend(item.end());
    bytes.extend(Answer::list_complete(request, "DBGetComplete", 1).end());
    Ok(bytes)
}

/// `manager_db_tree_get`.
pub(super) fn db_get_tree(world: &World, request: &Request) -> Vec<u8> {
    let prefix = database_key(request, false).unwrap_or_default();
    let entries: Vec<(Vec<u8>, Vec<u8>)> = world.with_switch(|switch| {
        let is_below = |key: &[u8]| key.strip_prefix(prefix.as_slice()).is_some_and(is_end_of_key);
        let found = switch.database.iter().filter(|(key, _)| is_below(key));
        found.map(|(key, value)| (key.clone(), value.clone())).collect()
    });
    if entries.is_empty() {
        return Answer::error(request, "Database entry not found");
    }
    let mut bytes = Answer::list_start(request, "Result will follow");
    for (key, value) in &entries {
        bytes.extend(Answer::event("DBGetTreeResponse").header("Key", key).header("Val", value).id(request).end());
    }
    bytes.extend(Answer::list_complete(request, "DBGetTreeComplete", entries.len()).end());
    bytes
}

/// Whether a prefix of a key that leaves this is a whole part of it.
fn is_end_of_key(rest: &[u8]) -> bool {
    rest.first().is_none_or(|&b| b == b'/')
}

/// `manager_dbdel`.
pub(super) fn db_del(world: &World, request: &Request) -> Result<Vec<u8>, Vec<u8>> {
    let key = database_key(request, true)?;
    let removed = world.with_switch(|switch| switch.database.remove(&key));
    removed
        .map(|_| Answer::ack(request, "Key deleted successfully"))
        .ok_or_else(|| Answer::error(request, "Database entry not found"))
}

/// `manager_dbdeltree`.
pub(super) fn db_del_tree(world: &World, request: &Request) -> Result<Vec<u8>, Vec<u8>> {
    let prefix = database_key(request, false)?;
    let removed = world.with_switch(|switch| {
        let before = switch.database.len();
        switch.database.retain(|key, _| !key.strip_prefix(prefix.as_slice()).is_some_and(is_end_of_key));
        before - switch.database.len()
    });
    if removed == 0 {
        return Err(Answer::error(request, "Database entry not found"));
    }
    Ok(Answer::ack(request, "Key tree deleted successfully"))
}
