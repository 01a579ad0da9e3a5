import { z } from 'zod';
import { parseInput, type HttpCall } from '@antirio/host';
import { AntirioError, isAntirioError } from '@antirio/kernel';

const counterView = z.looseObject({ session: z.string(), fCntDown: z.number() });
export type NamedCounter = z.output<typeof counterView>;

const shown = z.looseObject({
  state: z.string(),
  confirmed: z.boolean(),
  encryptAgain: z.boolean().default(false),
});
type Shown = z.output<typeof shown>;

/** The AppSKey's holder, and the edge that serves the device without. */
export interface EncryptedWay {
  readonly devEui: string;
  /** Of the serving edge's routes for this, on `/counter` and on themselves. */
  readonly ask: (call: HttpCall) => Promise<unknown>;
  /** In hex, as what comes of it. @throws AntirioError conflict for a counter that may be used already */
  readonly encrypt: (named: NamedCounter, payload: string) => Promise<string>;
  readonly requestId: () => string;
  readonly wait: (ms: number) => Promise<unknown>;
  /** Monotonic ms. */
  readonly now: () => number;
}

export interface EncryptedDownlink {
  /** Hex. */
  readonly payload: string;
  readonly fPort: number;
  readonly confirmed: boolean;
  /** So long it is waited for what becomes of it. */
  readonly waitMs: number;
}

/** So often a counter is asked for: each that was passed was one. */
const MOST_COUNTERS = 3;
const MOST_CALLS = 3;
const AGAIN_MS = 1000;
const LOOK_EVERY_MS = 1000;

const mayComeAgain = (error: unknown): boolean =>
  isAntirioError(error, 'unavailable') || isAntirioError(error, 'timeout');

/** The same once more: what was done already is answered again, and not done twice. */
async function patiently({ ask, wait }: EncryptedWay, call: HttpCall): Promise<unknown> {
  for (let tries = 1; ; tries++) {
    try {
      return await ask(call);
    } catch (error) {
      if (tries === MOST_CALLS || !mayComeAgain(error)) throw error;
      await wait(AGAIN_MS);
    }
  }
}

async function queue(way: EncryptedWay, wanted: EncryptedDownlink, named: NamedCounter): Promise<Shown> {
  const { payload, fPort, confirmed } = wanted;
  const { session, fCntDown } = named;
  const encrypted = await way.encrypt(named, payload);
  const json = { devEui: way.devEui, session, fCntDown, payload: encrypted, fPort, confirmed };
  const answer = await patiently(way, { method: 'POST', path: '', json });
  return parseInput(z.looseObject({ downlink: shown }), answer).downlink;
}

const isAtEnd = ({ state, confirmed }: Shown): boolean =>
  state === 'acknowledged' || state === 'failed' || (state === 'sent' && !confirmed);

async function follow(
  way: EncryptedWay,
  { session, fCntDown }: NamedCounter,
  first: Shown,
  until: number,
): Promise<Shown> {
  let newest = first;
  while (!isAtEnd(newest) && way.now() < until) {
    await way.wait(LOOK_EVERY_MS);
    const path = `?devEui=${way.devEui}&session=${session}&fCntDown=${fCntDown}`;
    const answer = await patiently(way, { path });
    newest = parseInput(z.looseObject({ downlink: shown.optional() }), answer).downlink ?? newest;
  }
  return newest;
}

/** Queues it under a counter of its own; why not, where that counter cannot be had any more. */
async function once(
  way: EncryptedWay,
  wanted: EncryptedDownlink,
  until: number,
): Promise<Shown | AntirioError> {
  const json = { devEui: way.devEui, requestId: way.requestId() };
  const answer = await patiently(way, { method: 'POST', path: '/counter', json });
  const { counter } = parseInput(z.looseObject({ counter: counterView }), answer);
  const queued = await queue(way, wanted, counter).catch((error: unknown) => {
    // passed, or taken by another downlink of ours
    if (isAntirioError(error, 'gone') || isAntirioError(error, 'conflict')) return error;
    throw error;
  });
  return queued instanceof AntirioError ? queued : follow(way, counter, queued, until);
}

/**
 * Has the edge that serves a device without its AppSKey send a downlink: asks it for a counter, encrypts for that, gives it the downlink.
 * Where the counter was passed it asks for another, three in all. What became of it, as that edge shows it.
 * @throws AntirioError as that edge says; gone where no counter lasted
 */
export async function sendEncrypted(way: EncryptedWay, wanted: EncryptedDownlink): Promise<Shown> {
  const until = way.now() + wanted.waitMs;
  let last: Shown | undefined;
  let why = '';
  for (let counters = 0; counters < MOST_COUNTERS; counters++) {
    const found = await once(way, wanted, until);
    if (found instanceof AntirioError) why = found.message;
    else last = found;
    if (last !== undefined && !last.encryptAgain) return last;
  }
  if (last !== undefined) return last;
  throw new AntirioError('gone', `none of ${MOST_COUNTERS} counters could be had for the downlink: ${why}`);
}
