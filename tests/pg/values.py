"""Values of types, as text: edges first, random ones, and texts that are hardly any. For tests/pg/oracle.py; a function's parameters that take
only certain words (formats, units, zones) are in WORDS."""
import datetime
import random

INTS = {"int2": 15, "int4": 31, "int8": 63}


def integer(rng, bits):
    top = (1 << bits) - 1
    edges = [0, 1, -1, 2, 3, 7, 10, -10, 100, top, -top - 1, top - 1, 12345, -12345]
    return rng.choice(edges) if rng.random() < 0.5 else rng.randint(-(1 << rng.randint(1, bits)), (1 << rng.randint(1, bits)) - 1)


def digits(rng, n):
    return "".join(rng.choice("0123456789") for _ in range(n))


def numeric(rng):
    edges = ["0", "1", "-1", "0.00", "1.10", "10", "-0.5", "0.5", "1.5", "2.5", "-2.5", "0.9", "1.1", "0.99999", "1.000001", "1e10", "1e-10", "1e30", "1.23456789e-30",
             "9999", "10000", "99999999", "0.0001", "123456789012345678901234567890", "NaN", "Infinity", "-Infinity", "2", "3", "-3", "100", "1000", "0.1", "7", "-7.0"]
    if rng.random() < 0.45:
        return rng.choice(edges)
    whole, behind = rng.choice([(1, 0), (2, 2), (4, 4), (5, 9), (12, 3), (1, 20), (0, 8), (30, 10), (8, 0)])
    text = ("-" if rng.random() < 0.3 else "") + (digits(rng, whole) or "0")
    return text + ("." + digits(rng, behind) if behind else "")


def double(rng, single=False):
    edges = ["0", "1", "-1", "0.5", "-0.5", "1.5", "2.5", "1e10", "1e15", "1e14", "123456789012345680", "1e-5", "0.0001", "Infinity", "-Infinity", "0.1", "3.14159",
             "100", "1e20", "-7", "2", "3", "10", "90", "180"]
    edges += ["3.4028235e38", "1e-45", "16777216"] if single else ["1.7976931348623157e308", "5e-324", "9007199254740993", "2.2250738585072014e-308"]
    if rng.random() < 0.4:
        return rng.choice(edges)
    if rng.random() < 0.5:
        return repr(round(rng.uniform(-1000, 1000), rng.randint(0, 6)))
    return f"{rng.uniform(-10, 10):.{8 if single else 16}e}".split("e")[0] + f"e{rng.randint(-30, 30)}"


GENERATORS = {
    "bool": lambda r: r.choice(["t", "f"]),
    "oid": lambda r: str(r.choice([0, 1, 4294967295, r.randrange(1 << 32)])),
    "float4": lambda r: double(r, True),
    "float8": double,
    "numeric": numeric,
    "text": lambda r: r.choice(["", "a", "abc", "12", " 7 ", "1.5", "true"]),
    **{t: (lambda r, b=b: str(integer(r, b))) for t, b in INTS.items()},
}
UNITS = """microsecond microseconds millisecond ms second sec s minute min hour h day d week month mon quarter year decade century millennium dow doy isodow isoyear
epoch julian timezone timezone_hour timezone_minute us msec Years DAY foo weekz days dec cent mil""".split()
ZONES = """UTC Europe/Berlin America/New_York Asia/Kolkata Australia/Lord_Howe america/los_angeles EST PST cet CEST +02 -5 UTC+3 <+03>-3 EST5EDT Nowhere/City
Asia/Tehran Africa/Casablanca Pacific/Apia zulu Europe/Dublin EST5EDT,M3.2.0,M11.1.0 GMT""".split()


KEYS = """YYYY YYY YY Y IYYY IY I Y,YYY CC MM MON Mon mon MONTH Month month RM rm Q DD DDD D ID IDDD DY Dy dy DAY Day day WW IW W J HH HH12 HH24 MI SS MS US FF1 FF3 FF6 SSSS SSSSS AM am PM
P.M. a.m. AD BC a.d. B.C. TZ tz TZH TZM OF""".split()


