import { AntirioError } from '@antirio/kernel';

/** One event of a stream of server-sent events. */
export interface SentEvent {
  /** Of the last event that had one: what `Last-Event-ID` says when the stream is asked for again. */
  readonly id: string;
  readonly event: string;
  readonly data: string;
}

const MAX_EVENT_CHARS = 1 << 20;

/**
 * The events of a `text/event-stream` (WHATWG HTML, section 9.2.6); comments and fields of other names are skipped.
 * @throws AntirioError tooLarge for an event over 1 MiB, and what the stream throws
 */
export async function* readSentEvents(body: AsyncIterable<Uint8Array>): AsyncGenerator<SentEvent> {
  const fields = { id: '', event: '', data: '' };
  for await (const line of linesOf(body)) {
    if (line === '') {
      const { id, event, data } = fields;
      // Each line of data ends with a line feed; the last one does not count.
      if (data !== '') yield { id, event: event === '' ? 'message' : event, data: data.slice(0, -1) };
      Object.assign(fields, { event: '', data: '' });
    } else takeField(fields, line);
    if (fields.data.length > MAX_EVENT_CHARS) tooLong();
  }
}

function takeField(fields: { id: string; event: string; data: string }, line: string): void {
  const colon = line.indexOf(':');
  const name = colon < 0 ? line : line.slice(0, colon);
  const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '');
  if (name === 'data') fields.data += `${value}\n`;
  else if (name === 'event') fields.event = value;
  else if (name === 'id' && !value.includes('\0')) fields.id = value;
}

function tooLong(): never {
  throw new AntirioError('tooLarge', `an event of over ${MAX_EVENT_CHARS} characters`);
}

/** Lines end with LF, CR LF or CR; what follows the last end is no line. */
async function* linesOf(body: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const bytes of body) {
    rest += decoder.decode(bytes, { stream: true });
    // A CR at the end may be the first half of a CR LF.
    for (let end = /\r\n|\n|\r(?!$)/.exec(rest); end !== null; end = /\r\n|\n|\r(?!$)/.exec(rest)) {
      yield rest.slice(0, end.index);
      rest = rest.slice(end.index + end[0].length);
    }
    if (rest.length > MAX_EVENT_CHARS) tooLong();
  }
  if (rest.endsWith('\r')) yield rest.slice(0, -1);
}
