//! Name patterns: `*` stands for anything, everything else for itself.

/// A pattern over names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Glob {
    parts: Vec<String>,
}

impl Glob {
    /// Reads a pattern; every text is one.
    pub(crate) fn new(pattern: &str) -> Self {
        Self { parts: pattern.split('*').map(str::to_owned).collect() }
    }

    /// Whether the whole of `name` fits.
    pub(crate) fn matches(&self, name: &str) -> bool {
        let Some((first, rest)) = self.parts.split_first() else { return name.is_empty() };
        let Some((last, middle)) = rest.split_last() else { return name == first };
        let Some(mut left) = name.strip_prefix(first.as_str()) else { return false };
        // The leftmost place for each part leaves the most for those after it, so no other needs to be tried.
        for part in middle {
            let Some((_, after)) = left.split_once(part.as_str()) else { return false };
            left = after;
        }
        left.ends_with(last.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_anything_anywhere() {
        for (pattern, name, fits) in [
            ("glm-*", "glm-5.3", true),
            ("glm-*", "xglm-5.3", false),
            ("*", "", true),
            ("*-mini", "gpt-4o-mini", true),
            ("gpt-*-mini", "gpt-4o-mini", true),
            ("gpt-*-mini", "gpt-mini", false),
            ("a*b*c", "abbc", true),
            ("a*b*c", "acb", false),
            ("a*a", "a", false),
            ("gpt-4o", "gpt-4o", true),
            ("gpt-4o", "gpt-4o-mini", false),
        ] {
            assert_eq!(Glob::new(pattern).matches(name), fits, "{pattern} {name}");
        }
    }
}
