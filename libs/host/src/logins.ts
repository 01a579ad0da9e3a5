const LOGIN = /([a-z][a-z0-9+.-]*:\/\/)[^/?#\s@]*(?:@[^/?#\s@]*)*@/gi;
const SECRET_KEY = /^(?:password|secret|privateKey)$/i;
/** Addresses of services whose users are told apart by the path. */
const TOKEN_ADDRESS = /^(?:rpcUrl|endpoint|apiUrls)$/;
const HIDDEN = '***';

/** Whether a URL says who asks: `http://user:password@host`. */
export function hasLogin(url: string): boolean {
  if (!URL.canParse(url)) return false;
  const { username, password } = new URL(url);
  return username !== '' || password !== '';
}

/** A text with URLs, without the user names and passwords in them. */
export const withoutLogins = (text: string): string => text.replace(LOGIN, `$1${HIDDEN}@`);

/** An address without what follows its host, where tokens may be. */
const originOf = (text: string): string => {
  const url = URL.parse(text);
  if (url === null || url.origin === 'null') return HIDDEN;
  return text === url.origin || text === `${url.origin}/` ? text : `${url.origin}/${HIDDEN}`;
};

/**
 * A JSON value as it may be shown: without the logins in its URLs, without the paths of addresses that may hold a
 * token, and without what is called a password.
 */
export function shown(value: unknown): unknown {
  if (typeof value === 'string') return withoutLogins(value);
  if (Array.isArray(value)) return value.map(shown);
  if (typeof value !== 'object' || value === null || Object.getPrototypeOf(value) !== Object.prototype)
    return value;
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, shownAs(key, one)]));
}

function shownAs(key: string, value: unknown): unknown {
  if (SECRET_KEY.test(key) && typeof value === 'string' && value !== '') return HIDDEN;
  if (!TOKEN_ADDRESS.test(key)) return shown(value);
  if (typeof value === 'string') return originOf(value);
  return Array.isArray(value)
    ? value.map((one: unknown) => (typeof one === 'string' ? originOf(one) : shown(one)))
    : shown(value);
}