def picture(rng):
    """Of times."""
    if rng.random() < 0.3:
        return rng.choice(["YYYY-MM-DD", "YYYY-MM-DD HH24:MI:SS", "DD/MM/YYYY", "Day, DD Month YYYY", "HH12:MI AM", "YYYY-MM-DD\"T\"HH24:MI:SS.MSOF", "IYYY-IW", "FMDay, FMDD FMMonth YYYY", "Mon DDth, YYYY", "YYYYMMDD", "HH24MISS", "J", "", "FMHH24:FMMI", "Q", "\"Q\"Q YYYY"])
    parts = []
    for _ in range(rng.randint(1, 6)):
        parts.append(("FM" if rng.random() < 0.2 else "") + rng.choice(KEYS) + (rng.choice(["th", "TH"]) if rng.random() < 0.1 else ""))
        parts.append(rng.choice(["-", " ", "/", ":", "", "\"text\"", ",", ".", " x ", "\\", "T"]))
    return "".join(parts)


def number_picture(rng):
    if rng.random() < 0.6:
        return rng.choice(["999", "FM999", "999.99", "FM999990.00", "FM999,999,990.00", "S999", "999S", "999MI", "MI999", "PL999", "SG999", "999PR", "FM999PR", "0999", "9,999.99", "FM9.99", "9.9", "0.99", "FM0.99", "9G999D99",
                           "L999", "RN", "FMRN", "rn", "999th", "FM999TH", "99V99", "9.99EEEE", "999\"x\"9", "B999", "FM00000", "99999999999999999999", "FM99.00", "99.", ".99", "FM.99", "$999", "FM999%", "9 9", "000.000", "S9,999.9", "999.99S", "99.9MI", "", "FM9990.0099"])
    return rng.choice(["", "FM", "S", "MI", "L", "SG"]) + "".join(rng.choice(["9", "9", "9", "0", ",", "G"]) for _ in range(rng.randint(1, 7))) + rng.choice(["", ".9", "D99", ".00", ".90"]) + rng.choice(["", "", "S", "MI", "PR", "TH"])


def number_with(rng):
    pairs = [("{:.2f}", "999999.99"), ("{:,.2f}", "999,999,999.99"), ("{:,.1f}", "FM999G999G999D9"), ("{:.0f}", "999999999"), ("{:+.2f}", "S999999.99"), ("${:.2f}", "$999999.99"), ("{:.2f}-", "999999.99S"), ("{:.3f}", "999999.9"), ("{:.0f}", "99999V99"), ("<{:.1f}>", "99999.9PR"), (" {:.2f} ", "99999.99")]
    text, format = rng.choice(pairs)
    return text.format(rng.uniform(0, 10 ** rng.randint(0, 6))), format


def read_with(rng):
    """(text, picture) for to_date, to_timestamp"""
    pairs = [("%Y-%m-%d", "YYYY-MM-DD"), ("%d/%m/%Y", "DD/MM/YYYY"), ("%Y%m%d", "YYYYMMDD"), ("%d Mon %Y", "DD Mon YYYY"), ("%Y-%m-%d %H:%M:%S", "YYYY-MM-DD HH24:MI:SS"), ("%d.%m.%y", "DD.MM.YY"),
             ("%B %d, %Y", "Month DD, YYYY"), ("%b %d %Y", "Mon DD YYYY"), ("%Y-%m-%d %I:%M %p", "YYYY-MM-DD HH12:MI AM"), ("%Y %j", "YYYY DDD"), ("%G-%V", "IYYY-IW"), ("%G-%V-%u", "IYYY-IW-ID"), ("%Y-%m-%dT%H:%M:%S.%f", 'YYYY-MM-DD"T"HH24:MI:SS.US'),
             ("%H:%M", "HH24:MI"), ("%Y", "YYYY"), ("%Y-%m", "YYYY-MM"), ("%m/%d/%y", "MM/DD/YY"), ("%A %d %B %Y", "Day DD Month YYYY"), ("%Y-%m-%d %H:%M:%S+02", "YYYY-MM-DD HH24:MI:SSTZH"), ("%-d-%-m-%Y", "DD-MM-YYYY"), ("%H%M%S", "HH24MISS"), ("%Y-%m-%d", "FXYYYY-MM-DD"), ("%d%m%Y", "DDMMYYYY")]
    text, format = rng.choice(pairs)
    when = datetime.datetime(rng.randint(1900, 2100), rng.randint(1, 12), rng.randint(1, 28), rng.randint(0, 23), rng.randint(0, 59), rng.randint(0, 59), rng.randint(0, 999999))
    text = when.strftime(text)
    if rng.random() < 0.2:
        at = rng.randrange(len(text) + 1)
        text = text[:at] + rng.choice(["x", " ", "9", "-", "/", ""]) + text[at + rng.randint(0, 1):]
    return text, format


