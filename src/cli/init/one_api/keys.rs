//! The keys of a channel: one per line, or a list, in which some may be switched off.

use serde_json::Value;

use crate::cli::init::draft::{Draft, Key};
use crate::cli::init::fault::Fault;
use crate::cli::init::places::{plain, reference};
use crate::cli::init::said::Said;
use crate::cli::init::tree;

/// As many variables for one channel are filled in by hand, and no more.
const MOST_KEYS: usize = 100;

/// The keys that are on; `None` where none is written, as in an export through the API.
pub(super) fn keys(channel: &Said<'_>, called: &str, draft: &mut Draft) -> Result<Option<Vec<Key>>, Fault> {
    let Some(said) = channel.field("key").filter(|key| !key.is_idle()) else { return Ok(None) };
    let switches = info(channel, "multi_key_status_list");
    let mut keys = Vec::new();
    for (index, (place, text)) in written(&said)?.into_iter().enumerate() {
        if text.is_empty() {
            continue;
        }
        if is_off(switches.as_ref(), index) {
            draft.remark_on(format!("{place} of {called}"), "this key is switched off, and left out");
            continue;
        }
        keys.push(match reference(&text, &place)? {
            Some(variable) => Key::Variable(variable.to_owned()),
            None => plain(&text, &place)?,
        });
    }
    Ok(Some(keys))
}

/// How many keys have to be fetched where none is written. new-api keeps several in one field, and counts them.
pub(super) fn left_out(channel: &Said<'_>, called: &str, draft: &mut Draft) -> Result<u32, Fault> {
    if info(channel, "is_multi_key").is_none_or(|said| said.is_idle()) {
        return Ok(1);
    }
    let Some(size) = info(channel, "multi_key_size").filter(|size| !size.is_idle()) else {
        let what = "it has several keys in one field, and how many is not said: name each in `keys` of its upstream";
        draft.remark_on(called, what);
        return Ok(1);
    };
    let size = size.count()?;
    let switches = info(channel, "multi_key_status_list");
    let first = (0..size).take(MOST_KEYS).filter_map(|index| usize::try_from(index).ok());
    let on = first.filter(|index| !is_off(switches.as_ref(), *index)).count();
    let bound = if size > u64::try_from(MOST_KEYS).unwrap_or(u64::MAX) {
        format!("; of more than {MOST_KEYS}, those that follow are left out")
    } else {
        String::new()
    };
    draft.remark_on(
        called,
        format!("it has {size} keys in one field: here each that is on has a variable of its own, {on} in all{bound}"),
    );
    Ok(u32::try_from(on).unwrap_or(u32::MAX))
}

fn info<'v>(channel: &Said<'v>, name: &str) -> Option<Said<'v>> {
    channel.field("channel_info")?.field(name)
}

fn is_off(switches: Option<&Said<'_>>, index: usize) -> bool {
    let status = switches.and_then(|switches| switches.field(&index.to_string()));
    status.is_some_and(|status| status.whole_number().is_ok_and(|status| status != 1))
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
