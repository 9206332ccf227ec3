//! What is left in a wallet, from a provider's answer.

use serde_json::Value;

/// Where to look, as JSON pointers (RFC 6901).
#[derive(Clone, Copy, Debug)]
pub struct Pointers<'a> {
    /// The list of wallets, where there are several; the others start at one of them.
    pub each: Option<&'a str>,
    /// The amount, a number or a text.
    pub amount: &'a str,
    /// The currency's name; `None` if it is not in the answer.
    pub currency: Option<&'a str>,
}

/// The wallets in `body`: amounts with their currencies where those are named. `None` if it does not read as said: a gap
/// in an answer is no empty wallet, and neither is a list without one. An amount below nought is a debt.
pub fn wallets(body: &[u8], at: Pointers<'_>) -> Option<Vec<(f64, Option<String>)>> {
    let answer: Value = serde_json::from_slice(body).ok()?;
    let wallet = |one: &Value| {
        let currency = match at.currency {
            Some(pointer) => Some(one.pointer(pointer)?.as_str()?.to_owned()),
            None => None,
        };
        Some((amount(one.pointer(at.amount)?)?, currency))
    };
    let wallets: Vec<_> = match at.each {
        Some(each) => answer.pointer(each)?.as_array()?.iter().map(wallet).collect::<Option<_>>()?,
        None => vec![wallet(&answer)?],
    };
    Some(wallets).filter(|wallets| !wallets.is_empty())
}

fn amount(value: &Value) -> Option<f64> {
    let number = match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    };
    number.filter(|number: &f64| number.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wallets_are_read_one_by_one_or_from_a_list() {
        let list = br#"{"is_available": true, "balance_infos": [
            {"currency": "CNY", "total_balance": "110.00", "granted_balance": "10.00"},
            {"currency": "USD", "total_balance": "2.50"}]}"#;
        let at = Pointers { each: Some("/balance_infos"), amount: "/total_balance", currency: Some("/currency") };
        assert_eq!(wallets(list, at).unwrap(), [(110.0, Some("CNY".to_owned())), (2.5, Some("USD".to_owned()))]);
        let one = br#"{"code": 0, "data": {"available_balance": -0.5, "voucher_balance": 1}}"#;
        let at = Pointers { each: None, amount: "/data/available_balance", currency: None };
        assert_eq!(wallets(one, at).unwrap(), [(-0.5, None)]);
    }

    #[test]
    fn an_answer_that_does_not_say_is_no_empty_wallet() {
        let at = Pointers { each: None, amount: "/a", currency: None };
        for body in [&b"<html>"[..], b"{}", b"{\"a\": null}", b"{\"a\": \"much\"}", b"{\"a\": \"NaN\"}"] {
            assert!(wallets(body, at).is_none(), "{}", String::from_utf8_lossy(body));
        }
        assert!(wallets(b"{\"all\": []}", Pointers { each: Some("/all"), ..at }).is_none(), "nor is a list of none");
    }
}
