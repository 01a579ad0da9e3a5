/** What a command's query says to the SDK, and what is left for the driver. */
export interface CommandQuery {
  readonly pushEvent: boolean;
  readonly returnEvent: boolean;
  /** Whether a name that is no command may be a pattern of resources. */
  readonly patterns: boolean;
  readonly rawQuery: string;
}

const RESERVED = 'ds-';

function readReserved(valueOf: (key: string) => string | null | undefined): Omit<CommandQuery, 'rawQuery'> {
  const returnEvent = valueOf('ds-returnevent') ?? '';
  return {
    pushEvent: valueOf('ds-pushevent') === 'true',
    returnEvent: returnEvent === '' || returnEvent === 'true',
    patterns: valueOf('ds-regexcmd') !== 'false',
  };
}

/** Of a URL's query, from the question mark on. What is the driver's is sorted by key, as Go encodes it. */
export function queryOfUrl(search: string): CommandQuery {
  const all = new URLSearchParams(search);
  const others = new URLSearchParams([...all].filter(([key]) => !key.startsWith(RESERVED)));
  others.sort();
  return { ...readReserved((key) => all.get(key)), rawQuery: others.toString() };
}

/** Of an envelope. */
export function queryOfEnvelope(params: Readonly<Record<string, string>>): CommandQuery {
  const others = Object.entries(params).filter(([key]) => !key.startsWith(RESERVED));
  const rawQuery = others.map(([key, value]) => `${key}=${value}`).join('&');
  return { ...readReserved((key) => params[key]), rawQuery };
}
