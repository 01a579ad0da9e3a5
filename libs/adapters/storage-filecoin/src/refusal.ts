import { AntirioError, type ErrorCode } from '@antirio/kernel';

const MAX_TEXT = 300;

/** Where there is a status, and it says more than the text. */
const CODES: Readonly<Record<number, ErrorCode>> = {
  401: 'forbidden',
  403: 'forbidden',
  413: 'tooLarge',
  507: 'storageFull',
};

/** What a provider means by an answer that is not the one of success. @param who the provider, and what it did not do */
export function refusalOf(who: string, status: number, text: string): AntirioError {
  if (status >= 300 && status < 400)
    return new AntirioError('forbidden', `${who}: it redirects (HTTP ${status}), which is not followed`, {
      status,
    });
  const said = reasonIn(text);
  return new AntirioError(CODES[status] ?? codeOf(said), `${who}: HTTP ${status}, ${said}`, { status });
}

/** Where a text is all that is known. */
export function codeOf(text: string): 'forbidden' | 'storageFull' | 'unavailable' {
  if (/unauthori[sz]ed|forbidden|signature/i.test(text)) return 'forbidden';
  return /no space|insufficient storage/i.test(text) ? 'storageFull' : 'unavailable';
}

/** Enough of what a provider said. */
export const reasonIn = (text: string): string =>
  text.replaceAll(/\s+/g, ' ').trim().slice(0, MAX_TEXT) || 'no reason given';
