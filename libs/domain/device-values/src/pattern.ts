import { RE2JS, RE2JSException } from 're2js';
import { fault } from './fault.ts';

/** Longer ones are refused: names are not longer either. */
const MAX_PATTERN = 1024;

/** A whole bracket expression, an escape, or what opens a group. */
const TOKEN = /\[\^?\]?(?:\\[^]|\[:\^?[a-z]*:\]|[^\]\\])*\]|\\[^]|\(\?/g;
/** What Perl has and POSIX extended regular expressions have not. */
const PERL = /^\\[dDsSwWbBAzCQEpP]|^\(\?$|^\[.*\\[dDsSwWpP]/s;

function perlIn(pattern: string): string | undefined {
  return pattern.match(TOKEN)?.find((token) => PERL.test(token));
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
  const perl = perlIn(pattern);
  if (perl !== undefined)
    throw fault('invalidInput', `error parsing regexp: invalid escape sequence or Perl syntax: \`${perl}\``);
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
