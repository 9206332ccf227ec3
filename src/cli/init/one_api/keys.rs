//! The keys of a channel: one per line, or a list, in which some may be switched off.

use serde_json::Value;

use crate::cli::init::draft::{Draft, Key};
use crate::cli::init::fault::Fault;
use crate::cli::init::places::{plain, reference};
use crate::cli::init::said::Said;
use crate::cli::init::tree;

/// The keys that are on; `None` where none is written, as in an export through the API.
pub(super) fn keys(channel: &Said<'_>, draft: &mut Draft) -> Result<Option<Vec<Key>>, Fault> {
    let Some(said) = channel.field("key").filter(|key| !key.is_idle()) else { return Ok(None) };
    let switches = channel.field("channel_info").and_then(|info| info.field("multi_key_status_list"));
    let is_off = |index: usize| {
        let status = switches.as_ref()?.field(&index.to_string())?;
        Some(status.whole_number().is_ok_and(|status| status != 1))
    };
    let mut keys = Vec::new();
    for (index, (place, text)) in written(&said)?.into_iter().enumerate() {
        if text.is_empty() {
            continue;
        }
        if is_off(index).unwrap_or_default() {
            draft.remark_on(place, "this key is switched off, and left out");
            continue;
        }
        keys.push(match reference(&text, &place)? {
            Some(variable) => Key::Variable(variable.to_owned()),
            None => plain(&text, &place)?,
        });
    }
    Ok(Some(keys))
}

/// Every entry with its place, in the order by which switches count them.
fn written(said: &Said<'_>) -> Result<Vec<(String, String)>, Fault> {
    if said.is_list() {
        return said.list()?.iter().map(|key| Ok((key.place.clone(), key.text()?.to_owned()))).collect();
    }
    let text = said.text()?;
    if let (true, Ok(Value::Array(list))) = (text.starts_with('['), tree::json(text)) {
        let place = |index: usize| format!("{} (entry {})", said.place, index + 1);
        let entry = |(index, key): (usize, &Value)| {
            let key = key.as_str().ok_or_else(|| said.not("keys, one per line or as a list of texts"))?;
            Ok((place(index), key.trim().to_owned()))
        };
        return list.iter().enumerate().map(entry).collect();
    }
    let line = |(index, line): (usize, &str)| (format!("{} (line {})", said.place, index + 1), line.trim().to_owned());
    Ok(text.lines().enumerate().map(line).collect())
}
