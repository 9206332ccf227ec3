//! How to write a value of another kind: what a wrong one would look like if it were right.
//!
//! Whoever writes `keys = "env:X"` knows what they mean and not how it is written; a word such as "list" does not tell
//! them, the line does. What stands in the file is repeated only as the file may be shown.

use toml::de::{DeTable, DeValue};

use super::diagnostic::Diagnostics;
use super::fields::Fields;
use super::read::Node;

/// For what should be a text.
pub(super) fn text(node: &Node<'_>) -> Option<String> {
    match node.value {
        DeValue::Integer(_) | DeValue::Float(_) | DeValue::Boolean(_) | DeValue::Datetime(_) => {
            let shown = node.place.file.shown(&node.place.range);
            (!shown.contains('*')).then(|| format!("write \"{shown}\""))
        }
        DeValue::String(_) | DeValue::Array(_) | DeValue::Table(_) => None,
    }
}

/// For what should be a list.
pub(super) fn list(node: &Node<'_>) -> Option<String> {
    let name = node.place.name();
    if name.is_empty() || name.ends_with(']') {
        return None;
    }
    Some(match node.value {
        DeValue::String(_) => format!("write {name} = [{}]", shown(node)),
        DeValue::Table(_) if !node.place.field.contains('[') => {
            format!("write {name} = [{{ … }}], or [[{}]] above it", node.place.field)
        }
        DeValue::Table(_) => format!("write {name} = [{{ … }}]"),
        DeValue::Integer(_) | DeValue::Float(_) | DeValue::Boolean(_) | DeValue::Datetime(_) | DeValue::Array(_) => {
            format!("write {name} = [ … ]")
        }
    })
}

/// For what should be a table whose fields are those that `read` asks for.
pub(super) fn fields<T>(node: &Node<'_>, read: impl FnOnce(&Fields<'_>) -> T) -> String {
    const FEW: usize = 9;
    let (nothing, nobody) = (DeTable::new(), Diagnostics::default());
    let empty = Fields::new(&nothing, node.place.clone(), &nobody);
    read(&empty);
    let known = empty.supported();
    let more = if known.len() > FEW { ", …" } else { "" };
    let known = known.into_iter().take(FEW).collect::<Vec<_>>().join(", ");
    match node.place.name() {
        "" => format!("its fields are: {known}{more}"),
        name if name.ends_with(']') => format!("write {{ … }}, with these fields: {known}{more}"),
        name => format!("write {name} = {{ … }}, with these fields: {known}{more}"),
    }
}

/// For what should be a table with names of the user's own.
pub(super) fn entries(node: &Node<'_>) -> Option<String> {
    let name = node.place.name();
    let first = match node.value {
        DeValue::Array(items) => items.iter().find_map(|item| item.get_ref().as_str()).map(str::to_owned),
        _ => None,
    };
    let first = first.filter(|first| node.place.file.shown(&node.place.range).contains(&format!("\"{first}\"")));
    let first = first.unwrap_or_else(|| "…".to_owned());
    (!name.is_empty()).then(|| format!("write {name} = {{ \"{first}\" = … }}: what is said of each, by its name"))
}

/// The text in its quotes, or a sign for one that must not be shown.
fn shown<'n>(node: &'n Node<'_>) -> &'n str {
    let shown = node.place.file.shown(&node.place.range);
    let is_whole = node.value.as_str().is_some_and(|text| shown.len() == text.len() + 2 && shown.contains(text));
    if is_whole { shown } else { "\"…\"" }
}
