//! Where a provider tells what is left in an account's wallet.

use crate::policy::diagnostic::Diagnostic;
use crate::policy::fields::Fields;
use crate::policy::model::{Balance, BalanceCurrency};
use crate::policy::money::is_currency;
use crate::policy::read::{Node, word};

/// Reads a `balance` table.
pub(crate) fn balance(node: &Node<'_>) -> Option<Balance> {
    node.fields(|fields: &Fields<'_>| {
        let path = fields.need("path", path);
        let (each, amount) = (fields.get("each", pointer), fields.need("amount", pointer));
        let (named, fixed) = (fields.get("currency_at", pointer), fields.get("currency", currency));
        let currency = match (named, fixed) {
            (Some(pointer), None) => Some(BalanceCurrency::At(pointer)),
            (None, Some(code)) => Some(BalanceCurrency::Is(code)),
            (_, _) if fields.spoiled() == crate::policy::fields::Spoiled::Yes => None,
            (_, _) => {
                let message = "say either `currency` or, where the answer names it, `currency_at`";
                fields.report.push(Diagnostic::error(&node.place, message));
                None
            }
        };
        Some(Balance { path: path?.value.into(), each, amount: amount?.value, currency: currency? })
    })?
}

fn path(node: &Node<'_>) -> Option<String> {
    let text = word(node)?;
    if !text.starts_with('/') || text.contains(|c: char| !c.is_ascii_graphic() || c == '#') {
        let hint = "write what follows the base URL, such as \"/user/balance\"".to_owned();
        node.error(format!("`{text}` is no path"), Some(hint));
        return None;
    }
    Some(text)
}

/// RFC 6901.
fn pointer(node: &Node<'_>) -> Option<String> {
    let text = word(node)?;
    if !text.starts_with('/') {
        node.error(
            format!("`{text}` is no JSON pointer"),
            Some("write it like \"/data/available_balance\"".to_owned()),
        );
        return None;
    }
    Some(text)
}

fn currency(node: &Node<'_>) -> Option<String> {
    let text = word(node)?;
    if !is_currency(&text) {
        node.error(format!("`{text}` is no currency"), Some("write three capital letters, such as \"CNY\"".to_owned()));
        return None;
    }
    Some(text)
}
