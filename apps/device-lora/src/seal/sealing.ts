import { z } from 'zod';
import { callJson, parseInput, repeat, sleep, type HttpPeer, type Log, type Repeating } from '@antirio/host';
import { describeError, type Clock } from '@antirio/kernel';
import type { DevAddr, DevEui } from '@antirio/lorawan';
import type { LiveSessions } from './live-sessions.ts';

/** `unprotected`: no contract is about the device. `unsealed`: the provider of one could not go on with it now. */
export type Sealed = 'unprotected' | 'sealed' | 'unsealed';

/** What the edge's arbitrator says of the sessions that joins made. */
const answerSchema = z.object({
  /** Of the sessions that it speaks of. */
  serial: z.int().min(0),
  /** Devices that living contracts are about. */
  protected: z.array(z.string()),
  /** Sessions that a provider has not got. `waits`: they are on their way to it. */
  /** Sessions in use whose keys others have seen. */
  disclosed: z.array(z.looseObject({ devEui: z.string(), devAddr: z.string() })).default([]),
  /** Devices whose root key others have seen, whatever they join with. */
  rootKeysSeen: z.array(z.looseObject({ devEui: z.string() })).default([]),
  unsealed: z.array(
    z.object({
      devEui: z.string(),
      devAddr: z.string(),
      contractId: z.string(),
      waits: z.boolean(),
      why: z.string(),
    }),
  ),
});
export type SealAnswer = z.input<typeof answerSchema>;
type Answer = z.output<typeof answerSchema>;
type Unsealed = SealAnswer['unsealed'][number];

/** Sees to it that providers have the sessions of devices that join, before these are answered where that can be. */
export interface Sealing {
  /**
   * Resolves when every provider has the session, or none is to have it, or it is of no use to wait any longer: at the latest at
   * `until` (monotonic ms). Never rejects.
   */
  seal(session: { readonly devEui: DevEui; readonly devAddr: DevAddr }, until: number): Promise<Sealed>;
  /** What joins have made is told anew, without waiting for anybody to have it. */
  announce(): void;
  /** Undefined where that is not known. */
  stateOf(devEui: DevEui, devAddr: DevAddr): Sealed | undefined;
  /** Whether others have seen the keys of the session; undefined where that is not known. */
  isDisclosed(devEui: DevEui, devAddr: DevAddr): boolean | undefined;
  /** Whether others have seen the device's root key; undefined where that is not known. */
  isRootKeySeen(devEui: DevEui): boolean | undefined;
  /** Devices with a session that a provider has not got. */
  unsealed(): readonly { readonly devEui: string; readonly why: string }[];
  counts(): Readonly<Record<Sealed, number>>;
  stop(): Promise<void>;
}

interface SessionName {
  readonly devEui: string;
  readonly devAddr: string;
}

export interface SealingPorts {
  readonly arbitrator: HttpPeer;
  readonly live: LiveSessions;
  readonly clock: Clock;
  readonly log: Log;
  /** Sessions in use whose keys others have seen, at each look. */
  readonly onDisclosed?: (disclosed: readonly SessionName[]) => void;
  /** Which of these sessions their devices have left for another one. */
  readonly leftBehind?: (disclosed: readonly SessionName[]) => readonly SessionName[];
  /** Between two questions while a join waits (default 100 ms). */
  readonly askEveryMs?: number;
  /** Between two looks when nothing waits (default 2 s). */
  readonly lookEveryMs?: number;
}

const PATH = '/arbitrator/v1/live-sessions';
const ASK_EVERY_MS = 100;
const LOOK_EVERY_MS = 2000;
/** Where nothing has joined, one look in so many. */
const SELDOM = 5;
/** Joins that come within this time are one version of the keys. */
const ONE_VERSION_MS = 250;

