//! From texts to trees of values, within bounds: a file that nests deeply, or whose aliases multiply, is refused while
//! it is read, since what is built of it would have no bound.

use serde_json::Value;
use serde_saphyr::options::DuplicateKeyPolicy;
use serde_saphyr::{MessageFormatter as _, UserMessageFormatter};

use super::fault::Fault;

/// The most that is read of a file.
pub(super) const LARGEST: u64 = 16 << 20;
const DEEPEST: usize = 64;
const MOST_NODES: usize = 1_000_000;

/// Reads YAML. An empty file is an empty table.
pub(super) fn yaml(text: &str) -> Result<Value, Fault> {
    let budget = serde_saphyr::budget! { max_depth: DEEPEST, max_nodes: MOST_NODES, max_events: 4 * MOST_NODES };
    let alias_limits = serde_saphyr::alias_limits! { max_total_replayed_events: MOST_NODES };
    let options = serde_saphyr::options! {
        budget: budget,
        alias_limits: alias_limits,
        duplicate_keys: DuplicateKeyPolicy::LastWins,
    };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        // Without the lines around it: they may hold keys.
        let error = error.without_snippet();
        let (line, column) = error.location().map_or((1, 1), |at| (at.line(), at.column()));
        let why = UserMessageFormatter.format_message(error);
        Fault::Syntax { language: "YAML", line, column, why: why.lines().next().unwrap_or_default().to_owned() }
    })
}

/// Reads JSON.
pub(super) fn json(text: &str) -> Result<Value, Fault> {
    serde_json::from_str(text).map_err(|error| malformed(&error))
}

/// Reads JSON, of which several may follow each other, as files do that were written into one: then it is their list.
pub(super) fn several_json(text: &str) -> Result<Value, Fault> {
    let all = serde_json::Deserializer::from_str(text).into_iter().collect::<Result<Vec<Value>, _>>();
    let mut all = all.map_err(|error| malformed(&error))?;
    match all.len() {
        0 => json(text),
        1 => Ok(all.pop().unwrap_or_default()),
        _ => Ok(Value::Array(all)),
    }
}

fn malformed(error: &serde_json::Error) -> Fault {
    let place = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
    let (line, column) = (place(error.line()), place(error.column()));
    let why = match error.classify() {
        serde_json::error::Category::Eof => "it ends too early",
        serde_json::error::Category::Io | serde_json::error::Category::Syntax | serde_json::error::Category::Data => {
            "it is malformed here, or nests too deeply"
        }
    };
    Fault::Syntax { language: "JSON", line, column, why: why.to_owned() }
}
