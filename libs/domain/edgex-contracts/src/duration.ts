const UNITS: Readonly<Record<string, number>> = {
  ns: 1,
  us: 1e3,
  µs: 1e3,
  μs: 1e3,
  ms: 1e6,
  s: 1e9,
  m: 60e9,
  h: 3600e9,
};

const DURATION = /^[+-]?(?:(?:\d+(?:\.\d*)?|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+$/;
const PART = /(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)/g;

const INT64_END = 2 ** 63;

/** Nanoseconds of a Go duration such as `300ms`, `1.5h` or `2h45m`; undefined when it is none. */
export function parseDuration(text: string): number | undefined {
  if (text === '0') return 0;
  if (!DURATION.test(text)) return undefined;
  let nanos = 0;
  for (const [, count, unit] of text.matchAll(PART)) nanos += Number(count) * (UNITS[unit ?? ''] ?? 0);
  if (nanos >= INT64_END) return undefined;
  return text.startsWith('-') ? -nanos : nanos;
}
