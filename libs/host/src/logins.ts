const LOGIN = /([a-z][a-z0-9+.-]*:\/\/)[^/?#\s@]*(?:@[^/?#\s@]*)*@/gi;
const SECRET_KEY = /^(?:password|secret|privateKey)$/i;
const HIDDEN = '***';

/** Whether a URL says who asks: `http://user:password@host`. */
export function hasLogin(url: string): boolean {
  if (!URL.canParse(url)) return false;
  const { username, password } = new URL(url);
  return username !== '' || password !== '';
}

/** A text with URLs, without the user names and passwords in them. */
export const withoutLogins = (text: string): string => text.replace(LOGIN, `$1${HIDDEN}@`);

/** A JSON value as it may be shown: without the logins in its URLs, and without what is called a password. */
export function shown(value: unknown): unknown {
  if (typeof value === 'string') return withoutLogins(value);
  if (Array.isArray(value)) return value.map(shown);
  if (typeof value !== 'object' || value === null || Object.getPrototypeOf(value) !== Object.prototype)
    return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, one]) => [
      key,
      SECRET_KEY.test(key) && typeof one === 'string' && one !== '' ? HIDDEN : shown(one),
    ]),
  );
}
