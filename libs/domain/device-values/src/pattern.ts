import { RE2JS, RE2JSException } from 're2js';
import { fault } from './fault.ts';

/** Longer ones are refused: names are not longer either. */
const MAX_PATTERN = 1024;

/** A whole bracket expression, an escape, or what opens a group. */
const TOKEN = /\[\^?\]?(?:\\[^]|\[:\^?[a-z]*:\]|[^\]\\])*\]|\\[^]|\(\?/g;
/** What Perl has and POSIX extended regular expressions have not. */
const PERL_ESCAPE = /^\\[dDsSwWbBAzCQEpP]$/;
const PERL_CLASS = /\\[dDsSwWpP]/;

function perlFault(token: string): string | undefined {
  if (token === '(?') return 'missing argument to repetition operator: `?`';
  const [escape] = PERL_ESCAPE.exec(token) ?? (token.startsWith('[') ? PERL_CLASS.exec(token) : null) ?? [];
  return escape === undefined ? undefined : `invalid escape sequence: \`${escape}\``;
}

function posixFault(pattern: string): string | undefined {
  for (const [token] of pattern.matchAll(TOKEN)) {
    const found = perlFault(token);
    if (found !== undefined) return found;
  }
  return undefined;
}

function compiled(pattern: string): RE2JS {
  if (pattern.length > MAX_PATTERN)
    throw fault('invalidInput', `the pattern has more than ${MAX_PATTERN} characters`);
  try {
    return RE2JS.compile(pattern);
  } catch (error) {
    if (error instanceof RE2JSException) throw fault('invalidInput', error.message);
    throw error;
  }
}

/**
 * Whether a name is matched as a whole by a POSIX extended regular expression (Go's `regexp.CompilePOSIX`), in time linear to its length.
 * @throws AntirioError invalidInput when it is none.
 */
export function wholeNamePattern(pattern: string): (name: string) => boolean {
  const perl = posixFault(pattern);
  if (perl !== undefined) throw fault('invalidInput', `error parsing regexp: ${perl}`);
  const expression = compiled(pattern);
  return (name) => expression.matches(name);
}

/**
 * Whether a part of a text is matched by a regular expression of Go (`regexp.MatchString`), as the identifiers of provision watchers are.
 * @throws AntirioError invalidInput when it is none.
 */
export function pattern(text: string): (value: string) => boolean {
  const expression = compiled(text);
  return (value) => expression.matcher(value).find();
}
