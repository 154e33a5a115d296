//! Calendar dates in UTC without a library: java.util.Date's text for `dump`, and RFC 3339 for log lines.

use alloc::format;
use alloc::string::String;

/// Day, time of day and weekday of a moment, UTC.
struct Civil {
    year: i64,
    month: usize,
    day: i64,
    seconds: i64,
    weekday: usize,
}

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const WEEKDAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];

fn civil(wall_ms: i64) -> Civil {
    let total = wall_ms.div_euclid(1000);
    let days = total.div_euclid(86_400);
    // Days since 0000-03-01: with March first, the leap day is the last day of the year.
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let month = (month_from_march + 2) % 12;
    Civil {
        year: year_of_era + era * 400 + i64::from(month < 2),
        month: month as usize,
        day: day_of_year - (153 * month_from_march + 2) / 5 + 1,
        seconds: total.rem_euclid(86_400),
        weekday: days.rem_euclid(7) as usize,
    }
}

/// `Sat Nov 21 19:58:35 UTC 2026`, of milliseconds since 1970.
pub fn java_date(wall_ms: i64) -> String {
    let date = civil(wall_ms);
    let (hour, minute, second) = (date.seconds / 3600, date.seconds / 60 % 60, date.seconds % 60);
    format!(
        "{} {} {:02} {hour:02}:{minute:02}:{second:02} UTC {}",
        WEEKDAYS[date.weekday], MONTHS[date.month], date.day, date.year
    )
}

/// `2026-11-21T19:58:35.123Z`, of milliseconds since 1970.
pub fn rfc3339(wall_ms: i64) -> String {
    let date = civil(wall_ms);
    let (hour, minute, second) = (date.seconds / 3600, date.seconds / 60 % 60, date.seconds % 60);
    format!(
        "{:04}-{:02}-{:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z",
        date.year,
        date.month + 1,
        date.day,
        wall_ms.rem_euclid(1000)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_moments() {
        assert_eq!(java_date(0), "Thu Jan 01 00:00:00 UTC 1970");
        assert_eq!(java_date(1_795_291_144_658), "Sat Nov 21 19:59:04 UTC 2026");
        assert_eq!(rfc3339(951_782_399_999), "2000-02-28T23:59:59.999Z");
        assert_eq!(rfc3339(951_782_400_000), "2000-02-29T00:00:00.000Z");
        assert_eq!(rfc3339(1_709_251_200_000), "2024-03-01T00:00:00.000Z");
        assert_eq!(rfc3339(-1), "1969-12-31T23:59:59.999Z");
    }
}