def unit(rng):
    return rng.choice(UNITS)


def zone(rng):
    return rng.choice(ZONES)


# (kind, name, index of the parameter): its words
WORDS = {
    ("F", "extract", 0): unit, ("F", "date_part", 0): unit, ("F", "date_trunc", 0): unit, ("F", "date_trunc", 2): zone, ("F", "timezone", 0): None,
    ("F", "make_timestamptz", 6): zone,
}
# a second parameter that is small, or PostgreSQL takes minutes
SMALL = {("F", "round", 1): 30, ("F", "trunc", 1): 30, ("F", "factorial", 0): 60}
TYPES_READ = ["bool", "int2", "int4", "int8", "oid", "float4", "float8", "numeric", "date", "time", "timetz", "timestamp", "timestamptz", "interval"]
DATES = ["1999-01-08", "January 8, 1999", "1/8/1999", "1/18/1999", "01/02/03", "1999-Jan-08", "Jan-08-1999", "08-Jan-1999", "99-Jan-08", "08-Jan-99", "Jan-08-99", "19990108",
         "990108", "1999.008", "J2451187", "January 8, 99 BC", "8 January 1999", "Jan 8 1999", "8 Jan 1999", "1999 Jan 8", "1999-1-8", "1999-13-01", "1999-02-30", "0000-01-01", "2024-02-29", "2023-02-29",
         "today", "epoch", "infinity", "-infinity", "Fri 8 Jan 1999", "1999-01", "1.8.1999", "jan8", "10000-01-01", "300000-01-01", "5874898-01-01", "Monday", "1999-01-08 BC", "-1999-01-08", "20240229T", "99999999999-01-01",
         "2024-1", "2024-060", "2024/03/04", "2024/3/4", "3-4-2024", "July 4th 2020", "Sept 9 2001", "1-1-1", "12345-06-07", "2001-Feb-29"]
CLOCKS = ["04:05:06.789", "04:05:06", "04:05", "040506", "04:05 AM", "04:05 PM", "12:00 am", "12:30 PM", "13:00 pm", "allballs", "24:00:00", "24:00:01", "25:00", "23:59:60", "23:59:61", "1:2:3", "04:05:06.7890123",
          "040506.789", "0405", "4:5.6", "00:00", "T04:05:06", "T040506", "T04", "04", ":30", "04:60", "4 am", "04:05:06.9999999"]
OFFSETS = ["Z", "z", "+02", "-8", "+05:30", "-0800", "+1:2:3", "+16", "-15:59", "PST", "pdt", "America/New_York", "europe/berlin", "UTC", "CET", "xyz", "+", "GMT", "EST5EDT", "zulu", "Asia/Kolkata", "-1530", "+99:00"]


def stampish(rng):
    parts = [rng.choice(DATES) if rng.random() < 0.6 else date(rng)]
    if rng.random() < 0.7:
        parts.append(rng.choice(CLOCKS) if rng.random() < 0.6 else clock(rng))
    if rng.random() < 0.4:
        parts.append(rng.choice(OFFSETS))
    if parts[0] in ("today", "epoch", "infinity", "-infinity"):
        return parts[0]
    if rng.random() < 0.05:
        parts.append(rng.choice(["BC", "AD", "foo", "at", "on", ",", "12", "AM"]))
    if rng.random() < 0.05:
        rng.shuffle(parts)
    text = parts[0]
    for part in parts[1:]:  # glued only where people do
        mark = rng.choice([" ", " ", "  ", "T" if part[:1].isdigit() and text[-1].isdigit() else "" if part[:1] in "+-Z" and text[-1].isdigit() else " "])
        text += mark + part
    return text


