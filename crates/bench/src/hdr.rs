//! The distribution of latencies as text, in the format of HdrHistogram's `outputPercentileDistribution`, which its plotters
//! read: value, percentile, count so far, 1/(1-percentile).

use hdrhistogram::Histogram;
use std::fmt::Write;

/// Lines between a percentile and the one that halves the rest.
const TICKS: u32 = 5;

/// Values in microseconds.
pub(crate) fn distribution(histogram: &Histogram<u64>) -> String {
    let mut out = format!("{:>12} {:>14} {:>10} {:>14}\n\n", "Value", "Percentile", "TotalCount", "1/(1-Percentile)");
    let mut so_far = 0;
    for point in histogram.iter_quantiles(TICKS) {
        let (value, quantile) = (point.value_iterated_to() as f64 / 1e3, point.quantile_iterated_to());
        so_far += point.count_since_last_iteration();
        write!(out, "{value:>12.3} {quantile:>14.12} {so_far:>10}").expect("a string takes everything");
        let rest = if quantile < 1.0 { format!(" {:>14.2}", 1.0 / (1.0 - quantile)) } else { String::new() };
        writeln!(out, "{rest}").expect("a string takes everything");
    }
    writeln!(out, "#[Mean    = {:>12.3}, StdDeviation   = {:>12.3}]", histogram.mean() / 1e3, histogram.stdev() / 1e3)
        .and_then(|()| {
            writeln!(
                out,
                "#[Max     = {:>12.3}, Total count    = {:>12}]",
                histogram.max() as f64 / 1e3,
                histogram.len()
            )
        })
        .expect("a string takes everything");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_ends_with_everything() {
        let mut histogram = Histogram::new_with_bounds(1, 1_000_000_000, 3).expect("sound");
        (1..=1_000).for_each(|ms| histogram.record(ms * 1_000_000).expect("in bounds"));
        let text = distribution(&histogram);
        let lines: Vec<Vec<&str>> = text.lines().skip(2).map(|line| line.split_whitespace().collect()).collect();
        let median = lines.iter().find(|line| line[1].starts_with("0.500")).expect("a median");
        assert!((499_000.0..502_000.0).contains(&median[0].parse::<f64>().expect("a number")), "{text}");
        assert!(
            text.contains("1.000000000000       1000\n") && text.contains("Total count    =         1000]"),
            "{text}"
        );
    }
}
