//! What the lognormal distribution of waiting times needs, near enough to compare and fast enough for every candidate.

/// The natural logarithm of a positive, normal number within 1e-5, at a third of the price: the exponent from its bits,
/// and for the rest the series of the inverse hyperbolic tangent, which converges fast around 1.
pub(super) fn logarithm(x: f64) -> f64 {
    const MANTISSA: u64 = (1 << 52) - 1;
    let bits = x.to_bits();
    let exponent = f64::from(u32::try_from(bits >> 52).unwrap_or(0)) - 1023.0;
    let rest = f64::from_bits((bits & MANTISSA) | 1.0_f64.to_bits());
    // From -0.17 to 0.17, as the rest is between 1 and 2, and this is measured from their geometric mean.
    let t = (rest - std::f64::consts::SQRT_2) / (rest + std::f64::consts::SQRT_2);
    let tt = t * t;
    let series = 2.0 * t * (1.0 + tt * (1.0 / 3.0 + tt * (0.2 + tt / 7.0)));
    (exponent + 0.5) * std::f64::consts::LN_2 + series
}

/// The chance that a standard normal variable exceeds `z`, within 0.0003 and without an exponential (Abramowitz and
/// Stegun, Handbook of Mathematical Functions, 7.1.27).
pub(super) fn normal_tail(z: f64) -> f64 {
    let x = z.abs() * std::f64::consts::FRAC_1_SQRT_2;
    let series = 1.0 + x * (0.278_393 + x * (0.230_389 + x * (0.000_972 + x * 0.078_108)));
    let tail = 0.5 / (series * series * series * series);
    if z < 0.0 { 1.0 - tail } else { tail }
}

/// Of a standard normal variable, within 0.00045 (Abramowitz and Stegun, Handbook of Mathematical Functions, 26.2.23).
pub(super) fn quantile(share: f64) -> f64 {
    let tail = share.min(1.0 - share).max(1e-9);
    let t = (-2.0 * tail.ln()).sqrt();
    let above = 2.515_517 + t * (0.802_853 + t * 0.010_328);
    let below = 1.0 + t * (1.432_788 + t * (0.189_269 + t * 0.001_308));
    let z = t - above / below;
    if share < 0.5 { -z } else { z }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tail_of_the_normal_distribution_is_close_enough() {
        for (z, expected) in [(-2.0, 0.97725), (-0.5, 0.69146), (0.0, 0.5), (1.0, 0.15866), (2.326, 0.01)] {
            assert!((normal_tail(z) - expected).abs() < 3e-4, "{z}: {}", normal_tail(z));
        }
    }

    #[test]
    fn the_cheap_logarithm_is_close_enough() {
        for x in [1e-9, 0.01, 0.5, 0.999_999, 1.0, 1.4, 2.0, 3.7, 300.0, 1e6] {
            assert!((logarithm(x) - x.ln()).abs() < 1e-5, "{x}: {}", logarithm(x));
        }
    }

    #[test]
    fn quantiles_are_those_of_the_normal_distribution() {
        for (share, z) in [(0.5, 0.0), (0.95, 1.644_85), (0.99, 2.326_35), (0.05, -1.644_85)] {
            assert!((quantile(share) - z).abs() < 5e-4, "{share}");
        }
    }
}
