//! "Did you mean": the known name that a typing mistake is closest to, or nothing rather than a wild guess.

/// The known name closest to `word`, if it is close enough to be meant.
pub(crate) fn nearest<'n>(word: &str, known: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    let allowed = (word.chars().count() / 3).max(1);
    known
        .into_iter()
        .map(|name| (distance(word, name), name))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// Advice for an unknown `word`: the nearest known name, else all of them if they are few.
pub(crate) fn advice(word: &str, known: &[&str]) -> Option<String> {
    const FEW: usize = 20;
    if let Some(name) = nearest(word, known.iter().copied()) {
        return Some(format!("did you mean `{name}`?"));
    }
    (!known.is_empty() && known.len() <= FEW).then(|| format!("known here: {}", known.join(", ")))
}

/// Edits (insert, delete, replace, swap neighbours) from `a` to `b`, by one row of the classic table at a time.
fn distance(a: &str, b: &str) -> usize {
    let b = b.to_lowercase().chars().collect::<Vec<_>>();
    let mut two_up: Vec<usize> = Vec::new();
    let mut up = (0..=b.len()).collect::<Vec<_>>();
    let mut previous = None;
    for (i, c) in a.to_lowercase().chars().enumerate() {
        let mut row = vec![i + 1];
        for (j, d) in b.iter().enumerate() {
            let cell = |row: &[usize], at: usize| row.get(at).copied().unwrap_or(usize::MAX - 1);
            let replace = cell(&up, j) + usize::from(c != *d);
            let mut best = replace.min(cell(&up, j + 1) + 1).min(cell(&row, j) + 1);
            let swapped = j > 0 && previous == Some(*d) && b.get(j - 1) == Some(&c);
            if swapped {
                best = best.min(cell(&two_up, j - 1).saturating_add(1));
            }
            row.push(best);
        }
        previous = Some(c);
        two_up = std::mem::replace(&mut up, row);
    }
    up.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typing_mistake_finds_the_name_and_a_different_word_finds_none() {
        let known = ["listen", "admin", "max_body", "first_token"];
        assert_eq!(nearest("lisetn", known), Some("listen"));
        assert_eq!(nearest("max-body", known), Some("max_body"));
        assert_eq!(nearest("firsttoken", known), Some("first_token"));
        assert_eq!(nearest("colour", known), None);
    }

    #[test]
    fn distances_count_edits() {
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("ab", "ba"), 1);
        assert_eq!(distance("", "abc"), 3);
    }
}
