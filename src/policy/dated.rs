//! Names of models that end in a date: what a name without it stands for.

/// `gpt-4o-2024-11-20`, `doubao-seed-2-1-pro-260628`, `claude-x-20260101` and `qwen-plus-latest` without their ends;
/// `None` for an id that has none.
pub(crate) fn undated(id: &str) -> Option<&str> {
    if let Some(stem) = id.strip_suffix("-latest") {
        return Some(stem).filter(|stem| !stem.is_empty());
    }
    let digits = |part: &str, count: usize| part.len() == count && part.bytes().all(|byte| byte.is_ascii_digit());
    let (stem, last) = id.rsplit_once('-')?;
    if digits(last, 8) || digits(last, 6) {
        return Some(stem).filter(|stem| !stem.is_empty());
    }
    let (stem, month) = stem.rsplit_once('-').filter(|_| digits(last, 2))?;
    let (stem, year) = stem.rsplit_once('-').filter(|_| digits(month, 2))?;
    (digits(year, 4) && !stem.is_empty()).then_some(stem)
}

#[cfg(test)]
mod tests {
    use super::undated;

    #[test]
    fn only_a_date_or_latest_at_the_end_is_left_out() {
        let stems = ["gpt-4o-2024-11-20", "doubao-pro-260628", "x-20260101", "qwen-plus-latest"].map(undated);
        assert_eq!(stems, [Some("gpt-4o"), Some("doubao-pro"), Some("x"), Some("qwen-plus")]);
        for id in ["gpt-4o", "glm-5.3", "a-1234", "-latest", "-20260101", "mistral-7b-32", "2024-11-20"] {
            assert_eq!(undated(id), None, "{id}");
        }
    }
}