def clockish(rng):
    parts = [rng.choice(CLOCKS) if rng.random() < 0.7 else clock(rng)]
    if rng.random() < 0.5:
        parts.append(rng.choice([" ", ""] if parts[0][-1].isdigit() else [" "]) + rng.choice(OFFSETS[:17] + ["GMT", "zulu"]))
    if rng.random() < 0.1:
        parts.insert(0, date(rng))
    return rng.choice([" ", " ", "" if parts[-1][:1] in "+-Z" and len(parts) == 2 else " "]).join(parts)


SPANS = ["1 year", "2 mons", "3 days", "4 hours", "5 minutes", "6 seconds", "7.5 sec", "-8 days", "1-2", "3 4:05:06", "-4:05:06", "P1Y2M10DT2H30M", "P1Y", "PT5.5S", "P-1Y", "P0001-02-03T04:05:06", "P1W",
         "PT", "P", "1.5 years", "1.5 months", "0.1 days", "-0.5 hours", "2 weeks", "1 decade", "1 century", "1 millennium", "1 c", "1 mil", "100 ms", "50 us", "@ 1 minute", "1 ago", "ago", "1 day ago",
         "1 day 2", "1", "1.5", "12:34", "12:34.5", "1:2:3", "999999999999 years", "2147483648 days", "1 fortnight", "1y2mon3d4h5m6s", "1 day 1 day", "1 hour 04:05", "1 mon -1 day", "+1 day", "1.1.1 day",
         "P1Y2M", "P1.5Y", "PT36H", "P1DT", "PT1M30S", "1 quarter", "microseconds", "10 microseconds", "10 milliseconds", "- 1 day", "1 year -2 mons", ".5 day", "-.5 day", "1 week 0.5 day", "-1.5 months", "1e3 days"]


def spanish(rng):
    return " ".join(rng.choice(SPANS) for _ in range(rng.choice([1, 1, 1, 2, 3]))) + (" ago" if rng.random() < 0.1 else "")


READ = {"date": stampish, "timestamp": stampish, "timestamptz": stampish, "time": clockish, "timetz": clockish, "interval": spanish}
PIECES = {
    "numbers": ["1", "0", "-", "+", ".", "e", "E5", "e-3", " ", "nan", "inf", "infinity", "9", "12345678901234567890", "x", "1e400", "0x1", "5.", ".5", "1e-400", "e99999999999", "_"],
    "bool": ["t", "true", "f", "yes", "n", "on", "of", "off", "o", "1", "0", " ", "TRUE", "x", ""],
}


def year(rng):
    return rng.choice([1, 44, 1000, 1582, 1883, 1899, 1900, 1901, 1950, 1969, 1970, 1980, 1999, 2000, 2001, 2004, 2020, 2023, 2024, 2037, 2038, 2039, 2100, 2400, 9999, 12345,
                       294276, rng.randint(1900, 2100), rng.randint(1900, 2100), rng.randint(1, 4000)])


def date(rng):
    if rng.random() < 0.08:
        return rng.choice(["infinity", "-infinity", "epoch", "4714-11-24 BC", "5874897-12-31", "0001-01-01", "0001-12-31 BC", "0044-03-15 BC", "2000-02-29", "1900-02-28"])
    y, m = year(rng), rng.randint(1, 12)
    return f"{y:04d}-{m:02d}-{rng.randint(1, 28) if rng.random() < 0.7 else [31, 29 if (y % 4 == 0 and y % 100) or y % 400 == 0 else 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][m - 1]:02d}" + (" BC" if rng.random() < 0.03 and y < 4000 else "")