export function createSealing(ports: SealingPorts): Sealing {
  const { arbitrator, live, clock, log, askEveryMs = ASK_EVERY_MS } = ports;
  const counts: Record<Sealed, number> = { unprotected: 0, sealed: 0, unsealed: 0 };
  let known: Answer | undefined;
  let asking: Promise<Answer> | undefined;
  let refreshing: Promise<number> | undefined;
  let refreshedAt = -Infinity;
  let told = '';
  let looks = 0;

  const tellChange = ({ unsealed }: Pick<Answer, 'unsealed'>): void => {
    const now = unsealed.map(({ devEui, devAddr, why }) => `${devEui} ${devAddr}: ${why}`).join('; ');
    if (now !== told && unsealed.length > 0)
      log.warn({ unsealed: unsealed.slice(0, 16), count: unsealed.length }, 'providers lack sessions');
    if (now === '' && told !== '') log.info('providers have all sessions');
    told = now;
  };
  const askNow = async (): Promise<Answer> => {
    const left = ports.leftBehind?.(known?.disclosed ?? []) ?? [];
    const json = { serial: live.serial, left: left.map(({ devEui, devAddr }) => ({ devEui, devAddr })) };
    const answer = parseInput(
      answerSchema,
      await callJson(arbitrator, { method: 'POST', path: PATH, json, timeoutMs: 2000 }),
    );
    known = answer;
    ports.onDisclosed?.(answer.disclosed);
    // what is on its way to a provider is no news yet
    tellChange({ ...answer, unsealed: answer.unsealed.filter(({ waits }) => !waits) });
    return answer;
  };
  /** One question at a time, whoever waits for its answer. */
  const ask = (): Promise<Answer> => {
    asking ??= askNow().finally(() => {
      asking = undefined;
    });
    return asking;
  };
  /** The first of several joins is told at once, the others together. */
  const refresh = (): Promise<number> => {
    refreshing ??= (async () => {
      await sleep(Math.max(0, ONE_VERSION_MS - (clock.monotonic() - refreshedAt)));
      // whoever comes from here on is not in what is written now
      refreshing = undefined;
      refreshedAt = clock.monotonic();
      return live.refresh();
    })();
    return refreshing;
  };
  const verdictOf = (answer: Answer, devEui: string, devAddr: string): Sealed | Unsealed => {
    const lacking = answer.unsealed.filter((one) => one.devEui === devEui && one.devAddr === devAddr);
    const [first] = lacking;
    if (first !== undefined) return lacking.find(({ waits }) => waits) ?? first;
    return answer.protected.includes(devEui) ? 'sealed' : 'unprotected';
  };
  const attempt = async (devEui: string, devAddr: string, serial: number): Promise<Sealed | 'again'> => {
    const answer = await ask();
    if (!answer.protected.includes(devEui)) return 'unprotected';
    // the question was on its way already, or the file was being written
    if (answer.serial < serial) return 'again';
    const verdict = verdictOf(answer, devEui, devAddr);
    if (typeof verdict === 'string') return verdict;
    return verdict.waits ? 'again' : 'unsealed';
  };
  const waitFor = async (devEui: string, devAddr: string, until: number): Promise<Sealed> => {
    const serial = await refresh();
    while (clock.monotonic() < until) {
      const found = await attempt(devEui, devAddr, serial);
      if (found !== 'again') return found;
      await sleep(askEveryMs);
    }
    return 'unsealed';
  };
  const looking: Repeating = repeat(
    'looking after sealed sessions',
    ports.lookEveryMs ?? LOOK_EVERY_MS,
    log,
    async () => {
      // nothing is under way to a provider where nothing has joined
      if (live.serial > 0 || looks++ % SELDOM === 0) await ask();
    },
  );
  return {
    async seal({ devEui, devAddr }, until) {
      const over = new AbortController();
      const unsealed = (): Sealed => 'unsealed';
      const late = sleep(Math.max(0, until - clock.monotonic()), over.signal).then(unsealed, unsealed);
      const found = await Promise.race([waitFor(devEui, devAddr, until), late]).catch((error: unknown) => {
        log.warn({ error: describeError(error) }, 'the arbitrator does not say whether a session is sealed');
        return unsealed();
      });
      over.abort();
      counts[found] += 1;
      if (found === 'unsealed')
        log.warn({ devEui, devAddr }, 'ALARM: unsealed: no provider has the session of this join yet');
      return found;
    },
    announce() {
      refresh().catch((error: unknown) => {
        log.warn({ error: describeError(error) }, 'what joins have made cannot be told');
      });
    },
    stateOf(devEui, devAddr) {
      if (known === undefined) return undefined;
      const verdict = verdictOf(known, devEui, devAddr);
      return typeof verdict === 'string' ? verdict : 'unsealed';
    },
    isDisclosed: (devEui, devAddr) =>
      known?.disclosed.some((one) => one.devEui === devEui && one.devAddr === devAddr),
    isRootKeySeen: (devEui) => known?.rootKeysSeen.some((one) => one.devEui === devEui),
    unsealed: () => known?.unsealed.map(({ devEui, why }) => ({ devEui, why })) ?? [],
    counts: () => ({ ...counts }),
    stop: () => looking.stop(),
  };
}