def clock(rng):
    if rng.random() < 0.2:
        return rng.choice(["00:00:00", "24:00:00", "23:59:59.999999", "12:00", "02:30:00", "01:30:00", "02:59:59.5", "00:00:00.000001"])
    return f"{rng.randint(0, 23):02d}:{rng.randint(0, 59):02d}:{rng.randint(0, 59):02d}" + (f".{digits(rng, rng.randint(1, 6))}" if rng.random() < 0.5 else "")


def stamp(rng):
    d = date(rng)
    if "infinity" in d or d == "epoch":
        return d
    d, _, era = d.partition(" ")
    y = int(d.split("-")[0])
    if y > 294276:
        d = "294276" + d[d.index("-"):]
    return f"{d} {clock(rng)}" + (" BC" if era else "")


def offset(rng):
    return rng.choice(["+00", "-08", "+05:30", "+02", "-03:30", "+14", "-11:30", "+01:23:45"])


def interval(rng):
    edges = ["0", "1 day", "-1 day", "1 month", "-1 month", "1 year", "1 mon -1 day", "24:00:00", "-00:00:01", "1 hour", "30 days", "90 min", "1 year 2 mons 3 days 04:05:06.789",
             "-1 year -2 mons +3 days -04:05:06", "178000000 years", "2147483647 days", "-2147483647 mons", "100000 hours", "0.5 seconds", "1 week"]
    if rng.random() < 0.4:
        return rng.choice(edges)
    parts = [f"{rng.randint(-40, 40)} {u}" for u in ("years", "mons", "days") if rng.random() < 0.5]
    if rng.random() < 0.6 or not parts:
        parts.append(rng.choice(["", "-"]) + clock(rng))
    return " ".join(parts)


GENERATORS.update({
    "date": date, "time": clock, "timestamp": stamp, "interval": interval,
    "timestamptz": lambda r: stamp(r) if r.random() < 0.5 else (lambda s: s if "inf" in s or "epoch" in s else s.replace(" BC", "") + offset(r))(stamp(r)),
    "timetz": lambda r: clock(r) + offset(r),
})


def knows(type):
    return type in GENERATORS


def of(rng, type, kind, name, index, first=None):
    if (kind, name, index) == ("F", "timezone", 0):
        return zone(rng) if type == "text" else rng.choice(["01:00", "-05:30", "0", "1 day", "14 hours", interval(rng)])
    if name.startswith("make_") and type == "int4":
        if name == "make_interval":
            return str(rng.randint(-50, 50)) if rng.random() < 0.9 else str(integer(rng, 31))
        return str(year(rng) * (1 if rng.random() < 0.97 else -1) if index == 0 else rng.randint(-1, 13) if index == 1 else rng.randint(0, 31 if index == 2 else 60 if index == 4 else 25))
    if name in ("make_time", "make_timestamp", "make_timestamptz") and type == "float8":
        return str(rng.choice([0, 1.5, 59.999999, 60, 60.5, -1, rng.randint(0, 59), round(rng.uniform(0, 60), 7)]))
    if name == "to_timestamp":
        return rng.choice(["0", "1e9", "1234567890.123456", "-1e10", "1e15", "Infinity", "253402300799.999", repr(rng.uniform(-1e10, 1e10))])
    if name == "to_char" and index == 1:
        return picture(rng) if first in ("timestamp", "timestamptz", "interval") else number_picture(rng)
    if (kind, name, index) in WORDS:
        return WORDS[kind, name, index](rng)
    if (kind, name, index) in SMALL:
        return str(rng.randint(-SMALL[kind, name, index], SMALL[kind, name, index]))
    if kind == "F" and name == "width_bucket" and index == 3:
        return str(rng.choice([-1, 0, 1, 5, 10, 100]))
    return GENERATORS[type](rng)


def texts(rng, type, count):
    """Texts to be read as the type, most of them none."""
    pieces = PIECES.get(type, PIECES["numbers"])
    for _ in range(count):
        if rng.random() < 0.3:
            yield GENERATORS[type](rng)
        elif type in READ:
            yield READ[type](rng)
        else:
            yield "".join(rng.choice(pieces) for _ in range(rng.randint(0, 4)))
